"""A fit to hold an app against, without sampling: prior draws of a simulated study in the place of its posterior."""

import functools
import json

import jax
import numpy as np
import xarray as xr

from pkpd import Fit
from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.simulate.draws import population_draws
from tests.architecture.source import ROOT

FILE = ROOT / "docs" / "examples" / "simulated_oral_study.py"
DRAWS = 12


@functools.cache
def problem():
    return build_problem(load_problem(FILE), quick=True)


def records():
    """The rows of the study."""
    return load_problem(FILE).__globals__["records"]()


@functools.cache
def fit(converged: bool = True) -> Fit:
    """Said to have converged or not; its draws are of the prior, narrowed around the values that were simulated."""
    made = problem()
    sites, _ = population_draws(made, DRAWS, frozenset({"parameters"}), jax.random.key(3))
    sites |= {n: v * (sites[n] / v) ** 0.1 for n, v in made.truth.items()}
    data = {n: (("chain", "draw", *(f"{n}_{i}" for i in range(np.ndim(v) - 1))), np.asarray(v)[None]) for n, v in sites.items()}
    group = xr.Dataset(data)
    tree = xr.DataTree.from_dict({"posterior": group, "prior": group})
    headline = "Converged: a stand-in." if converged else "NOT CONVERGED: R-hat above 1.01 for CL (1.3)."
    tree.attrs = {
        "verdict": json.dumps({"converged": converged, "headline": headline, "reasons": [], "next_steps": [], "not_identified": []}),
        "report": json.dumps({"centring": {}}),
        "summary": json.dumps([{"name": "CL", "mean": 2.5}]),
        "provenance": json.dumps(
            {
                "name": made.name,
                "seed": 3,
                "created": "2026-01-01T00:00:00+00:00",
                "model": {"name": made.model.name, "digest": made.model.digest},
                "data": {"source": "simulated", "sha256": made.cohort.sha256},
            }
        ),
    }
    return Fit(tree, made)
