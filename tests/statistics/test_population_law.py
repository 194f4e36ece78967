"""The law of individual parameters does not depend on how they are sampled: exact densities through the change of variables."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer import Predictive
from scipy import stats

from pkpd import Correlation, Population, fixed, logit_normal, lognormal, normal, tied

N = 4
NOTHING: dict = {}
WEIGHTS = [0.0, 0.3, 1.0]


def trace(population, weights, values, covariates=NOTHING, n=N):
    """Sites of one run with given values, and theta."""
    run = handlers.seed(handlers.substitute(population.draw, data=values), jax.random.key(0))
    found = {}

    def model():
        found.update(run(covariates, n, weights))

    return handlers.trace(model).get_trace(), found


@pytest.mark.parametrize("w", WEIGHTS)
def test_the_density_of_phi_is_normal_whatever_the_centring(w):
    """log p(raw) + log |d raw / d phi| = log N(phi; m, omega), with raw = w m + (phi - m) omega^(w - 1)."""
    population = Population(CL=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)))
    typical, omega = 2.5, 0.37
    m = np.log(typical)
    phi = m + omega * np.array([-2.0, -0.1, 0.7, 3.0])
    raw = w * m + (phi - m) * omega ** (w - 1)
    sites, theta = trace(population, {"CL": w}, {"CL": typical, "omega_CL": omega, "raw_CL": jnp.asarray(raw)})
    density = sites["raw_CL"]["fn"].base_dist.log_prob(raw) + (w - 1) * np.log(omega)
    np.testing.assert_allclose(density, stats.norm(m, omega).logpdf(phi), rtol=1e-12)
    np.testing.assert_allclose(np.log(theta["CL"]), phi, rtol=1e-12)
    np.testing.assert_allclose(sites["eta_CL"]["value"], phi - m, atol=1e-13)
    np.testing.assert_allclose(sites["CL_i"]["value"], np.exp(phi), rtol=1e-12)


@pytest.mark.parametrize("w", WEIGHTS)
def test_correlated_effects_keep_their_joint_law(w):
    """The Jacobian d raw / d phi is worked out by automatic differentiation of phi(raw); the density is the bivariate normal's."""
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=0.4), V=lognormal(dist.LogNormal(3.0, 0.5), between=0.2), correlation=("CL", "V")
    )
    rho, mean, sd = 0.6, np.log([2.5, 30.0]), np.array([0.4, 0.2])
    chol = jnp.asarray([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])
    raw = jnp.asarray(np.random.default_rng(1).normal(size=(1, 2)) * 0.3 + w * mean)

    def phi(raw):
        sites, theta = trace(population, {"CL": w, "V": w}, {"CL": 2.5, "V": 30.0, "chol_CL_V": chol, "raw_CL_V": raw}, n=1)
        return jnp.log(jnp.stack([theta["CL"], theta["V"]], -1))[0], sites

    value, sites = phi(raw)
    slope = jax.jacobian(lambda r: phi(r[None])[0])(raw[0])
    density = sites["raw_CL_V"]["fn"].log_prob(raw) - np.linalg.slogdet(slope)[1]
    joint = stats.multivariate_normal(mean, [[sd[0] ** 2, rho * sd[0] * sd[1]], [rho * sd[0] * sd[1], sd[1] ** 2]])
    np.testing.assert_allclose(density, joint.logpdf(value), rtol=1e-11)
    np.testing.assert_allclose(sites["corr_CL_V"]["value"], rho, rtol=1e-14)


def test_weights_may_be_traced():
    """The geometry changes centring weights without compiling anew, so weights are arrays inside jit; correlated groups included."""
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=0.4),
        V=lognormal(dist.LogNormal(3.0, 0.5), between=0.2),
        ka=lognormal(dist.LogNormal(0.0, 0.5), between=0.3),
        correlation=("CL", "V"),
    )

    @jax.jit
    def draw(weights):
        return trace(population, weights, {"CL": 2.0, "V": 30.0, "ka": 1.0})[1]["CL"]

    for w in (0.0, 0.5, 1.0):
        assert np.isfinite(draw({n: jnp.asarray(w) for n in ("CL", "V", "ka")})).all()


def test_scales_fixed_tied_and_effects():
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=0.4)
        .effect("WT", reference=70, power=0.75)
        .effect("SEX", reference=0, prior=dist.Normal(0, 1)),
        F=logit_normal(dist.Beta(2, 2), between=0.5),
        E0=normal(dist.Normal(0, 1), between=2.0),
        V=fixed(30.0),
        Vp=tied("V", 2.0),
        k=tied("CL", 0.1),
    )
    covariates = {"WT": np.array([70.0, 35.0]), "SEX": np.array([0.0, 1.0])}
    eta = np.array([0.5, -1.0])
    values = {"CL": 2.0, "F": 0.3, "E0": -1.0, "beta_CL_SEX": 0.2} | {f"raw_{n}": jnp.asarray(eta) for n in ("CL", "F", "E0")}
    sites, theta = trace(population, NOTHING, values, covariates, n=2)
    cl = 2.0 * np.array([1.0, 0.5**0.75 * np.exp(0.2)]) * np.exp(0.4 * eta)
    np.testing.assert_allclose(theta["CL"], cl, rtol=1e-12)
    np.testing.assert_allclose(theta["F"], 1 / (1 + np.exp(-(np.log(0.3 / 0.7) + 0.5 * eta))), rtol=1e-12)
    np.testing.assert_allclose(theta["E0"], -1.0 + 2.0 * eta, rtol=1e-12)
    np.testing.assert_allclose([theta["V"], theta["Vp"]], [30.0, 60.0], rtol=1e-12)
    np.testing.assert_allclose(theta["k"], 0.1 * cl, rtol=1e-12)
    typical = population.typical({n: jnp.asarray(v) for n, v in values.items()}, covariates)
    np.testing.assert_allclose(typical["CL"], 2.0 * np.array([1.0, 0.5**0.75 * np.exp(0.2)]), rtol=1e-12)
    assert population.sites(covariates) == ["CL", "F", "E0", "beta_CL_SEX"]
    assert set(population.sites(covariates)) <= set(sites)


def test_the_sites_are_the_documented_ones():
    half = dist.HalfNormal(0.5)
    made = {n: lognormal(dist.LogNormal(0.0, 1.0), between=half) for n in ("CL", "V", "ka")}
    population = Population(**made, correlation=Correlation(("CL", "V"), 1.0))
    sites, _ = trace(population, NOTHING, {})
    public = {"CL", "V", "ka", "omega_CL", "omega_V", "omega_ka", "corr_CL_V"} | {
        f"{p}{n}{s}" for n in made for p, s in (("eta_", ""), ("", "_i"))
    }
    assert public | {"chol_CL_V", "raw_CL_V", "raw_ka"} == set(sites)
    assert set(population.sites(NOTHING)) == {"CL", "V", "ka", "omega_CL", "omega_V", "omega_ka", "corr_CL_V"}


def test_prior_draws_have_the_stated_correlation_and_spread():
    """LKJ(1) in two dimensions is uniform on (-1, 1): variance 1/3; phi has sd omega. 20 000 draws, four standard errors."""
    population = Population(
        CL=lognormal(dist.LogNormal(0.0, 0.1), between=0.4),
        V=lognormal(dist.LogNormal(0.0, 0.1), between=0.2),
        correlation=Correlation(("CL", "V"), 1.0),
    )

    def model():
        population.draw(NOTHING, 1, {"CL": 1.0, "V": 1.0})

    draws = Predictive(model, num_samples=20_000)(jax.random.key(1))
    np.testing.assert_allclose(np.var(draws["corr_CL_V"]), 1 / 3, atol=4 * 0.3 / np.sqrt(20_000))
    np.testing.assert_allclose(np.std(draws["eta_CL"]), 0.4, rtol=4 / np.sqrt(40_000))
    np.testing.assert_allclose(np.std(draws["eta_V"]), 0.2, rtol=4 / np.sqrt(40_000))


def test_numpyro_has_nothing_to_warn_of():
    """Plates that are missing, event shapes that do not fit and the like show as warnings; none may."""
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)),
        V=lognormal(dist.LogNormal(3.0, 0.5), between=dist.HalfNormal(0.5)),
        F=logit_normal(dist.Beta(2, 2), between=0.5),
        correlation=("CL", "V"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for w in WEIGHTS:
            sites, _ = trace(population, {"CL": w, "V": w, "F": w}, {})
            for site in sites.values():
                if site["type"] == "sample":
                    assert site["fn"].log_prob(site["value"]).shape == ()
