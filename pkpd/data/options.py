"""What the caller of a reader asked for, checked: everything besides the file and the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pkpd.data.codes import ALLOWABLE
from pkpd.data.source import check_ignore
from pkpd.data.ties import check_ties
from pkpd.errors import PkpdError

Units = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """The arguments of `read_cohort`, by name; `units` None means those a DataFrame carries in `.attrs["units"]`, if any."""

    units: Units | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    interpolation: Mapping[str, str] = field(default_factory=dict)
    ties: str = "rows"
    ignore: str | None = None
    century: int | None = None
    allow: Collection[str] = ()
    missing: tuple[str, ...] = ()

    def units_for(self, source: Any) -> Units:
        """The units declared, or those that a table written by this library carries."""
        if self.units is not None:
            return self.units
        carried = getattr(source, "attrs", {}).get("units")
        return carried if isinstance(carried, Mapping) and "TIME" in carried else {}


def options(
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
    ties: str = "rows",
    ignore: str | None = None,
    century: int | None = None,
    allow: Collection[str] = (),
    missing: Iterable[str] = (),
) -> Options:
    """The options as given, or a `PkpdError` about the first that cannot be."""
    wrong = sorted(set(allow) - set(ALLOWABLE))
    if wrong:
        raise PkpdError(f"allow= cannot let {', '.join(wrong)} pass. It may hold: {', '.join(ALLOWABLE)}.")
    if century is not None and (
        isinstance(century, bool) or not isinstance(century, int) or century % 100 or not 1 <= century // 100 <= 99
    ):
        raise PkpdError(f"century={century!r}: give the year that two digits are added to, as in century=2000 (15 is then 2015).")
    asked = dict(interpolation or {})
    return Options(
        units, dict(columns or {}), tuple(covariates), asked, check_ties(ties), check_ignore(ignore), century, tuple(allow), tuple(missing)
    )
