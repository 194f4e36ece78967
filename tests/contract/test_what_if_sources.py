"""What-ifs of a problem's prior (nothing is fitted, so they cost little): what varies, who is simulated, what is overridden, and what is measured."""

import jax
import numpy as np
import numpy.testing as npt
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import (
    Component,
    FitError,
    FitProblem,
    Observable,
    Param,
    Signal,
    additive_error,
    bolus,
    class_probabilities,
    compose,
    lognormal,
    ordinal,
    read_cohort,
    recist,
    what_if,
)
from pkpd.models.classic import one_compartment, one_compartment_iv
from pkpd.simulate.draws import population_draws
from tests import small

KEY = jax.random.key(4)
TIMES = (1.0, 6.0, 24.0)
ARMS = {"once": bolus((100, "mg"))}
DOUBLE = bolus((200, "mg"))


def run(problem=None, arms=None, **changes):
    return what_if(problem or small.problem(), arms or ARMS, times=TIMES, key=KEY, **({"n_subjects": 5, "draws": 6} | changes))


def weight_problem():
    records = small.records().assign(WT=lambda x: 60.0 + 5 * x["ID"])
    cohort = read_cohort(records, model=one_compartment_iv, units=small.UNITS, covariates=["WT"])
    cl = lognormal(dist.LogNormal(1.0, 0.3), between=dist.HalfNormal(0.3)).effect("WT", power=0.75, reference=70.0)
    return FitProblem(one_compartment_iv, cohort, small.population(CL=cl), noise={"cp": additive_error(0.2)}, name="weights")


PATIENTS = pd.DataFrame({"WT": [50.0, 70.0, 90.0], "VIABILITY": [0.5, 1.0, 1.0], "CAR": [0.8, 1.0, 0.25], "NOTE": ["a", "b", "c"]})
MANY = {"plain": ARMS["once"], "slow": ARMS["once"], "double": DOUBLE}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One what-if without residual error, and the same one with it: patients of a file, their product's share, an override in one arm."""
    path = tmp_path_factory.mktemp("patients") / "patients.csv"
    PATIENTS.to_csv(path, index=False)
    options = {"covariates": path, "n_subjects": None, "product": ("VIABILITY", "CAR"), "draws": 40}
    options["overrides"] = {"V": 20.0, "slow": {"CL": lambda x: 0.5 * x}}
    return [run(weight_problem(), MANY, vary=v, **options) for v in (("parameters",), ("parameters", "residual"))]


def test_patients_of_a_file_have_their_covariates_and_products(both):
    cp = both[0]["cp"].sel(arm="plain")
    k = -np.log(cp.sel(time=6.0) / cp.sel(time=1.0)) / 5.0
    npt.assert_allclose(k.isel(subject=2) / k.isel(subject=0), (90 / 50) ** 0.75, rtol=1e-6)  # the typical subject of each weight
    start = cp.sel(time=1.0) * np.exp(k)
    npt.assert_allclose(start, np.broadcast_to([2.0, 5.0, 1.25], start.shape), rtol=1e-6)  # 100 mg times the share, over 20 L
    assert list(both[0]["WT"].values) == [50.0, 70.0, 90.0]


def test_an_override_of_one_arm(both):
    cp = both[0]["cp"]
    k = -np.log(cp.sel(time=6.0) / cp.sel(time=1.0))
    npt.assert_allclose(k.sel(arm="slow"), k.sel(arm="plain") / 2, rtol=1e-6)  # the solver's tolerance, over differences of logs
    npt.assert_allclose(cp.sel(arm="double"), 2 * cp.sel(arm="plain"), rtol=1e-9)


def test_residual_error_is_that_of_the_noise_and_the_same_in_every_arm(both):
    """Additive, sd 0.2: 360 values; the mean within 4 and the sd within 4 standard errors (false alarm 1 in 8000). The noise of arms is one and the same."""
    e = (both[1]["cp"] - both[0]["cp"]) / 0.2
    z = e.sel(arm="plain").values.ravel()
    assert abs(z.mean()) < 4 / np.sqrt(len(z)) and abs(z.std() - 1) < 4 / np.sqrt(2 * len(z))
    npt.assert_allclose(e.sel(arm="double"), e.sel(arm="plain"), atol=1e-12)  # differences of numbers of size 10
    assert both[1].attrs["vary"] == ["parameters", "residual"] and both[0].attrs["source"] == "prior"


def test_common_random_numbers_sharpen_differences(both):
    """A linear model: each pair of arms has the ratio of its doses, while the arms themselves differ between draws by far more."""
    logs = np.log(both[0]["cp"].sel(time=1.0)).mean("subject")
    paired = logs.sel(arm="double") - logs.sel(arm="plain")
    apart = logs.sel(arm="double").values - np.roll(logs.sel(arm="plain").values, 1)  # another draw: independent parameters
    npt.assert_allclose(paired, np.log(2.0), atol=1e-9)
    assert float(paired.std()) < 1e-9 < 1e-3 < apart.std()


def test_who_was_solved_stands_beside_what_is_compared(both):
    truth = (both[0]["cp"].max("time") > 1.0) & (both[0]["theta_CL"] > 0)
    assert truth["solved"].dims == ("arm", "draw", "subject") and bool(truth["solved"].all())


def test_covariates_beyond_the_cohort_are_extrapolation(both):
    """The patients weigh 50, 70 and 90 kg, the cohort 65 to 90."""
    notes = [n for n in both[0].attrs["extrapolation"] if n.startswith("Covariate")]
    assert notes == ["Covariate WT: extrapolation, 33 % of the virtual subjects lie outside 65 to 90 of the cohort (they have 50 to 90)."]
    assert any(
        n.startswith("plain, cp: its area rests most on ") for n in both[0].attrs["extrapolation"]
    )  # every arm is extrapolation then


def test_nothing_was_fitted_is_told(both):
    notes = both[0].attrs["extrapolation"]
    assert "Nothing was fitted: all of it is prior." in notes
    assert any(n.startswith("double, cp: its area rests most on CL (") for n in notes)  # V is held at 20 L


def test_refusals_are_sentences(tmp_path):
    (tmp_path / "p.csv").write_text("WT\n70\nheavy\n")
    problem = weight_problem()
    for changes, text in (
        ({"vary": ("parameter",)}, r"^vary names 'parameter', which is no source of variation\. Did you mean 'parameters'\? "),
        ({"vary": "subjects"}, r"^vary='subjects': a sequence of words"),
        ({"overrides": {"CLX": 1.0}}, r"^overrides names 'CLX', which is no parameter of one_compartment_iv\. "),
        (
            {"overrides": {"CL": -1.0}},
            r"^overrides sets 'CL' of once to -1\.0; accepted is a finite number, not below 0, in L/h, or a function",
        ),
        (
            {"overrides": {"CL": lambda x: -x}},
            r"^overrides makes 'CL' of once -\d.* in virtual subject 1; it must be a finite number, not below 0\.$",
        ),
        (
            {"overrides": {"CL": lambda x: x[:2]}},
            r"^The function that overrides sets 'CL' by gives shape \(2,\); accepted is one number, or one a subject",
        ),
        ({"overrides": {"twice": {"CL": 1.0}}}, r"^overrides names the arm 'twice', which is not given\. "),
        ({"covariates": tmp_path / "p.csv", "n_subjects": None}, r"^p\.csv, row 2: WT is 'heavy'; give a finite number\.$"),
        ({"covariates": tmp_path / "q.csv"}, r"^There is no file .*q\.csv of virtual patients\.$"),
        (
            {"covariates": pd.DataFrame({"WTT": [1.0]})},
            r"^Covariate 'WT' is read and the rows of the table of covariates do not have it\. ",
        ),
        (
            {"covariates": lambda key, n: pd.DataFrame({"WT": [70.0]})},
            r"^covariates\(key, n\) gives a DataFrame with n rows; for n = 5 it gave 1 rows\.$",
        ),
        ({"n_subjects": 0}, r"^n_subjects=0: a whole number of subjects, at least 1\.$"),
        ({"draws": 0}, r"^draws=0: a whole number of draws, at least 1\.$"),
        (
            {"subjects": "posterior", "n_subjects": None},
            r"^subjects='posterior' are those of a fit, and this is a problem that was not fitted",
        ),
        ({"product": "VIABILITY"}, r"^Covariate 'VIABILITY' is read and the cohort's subjects do not have it\. "),
    ):
        with pytest.raises(FitError, match=text):
            run(problem, **({"draws": 1} | changes))


def test_medians_of_correlated_effects_are_a_correlation():
    """The medians of a Cholesky factor, element by element, are none: their rows have to be brought back to length 1."""
    problem = small.problem(population=small.population(correlation=("CL", "V")))
    sites, index = population_draws(problem, 3, frozenset({"subjects"}), KEY)
    factor = sites["chol_CL_V"][0]
    npt.assert_allclose((factor**2).sum(-1), 1.0, rtol=1e-12)
    assert factor[0, 1] == 0 and (index == -1).all() and np.ptp(sites["CL"]) == 0


def grouped_problem():
    records = small.records().assign(G=lambda x: 1.0 + x["ID"] % 3)
    cohort = read_cohort(records, model=one_compartment_iv, units=small.UNITS, covariates=["G"])
    cl = lognormal(dist.LogNormal(1.0, 0.3), between=dist.HalfNormal(0.3)).effect("G", prior=dist.Normal(0.0, 1.0), reference=1.0)
    return FitProblem(one_compartment_iv, cohort, small.population(CL=cl), noise={"cp": additive_error(0.2)}, name="groups")


def test_patients_of_some_categories_have_the_effects_of_theirs():
    """Effects are named by the levels of the data: with level 1 and 3 alone, 3 keeps its own effect and does not take a new one from the prior."""
    problem = grouped_problem()
    cl = [
        run(problem, covariates=pd.DataFrame({"G": g}), n_subjects=None, vary=("parameters",))["theta_CL"]
        for g in ([1.0, 2.0, 3.0], [3.0, 3.0])
    ]
    npt.assert_array_equal(cl[1], cl[0].isel(subject=[2, 2]))
    text = r"^the table of covariates, row 2: G is 4, a level whose effect is not known; the data have 1, 2, 3\.$"
    with pytest.raises(FitError, match=text):
        run(problem, covariates=pd.DataFrame({"G": [1.0, 4.0]}), n_subjects=None)


@pytest.mark.slow
def test_each_source_varies_on_its_own():
    spread = lambda x, dim: float(np.log(x).std(dim).max())  # noqa: E731
    for vary in ((), ("parameters",), ("subjects",), ("parameters", "subjects")):
        runs = run(vary=vary)
        cp = runs["cp"].sel(arm="once")
        assert (spread(cp, "subject") > 1e-9) == ("subjects" in vary), vary
        assert runs.sizes["draw"] == (6 if vary else 1)
        assert (spread(cp.isel(subject=0), "draw") > 1e-9) == bool(vary), vary  # subjects of another draw are other subjects


@pytest.mark.slow
def test_nothing_varies_at_the_medians():
    """Medians of 2000 draws: logs of CL and V have sd 0.7 and standard error 0.7 sqrt(pi/2/2000) = 0.02; at 6 h log cp moves by 0.8 of CL's and 0.2 of V's."""
    got = np.asarray(run(vary=())["cp"]).reshape(-1, 3)[0]
    cl, v = np.exp(1.0), np.exp(3.0)
    npt.assert_allclose(got[:2], 100 / v * np.exp(-cl / v * np.array(TIMES[:2])), rtol=0.1)  # more than four standard errors


@pytest.mark.slow
def test_virtual_patients_of_a_table_and_a_function():
    problem = weight_problem()
    assert set(run(problem, covariates=PATIENTS, n_subjects=20)["WT"].values) == {50.0, 70.0, 90.0}
    drawn = run(problem, covariates=lambda key, n: pd.DataFrame({"WT": 70 + 5 * np.asarray(jax.random.normal(key, (n,)))}), n_subjects=7)
    assert drawn.sizes["subject"] == 7
    assert set(run(problem, n_subjects=20)["WT"].values) <= set(problem.covariates["WT"])


def classed_problem():
    """A concentration, a grade whose log odds are its log, and a response by the size of a tumour that is as its concentration says."""
    made = "assumption: made up for this test"
    effect = Component(
        "effect",
        params=(one_compartment.V, Param("size", 40.0, "mm", "size without drug", source=made)),
        reads="central",
        gives=Signal("cp_now", "mg/L", "concentration"),
        signals=lambda t, y, p, s: {"cp_now": y.central / p.V},
    )
    seen = (
        one_compartment.cp,
        Observable("crs", "mg/L", lambda y, p, s: s.cp_now, "what drives the grade"),
        Observable("response", "mm", lambda y, p, s: p.size * (1 + 0 * s.cp_now), "size"),
        Observable("size0", "mm", lambda y, p, s: p.size * (1 + 0 * s.cp_now), "baseline"),
    )
    model = compose("classed", one_compartment.central, effect, observables=seen, text=made)
    rows = small.records().assign(DVID=lambda x: x["DVID"].where(x["TIME"] < 10, ""))
    units = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "crs": "mg/L", "response": "mm", "size0": "mm"}}
    late = rows["TIME"] >= 10
    rows.loc[late, ["DVID", "DV", "CENS"]] = ["crs", 1.0, 0]
    rows.loc[rows["TIME"] >= 20, ["DVID", "DV"]] = ["response", 2.0]
    noise = {"cp": additive_error(0.2), "crs": ordinal((1.0, 2.0), slope=1.5), "response": recist(0.1, 0.2, "size0")}
    return FitProblem(model, read_cohort(rows, model=model, units=units), small.population(), noise=noise, name="classed")


@pytest.mark.slow
def test_probabilities_of_grades_and_responses_are_the_closed_forms():
    runs = run(classed_problem(), n_subjects=4, draws=3)
    f = runs["cp"].values
    above = np.stack([1 / (1 + np.exp(-1.5 * (f - c))) for c in (1.0, 3.0)], -1)
    p = runs["crs_probability"].values
    npt.assert_allclose(p[..., 1:].sum(-1), above[..., 0], atol=1e-12)  # exponentials of logs: rounding
    npt.assert_allclose(p[..., 2], above[..., 1], atol=1e-12)
    npt.assert_allclose(p.sum(-1), 1.0, atol=1e-12)
    from scipy.stats import norm

    s = 0.1 * np.sqrt(2)
    stays = 0.8 * (norm.cdf(np.log(1.2) / s) - norm.cdf(np.log(0.7) / s))
    npt.assert_allclose(runs["response_probability"].sel(response_class="SD"), stays, rtol=1e-9)
    table = class_probabilities(runs, "crs", at=[6.0]).set_index("class")
    npt.assert_allclose(table.loc["1", "at_or_above"], above[:, :, :, 1, 0].mean(), rtol=1e-9)
    with pytest.raises(FitError, match=r"^These runs have no classes of 'cp'\. "):
        class_probabilities(runs, "cp")
