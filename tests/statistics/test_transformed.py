"""Parameters on a scale of one's own: the named scales as special cases, bounds, effects, changes within a subject, machine code, sentences."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.distributions import transforms as ts
from numpyro.infer.util import log_density
from scipy import stats

from pkpd import FitError, ModelError, Population, cohort_model, logit_normal, lognormal, normal, read_cohort, transformed
from pkpd.model.predict import predictor
from pkpd.model.varying import Varying, vary
from pkpd.models.classic import one_compartment_iv
from pkpd.population.transformed import own_scale
from pkpd.solve import Solver
from tests import small
from tests.statistics.test_occasions import problem as occasions_problem
from tests.statistics.test_occasions import records as occasions_records

BOUNDED = ts.ComposeTransform([ts.SigmoidTransform(), ts.AffineTransform(0.2, 0.6)])
HALF = dist.HalfNormal(0.5)


@pytest.mark.parametrize(
    ("named", "transform", "prior", "typical"),
    [
        (lognormal, ts.ExpTransform(), dist.LogNormal(1.0, 0.5), 2.5),
        (logit_normal, ts.SigmoidTransform(), dist.Beta(2.0, 3.0), 0.3),
        (normal, ts.IdentityTransform(), dist.Normal(0.0, 1.0), -0.4),
    ],
)
def test_the_named_scales_are_special_cases(named, transform, prior, typical):
    """The same log density and individual parameters to rounding, with an effect, at any weight."""
    values = {"P": typical, "omega_P": 0.4, "beta_P_WT": 0.7, "raw_P": jnp.asarray([0.1, 0.5, -1.2])}
    wt, w = {"WT": np.array([50.0, 70.0, 90.0])}, jnp.asarray([0.0, 0.4, 1.0])
    found = []
    for spec in (named(prior, HALF), transformed(prior, transform, HALF)):
        population = Population(P=spec.effect("WT", reference=70, power=dist.Normal(0.0, 1.0)))
        density, trace = log_density(lambda population=population: population.draw(wt, 3, {"P": w}) and None, (), {}, values)
        found.append((density, trace["P_i"]["value"], population.typical(values, wt)["P"]))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_parameter_between_bounds():
    """20000 draws stay inside 0.2 to 0.8 and logit((x - 0.2) / 0.6) is normal (Kolmogorov-Smirnov p > 1e-4: the false alarm; fixed seed)."""
    population = Population(P=transformed(dist.Uniform(0.2, 0.8), BOUNDED, 1.5))
    run = handlers.seed(handlers.substitute(population.draw, data={"P": 0.35}), jax.random.key(2))
    with handlers.block():
        drawn = np.asarray(run({}, 20_000, {"P": 0.4})["P"])
    assert drawn.min() > 0.2 and drawn.max() < 0.8
    share = (drawn - 0.2) / 0.6
    assert stats.kstest(np.log(share / (1 - share)), stats.norm(np.log(0.25 / 0.75), 1.5).cdf).pvalue > 1e-4
    np.testing.assert_allclose(population.at_medians({}, 2)["P"], 0.5, rtol=1e-12)


def test_what_is_known_of_a_scale():
    ends = [
        (BOUNDED, "0.2 to 0.8", "Sigmoid then Affine(loc=0.2, scale=0.6)"),
        (ts.SigmoidTransform(), "0 to 1", "Sigmoid"),
        (ts.ExpTransform(), "0 to inf", "Exp"),
        (ts.ComposeTransform([ts.ExpTransform(), ts.AffineTransform(1.0, -2.0)]), "-inf to 1", "Exp then Affine(loc=1, scale=-2)"),
        (ts.ComposeTransform([ts.AffineTransform(0.0, 10.0), ts.SigmoidTransform()]), "0 to 1", "Affine(loc=0, scale=10) then Sigmoid"),
    ]
    for transform, told, words in ends:
        own = own_scale(transform)
        assert (own.told, repr(own)) == (told, f"OwnScale({words})")
    assert [own_scale(BOUNDED).within(s) for s in ("unit", "positive", "nonnegative", "real")] == [True] * 4
    assert [own_scale(ts.ExpTransform()).within(s) for s in ("unit", "positive", "nonnegative", "real")] == [False, True, True, True]
    assert not own_scale(ts.IdentityTransform()).within("nonnegative")


def rows_of(made, sites):
    return np.asarray(handlers.trace(handlers.seed(handlers.substitute(cohort_model(made), data=sites), 0)).get_trace()["dv"]["fn"].loc)


@pytest.mark.slow
def test_changes_within_a_subject_are_on_the_same_scale():
    """Occasions and a weight that changes: exp as a transform gives the rows of lognormal; a bounded clearance those written out by hand."""
    weight = np.random.default_rng(2).uniform(50, 90, (12, 2))
    table, columns = occasions_records(weight=weight), ("OCC", "WT")
    change = lambda spec: spec.over("OCC", 0.2).effect("WT", reference=70, power=0.6)  # noqa: E731
    raw = np.random.default_rng(1).normal(size=(12, 2))
    sites = {"CL": 2.5, "raw_occ_CL": jnp.asarray(raw)}
    prior = dist.LogNormal(1.0, 1.0)
    one, other = (occasions_problem(table, columns, CL=change(s)) for s in (lognormal(prior), transformed(prior, ts.ExpTransform())))
    np.testing.assert_allclose(rows_of(other, sites), rows_of(one, sites), rtol=1e-10)
    bounded = ts.ComposeTransform([ts.SigmoidTransform(), ts.AffineTransform(1.0, 4.0)])
    made = occasions_problem(table, columns, CL=change(transformed(dist.Uniform(1.0, 5.0), bounded)))
    at = made.cohort.observations
    subject, time = at["subject"].to_numpy(), at["time"].to_numpy()
    occasion = (time >= 168).astype(int)
    phi = np.log(1.5 / 2.5) + 0.2 * raw[subject, occasion] + 0.6 * np.log(weight[subject, occasion] / 70.0)
    cl = 1.0 + 4.0 / (1.0 + np.exp(-phi))
    np.testing.assert_allclose(rows_of(made, sites), 5.0 * np.exp(-cl / 20.0 * (time - 168.0 * occasion)), rtol=1e-9)


def test_machine_code_agrees():
    model = vary(one_compartment_iv, {"CL": Varying(own_scale(ts.ExpTransform()), "OCC", (1.0, 2.0))})
    cohort = read_cohort(occasions_records(), model, units=small.UNITS)
    theta = {"CL": 2.5, "V": 20.0, "kappa_CL_0": 0.3, "kappa_CL_1": -0.4}
    bound = predictor(model, cohort, Solver(native="wait"))
    if "no native code" in bound.chosen.reason:
        pytest.skip(bound.chosen.reason)
    plain = predictor(model, cohort, Solver(native="off"))
    np.testing.assert_allclose(bound(theta), plain(theta), rtol=1e-9)  # two ways to the same closed form


def test_the_fingerprint_of_a_model_is_that_of_the_words():
    make = lambda t: vary(one_compartment_iv, {"CL": Varying(own_scale(t), "OCC", (1.0, 2.0))})  # noqa: E731
    assert make(ts.ExpTransform()).digest == make(ts.ExpTransform()).digest != make(ts.SoftplusTransform()).digest


def test_the_report_says_the_scale():
    from pkpd.inference.population_facts import population_facts

    scale = ts.ComposeTransform([ts.SigmoidTransform(), ts.AffineTransform(1.0, 9.0)])
    problem = small.problem(population=small.population(CL=transformed(dist.Uniform(1.0, 10.0), scale, HALF)))
    assert population_facts(problem) == [
        "CL varies on its own scale: T(T^-1(CL) + effects + random effects), T = Sigmoid then Affine(loc=1, scale=9), values 1 to 10."
    ]


NOT_ONE = "this transform is not one-to-one on the real line; take one that only rises or only falls."


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: own_scale(3),
            "transformed(transform=3) takes a transform of numpyro.distributions.transforms, SigmoidTransform() for example.",
        ),
        (
            lambda: transformed(dist.Normal(0, 1), ts.StickBreakingTransform()),
            "transformed(transform=StickBreaking): random effects are real numbers, and this transform does not start from those.",
        ),
        (
            lambda: transformed(dist.Normal(0, 1), ts.SigmoidTransform().inv),
            "transformed(transform=inverse of Sigmoid): random effects are real numbers, and this transform does not start from those.",
        ),
        (lambda: transformed(dist.Normal(0, 1), ts.AbsTransform()), f"transformed(transform=Abs): {NOT_ONE}"),
        (
            lambda: transformed(dist.Normal(0, 1), BOUNDED),
            "transformed(prior=Normal(...)): this prior reaches values outside 0.2 to 0.8, where those of Sigmoid then Affine(loc=0.2, scale=0.6) "
            "lie; choose one that does not, dist.Uniform(0.2, 0.8) for example.",
        ),
        (
            lambda: transformed(dist.Normal(0, 1), ts.ExpTransform()),
            "transformed(prior=Normal(...)): this prior reaches values outside 0 to inf, where those of Exp lie; choose one that does not.",
        ),
        (
            lambda: transformed(dist.Uniform(0.2, 0.8), BOUNDED, 0.0),
            "transformed(between=0): a standard deviation is positive; leave it out for a parameter that does not vary.",
        ),
        (
            lambda: small.problem(population=small.population(CL=transformed(dist.Normal(0, 1), ts.IdentityTransform()))),
            "small: 'CL' has support 'positive' and its transform Identity has values -inf to inf; take one inside.",
        ),
        (
            lambda: vary(one_compartment_iv, {"CL": Varying(own_scale(ts.IdentityTransform()), "OCC", (1.0, 2.0))}),
            "'CL' varies on OwnScale(Identity), whose range is not inside its support 'positive'. Take one that is.",
        ),
    ],
)
def test_refused(make, words):
    with pytest.raises((FitError, ModelError)) as refusal:
        make()
    assert str(refusal.value) == words
