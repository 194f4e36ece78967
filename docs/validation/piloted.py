"""What scripts that try kernels share: a posterior of sampling.py in the coordinates of a pilot, and how its draws are told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from sampling import problem

from pkpd import Sampler
from pkpd.inference.assemble import _posterior, _sites
from pkpd.inference.geometry import Geometry, find_geometry
from pkpd.inference.pilot import parts, run_pilot
from pkpd.inference.sample import Draws, Kernel, run_nuts
from pkpd.inference.space import Space
from pkpd.inference.verdict import summarise


@dataclass(frozen=True)
class Piloted:
    """A kernel of HMC on a posterior, the geometry a pilot found, and the settings of what follows it."""

    name: str
    kernel: Kernel
    geometry: Geometry
    rest: Sampler

    def density(self) -> Callable:
        """log p(u), z = mode + L u."""
        space, geometry = self.kernel.space, self.geometry
        return lambda u: -space.potential(geometry.mode + geometry.factor @ u, geometry.weights)

    def posterior(self, u: np.ndarray) -> xr.Dataset:
        """Every parameter of draws u [chain, draw, D]."""
        z, space = np.asarray(self.geometry.mode) + u @ np.asarray(self.geometry.factor).T, self.kernel.space
        return _posterior(space.problem, _sites(space, self.geometry, z))

    def hmc(self, **settings) -> tuple[Draws, np.ndarray]:
        """Our own chains, and their draws as u."""
        ours = run_nuts(self.kernel, self.geometry, replace(self.rest, **settings), 1, False)
        return ours, (ours.z - np.asarray(self.geometry.mode)) @ np.linalg.inv(np.asarray(self.geometry.factor)).T

    def told(self, way: str, posterior: xr.Dataset, gradients: float, **more) -> dict:
        """A line of a table: least bulk ESS of the population parameters, a 1000 gradients of the draws; `more` stands before those."""
        table = summarise(posterior, self.kernel.space.problem.population_sites)
        worst, draws = table.loc[table["ess_bulk"].idxmin()], posterior.sizes["chain"] * posterior.sizes["draw"]
        ess = float(worst["ess_bulk"])
        return {
            "posterior": self.name,
            "way": way,
            "worst": worst["name"],
            "ess_bulk": round(ess),
            "rhat": round(float(table["rhat"].max()), 4),
            **more,
            "gradients_a_draw": round(gradients, 1),
            "ess_per_1000_gradients": round(1000 * ess / (gradients * draws), 2),
        }


def piloted(name: str) -> Piloted:
    """The posterior of that name in sampling.py."""
    made = problem(name)
    settings = replace(made.sampler, kernel="hmc", target_accept=0.8)
    kernel = Kernel(Space(made), settings)
    pilot, rest = parts(made, settings)
    return Piloted(name, kernel, run_pilot(kernel, find_geometry(kernel.space, print), pilot, 1, False, None, print), rest)


def keep(table: Path, names: list[str], lines: Callable[[str], list[dict]]) -> None:
    """The lines of each posterior, in the place of those it had."""
    for name in names:
        new = pd.DataFrame(lines(name))
        before = pd.read_csv(table) if table.exists() else new.iloc[:0]
        pd.concat([before[before["posterior"] != name], new]).to_csv(table, index=False)
