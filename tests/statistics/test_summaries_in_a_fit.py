"""Published summaries in a fit: the factor in model, metric and certificate; what is refused; a recovery with other patients' summary."""

import json
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import (
    Detectable,
    FitProblem,
    MeanSd,
    PeakSummary,
    SummaryArm,
    additive_error,
    load_fit,
    load_model,
    lognormal,
    lognormal_error,
    oral,
    read_cohort,
    sample,
    sample_summaries,
    student_error,
    summary_log_likelihood,
)
from pkpd.errors import FitError
from pkpd.events import bolus
from pkpd.inference.arrow import dense
from pkpd.inference.checkpoint import FACTS
from pkpd.inference.geometry import _Tools
from pkpd.inference.joint import SummaryError, curvature
from pkpd.inference.provenance import state_facts
from pkpd.inference.reweigh import log_likelihoods
from pkpd.inference.space import Space
from pkpd.models.classic import one_compartment_iv, two_compartment_iv
from pkpd.solve import Solver
from tests import small

ARM = SummaryArm(one_compartment_iv, bolus((100, "mg")), [6.0, 24.0], 30, name="B", patients="study B")
TERMS = (MeanSd("cp", 6.0, 2.2, 0.8, 30), Detectable("cp", 24.0, 0.5, 4, 30))


def problem(n: int = 6, **changes) -> FitProblem:
    cohort = read_cohort(small.records(n), model=one_compartment_iv, units=small.UNITS, name="study A")
    return replace(small.problem(), **({"cohort": cohort} | changes))


def joint(**changes) -> FitProblem:
    return problem(**({"summaries": [(ARM, TERMS)], "summary_draws": 64} | changes))


@cache
def spaces() -> tuple[Space, Space]:
    return Space(problem()), Space(joint())


def at(space: Space) -> jax.Array:
    return space.start(space.full_weights) + 0.1


@pytest.mark.slow
def test_the_density_has_the_summaries_as_a_factor_and_only_then() -> None:
    alone, both = spaces()
    z, weights = at(alone), alone.full_weights
    assert "summaries" not in alone.trace_at(z, weights)
    gained = float(alone.potential(z, weights) - both.potential(z, weights))
    want = summary_log_likelihood([(ARM, TERMS)], alone.problem.population, alone.problem.noise, both.constrain(z), 64)
    assert gained == pytest.approx(float(want), abs=1e-9)


@pytest.mark.slow
def test_the_metric_counts_the_summaries_in_the_coordinates_of_the_population() -> None:
    """Central differences against the exact Hessian, which this closed form has; its negative part is left out of both."""
    alone, both = spaces()
    z, weights = at(alone), alone.full_weights
    of = lambda space: dense(_Tools(space).data(z, weights), space)  # noqa: E731
    added = of(both) - of(alone)
    values, vectors = np.linalg.eigh(
        -np.asarray(jax.hessian(Space(replace(both.problem, solver=Solver(method="closed_form"))).summaries)(z))
    )
    assert np.allclose(added, (vectors * np.maximum(values, 0.0)) @ vectors.T, atol=1e-4 * values.max())
    individual = [i for i, n in enumerate(both.labels()) if n.startswith("raw_")]
    assert np.all(added[individual] == 0.0) and values.max() > 1.0


def test_curvature_is_the_hessian_with_its_negative_part_left_out() -> None:
    a = jnp.asarray([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, -3.0]])
    found = curvature(lambda z: -0.5 * z @ a @ z, jnp.asarray([0.3, -0.2, 1.0]), np.array([0, 1, 2]))
    assert np.allclose(found, a.at[2, 2].set(0.0), atol=1e-8)


@cache
def fit():
    return sample(joint(), seed=5, chains=1, warmup=25, draws=25, progress=False)


@pytest.mark.slow
def test_a_fit_keeps_each_summary_and_says_of_whom_and_how_well_it_was_integrated() -> None:
    group = fit().tree["summaries"]
    assert group["summary"].to_numpy().tolist() == ["B: MeanSd of cp at 6 h (n = 30)", "B: Detectable of cp at 24 h (n = 30)"]
    assert group["log_likelihood"].shape[:1] + group["log_likelihood"].shape[2:] == (1, 2) and np.isfinite(group["log_likelihood"]).all()
    assert group.attrs["error_looked"] == 20 and group.attrs["error_middle"] <= group.attrs["error_largest"]
    said = json.loads(fit().tree.attrs["report"])["assumptions"]
    assert said[: len(said) - 4][-3:] == [
        "Published summaries of arm 'B' (30 patients of 'study B', none of them among the individual data): "
        "MeanSd of cp at 6 h (n = 30); Detectable of cp at 24 h (n = 30).",
        "Terms of one arm (B) are multiplied as if they were independent.",
        f"Summaries: {group.attrs['error_draws']} virtual subjects an arm; {group.attrs['error_sentence']}.",
    ]
    assert fit().provenance["summaries"]["draws"] == group.attrs["error_draws"]


@pytest.mark.slow
def test_the_certificate_weighs_rows_and_summaries() -> None:
    """The same draws through the same solver: rows and summaries of the tree are the certificate's log-likelihood."""
    tree, weights = fit().tree, {n: jnp.asarray(w) for n, w in fit().centring.items()}
    told = log_likelihoods(fit().problem, tree["posterior"].to_dataset(), weights)
    parts = tree["log_likelihood"]["dv"].sum("obs") + tree["summaries"]["log_likelihood"].sum("summary")
    assert np.allclose(told, parts.to_numpy().ravel(), atol=1e-8)


@pytest.mark.slow
def test_a_fit_with_summaries_is_written_and_read(tmp_path) -> None:
    again = load_fit(fit().save(tmp_path))
    assert np.allclose(again.tree["summaries"]["log_likelihood"], fit().tree["summaries"]["log_likelihood"])


def test_an_uncertain_likelihood_is_a_warning_with_a_cure() -> None:
    assert SummaryError(1024, 20, 0.02, 0.09).warned == ()
    assert SummaryError(1024, 20, 0.02, 0.3).warned == (
        (
            "the summaries' log-likelihood is uncertain by 0.3",
            "Standard error of the summaries' log-likelihood at 20 posterior draws (8 scramblings each): middle 0.02, largest 0.3; below 0.1 is accepted.",
            "Give summary_draws=4096, and sample again.",
        ),
    )


WRONG = [
    (
        {"summaries": [(replace(ARM, patients="Study A "), TERMS)]},
        "Arm 'B' summarises the patients 'study A', whose individual data are in the fit: they would count twice. "
        "Leave the arm out, or the individual data.",
    ),
    (
        {"summaries": [(replace(ARM, patients=""), TERMS)]},
        "small: arm 'B' does not say whose patients it summarises. Give SummaryArm(..., patients='study B'): it is compared with the cohort's name, "
        "'study A', since patients with individual data would count twice.",
    ),
    (
        {"summaries": [(ARM, TERMS)], "cohort": small.problem().cohort},
        "small: the cohort was read from a table and has no name, so that nobody can tell whether arm 'B' summarises the same patients ('study B'). "
        "Give read_cohort(..., name='study A').",
    ),
    (
        {"summaries": [(replace(ARM, model=two_compartment_iv), TERMS)]},
        f"small: arm 'B' is of the model two_compartment_iv ({two_compartment_iv.digest[:8]}), the fit of one_compartment_iv "
        f"({one_compartment_iv.digest[:8]}). Give SummaryArm the fit's model.",
    ),
    (
        {"summaries": [(ARM, TERMS)], "noise": {"cp": student_error(lognormal_error(0.2), 4.0)}},
        "MeanSd of arm 'B': the summaries of 'cp' have no law under its observation 'Student t, lognormal'; accepted are additive_error, "
        "proportional_error, combined_error, power_error and lognormal_error, without limits_by, by_group, by_subject or autoregressive.",
    ),
    (
        {"summaries": [(ARM, [])]},
        "Summaries are pairs of an arm and what was reported of it: [(SummaryArm(...), [Detectable(...), ...]), ...], each with at least one term.",
    ),
    (
        {"summaries": [ARM]},
        "Summaries are pairs of an arm and what was reported of it: [(SummaryArm(...), [Detectable(...), ...]), ...], each with at least one term.",
    ),
]


@pytest.mark.parametrize(("changes", "text"), WRONG)
def test_what_does_not_fit_together_is_refused(changes, text: str) -> None:
    with pytest.raises(FitError) as told:
        problem(**changes)
    assert str(told.value) == text


def test_occasions_and_levels_that_the_cohort_lacks_are_refused() -> None:
    table = small.records().assign(OCC=1, SEX=0)
    table["SEX"] = (table["ID"] > 3).astype(int)
    cohort = read_cohort(table, one_compartment_iv, units=small.UNITS, name="study A", covariates=["OCC", "SEX"])
    cl = lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5))
    ask = lambda law, arm: problem(cohort=cohort, population=small.population(CL=law), summaries=[(arm, TERMS)])  # noqa: E731
    with pytest.raises(FitError) as told:
        ask(cl.over("OCC", dist.HalfNormal(0.5)), ARM)
    assert str(told.value) == (
        "The likelihood of summaries integrates over normal random effects of each patient, and 'CL' varies over 'OCC'. "
        "Leave .over('OCC', ...) out."
    )
    by_sex = cl.effect("SEX", reference=0, prior=dist.Normal(0, 0.5))
    with pytest.raises(FitError) as told:
        ask(by_sex, replace(ARM, covariates={"SEX": 2}))
    assert str(told.value) == (
        "small: the arms of the summaries have a level of a covariate that no subject of the cohort has (it would need the site 'beta_CL_SEX_1'). "
        "Leave that arm out, or merge the level with another one."
    )
    assert "beta_CL_SEX" in ask(by_sex, replace(ARM, covariates={"SEX": 1})).population_sites


@pytest.mark.slow
def test_an_observable_of_papers_only_has_its_residual_error_in_the_fit() -> None:
    model = load_model("indirect_response_I")
    table = small.records(2).assign(CMT=lambda t: np.where(t["EVID"] == 1, "oral", ""))
    cohort = read_cohort(table, model, units=small.UNITS, name="study A")
    noise = {"cp": lognormal_error(0.2), "effect": additive_error(dist.HalfNormal(1.0))}
    arm = SummaryArm(model, oral((100, "mg")), [6.0], 9, patients="study B")
    made = FitProblem(
        model, cohort, small.population(), noise, summaries=[(arm, [PeakSummary("effect", median=5.0, of=9)])], summary_draws=32
    )
    assert "sigma_effect" in made.population_sites and np.isfinite(Space(made).potential(Space(made).start({}), {}))
    with pytest.raises(FitError, match="noise names 'effect', which is not measured here"):
        replace(made, summaries=())


def published_study(seed: int = 11, n: int = 30) -> MeanSd:
    """Mean and sd at 6 h of n subjects under the truth of `small.records`: CL 3 L/h, V 20 L, 30 % between subjects, 15 % error."""
    rng = np.random.default_rng(seed)
    cl, v = 3.0 * np.exp(0.3 * rng.normal(size=n)), 20.0 * np.exp(0.3 * rng.normal(size=n))
    y = 100.0 / v * np.exp(-cl / v * 6.0) * (1 + 0.15 * rng.normal(size=n))
    return MeanSd("cp", 6.0, float(y.mean()), float(y.std(ddof=1)), n)


@pytest.mark.slow
def test_summaries_alone_are_a_fit_whose_posterior_is_that_of_a_grid() -> None:
    """One unknown: mean and sd of NUTS against a grid, within 4 Monte Carlo errors of at least 400 effective draws."""
    law, noise = (
        small.population(CL=lognormal(dist.LogNormal(1.0, 0.7), between=0.3), V=lognormal(dist.LogNormal(3.0, 1e-6))),
        {"cp": lognormal_error(0.15)},
    )
    arms = [(replace(ARM, times_h=[6.0]), [published_study()])]
    found = sample_summaries(arms, law, noise, seed=1, chains=2, warmup=200, draws=500, summary_draws=256, progress=False)
    assert found.verdict.converged
    x = jnp.linspace(1.5, 5.0, 401)
    log_l = jax.lax.map(lambda c: summary_log_likelihood(arms, law, noise, {"CL": c, "V": jnp.exp(3.0)}, 256), x)
    w = np.exp(np.asarray(log_l) + np.asarray(dist.LogNormal(1.0, 0.7).log_prob(x)))
    mean = float((w * x).sum() / w.sum())
    sd = float(np.sqrt((w * (np.asarray(x) - mean) ** 2).sum() / w.sum()))
    row = found.summary.set_index("name").loc["CL"]
    assert row["mean"] == pytest.approx(mean, abs=4 * sd / np.sqrt(400))
    assert row["sd"] == pytest.approx(sd, rel=4 / np.sqrt(2 * 400))


@pytest.mark.slow
def test_summaries_alone_go_on_from_where_they_stood(tmp_path, caplog) -> None:
    """The same call ends with the same draws without making them again; another prior is another fit, and the unfinished one is set aside."""
    law = lambda s: small.population(CL=lognormal(dist.LogNormal(1.0, s), between=0.3), V=lognormal(dist.LogNormal(3.0, 1e-6)))  # noqa: E731
    arms, noise = [(replace(ARM, times_h=[6.0]), [published_study()])], {"cp": lognormal_error(0.15)}
    settings = {"seed": 1, "chains": 2, "warmup": 50, "draws": 25, "kernel": "hmc", "summary_draws": 256, "progress": False}
    caplog.set_level("INFO", logger="pkpd")
    first = sample_summaries(arms, law(0.7), noise, checkpoint=tmp_path / "unfinished", **settings)
    assert "going on" not in caplog.text
    assert (
        first.tree["sample_stats"].attrs["max_tree_depth"] == 8 and first.tree["sample_stats"].attrs["kernel"] == "hmc"
    )  # for the verdict
    assert state_facts().items() <= json.loads((tmp_path / "unfinished" / FACTS).read_text()).items()
    again = sample_summaries(arms, law(0.7), noise, checkpoint=tmp_path / "unfinished", **settings)
    assert f"going on with the unfinished fit in {tmp_path / 'unfinished'}" in caplog.text
    np.testing.assert_array_equal(again.tree["posterior"]["CL"], first.tree["posterior"]["CL"])
    sample_summaries(arms, law(0.6), noise, checkpoint=tmp_path / "unfinished", **settings)
    assert "the model, data or priors have changed" in caplog.text and len(list(tmp_path.glob("unfinished.earlier-*"))) == 1


@pytest.mark.slow
def test_a_published_study_narrows_the_fit_of_another_and_the_truth_is_covered() -> None:
    """12 subjects with data, 30 in a paper. A right posterior misses the truth by more than 3.3 sd in 1e-3 of cases (each of three names)."""
    settings = {"seed": 3, "chains": 2, "warmup": 400, "draws": 600, "progress": False}
    alone, paper = sample(problem(12), **settings), [(replace(ARM, times_h=[6.0]), [published_study()])]
    both = sample(problem(12, summaries=paper), **settings)
    a, b = (f.summary.set_index("name") for f in (alone, both))
    print(a.to_string(), b.to_string(), both.tree["summaries"].attrs["error_sentence"], alone.verdict, both.verdict, sep="\n")
    assert b["sd"]["CL"] < 0.95 * a["sd"]["CL"]
    for name, truth in (("CL", 3.0), ("V", 20.0), ("sigma_cp", 0.15)):
        assert abs(b["mean"][name] - truth) < 3.3 * b["sd"][name]
    assert both.tree["summaries"].attrs["error_largest"] < 0.1
