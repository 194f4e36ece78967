"""What a model lets a data file say: the names of its dose routes, states, observables and covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkpd.errors import PkpdError
from pkpd.units import parse


@dataclass(frozen=True)
class Field:
    """A name and the unit its numbers have inside the model; a dose route may say `into` which state it leads.

    >>> Field("il6", "pg/mL").unit
    'pg/mL'
    """

    name: str
    unit: str
    into: str = ""

    def __post_init__(self) -> None:
        parse(self.unit)


@dataclass(frozen=True)
class Vocabulary:
    """The names a data file may use for a model, and the units the model wants.

    `doses` are the declared dose routes, `states` the state names in order (a `Field` where the state's unit is to be known: a dose
    straight into a state needs it), `observables` what DVID may name, `covariates` the columns the model reads.
    CMT number k means the k-th state, DVID number k the k-th observable (both counted from 1).
    Raises `PkpdError` when a name is given twice.

    >>> words = Vocabulary(doses=(Field("depot", "mg"),), states=("depot", "central"), observables=(Field("cp", "mg/L"),))
    >>> words.targets
    ('depot', 'central')
    """

    doses: tuple[Field, ...] = ()
    states: tuple[str | Field, ...] = ()
    observables: tuple[Field, ...] = ()
    covariates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what in ("doses", "states", "observables", "covariates"):
            names = [_name(item) for item in getattr(self, what)]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise PkpdError(f"Vocabulary: {what} name {', '.join(twice)} more than once. Each name stands once.")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states, in order."""
        return tuple(_name(s) for s in self.states)

    @property
    def observable_names(self) -> tuple[str, ...]:
        """The names of the observables, in order."""
        return tuple(o.name for o in self.observables)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every name a dose may go to: declared routes first, then states."""
        return tuple(dict.fromkeys([d.name for d in self.doses] + list(self.state_names)))

    def dose_unit(self, target: str) -> str | None:
        """The unit of amounts given to `target`; None when the vocabulary does not tell."""
        units = {s.name: s.unit for s in self.states if isinstance(s, Field)}
        return (units | {d.name: d.unit for d in self.doses}).get(target)

    def compartment(self, target: str) -> int:
        """The number of the state that a dose to `target` reaches, counted from 1; 0 when the vocabulary does not tell."""
        state = {d.name: d.into for d in self.doses if d.into}.get(target, target)
        return self.state_names.index(state) + 1 if state in self.state_names else 0

    def observable_unit(self, name: str) -> str | None:
        """The unit the model gives observable `name` in."""
        return {o.name: o.unit for o in self.observables}.get(name)


def _name(item: str | Field) -> str:
    return item.name if isinstance(item, Field) else item


def vocabulary_of(model: Any) -> Vocabulary | None:
    """The vocabulary of a model, a vocabulary itself, or None for None.

    Raises `PkpdError` for anything else.
    """
    found = getattr(model, "vocabulary", model)
    if found is None or isinstance(found, Vocabulary):
        return found
    raise PkpdError(f"A file is read for a model, a Vocabulary or None, not for {type(model).__name__}. Pass the composed model.")
