"""Random effects apart from the sampler's coordinates: what was drawn, under which law, and the same effects in coordinates of other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from numpyro import handlers

from pkpd.inference.cohort_model import prior_model
from pkpd.inference.space import Space
from pkpd.population.partly_centred import PartlyCentred


@dataclass(frozen=True, eq=False)
class Drawn:
    """Effects phi [n, k] of the parameters `names`, sampled together at `site`, and their law in the coordinates they were drawn in."""

    site: str
    names: tuple[str, ...]
    phi: Any
    law: PartlyCentred

    def raw(self, weights: Mapping[str, Any], single: bool) -> Any:
        """The sampled site in coordinates of other weights."""
        law = PartlyCentred(self.law.m, self.law.omega, self.law.chol, stacked(weights, self.names, self.phi.shape[0]))
        found = law.raw(self.phi)
        return found[:, 0] if single else found


def stacked(weights: Mapping[str, Any], names: tuple[str, ...], n: int) -> Any:
    """Weights [n, k] of the parameters of a site."""
    return jnp.stack([jnp.broadcast_to(jnp.asarray(weights[x], float), (n,)) for x in names], -1)


def drawn(space: Space, z: Any, weights: Mapping[str, Any]) -> list[Drawn]:
    """Every site of random effects between subjects at z."""
    population, sites, weights = space.problem.population, space.constrain(z), usable(space, weights)
    trace = _prior_trace(space, sites, space.full_weights)
    grouped = {n for g in population.correlation for n in g.names}
    found = [_group(g.names, sites, trace, weights) for g in population.correlation]
    return found + [_single(n, population, sites, trace, weights) for n in population.varying if n not in grouped]


def usable(space: Space, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights as they are used: 0 for a bent effect (Box-Cox), which is non-centred always."""
    return {n: jnp.zeros(()) if space.problem.population.parameters[n].shape is not None else w for n, w in weights.items()}


def _prior_trace(space: Space, sites: Mapping[str, Any], weights: Mapping[str, Any]) -> dict:
    """The population's sites without the rows: nothing is solved."""
    seeded = handlers.seed(handlers.substitute(prior_model(space.problem), data=dict(sites)), jax.random.PRNGKey(0))
    return handlers.trace(seeded).get_trace(weights)


def _group(names: tuple[str, ...], sites: Mapping[str, Any], trace: dict, weights: Mapping[str, Any]) -> Drawn:
    site = f"raw_{'_'.join(names)}"
    law = trace[site]["fn"]
    own = PartlyCentred(law.m, law.omega, law.chol, stacked(weights, names, law.m.shape[0]))
    return Drawn(site, names, own.effects(sites[site]), own)


def _single(name: str, population: Any, sites: Mapping[str, Any], trace: dict, weights: Mapping[str, Any]) -> Drawn:
    """As a group of one; the location of a centred effect is its mean whatever was drawn (of a bent one, 0)."""
    site = f"raw_{name}"
    mean = trace[site]["fn"].base_dist.loc
    omega = jnp.asarray(sites.get(f"omega_{name}", population.parameters[name].between), float)
    law = PartlyCentred(mean[:, None], omega[None], jnp.eye(1), stacked(weights, (name,), mean.shape[0]))
    return Drawn(site, (name,), law.effects(sites[site][:, None]), law)


def recentred(space: Space, z: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """The same individual parameters z[D] in the sampler's coordinates of other weights: all but the random effects stay as they are."""
    grouped = {f"raw_{'_'.join(g.names)}" for g in space.problem.population.correlation}
    new = usable(space, new)
    moved = {d.site: d.raw(new, d.site not in grouped) for d in drawn(space, z, old)}
    return ravel_pytree({**space.unconstrained(z), **moved})[0]
