"""Weighed draws of an approximation as a fit: the same value, tables, plots and report as of NUTS, with a verdict that says what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.importance import Weights, importance_weights, resampled
from pkpd.errors import FitError
from pkpd.inference.approximated import Approximation
from pkpd.inference.assemble import assemble
from pkpd.inference.fit import Fit
from pkpd.inference.geometry import Geometry
from pkpd.inference.prior_check import checked_prior, tell
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.inference.sample import Draws
from pkpd.inference.space import Space

MOVES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Draws of an approximation: z [S, D] in the sampler's coordinates under centring `weights`, and log exact - log approximate density [S]."""

    method: str
    z: np.ndarray
    log_ratio: np.ndarray
    centring: Mapping[str, Any]
    settings: dict[str, Any]
    told: tuple[str, ...] = ()
    warned: tuple[tuple[str, str, str], ...] = field(default=())


def checked(verb: str, **asked: Any) -> None:
    """Refuse what no approximation takes: a seed that is no whole number, counts below one, single precision."""
    if not jax.config.jax_enable_x64:
        raise FitError(
            f"{verb} needs float64: call jax.config.update('jax_enable_x64', True) before any array is made, or set JAX_ENABLE_X64=1."
        )
    for name, value in asked.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if name == "seed" and not whole:
            raise FitError(f"{verb}(..., seed={value!r}): a whole number is needed; it is stored with the fit and repeats it.")
        if name != "seed" and not (whole and value >= 1):
            raise FitError(f"{verb}(..., {name}={value!r}): a whole number of at least 1 is needed.")


def opened(problem: FitProblem) -> Space:
    """The problem's coordinates, with all that they cache: what is first asked for while a function is traced would leak from it."""
    space = Space(problem)
    space.labels()
    return space


def as_fit(space: Space, proposal: Proposal, draws: int, seed: int) -> Fit:
    """Weigh the draws, draw `draws` of them anew with equal weight, label and judge them."""
    weights = importance_weights(proposal.log_ratio)
    index = resampled(weights.weight, draws, jax.random.PRNGKey(seed + 3))
    approximation = Approximation(
        proposal.method,
        len(proposal.z),
        draws,
        weights.failed,
        weights.pareto_k,
        weights.ess,
        _moved(space, proposal.z, weights),
        {"method": proposal.method, "draws": draws, **proposal.settings},
        proposal.told,
        proposal.warned,
    )
    geometry = Geometry(jnp.asarray(proposal.z[index[0]]), None, dict(proposal.centring), float("nan"), None)
    stats = {"log_ratio": proposal.log_ratio[index][None]}
    tree = assemble(
        space, geometry, Draws(proposal.z[index][None], stats, np.zeros(0), 0, False), Sampler(quality="draft"), seed, approximation
    )
    tree.attrs["prior_check"] = tell(checked_prior(space.problem, seed)).to_json()
    return Fit(tree, space.problem)


def _moved(space: Space, z: np.ndarray, weights: Weights) -> tuple[str, float]:
    """The single-number site whose median the weights move most, in its robust posterior sd."""
    names = [n for n in space.problem.population_sites if n in space.latent]
    values = each(lambda x: {n: v for n, v in space.constrain(x).items() if n in names}, z)
    found = ("nothing", 0.0)
    for name in names:
        x = values[name]
        before, (low, after, high) = np.quantile(x, 0.5), np.quantile(x, MOVES, weights=weights.weight, method="inverted_cdf")
        shift = float((after - before) / max((high - low) / 1.349, 1e-300))
        found = (name, shift) if abs(shift) > abs(found[1]) else found
    return found


def each(function: Callable, values: Any) -> Any:
    """`function` of every entry along the first axis of arrays, compiled once; for what is no solve."""
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(function))(jax.tree.map(jnp.asarray, values)))
