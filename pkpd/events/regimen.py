"""Dosing as an algebra of small values: moved, repeated, followed, scaled, added; and the same thing as records.

Times count in hours from the start of the trial (`day(1)` is 0 h). Every operation returns a new regimen.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import pandas as pd

from pkpd import units
from pkpd.data import Vocabulary, vocabulary_of
from pkpd.errors import DoseError
from pkpd.events.administration import Administration
from pkpd.events.amounts import read_amount, read_lag, read_length, read_number, read_rate, read_time
from pkpd.events.body import one_body, split_size
from pkpd.events.records import needed_sizes, read_records, records_of
from pkpd.events.wording import describe

MODELLED = "modelled"


@dataclass(frozen=True, repr=False)
class Regimen:
    """What is given, and when: a frozen set of doses. Two regimens are equal when their doses are, in whatever order they were written.

    Doses may overlap: amounts and rates add. `ends` (h) is when the last interval of an `every` is over, for `then`; it is no part of what is given.

    >>> from pkpd.events import bolus, infusion
    >>> infusion((100, "mg"), over=(30, "min")).every((1, "day"), times=3)
    Regimen(100 mg over 0.5 h at 0, 24, 48 h)
    """

    doses: tuple[Administration, ...] = ()
    ends: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "doses", tuple(sorted(self.doses, key=operator.attrgetter("order"))))
        steady = [d.time for d in self.doses if d.steady_state == 1]
        twice = next((a for a, b in itertools.pairwise(steady) if a == b), None)
        if twice is not None:
            raise DoseError(
                f"Two doses at steady state begin at {twice:g} h, and each would replace the other. Give one of them adds=True."
            )

    @property
    def start(self) -> float:
        """The time of the first dose (h); 0 without doses."""
        return self.doses[0].time if self.doses else 0.0

    @property
    def sizes(self) -> frozenset[str]:
        """The body sizes its doses count by: "kg", "m^2", or none."""
        return frozenset(needed_sizes(self.doses))

    def at(self, time: Any) -> Regimen:
        """The whole regimen moved so that its first dose is given at `time`, a `(number, "unit")` pair or `day(d)`.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).at((2, "day"))
        Regimen(100 mg at 48 h)
        """
        begin, first = read_time(time, "The time of a dose"), self.start
        moved = self._each(lambda d: replace(d, time=(d.time - first) + begin))
        return replace(moved, ends=None if self.ends is None else (self.ends - first) + begin)

    @overload
    def every(self, interval: Any, times: int) -> Regimen: ...
    @overload
    def every(self, interval: Any, times: None = None) -> Every: ...
    def every(self, interval: Any, times: Any = None) -> Any:
        """The whole regimen given `times` times in all, `interval` apart, the first time as it stands; also `.every(interval).times(n)`.

        Of a dose at steady state only the first is: the others follow it, as additional doses (ADDL) do.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).every((12, "h"), times=14)
        Regimen(100 mg at 0, 12, 24, ..., 156 h (14 doses))
        """
        once = Every(self, read_length(interval, "The interval between doses"))
        return once if times is None else once.times(times)

    def then(self, other: Any, after: Any = None) -> Regimen:
        """This regimen, and `other` when it is over: its first dose `after` this one's last, or when the last interval of `every` has passed.

        Raises `DoseError` without `after` where no `every` says when this regimen is over.

        >>> from pkpd.events import bolus
        >>> bolus((500, "mg")).then(bolus((250, "mg")).every((12, "h"), times=3), after=(12, "h"))
        Regimen(500 mg at 0 h; 250 mg at 12, 24, 36 h)
        """
        if not isinstance(other, Regimen):
            raise DoseError(f"then(...) takes a regimen made by bolus, infusion or oral; got {other!r}.")
        if not (self.doses and other.doses):
            return self if self.doses else other
        moved = other.at((self._over(after), units.CLOCK))
        return Regimen(self.doses + moved.doses, moved.ends)

    def _over(self, after: Any) -> float:
        if after is not None:
            return self.doses[-1].time + read_length(after, "The time after the last dose")
        if self.ends is None:
            raise DoseError(
                f"then(...): when {self!r} is over is not known, for not all of it was made by every(...). "
                "Say how long after its last dose the next begins, as in then(..., after=(12, 'h'))."
            )
        return self.ends

    def over(self, duration: Any) -> Regimen:
        """The same doses, each infused at a constant rate over `duration`, or over the time the model says (`"modelled"`, RATE = -2).

        Bioavailability scales the rate of such an infusion.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).over((1, "h"))
        Regimen(100 mg over 1 h at 0 h)
        """
        if duration == MODELLED:
            return self._each(lambda d: replace(d, shape="modelled_duration", **NO_SPEED))
        hours = read_length(duration, "The duration of an infusion")
        return self._each(lambda d: replace(d, shape="duration", **NO_SPEED | {"duration": hours}))

    def at_rate(self, rate: Any) -> Regimen:
        """The same doses, each infused at `rate`, a pair like `(50, "mg/h")`, or at the rate the model says (`"modelled"`, RATE = -1).

        Bioavailability scales the duration of such an infusion.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).at_rate((50, "mg/h"))
        Regimen(100 mg by 50 mg/h at 0 h)
        """
        if rate == MODELLED:
            return self._each(lambda d: replace(d, shape="modelled_rate", **NO_SPEED))

        def fast(d: Administration) -> Administration:
            number, unit = read_rate(rate, d.unit)
            return replace(d, shape="rate", duration=0.0, rate=number, rate_unit=unit)

        return self._each(fast)

    def scaled(self, factor: Any) -> Regimen:
        """Every amount (and cap) times `factor` (above zero); an infusion by rate keeps its rate and lasts longer.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).scaled(2)
        Regimen(200 mg at 0 h)
        """
        times = read_number(factor, "scaled(...)")

        def more(d: Administration) -> Administration:
            if d.constant:
                return replace(d, rate=read_amount((d.rate * times, d.rate_unit))[0])
            return replace(d, amount=read_amount((d.amount * times, d.unit))[0], at_most=None if d.at_most is None else d.at_most * times)

        return self._each(more)

    def lagged(self, lag: Any) -> Regimen:
        """The same doses, each reaching its target `lag` after it is given; this is the dose's own lag, which no model changes.

        >>> from pkpd.events import oral
        >>> oral((100, "mg")).lagged((30, "min"))
        Regimen(100 mg into oral at 0 h (lag 0.5 h))
        """
        hours = read_lag(lag)
        return self._each(lambda d: replace(d, lag=hours))

    def bioavailable(self, fraction: Any) -> Regimen:
        """The same doses, of each the part `fraction` (above zero) arriving; this is the dose's own bioavailability.

        >>> from pkpd.events import oral
        >>> oral((100, "mg")).bioavailable(0.8)
        Regimen(100 mg into oral at 0 h (bioavailability 0.8))
        """
        share = read_number(fraction, "bioavailable(...)")
        if share <= 0:
            raise DoseError(f"bioavailable({fraction!r}): a bioavailability lies above 0. Write 0.8 for 80 %.")
        return self._each(lambda d: replace(d, bioavailability=share))

    def steady_state(self, interval: Any, adds: bool = False) -> Regimen:
        """The regimen with its first dose at the steady state of being given every `interval` (SS = 1), or adding that state (`adds`, SS = 2).

        Raises `DoseError` where the regimen does not begin with one dose.

        >>> from pkpd.events import bolus
        >>> bolus((100, "mg")).every((12, "h"), times=3).steady_state((12, "h"))
        Regimen(100 mg at 0 h (at steady state every 12 h); 100 mg at 12, 24 h)
        """
        hours = read_length(interval, "The interval of a steady state")
        first = [d for d in self.doses if d.time == self.start]
        if len(first) != 1:
            raise DoseError(
                f"steady_state(...): the regimen begins with {len(first)} doses, and only one can be meant. "
                "Give that one its steady state before adding the others."
            )
        steady = replace(first[0], steady_state=2 if adds else 1, interval=hours)
        return replace(self, doses=(steady, *self.doses[1:]))

    def at_most(self, amount: Any) -> Regimen:
        """The same doses, each of `amount` at most: a cap on doses by body size.

        >>> from pkpd.events import bolus
        >>> bolus((5, "mg/kg")).at_most((0.5, "g"))
        Regimen(5 mg/kg at 0 h (at most 500 mg))
        """
        number, unit = read_amount(amount)

        def capped(d: Administration) -> Administration:
            plain, size = split_size(d.unit)
            cap = number * units.factor(unit, plain, "The cap of a dose")
            if not size:
                return replace(d, amount=min(d.amount, cap))
            return replace(d, at_most=cap if d.at_most is None else min(cap, d.at_most))

        return self._each(capped)

    def __add__(self, other: Any) -> Regimen:
        return together((self, other)) if isinstance(other, Regimen) else NotImplemented

    def __repr__(self) -> str:
        return f"Regimen({describe(self.doses)})"

    def _each(self, change: Callable[[Administration], Administration]) -> Regimen:
        return replace(self, doses=tuple(map(change, self.doses)))

    def for_model(self, model: Any) -> Regimen:
        """The regimen in a model's words: each target named (the model's only dose route where none was), each amount in its unit.

        `model` is a composed model or a `Vocabulary`. Doses by body size stay so. Raises `DoseError` for a target the model does not have
        (naming the nearest) or one that must be named, `UnitError` for an amount of another kind.

        >>> from pkpd.events import bolus
        >>> from pkpd.models.classic import one_compartment_iv
        >>> bolus((0.1, "g")).for_model(one_compartment_iv)
        Regimen(100 mg into iv at 0 h)
        """
        words = _words(model)
        return self._each(lambda d: d.for_model(words))

    def for_body(self, weight: Any = None, surface: Any = None) -> Regimen:
        """The regimen for one body: doses by weight or surface become amounts, caps applied; `weight` and `surface` carry units.

        >>> from pkpd.events import bolus
        >>> bolus((5, "mg/kg")).at_most((500, "mg")).for_body(weight=(70, "kg"))
        Regimen(350 mg at 0 h)
        """
        sizes = one_body(needed_sizes(self.doses), weight, surface)
        return self._each(lambda d: d.for_body(sizes))

    def to_records(self, model: Any, id: str = "1", *, subjects: pd.DataFrame | None = None, bsa: str | None = None) -> pd.DataFrame:
        """The regimen as NONMEM-style dose records of subject `id`, or of each row of `subjects`, in hours and the model's units.

        `subjects` (column ID, else they are 1, 2, ...) carries WT (kg) and BSA (m^2) where doses count by them; `bsa="mosteller"` computes BSA from
        WT and HT (cm). Headers may name another unit, "WT [g]". Returns a DataFrame with columns ID, TIME, EVID, AMT, RATE, DUR, CMT, and
        SS, II, LAG, F where a dose has them; its units stand in `.attrs["units"]`, to be passed to `read_cohort(units=...)`. Raises as
        `for_model`, and `DoseError` for a dose by body size without that size.

        >>> from pkpd.events import bolus, infusion
        >>> from pkpd.models.classic import one_compartment_iv
        >>> infusion((0.1, "g"), over=(2, "h")).to_records(one_compartment_iv).values.tolist()
        [['1', 0.0, 1, 100.0, 50.0, 2.0, 'iv']]
        >>> people = pd.DataFrame({"ID": ["a", "b"], "WT": [60.0, 80.0]})
        >>> bolus((5, "mg/kg")).to_records(one_compartment_iv, subjects=people)["AMT"].tolist()
        [300.0, 400.0]
        """
        return records_of(self.for_model(model).doses, id, subjects, bsa)

    @classmethod
    def from_records(cls, records: Any, model: Any, *, units: Any = None) -> Regimen:
        """The doses of one subject's NONMEM-style records (a DataFrame or a csv path), in the model's units; other rows are passed over.

        ADDL is written out. `units` is as in `read_cohort`; records made by `to_records` carry theirs. Reading back is exact:
        `Regimen.from_records(r.to_records(m), m) == r.for_model(m)`. Raises `DataError` for records that are not valid, `DoseError` for
        several subjects, for resets, which no regimen has, and for a dose that one at steady state takes away at the same time.

        >>> table = pd.DataFrame({"ID": [1], "TIME [h]": [0], "AMT [mg]": [100], "CMT": ["iv"], "ADDL": [2], "II": [24]})
        >>> from pkpd.models.classic import one_compartment_iv
        >>> Regimen.from_records(table, one_compartment_iv)
        Regimen(100 mg into iv at 0, 24, 48 h)
        """
        if isinstance(records, pd.DataFrame) and records.empty:
            return cls()
        return cls(read_records(records, _words(model), units))


def together(regimens: Sequence[Regimen]) -> Regimen:
    """Regimens given together; when they are over is known where it is of each."""
    ends = [r.ends for r in regimens if r.doses]
    known = [end for end in ends if end is not None]
    return Regimen(tuple(d for r in regimens for d in r.doses), max(known) if known and len(known) == len(ends) else None)


NO_SPEED = {"duration": 0.0, "rate": 0.0, "rate_unit": ""}


@dataclass(frozen=True)
class Every:
    """A regimen to be repeated every `interval` h, once it is said how often: `bolus((100, "mg")).every((12, "h")).times(10)`."""

    regimen: Regimen
    interval: float

    def times(self, n: Any) -> Regimen:
        """The regimen given `n` times in all, the first time as it stands."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise DoseError(f"every(..., times={n!r}): a whole number of at least 1 is needed, the first dose counted.")
        doses = [_later(d, k, k * self.interval) for k in range(n) for d in self.regimen.doses]
        return Regimen(tuple(doses), self.regimen.start + n * self.interval)

    def __getattr__(self, name: str) -> Any:
        if name in dir(Regimen) and not name.startswith("_"):
            raise self._unfinished(f"every(...).{name}")
        raise AttributeError(name)

    def __add__(self, other: Any) -> Regimen:
        raise self._unfinished("every(...) + ...")

    __radd__ = __add__

    def _unfinished(self, said: str) -> DoseError:
        return DoseError(f"{said}: say how many times the doses are given first, as in every((12, 'h'), times=10).")


def _later(d: Administration, k: int, hours: float) -> Administration:
    """Repeat k of a dose: only the first is at steady state."""
    return replace(d, time=d.time + hours) if k == 0 else replace(d, time=d.time + hours, steady_state=0, interval=0.0)


def _words(model: Any) -> Vocabulary:
    words = vocabulary_of(model)
    if words is None:
        raise DoseError("A regimen needs the model it is given to, which names the dose routes and their units; got None.")
    return words
