"""Changing centring weights moves the sampler's coordinates, never the individual parameters: alone and in a correlated group."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitProblem, Population, lognormal, proportional_error, read_cohort
from pkpd.inference.geometry import _Tools, _weights
from pkpd.inference.recentre import recentred
from pkpd.inference.space import Space
from pkpd.models.classic import one_compartment_oral

NAMES = ("CL", "V", "ka")


@pytest.fixture(scope="module")
def space():
    rows = [
        (i, t, e, a, y, "oral", "cp")
        for i in (1, 2, 3)
        for t, e, a, y in ((0.0, 1, 300.0, np.nan), (2.0, 0, 0.0, 7.0 + i), (12.0, 0, 0.0, 3.0 + i))
    ]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "CMT", "DVID"])
    cohort = read_cohort(table, one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}})
    each = {n: lognormal(dist.LogNormal(np.log(v), 0.5), between=dist.HalfNormal(0.5)) for n, v in (("CL", 2.8), ("V", 32.0), ("ka", 1.5))}
    return Space(FitProblem(one_compartment_oral, cohort, Population(**each, correlation=("CL", "V")), {"cp": proportional_error(0.2)}))


@pytest.fixture(scope="module")
def tools(space):
    return _Tools(space)


def test_individual_parameters_stay(space):
    old = space.full_weights
    z = space.start(old) + 0.3 * jnp.asarray(np.random.default_rng(5).normal(size=space.size))
    new = {"CL": jnp.asarray([0.2, 0.0, 1.0]), "V": jnp.full(3, 0.7), "ka": jnp.asarray([0.4, 0.9, 0.1])}
    before, after = space.trace_at(z, old), space.trace_at(recentred(space, z, old, new), new)
    for n in NAMES:
        np.testing.assert_allclose(after[f"{n}_i"]["value"], before[f"{n}_i"]["value"], rtol=1e-12)


def test_weights_come_from_the_data_for_grouped_parameters_too(space, tools):
    """Two samples of a subject say something of CL and V and little of ka; all weights lie between none and full."""
    w = _weights(space, tools, space.start(space.full_weights), space.full_weights)
    assert set(w) == set(NAMES) and all(v.shape == (3,) and v.min() >= 0 and v.max() <= 1 for v in w.values())
    assert w["CL"].min() > 0.5 > w["ka"].max()
