"""The study of BLQ methods (docs/validation/blq_methods.py): its likelihood is the library's, its quadrature the integral, and its claim at one level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers

from pkpd import FitProblem, cohort_model, limits_by, lognormal_error
from tests.scripts import loaded

PLACE = np.log([0.018, 4.5, 0.3, 0.5, 0.25])  # k, V, their spreads, the residual sd


@pytest.fixture(scope="module")
def study(root):
    return loaded(root / "docs" / "validation" / "blq_methods.py")


@pytest.fixture(scope="module")
def terms(study):
    return study.terms_of(study.fit_problem(study.records(study.simulated(study.FIRST_SEED))))


@pytest.fixture(scope="module")
def eta(study):
    return jnp.asarray(np.random.default_rng(2).normal(size=(study.SUBJECTS, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["M1", "M3", "M5", "M6"])
def test_the_rows_are_scored_as_in_a_fit(study, terms, eta, method):
    """The same values through `read_cohort`, `limits_by` and `cohort_model`."""
    values = study.simulated(3)
    made = study.fit_problem(study.records(values, study.limits()[50]))
    noise = {"cells": limits_by(lognormal_error(0.25), method)}
    problem = FitProblem(study.decline, made.cohort, made.population, noise, solver=made.solver)
    raw = {"raw_k": eta[:, 0], "raw_V": eta[:, 1]}
    k, v, spread_k, spread_v, _ = np.exp(PLACE)
    sites = {"k": k, "V": v, "omega_k": spread_k, "omega_V": spread_v, **raw}
    dv = handlers.trace(handlers.seed(handlers.substitute(cohort_model(problem), data=sites), 0)).get_trace()["dv"]
    fitted = dv["fn"].log_prob(dv["value"]).reshape(study.SUBJECTS, -1)
    np.testing.assert_allclose(terms(PLACE, eta, *study.cut(values, 50, method)), fitted, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "method"), [(70, "M3"), (50, "M5")])
def test_the_quadrature_is_the_integral(study, terms, level, method):
    """A grid of 61 x 61 over +- 6 sd, whose own error is below 1e-6; seven nodes a dimension leave 1e-3 of the 20 subjects' total."""
    data = study.cut(study.simulated(3), level, method)
    x = np.linspace(-6, 6, 61)
    grid = jnp.asarray(np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2))
    at = lambda e: terms(PLACE, jnp.broadcast_to(e, (study.SUBJECTS, 2)), *data).sum(1) - 0.5 * (e**2).sum() - np.log(2 * np.pi)  # noqa: E731
    exact = -(jax.scipy.special.logsumexp(jax.lax.map(at, grid), 0) + 2 * np.log(x[1] - x[0])).sum()
    assert float(study.marginal(terms)(jnp.asarray(PLACE), *data)) == pytest.approx(float(exact), abs=2e-2)


@pytest.mark.slow
def test_m3_agrees_with_complete_data_where_half_the_limit_does_not(study):
    """Twenty replicates, half of the values below. M3: decay and volume within 3.3 standard errors of the fit to the complete data, one false alarm in a
    thousand for each of the two; half the limit: ten and more away."""
    import pandas as pd

    seeds = range(study.FIRST_SEED, study.FIRST_SEED + study.BATCH)
    parts = [study.batch([s + i * study.BATCH for s in seeds], *case) for i in (0, 1) for case in (("all", 0), ("M3", 50), ("M5", 50))]
    table = study.summary(pd.concat(parts)).set_index(["method", "quantity"])
    away = table["bias beyond all %"] / table["beyond se"]
    assert abs(away["M3", "k"]) < 3.3 and abs(away["M3", "V"]) < 3.3
    assert away["M5", "k"] < -10 and away["M5", "V"] > 10
