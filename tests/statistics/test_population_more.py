"""Building blocks, weights by subject, exponential effects, occasions, covariates that change in time and Box-Cox etas: exact laws and sentences."""

from fractions import Fraction
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import special, stats

from pkpd import Population, logit_normal, lognormal, tied
from pkpd.errors import FitError
from pkpd.population import boxcox
from pkpd.population.blocks import boxcox_eta, covariate_effect, iiv


def test_a_hand_written_model_has_the_same_density():
    prior, half, beta = dist.LogNormal(1.0, 0.5), dist.HalfNormal(0.5), dist.Normal(0.0, 1.0)
    population, wt = Population(CL=lognormal(prior, half).effect("WT", reference=70, power=beta)), np.array([50.0, 70.0, 90.0])
    w = jnp.asarray([0.0, 0.4, 1.0])

    def hand():
        mean = jnp.log(numpyro.sample("CL", prior)) + covariate_effect(wt, 70.0, numpyro.sample("beta_CL_WT", beta))
        iiv("CL", mean, numpyro.sample("omega_CL", half), 3, w)

    values = {"CL": 2.5, "beta_CL_WT": 0.7, "omega_CL": 0.4, "raw_CL": jnp.asarray([0.1, 0.5, 1.2])}
    ours = log_density(lambda: population.draw({"WT": wt}, 3, {"CL": w}) and None, (), {}, values)[0]
    np.testing.assert_allclose(ours, log_density(hand, (), {}, values)[0], rtol=1e-12)


def test_weights_by_subject_keep_the_joint_law_of_a_group():
    population = Population(CL=lognormal(dist.LogNormal(1, 1), 0.4), V=lognormal(dist.LogNormal(3, 1), 0.2), correlation=("CL", "V"))
    w, m = np.array([[0.0, 1.0], [0.3, 0.6]]), np.log([2.5, 30.0])
    phi = m + np.array([[0.3, -0.1], [-0.5, 0.2]])
    a = np.stack([m[0] + 0.048 / 0.04 * (phi[:, 1] - m[1]), np.full(2, m[1])], -1)  # V, with the larger weights, comes first; CL is given V
    s = np.array([np.sqrt(0.16 - 0.048**2 / 0.04), 0.2])
    raw, chol = w * a + (phi - a) * s ** (w - 1), jnp.asarray([[1.0, 0.0], [0.6, 0.8]])
    values = {"CL": 2.5, "V": 30.0, "chol_CL_V": chol, "raw_CL_V": jnp.asarray(raw)}
    run = handlers.trace(handlers.seed(handlers.substitute(population.draw, data=values), jax.random.key(0)))
    sites = run.get_trace({}, 2, {"CL": jnp.asarray(w[:, 0]), "V": jnp.asarray(w[:, 1])})
    density = sites["raw_CL_V"]["fn"].log_prob(raw) + ((w - 1) * np.log(s)).sum()
    cov = np.array([[0.16, 0.048], [0.048, 0.04]])
    np.testing.assert_allclose(density, stats.multivariate_normal(m, cov).logpdf(phi).sum(), rtol=1e-11)


def traced(population, values, covariates, n, weights=None):
    """Sites of one run with given values, and what `draw` returns."""
    found = {}
    run = handlers.seed(handlers.substitute(population.draw, data=values), jax.random.key(0))
    sites = handlers.trace(lambda: found.update(run(covariates, n, weights or {}))).get_trace()
    return sites, found


def test_an_exponential_effect_adds_beta_times_the_distance_from_the_reference():
    """theta exp(beta (x - ref)) on the log scale, logit theta + beta (x - ref) on the logit scale; a fixed slope is no site."""
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5)).effect("AGE", reference=40, slope=dist.Normal(0.0, 0.1)),
        F=logit_normal(dist.Beta(2, 2)).effect("AGE", reference=40, slope=-0.05),
    )
    age = {"AGE": np.array([40.0, 30.0, 65.0])}
    values = {"CL": 2.0, "F": 0.3, "beta_CL_AGE": 0.02}
    _, theta = traced(population, values, age, 3)
    cl, f = 2.0 * np.exp(0.02 * (age["AGE"] - 40)), special.expit(special.logit(0.3) - 0.05 * (age["AGE"] - 40))
    np.testing.assert_allclose(theta["CL"], cl, rtol=1e-12)
    np.testing.assert_allclose(theta["F"], f, rtol=1e-12)
    typical = population.typical(values, age)
    np.testing.assert_allclose([typical["CL"], typical["F"]], [cl, f], rtol=1e-12)
    assert population.sites(age) == ["CL", "F", "beta_CL_AGE"]


OCC = {"levels:OCC": np.array([1.0, 2.0, 5.0])}


def test_deviations_by_occasion_are_normal_with_sd_gamma():
    """log p(raw) - K log gamma = sum log N(kappa; 0, gamma); kappa stands beside theta and does not move it."""
    half = dist.HalfNormal(0.3)
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), 0.4).over("OCC", half), V=lognormal(dist.LogNormal(3.0, 0.5)).over("OCC", 0.1)
    )
    raw, gamma = np.array([[0.3, -1.0, 2.0], [0.0, 0.7, -0.2]]), 0.25
    values = {
        "CL": 2.5,
        "V": 30.0,
        "gamma_CL": gamma,
        "raw_CL": jnp.zeros(2),
        "raw_occ_CL": jnp.asarray(raw),
        "raw_occ_V": jnp.asarray(raw),
    }
    sites, theta = traced(population, values, OCC, 2)
    kappa = np.stack([theta[f"kappa_CL_{k}"] for k in range(3)], -1)
    np.testing.assert_allclose(kappa, gamma * raw, rtol=1e-14)
    density = sites["raw_occ_CL"]["fn"].log_prob(raw) - raw.size * np.log(gamma)
    np.testing.assert_allclose(density, stats.norm(0, gamma).logpdf(kappa).sum(), rtol=1e-12)
    np.testing.assert_allclose(sites["gamma_CL"]["fn"].log_prob(gamma), stats.halfnorm(scale=0.3).logpdf(gamma), rtol=1e-12)
    np.testing.assert_allclose(theta["kappa_V_1"], 0.1 * raw[:, 1], rtol=1e-14)
    np.testing.assert_allclose(theta["CL"], [2.5, 2.5], rtol=1e-14)
    assert set(theta) == {"CL", "V"} | {f"kappa_{n}_{k}" for n in ("CL", "V") for k in range(3)}


def test_occasions_have_a_place_in_sites_and_none_in_the_typical_subject():
    half = dist.HalfNormal(0.3)
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), half).effect("WT", reference=70, power=dist.Normal(0.75, 0.1)).over("OCC", half),
        V=lognormal(dist.LogNormal(3.0, 0.5), half),
        correlation=("CL", "V"),
    )
    covariates = OCC | {"WT": np.array([70.0, 35.0])}
    assert population.occasions == {"CL": "OCC"}
    assert population.sites(covariates) == ["CL", "V", "beta_CL_WT", "omega_CL", "omega_V", "gamma_CL", "corr_CL_V"]
    values = {"CL": 2.0, "V": 30.0, "beta_CL_WT": 0.75}
    assert set(population.typical(values, covariates)) == {"CL", "V"}
    at = population.at_medians(covariates, 2)
    for k in range(3):
        np.testing.assert_array_equal(at[f"kappa_CL_{k}"], [0.0, 0.0])
    np.testing.assert_allclose(at["CL"], np.exp(1.0) * np.array([1.0, 0.5**0.75]), rtol=1e-12)


def test_covariates_that_change_in_time_leave_the_mean_and_hand_over_their_slope():
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), 0.4)
        .effect("CRCL", reference=90, power=dist.Normal(0.5, 0.2))
        .effect("AGE", reference=40, slope=0.01)
        .effect("DDI", reference=0, prior=dist.Normal(0, 1))
        .effect("WT", reference=70, power=0.75),
    )
    covariates = {"CRCL": np.array([90.0, 45.0]), "AGE": np.array([50.0, 60.0]), "DDI": np.zeros(2), "WT": np.array([70.0, 35.0])}
    covariates |= {"changing": ("CRCL", "AGE", "DDI"), "levels:DDI": np.array([0.0, 1.0])}
    values = {"CL": 2.0, "beta_CL_CRCL": 0.6, "beta_CL_DDI": -0.3, "raw_CL": jnp.zeros(2)}
    slopes = {"slope_CL_CRCL": 0.6, "slope_CL_AGE": 0.01, "slope_CL_DDI": -0.3}
    assert population.sites(covariates) == ["CL", "beta_CL_CRCL", "beta_CL_DDI"]
    for got in (traced(population, values, covariates, 2)[1], population.typical(values, covariates)):
        assert set(got) == {"CL", *slopes}
        np.testing.assert_allclose(got["CL"], 2.0 * np.array([1.0, 0.5**0.75]), rtol=1e-12)
        for name, slope in slopes.items():
            assert jnp.shape(got[name]) == () and float(got[name]) == slope
    at = population.at_medians(covariates, 2)
    np.testing.assert_allclose(at["slope_CL_CRCL"], [0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("shape", [-0.8, 0.0, 1e-9, 0.7])
def test_a_box_cox_eta_has_its_density(shape):
    """p(phi) = N(eta; 0, omega) / (1 + shape (phi - m)), eta = log(1 + shape (phi - m)) / shape; whatever weight is asked for."""
    population = Population(CL=boxcox(dist.LogNormal(1.0, 0.5), dist.HalfNormal(0.5), dist.Normal(0, 1)))
    omega, m, raw = 0.4, np.log(2.5), jnp.asarray([-2.0, 0.0, 0.3, 1.7])

    def phi(raw):
        values = {"CL": 2.5, "omega_CL": omega, "shape_CL": shape, "raw_CL": raw}
        sites, theta = traced(population, values, {}, 4, {"CL": 1.0})
        return jnp.log(theta["CL"]), sites

    value, sites = phi(raw)
    slope = jax.jvp(lambda r: phi(r)[0], (raw,), (jnp.ones(4),))[1]
    density = sites["raw_CL"]["fn"].base_dist.log_prob(raw) - jnp.log(slope)
    bend = 1.0 + shape * (value - m)
    eta = np.log1p(shape * (value - m)) / shape if shape else value - m
    np.testing.assert_allclose(density, stats.norm(0, omega).logpdf(eta) - np.log(bend), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(sites["eta_CL"]["value"], omega * raw, rtol=1e-13)
    np.testing.assert_allclose(sites["CL_i"]["value"], np.exp(value), rtol=1e-13)


def test_the_bend_is_smooth_where_the_series_takes_over():
    """Against the power series in exact fractions: value and slopes in eta and shape, on both sides of shape eta = 0.3 and at 0."""
    for e, s in (
        (0.5, 0.1),
        (0.5, 0.59999),
        (0.5, 0.60001),
        (-1.0, 0.299),
        (-1.0, 0.301),
        (3.0, 2.0),
        (0.4, 1e-12),
        (0.4, 0.0),
        (0.0, 0.5),
    ):
        x = Fraction(e) * Fraction(s)
        value = Fraction(e) * sum(x**k / factorial(k + 1) for k in range(60))
        in_shape = Fraction(e) ** 2 * sum(k * x ** (k - 1) / factorial(k + 1) for k in range(1, 60))
        np.testing.assert_allclose(boxcox_eta(e, s), float(value), rtol=1e-14)
        np.testing.assert_allclose(jax.grad(boxcox_eta, (0, 1))(e, s), [np.exp(e * s), float(in_shape)], rtol=1e-12)


def test_a_box_cox_eta_may_be_correlated():
    """eta of the group are bivariate normal with the stated omegas; only the bent parameter is moved by its shape."""
    population = Population(
        CL=boxcox(dist.LogNormal(1.0, 0.5), 0.4, 0.5), V=lognormal(dist.LogNormal(3.0, 0.5), 0.2), correlation=("CL", "V")
    )
    chol, eta = jnp.asarray([[1.0, 0.0], [0.6, 0.8]]), np.array([[0.5, -1.0], [1.5, 0.2]])
    raw = np.linalg.solve(chol, eta.T).T  # non-centred both, whatever is asked of the bent one
    values = {"CL": 2.5, "V": 30.0, "chol_CL_V": chol, "raw_CL_V": jnp.asarray(raw)}
    sites, theta = traced(population, values, {}, 2, {"CL": 1.0, "V": 0.0})
    np.testing.assert_allclose(sites["raw_CL_V"]["fn"].log_prob(raw), stats.norm.logpdf(raw).sum(), rtol=1e-12)
    np.testing.assert_allclose(theta["CL"], 2.5 * np.exp((np.exp(0.5 * 0.4 * eta[:, 0]) - 1) / 0.5), rtol=1e-12)
    np.testing.assert_allclose(theta["V"], 30.0 * np.exp(0.2 * eta[:, 1]), rtol=1e-12)
    assert population.sites({}) == ["CL", "V", "corr_CL_V"]
    assert Population(CL=boxcox(dist.LogNormal(1, 1), dist.HalfNormal(1), dist.Normal(0, 1))).sites({}) == ["CL", "omega_CL", "shape_CL"]


CL = lognormal(dist.LogNormal(1.0, 0.5), 0.4)
SCORED = Population(CL=CL.effect("STAGE", reference=1, prior=dist.Normal(0, 1)))
OVER, TIED = (
    CL.over("OCC", 0.2),
    " while a tied parameter takes one value a subject. Give 'k' a prior of its own, or let a component read 'CL' in its place.",
)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OVER.over("DAY", 0.2), "The parameter varies over 'OCC' and over 'DAY'; one column of occasions is accepted. Keep one."),
        (
            lambda: tied("CL").over("OCC", 0.2),
            "A tied parameter has no occasions of its own: it follows 'CL'. Put .over('OCC', ...) there.",
        ),
        (
            lambda: CL.over("OCC", None),
            "over('OCC', None) takes a prior of the standard deviation gamma, dist.HalfNormal(0.3) for example, or a number.",
        ),
        (
            lambda: CL.over("OCC", dist.Normal(0, 1)),
            "over(gamma=Normal(...)): a standard deviation is positive; take dist.HalfNormal(0.5), for example.",
        ),
        (lambda: CL.over("OCC", 0.0), "over(gamma=0): a standard deviation is positive; leave it out for a parameter that does not vary."),
        (
            lambda: traced(Population(CL=OVER), {}, {}, 2),
            "'CL' varies over 'OCC', whose levels are not given. Give covariates['levels:OCC'].",
        ),
        (lambda: Population(CL=OVER, k=tied("CL")), "'k' is tied to 'CL', which varies over 'OCC'," + TIED),
        (
            lambda: traced(Population(CL=SCORED.parameters["CL"], k=tied("CL")), {}, {"STAGE": np.ones(2), "changing": ("STAGE",)}, 2),
            "'k' is tied to 'CL', which has an effect of STAGE, which changes within a subject," + TIED,
        ),
        (
            lambda: SCORED.sites({"STAGE": np.array([1.0, 2.0]), "changing": ("STAGE",), "levels:STAGE": np.array([1.0, 2.0, 3.0])}),
            "The effect of STAGE on 'CL' has 2 coefficients and STAGE changes within a subject; an effect that does has one. Accepted are "
            "power=..., slope=... and a categorical prior=... with two levels. Merge levels of STAGE until there are two.",
        ),
        (
            lambda: boxcox(dist.LogNormal(1, 1), None, 0.5),
            "boxcox(between=None): a shape bends the random effects, which need a spread; give between=dist.HalfNormal(0.5), for example.",
        ),
        (
            lambda: boxcox(dist.LogNormal(1, 1), 0.4, "up"),
            "boxcox(shape='up') takes a prior, dist.Normal(0, 0.5) for example, or a number.",
        ),
        (
            lambda: boxcox(dist.Normal(0, 1), 0.4, 0.5),
            "boxcox(prior=Normal(...)): this prior reaches values that are not positive; choose one that does not.",
        ),
    ],
)
def test_refused(make, words):
    with pytest.raises(FitError) as refusal:
        make()
    assert str(refusal.value) == words
