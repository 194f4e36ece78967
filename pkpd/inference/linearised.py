"""A fit problem made linear in its random effects at the prior medians: what the information of its design is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.inference.cohort_model import sds_from
from pkpd.inference.predictive import Predictive
from pkpd.inference.problem import FitProblem
from pkpd.inference.space import Space
from pkpd.model.predict import failed_subjects
from pkpd.noise import ResidualError
from pkpd.solve import Solver

EFFECTS = {"raw_occ_": "gamma_", "raw_": "omega_"}
FINE = Solver(rtol=1e-8, atol=1e-12, mesh_growth=0.1, max_steps=4 * Solver().max_steps)
"""A design may look rarely and late, and its information is one of logarithms: the relative error of a tail counts as that of a peak does."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """Sd of each row [rows] at the prior medians and random effects of zero, and derivatives there.

    `mean` [rows] by typical value or covariate coefficient, in ln of positive ones (`logs`); `random` lists, by spread (`omega_CL`), the derivatives
    [rows] in its standard normal effects, each row's in those of its own subject; `spread` [rows] is the derivative of the sd in ln of a residual sd.
    `held` names sites that are left at their medians, `rows` are positions among the scored rows, `values` the medians. `copies` [subjects] says how many
    patients each subject stands for.
    """

    rows: np.ndarray
    subject: np.ndarray
    observable: np.ndarray
    sd: np.ndarray
    mean: dict[str, np.ndarray]
    logs: dict[str, bool]
    random: dict[str, list[np.ndarray]]
    spread: dict[str, np.ndarray]
    values: dict[str, float]
    held: tuple[str, ...]
    left_out: tuple[str, ...]
    copies: np.ndarray


def linearised(problem: FitProblem, copies: Sequence[int] | None = None) -> Linearised:
    """Exact derivatives by forward mode; rows below or above a limit, and observables without a plain residual error, are left out.

    The solver is at least as fine as `FINE`, whatever the problem's own.
    """
    if problem.population.mixture is not None:
        raise FitError(
            f"{problem.name}: identify looks at one kind of subject, and this population has subpopulations. Leave `mixture` out of it."
        )
    problem = replace(problem, solver=fine(problem.solver))
    space = Space(problem)
    z, moves = jnp.asarray(space.start({})), moves_of(space)
    if not moves:
        raise FitError(f"{problem.name}: every parameter is held as if known, so there is nothing that data could tell. Give one a prior.")
    basis = jnp.asarray(np.stack([tangent for _, tangent in moves]))
    basis = jnp.pad(basis, ((0, -len(moves) % 8), (0, 0)))  # whole batches: a remainder would be compiled a second time
    rows = lambda x: expected_rows(problem, space.constrain(x))  # noqa: E731
    mean, sd = (np.asarray(x) for x in jax.jit(rows)(z))
    check_solved(problem, mean)
    found = jax.jit(lambda t: jax.lax.map(lambda v: jax.jvp(rows, (z,), (v,))[1], t, batch_size=8))(basis)
    d_mean, d_sd = (np.asarray(x)[: len(moves)] for x in found)
    made = _sorted(problem, space, z, [name for name, _ in moves], sd, d_mean, d_sd)
    return made if copies is None else replace(made, copies=np.asarray(copies, int))


def fine(solver: Solver) -> Solver:
    """At least as fine as `FINE`.

    >>> fine(Solver(rtol=1e-10)).rtol, fine(Solver()).mesh_growth
    (1e-10, 0.1)
    """
    least = {n: min(getattr(solver, n), getattr(FINE, n)) for n in ("rtol", "atol", "mesh_growth")}
    return replace(solver, **least, max_steps=max(solver.max_steps, FINE.max_steps))


def expected_rows(problem: FitProblem, sites: Mapping[str, Any]) -> tuple[Any, Any]:
    """Mean and sd [rows] on the scale where the residual is normal; ones where the observation is no plain residual error."""
    f = problem.predictor(Predictive(problem, {}).individual(sites))[problem.rows.index]
    sds, mean, sd = sds_from(problem, sites), jnp.zeros_like(f), jnp.ones_like(f)
    for i, o in enumerate(problem.observed_names):
        error: Any = problem.observations[o]
        if isinstance(error, ResidualError):
            here = problem.rows.observable == i
            m, s = error.mean_sd(jnp.where(here, f, 1.0), sds[o])
            mean, sd = jnp.where(here, m, mean), jnp.where(here, s, sd)
    return mean, sd


def moves_of(space: Space) -> list[tuple[str, np.ndarray]]:
    """(site, tangent [D]): one for each number of a population site, and one for each random effect, in all subjects at once."""
    labels = np.array(space.labels(), object)
    place = {n: np.asarray(x, int) for n, x in space.unconstrained(jnp.arange(len(labels))).items()}
    found, population = [], space.problem.population
    for name, at in place.items():
        if name.startswith(("raw_across_", "chol_", "missing_", "local_")):
            continue
        if not name.startswith("raw_"):
            found.append((name, _tangent(len(labels), at)))
            continue
        columns = at.reshape(len(space.problem.cohort.subjects), -1).T
        own = next((g.names for g in population.correlation if name == f"raw_{'_'.join(g.names)}"), None)
        word = next(w for w in EFFECTS if name.startswith(w))
        spread = [f"omega_{n}" for n in own] if own else [EFFECTS[word] + name.removeprefix(word)] * len(columns)
        found += [(f"effect:{s}", _tangent(len(labels), column)) for s, column in zip(spread, columns, strict=True)]
    return found


def _tangent(size: int, at: Any) -> np.ndarray:
    tangent = np.zeros(size)
    tangent[np.ravel(at)] = 1.0
    return tangent


def _sorted(
    problem: FitProblem, space: Space, z: Any, names: list[str], sd: np.ndarray, d_mean: np.ndarray, d_sd: np.ndarray
) -> Linearised:
    plain = [i for i, o in enumerate(problem.observed_names) if isinstance(problem.observations[o], ResidualError)]
    rows = np.flatnonzero((problem.rows.cens == 0) & np.isin(problem.rows.observable, plain))
    sites, lean = space.constrain(z), site_slopes(space, z)
    typical = sorted((n for n in names if is_typical(problem, n)), key=problem.population_sites.index)
    _check_slopes(problem, rows, [(n, d_mean[i][rows]) for i, n in enumerate(names) if n in typical or n.startswith("effect:")])
    logs = {n: is_positive(problem.prior_of(n)) for n in typical}
    sigmas = {i: problem.observations[o].sites(o) for i, o in enumerate(problem.observed_names)}
    at = {n: i for i, n in enumerate(names) if not n.startswith("effect:")}
    spreads = dict.fromkeys(n.removeprefix("effect:") for n in names if n.startswith("effect:"))
    known = {*typical, *spreads, *(s for sites in sigmas.values() for s in sites)}
    subject = problem.cohort.observations["subject"].to_numpy(int)[problem.rows.index]
    return Linearised(
        rows,
        subject[rows],
        problem.rows.observable[rows],
        sd[rows],
        {n: d_mean[at[n]][rows] / (lean[n] / float(sites[n]) if logs[n] else lean[n]) for n in typical},
        logs,
        {s: [d_mean[i][rows] for i, n in enumerate(names) if n == f"effect:{s}"] for s in spreads},
        {s: d_sd[at[s]][rows] for i in plain for s in sigmas[i] if s in at},
        {n: float(sites[n]) for n in at if np.ndim(sites[n]) == 0},
        tuple(n for n in (*at, *(n for n in space.latent if n.startswith(("raw_across_", "chol_", "missing_")))) if n not in known),
        tuple(o for i, o in enumerate(problem.observed_names) if i not in plain),
        np.ones(len(problem.cohort.subjects), int),
    )


def is_typical(problem: FitProblem, name: str) -> bool:
    """Typical values and covariate coefficients with a prior of their own."""
    return name in problem.population.estimated or (name.startswith("beta_") and isinstance(problem.prior_of(name), Distribution))


def is_positive(prior: Distribution) -> bool:
    support: Any = prior.support
    low = getattr(support, "lower_bound", 0.0 if type(support).__name__ in ("_Positive", "_UnitInterval") else -1.0)
    return bool(np.all(np.asarray(low) >= 0.0))


def site_slopes(space: Space, z: Any) -> dict[str, float]:
    """d site / d coordinate of each scalar site at z."""
    ones = jnp.ones_like(z)
    found = jax.jvp(space.constrain, (z,), (ones,))[1]
    return {n: float(v) for n, v in found.items() if np.ndim(v) == 0}


def check_solved(problem: FitProblem, mean: np.ndarray) -> None:
    """Raise `FitError` where a row has no prediction at the medians."""
    if np.isfinite(mean).all():
        return
    failed = failed_subjects(problem.predictor.solve(problem.predictor.at)[0], problem.cohort.subjects)
    reasons = "".join(f" Subject {s}: {r}." for s, r in failed[:3])
    raise FitError(f"{problem.name}: at the prior medians not every row can be predicted, so the design has no information there.{reasons}")


def _check_slopes(problem: FitProblem, rows: np.ndarray, slopes: Sequence[tuple[str, np.ndarray]]) -> None:
    """Raise `FitError` where a row has a prediction at the medians, and no derivative."""
    lost = [(n, np.flatnonzero(~np.isfinite(x))) for n, x in slopes]
    names = list(dict.fromkeys(n.removeprefix("effect:") for n, at in lost if len(at)))
    if not names:
        return
    first = min(at[0] for _, at in lost if len(at))
    look = problem.cohort.observations.iloc[problem.rows.index[rows[first]]]
    where = f"of {look['observable']} for subject {problem.cohort.subjects[int(look['subject'])]} at {look['time']:g} h"
    raise FitError(
        f"{problem.name}: at the prior medians the prediction {where} has no derivative in {', '.join(names)}, so the design has no information there. "
        "Look at another time, hold it, or move the medians away from where the model has a corner or a power of 0."
    )
