"""Centring weights by subject: as asked, checked against the cohort, kept with the fit, and none of them changes what a subject's parameters are."""

import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import FitError, lognormal, sample
from pkpd.inference.reweigh import log_likelihoods
from tests import small

GIVEN = [0.0, 0.25, 0.5, 0.75, 1.0, 0.3]


def with_weights(centred):
    return small.problem(population=small.population(CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5), centred=centred)))


@pytest.mark.slow
def test_weights_given_by_subject_are_sampled_with_and_stored(caplog):
    problem = with_weights(GIVEN)
    with caplog.at_level("INFO", "pkpd"):
        fit = sample(problem, seed=5, progress=False, chains=2, draws=50, warmup=50)
    np.testing.assert_array_equal(fit.centring["CL"], GIVEN)
    assert any(r.getMessage().startswith("centring weights: CL 0.40 (0.00 to 1.00), V ") for r in caplog.records)
    posterior = fit.tree["posterior"].to_dataset()
    stored = fit.tree["log_likelihood"]["dv"].sum("obs").to_numpy().ravel()
    np.testing.assert_allclose(log_likelihoods(problem, posterior, fit.centring), stored, rtol=0, atol=1e-9)


def test_weights_for_another_number_of_subjects_are_refused():
    with pytest.raises(FitError) as error:
        with_weights([0.1, 0.2])
    assert (
        "'CL' has 2 centring weights and DataFrame has 6 subjects; give one for each in the order of cohort.subjects, or one number."
        in str(error.value)
    )


@pytest.mark.parametrize("wrong", ["subject", 1.5, [0.2, -0.1], [[0.1]]])
def test_what_is_no_weight_is_refused(wrong):
    with pytest.raises(FitError) as error:
        lognormal(dist.LogNormal(0.0, 1.0), between=0.3, centred=wrong)
    assert str(error.value) == (
        f"lognormal(centred={wrong!r}): accepted are a weight from 0 (non-centred) to 1 (centred), one for each subject, "
        "'by_subject' or 'mean', or None."
    )
