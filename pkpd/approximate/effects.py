"""Where the random effects of a problem stand: independent standard normal coordinates u[N, K] of each subject, and what they scale to.

    eta_i = S u_i,   u_i ~ N(0, 1),   S S' = Omega

In u a subject's own prior is the same for all parameters, a spread may be zero, and log |Omega| + log |Omega^-1 + A| is log |1 + S'A S|.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax.scipy.linalg import block_diag

from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem

RAW = "raw_sigma"


@dataclass(frozen=True)
class Block:
    """Random effects of one sampled site: their names, the site (or number) of each one's spread, and the Cholesky site that joins them."""

    site: str
    etas: tuple[str, ...]
    spreads: tuple[tuple[str, Any], ...]
    joined: str | None = None
    columns: bool = True

    def raw(self, u: Any) -> Any:
        """The site's value, non-centred, from its columns of u [N, k]."""
        return u if self.columns else u[:, 0]

    def scale(self, population: Mapping[str, Any]) -> Any:
        """S [k, k]."""
        spread = jnp.stack([jnp.asarray(population.get(site, held), float) for site, held in self.spreads])
        return spread[:, None] * (population[self.joined] if self.joined else jnp.eye(len(self.spreads)))


@dataclass(frozen=True)
class Effects:
    """The blocks of a problem side by side."""

    blocks: tuple[Block, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(e for b in self.blocks for e in b.etas)

    def raws(self, population: Mapping[str, Any], u: Any) -> dict[str, Any]:
        """The sampled sites of all subjects from u [N, K]."""
        found, first = {}, 0
        for b in self.blocks:
            found[b.site] = b.raw(u[:, first : first + len(b.etas)])
            first += len(b.etas)
        return found

    def scale(self, population: Mapping[str, Any]) -> Any:
        """S [K, K]."""
        return block_diag(*(b.scale(population) for b in self.blocks))


def effects_of(problem: FitProblem) -> Effects:
    """Between subjects, over occasions, and of residual spreads by subject; named eta_<param>, kappa_<param>_<k>, eta_sigma_<observable>."""
    population, specs = problem.population, problem.population.parameters
    heavy = [n for n, v in specs.items() if v.df is not None]
    if heavy:
        raise FitError(
            f"{problem.name}: the random effects of '{heavy[0]}' are Student's t, and the approximations are those of normal ones. "
            f"Leave .tails(...) of '{heavy[0]}' out, or sample the problem with pkpd.sample."
        )
    omega = lambda x: (f"omega_{x}", specs[x].between)  # noqa: E731
    blocks, grouped = [], {x for g in population.correlation for x in g.names}
    for g in population.correlation:
        label = "_".join(g.names)
        blocks.append(Block(f"raw_{label}", tuple(f"eta_{x}" for x in g.names), tuple(omega(x) for x in g.names), f"chol_{label}"))
    blocks += [Block(f"raw_{x}", (f"eta_{x}",), (omega(x),), columns=False) for x in population.varying if x not in grouped]
    for x, column in population.occasions.items():
        count = len(problem.design[f"levels:{column}"])
        blocks.append(Block(f"raw_occ_{x}", tuple(f"kappa_{x}_{k}" for k in range(count)), ((f"gamma_{x}", specs[x].gamma),) * count))
    for o in problem.observed_names:
        priors = dict(problem.observations[o].priors)
        if RAW in priors:
            blocks.append(Block(f"{RAW}_{o}", (f"eta_sigma_{o}",), ((f"omega_sigma_{o}", priors["omega_sigma"]),), columns=False))
    if not blocks:
        raise FitError(
            f"{problem.name}: no parameter varies between subjects, so there is no random effect to take the mode of. Give one between=...."
        )
    return Effects(tuple(blocks))
