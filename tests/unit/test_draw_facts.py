"""What is stored of each draw for the diagnostics: the density of the priors, and weighted residuals; both against their formulas."""

import numpy as np
import numpyro.distributions as dist
import xarray as xr
from scipy.stats import halfnorm, norm

from pkpd import Correlation, lognormal_error
from pkpd.inference.iwres import individual_residuals
from pkpd.inference.log_prior import log_prior
from tests.small import population, problem

RNG = np.random.default_rng(0)


def test_priors_of_typical_values_are_read_in_ln_and_spreads_as_they_are():
    x = {n: np.exp(RNG.normal(size=(2, 3))) for n in ("CL", "V", "omega_CL", "omega_V", "sigma_cp")}
    found = log_prior(problem(), xr.Dataset({n: (("chain", "draw"), v) for n, v in x.items()}, coords={"chain": [0, 1], "draw": [0, 1, 2]}))
    np.testing.assert_allclose(found["CL"], norm.logpdf(np.log(x["CL"]), 1.0, 0.7), rtol=1e-12)
    np.testing.assert_allclose(found["omega_V"], halfnorm.logpdf(x["omega_V"], scale=0.5), rtol=1e-12)
    assert set(found.data_vars) == set(x)


def test_a_correlation_is_scored_by_its_factor():
    own = problem(population=population(correlation=Correlation(("CL", "V"), 2.0)))
    r = 0.6
    chol = np.broadcast_to(np.array([[1.0, 0.0], [r, np.sqrt(1 - r**2)]]), (1, 1, 2, 2))
    data = xr.Dataset({"chol_CL_V": (("chain", "draw", "i", "j"), chol)}, coords={"chain": [0], "draw": [0]})
    expected = dist.LKJCholesky(2, 2.0).log_prob(chol[0, 0])
    assert float(log_prior(own, data)["chol_CL_V"][0, 0]) == float(expected)


def test_weighted_residuals_are_averaged_over_draws():
    """Proportional: (y - f) / (sigma f); a draw that failed is left out of its row; censored rows are nan."""
    own = problem()
    ipred = np.exp(0.1 * RNG.normal(size=(4, len(own.rows.dv)))) * 2.0
    ipred[1, 0] = np.nan
    sigma = np.array([0.1, 0.2, 0.3, 0.4])
    found = individual_residuals(own, ipred, {"sigma_cp": sigma})
    expected = np.nanmean((own.rows.dv - ipred) / (sigma[:, None] * ipred), axis=0)
    seen = own.rows.cens == 0
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-12)
    assert np.isnan(found[~seen]).all()


def test_lognormal_residuals_are_those_of_logs():
    own = problem(noise={"cp": lognormal_error(0.2)})
    ipred = np.full((2, len(own.rows.dv)), 2.0)
    found = individual_residuals(own, ipred, {})
    seen = own.rows.cens == 0
    np.testing.assert_allclose(found[seen], np.log(own.rows.dv[seen] / 2.0) / 0.2, rtol=1e-12)
