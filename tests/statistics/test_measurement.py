"""Every residual model and every kind of censoring against SciPy's normal distribution; far tails finite; replicates have the right law."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special, stats

from pkpd import additive_error, combined_error, lognormal_error, proportional_error
from pkpd.errors import FitError
from pkpd.noise import Measurement
from pkpd.noise.tails import log_below, log_between

F = np.array([3.0, 3.0, 3.0, 3.0, 0.4, 20.0])
DV = np.array([2.5, 2.0, 2.0, 4.0, 0.5, 31.0])
CENS = np.array([0, 1, 1, -1, 1, 0])
LOWER = np.array([np.nan, np.nan, 1.0, np.nan, 0.1, np.nan])

MODELS = {
    "additive": (additive_error(0.7), lambda f: 0.7 + 0 * f),
    "proportional": (proportional_error(0.3), lambda f: 0.3 * f),
    "combined 1": (combined_error(0.7, 0.3, form=1), lambda f: 0.7 + 0.3 * f),
    "combined 2": (combined_error(0.7, 0.3), lambda f: np.sqrt(0.49 + (0.3 * f) ** 2)),
}


def measured(error, f=F, dv=DV, cens=CENS, lower=LOWER):
    mean, sd = error.mean_sd(jnp.asarray(f), error.draw("y"))
    return Measurement(mean, sd, np.full(len(f), error.logs), cens, lower).log_prob(jnp.asarray(dv))


def contributions(law):
    """observed, below, interval, above, interval, observed"""
    return [
        law.logpdf(DV)[0],
        law.logcdf(DV)[1],
        np.log(law.cdf(DV)[2] - law.cdf(LOWER)[2]),
        law.logsf(DV)[3],
        np.log(law.cdf(DV)[4] - law.cdf(LOWER)[4]),
        law.logpdf(DV)[5],
    ]


@pytest.mark.parametrize("kind", MODELS)
def test_normal_residuals(kind):
    error, spread = MODELS[kind]
    assert error.kind == kind
    np.testing.assert_allclose(measured(error), contributions(stats.norm(F, spread(F))), rtol=1e-12)


def test_lognormal_residual_is_a_density_of_y_not_of_its_logarithm():
    np.testing.assert_allclose(measured(lognormal_error(0.5)), contributions(stats.lognorm(0.5, scale=F)), rtol=1e-12)


def test_rows_of_different_kind_side_by_side():
    logs = np.array([True, False])
    law = Measurement(jnp.asarray([np.log(2.0), 2.0]), jnp.asarray([0.5, 0.3]), logs, np.array([0, 1]), np.array([np.nan, np.nan]))
    np.testing.assert_allclose(
        law.log_prob(jnp.asarray([1.7, -1.0])), [stats.lognorm(0.5, scale=2.0).logpdf(1.7), stats.norm(2, 0.3).logcdf(-1.0)], rtol=1e-12
    )


@pytest.mark.parametrize("z", [-1e8, -1e4, -200.0, -40.0, -21.0, -19.9, -5.0, 0.0, 3.0, 9.0, 40.0])
def test_a_tail_in_value_slope_and_curvature(z):
    """log Phi and its slope, the inverse Mills ratio (for z < -30 its asymptotic series, error 1e-11); curvature -h (z + h)."""
    np.testing.assert_allclose(log_below(z), special.log_ndtr(z), rtol=1e-13, atol=1e-300)
    mills = np.exp(stats.norm.logpdf(z) - special.log_ndtr(z)) if z > -30 else -z - 1 / z + 2 / z**3 - 10 / z**5
    np.testing.assert_allclose(jax.grad(log_below)(z), mills, rtol=1e-10, atol=1e-300)
    if z > -30:
        np.testing.assert_allclose(jax.grad(jax.grad(log_below))(z), -mills * (z + mills), rtol=1e-9, atol=1e-300)
    else:
        np.testing.assert_allclose(jax.grad(jax.grad(log_below))(z), -1 + 1 / z**2, rtol=1e-4)


BOTH = [(-1.0, 1.0), (-2.0, 0.5), (0.3, 0.4), (-41.0, -40.0), (38.0, 41.0), (-40.0, 40.0), (-60.0, -59.999), (3.0, 90.0)]


@pytest.mark.parametrize(("a", "b"), BOTH)
def test_between_two_limits_is_symmetric_and_right(a, b):
    """log(Phi(b) - Phi(a)) in the tail where it is small; the reference works on the left tail with log_ndtr and logsumexp."""
    lo, hi = (a, b) if a + b <= 0 else (-b, -a)
    exact = special.log_ndtr(hi) + np.log1p(-np.exp(special.log_ndtr(lo) - special.log_ndtr(hi)))
    value, slopes = jax.value_and_grad(log_between, argnums=(0, 1))(a, b)
    np.testing.assert_allclose(value, exact, rtol=1e-10)
    assert value == log_between(-b, -a)
    slope = [-np.exp(stats.norm.logpdf(a) - exact), np.exp(stats.norm.logpdf(b) - exact)]
    np.testing.assert_allclose(slopes, slope, rtol=1e-8, atol=1e-300)


def test_a_narrow_interval_is_the_density_times_its_width():
    for middle in (0.0, 2.0, -10.0, 40.0):
        width = 1e-6
        value = log_between(middle - width / 2, middle + width / 2)
        # log Phi carries a rounding of eps z^2 / 2; an interval of 1e-6 at 40 sd therefore keeps 8e2 x 2e-16 / (40 x 1e-6) = 4e-9
        np.testing.assert_allclose(value, stats.norm.logpdf(middle) + np.log(width), atol=2e-8)


@pytest.mark.parametrize("cens", [-1, 0, 1])
@pytest.mark.parametrize("away", [-40.0, 40.0])
def test_forty_standard_deviations_away_value_and_gradient_are_finite(cens, away):
    def score(mean, sd):
        return Measurement(mean, sd, np.array([False]), np.array([cens]), np.array([np.nan])).log_prob(jnp.asarray([1.0 + away]))[0]

    value, slopes = jax.value_and_grad(score, argnums=(0, 1))(jnp.asarray([1.0]), jnp.asarray([1.0]))
    assert np.isfinite(value) and all(np.isfinite(s).all() for s in slopes)
    z = away
    exact = {0: stats.norm.logpdf(z), 1: special.log_ndtr(z), -1: special.log_ndtr(-z)}[cens]
    np.testing.assert_allclose(value, exact, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "error", [lognormal_error(0.5), proportional_error(0.3), combined_error(0.7, 0.3), combined_error(0.7, 0.3, form=1)]
)
def test_no_drug_yet_is_finite_where_it_is_below_the_limit(error):
    """A prediction of exactly zero, left-censored, with and without a lower limit: value and gradient in f finite."""

    def score(f):
        mean, sd = error.mean_sd(f, error.draw("y"))
        return (
            Measurement(mean, sd, np.full(2, error.logs), np.array([1, 1]), np.array([np.nan, 0.0]))
            .log_prob(jnp.asarray([50.0, 50.0]))
            .sum()
        )

    value, slope = jax.value_and_grad(score)(jnp.zeros(2))
    assert np.isfinite(value) and np.isfinite(slope).all()


def test_a_failed_subject_stays_nan():
    """NaN predictions must not be repaired on the way to the likelihood, in value or in gradient."""
    f = jnp.asarray([np.nan, 3.0])

    def score(f):
        mean, sd = lognormal_error(0.5).mean_sd(f, [0.5])
        return Measurement(mean, sd, np.array([True, True]), np.array([1, 0]), np.array([np.nan, np.nan])).log_prob(jnp.asarray([2.0, 2.0]))

    assert np.isnan(score(f)).tolist() == [True, False]
    assert np.isnan(jax.grad(lambda f: score(f).sum())(f)).tolist() == [True, False]


def test_replicates_follow_the_law():
    """200 000 draws: mean and sd of x within four standard errors (4 / sqrt(2e5) = 0.009 of an sd)."""
    law = Measurement(jnp.asarray([0.3, 5.0]), jnp.asarray([0.5, 2.0]), np.array([True, False]), np.zeros(2, int), np.full(2, np.nan))
    x = np.array(law.sample(jax.random.key(3), (200_000,)))
    x[:, 0] = np.log(x[:, 0])
    np.testing.assert_allclose((x.mean(0) - [0.3, 5.0]) / [0.5, 2.0], 0, atol=0.009)
    np.testing.assert_allclose(x.std(0) / [0.5, 2.0], 1, atol=0.009)


@pytest.mark.parametrize("wrong", [0, -1.0, "a", None])
def test_a_spread_that_is_none_is_refused(wrong):
    with pytest.raises(FitError, match=r"additive_error takes a prior such as dist.HalfNormal\(0.5\), or a positive number"):
        additive_error(wrong)


def test_a_form_that_is_none_is_refused():
    with pytest.raises(FitError, match=r"combined_error\(form=3\): accepted are 1 \(sd \+ cv f\) and 2"):
        combined_error(dist.HalfNormal(1.0), 0.1, form=3)
