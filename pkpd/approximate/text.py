"""Point estimates as text, in the order of a NONMEM listing: verdict, objective, estimates, random effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

HIGH = 0.95


def as_text(found: Any) -> str:
    """Lines for a person, from `PointEstimates`."""
    verdict = found.verdict
    lines = [verdict.headline, *(f"  {x}" for x in verdict.reasons if x not in verdict.headline), *(f"  {x}" for x in verdict.next_steps)]
    lines += ["", str(found.objective), ""]
    rows = [(n, *(_number(x[c]) for c in ("estimate", "se")), _number(x["rse"], 3), x["unit"]) for n, x in found.table.iterrows()]
    lines += columns(("", "estimate", "SE", "RSE %", "unit"), rows)
    own = found.individual
    effects = [(e, _number(w), _number(100 * s, 3)) for e, w, s in zip(own.effects, own.omega, own.shrinkage, strict=True)]
    lines += [
        "",
        *columns(("", "omega", "shrinkage %"), effects),
        "",
        f"Condition number of the correlation: {_number(found.condition_number)}",
    ]
    return "\n".join([*lines, *_together(found)])


def _together(found: Any) -> list[str]:
    """Pairs of estimates that the data hardly tell apart."""
    names, r = list(found.correlation.index), found.correlation.to_numpy()
    pairs = [f"{names[i]} and {names[j]} ({r[i, j]:.3f})" for i in range(len(names)) for j in range(i) if abs(r[i, j]) > HIGH]
    return [f"Correlation above {HIGH}: {', '.join(pairs)}"] if pairs else []


def _number(x: Any, digits: int = 4) -> str:
    return f"{float(x):.{digits}g}" if np.isfinite(x) else "-"


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Names to the left, numbers to the right.

    >>> columns(("", "SE"), [("CL", "0.1")])
    ['     SE', 'CL  0.1']
    """
    table = [list(head), *(list(r) for r in rows)]
    wide = [max(len(str(r[k])) for r in table) for k in range(len(head))]
    return [
        "  ".join(str(x).ljust(w) if k == 0 else str(x).rjust(w) for k, (x, w) in enumerate(zip(r, wide, strict=True))).rstrip()
        for r in table
    ]
