"""`find_modes`: descents from many starts, and the distinct modes they end in."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.as_fit import checked
from pkpd.approximate.bfgs import Descent, minimise
from pkpd.approximate.compiled import solver_of
from pkpd.approximate.distinct import SHOWN, differing, grouped, symmetry
from pkpd.approximate.laplace import root_of, surface_of
from pkpd.approximate.mode import REASONS
from pkpd.approximate.paths import SHRINK
from pkpd.approximate.posterior_surface import PosteriorSurface
from pkpd.approximate.starts import scattered
from pkpd.approximate.target import Integrated
from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.solve.choose import waiting

log = logging.getLogger("pkpd")
ENOUGH, MOST = 1e-6, 300


@dataclass(frozen=True, eq=False)
class Modes:
    """The distinct modes of a posterior with random effects integrated out; `verdict` says how many there are and in what they differ.

    `table` has a line a mode, the highest first: how many `starts` ended there, `log_posterior` (up to one constant, in unconstrained coordinates), `share`
    of the posterior mass around it by its normal approximation, `differs` (parameters 2 sd and more from the first mode), `note` (a symmetry with the
    first mode; a direction without curvature), and the value of each population parameter. `starts` has a line a start: how often it was moved
    in, steps, the mode it ended in (0: none) and what went wrong.
    """

    name: str
    table: pd.DataFrame
    starts: pd.DataFrame

    @property
    def verdict(self) -> str:
        """One sentence on the modes, and one on starts that failed."""
        n, total = len(self.table), len(self.starts)
        lost = self.starts[self.starts["mode"] == 0]
        first = self.table.iloc[0]
        said = f"One mode: {first['starts']} of {total} starts end in it." if n == 1 else f"{n} modes from {total} starts. {self._listed()}"
        failed = "".join(f" Start {i} found none: {row['reason']}." for i, row in lost.iterrows())
        return said + failed

    def _listed(self) -> str:
        told = []
        for i, row in self.table.iterrows():
            ends = f"{row['starts']} start{'s' if row['starts'] > 1 else ''}"
            apart = f"differs in {row['differs']}" if row["differs"] else ""
            more = "; ".join(x for x in (apart, row["note"]) if x)
            told.append(f"Mode {i}: {100 * row['share']:.2g} % of the mass, {ends}{'; ' + more if more else ''}.")
        return " ".join(told)

    def __str__(self) -> str:
        return f"{self.verdict}\n\n{self.table.T.to_string(float_format=lambda x: f'{x:.4g}')}"


def find_modes(problem: FitProblem, *, seed: Any, starts: int = 8) -> Modes:
    """Distinct modes of the posterior: descents from the prior medians and from `starts` - 1 draws of the prior, random effects integrated out.

        minimise -log p(z) - sum_i log of integral p(y_i | z, u_i) N(u_i; 0, 1) du_i over the unconstrained values z of the population

    Later starts are draws from the prior, at most a factor of 7 from its medians on the log scale, moved half way to them while a subject cannot be solved.
    Two ends are one mode where they lie within one sd of the law around the lower one. `seed` is required and repeats the starts. Returns `Modes`.
    Raises `FitError` where no start has a density (naming subjects), and for what `laplace` does not take.

    >>> print(find_modes(problem, seed=1))                                                 # doctest: +SKIP
    """
    checked("find_modes", seed=seed, starts=starts)
    problem = replace(problem, solver=waiting(problem.solver))
    surface = surface_of(problem)
    target = Integrated(surface)
    places = [target.centre, *scattered(surface.marginal.rows.values, starts, jax.random.PRNGKey(seed))[1:]]
    found = [_descended(target, z) for z in places]
    for i, (at, _, reason) in enumerate(found, 1):
        log.info("start %d: %s", i, reason or f"-log posterior {at.value:.3f} after {at.evaluations} evaluations")
    good = [i for i, (_, _, reason) in enumerate(found) if not reason]
    if not good:
        raise FitError(
            f"{problem.name}: no start found a mode. Start 1: {found[0][2]}. Look at pkpd.prior_check, or give other prior medians."
        )
    ends = [found[i][0] for i in good]
    curvatures = [surface.curvature(at.z, at.carried) for at in ends]
    modes = [[good[k] for k in group] for group in grouped([e.z for e in ends], [e.value for e in ends], [root_of(c) for c in curvatures])]
    shape = {i: c for i, c in zip(good, curvatures, strict=True)}
    return Modes(
        problem.name,
        _table(surface, [found[m[0]][0] for m in modes], [shape[m[0]] for m in modes], [len(m) for m in modes]),
        _starts(found, modes),
    )


def _descended(target: Integrated, z: np.ndarray) -> tuple[Descent, int, str]:
    """Where a descent ended, how often its start was moved in, and what went wrong (empty where nothing did)."""
    moved = 0
    value, gradient, carried = target.evaluate(z)
    while not np.isfinite(value) and moved < SHRINK:
        z, moved = 0.5 * (z + target.centre), moved + 1
        value, gradient, carried = target.evaluate(z)
    if not np.isfinite(value):
        return Descent(z, value, gradient, np.eye(len(z)), carried, moved + 1), moved, _lost(target.surface, z)
    at = minimise(target.evaluate, z, target.begin(), ENOUGH, MOST, log.debug)
    left = 0.5 * float(at.gradient @ at.inverse @ at.gradient)
    return at, moved, "" if left < 1e-3 else f"stopped after {at.evaluations} evaluations where a Newton step would still gain {left:.2g}"


def _lost(surface: PosteriorSurface, z: np.ndarray) -> str:
    """Subjects without a likelihood at z, in words."""
    rows = surface.marginal.rows
    population = rows.values.constrained(jnp.asarray(z))
    solved = solver_of(surface.marginal)(population, jnp.zeros(rows.shape))
    bad = np.flatnonzero(~np.isfinite(np.asarray(solved.objective)))
    status = np.asarray(solved.mode.status)
    who = [f"subject {rows.problem.cohort.subjects[i]} ({REASONS[int(status[i])]})" for i in bad[:3]]
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    at = ", ".join(f"{n} {float(v):.3g}" for n, v in rows.values.named(population).items() if n in rows.problem.population.estimated)
    return f"no density at {at}: {', '.join(who)}{more}" if len(bad) else f"the prior has no density at {at}"


def _table(surface: PosteriorSurface, modes: list[Descent], curvatures: list[np.ndarray], counts: list[int]) -> pd.DataFrame:
    rows = surface.marginal.rows
    named = lambda z: rows.values.named(rows.values.constrained(z))  # noqa: E731
    values = [{n: float(v) for n, v in named(jnp.asarray(m.z)).items()} for m in modes]
    roots = [root_of(c) for c in curvatures]
    mass = np.array([-m.value + np.linalg.slogdet(r)[1] for m, r in zip(modes, roots, strict=True)])
    slopes = jax.jacfwd(lambda z: jnp.stack([jnp.asarray(v) for v in named(z).values()]))(jnp.asarray(modes[0].z))
    sds = dict(zip(values[0], np.linalg.norm(np.asarray(slopes) @ roots[0], axis=1), strict=True))
    units = {n: rows.problem.site_unit(n) for n in values[0]}
    lines = []
    for i, mode in enumerate(modes):
        far = differing(values[0], values[i], sds) if i else []
        more = f" and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
        flat = "" if np.all(np.linalg.eigvalsh(curvatures[i]) > 0) else "no mode in every direction: a saddle or a flat place"
        note = "; ".join(x for x in (symmetry(values[0], values[i], units) if i else "", flat) if x)
        lines.append(
            {"starts": counts[i], "log_posterior": -mode.value, "differs": ", ".join(far[:SHOWN]) + more, "note": note, **values[i]}
        )
    table = pd.DataFrame(lines, index=pd.Index(range(1, len(modes) + 1), name="mode"))
    table.insert(2, "share", np.exp(mass - np.logaddexp.reduce(mass)))
    return table


def _starts(found: list[tuple[Descent, int, str]], modes: list[list[int]]) -> pd.DataFrame:
    home = {i: k for k, group in enumerate(modes, 1) for i in group}
    lines = [(moved, at.evaluations, home.get(i, 0), reason) for i, (at, moved, reason) in enumerate(found)]
    return pd.DataFrame(lines, columns=["moved", "evaluations", "mode", "reason"], index=pd.Index(range(1, len(found) + 1), name="start"))
