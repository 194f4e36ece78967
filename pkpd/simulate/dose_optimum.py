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
from pkpd.simulate.dose_problem import DoseProblem, Doses, Given, Worth, bind, doses_of, measured, worth
from pkpd.simulate.people import People
from pkpd.simulate.target import COARSE, FINE

FEW, STEPS, RATE, RHO, RISE = 200, 300, 0.1, 200.0, 2.0
WIDTHS = (0.3, 0.02)
NEAR = (0.3, 0.03, 0.003)
"""How far amounts and durations are scaled together around the best end, round by round, to meet the edge of a limit or a bound."""
SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Freedom:
    """What of a regimen may change, with bounds: `amounts` (model's unit), `times` and `durations` (h) of each dose; `equal` amounts; `total` at most."""

    amounts: tuple[float, float] | None = None
    times: tuple[float, float] | None = None
    durations: tuple[float, float] | None = None
    equal: bool = False
    total: float | None = None


@dataclass(frozen=True, eq=False)
class DoseOptimum:
    """The best regimen found: expected `utility`, exact shares `outside` of limits, whether it is `feasible`, and every start in `starts`.

    `starts` has a row a start: utility, feasible, the shares outside, and amounts, times and durations of the doses.
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
        if self.freedom.total is not None:
            amount = amount * jnp.minimum(1.0, self.freedom.total / jnp.sum(amount))
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
    `equal` keeps amounts equal, `total` bounds their sum. `starts` descents begin at the regimen and at random places. Returns a `DoseOptimum`: its
    shares are exact over all people, and its amounts are scaled together to the edge of what the constraints allow. Raises `FitError` for bounds that are
    none, and durations of doses that have none.

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
    scale = max(float(np.nanstd(spread)), 1e-3 * float(np.nanmax(np.abs(spread))), 1e-12)
    ends = np.asarray(search.descend(jnp.asarray(z), scale)) if size else z
    return _judged(search, [search.doses(jnp.asarray(x)) for x in [*ends, *z[:1]]])


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
    for word, bounds in (("amounts", f.amounts), ("times", f.times), ("durations", f.durations)):
        if bounds is not None and not (len(bounds) == 2 and 0 <= bounds[0] < bounds[1] < np.inf):
            raise FitError(f"optimise_dose({word}={bounds!r}): two finite bounds, the lower one 0 or more and below the upper.")
    if f.durations is not None and (np.any(search.own.duration <= 0) or f.durations[0] <= 0):
        raise FitError(
            "optimise_dose(durations=...) needs doses given over a duration above 0, as in infusion((100, 'mg'), over=(1, 'h'))."
        )
    if f.amounts is None and f.times is None and f.durations is None:
        raise FitError("optimise_dose: nothing may change. Give amounts=(low, high), times=(low, high) or durations=(low, high).")


def _judged(search: Search, ends: Sequence[Doses]) -> DoseOptimum:
    """The best of the ends by exact shares, its amounts then scaled together to where the limits hold."""
    stacked = Doses(*(jnp.stack([jnp.broadcast_to(getattr(e, n), e.amount.shape) for e in ends]) for n in Doses._fields))
    told = _table(search, stacked)
    for radius in NEAR:
        told = pd.concat([told, _table(search, _scaled(search, told.loc[_best(told)], radius))], ignore_index=True)
    line = told.loc[_best(told)]
    regimen = _regimen(search.regimen, line)
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
    broken = told[[c for c in told if c.startswith("outside_")]].max(axis=1)
    return int(broken.idxmin()) if len(broken.dropna()) else int(told["utility"].idxmax())


def _scaled(search: Search, line: pd.Series, radius: float) -> Doses:
    """The doses of a row with all amounts, and all durations, times factors within `radius` of 1, inside the bounds."""
    f, one = search.freedom, np.ones(1)
    more, longer = (one if b is None else np.geomspace(1 - radius, 1 + radius, n) for b, n in ((f.amounts, 25), (f.durations, 9)))
    k, d = (x.ravel()[:, None] for x in np.meshgrid(more, longer))
    amount, time, lasting = (np.asarray(line[n], float) for n in Doses._fields)
    amounts = amount * k if f.amounts is None else np.clip(amount * k, *f.amounts)
    if f.total is not None:
        amounts = amounts * np.minimum(1.0, f.total / amounts.sum(1, keepdims=True))
    durations = lasting * d if f.durations is None else np.clip(lasting * d, *f.durations)
    return Doses(jnp.asarray(amounts), jnp.asarray(np.broadcast_to(time, amounts.shape)), jnp.asarray(durations))


def _table(search: Search, doses: Doses) -> pd.DataFrame:
    found = search.exact(doses)
    utility = np.asarray(found.by_draw) @ search.problem.people.weights
    outside = {n: np.asarray(x) for n, x in found.outside.items()}
    good = np.isfinite(utility)
    for n, p in search.problem.limits.items():
        good &= outside[n] <= p + SLACK
    lines: dict[str, Any] = {"utility": utility, "feasible": good, **{f"outside_{n}": x for n, x in outside.items()}}
    lines |= {n: list(np.asarray(x)) for n, x in doses._asdict().items()}
    return pd.DataFrame(lines)


def _regimen(regimen: Regimen, line: pd.Series) -> Regimen:
    """The regimen with the chosen numbers, rounded to nine digits."""
    digits = lambda x: float(f"{float(x):.9g}")  # noqa: E731
    doses = []
    for d, amount, time, duration in zip(regimen.doses, line["amount"], line["time"], line["duration"], strict=True):
        changed = replace(d, amount=digits(amount), time=digits(time))
        doses.append(replace(changed, duration=digits(duration)) if d.shape == "duration" else changed)
    return Regimen(tuple(doses))


def _sentence(search: Search, regimen: Regimen, line: pd.Series, outside: Mapping[str, float]) -> str:
    told = repr(regimen).removeprefix("Regimen(").removesuffix(")")
    shares = "; ".join(f"{search.problem.measures[n].words} outside its limits in {100 * x:.1f} %" for n, x in outside.items())
    text = f"{told}: expected utility {line['utility']:.4g} {search.problem.unit}" + (f"; {shares}." if shares else ".")
    return text if line["feasible"] else f"NOT FEASIBLE: no start kept the limits. The best of them: {text}"
