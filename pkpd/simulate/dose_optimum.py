"""`optimise_dose`: amounts, times and durations with the largest expected utility under chance constraints, by gradient from many starts.

    max_a E[u(g(a, theta))]   with   P(g_j(a, theta) outside its limits) <= p_j

Every variable lies between its bounds by a logistic map. A step of Adam goes down -E[u] / scale + sum_j lambda_j c_j + rho c_j+^2 / 2, c_j = P_j - p_j with
steps smoothed by a width that shrinks, and lambda_j rises where the constraint is broken. What is found is judged by the exact shares over all people.
Source: Kingma & Ba 2015 (arXiv:1412.6980); Nocedal & Wright 2006, chapter 17 (augmented Lagrangian).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.simulate.dose_freedom import Freedom, refuse_unscalable
from pkpd.simulate.dose_problem import DoseProblem, Doses, Given, Worth, bind, doses_of, measured, worth
from pkpd.simulate.patient_looks import refuse_early
from pkpd.simulate.people import People
from pkpd.simulate.target import COARSE, FINE

FEW, STEPS, RATE, RHO, RISE = 200, 300, 0.1, 200.0, 2.0
WIDTHS = (0.3, 0.02)
NEAR = (0.3, 0.03, 0.003)
"""How far amounts and durations are scaled together around the best end, round by round, to meet the edge of a limit or a bound."""
SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class DoseOptimum:
    """The best `regimen` found (amounts in the model's unit): expected `utility`, exact shares `outside` of limits, whether it is `feasible`.

    `starts` has a row for each regimen looked at exactly (where descents ended, the one given, those scaled around the best): utility, feasible, the shares
    outside, failed (share of subjects without a finite value), and amounts (model's unit), times and durations (h) of the doses.
    """

    regimen: Regimen
    utility: float
    unit: str
    outside: Mapping[str, float]
    feasible: bool
    starts: pd.DataFrame
    sentence: str


@dataclass(frozen=True, eq=False)
class Search:
    """A problem, a regimen and its freedom as a function of a vector z [Z]."""

    problem: DoseProblem
    regimen: Regimen
    freedom: Freedom

    @cached_property
    def given(self) -> Given:
        given = bind(self.problem, self.regimen)
        _ = given.room.chosen
        return given

    @cached_property
    def own(self) -> Doses:
        return doses_of(self.given)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Variables for amounts, times, durations."""
        n, f = len(self.own.amount), self.freedom
        return (0 if f.amounts is None else 1 if f.equal else n), n * (f.times is not None), n * (f.durations is not None)

    def doses(self, z: Any) -> Doses:
        """z to doses, each between its bounds."""
        a, t, d = self.sizes
        between = lambda x, bounds: bounds[0] + (bounds[1] - bounds[0]) / (1.0 + jnp.exp(-x))  # noqa: E731
        amount, time, duration = (jnp.asarray(x, float) for x in self.own)
        if self.freedom.amounts is not None:
            amount = jnp.broadcast_to(between(z[:a], self.freedom.amounts), amount.shape)
        amount = self.freedom.within_total(amount)
        if self.freedom.times is not None:
            time = jnp.sort(between(z[a : a + t], self.freedom.times))
        if self.freedom.durations is not None:
            duration = between(z[a + t : a + t + d], self.freedom.durations)
        return Doses(amount, time, duration)

    def worth(self, doses: Doses, people: People, smooth: Any = None, nodes: Any = FINE) -> Worth:
        theta = {n: jnp.asarray(x) for n, x in people.theta.items()}
        return worth(self.problem, measured(self.problem, self.given, doses, theta, nodes), people, smooth)

    def expected(self, z: Any, people: People, smooth: Any = None, nodes: Any = COARSE) -> tuple[Any, Any]:
        """Expected utility, and how far each share lies above its limit [J]; traceable."""
        found = self.worth(self.doses(z), people, smooth, nodes)
        over = [found.outside[n] - p for n, p in self.problem.limits.items()]
        return jnp.sum(jnp.asarray(people.weights) * found.by_draw), jnp.stack(over) if over else jnp.zeros(0)

    @cached_property
    def descend(self) -> Callable[..., Any]:
        """`descend(z, scale)` [Z] -> z after all steps, compiled; vectorised over starts."""
        people, adam = self.problem.people.few(FEW), optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

        def loss(z: Any, weight: Any, width: Any, scale: Any) -> tuple[Any, Any]:
            value, over = self.expected(z, people, width)
            return -value / scale + jnp.sum(weight * over) + 0.5 * RHO * jnp.sum(jnp.maximum(over, 0.0) ** 2), over

        def step(carry: Any, width: Any) -> tuple[Any, None]:
            z, state, weight, scale = carry
            gradient, over = jax.grad(loss, has_aux=True)(z, weight, width, scale)
            gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
            move, state = adam.update(gradient, state)
            return (z + move, state, jnp.maximum(0.0, weight + RISE * over), scale), None

        def run(z: Any, scale: Any) -> Any:
            first = (z, adam.init(z), jnp.zeros(len(self.problem.limits)), scale)
            return jax.lax.scan(step, first, jnp.geomspace(*WIDTHS, STEPS))[0][0]

        return jax.jit(lambda z, scale: jax.lax.map(lambda x: run(x, scale), z))

    @cached_property
    def exact(self) -> Callable[..., Worth]:
        """Worth of doses [S, n] over all people, steps exact, looks fine; compiled."""
        return jax.jit(lambda doses: jax.lax.map(lambda d: self.worth(Doses(*d), self.problem.people), tuple(doses)))


def optimise_dose(
    problem: DoseProblem,
    regimens: Regimen | Sequence[Regimen],
    *,
    amounts: tuple[float, float] | None = None,
    times: tuple[float, float] | None = None,
    durations: tuple[float, float] | None = None,
    equal: bool = False,
    total: float | None = None,
    starts: int = 6,
    seed: int = 1,
) -> DoseOptimum:
    """The amounts, times and durations of a regimen's doses with the largest expected utility that keeps the problem's chance constraints.

    `regimens` gives the doses to begin with; several of them (one, two, three fractions, say) are optimised each, and the best is kept: that is how a
    number of fractions is chosen. `amounts=(low, high)` in the model's unit, `times` and `durations` in h bound what may change of every dose (None: as it is);
    `equal` keeps amounts equal, `total` bounds their sum. `starts` descents begin at the regimen, drawn into the bounds, and at random places; the regimen
    itself is a candidate where it lies within the bounds. Returns a `DoseOptimum`: its shares are exact over all people, its amounts are scaled together to
    the edge of what the constraints allow, and its sentence says where a bound was met. Doses by body size come back as amounts for that body. Raises
    `FitError` for bounds that are none, doses with a cap, durations of doses that have none, and times before a patient's last record.

    >>> optimise_dose(problem, infusion((100, "mg"), over=(1, "h")), amounts=(10.0, 500.0), durations=(0.5, 6.0)).sentence   # doctest: +SKIP
    """
    freedom = Freedom(amounts, times, durations, equal, total)
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise FitError(f"optimise_dose(starts={starts!r}): a whole number of at least 1 is needed.")
    several = [regimens] if isinstance(regimens, Regimen) else list(regimens)
    found = [_one(Search(problem, r, freedom), starts, seed) for r in several]
    return max(found, key=lambda x: (x.feasible, x.utility))


def _one(search: Search, starts: int, seed: int) -> DoseOptimum:
    _check(search)
    size = sum(search.sizes)
    z = _begin(search, starts, seed)
    spread = np.array([float(search.expected(jnp.asarray(x), search.problem.people.few(FEW), WIDTHS[0])[0]) for x in z])
    spread = spread[np.isfinite(spread)] if np.isfinite(spread).any() else np.ones(1)  # where none is, the exact look says so
    scale = max(float(np.std(spread)), 1e-3 * float(np.max(np.abs(spread))), 1e-12)
    ends = np.asarray(search.descend(jnp.asarray(z), scale)) if size else z
    given = [] if search.freedom.outside(search.own) else [search.own]
    return _judged(search, [*given, *(search.doses(jnp.asarray(x)) for x in [*ends, *z[:1]])])


def _begin(search: Search, starts: int, seed: int) -> np.ndarray:
    """z of the regimen itself, drawn into the bounds, and random ones."""
    f, (a, _, _) = search.freedom, search.sizes
    parts = []
    for x, bounds, one in (
        (search.own.amount, f.amounts, a == 1),
        (search.own.time, f.times, False),
        (search.own.duration, f.durations, False),
    ):
        if bounds is not None:
            share = np.clip((np.asarray(x, float) - bounds[0]) / (bounds[1] - bounds[0]), 0.02, 0.98)
            parts.append(np.log(share / (1 - share))[: 1 if one else None])
    own = np.concatenate([*parts, np.zeros(0)])
    more = 1.5 * np.asarray(jax.random.normal(jax.random.key(seed), (starts - 1, len(own))))
    return np.concatenate([own[None], more])


def _check(search: Search) -> None:
    f = search.freedom
    f.check(len(search.own.amount))
    if f.durations is not None and (np.any(search.own.duration <= 0) or f.durations[0] <= 0):
        raise FitError(
            "optimise_dose(durations=...) needs doses given over a duration above 0, as in infusion((100, 'mg'), over=(1, 'h'))."
        )
    if f.amounts is not None:
        refuse_unscalable(search.regimen, "optimise_dose(amounts=...)")
    patient = search.problem.people.patient
    if f.times is not None and patient is not None:
        refuse_early(patient, f.times[0], f"optimise_dose(times={f.times!r}) may put a dose", "give a later first time")


def _judged(search: Search, ends: Sequence[Doses]) -> DoseOptimum:
    """The best of the ends by exact shares, its amounts then scaled together to where the limits hold."""
    stacked = Doses(
        *(jnp.stack([jnp.broadcast_to(jnp.asarray(getattr(e, n), float), e.amount.shape) for e in ends]) for n in Doses._fields)
    )
    told = _table(search, stacked)
    if not np.isfinite(told["utility"]).any():
        told = search.problem.failing(float(told["failed"].min()))
        raise FitError(f"optimise_dose: no regimen looked at has a finite utility ({told}). Check the utility, the bounds and the solver.")
    for radius in NEAR:
        told = pd.concat([told, _table(search, _scaled(search, told.loc[_best(told)], radius))], ignore_index=True)
    line = told.loc[_best(told)]
    regimen = _regimen(search, line)
    outside = {n: float(line[f"outside_{n}"]) for n in search.problem.limits}
    return DoseOptimum(
        regimen,
        float(line["utility"]),
        search.problem.unit,
        outside,
        bool(line["feasible"]),
        told,
        _sentence(search, regimen, line, outside),
    )


def _best(told: pd.DataFrame) -> int:
    """The row with the largest utility of those that keep the limits; where none does, of those that break them least."""
    if told["feasible"].any():
        return int(told.loc[told["feasible"], "utility"].idxmax())
    told = told[np.isfinite(told["utility"])]
    broken = told[[c for c in told if c.startswith("outside_")]].max(axis=1)
    return int(broken.idxmin()) if len(broken.dropna()) else int(told["utility"].idxmax())


def _scaled(search: Search, line: pd.Series, radius: float) -> Doses:
    """The doses of a row with all amounts, and all durations, times factors within `radius` of 1, inside the bounds."""
    f, one = search.freedom, np.ones(1)
    more, longer = (one if b is None else np.geomspace(1 - radius, 1 + radius, n) for b, n in ((f.amounts, 25), (f.durations, 9)))
    k, d = (x.ravel()[:, None] for x in np.meshgrid(more, longer))
    amount, time, lasting = (np.asarray(line[n], float) for n in Doses._fields)
    amounts = amount * k if f.amounts is None else np.clip(amount * k, *f.amounts)
    amounts = np.asarray(f.within_total(amounts))
    durations = lasting * d if f.durations is None else np.clip(lasting * d, *f.durations)
    return Doses(jnp.asarray(amounts), jnp.asarray(np.broadcast_to(time, amounts.shape)), jnp.asarray(durations))


def _table(search: Search, doses: Doses) -> pd.DataFrame:
    doses = Doses(*(jnp.asarray(_digits(x)) for x in doses))  # as they are given back
    found = search.exact(doses)
    utility = np.asarray(found.by_draw) @ search.problem.people.weights
    outside = {n: np.asarray(x) for n, x in found.outside.items()}
    good = np.isfinite(utility)
    for n, p in search.problem.limits.items():
        good &= outside[n] <= p + SLACK
    lines: dict[str, Any] = {
        "utility": utility,
        "feasible": good,
        **{f"outside_{n}": x for n, x in outside.items()},
        "failed": np.asarray(found.failed),
    }
    lines |= {n: list(np.asarray(x)) for n, x in doses._asdict().items()}
    return pd.DataFrame(lines)


def _digits(x: Any) -> np.ndarray:
    """Rounded to nine digits, which a person can copy."""
    return np.vectorize(lambda v: float(f"{float(v):.9g}"), otypes=[float])(np.asarray(x))


def _regimen(search: Search, line: pd.Series) -> Regimen:
    """The regimen with the chosen numbers, in the model's units; doses by body size are amounts now."""
    named = any(d.target is not None for d in search.regimen.doses)
    values = np.asarray(search.given.records.doses["value"])[search.given.at, 0]
    chosen = zip(*(np.asarray(line[n], float).tolist() for n in Doses._fields), values.tolist(), strict=True)
    doses = []
    for d, (amount, time, lasts, value) in zip(search.regimen.for_model(search.problem.people.prior.model).doses, chosen, strict=True):
        plain = replace(d, amount=amount, unit=d.record_unit, time=time, at_most=None, target=d.target if named else None)
        plain = replace(plain, rate=value, rate_unit=d.record_unit) if d.shape == "rate" else plain
        doses.append(replace(plain, duration=lasts) if d.shape == "duration" else plain)
    return Regimen(tuple(doses))


def _sentence(search: Search, regimen: Regimen, line: pd.Series, outside: Mapping[str, float]) -> str:
    told = repr(regimen).removeprefix("Regimen(").removesuffix(")")
    shares = "; ".join(f"{search.problem.measures[n].words} outside its limits in {100 * x:.1f} %" for n, x in outside.items())
    text = f"{told}: expected utility {line['utility']:.4g} {search.problem.unit}" + (f"; {shares}." if shares else ".")
    edges = search.freedom.at_edge({f"{n}s": line[n] for n in Doses._fields})
    text += f" It ends at the edge of what may change ({', '.join(edges)}): other bounds may do better." if edges else ""
    odd = search.freedom.outside(search.own)
    text += f" The regimen given lies outside the bounds ({', '.join(odd)}) and was no candidate." if odd else ""
    text += search.problem.people.caution
    return text if line["feasible"] else f"NOT FEASIBLE: no start kept the limits. The best of them: {text}"
