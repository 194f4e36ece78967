"""The regularised horseshoe: its law, its density, its gradient, its bookkeeping; and, slow, a fit with two real effects among eight."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

from pkpd import (
    FitError,
    FitProblem,
    Population,
    Sampler,
    effect_table,
    horseshoe,
    horseshoe_scale,
    lognormal,
    proportional_error,
    read_cohort,
    sample,
    simulate,
)
from pkpd.inference.assemble import prior_draws
from pkpd.inference.predictive import Predictive
from pkpd.inference.report_facts import _sampled
from pkpd.models.classic import one_compartment_iv
from pkpd.population.shrink import spread
from pkpd.simulate.stream import _from_population
from tests import small

X = np.array([-1.2, 0.3, 0.5, 1.4])
SEX = np.array([0.0, 1.0, 1.0, 0.0])
SEEN = {"X": X, "SEX": SEX}


def population(hs=None):
    hs = hs or horseshoe(0.1, slab=0.5)
    cl = lognormal(dist.LogNormal(1.0, 0.5), dist.HalfNormal(0.5)).effect("X", reference=0.2, slope=hs, per=2.0)
    v = lognormal(dist.LogNormal(3.0, 0.5)).effect("SEX", reference=0, prior=hs)
    return Population(CL=cl, V=v)


VALUES = {
    "CL": 2.5,
    "V": 20.0,
    "omega_CL": 0.3,
    "raw_CL": jnp.asarray([0.1, -0.4, 0.8, 1.0]),
    "shrink_horseshoe": 0.07,
    "slab_horseshoe": 0.4,
}
VALUES |= {"local_beta_CL_X": 3.0, "raw_beta_CL_X": -0.8, "local_beta_V_SEX": 0.2, "raw_beta_V_SEX": 1.1}


def by_hand():
    """The equations of Piironen & Vehtari as they print them."""
    tau = numpyro.sample("shrink_horseshoe", dist.HalfCauchy(0.1))
    c2 = numpyro.sample("slab_horseshoe", dist.InverseGamma(2.0, 2.0 * 0.5**2))

    def beta(site):
        lam = numpyro.sample(f"local_{site}", dist.HalfCauchy(1.0))
        return numpyro.sample(f"raw_{site}", dist.Normal(0, 1)) * jnp.sqrt(c2 * lam**2 / (c2 + tau**2 * lam**2)) * tau

    cl = jnp.log(numpyro.sample("CL", dist.LogNormal(1.0, 0.5))) + beta("beta_CL_X") * (X - 0.2) / 2.0
    v = jnp.log(numpyro.sample("V", dist.LogNormal(3.0, 0.5))) + beta("beta_V_SEX") * (SEX == 1)
    omega = numpyro.sample("omega_CL", dist.HalfNormal(0.5))
    raw = numpyro.sample("raw_CL", dist.Normal(jnp.zeros(4), 1.0).to_event(1))
    eta = cl + omega * raw
    numpyro.factor("seen", dist.Normal(eta, 0.2).log_prob(1.0).sum() + dist.Normal(v, 0.2).log_prob(3.0).sum())


def ours():
    theta = population().draw(SEEN, 4, {})
    seen = dist.Normal(jnp.log(theta["CL"]), 0.2).log_prob(1.0).sum() + dist.Normal(jnp.log(theta["V"]), 0.2).log_prob(3.0).sum()
    numpyro.factor("seen", seen)


def test_a_hand_written_model_has_the_same_density():
    """To 1e-12 relative: the same sums in another order."""
    np.testing.assert_allclose(log_density(ours, (), {}, VALUES)[0], log_density(by_hand, (), {}, VALUES)[0], rtol=1e-12)


@pytest.mark.slow
def test_the_prior_of_a_coefficient_is_that_of_a_direct_simulation():
    """Two-sample Kolmogorov-Smirnov of 20 000 draws each for a coefficient, and for |beta_1 beta_2|, which sees the shared tau; each at 1e-4: a false
    alarm once in 5000 runs of the test, and the seeds are fixed.
    """
    draw = lambda key: handlers.trace(handlers.seed(population().draw, key)).get_trace(SEEN, 4, {})  # noqa: E731
    sites = jax.vmap(lambda key: {n: draw(key)[n]["value"] for n in ("beta_CL_X", "beta_V_SEX")})(
        jax.random.split(jax.random.key(3), 20000)
    )
    rng, n = np.random.default_rng(4), 20000
    tau, c2 = 0.1 * np.abs(rng.standard_cauchy(n)), 2 * 0.5**2 / rng.gamma(2.0, size=n)
    m = tau * np.abs(rng.standard_cauchy((2, n)))
    beta = rng.standard_normal((2, n)) * np.sqrt(c2 * m**2 / (c2 + m**2))
    ours = np.array([sites["beta_CL_X"], sites["beta_V_SEX"]])
    assert stats.ks_2samp(ours[0], beta[0]).pvalue > 1e-4
    assert stats.ks_2samp(np.abs(ours.prod(0)), np.abs(beta.prod(0))).pvalue > 1e-4
    alone = np.asarray(horseshoe(0.1, slab=0.5).sample(jax.random.key(9), (n,)))  # what prior_text takes quantiles of
    assert stats.ks_2samp(alone, beta[1]).pvalue > 1e-4


@pytest.mark.parametrize("u", [-300.0, -20.0, 0.0, 20.0, 300.0])
def test_value_and_gradient_are_finite_at_any_scale(u):
    """tau, lambda and c^2 at exp(u): gradients of beta in their logarithms against their closed forms, to rounding."""
    f = lambda z: spread(jnp.exp(z[0]), jnp.exp(z[1]), jnp.exp(z[2]))  # noqa: E731
    for z in ([u, 0.0, 0.0], [0.0, u, 0.0], [0.0, 0.0, u], [u, u, 0.0], [-u, u, u]):
        value, grad = jax.value_and_grad(f)(jnp.asarray(z))
        log_w = -0.5 * np.logaddexp(-2 * (z[0] + z[1]), -z[2])
        share, other = (
            np.exp(2 * (log_w - z[0] - z[1])),
            np.exp(2 * log_w - z[2]),
        )  # of c^2 and of m^2 in their sum: d log w / d log m, d log c
        np.testing.assert_allclose(value, np.exp(log_w), rtol=1e-12)
        np.testing.assert_allclose(grad, np.exp(log_w) * np.array([share, share, other / 2]), rtol=1e-9, atol=1e-15 * np.exp(log_w))


def hs_problem(**changes):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 6))
    table = small.records()
    table = table.assign(A=x[0][table["ID"] - 1], B=x[1][table["ID"] - 1])
    cohort = read_cohort(table, model=one_compartment_iv, units=small.UNITS, covariates=["A", "B"])
    hs = horseshoe(horseshoe_scale(1, 3, 6, 0.3))
    cl = lognormal(dist.LogNormal(1.0, 0.7), dist.HalfNormal(0.5)).effect("A", reference=0, slope=hs).effect("B", reference=0, slope=hs)
    v = lognormal(dist.LogNormal(3.0, 0.7), dist.HalfNormal(0.5)).effect("A", reference=0, slope=hs)
    return FitProblem(one_compartment_iv, cohort, Population(CL=cl, V=v), {"cp": proportional_error(dist.HalfNormal(0.5))}, **changes)


def test_the_gradient_of_the_posterior_is_its_finite_difference():
    """In the sampler's coordinates (logarithms of what is positive). Central differences with step 1e-5 of a density of order 1e2: truncation 1e-10
    and rounding 1e-9, so 1e-6 of the largest is ample.
    """
    positive = {n for n in VALUES if not n.startswith("raw_")}
    names = [n for n in VALUES if n != "raw_CL"]
    start = jnp.asarray([float(np.log(VALUES[n])) if n in positive else VALUES[n] for n in names])

    def at(z):
        own = {n: (jnp.exp(x) if n in positive else x) for n, x in zip(names, z, strict=True)}
        return log_density(ours, (), {}, {**own, "raw_CL": VALUES["raw_CL"]})[0]

    value, grad = jax.jit(jax.vmap(at)), np.asarray(jax.jit(jax.grad(at))(start))
    step = 1e-5 * np.eye(len(names))
    numeric = (value(start + step) - value(start - step)) / 2e-5
    np.testing.assert_allclose(grad, numeric, atol=1e-6 * np.abs(grad).max())


@pytest.mark.slow
def test_sites_texts_and_predictions_know_the_horseshoe():
    problem = hs_problem()
    betas, shared = ["beta_CL_A", "beta_CL_B", "beta_V_A"], ["shrink_horseshoe", "slab_horseshoe"]
    assert problem.population_sites == ["CL", "V", *betas, "omega_CL", "omega_V", *shared, "sigma_cp"]
    told = {line["name"]: line for line in _sampled(problem)}
    assert told["beta_CL_A"]["meaning"] == "change of log CL per 1 of A"
    assert told["beta_CL_A"]["prior"].startswith("regularised horseshoe 'horseshoe': median ")
    assert told["shrink_horseshoe"]["prior"].startswith("HalfCauchy: median 0.0")
    assert told["shrink_horseshoe"]["meaning"] == "global shrinkage tau of horseshoe"
    assert set(betas + shared) <= set(prior_draws(problem, jax.random.key(0), 8).data_vars)
    at = problem.population.at_medians(problem.design, 6)
    np.testing.assert_allclose(at["CL"], np.exp(1.0), rtol=1e-12)  # z at its mean 0: no effect at the median

    trace = handlers.trace(handlers.seed(problem.population.draw, jax.random.key(5))).get_trace(problem.design, 6, {})
    latent = {n: s["value"] for n, s in trace.items() if s["type"] == "sample"}
    assert "beta_CL_A" not in latent and "local_beta_CL_A" in latent
    beta = {n: float(trace[n]["value"]) for n in betas}
    predictive, a = Predictive(problem, {}), problem.covariates["A"]
    expected = latent["V"] * np.exp(beta["beta_V_A"] * a)
    np.testing.assert_allclose(predictive.typical(latent)["V"], expected, rtol=1e-12)
    np.testing.assert_allclose(predictive.typical({**latent, **beta})["V"], expected, rtol=1e-12)
    # new subjects: their own random effects, the same coefficients (omega_V nearly 0 leaves the typical value)
    few = {**latent, "omega_V": 1e-9}
    for key in (1, 2):
        new = predictive.new(few, jax.random.key(key), problem.covariates, 6)
        np.testing.assert_allclose(new["V"], expected, rtol=1e-7)


def test_bands_of_a_population_hold_the_coefficients_at_their_medians():
    """With z at 0 the candidates do nothing; V has no random effect, so every subject is typical."""
    v = lognormal(dist.LogNormal(3.0, 0.5)).effect("X", reference=0, slope=horseshoe(0.5))
    found = _from_population(Population(V=v), {"X": 3.0}, jax.random.key(2), 5)
    np.testing.assert_allclose(found["V"], np.exp(3.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: horseshoe(0.0),
            "horseshoe(scale=0.0): a positive number is needed; horseshoe_scale(...) gives a scale, slab=1 is common.",
        ),
        (
            lambda: horseshoe(1, slab=-2),
            "horseshoe(slab=-2): a positive number is needed; horseshoe_scale(...) gives a scale, slab=1 is common.",
        ),
        (
            lambda: horseshoe(1, name="a b"),
            "horseshoe(name='a b'): a name of letters, digits and _ is needed; its sites are shrink_<name> and slab_<name>.",
        ),
        (lambda: horseshoe_scale(8, 8, 40, 0.3), "horseshoe_scale(expected=8, candidates=8): expected lies between 0 and candidates."),
        (
            lambda: horseshoe_scale(2, 8, 40, 0.0),
            "horseshoe_scale(n=40, sd=0.0): at least one subject and a positive standard deviation are needed.",
        ),
        (
            lambda: Population(
                CL=lognormal(dist.LogNormal(1, 1)).effect("A", reference=0, slope=horseshoe(1)).effect("B", reference=0, slope=horseshoe(1))
            ),
            "Two horseshoes are called 'horseshoe'. Give the same object to all effects that share it, or name them: "
            "horseshoe(..., name='horseshoe_2').",
        ),
        (
            lambda: lognormal(dist.LogNormal(1, 1)).effect("A", reference=1, power=horseshoe(1), per=2.0),
            "The effect of A has per=2: a positive number, and of slope=... only.",
        ),
    ],
)
def test_refused(make, words):
    with pytest.raises(FitError) as caught:
        make()
    assert str(caught.value) == words


def cohort_with_candidates(n=40, seed=11):
    """Simulated: CL 3 exp(0.35 X1 - 0.3 X5) with omega 0.2, V 20 with omega 0.2, 10 % error, six samples; eight standard normal candidates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8))
    x = (x - x.mean(0)) / x.std(0)
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1}
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for t in (0.5, 2.0, 6.0, 12.0, 18.0, 24.0)]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(n) for row in (dose, *looks)])
    cl = 3.0 * np.exp(0.35 * x[:, 0] - 0.3 * x[:, 4] + 0.2 * rng.normal(size=n))
    theta = {"CL": cl, "V": 20.0 * np.exp(0.2 * rng.normal(size=n))}
    f = simulate(one_compartment_iv, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    seen = (table["EVID"] == 0).to_numpy()
    table = table.assign(DV=np.where(seen, f * (1 + 0.1 * rng.normal(size=len(f))), np.nan), CENS=0, DVID=np.where(seen, "cp", ""))
    return table.assign(**{f"X{j + 1}": x[table["ID"] - 1, j] for j in range(8)})


@pytest.mark.slow
def test_two_real_effects_among_eight_are_kept_and_the_others_shrunk():
    """One fit of 40 subjects with a fixed seed. A coefficient's shrinkage factor is k = 1 / (1 + w^2 / se^2), se = 0.21 / sqrt(40) its standard error
    under a flat prior (omega 0.2 and the error of a subject's CL); 0 is kept, 1 shrunk away. An effect of ten standard errors has k near 0; a null's
    estimate lies within 2.6 se with probability 0.99, and the horseshoe pulls it towards 0.
    """
    names = [f"X{j}" for j in range(1, 9)]
    cohort = read_cohort(cohort_with_candidates(), model=one_compartment_iv, units=small.UNITS, covariates=names)
    hs = horseshoe(horseshoe_scale(2, 8, 40, 0.3))
    cl = lognormal(dist.LogNormal(1.0, 0.7), dist.HalfNormal(0.5))
    for name in names:
        cl = cl.effect(name, reference=0, slope=hs)
    v = lognormal(dist.LogNormal(3.0, 0.7), dist.HalfNormal(0.5))
    noise = {"cp": proportional_error(dist.HalfNormal(0.5))}
    problem = FitProblem(one_compartment_iv, cohort, Population(CL=cl, V=v), noise, name="candidates", simulated=True)
    fit = sample(problem, seed=3, sampler=Sampler(chains=2, draws=700, warmup=700, target_accept=0.97), progress=False)
    posterior = fit.tree["posterior"]
    get = lambda n: posterior[n].to_numpy().ravel()  # noqa: E731
    w = {n: np.asarray(spread(get("shrink_horseshoe"), get(f"local_beta_CL_{n}"), get("slab_horseshoe"))) for n in names}
    k = {n: float(np.mean(1 / (1 + w[n] ** 2 / (0.21**2 / 40)))) for n in names}
    beta = {n: get(f"beta_CL_{n}") for n in names}
    print({n: (round(k[n], 2), round(float(beta[n].mean()), 3), round(float(beta[n].std()), 3)) for n in names}, fit.verdict)
    truth = {"X1": 0.35, "X5": -0.3}
    for n, value in truth.items():
        assert k[n] < 0.15, (n, k[n])
        assert abs(beta[n].mean() - value) < 4 * 0.21 / np.sqrt(40)
    for n in set(names) - set(truth):
        assert k[n] > 0.35 and abs(beta[n].mean()) < 2.6 * 0.21 / np.sqrt(40), (n, k[n])
    assert fit.summary.set_index("name").loc[[f"beta_CL_{n}" for n in names], "rhat"].max() < 1.02
    table = effect_table(fit)  # from the stored fit: the null effects are small in the field's terms
    assert table.loc[~table["covariate"].isin(list(truth)), "inside"].min() > 0.9
