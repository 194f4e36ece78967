"""A what-if written for other programs: records that are read back and give the same predictions; tables as NONMEM writes them."""

import jax
import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest

from pkpd import FitError, bolus, infusion, oral, read_cohort, simulate, simulate_arms, write_arms
from pkpd.diagnostics.nonmem_tables import write_nonmem_table
from pkpd.models.classic import one_compartment_oral, one_compartment_oral_lag
from pkpd.simulate.records_of_arms import xpose_table

TIMES = [0.0, 1.0, 6.0, 24.0, 36.0]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    arms = {
        "oral": oral((320, "mg")).every((12, "h"), times=3),
        "infused": infusion((300, "mg"), "iv", over=(2, "h")) + bolus((20, "mg"), "iv").at((24, "h")),
        "by weight": oral((4, "mg/kg")).lagged((1, "h")).bioavailable(0.5) + infusion((60, "mg"), "iv", rate=(30, "mg/h")).at((6, "h")),
    }
    people = pd.DataFrame({"WT": [50.0, 80.0], "VIAB": [0.5, 1.0]})
    runs = simulate_arms(
        one_compartment_oral, arms, {"CL": 2.5}, times=TIMES, between={"CL": 0.3, "V": 0.2}, covariates=people, key=jax.random.key(1),
        product=["VIAB"], overrides={"infused": {"ka": 1.0}},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("arms")
    return runs, arms, folder, write_arms(runs, one_compartment_oral, arms, folder, product=["VIAB"])


def test_records_read_back_predict_the_same(written):
    runs, arms, _, (records, parameters) = written
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
    cohort = read_cohort(records, one_compartment_oral, units=units, covariates=["ARM"])
    assert cohort.n_subjects == 6 and cohort.covariates["ARM"].tolist() == [1, 1, 2, 2, 3, 3]
    theta = pd.read_csv(parameters)
    assert theta["arm"].tolist() == [a for a in arms for _ in range(2)]
    seen = simulate(one_compartment_oral, pd.read_csv(records, na_values="."), theta.drop(columns=["ARM", "arm"]), units=units)
    found = seen[seen["EVID"] == 0]["cp"].to_numpy().reshape(3, 2, len(TIMES))
    npt.assert_allclose(found, runs["cp"].isel(draw=0), rtol=1e-9, atol=1e-12)  # the same closed form, other segments


def test_doses_are_those_of_each_subjects_product(written):
    rows = pd.read_csv(written[3][0], na_values=".")
    first = rows[(rows["EVID"] == 1)].groupby("ID")["AMT"].first()
    npt.assert_allclose(first, [160.0, 320.0, 150.0, 300.0, 50.0, 160.0])  # the last two with a bioavailability of 0.5
    assert list(rows.columns) == [
        "ID",
        "TIME",
        "EVID",
        "AMT",
        "RATE",
        "CMT",
        "DVID",
        "DV",
        "MDV",
        "ARM",
    ]  # nothing that NONMEM does not have
    infused = rows[(rows["EVID"] == 1) & (rows["ID"] == 4)].iloc[0]
    late = rows[(rows["EVID"] == 1) & (rows["ID"] == 5)].iloc[0]
    assert infused["RATE"] == 150.0 and late["TIME"] == 1.0
    assert pd.api.types.is_numeric_dtype(rows["CMT"]) and pd.api.types.is_numeric_dtype(rows["DVID"])


def test_an_xpose_table_is_what_nonmem_writes(written, tmp_path):
    runs = written[0]
    table = xpose_table(runs)
    text = write_nonmem_table(table, tmp_path / "sdtab1").read_text().splitlines()
    assert text[0] == "TABLE NO.  1" and text[1].split() == ["ID", "REP", "ARM", "TIME", "DVID", "IPRED", "WT", "VIAB"]
    back = pd.read_csv(tmp_path / "sdtab1", skiprows=1, sep=r"\s+")
    npt.assert_allclose(back["IPRED"], runs["cp"].isel(draw=0).values.ravel(), rtol=1e-4, atol=1e-12)  # four decimals are written
    assert len(back) == 3 * 2 * len(TIMES) and back["ID"].max() == 6


def test_a_subject_who_was_not_solved_has_no_line(written):
    """NONMEM's format knows no NaN: the line would hold a prediction of 0."""
    runs = written[0].copy(deep=True)
    runs["cp"][0, 0, 1] = np.nan
    table = xpose_table(runs)
    assert table.attrs["notes"] == [f"{len(TIMES)} of {6 * len(TIMES)} lines have no prediction (not solved) and are left out."]
    assert 2 not in set(table["ID"]) and len(table) == 5 * len(TIMES) and not xpose_table(written[0]).attrs["notes"]


def test_refusals_are_sentences(written, tmp_path):
    runs, arms, folder, _ = written
    with pytest.raises(FitError, match=r"records\.csv exists already and is left alone\. "):
        write_arms(runs, one_compartment_oral, arms, folder)
    with pytest.raises(FitError, match=r"^These runs do not hold the parameter 'ka' of one_compartment_oral: "):
        write_arms(runs.drop_vars("theta_ka"), one_compartment_oral, arms, tmp_path)
    with pytest.raises(FitError, match=r"^between names 'CLL', which is no parameter of one_compartment_oral\. Did you mean 'CL'\? "):
        simulate_arms(one_compartment_oral, arms, times=TIMES, between={"CLL": 0.3})
    with pytest.raises(FitError, match=r"^between draws random numbers: give a key"):
        simulate_arms(one_compartment_oral, arms, times=TIMES, between={"CL": 0.3})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"overrides": {"CLL": 1.0}}, r"^overrides names 'CLL', which is no parameter of one_compartment_oral\. Did you mean 'CL'\? "),
        ({"overrides": {"twice": {"CL": 1.0}}}, r"^overrides names the arm 'twice', which is not given\. Known: once\.$"),
        (
            {"overrides": {"CL": -1.0}},
            r"^overrides sets 'CL' of once to -1\.0; accepted is a finite number, not below 0, in L/h, or a function",
        ),
        ({"overrides": {"CL": [1.0, 2.0]}}, r"^overrides sets 'CL' of once to \[1\.0, 2\.0\]; accepted is a finite number"),
        (
            {"overrides": {"CL": lambda x: -x}},
            r"^overrides makes 'CL' of once -.* in virtual subject 1; it must be a finite number, not below 0\.$",
        ),
        (
            {"overrides": {"CL": lambda x: [1.0, 2.0]}},
            r"^The function that overrides sets 'CL' by gives shape \(2,\); accepted is one number, .*\(3,\)\.$",
        ),
        ({"n_subjects": 0}, r"^n_subjects=0: a whole number of subjects, at least 1\.$"),
        ({"n_subjects": True}, r"^n_subjects=True: a whole number of subjects, at least 1\.$"),
        ({"n_subjects": -3}, r"^n_subjects=-3: a whole number of subjects, at least 1\.$"),
        ({"covariates": {"WT": 70.0}, "n_subjects": None}, r"^covariates are a DataFrame with a row a subject, or columns as in \{'WT': "),
        (
            {"product": ["VIABB"], "covariates": {"VIAB": [1.0, 1.0, 1.0]}},
            r"^product names 'VIABB', which .* do not have\. Did you mean 'VIAB'\? ",
        ),
        (
            {"product": "VIAB", "covariates": {"VIAB": [1.0, -1.0, 1.0]}},
            r"^product=\('VIAB',\): doses of virtual subject 2 would be multiplied by -1; ",
        ),
        ({"between": {"CL": -0.3}}, r"^between sets 'CL' to -0\.3; a standard deviation is a finite number, not below 0\.$"),
    ],
)
def test_what_simulate_arms_cannot_use_is_refused(options, text):
    with pytest.raises(FitError, match=text):
        simulate_arms(
            one_compartment_oral, {"once": oral((320, "mg"))}, times=TIMES, **({"n_subjects": 3, "key": jax.random.key(1)} | options)
        )


def test_what_other_programs_cannot_say_is_refused(tmp_path):
    arms = {"a": infusion((1, "mg"), "oral", over=(1, "h"))}
    runs = simulate_arms(one_compartment_oral_lag, arms, times=[1.0, 2.0])
    with pytest.raises(FitError, match=r"^A dose into 'oral' is infused over a duration, and .* gives that route a bioavailability, "):
        write_arms(runs, one_compartment_oral_lag, arms, tmp_path)


def test_variability_is_on_the_parameters_own_scale():
    """2000 subjects, sd 0.3 of ln CL: the mean within 4 and the sd within 4 standard errors (1 in 8000)."""
    runs = simulate_arms(
        one_compartment_oral, {"a": oral((1, "mg"))}, {"CL": 2.0}, times=[1.0], between={"CL": 0.3}, n_subjects=2000, key=jax.random.key(2)
    )
    z = np.log(runs["theta_CL"].values.ravel() / 2.0) / 0.3
    assert abs(z.mean()) < 4 / np.sqrt(2000) and abs(z.std() - 1) < 4 / np.sqrt(4000)
