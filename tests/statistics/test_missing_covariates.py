"""Missing covariates as parameters: reader, density, exact posterior, predictions, refusals; and, slow, a fit from file to what-if."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

from pkpd import (
    Component,
    Covariate,
    DataError,
    FitError,
    FitProblem,
    ModelError,
    Observable,
    Param,
    PkpdError,
    Population,
    Sampler,
    State,
    bolus,
    compose,
    lognormal,
    loss,
    normal,
    predict,
    proportional_error,
    read_cohort,
    sample,
    simulate,
    total,
    what_if,
    write_records,
)
from pkpd.diagnostics.cohort_summary import _in_words
from pkpd.inference.predictive import Predictive
from pkpd.inference.report_facts import missing_facts
from pkpd.models.classic import one_compartment_iv
from tests import small

WT = np.array([55.0, np.nan, 70.0, np.nan, 90.0, 62.0])
PRIOR = dist.LogNormal(4.25, 0.2)


def population(**changes):
    cl = lognormal(dist.LogNormal(1.0, 0.5), dist.HalfNormal(0.5)).effect("WT", reference=70, power=dist.Normal(0.75, 0.3))
    e0 = normal(dist.Normal(0.0, 1.0)).effect("WT", reference=70, slope=0.02, per=10.0)
    return Population(**({"missing": {"WT": PRIOR}, "CL": cl, "E0": e0} | changes))


VALUES = {"CL": 2.5, "E0": 0.3, "beta_CL_WT": 0.8, "omega_CL": 0.3, "missing_WT": jnp.asarray([48.0, 103.0])}
VALUES |= {"raw_CL": jnp.asarray([0.1, -0.4, 0.8, 1.0, 0.0, -2.0])}


def test_a_hand_written_model_has_the_same_density():
    """To 1e-12 relative: the same sums in another order."""

    def ours():
        theta = population().draw({"WT": WT}, 6, {})
        numpyro.factor("seen", dist.Normal(jnp.log(theta["CL"]) + theta["E0"], 0.2).log_prob(1.0).sum())

    def by_hand():
        wt = numpyro.sample("missing_WT", PRIOR.expand([2]).to_event(1))
        full = jnp.stack([55.0, wt[0], 70.0, wt[1], 90.0, 62.0])
        log_cl = jnp.log(numpyro.sample("CL", dist.LogNormal(1.0, 0.5))) + numpyro.sample("beta_CL_WT", dist.Normal(0.75, 0.3)) * jnp.log(
            full / 70
        )
        e0 = numpyro.sample("E0", dist.Normal(0.0, 1.0)) + 0.02 * (full - 70) / 10
        omega = numpyro.sample("omega_CL", dist.HalfNormal(0.5))
        raw = numpyro.sample("raw_CL", dist.Normal(jnp.zeros(6), 1.0).to_event(1))
        numpyro.factor("seen", dist.Normal(log_cl + omega * raw + e0, 0.2).log_prob(1.0).sum())

    np.testing.assert_allclose(log_density(ours, (), {}, VALUES)[0], log_density(by_hand, (), {}, VALUES)[0], rtol=1e-12)
    gradient = jax.grad(lambda w: log_density(ours, (), {}, {**VALUES, "missing_WT": w})[0])(VALUES["missing_WT"])
    wanted = jax.grad(lambda w: log_density(by_hand, (), {}, {**VALUES, "missing_WT": w})[0])(VALUES["missing_WT"])
    np.testing.assert_allclose(gradient, wanted, rtol=1e-10)


def test_the_posterior_of_a_missing_weight_is_the_conjugate_one_and_near_the_truth():
    """log CL_i = log 3 + 0.75 log(WT/70) seen with sd 0.05: log WT is normal, its precision 1/0.2^2 + (0.75/0.05)^2. A grid of 4001 points over ten
    posterior sds is exact to rounding. The truth, 100 kg, lies 1.8 prior sds out.
    """
    truth, seen = 100.0, np.log(3.0) + 0.75 * np.log(100.0 / 70)
    fixed = Population(CL=lognormal(dist.LogNormal(1.0, 0.5)).effect("WT", reference=70, power=0.75), missing={"WT": PRIOR})

    def model():
        theta = fixed.draw({"WT": np.array([np.nan])}, 1, {})
        numpyro.factor("seen", dist.Normal(jnp.log(theta["CL"]), 0.05).log_prob(seen).sum())

    precision = 1 / 0.2**2 + (0.75 / 0.05) ** 2
    mean, sd = (4.25 / 0.2**2 + np.log(truth) * (0.75 / 0.05) ** 2) / precision, precision**-0.5
    u = np.linspace(mean - 10 * sd, mean + 10 * sd, 4001)
    logp = jax.vmap(lambda x: log_density(model, (), {}, {"CL": 3.0, "missing_WT": jnp.exp(x)[None]})[0] + x)(jnp.asarray(u))
    w = np.exp(logp - np.max(logp))
    w /= w.sum()
    np.testing.assert_allclose([w @ u, np.sqrt(w @ (u - w @ u) ** 2)], [mean, sd], rtol=1e-9)
    assert abs(np.exp(mean) - truth) < 4 and sd < 0.33 * 0.2


def records(lacking=(2, 4), n=6, **more):
    table = small.records(n)
    wt = np.exp(4.25 + 0.2 * np.random.default_rng(1).normal(size=n))
    wt[[i - 1 for i in lacking]] = np.nan
    return table.assign(WT=wt[table["ID"] - 1], **more)


def cohort(table=None, model=one_compartment_iv, covariates=("WT",), missing=("WT",), **more):
    table = records() if table is None else table
    return read_cohort(table, model=model, units=small.UNITS, covariates=covariates, missing=missing, **more)


def test_a_reader_keeps_a_missing_covariate_where_it_is_asked_to(tmp_path):
    with pytest.raises(DataError, match=r"PK073 row 8, subject 2, column WT: The covariate has no value\."):
        cohort(missing=())
    found = cohort(missing=("wt",))
    assert found.covariates["WT"].isna().tolist() == [False, True, False, True, False, False]
    assert "Covariate WT is missing in 2 of 6 subjects (2, 4): kept as missing." in found.notes
    assert not [n for n in cohort(records(lacking=())).notes if "missing" in n]
    path = write_records(found, tmp_path / "again.csv")
    again = read_cohort(path, model=one_compartment_iv, units=found.units, covariates=["WT"], missing=["WT"])
    np.testing.assert_array_equal(again.covariates["WT"], found.covariates["WT"])
    assert _in_words(found.covariates["WT"]).endswith(": 1 subject, missing: 2 subjects")


def test_a_subject_with_a_value_on_some_rows_is_still_refused():
    """Carrying it to the other rows is the reader's choice, and missing= is no such choice."""
    table = records(lacking=())
    table.loc[table.index[9], "WT"] = np.nan
    with pytest.raises(DataError, match="PK073 row 10, subject 2, column WT"):
        cohort(table)


def test_a_name_that_is_no_covariate_is_refused():
    with pytest.raises(PkpdError) as caught:
        cohort(missing=("WGT",))
    assert str(caught.value) == (
        "missing= names 'WGT', which is no covariate read here. Did you mean 'WT'? Known: WT. "
        "The model's covariates are read, and those in covariates=."
    )


CL = lognormal(dist.LogNormal(1.0, 0.7), dist.HalfNormal(0.5))
NOISE = {"cp": proportional_error(dist.HalfNormal(0.5))}


def problem(pop=None, seen=None, model=one_compartment_iv):
    pop = pop or Population(CL=CL.effect("WT", reference=70, power=0.75), V=lognormal(dist.LogNormal(3.0, 0.7)), missing={"WT": PRIOR})
    return FitProblem(model, seen or cohort(model=model), pop, NOISE, name="lean")


def by_weight():
    """A model whose equations read WT."""
    pool = Component(
        "pool",
        states=State("central", "mg", "drug"),
        params=Param("k", 0.1, "1/h", "elimination", source="assumption: test"),
        covariates=Covariate("WT", "1", "weight in kg", reference=70.0),
        rates=lambda t, y, p, s: total(loss("central", p.k * y.central * s.WT)),
    )
    return compose("by_weight", pool, observables=[Observable("cp", "mg", lambda y, p, s: y.central * 1.0, "amount")])


CURE = "fill it in, or leave these subjects out (cohort.subset)."
REFUSED = {
    "no prior": (
        lambda: problem(Population(CL=CL.effect("WT", reference=70, power=0.75))),
        "lean: WT is missing in subjects 2, 4, and a parameter has an effect of it. Give its prior, Population(..., missing={'WT': "
        "dist.LogNormal(4.25, 0.2)}) for example, " + CURE,
    ),
    "categorical": (
        lambda: problem(Population(CL=CL.effect("WT", reference=70, prior=dist.Normal(0, 1)))),
        "lean: WT is missing in subjects 2, 4. WT has a categorical effect, and a level is not imputed. Give the subjects without one a level of "
        "their own in the file ('unknown', as one more number), or leave them out (cohort.subset).",
    ),
    "occasions": (
        lambda: problem(Population(CL=CL.over("WT", 0.3))),
        "lean: 'WT' numbers occasions and is missing in subjects 2, 4. F" + CURE[1:],
    ),
    "not carried": (
        lambda: problem(Population(CL=CL.effect("AGE", reference=40, slope=0.1), missing={"AGE": dist.Normal(40, 10)})),
        "lean: 'CL' has an effect of AGE, which the cohort does not carry. Known: WT. missing names 'AGE', which the cohort does not carry. "
        "Known: WT.",
    ),
    "no distribution": (
        lambda: Population(CL=CL.effect("WT", reference=70, power=0.75), missing={"WT": 70.0}),
        "missing={'WT': 70.0} takes the prior of one subject's value, dist.LogNormal(4.25, 0.2) for example.",
    ),
    "unread": (
        lambda: Population(CL=CL, missing={"WT": PRIOR}),
        "missing names 'WT', of which no parameter has an effect: nothing would read its values. Leave it out.",
    ),
    "not positive": (
        lambda: Population(CL=CL.effect("WT", reference=70, power=0.75), missing={"WT": dist.Normal(70, 15)}),
        "missing={'WT': Normal(...)}: a power effect needs positive values and this prior reaches others; take dist.LogNormal(...), for example.",
    ),
    "a level": (
        lambda: Population(CL=CL.effect("SEX", reference=0, prior=dist.Normal(0, 1)), missing={"SEX": dist.Uniform(0, 1)}),
        "SEX has a categorical effect, and a level is not imputed. Give the subjects without one a level of their own in the file "
        "('unknown', as one more number), or leave them out (cohort.subset).",
    ),
    "new subjects": (
        lambda: Population(CL=CL.effect("WT", reference=70, power=0.75)).typical({"CL": 1.0}, {"WT": WT}),
        "WT is missing in subjects 2 (counted from 1), 4 (counted from 1), and a parameter has an effect of it. Give its prior, "
        "Population(..., missing={'WT': dist.LogNormal(4.25, 0.2)}) for example, " + CURE,
    ),
    "typical of others": (
        lambda: population().typical({**VALUES, "missing_WT": jnp.ones(1)}, {"WT": WT}),
        "WT is missing in 2 of the subjects given, who have no values in this fit. Fill them in: a typical subject has a value.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, words = REFUSED[case]
    with pytest.raises(FitError) as caught:
        make()
    assert str(caught.value) == words


def test_a_covariate_that_changes_or_that_the_equations_read_is_refused():
    table = records(lacking=(4,))
    table.loc[table.index[2:7], "WT"] += 3.0
    with pytest.raises(FitError) as caught:
        problem(seen=cohort(table))
    assert str(caught.value) == (
        "lean: WT changes within subjects and is missing in subject 4: a course in time is not imputed. F" + CURE[1:]
    )
    model, table = by_weight(), records()
    table = table.assign(CMT=np.where(table["EVID"] == 1, "central", ""))
    seen = read_cohort(table, model=model, units={**small.UNITS, "DV": "mg"}, missing=["WT"])
    with pytest.raises(FitError) as caught:
        problem(Population(k=lognormal(dist.LogNormal(-2.0, 0.5), 0.3)), seen, model)
    assert str(caught.value) == (
        "lean: by_weight reads WT, which is missing in subjects 2, 4: an imputed value does not reach the equations. F" + CURE[1:]
    )
    with pytest.raises(ModelError) as caught:
        predict(model, {}, seen)
    assert str(caught.value) == "by_weight reads the covariate 'WT', which is missing in subject 2. Fill it in, or leave the subject out."


def test_a_subject_who_lacks_it_takes_the_middle_of_the_prior_at_the_start_and_draws_of_it_when_new():
    """New subjects without a weight have weights of the prior: 4000 of them, median within 4 standard errors (false alarm 1e-4; fixed key)."""
    lean = problem()
    at = lean.population.at_medians(lean.design, 6)
    np.testing.assert_allclose(at["CL"][[1, 3]], np.exp(1.0) * (np.exp(4.25) / 70) ** 0.75, rtol=1e-12)
    predictive, n = Predictive(lean, {}), 4000
    sites = {"CL": 1.0, "omega_CL": 1e-9, "V": 20.0, "missing_WT": jnp.asarray([1.0, 2.0])}
    new = predictive.new(sites, jax.random.key(3), {"WT": np.full(n, np.nan)}, n)
    log_wt = np.log(70 * np.asarray(new["CL"]) ** (1 / 0.75))
    assert abs(np.median(log_wt) - 4.25) < 4 * 1.2533 * 0.2 / np.sqrt(n) and abs(log_wt.std() / 0.2 - 1) < 4 / np.sqrt(2 * n)
    typical = predictive.typical(sites)
    np.testing.assert_allclose(np.asarray(typical["CL"])[[1, 3]], (np.array([1.0, 2.0]) / 70) ** 0.75, rtol=1e-12)
    (words,) = missing_facts(lean)
    assert words.startswith("WT is missing in 2 of 6 subjects (subjects 2, 4) and a parameter of each, with the prior LogNormal: median ")
    assert list(missing_facts(problem(seen=cohort(records(lacking=()))))) == ["WT is missing in no subject: its prior was not used."]
    run = handlers.trace(handlers.seed(lean.population.draw, jax.random.key(0)))
    assert "missing_WT" not in run.get_trace({"WT": np.full(3, 70.0)}, 3, {})


@pytest.mark.slow
def test_a_fit_finds_a_missing_weight_and_carries_it_to_a_what_if():
    """Simulated: CL 3 (WT/70)^2 with omega 0.05, so that CL tells of WT; the weight of one of 12 subjects, 100 kg, is not told. With CL known to 0.1 its
    log has the posterior sd 0.06; four of those hold the truth (false alarm 1e-4; fixed seed).
    """
    n, rng = 12, np.random.default_rng(7)
    wt = np.exp(4.25 + 0.2 * rng.normal(size=n))
    wt[4] = 100.0
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1}
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for t in (0.5, 2.0, 6.0, 12.0, 18.0)]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(n) for row in (dose, *looks)])
    theta = {"CL": 3.0 * (wt / 70) ** 2 * np.exp(0.05 * rng.normal(size=n)), "V": np.full(n, 20.0)}
    f = simulate(one_compartment_iv, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    seen = (table["EVID"] == 0).to_numpy()
    told = np.where(np.arange(n) == 4, np.nan, wt)
    table = table.assign(DV=np.where(seen, f * (1 + 0.1 * rng.normal(size=len(f))), np.nan), CENS=0, DVID=np.where(seen, "cp", ""))
    lean = cohort(table.assign(WT=told[table["ID"] - 1]))
    cl = lognormal(dist.LogNormal(1.0, 0.7), 0.05).effect("WT", reference=70, power=2.0)
    pop = Population(CL=cl, V=lognormal(dist.LogNormal(3.0, 0.7)), missing={"WT": PRIOR})
    made = FitProblem(one_compartment_iv, lean, pop, NOISE, name="lean", sampler=Sampler(chains=2, draws=300, warmup=300))
    fit = sample(made, seed=4, progress=False)
    assert fit.tree["posterior"]["missing_WT"].coords["missing_WT_0"].values.tolist() == ["5"]
    found = np.log(fit.tree["posterior"]["missing_WT"].to_numpy().ravel())
    print(np.exp(found.mean()), found.std(), fit.verdict.headline)
    assert found.std() < 0.5 * 0.2 and abs(found.mean() - np.log(100.0)) < 4 * found.std()
    for subjects in ("new", "posterior"):
        runs = what_if(
            fit, {"double": bolus((200, "mg"))}, times=[1.0, 4.0], key=jax.random.key(0), subjects=subjects, n_subjects=20, draws=20
        )
        assert np.isfinite(runs["cp"].to_numpy()).all()
    assert any("WT is missing in 1 of 12 subjects" in line for line in json.loads(fit.tree.attrs["report"])["assumptions"])
