"""Subpopulations: the likelihood summed over kinds, the kind drawn afterwards, and a fit that finds them again."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import special, stats

from pkpd import (
    FitError,
    FitProblem,
    Population,
    Sampler,
    cohort_model,
    fixed,
    lognormal,
    proportional_error,
    read_cohort,
    sample,
    subpopulations,
    tied,
)
from pkpd.inference.predictive import Predictive
from pkpd.models.classic import one_compartment_iv
from pkpd.noise import Mixed
from pkpd.population.mixture import SHARES, drawn_kind, of_kind, settled

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
TIMES = np.array([1.0, 4.0, 8.0, 16.0, 24.0])
CL, STEP, OMEGA, SD, V, SHARE = 1.5, 1.2, 0.25, 0.15, 20.0, 0.35


def records(n, seed=4):
    """Simulated: 100 mg into 20 L; about a third of the subjects clear exp(1.2) = 3.3 times as fast."""
    rng = np.random.default_rng(seed)
    fast = rng.random(n) < SHARE
    clearance = CL * np.exp(STEP * fast + OMEGA * rng.normal(size=n))
    rows = []
    for i in range(n):
        rows.append({"ID": i + 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DV": np.nan, "MDV": 1})
        y = 5.0 * np.exp(-clearance[i] / V * TIMES) * np.exp(SD * rng.normal(size=len(TIMES)))
        rows += [{"ID": i + 1, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DV": v, "MDV": 0} for t, v in zip(TIMES, y, strict=True)]
    return pd.DataFrame(rows), fast


def population(**changes):
    spec = {"CL": lognormal(dist.LogNormal(0.5, 0.7), between=dist.HalfNormal(0.5)), "V": fixed(V)}
    return Population(**(spec | changes), mixture=subpopulations(dist.Beta(2, 2), CL=dist.HalfNormal(1.0)))


def problem(n=5, **changes):
    cohort = read_cohort(records(n)[0], model=one_compartment_iv, units=UNITS)
    parts = {"population": population(), "noise": {"cp": proportional_error(dist.HalfNormal(0.3))}, "sampler": Sampler(2, 300, 300)}
    return FitProblem(one_compartment_iv, cohort, **(parts | changes), name="kinds", simulated=True)


def test_the_terms_of_a_subject_add_up_to_the_sum_over_kinds():
    rng = np.random.default_rng(1)
    subject = np.array([2, 0, 2, 0, 0, 3])  # subject 1 has no rows; rows of subjects are interleaved
    means, shares, y = rng.normal(size=(3, 6)), np.array([0.2, 0.5, 0.3]), rng.normal(size=6)
    mixed = Mixed([dist.Normal(m, 1.0) for m in means], jnp.log(shares), subject, 4)
    terms = np.asarray(mixed.log_prob(jnp.asarray(y)))
    each = stats.norm.logpdf(y, means)
    by_kind = np.log(shares)[:, None] + np.stack([each[:, subject == i].sum(1) for i in range(4)], 1)
    for i in (0, 2, 3):
        np.testing.assert_allclose(terms[subject == i].sum(), special.logsumexp(by_kind[:, i]), rtol=1e-13)
    np.testing.assert_allclose(mixed.membership(jnp.asarray(y)), (by_kind - special.logsumexp(by_kind, axis=0)).T, rtol=1e-12)
    before = np.log(shares) + stats.norm.logpdf(y[1], means[:, 1])
    np.testing.assert_allclose(
        terms[3], special.logsumexp(before + stats.norm.logpdf(y[3], means[:, 3])) - special.logsumexp(before), rtol=1e-12
    )


def test_far_out_values_and_gradients_are_finite_and_a_failed_subject_stays_alone():
    subject, y = np.array([0, 0, 1]), jnp.array([40.0, -40.0, 0.3])

    def law(m):
        return Mixed(
            [dist.Normal(m, 1.0, validate_args=False), dist.Normal(m + 3.0, 1.0, validate_args=False)],
            jnp.log(jnp.array([1e-12, 1.0])),
            subject,
            2,
        )

    value, slope = jax.value_and_grad(lambda m: law(m).log_prob(y).sum())(jnp.zeros(3))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert np.isnan(law(jnp.array([np.nan, 0.0, 0.0])).log_prob(y)).tolist() == [True, True, False]


def test_replicates_of_a_subject_are_of_one_kind():
    """Means of the two rows are 0 or 100 together; the share of 100 within 4.4 binomial errors of 0.3 (false-alarm rate 1e-5)."""
    mixed = Mixed(
        [dist.Normal(jnp.zeros(2), 1.0), dist.Normal(jnp.full(2, 100.0), 1.0)], jnp.log(jnp.array([0.7, 0.3])), np.array([0, 0]), 1
    )
    high = np.asarray(mixed.sample(jax.random.key(0), (4000,))) > 50
    assert (high[:, 0] == high[:, 1]).all()
    assert abs(high[:, 0].mean() - 0.3) < 4.4 * np.sqrt(0.21 / 4000)


@pytest.mark.slow
def test_the_model_has_the_density_of_one_written_by_hand():
    made = problem()
    y = made.rows.dv.reshape(5, -1)
    raw = jnp.linspace(-1.0, 1.0, 5)
    values = {"CL": 1.4, "omega_CL": 0.3, "raw_CL": raw, "share_2": 0.4, "shift_CL_2": 0.9, "sigma_cp": 0.2}

    def hand():
        cl = numpyro.sample("CL", dist.LogNormal(0.5, 0.7))
        omega = numpyro.sample("omega_CL", dist.HalfNormal(0.5))
        eta = omega * numpyro.sample("raw_CL", dist.Normal(jnp.zeros(5), 1.0).to_event(1))
        share, step = numpyro.sample("share_2", dist.Beta(2, 2)), numpyro.sample("shift_CL_2", dist.HalfNormal(1.0))
        sd = numpyro.sample("sigma_cp", dist.HalfNormal(0.3))
        f = lambda shift: 5.0 * jnp.exp(-(cl * jnp.exp(eta + shift))[:, None] / V * TIMES)  # noqa: E731
        each = jnp.stack([dist.Normal(f(s), sd * f(s)).log_prob(y).sum(1) for s in (0.0, step)])
        numpyro.factor("y", jax.scipy.special.logsumexp(each + jnp.log(jnp.stack([1 - share, share]))[:, None], axis=0).sum())

    np.testing.assert_allclose(log_density(cohort_model(made), (), {}, values)[0], log_density(hand, (), {}, values)[0], rtol=1e-9)
    assert made.population_sites == ["CL", "omega_CL", "share_2", "shift_CL_2", "sigma_cp"]
    assert made.prior_text("share_2").startswith("Beta: median 0.5")


def test_three_kinds_step_upwards_and_tied_parameters_follow():
    mixture = subpopulations(dist.Dirichlet(jnp.array([2.0, 3.0, 4.0])), CL=dist.HalfNormal(1.0), V=(0.0, dist.Normal(0, 1)))
    made = Population(CL=lognormal(dist.LogNormal(0, 1)), V=lognormal(dist.LogNormal(3, 1)), Q=tied("CL", 2.0), mixture=mixture)
    values = {"CL": 2.0, "V": 10.0, "split_1": 0.5, "split_2": 0.4, "shift_CL_2": 0.3, "shift_CL_3": 0.5, "shift_V_3": -1.0}
    found = handlers.seed(handlers.substitute(made.draw, data=values), 0)({}, 4, {})
    np.testing.assert_allclose(np.exp(found[SHARES]), [0.5, 0.2, 0.3], rtol=1e-12)
    third = of_kind(found, 3)
    np.testing.assert_allclose([third["CL"], third["V"], third["Q"]], [2 * np.exp(0.8), 10 * np.exp(-1.0), 4 * np.exp(0.8)], rtol=1e-12)
    np.testing.assert_allclose(settled(found, np.array([1, 2, 3, 1]))["Q"], 4 * np.exp([0.0, 0.3, 0.8, 0.0]), rtol=1e-12)
    assert set(made.typical(values, {})) == set(found)
    assert made.sites({})[2:] == ["share_2", "share_3", "split_1", "split_2", "shift_CL_2", "shift_CL_3", "shift_V_3"]


def test_splits_are_the_dirichlet_of_the_shares():
    """Each share by Kolmogorov-Smirnov against the Beta that a Dirichlet has as its margin; p > 1e-4 each, three tests."""
    mixture = subpopulations(dist.Dirichlet(jnp.array([2.0, 3.0, 4.0])), CL=1.0)
    one = lambda key: handlers.trace(handlers.seed(mixture.draw, key)).get_trace()  # noqa: E731
    keys = jax.random.split(jax.random.key(3), 2000)
    drawn = jax.vmap(lambda key: jnp.stack([one(key)[f"share_{k}"]["value"] for k in (2, 3)]))(keys)
    for k, share in ((2, drawn[:, 0]), (3, drawn[:, 1]), (1, 1 - drawn.sum(1))):
        a = (2.0, 3.0, 4.0)[k - 1]
        assert stats.kstest(np.asarray(share), stats.beta(a, 9 - a).cdf).pvalue > 1e-4


def test_new_subjects_are_of_each_kind_by_its_share():
    """Within 4.4 binomial errors (false-alarm rate 1e-5)."""
    theta = {"CL": jnp.full(5000, 1.0), "CL@2": jnp.full(5000, 2.0), SHARES: jnp.log(jnp.array([0.8, 0.2]))}
    second = float((drawn_kind(theta, jax.random.key(2), 5000)["CL"] == 2.0).mean())
    assert abs(second - 0.2) < 4.4 * np.sqrt(0.16 / 5000)


def test_predictions_take_the_kind_of_the_draw():
    made = problem()
    sites = {"CL": 1.4, "omega_CL": 0.3, "raw_CL": jnp.zeros(5), "share_2": 0.4, "shift_CL_2": 0.9, "sigma_cp": 0.2}
    predictive = Predictive(made, {})
    kind = jnp.array([1, 2, 1, 2, 2])
    own = predictive.individual(sites | {"subpopulation": kind})["CL"]
    np.testing.assert_allclose(own, 1.4 * np.exp(0.9 * (kind - 1)), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: subpopulations(0.3, CL=1.0),
            "subpopulations(0.3): accepted are dist.Beta(a, b), dist.Dirichlet(...), or at least two shares that sum to 1.",
        ),
        (
            lambda: subpopulations((0.5, 0.6), CL=1.0),
            "subpopulations((0.5, 0.6)): accepted are dist.Beta(a, b), dist.Dirichlet(...), or at least two shares that sum to 1.",
        ),
        (
            lambda: subpopulations((0.5, 0.5)),
            "subpopulations(...) names no parameter that differs; give one, as in CL=dist.HalfNormal(1.0).",
        ),
        (
            lambda: subpopulations((0.5, 0.5), CL=(1.0, 2.0)),
            "subpopulations(CL=(1.0, 2.0)): 2 kinds take a prior or a number, or 1 of them.",
        ),
        (
            lambda: subpopulations((0.5, 0.5), CL=dist.Normal(0, 1)),
            "subpopulations(CL=Normal(...)): the first parameter orders the kinds, and this prior has both signs, so that their labels could be exchanged. "
            "Take dist.HalfNormal(1.0), for example.",
        ),
        (lambda: Population(CL=fixed(1.0), mixture=2), "Population(mixture=2) takes subpopulations(shares, CL=prior), not int."),
        (
            lambda: Population(CL=fixed(1.0), mixture=subpopulations((0.5, 0.5), Cl=1.0)),
            "subpopulations names 'Cl', which is not a free or fixed parameter of this Population. Did you mean 'CL'? Known: CL.",
        ),
    ],
)
def test_sentences(call, text):
    with pytest.raises(FitError) as error:
        call()
    assert str(error.value) == text


@pytest.mark.slow
def test_a_fit_finds_the_kinds_again():
    table, fast = records(40, seed=7)
    cohort = read_cohort(table, model=one_compartment_iv, units=UNITS)
    made = FitProblem(
        one_compartment_iv,
        cohort,
        population(),
        {"cp": proportional_error(dist.HalfNormal(0.3))},
        simulated=True,
        sampler=Sampler(2, 500, 500),
    )
    fit = sample(made, seed=2, progress=False)
    assert fit.verdict.converged, fit.verdict
    posterior = fit.tree["posterior"]
    truth = {"CL": CL, "shift_CL_2": STEP, "omega_CL": OMEGA, "sigma_cp": SD, "share_2": fast.mean()}
    for name, value in truth.items():  # 99 % intervals of five: a false alarm in at most 5 % of data sets, and this one is fixed
        low, high = np.quantile(posterior[name], [0.005, 0.995])
        assert low < value < high, name
    chance = (posterior["subpopulation"] == 2).mean(("chain", "draw")).to_numpy()
    assert np.mean((chance > 0.5) == fast) >= 0.95
    assert {"ipred", "dv", "dv_new"} <= set(fit.tree["posterior_predictive"].data_vars)
