"""Published summaries: formulas against scipy's closed forms and simulation, likelihoods against integrals known exactly."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

from pkpd import Population, lognormal
from pkpd.errors import FitError
from pkpd.events import bolus
from pkpd.inference.published import sobol_normals, virtual_subjects
from pkpd.inference.summaries import Detectable, DetectableJointly, MeanSd, PeakSummary, Responders, SummaryArm
from pkpd.inference.summary_checks import check_no_overlap
from pkpd.inference.summary_laws import (
    Scatter,
    binomial,
    extremes,
    log_difference,
    mean_and_sd,
    mixture,
    moments,
    multinomial,
    odd_median,
    ordered,
    peak_law,
)
from pkpd.inference.summary_model import enough_draws, summary_error, summary_log_likelihood, summary_model
from pkpd.models.classic import one_compartment_iv
from pkpd.noise import lognormal_error, student_error
from pkpd.population import Correlation

NOISE = {"cp": lognormal_error(dist.HalfNormal(0.5))}
LAW = Population(V=lognormal(dist.LogNormal(3.0, 0.5), between=dist.HalfNormal(0.5)))
SITES = {"V": 20.0, "omega_V": 0.4, "sigma_cp": 0.3}  # at 0 h ln y ~ N(ln 5, 0.5)
AT_0 = stats.lognorm(0.5, scale=5.0)
ARM = SummaryArm(one_compartment_iv, bolus((100, "mg")), [0.0, 5.0], 14)
START = replace(ARM, times_h=[0.0])


def value(term, arm=ARM, sites=SITES, draws=1024, seed=0):
    return float(summary_log_likelihood([(arm, [term])], LAW, NOISE, sites, draws, seed))


def test_counts_are_scipys() -> None:
    assert float(binomial(3, 14, np.log(0.2), np.log(0.8))) == pytest.approx(stats.binom.logpmf(3, 14, 0.2), abs=1e-10)
    p = np.array([0.5, 0.3, 0.2])
    assert float(multinomial([5, 4, 0], jnp.log(p))) == pytest.approx(stats.multinomial.logpmf([5, 4, 0], 9, p), abs=1e-10)


def test_the_odd_median_of_uniforms_is_a_beta() -> None:
    assert float(odd_median(9, np.log(0.3), np.log(0.7), 0.0)) == pytest.approx(stats.beta.logpdf(0.3, 5, 5), abs=1e-10)


def test_the_range_of_uniforms_is_its_joint_density() -> None:
    assert float(extremes(5, np.log(0.8), 0.0, 0.0)) == pytest.approx(np.log(20 * 0.8**3), abs=1e-10)


def test_the_mixture_of_one_prediction_is_lognormal() -> None:
    law = stats.lognorm(0.4, scale=np.exp(1.0))
    want = [law.logcdf(2.0), law.logsf(2.0), law.logpdf(2.0)]
    assert np.allclose(mixture(2.0, Scatter(jnp.full(8, 1.0), 0.4, True)), want, atol=1e-9)


def test_the_integral_over_volumes_is_the_closed_form() -> None:
    population = Population(V=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)))
    theta = virtual_subjects(population, {"V": 20.0, "omega_V": 0.4}, sobol_normals(1, 1024, 1), {})
    log_f = jnp.log(100.0) - jnp.log(theta["V"])
    want = stats.norm.logsf((np.log(4.0) - np.log(5.0)) / np.hypot(0.4, 0.3))
    assert float(mixture(4.0, Scatter(log_f, 0.3, True))[1]) == pytest.approx(want, abs=1e-3)


def test_a_count_is_the_binomial_of_the_exact_probability() -> None:
    want = stats.binom.logpmf(9, 14, AT_0.sf(4.0))
    assert value(Detectable("cp", 0.0, above=4.0, count=9, of=14)) == pytest.approx(want, abs=1e-3)


def test_joint_counts_sum_to_the_single_visit() -> None:
    twice = [value(DetectableJointly("cp", (0.0, 5.0), 4.0, {p: 1})) for p in ("++", "+-")]
    assert np.logaddexp(*twice) == pytest.approx(value(Detectable("cp", 0.0, 4.0, 1, 1)), abs=1e-10)


def test_joint_detection_of_one_subject_is_a_binormal_orthant() -> None:
    arm = replace(ARM, times_h=[0.0, 1e-9])
    both = stats.multivariate_normal([0, 0], [[0.25, 0.16], [0.16, 0.25]]).cdf(np.full(2, np.log(5.0 / 4.0)))
    assert value(DetectableJointly("cp", (0.0, 1e-9), 4.0, {"++": 1}), arm, draws=4096) == pytest.approx(np.log(both), abs=2e-3)


@pytest.mark.parametrize("n", [5, 6, 1, 2])
def test_the_density_of_a_median_is_that_of_simulated_ones(n: int) -> None:
    medians = np.median(AT_0.rvs((40000, n), random_state=1), axis=1)
    grid = np.exp(np.linspace(np.log(0.3), np.log(60.0), 41))
    log_f = jnp.log(5.0) + 0.4 * jnp.asarray(sobol_normals(1, 128, 1)[:, 0])
    density = np.exp(jax.vmap(lambda m: PeakSummary("cp", median=1.0, of=n).density(m, Scatter(log_f[None], 0.3, True)))(jnp.asarray(grid)))
    steps = np.diff(np.log(grid))
    mass = np.cumsum(0.5 * ((density * grid)[1:] + (density * grid)[:-1]) * steps)
    assert mass[-1] == pytest.approx(1.0, abs=3e-3)
    assert np.abs(mass - np.searchsorted(np.sort(medians), grid[1:]) / 40000).max() < 0.015


def test_three_reported_values_of_three_patients_are_their_densities() -> None:
    want = np.log(6) + AT_0.logpdf([3.0, 5.0, 9.0]).sum()
    assert value(PeakSummary("cp", low=3.0, median=5.0, high=9.0, of=3), START) == pytest.approx(want, abs=2e-3)


def test_range_and_odd_median_are_the_textbook_densities() -> None:
    range_ = extremes(7, np.log(AT_0.cdf(9.0) - AT_0.cdf(3.0)), AT_0.logpdf(3.0), AT_0.logpdf(9.0))
    assert value(PeakSummary("cp", low=3.0, high=9.0, of=7), START) == pytest.approx(float(range_), abs=2e-3)
    middle = odd_median(7, AT_0.logcdf(5.5), AT_0.logsf(5.5), AT_0.logpdf(5.5))
    assert value(PeakSummary("cp", median=5.5, of=7), START) == pytest.approx(float(middle), abs=2e-3)


def test_ordered_is_its_special_cases() -> None:
    assert float(ordered([0, 3, 0], [0.0, np.log(0.8), 0.0], [0.0, 0.0])) == pytest.approx(np.log(20 * 0.8**3), abs=1e-10)
    assert float(log_difference(np.log(0.8), np.log(0.3))) == pytest.approx(np.log(0.5), abs=1e-12)


def test_the_law_of_a_peak_is_the_product_over_visits() -> None:
    log_f = jnp.array([[0.0], [1.0], [-60.0]])
    below, density = peak_law(2.0, Scatter(log_f, 0.4, True))
    cdf = lambda x: stats.lognorm(0.4).cdf(x) * stats.lognorm(0.4, scale=np.e).cdf(x)  # noqa: E731
    assert float(below[0]) == pytest.approx(np.log(cdf(2.0)), abs=1e-10)
    assert float(density[0]) == pytest.approx(np.log((cdf(2.0 + 1e-5) - cdf(2.0 - 1e-5)) / 2e-5), abs=1e-7)


def test_mean_and_sd_follow_simulated_ones() -> None:
    y = stats.lognorm(0.25, scale=5.0).rvs((20000, 40), random_state=2)
    log_f = jnp.log(5.0) + 0.2 * jnp.asarray(sobol_normals(1, 1024, 1)[:, 0])
    mean, sd = np.linspace(4.2, 6.2, 81), np.linspace(0.6, 2.4, 81)
    density = np.exp(
        jax.vmap(lambda m: jax.vmap(lambda s: mean_and_sd(m, s, 40, moments(None, Scatter(log_f, 0.15, True))))(jnp.asarray(sd)))(
            jnp.asarray(mean)
        )
    )
    weight = density * (mean[1] - mean[0]) * (sd[1] - sd[0])
    assert weight.sum() == pytest.approx(1.0, abs=2e-3)
    for axis, grid, seen in ((1, mean, y.mean(1)), (0, sd, y.std(1, ddof=1))):
        centre = (weight.sum(axis) * grid).sum()
        spread = np.sqrt((weight.sum(axis) * (grid - centre) ** 2).sum())
        assert centre == pytest.approx(seen.mean(), rel=0.02)
        assert spread == pytest.approx(seen.std(), rel=0.1)


def test_responders_are_counted_by_the_mean_probability() -> None:
    term = Responders(lambda theta, f: 0.25 + 0.0 * f["cp"][0], 3, 8)
    assert value(term) == pytest.approx(stats.binom.logpmf(3, 8, 0.25), abs=1e-10)


ALL = (
    DetectableJointly("cp", (0.0, 5.0), 4.0, {"++": 5, "+-": 3, "--": 1}),
    PeakSummary("cp", low=2.0, median=5.0, high=9.0, of=14),
    MeanSd("cp", 0.0, 5.6, 2.8, 14),
    Responders(lambda theta, f: f["cp"][1] / (5.0 + f["cp"][1]), 6, 14),
)


@cache
def value_and_slope():
    return jax.jit(jax.value_and_grad(lambda s: summary_log_likelihood([(ARM, ALL)], LAW, NOISE, s, 64)))


@pytest.mark.slow
def test_the_gradient_is_the_finite_difference() -> None:
    f = value_and_slope()
    slope = f(SITES)[1]
    for name in SITES:
        up, down = (float(f(SITES | {name: SITES[name] + h})[0]) for h in (1e-5, -1e-5))
        assert float(slope[name]) == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("volume", [2e-6, 2e9])
def test_value_and_gradient_are_finite_far_from_the_data(volume: float) -> None:
    f, slope = value_and_slope()(SITES | {"V": volume, "sigma_cp": 0.01})
    assert np.isfinite([float(f), *map(float, slope.values())]).all()


@pytest.mark.slow
def test_the_error_falls_with_draws_and_enough_are_found() -> None:
    term = [(START, [PeakSummary("cp", low=2.0, high=9.0, of=14)])]
    few, many = (summary_error(term, LAW, NOISE, SITES, n) for n in (8, 2048))
    assert many < 0.1 * few
    draws = enough_draws(term, LAW, NOISE, SITES, start=8)
    assert summary_error(term, LAW, NOISE, SITES, draws) < 0.1 <= few
    with pytest.raises(FitError) as told:
        enough_draws(term, LAW, NOISE, SITES, start=8, most=8)
    assert str(told.value) == (
        f"The log-likelihood of the summaries has a standard error of {few:.2g} with 8 virtual subjects; below 0.1 is accepted. "
        "Raise `most`, or look for a term far from what the model predicts at these values."
    )


def test_the_spread_and_volume_of_a_large_arm_are_recovered_on_a_grid() -> None:
    n = 2001
    y = AT_0.rvs(n, random_state=3)
    arm = replace(START, n_patients=n)
    terms = [PeakSummary("cp", median=float(np.median(y)), of=n), MeanSd("cp", 0.0, float(y.mean()), float(y.std(ddof=1)), n)]
    f = jax.jit(jax.vmap(lambda v, w: summary_log_likelihood([(arm, terms)], LAW, NOISE, {"V": v, "omega_V": w, "sigma_cp": 0.3}, 256)))
    v, w = (x.ravel() for x in np.meshgrid(np.linspace(17, 23, 25), np.linspace(0.25, 0.55, 25)))
    best = int(np.argmax(f(jnp.asarray(v), jnp.asarray(w))))
    assert (v[best], w[best]) == (pytest.approx(20.0, abs=0.6), pytest.approx(0.4, abs=0.03))


@pytest.mark.slow
def test_the_numpyro_model_has_population_sites_and_the_factor_only() -> None:
    law = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=0.3),
        V=lognormal(dist.LogNormal(3.0, 0.5), between=0.4).effect("HER2", reference=2, prior=dist.Normal(0, 0.5)),
        correlation=Correlation(("CL", "V")),
    )
    arms = [(replace(START, covariates={"HER2": h}, name=f"HER2 {h}+"), [Detectable("cp", 0.0, 4.0, k, 14)]) for h, k in ((3, 9), (3, 5))]
    model = summary_model(arms, law, NOISE, 64)
    trace = handlers.trace(handlers.seed(model, jax.random.PRNGKey(0))).get_trace()
    assert [n for n, s in trace.items() if s["type"] == "sample"] == ["CL", "V", "beta_V_HER2", "chol_CL_V", "sigma_cp", "summaries"]
    assert "corr_CL_V" in trace and not [n for n in trace if n.startswith(("raw_", "eta_")) or n.endswith("_i")]
    sites = {"CL": 3.0, "V": 20.0, "beta_V_HER2": 0.2, "chol_CL_V": jnp.array([[1.0, 0.0], [0.6, 0.8]]), "sigma_cp": 0.3}
    p = stats.norm.cdf((np.log(5.0 / 4.0) - 0.2) / 0.5)
    want = stats.binom.logpmf(9, 14, p) + stats.binom.logpmf(5, 14, p)
    assert float(summary_log_likelihood(arms, law, NOISE, sites)) == pytest.approx(want, abs=5e-3)
    density = log_density(summary_model(arms, law, NOISE), (), {}, sites)[0]
    priors = [(dist.LogNormal(1.0, 0.5), "CL"), (dist.LogNormal(3.0, 0.5), "V"), (dist.Normal(0, 0.5), "beta_V_HER2")]
    priors += [(dist.HalfNormal(0.5), "sigma_cp"), (dist.LKJCholesky(2, 2.0), "chol_CL_V")]
    assert float(density - sum(d.log_prob(sites[n]) for d, n in priors)) == pytest.approx(want, abs=5e-3)


def test_correlated_subjects_have_the_correlation() -> None:
    law = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=0.3),
        V=lognormal(dist.LogNormal(3.0, 0.5), between=0.4),
        correlation=("CL", "V"),
    )
    sites = {"CL": 3.0, "V": 20.0, "chol_CL_V": jnp.array([[1.0, 0.0], [0.6, 0.8]])}
    theta = virtual_subjects(law, sites, sobol_normals(2, 1024, 1), {})
    assert np.corrcoef(np.log(theta["CL"]), np.log(theta["V"]))[0, 1] == pytest.approx(0.6, abs=0.01)


def test_doses_by_weight_and_patients_own_covariates() -> None:
    arm = replace(START, regimen=bolus((2, "mg/kg")), covariates={"WT": [50.0, 100.0]}, n_patients=2)
    p = 0.5 * (AT_0.sf(4.0) + stats.lognorm(0.5, scale=10.0).sf(4.0))
    assert value(Detectable("cp", 0.0, 4.0, 1, 1), arm, draws=128) == pytest.approx(np.log(p), abs=5e-3)


WHERE = " of arm 'arm': "
REFUSED = [
    (Detectable("cq", 0.0, 4.0, 1, 2), "Detectable" + WHERE + "one_compartment_iv has no observable 'cq'. Known: cp."),
    (Detectable("cp", 1.0, 4.0, 1, 2), "Detectable" + WHERE + "there is no visit at 1 h; the arm's times_h are 0, 5. Add it."),
    (Detectable("cp", 0.0, 4.0, 1, 15), "Detectable" + WHERE + "of=15, and the arm has 14 patients; of lies between 1 and that."),
    (Detectable("cp", 0.0, 4.0, 3, 2), "Detectable" + WHERE + "count=3 of=2: a count lies between 0 and of."),
    (Detectable("cp", 0.0, 0.0, 1, 2), "Detectable" + WHERE + "above=0 is not positive; give it in the unit of cp."),
    (
        DetectableJointly("cp", (0.0, 5.0), 4.0, {"+": 1}),
        "DetectableJointly" + WHERE + "the pattern '+' is not one sign + or - for each of the 2 visits; write '++'.",
    ),
    (PeakSummary("cp", of=3), "PeakSummary" + WHERE + "it has none of median, low and high; give at least one."),
    (
        PeakSummary("cp", low=3.0, median=3.0, of=9),
        "PeakSummary" + WHERE + "low < median < high does not hold: low=3, median=3; use values before rounding.",
    ),
    (
        PeakSummary("cp", low=3.0, median=4.0, of=2),
        "PeakSummary" + WHERE + "low and median of 2 patients are not different patients; leave one out.",
    ),
    (MeanSd("cp", 0.0, 4.0, 1.0, 1), "MeanSd" + WHERE + "a standard deviation needs of=2 patients or more."),
    (Responders(lambda theta, f: 0.5, 9, 8), "Responders" + WHERE + "count=9 of=8: a count lies between 0 and of."),
]


@pytest.mark.parametrize(("term", "text"), REFUSED)
def test_a_term_that_does_not_fit_is_refused(term, text: str) -> None:
    with pytest.raises(FitError) as told:
        value(term)
    assert str(told.value) == text


def test_two_counts_of_the_same_patients_are_refused() -> None:
    with pytest.raises(FitError) as told:
        summary_model([(ARM, [Detectable("cp", 0.0, 4.0, 9, 14), Detectable("cp", 5.0, 4.0, 3, 14)])], LAW, NOISE)
    assert str(told.value) == (
        "Arm 'arm' has two counts of detectable 'cp', at 0 h and at 5 h: the same patients, so not independent. "
        "Give one DetectableJointly with the number of patients of each pattern, or keep one visit."
    )


def test_missing_sites_other_errors_and_odd_draws_are_refused() -> None:
    one = [(ARM, [Detectable("cp", 0.0, 4.0, 9, 14)])]
    for lacking, noise, draws, text in [
        ("omega_V", NOISE, 8, "The summaries need a value of the site 'omega_V'. Known: V, sigma_cp."),
        ("sigma_cp", NOISE, 8, "The summaries need a value of the site 'sigma_cp'. Known: V, omega_V."),
        ("", {}, 8, "Detectable of arm 'arm': noise has no residual error of 'cp'. Known: none."),
        (
            "",
            {"cp": student_error(lognormal_error(0.2), 4.0)},
            8,
            "Detectable of arm 'arm': the summaries of 'cp' have no law under its observation 'Student t, lognormal'; accepted are additive_error, "
            "proportional_error, combined_error, power_error and lognormal_error, without limits_by, by_group, by_subject or autoregressive.",
        ),
        ("", NOISE, 100, "draws=100: Sobol points come in powers of two; give 128."),
    ]:
        with pytest.raises(FitError) as told:
            summary_log_likelihood(one, LAW, noise, {n: v for n, v in SITES.items() if n != lacking}, draws)
        assert str(told.value) == text


def test_patients_with_individual_data_are_not_counted_twice() -> None:
    check_no_overlap("trial A", [ARM, replace(ARM, patients="trial B")])
    with pytest.raises(FitError) as told:
        check_no_overlap("trial B", [ARM, replace(ARM, patients="trial B")])
    assert str(told.value) == (
        "Arm 'arm' summarises the patients 'trial B', whose individual data are in the fit: they would count twice. "
        "Leave the arm out, or the individual data."
    )


def test_arms_that_cannot_be_are_refused() -> None:
    with pytest.raises(FitError, match=r"^The times of arm 'arm' are finite hours, each later than the one before; got \[5.0, 0.0\]\.$"):
        replace(ARM, times_h=[5.0, 0.0])
    with pytest.raises(FitError, match=r"^Arm 'arm' has n_patients=0; give the number of patients, at least 1\.$"):
        replace(ARM, n_patients=0)
    with pytest.raises(FitError, match=r"^Covariate WT of arm 'arm' is \[1.0\]; give one finite number, or one for each of 14\.$"):
        replace(ARM, covariates={"WT": [1.0]})
