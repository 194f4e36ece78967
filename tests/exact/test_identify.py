"""The information of a design against published numbers: PopED's warfarin example, and what blood tells of CAR-macrophages (SCIENCE.md (f), V9)."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.distributions import transforms

from pkpd import (
    Component,
    Dose,
    FitProblem,
    Looks,
    Observable,
    Param,
    Population,
    Solver,
    State,
    Study,
    StudyArm,
    bolus,
    compose,
    fixed,
    logit_normal,
    lognormal,
    lognormal_error,
    loss,
    oral,
    proportional_error,
    read_cohort,
    study_problem,
    total,
)  # fmt: skip
from pkpd.errors import FitError
from pkpd.inference.identify import identify
from pkpd.models.carm import carm_trafficking
from pkpd.models.classic import indirect_response_IV, one_compartment_iv, one_compartment_oral
from pkpd.noise import ordinal
from pkpd.population import subpopulations
from tests.small import population as kinetics
from tests.small import problem as small

WARFARIN = (0.5, 1.0, 2.0, 6.0, 24.0, 36.0, 72.0, 120.0)
BLOOD = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 96.0, 168.0)


def records(dose: float, where: str, times: tuple[float, ...], **more: float) -> pd.DataFrame:
    first = {"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": dose, "CMT": where, "DV": np.nan} | more
    return pd.DataFrame([first, *({"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DV": 1.0} | more for t in times)])


def around(median: float, sd: float = 1.0) -> dist.Distribution:
    return dist.LogNormal(jnp.log(median), sd)


@pytest.mark.slow
def test_warfarin_has_the_standard_errors_that_poped_prints():
    """ex.2.a of PopED (design of Nyberg et al. 2015): CL 4.738266, V 2.756206, ka 13.925829 % from 32 subjects; variances 25.627, 30.344, 25.777, 11.171 %.

    One subject here has sqrt(32) times the standard errors; that of ln omega is half that of a variance in percent.
    """
    table = pd.concat([records(70.0, "depot", WARFARIN).assign(ID=i) for i in range(1, 5)])
    cohort = read_cohort(table, model=one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    typical, variance = {"CL": 0.15, "V": 8.0, "ka": 1.0}, {"CL": 0.07, "V": 0.02, "ka": 0.6}
    spread = {n: dist.LogNormal(0.5 * np.log(v), 0.1) for n, v in variance.items()}
    population = Population(**{n: lognormal(around(m), between=spread[n]) for n, m in typical.items()})
    noise = {"cp": proportional_error(dist.LogNormal(np.log(0.1), 0.1))}
    found = identify(FitProblem(one_compartment_oral, cohort, population, noise)).table.set_index("name")["rse"] * np.sqrt(4 / 32)
    np.testing.assert_allclose(found[["CL", "V", "ka"]], [4.738266, 2.756206, 13.925829], rtol=2e-6)
    of_variance = 2 * found[["omega_CL", "omega_V", "omega_ka", "sigma_cp"]]
    np.testing.assert_allclose(of_variance, [25.627205, 30.344316, 25.777327, 11.170784], rtol=2e-6)


def bled(**how) -> FitProblem:
    """M1 with all eight parameters free, one bolus of 5e9 cells, residual sd of ln 1, no between-subject spread."""
    cohort = read_cohort(
        records(5.0, "infusion", BLOOD, HER2=3.0), model=carm_trafficking, units={"TIME": "h", "AMT": "1e9 cells", "DV": "copies/ug"}
    )
    free = carm_trafficking.typical | {"k_Bd": 0.029}
    names = ("S", "k_LB", "k_Ld", "k_BH", "k_BP", "k_BT", "k_Bd")
    share = dist.TransformedDistribution(dist.Normal(np.log(4.0), 1.0), transforms.SigmoidTransform())
    population = Population(f_L=logit_normal(share), **{n: lognormal(around(free[n])) for n in names})
    return FitProblem(carm_trafficking, cohort, population, {"car_dna": lognormal_error(1.0)}, **how)


@pytest.fixture(scope="module")
def blood():
    return identify(bled())


@pytest.mark.slow
def test_blood_identifies_four_of_eight(blood):
    """V9: singular values 12.63, 3.597, 1.706, 0.692 as printed, the rest rounding."""
    assert [round(float(v), d) for v, d in zip(blood.singular, (2, 3, 3, 3), strict=False)] == [12.63, 3.597, 1.706, 0.692]
    assert blood.singular[4] < 1e-13
    assert blood.streams.iloc[-1][["rank", "of"]].tolist() == [4, 8]


@pytest.mark.slow
def test_what_blood_does_not_see_is_named(blood):
    """The uptake by the tumour is in the sum of exits, of which it is a hundredth; losses and uptakes are told from one another by priors alone."""
    alone = [d.names[0] for d in blood.not_seen if d.single]
    assert "k_BT" in alone
    assert blood.verdict.startswith(
        "NOT IDENTIFIED at the prior medians: the rows respond to 4 of 8 directions and tell more than the priors of 2."
    )
    assert np.isinf(blood.table.set_index("name").loc[["k_BH", "k_BP", "k_BT", "k_Bd", "f_L", "S"], "rse"]).all()


def test_rows_beyond_a_limit_and_prior_widths_are_told():
    found = identify(small(noise={"cp": proportional_error(0.15)}))
    assert found.table.set_index("name").loc["CL", "prior_sd"] == pytest.approx(
        0.7, abs=1e-3
    )  # 2000 quantiles leave 4e-4 of a normal's sd out
    assert found.notes == ("11 of 36 rows lie beyond a limit and count for nothing here.",)
    assert found.verdict == "Identified at the prior medians: the rows respond to 2 of 2 directions and tell more than the priors of 2."


def test_subpopulations_are_refused():
    with pytest.raises(FitError) as error:
        identify(small(population=kinetics(mixture=subpopulations(dist.Beta(2, 2), CL=dist.HalfNormal(0.5)))))
    assert str(error.value) == (
        "small: identify looks at one kind of subject, and this population has subpopulations. Leave `mixture` out of it."
    )


@pytest.mark.slow
def test_the_information_is_that_of_a_fine_solver_whatever_the_fits_own(blood):
    """On the mesh asked for, steps of three times the time since the dose, the singular values are wrong by 2.5e-5; on the fine one by 4e-8."""
    found = identify(bled(solver=Solver(method="cascade", mesh_growth=3.0)))
    np.testing.assert_allclose(found.singular[:4], blood.singular[:4], rtol=1e-6)


def test_a_coefficient_that_may_be_negative_has_its_error_in_percent_of_itself():
    """The only value that is estimated: its information I follows from its posterior/prior sd 1 / sqrt(1 + I w^2). One of 0 has no percents."""
    table = pd.concat([records(70.0, "iv", (1.0, 8.0), WT=w).assign(ID=i) for i, w in enumerate((50.0, 90.0))])
    cohort = read_cohort(table, model=one_compartment_iv, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"}, covariates=["WT"])
    for beta in (-0.5, 0.0):
        population = Population(CL=fixed(2.8).effect("WT", reference=70.0, power=dist.Normal(beta, 0.4)))
        line = (
            identify(FitProblem(one_compartment_iv, cohort, population, {"cp": lognormal_error(0.2)}))
            .table.set_index("name")
            .loc["beta_CL_WT"]
        )
        wanted = 100 * 0.4 / np.sqrt(line["all"] ** -2 - 1) / 0.5 if beta else np.nan
        np.testing.assert_allclose(line["rse"], wanted, rtol=2e-3)  # 2000 quantiles leave 4e-4 of a prior sd out


def test_a_prediction_without_a_derivative_is_refused():
    """The square root of an amount of 0 before the dose."""
    parts = Component(
        "gone",
        states=(State("A", "mg", "drug"),),
        params=(Param("k", 0.1, "1/h", "loss", source="a test"), Param("A0", 1.0, "mg", "an amount", source="a test")),
        doses=(Dose("iv", into="A"),),
        rates=lambda t, y, p, s: total(loss("A", p.k * y.A)),
    )
    model = compose("rooted", parts, observables=[Observable("root", "mg", lambda y, p, s: jnp.sqrt(y.A * p.A0), "root of an amount")])
    looks = (Looks("root", np.array([-1.0, 2.0])),)
    study = Study("corner", {"a": StudyArm(bolus((1.0, "mg")))}, looks, {"root": ("additive", 0.1)}, fixed=("A0",))
    with pytest.raises(FitError) as error:
        identify(study_problem(model, study).problem)
    assert str(error.value) == (
        "corner: at the prior medians the prediction of root for subject a at -1 h has no derivative in k, so the design has no information there. "
        "Look at another time, hold it, or move the medians away from where the model has a corner or a power of 0."
    )


@pytest.mark.slow
def test_cutpoints_of_an_outcome_that_is_left_out_are_left_out_with_it():
    """A cutpoint may be negative and has no spread of ln; the information of the concentrations is that without the outcome."""
    looks = (Looks("cp", np.array([1.0, 8.0])), Looks("effect", np.array([8.0])))
    made = study_problem(indirect_response_IV, Study("graded", {"a": StudyArm(oral((320.0, "mg")))}, looks, {})).problem
    found = identify(replace(made, noise={"cp": made.noise["cp"], "effect": ordinal((dist.Normal(0.0, 2.0),))}))
    assert found.notes == ("Left out, as no plain residual error: effect.",)
    assert found.table["name"].tolist() == [*made.population.estimated, "sigma_cp"] and found.streams["rows"].tolist()[-1] == 2
