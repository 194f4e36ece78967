"""Dosing as an algebra of small values (`bolus`, `infusion`, `oral`; moved, repeated, scaled, added), and the same thing as records.

Times count in hours from the start of the trial (`day(1)` is 0 h). Every operation returns a new regimen.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pkpd.data import Vocabulary, vocabulary_of
from pkpd.data.unscored import read_unscored
from pkpd.errors import DoseError
from pkpd.events.administration import Administration, describe
from pkpd.events.amounts import read_amount, read_length, read_number, read_time
from pkpd.units import CLOCK

COLUMNS = ["ID", "TIME", "EVID", "AMT", "RATE", "DUR", "CMT"]


@dataclass(frozen=True, repr=False)
class Regimen:
    """What is given, and when: a frozen set of doses. Two regimens are equal when their doses are, in whatever order they were written.

    >>> infusion((100, "mg"), over=(30, "min")).every((1, "day"), times=3)
    Regimen(100 mg over 0.5 h at 0, 24, 48 h)
    """

    doses: tuple[Administration, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "doses", tuple(sorted(self.doses, key=operator.attrgetter("order"))))

    def at(self, time: Any) -> Regimen:
        """The regimen moved so that its first dose is given at `time`, a `(number, "unit")` pair or `day(d)`.

        >>> bolus((100, "mg")).at((2, "day"))
        Regimen(100 mg at 48 h)
        """
        start = read_time(time, "The time of a dose")
        first = self.doses[0].time if self.doses else 0.0
        return self._each(lambda d: replace(d, time=(d.time - first) + start))

    def every(self, interval: Any, times: Any) -> Regimen:
        """The regimen given `times` times in all, `interval` apart, the first time as it stands.

        >>> bolus((100, "mg")).every((12, "h"), times=14)
        Regimen(100 mg at 0, 12, 24, ..., 156 h (14 doses))
        """
        hours = read_length(interval, "The interval between doses")
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise DoseError(f"every(..., times={times!r}): a whole number of at least 1 is needed, the first dose counted.")
        return Regimen(tuple(replace(d, time=d.time + k * hours) for k in range(times) for d in self.doses))

    def over(self, duration: Any) -> Regimen:
        """The same doses, each infused at a constant rate over `duration`.

        >>> bolus((100, "mg")).over((1, "h"))
        Regimen(100 mg over 1 h at 0 h)
        """
        hours = read_length(duration, "The duration of an infusion")
        return self._each(lambda d: replace(d, duration=hours))

    def scaled(self, factor: Any) -> Regimen:
        """Every amount times `factor` (above zero).

        >>> bolus((100, "mg")).scaled(2)
        Regimen(200 mg at 0 h)
        """
        times = read_number(factor, "scaled(...)")
        return self._each(lambda d: replace(d, amount=read_amount((d.amount * times, d.unit))[0]))

    def __add__(self, other: Regimen) -> Regimen:
        return Regimen(self.doses + other.doses) if isinstance(other, Regimen) else NotImplemented

    def __repr__(self) -> str:
        return f"Regimen({describe(self.doses)})"

    def _each(self, change: Any) -> Regimen:
        return Regimen(tuple(map(change, self.doses)))

    def for_model(self, model: Any) -> Regimen:
        """The regimen in a model's words: each target named (the model's only dose route where none was), each amount in its unit.

        `model` is a composed model or a `Vocabulary`. Raises `DoseError` for a target the model does not have (naming the nearest) or one
        that must be named, `UnitError` for an amount of another kind.

        >>> from pkpd.models.classic import one_compartment_iv
        >>> bolus((0.1, "g")).for_model(one_compartment_iv)
        Regimen(100 mg into iv at 0 h)
        """
        words = _words(model)
        return self._each(lambda d: d.for_model(words))

    def to_records(self, model: Any, id: str = "1") -> pd.DataFrame:
        """The regimen as NONMEM-style dose records of subject `id`, in hours and the model's units.

        Returns a DataFrame with columns ID, TIME, EVID, AMT, RATE, DUR, CMT; its units stand in `.attrs["units"]`, to be passed to
        `read_cohort(units=...)`. Raises as `for_model`.

        >>> from pkpd.models.classic import one_compartment_iv
        >>> infusion((0.1, "g"), over=(2, "h")).to_records(one_compartment_iv).values.tolist()
        [['1', 0.0, 1, 100.0, 50.0, 2.0, 'iv']]
        """
        doses = self.for_model(model).doses
        rows = [(id, d.time, 1, d.amount, d.amount / d.duration if d.duration else 0.0, d.duration, d.target) for d in doses]
        table = pd.DataFrame(rows, columns=COLUMNS)
        table.attrs["units"] = {"TIME": CLOCK, "AMT": {d.target: d.unit for d in doses}}
        return table

    @classmethod
    def from_records(cls, records: Any, model: Any, *, units: Any = None) -> Regimen:
        """The doses of one subject's NONMEM-style records (a DataFrame or a csv path), in the model's units; other rows are passed over.

        ADDL is written out. `units` is as in `read_cohort`; records made by `to_records` carry theirs. Reading back is exact:
        `Regimen.from_records(r.to_records(m), m) == r.for_model(m)`. Raises `DataError` for records that are not valid, `DoseError` for
        several subjects or for resets, which no regimen has.

        >>> table = pd.DataFrame({"ID": [1], "TIME [h]": [0], "AMT [mg]": [100], "CMT": ["iv"], "ADDL": [2], "II": [24]})
        >>> from pkpd.models.classic import one_compartment_iv
        >>> Regimen.from_records(table, one_compartment_iv)
        Regimen(100 mg into iv at 0, 24, 48 h)
        """
        if isinstance(records, pd.DataFrame) and records.empty:
            return cls()
        words = _words(model)
        cohort = read_unscored(records, replace(words, covariates=()), units=units).cohort
        if cohort.n_subjects > 1:
            raise DoseError(f"The records hold {cohort.n_subjects} subjects; a regimen is one subject's. Keep the rows of one ID.")
        if (cohort.doses["kind"] != "dose").any():
            raise DoseError("The records hold a reset (EVID 3 or 4), which no regimen has. Use simulate(model, records, ...).")
        rows = cohort.doses[["amount", "target", "time", "duration"]].itertuples(index=False)
        return cls(tuple(Administration(d.amount, words.dose_unit(d.target) or "", d.time, d.duration, d.target) for d in rows))


def bolus(amount: Any, into: Any = None) -> Regimen:
    """One dose given at once, at 0 h: `amount` is a pair like `(100, "mg")` or `cells(5e9)`; `into` names a dose route or state.

    Raises `UnitError` for an amount without a unit, `DoseError` for one that is not above zero.

    >>> bolus((100, "mg"), into="depot") + bolus((50, "mg"), into="depot").at((12, "h"))
    Regimen(100 mg into depot at 0 h; 50 mg into depot at 12 h)
    """
    number, unit = read_amount(amount)
    if not (into is None or isinstance(into, str)):
        raise DoseError(f"into={into!r}: name a dose route or state of the model, as in into='depot'.")
    return Regimen((Administration(number, unit, target=into),))


def infusion(amount: Any, into: Any = None, over: Any = (0.5, "h")) -> Regimen:
    """One dose given at a constant rate from 0 h on, lasting `over`; otherwise as `bolus`.

    >>> from pkpd.events import cells, day
    >>> infusion(cells(5e9), over=(30, "min")).at(day(3))
    Regimen(5 x 1e9 cells over 0.5 h at 48 h)
    """
    return bolus(amount, into).over(over)


def oral(amount: Any, into: Any = None) -> Regimen:
    """One dose swallowed at 0 h, into the route `oral` unless `into` names another; otherwise as `bolus`.

    >>> oral((320, "mg")).every((8, "h"), times=3)
    Regimen(320 mg into oral at 0, 8, 16 h)
    """
    return bolus(amount, into or "oral")


def sum_of(regimens: Iterable[Any]) -> Regimen:
    """Several regimens given together; of none, an arm without doses.

    >>> from pkpd.events import cells, day
    >>> sum_of(bolus(cells(n)).at(day(d)) for n, d in ((0.5e9, 1), (1.5e9, 3)))
    Regimen(0.5 x 1e9 cells at 0 h; 1.5 x 1e9 cells at 48 h)
    """
    parts = tuple(regimens)
    wrong = [r for r in parts if not isinstance(r, Regimen)]
    if wrong:
        raise DoseError(f"sum_of(...) takes regimens made by bolus, infusion or oral; got {wrong[0]!r}.")
    return Regimen(tuple(d for r in parts for d in r.doses))


def _words(model: Any) -> Vocabulary:
    words = vocabulary_of(model)
    if words is None:
        raise DoseError("A regimen needs the model it is given to, which names the dose routes and their units; got None.")
    return words
