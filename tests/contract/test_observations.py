"""Observation models inside a fit problem: the density of `dv` is the sum of hand-written terms, whatever stands side by side."""

import json

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

from pkpd import (
    Component,
    Dose,
    FitError,
    FitProblem,
    Observable,
    Param,
    Population,
    Sampler,
    State,
    autoregressive,
    by_group,
    by_subject,
    cohort_model,
    compose,
    detection,
    gain,
    limits_by,
    lognormal,
    lognormal_error,
    proportional_error,
    read_cohort,
    sample,
    student_error,
    time_to_event,
    total,
)
from pkpd.diagnostics.vpc_events import event_table
from pkpd.inference.cohort_model import measurement
from pkpd.models.classic import one_compartment_iv
from pkpd.plots import gallery
from tests import small


def terms(problem, sites):
    """Log-likelihood of each row at typical parameters."""
    n = len(problem.cohort.subjects)
    theta = {"CL": jnp.full(n, 3.0), "V": jnp.full(n, 20.0)}
    from pkpd.inference.cohort_model import sds_from

    f = np.asarray(problem.predictor(theta))[problem.rows.index]
    return np.asarray(measurement(problem, theta, sds_from(problem, sites)).log_prob(problem.rows.dv)), f


def observed_only(problem):
    return problem.rows.cens == 0


def test_a_t_residual_row_by_row():
    problem = small.problem(noise={"cp": student_error(lognormal_error(dist.HalfNormal(0.5)), 4.0)})
    found, f = terms(problem, {"sigma_cp": 0.3})
    y, exact = problem.rows.dv, observed_only(problem)
    law = stats.t(4.0, np.log(f), 0.3)
    np.testing.assert_allclose(found[exact], (law.logpdf(np.log(y)) - np.log(y))[exact], rtol=1e-10)
    np.testing.assert_allclose(found[~exact], law.logcdf(np.log(y))[~exact], rtol=1e-9)


def test_dropping_censored_rows_leaves_the_others_alone():
    plain, dropped = (small.problem(noise={"cp": e}) for e in (proportional_error(0.2), limits_by(proportional_error(0.2), "M1")))
    a, _ = terms(plain, {})
    b, _ = terms(dropped, {})
    exact = observed_only(plain)
    np.testing.assert_allclose(b[exact], a[exact], rtol=1e-12)
    assert (b[~exact] == 0).all() and (~exact).any()


def test_one_sd_for_each_group():
    table = small.records().assign(ASSAY=lambda x: 1.0 + (x["ID"] > 3))
    cohort = read_cohort(table, model=one_compartment_iv, units=small.UNITS, covariates=["ASSAY"])
    noise = {"cp": by_group(lognormal_error(dist.HalfNormal(0.5)), "ASSAY")}
    problem = FitProblem(one_compartment_iv, cohort, small.population(), noise, name="grouped")
    assert problem.population_sites[-2:] == ["sigma_ASSAY_1_cp", "sigma_ASSAY_2_cp"]
    found, f = terms(problem, {"sigma_ASSAY_1_cp": 0.2, "sigma_ASSAY_2_cp": 0.5})
    sd = np.where(cohort.observations["subject"].to_numpy()[problem.rows.index] < 3, 0.2, 0.5)
    exact = observed_only(problem)
    np.testing.assert_allclose(found[exact], stats.lognorm(sd, scale=f).logpdf(problem.rows.dv)[exact], rtol=1e-10)


def test_one_sd_for_each_subject():
    problem = small.problem(noise={"cp": by_subject(lognormal_error(0.3), 0.5)})
    z = np.linspace(-1, 1, 6)
    found, f = terms(problem, {"raw_sigma_cp": jnp.asarray(z)})
    sd = 0.3 * np.exp(0.5 * z[problem.cohort.observations["subject"].to_numpy()[problem.rows.index]])
    exact = observed_only(problem)
    np.testing.assert_allclose(found[exact], stats.lognorm(sd, scale=f).logpdf(problem.rows.dv)[exact], rtol=1e-10)


def test_what_cannot_be_scored_is_refused_with_its_rows():
    with pytest.raises(FitError) as caught:
        small.problem(noise={"cp": autoregressive(lognormal_error(0.3), 4.0)})
    assert "autoregressive(...) takes observed values only; leave out the serial correlation, or drop the row." in str(caught.value)
    with pytest.raises(FitError, match=r"detection takes 1 \(detected\) or 0 \(not detected\)\."):
        small.problem(noise={"cp": detection(0.5, lod=0.5)})


def detected():
    """The small study seen by an assay that says yes or no."""
    table = small.records()
    looks = table["EVID"] == 0
    yes = ((table["DV"] > 2.0) & looks).astype(float)
    table = table.assign(DV=np.where(looks, yes, np.nan), CENS=0)
    cohort = read_cohort(table, model=one_compartment_iv, units=small.UNITS)
    noise = {"cp": detection(dist.HalfNormal(0.3), lod=2.0, false_positive=dist.Beta(1, 50))}
    return FitProblem(
        one_compartment_iv,
        cohort,
        small.population(),
        noise,
        name="detected",
        simulated=True,
        sampler=Sampler(chains=2, draws=50, warmup=50),
    )


@pytest.mark.slow
def test_detection_only_data_go_through_a_whole_fit():
    fit = sample(detected(), seed=2, progress=False)
    assert {"sigma_cp", "fp_cp", "CL"} <= set(fit.summary["name"])
    assert np.isfinite(fit.summary["mean"]).all()
    replicates = fit.tree["posterior_predictive"]["dv"].to_numpy()
    assert set(np.unique(replicates)) <= {0.0, 1.0}
    told = json.loads(fit.tree.attrs["report"])["observations"]["cp"]
    assert (told["kind"], told["endpoint"], told["limit"]) == ("detection, LOD50", "binary", 2.0)
    assert told["priors"][0].startswith("sigma_cp (1): HalfNormal: median ") and told["priors"][1].startswith("fp_cp (1): Beta: median ")
    positive = int(fit.tree["observed_data"]["dv"].sum())
    assert told["rows"] == [
        f"Detection only: {positive} positive (DV 1), {36 - positive} negative (DV 0).",
        "LOD50: 2 (36 rows), the same for all rows.",
    ]
    names = {picture.name for picture in gallery(fit)}
    assert "vpc_cp" in names and not {"observed_predicted", "residuals_individual"} & names


def test_the_density_of_the_whole_model_is_priors_and_rows():
    problem = detected()
    model = cohort_model(problem)
    trace = handlers.trace(handlers.seed(model, 0)).get_trace()
    sites = {n: s["value"] for n, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
    total, _ = log_density(model, (), {}, sites)
    parts = sum(float(jnp.sum(s["fn"].log_prob(s["value"]))) for s in trace.values() if s["type"] == "sample")
    np.testing.assert_allclose(float(total), parts, rtol=1e-12)


def mortality():
    """Twelve simulated subjects, dead or lost at times of their own."""
    hazard = Component(
        "risk",
        states=State("H", "1", "cumulative hazard"),
        params=Param("h0", 0.03, "1/h", "hazard", source="made up"),
        rates=lambda t, y, p, s: total(gain("H", p.h0)),
        doses=Dose("mark", into="H"),
    )
    seen = [Observable("death", "1", lambda y, p, s: y.H, "cumulative hazard"), Observable("h", "1/h", lambda y, p, s: p.h0, "hazard")]
    model = compose("mortality", hazard, observables=seen)
    rng, rows = np.random.default_rng(4), []
    for i in range(12):
        death, lost = rng.exponential(30.0), rng.uniform(20.0, 60.0)
        rows.append({"ID": i + 1, "TIME": min(death, lost), "EVID": 0, "MDV": 0, "DVID": "death", "DV": float(death <= lost)})
    cohort = read_cohort(pd.DataFrame(rows), model=model, units={"TIME": "h", "DV": "1"})
    parts = Population(h0=lognormal(dist.LogNormal(-3.5, 0.7), between=dist.HalfNormal(0.5)))
    few = Sampler(chains=1, draws=30, warmup=30)
    return FitProblem(model, cohort, parts, {"death": time_to_event("h")}, name="mortality", simulated=True, sampler=few)


@pytest.mark.slow
def test_a_fit_of_events_keeps_hazards_of_new_subjects_and_their_check_starts_at_one():
    fit = sample(mortality(), seed=3, progress=False)
    curves = fit.tree["predictions"]
    assert curves["death_new"].shape == curves["death"].shape and "h_new" not in curves
    assert not np.allclose(curves["death_new"], curves["death"])  # other subjects
    table = event_table(fit, "death")
    assert table.iloc[0][["time", "obs", "mid", "at_risk"]].tolist() == [0.0, 1.0, 1.0, 12]
    assert "vpc_death" in {picture.name for picture in gallery(fit)}
