"""Residual errors and limits beyond the plain ones, against SciPy and formulas written out; far tails stay finite in value and slope."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from pkpd import (
    additive_error,
    autoregressive,
    correlated,
    detection,
    last_positive,
    limits_by,
    lognormal_error,
    markov_chain,
    poisson_count,
    power_error,
    recist,
    student_error,
)
from pkpd.errors import FitError
from pkpd.noise import ObservedRows
from pkpd.noise.student_tails import student_log_below

F = np.array([3.0, 3.0, 3.0, 3.0, 0.4, 20.0])
DV = np.array([2.5, 2.0, 2.0, 4.0, 0.5, 31.0])
CENS = np.array([0, 1, 1, -1, 1, 0])
LOWER = np.array([np.nan, np.nan, 1.0, np.nan, 0.1, np.nan])


def rows(dv=DV, cens=None, lower=None, time=None, subject=None, **columns):
    n = len(dv)
    subject = np.zeros(n, int) if subject is None else np.asarray(subject)
    subjects = tuple(str(i + 1) for i in range(subject.max() + 1))
    return ObservedRows(
        "y",
        np.asarray(dv, float),
        np.zeros(n, int) if cens is None else cens,
        np.full(n, np.nan) if lower is None else lower,
        np.arange(n, dtype=float) if time is None else np.asarray(time, float),
        subject,
        np.arange(n) + 1,
        subjects,
        {"lloq": np.full(n, np.nan), **columns},
    )


def scored(observation, f, data, values=None, also=None):
    observation = observation.bound(data)
    values = [p for _, p in observation.priors] if values is None else values
    return np.asarray(observation.law(jnp.asarray(f), [jnp.asarray(v) for v in values], data, also).log_prob(jnp.asarray(data.dv)))


def expected(law, dv=DV):
    """observed, below, interval, above, interval, observed"""
    low = np.where(np.isfinite(LOWER), LOWER, 1.0)
    interval = np.log(law.cdf(dv) - law.cdf(low))
    return [law.logpdf(dv)[0], law.logcdf(dv)[1], interval[2], law.logsf(dv)[3], interval[4], law.logpdf(dv)[5]]


def test_a_spread_that_is_a_power_of_the_prediction():
    found = scored(power_error(0.3, 0.7), F, rows(DV, CENS, LOWER))
    np.testing.assert_allclose(found, expected(stats.norm(F, 0.3 * F**0.7)), rtol=1e-11)


@pytest.mark.parametrize("df", [1.0, 4.0, 30.0])
def test_students_t_with_every_kind_of_limit(df):
    found = scored(student_error(additive_error(0.7), df), F, rows(DV, CENS, LOWER))
    np.testing.assert_allclose(found, expected(stats.t(df, F, 0.7)), rtol=1e-9)


@pytest.mark.parametrize("df", [1.0, 2.5, 10.0, 100.0])
def test_the_tail_of_students_t(df):
    z = np.array([-1e6, -1e3, -40.0, -5.0, -1.0, -1e-3, 0.0, 0.5, 3.0, 10.0])
    assert np.isfinite(student_log_below(z, df)).all()
    z = z[np.isfinite(stats.t(df).logcdf(z))]  # SciPy's tail of many degrees of freedom underflows where ours does not
    np.testing.assert_allclose(student_log_below(z, df), stats.t(df).logcdf(z), rtol=1e-8, atol=1e-14)
    slope = jax.vmap(jax.grad(lambda x: student_log_below(x, df)))(jnp.asarray(z))
    np.testing.assert_allclose(slope, np.exp(stats.t(df).logpdf(z) - stats.t(df).logcdf(z)), rtol=1e-7)
    in_df = jax.vmap(jax.grad(lambda v, x: student_log_below(x, v)), (None, 0))(jnp.asarray(df), jnp.asarray(z))
    step = 1e-4 * df
    central = (stats.t(df + step).logcdf(z) - stats.t(df - step).logcdf(z)) / (2 * step)
    np.testing.assert_allclose(in_df, central, rtol=1e-5, atol=1e-9)


def test_the_methods_below_the_limit():
    f, y, s = np.array([3.0, 0.4]), np.array([2.5, 0.5]), 0.7
    data = rows(y, np.array([0, 1]), lloq=np.full(2, 0.5))
    law = stats.norm(f, s)
    exact, below = law.logpdf(y)[0], law.logcdf(y)[1]
    above_zero, above_limit = law.logsf(0.0), law.logsf(0.5)
    by_method = {
        "M1": [exact, 0.0],
        "M2": [exact - above_limit[0], 0.0],
        "M3": [exact, below],
        "M4": [exact - above_zero[0], np.log(law.cdf(0.5) - law.cdf(0.0))[1] - above_zero[1]],
        "M5": [exact, law.logpdf(0.25)[1]],
        "M6": [exact, law.logpdf(0.25)[1]],
        "M7": [exact, law.logpdf(0.0)[1]],
    }
    for method, terms in by_method.items():
        np.testing.assert_allclose(scored(limits_by(additive_error(s), method), f, data), terms, rtol=1e-10, err_msg=method)


def test_m6_keeps_the_first_of_a_run():
    data = rows(np.array([2.0, 0.5, 0.5, 0.5]), np.array([0, 1, 1, 1]))
    found = scored(limits_by(additive_error(0.5), "M6"), np.full(4, 0.6), data)
    assert found[1] == pytest.approx(stats.norm(0.6, 0.5).logpdf(0.25)) and (found[2:] == 0).all()


def test_m4_equals_m3_under_a_lognormal_residual():
    data = rows(DV, CENS, LOWER)
    a, b = (scored(limits_by(lognormal_error(0.5), m), F, data) for m in ("M3", "M4"))
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_serial_correlation_adds_up_to_the_joint_normal():
    time, y, f = np.array([0.0, 1.0, 4.0, 4.5, 0.0, 2.0]), np.array([2.5, 2.0, 2.2, 4.0, 0.5, 31.0]), np.full(6, 2.0)
    data = rows(y, time=time, subject=[0, 0, 0, 0, 1, 1])
    found = scored(autoregressive(additive_error(0.7), 3.0), f, data)
    for i in (slice(0, 4), slice(4, 6)):
        cov = 0.49 * np.exp(-np.abs(time[i, None] - time[None, i]) / 3.0)
        np.testing.assert_allclose(found[i].sum(), stats.multivariate_normal(f[i], cov).logpdf(y[i]), rtol=1e-11)


def test_replicates_of_a_serial_residual_have_its_correlation():
    """Sample correlations of 20,000 paths, standard error (1 - r^2)/sqrt(n) below 0.0071: five of them, false alarm below 1e-5."""
    data = rows(np.ones(3), time=[0.0, 1.0, 3.0])
    law = autoregressive(additive_error(0.7), 2.0).law(jnp.ones(3), [jnp.asarray(0.7), jnp.asarray(2.0)], data, None)
    drawn = np.asarray(law.sample(jax.random.key(1), (20_000,)))
    found = np.corrcoef(drawn.T)
    np.testing.assert_allclose(found[[0, 1, 0], [1, 2, 2]], np.exp(-np.array([0.5, 1.0, 1.5])), atol=0.036)


def test_two_observables_measured_together():
    y, other = np.array([2.5, 2.0]), np.array([11.0, np.nan])
    data = rows(y, **{"dv:cq": other, "cens:cq": np.array([0.0, np.nan])})
    error = correlated(additive_error(0.7), with_="cq", other_error=additive_error(2.0), correlation=0.6)
    also = lambda name: [jnp.asarray(2.0)] if name.startswith("values:") else jnp.asarray([10.0, 10.0])  # noqa: E731
    found = scored(error, np.array([3.0, 3.0]), data, also=also)
    cov = np.array([[0.49, 0.6 * 0.7 * 2.0], [0.6 * 0.7 * 2.0, 4.0]])
    joint = stats.multivariate_normal([3.0, 10.0], cov).logpdf([2.5, 11.0])
    np.testing.assert_allclose(found, [joint - stats.norm(10.0, 2.0).logpdf(11.0), stats.norm(3.0, 0.7).logpdf(2.0)], rtol=1e-11)


def test_detected_or_not():
    f, y = np.array([30.0, 80.0, 10.0]), np.array([1.0, 1.0, 0.0])
    p = stats.norm.cdf((np.log(f) - np.log(50.0)) / 0.4)
    found = scored(detection(0.4, lod=50.0), f, rows(y))
    np.testing.assert_allclose(found, np.log(np.where(y == 1, p, 1 - p)), rtol=1e-12)
    with_false = 0.02 + 0.98 * p
    np.testing.assert_allclose(
        scored(detection(0.4, lod=50.0, false_positive=0.02), f, rows(y)), np.log(np.where(y == 1, with_false, 1 - with_false)), rtol=1e-12
    )
    at_limit = scored(detection(0.4, lod=50.0, kind="LOD95"), np.array([50.0]), rows(np.ones(1)))
    np.testing.assert_allclose(at_limit, np.log(0.95), rtol=1e-12)


def test_the_interval_of_disappearance_counts_once():
    f, y = np.array([500.0, 90.0, 30.0, 5.0]), np.array([1.0, 1.0, 0.0, 0.0])
    found = scored(last_positive(0.5, lod=50.0), f, rows(y))
    c = (np.log(50.0) - np.log(f)) / 0.5
    np.testing.assert_allclose(found, [0, 0, np.log(stats.norm.cdf(c[2]) - stats.norm.cdf(c[1])), 0], rtol=1e-12)
    still = scored(last_positive(0.5, lod=50.0), f[:2], rows(y[:2]))
    np.testing.assert_allclose(still, [0, stats.norm.logsf(c[1])], rtol=1e-12)


FAR = {
    "t": (student_error(lognormal_error(0.1), 4.0), np.array([1.0, 1.0, 1.0]), np.array([0, 1, -1])),
    "M4": (limits_by(additive_error(0.1), "M4"), np.array([1.0, 1.0, 1.0]), np.array([0, 1, -1])),
    "detection": (detection(0.1, lod=1.0), np.array([1.0, 0.0, 1.0]), np.zeros(3, int)),
    "last positive": (last_positive(0.1, lod=1.0), np.array([1.0, 0.0, 0.0]), np.zeros(3, int)),
    "AR(1)": (autoregressive(lognormal_error(0.1), 2.0), np.array([1.0, 1.0, 1.0]), np.zeros(3, int)),
}


@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize("sds", [-40.0, 40.0])
def test_forty_standard_deviations_out_all_is_finite(kind, sds):
    observation, dv, cens = FAR[kind]
    data = rows(dv, cens)
    values = [jnp.asarray(p) for _, p in observation.priors]
    f = np.exp(0.1 * sds) * np.ones(3) if kind != "M4" else np.full(3, 1.0 + 0.1 * sds)

    def total(shift):
        return observation.law(jnp.asarray(f) * jnp.exp(shift), values, data, None).log_prob(jnp.asarray(data.dv)).sum()

    value, slope = jax.value_and_grad(total)(0.0)
    assert np.isfinite(value) and np.isfinite(slope)
    h = 1e-5
    np.testing.assert_allclose(slope, (total(h) - total(-h)) / (2 * h), rtol=1e-4, atol=1e-5)


CALIBRATED = {
    "M3": lognormal_error(0.5),
    "t": student_error(lognormal_error(0.5), 4.0),
    "detection": detection(0.5, lod=1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CALIBRATED)
def test_the_posterior_of_a_level_is_calibrated(kind):
    """300 simulated studies of 12 rows, 30-70 % of them below the limit 1: the truth's place in its own posterior (on a grid, prior N(0, 0.5)) is uniform.

    Kolmogorov-Smirnov p above 1e-3: the false-alarm rate of each case is one in a thousand, and the seed is fixed.
    """
    studies, n, grid = 300, 12, np.linspace(-2.5, 2.5, 401)
    rng = np.random.default_rng(4)
    truth = rng.normal(0.0, 0.5, studies)
    observation = CALIBRATED[kind]
    values = [jnp.asarray(p) for _, p in observation.priors]
    places = []
    shared = rows(np.ones(n))
    draws = jax.jit(lambda m, k: observation.law(jnp.exp(m) * jnp.ones(n), values, shared, None).sample(k))
    for study, key in enumerate(jax.random.split(jax.random.key(7), studies)):
        y = np.asarray(draws(truth[study], key))
        low = (y < 1.0) & (kind != "detection")
        data = rows(np.where(low, 1.0, y), low.astype(int))
        total = _on_grid(observation, values, data, grid) + stats.norm(0, 0.5).logpdf(grid)
        weight = np.exp(total - total.max())
        places.append(weight[grid < truth[study]].sum() / weight.sum())
    assert stats.kstest(places, "uniform").pvalue > 1e-3


def _on_grid(observation, values, data, grid):
    n, g = len(data.dv), len(grid)
    wide = rows(np.tile(data.dv, g), np.tile(data.cens, g))
    terms = observation.law(jnp.asarray(np.repeat(np.exp(grid), n)), values, wide, None).log_prob(jnp.asarray(wide.dv))
    return np.asarray(terms).reshape(g, n).sum(1)


@pytest.mark.parametrize("endpoint", [markov_chain({(0, 1): 0.1}), recist(0.1, 0.2, baseline="sld0"), poisson_count()])
def test_an_endpoint_without_limits_refuses_censored_rows(endpoint):
    word = {"markov chain": "markov_chain"}.get(endpoint.kind, endpoint.kind)
    told = endpoint.check(rows(np.ones(2), np.array([0, 1])))
    assert told == [f"Row 2, subject 1: 'y' is marked as censored, and {word} takes CENS 0 only; mend the row."]


def test_sentences():
    with pytest.raises(FitError) as caught:
        limits_by(additive_error(1.0), "M8")
    assert str(caught.value).startswith("limits_by(method='M8'): no such method. ")
    with pytest.raises(FitError) as caught:
        student_error(lognormal_error(0.3), 1e5)
    assert str(caught.value) == "student_error(df=100000): at this many degrees of freedom the law is the normal; leave student_error out."
    with pytest.raises(FitError) as caught:
        detection(dist.HalfNormal(0.5), lod=-1.0)
    assert (
        str(caught.value) == "detection(lod=-1.0): accepted is a number above 0 in the observable's unit, or None for the lloq of each row."
    )
