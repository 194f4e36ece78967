"""Etas of Student's t: density, law at every weight, typical subject where the mean is undefined, far tails, sentences."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

from pkpd import FitError, Population, boxcox, fixed, lognormal, proportional_error, student_error, tied
from pkpd.inference.population_facts import population_facts
from pkpd.inference.recentre import recentred
from pkpd.inference.space import Space
from pkpd.inference.summary_model import summary_model
from pkpd.population.blocks import iiv
from tests import small

HALF, GAMMA = dist.HalfNormal(0.5), dist.Gamma(2.0, 0.1)
CL = lognormal(dist.LogNormal(1.0, 0.7), HALF)
HEAVY = CL.tails(GAMMA)


def test_a_hand_written_model_has_the_same_density():
    prior, w = dist.LogNormal(1.0, 0.7), jnp.asarray([0.0, 0.4, 1.0])

    def hand():
        mean = jnp.log(numpyro.sample("CL", prior))
        iiv("CL", mean, numpyro.sample("omega_CL", HALF), 3, w, numpyro.sample("df_CL", GAMMA))

    values = {"CL": 2.5, "df_CL": 3.5, "omega_CL": 0.4, "raw_CL": jnp.asarray([0.1, 0.5, 1.2])}
    ours = log_density(lambda: Population(CL=HEAVY).draw({}, 3, {"CL": w}) and None, (), {}, values)[0]
    np.testing.assert_allclose(ours, log_density(hand, (), {}, values)[0], rtol=1e-12)


def traced(population, values, n, weights=None, covariates=None):
    run = handlers.seed(handlers.substitute(population.draw, data=values), jax.random.key(0))
    return handlers.trace(run).get_trace(covariates or {}, n, weights or {})


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_law_of_a_subject_is_students_t_at_every_weight(weight):
    """log p(raw) + (w - 1) log omega = log t_df(phi; m, omega), phi = m + eta, out to 40 omega."""
    eta, df, omega, m = 0.4 * np.array([-40.0, -1.0, 0.0, 0.3, 40.0]), 3.5, 0.4, np.log(2.5)
    raw = weight * m + eta * omega ** (weight - 1)
    sites = traced(Population(CL=HEAVY), {"CL": 2.5, "omega_CL": omega, "df_CL": df, "raw_CL": jnp.asarray(raw)}, 5, {"CL": weight})
    density = sites["raw_CL"]["fn"].base_dist.log_prob(raw) + (weight - 1) * np.log(omega)
    np.testing.assert_allclose(density, stats.t(df, m, omega).logpdf(m + eta), rtol=1e-12)
    np.testing.assert_allclose(sites["eta_CL"]["value"], eta, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(sites["CL_i"]["value"], 2.5 * np.exp(eta), rtol=1e-10)


@pytest.mark.parametrize("df", [0.1, 1.0, 2.5, 30.0, 1e5])
@pytest.mark.parametrize("z", [0.0, 1.0, 40.0])
def test_slopes_are_finite_and_right_far_out(df, z):
    """Slopes in eta and in df against central differences of scipy's density; 1e-6 is what those differences resolve."""
    value = lambda z, df: dist.StudentT(df, 0.0, 1.0).log_prob(z)  # noqa: E731
    found = jax.grad(value, (0, 1))(z, df)
    h = 1e-4
    in_z = (stats.t(df).logpdf(z + h) - stats.t(df).logpdf(z - h)) / (2 * h)
    in_df = (stats.t(df * (1 + h)).logpdf(z) - stats.t(df * (1 - h)).logpdf(z)) / (2 * h * df)
    np.testing.assert_allclose(found, [in_z, in_df], rtol=1e-6, atol=1e-6)
    assert np.isfinite(jax.hessian(value, (0, 1))(z, df)).all()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_draws_have_the_stated_law(weight):
    """20000 draws at 4 degrees of freedom against the distribution function (Kolmogorov-Smirnov, p > 1e-4: the false alarm; fixed seed)."""
    population = Population(CL=lognormal(dist.LogNormal(1.0, 0.7), 0.4).tails(4))
    run = handlers.seed(handlers.substitute(population.draw, data={"CL": 2.5}), jax.random.key(2))
    with handlers.block():
        phi = np.log(np.asarray(run({}, 20_000, {"CL": weight})["CL"]))
    assert stats.kstest(phi, stats.t(4, np.log(2.5), 0.4).cdf).pvalue > 1e-4


def test_the_typical_subject_where_the_mean_is_undefined():
    """A prior of the degrees of freedom with median below 1: Student's t has no mean there, the typical subject is at its centre."""
    population = Population(CL=CL.tails(dist.LogNormal(-1.0, 0.2)))
    np.testing.assert_allclose(population.at_medians({}, 3)["CL"], np.exp(1.0), rtol=1e-12)
    assert population.sites({}) == ["CL", "omega_CL", "df_CL"]
    assert Population(CL=CL.tails(4)).sites({}) == ["CL", "omega_CL"]


@pytest.mark.slow
def test_weights_move_the_coordinates_and_not_the_parameters():
    space = Space(small.problem(population=small.population(CL=HEAVY)))
    old, new = space.full_weights, {"CL": jnp.asarray(0.3), "V": jnp.asarray(0.8)}
    z = space.start(old) + 0.3 * jnp.asarray(np.random.default_rng(5).normal(size=space.size))
    before, after = space.trace_at(z, old), space.trace_at(recentred(space, z, old, new), new)
    np.testing.assert_allclose(after["CL_i"]["value"], before["CL_i"]["value"], rtol=1e-12)
    assert {label for label, on in zip(space.labels(), space.held, strict=True) if on} == {"omega_CL", "omega_V", "df_CL"}


def test_the_report_says_what_omega_is():
    problem = small.problem(population=small.population(CL=HEAVY, V=fixed(20.0, 0.3).tails(5)))
    assert population_facts(problem) == [
        "The etas of CL follow Student's t with df_CL degrees of freedom; omega_CL is its scale, not its sd.",
        "The etas of V follow Student's t with 5 degrees of freedom; omega_V is its scale, not its sd.",
    ]
    assert problem.population_sites == ["CL", "omega_CL", "df_CL", "sigma_cp"]
    assert problem.prior_text("df_CL").startswith("Gamma: median ")


V = lognormal(dist.LogNormal(3.0, 0.5), 0.2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tied("CL").tails(4), "A tied parameter has no random effects of its own: it follows 'CL'. Put .tails(...) there."),
        (
            lambda: fixed(1.0).tails(4),
            "tails(4): the parameter does not vary between subjects; give between=dist.HalfNormal(0.5), for example.",
        ),
        (
            lambda: boxcox(dist.LogNormal(1, 1), 0.4, 0.5).tails(GAMMA),
            "tails(Gamma(...)): a Box-Cox eta is normal before it is bent; take lognormal(...).tails(...) or boxcox(...).",
        ),
        (lambda: HEAVY.tails(4.0), "tails(4.0): the parameter has tails already; give them once."),
        (
            lambda: CL.tails("heavy"),
            "tails('heavy') takes a prior of the degrees of freedom, dist.Gamma(2, 0.1) for example, or a number above 2.",
        ),
        (lambda: CL.tails(2), "tails(2): a number of degrees of freedom is above 2, where eta has a variance; a prior may reach below."),
        (
            lambda: CL.tails(dist.Normal(5, 1)),
            "tails(Normal(...)): degrees of freedom are positive; take dist.Gamma(2, 0.1), for example.",
        ),
        (
            lambda: Population(CL=HEAVY, V=V, correlation=("CL", "V")),
            "'CL' has etas of Student's t and stands in the correlation group (CL, V), whose etas are normal. Take 'CL' out of the group, or leave its "
            ".tails(...) out.",
        ),
        (
            lambda: summary_model([], Population(CL=HEAVY), {}),
            "The likelihood of summaries integrates over normal random effects of each patient, and 'CL' has those of Student's t. "
            "Leave .tails(...) out.",
        ),
    ],
)
def test_refused(make, words):
    with pytest.raises(FitError) as refusal:
        make()
    assert str(refusal.value) == words


def test_a_parameter_and_an_observable_of_one_name():
    from pkpd import Component, FitProblem, Observable, Param, State, compose, loss, read_cohort, total

    pool = Component(
        "pool",
        states=State("central", "mg", "drug"),
        params=Param("cp", 0.1, "1/h", "a rate with an unlucky name", source="assumption: test"),
        rates=lambda t, y, p, s: total(loss("central", p.cp * y.central)),
    )
    model = compose("unlucky", pool, observables=[Observable("cp", "mg", lambda y, p, s: y.central * 1.0, "amount")])
    table = small.records().assign(CMT=lambda t: np.where(t["EVID"] == 1, "central", ""))
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg"})
    error = student_error(proportional_error(0.1), 4.0)
    with pytest.raises(FitError) as caught:
        FitProblem(model, cohort, Population(cp=HEAVY), {"cp": student_error(proportional_error(0.1), GAMMA)}, name="unlucky")
    assert str(caught.value) == (
        "unlucky: 'df_cp' stands for the random effects of the parameter 'cp' and for the residual of 'cp'; rename one of them."
    )
    assert FitProblem(model, cohort, Population(cp=HEAVY), {"cp": error}, name="unlucky").population_sites == ["cp", "omega_cp", "df_cp"]
    noise = {"cp": student_error(proportional_error(0.1), GAMMA)}
    assert FitProblem(model, cohort, Population(cp=CL.tails(4)), noise, name="unlucky").prior_text("df_cp").startswith("Gamma: median ")
