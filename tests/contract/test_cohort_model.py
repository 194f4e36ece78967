"""The cohort model is a plain numpyro function: prior, fit and prediction from one definition, and NumPyro's own sampler runs on it."""

import jax
import numpy as np
import pytest
from numpyro.infer import MCMC, NUTS, Predictive, init_to_median

from pkpd import cohort_model
from tests import small


def test_the_prior_predictive_has_the_public_sites():
    model = cohort_model(small.problem())
    draws = Predictive(model, num_samples=20)(jax.random.PRNGKey(0), observed=False)
    assert {"CL", "V", "omega_CL", "omega_V", "sigma_cp", "CL_i", "eta_V", "dv"} <= set(draws)
    assert draws["dv"].shape == (20, 36)
    assert np.isfinite(draws["dv"]).all()


@pytest.mark.slow
def test_numpyros_own_nuts_agrees_with_ours():
    """Means within 0.5 posterior sd: 200 against 200 draws, Monte Carlo errors of about 0.1 sd each; a false alarm needs 3.5 of them."""
    mcmc = MCMC(NUTS(cohort_model(small.problem()), init_strategy=init_to_median), num_warmup=200, num_samples=200, progress_bar=False)
    mcmc.run(jax.random.PRNGKey(1))
    theirs, ours = mcmc.get_samples(), small.fit().summary.set_index("name")
    for name in ("CL", "V", "sigma_cp"):
        assert abs(float(theirs[name].mean()) - ours.loc[name, "mean"]) < 0.5 * ours.loc[name, "sd"], name
