"""Predictions for every record, parameters of every shape, designs of virtual subjects, and what is refused in which words."""

from __future__ import annotations

import re

import jax
import numpy as np
import pandas as pd
import pytest

from pkpd.errors import DataError, DoseError, ModelError, SolveError
from pkpd.events import bolus, cells, infusion, sum_of
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import indirect_response_I, one_compartment_iv
from pkpd.simulate import Design, design, simulate
from pkpd.solve import Solver

UNITS = {"TIME": "h", "AMT": "mg"}
IV = {"CL": 1.0, "V": 20.0}
K = 1.0 / 20.0


def table(*rows: tuple, **more) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT"]).assign(**more)


def run(records, parameters=IV, **settings) -> pd.DataFrame:
    return simulate(one_compartment_iv, records, parameters, units=UNITS, **settings)


def close(found, wanted) -> None:
    """The closed form is exact up to rounding."""
    np.testing.assert_allclose(np.asarray(found, float), wanted, rtol=1e-12, atol=1e-14)


def test_one_row_a_record_read_after_it_has_acted():
    rows = [(1, 0, 0, 0), (1, 0, 1, 200), (1, 0, 0, 0), (1, 10, 2, 0), (1, 10, 1, 100), (1, 12, 3, 0), (1, 12, 4, 40)]
    found = run(table(*rows))
    kept = 10 * np.exp(-K * 10)
    close(found["cp"], [0, 10, 10, kept, kept + 5, 0, 2])
    assert list(found.columns) == ["ID", "TIME", "EVID", "cp"]
    assert found["EVID"].tolist() == [0, 1, 0, 2, 1, 3, 4]
    assert found.attrs["units"] == {"cp": "mg/L"}


def test_an_additional_dose_is_seen_by_the_row_of_its_time_and_an_infusion_by_its_slope():
    rows = table((1, 0, 1, 200), (1, 12, 0, 0), (1, 12, 2, 0)).assign(ADDL=[1, 0, 0], II=[12, 0, 0])
    close(run(rows)["cp"], [10, *[10 * np.exp(-K * 12) + 10] * 2])
    rows = table((1, 0, 1, 200), (1, 1, 0, 0), (1, 2, 0, 0)).assign(DUR=[2, 0, 0])
    close(run(rows)["cp"], [0, *(100 * (1 - np.exp(-K * t)) for t in (1, 2))])


def test_the_table_keeps_order_index_and_the_ids_and_times_as_written():
    rows = table(("b", 0, 1, 200), ("b", 1, 0, 0), ("a", 0, 1, 100), ("a", 0.5, 0, 0)).set_axis([9, 4, 7, 1])
    found = simulate(one_compartment_iv, rows, IV, units={"TIME": "day", "AMT": "mg"})
    assert found.index.tolist() == [9, 4, 7, 1]
    assert found["ID"].tolist() == ["b", "b", "a", "a"] and found["TIME"].tolist() == [0, 1, 0, 0.5]
    close(found["cp"], [10, 10 * np.exp(-K * 24), 5, 5 * np.exp(-K * 12)])


def test_a_csv_file_is_read_too_and_its_lines_are_named(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("# made up\nid,time,evid,amt,dv\n1,0,1,200,.\n1,10,0,.,.\n")
    found = run(path)
    assert found["ID"].tolist() == [1, 1]
    close(found["cp"], [10, 10 * np.exp(-K * 10)])
    path.write_text("# made up\nid,time,evid,amt\n1,0,1,200\n1,ten,0,.\n")
    with pytest.raises(DataError, match=r"few.csv: 1 thing to mend\.\n  PK027 row 4, subject 1, column TIME: 'ten' is not"):
        run(path)


def test_what_was_measured_does_not_matter():
    rows = table((1, 0, 1, 200), (1, 10, 0, 0)).assign(DV=[np.nan, -99.0], CENS=[0, 1], LIMIT=[np.nan, 7.0], MDV=[1, 0])
    close(run(rows)["cp"], run(rows[["ID", "TIME", "EVID", "AMT"]])["cp"])


def test_every_observable_whatever_the_row_holds():
    rows = table((1, 0, 1, 320), (1, 4, 0, 0), (1, 4, 0, 0)).assign(CMT="iv", DVID=["", "effect", "."])
    found = simulate(indirect_response_I, rows, {"Emax": 0.5}, units=UNITS)
    assert list(found.columns) == ["ID", "TIME", "EVID", "cp", "effect"]
    assert found.loc[0, ["cp", "effect"]].tolist() == [10.0, 10.0]
    assert found["effect"].iloc[1] == found["effect"].iloc[2] < 10.0
    with pytest.raises(DataError, match=r"The model has no observable 'effects'\. Did you mean 'effect'\?"):
        simulate(indirect_response_I, rows.assign(DVID=["", "effects", ""]), {}, units=UNITS)


def test_covariates_come_from_the_records_and_are_carried_when_asked():
    rows = table((1, 0, 1, 5), (1, 24, 0, 0), (2, 0, 1, 5), (2, 24, 0, 0)).assign(HER2=[2, 2, 3, 3], WT=[60, 60, 80, 80])
    found = simulate(carm_blood_il6, rows, {}, units={"TIME": "h", "AMT": "1e9 cells"}, covariates=["WT"])
    assert found["WT"].tolist() == [60, 60, 80, 80]
    assert found["il6"].iloc[1] < found["il6"].iloc[3]
    assert found["car_dna"].iloc[1] == found["car_dna"].iloc[3] > 0


TWO = table((1, 0, 1, 200), (1, 10, 0, 0), (2, 0, 1, 200), (2, 10, 0, 0))
PER_SUBJECT = {
    "a table with ID": pd.DataFrame({"ID": [2, 1], "CL": [4.0, 1.0], "V": [40.0, 20.0]}),
    "a table by index": pd.DataFrame({"CL": [4.0, 1.0], "V": [40.0, 20.0]}, index=["2", "1"]),
    "a mapping of columns": {"ID": [2, 1, 3], "CL": [4.0, 1.0, 9.0], "V": [40.0, 20.0, 9.0]},
    "values in order": {"CL": [1.0, 4.0], "V": np.array([20.0, 40.0])},
    "a series and values": {"CL": pd.Series({2.0: 4.0, 1.0: 1.0}), "V": (20.0, 40.0)},
}


@pytest.mark.parametrize("parameters", PER_SUBJECT.values(), ids=PER_SUBJECT.keys())
def test_parameters_per_subject(parameters):
    close(run(TWO, parameters)["cp"], [10, 10 * np.exp(-0.5), 5, 5 * np.exp(-1.0)])


def test_parameters_not_named_stay_typical():
    typical = one_compartment_iv.typical
    close(run(TWO, {"V": 20.0})["cp"].iloc[1], 10 * np.exp(-10 * typical["CL"] / 20))


NAN = float("nan")
REFUSED = [
    ({"Cl": 1.0}, "one_compartment_iv: parameters to simulate with: There is no parameter 'Cl'. Did you mean 'CL'? Known: CL, V."),
    ({"CL": NAN, "V": -1}, "Parameter 'CL' is nan; it must be a finite number, not below 0. Parameter 'V' is -1; it must be"),
    ({"CL": [1.0, NAN]}, "Parameter 'CL' is nan for subject 2; it must be a finite number, not below 0."),
    ({"CL": [1.0, 2.0, 3.0]}, "Parameter 'CL' has shape (3,); give one number, or one for each of the 2 subjects."),
    ({"CL": (2.8, "L/h")}, "Parameter 'CL' is (2.8, 'L/h'), which is no number; give plain numbers in the model's unit."),
    ({"CL": pd.Series({1: 2.0})}, "Parameter 'CL': No row for subject 2 of the records; give one (by column ID or index)."),
    (
        pd.DataFrame({"ID": [1, 1, 3], "CL": 1.0}),
        "No row for subject 2 of the records; give one (by column ID or index). More than one row for subject 1;",
    ),
    (pd.DataFrame({"ID": [1, 2], "CL": [1.0, None]}), "Parameter 'CL' is nan for subject 2"),
    (3.0, "Parameters are a mapping of names to numbers, or a DataFrame with a row a subject, not float."),
]


@pytest.mark.parametrize(("parameters", "words"), REFUSED, ids=[words[:50] for _, words in REFUSED])
def test_parameters_that_do_not_fit_are_named(parameters, words):
    with pytest.raises(ModelError, match=re.escape(words)):
        run(TWO, parameters)


def test_a_column_named_like_a_parameter_is_refused():
    with pytest.raises(ModelError, match=r"The records have the column CL, named like parameters of one_compartment_iv\."):
        run(TWO.assign(CL=3.0))


def test_nothing_is_assumed_about_units():
    with pytest.raises(DataError, match=r"PK020 column TIME: The unit of TIME is not declared"):
        simulate(one_compartment_iv, TWO, IV)


def test_subjects_that_fail_are_named():
    stiff = {"kout": [0.1, 1e5]}
    rows = TWO.assign(CMT="iv")
    with pytest.raises(SolveError, match=r"1 of 2 subjects could not be integrated\. subject 2: the step limit was reached"):
        simulate(indirect_response_I, rows, stiff, units=UNITS, solver=Solver("tsit5", max_steps=64))
    with pytest.raises(SolveError, match=r"subject.* 2"):
        run(TWO, {"V": [20.0, 0.0]})


# designs


def values_of(made: Design, theta: dict) -> np.ndarray:
    return np.asarray(jax.jit(made.predictor.observables)(theta)[0])


def test_a_design_reads_after_the_dose_unless_told_otherwise():
    twice = bolus((200, "mg")).every((10, "h"), times=2)
    kept = 10 * np.exp(-0.5)
    for at_dose, wanted in (("after", [10, kept + 10]), ("before", [0, kept])):
        made = design(one_compartment_iv, twice, [0, 10], pd.DataFrame(index=range(2)), "x", at_dose=at_dose)
        values = values_of(made, IV)
        close(values[:, 0], np.array([wanted, wanted]).T)
        close(made.predictor(IV), wanted * 2)


@pytest.mark.slow
def test_a_design_says_the_same_as_the_records_it_stands_for():
    arm = infusion(cells(2e9), over=(0.5, "h")).every((48, "h"), times=2)
    times, her2 = np.array([0.25, 0.5, 24, 48, 72]), pd.DataFrame({"HER2": [2.0, 3.0]})
    made = design(carm_blood_il6, arm, times, her2, "two patients")
    values = values_of(made, {})
    assert values.shape == (5, 2, 2) and made.predictor.schedule.times[:, 1].tolist() == times.tolist()
    assert made.cohort.n_subjects == 2 and made.cohort.covariates["HER2"].tolist() == [2.0, 3.0]
    rows = pd.concat([arm.to_records(carm_blood_il6), pd.DataFrame({"ID": "1", "TIME": times, "EVID": 0})]).sort_values(
        "TIME", kind="stable"
    )
    for lane, score in enumerate((2.0, 3.0)):
        found = simulate(carm_blood_il6, rows.assign(HER2=score), {}, units=arm.to_records(carm_blood_il6).attrs["units"])
        seen = found[found["EVID"] == 0]
        # the mesh of the cascade depends on the times looked at: its measured error here is below 1e-5 (docs/validation)
        np.testing.assert_allclose(values[:, :, lane], seen[["car_dna", "il6"]], rtol=1e-3)


def test_an_arm_without_doses_stays_at_the_baseline():
    made = design(carm_blood_il6, sum_of(()), [0, 24], pd.DataFrame({"HER2": [3.0]}), "control")
    close(values_of(made, {})[:, :, 0], [[0, 0.71], [0, 0.71]])


DESIGNS = [
    ({"times_h": [0, 0]}, DoseError, "finite hours, each later than the one before; got [0, 0]."),
    (
        {"covariates": pd.DataFrame(index=range(2))},
        ModelError,
        "carm_blood_il6 reads the covariate 'HER2', which the virtual subjects do not have.",
    ),
    (
        {"covariates": pd.DataFrame({"HER2": [3.0, None]})},
        ModelError,
        "Covariate HER2 of virtual subject 2 is nan; give finite numbers.",
    ),
    ({"covariates": pd.DataFrame({"HER2": []})}, ModelError, "A design needs virtual subjects: `covariates` has no rows."),
    (
        {"regimen": bolus(cells(1e9), "lungs")},
        DoseError,
        "A dose goes into 'lungs', which is no dose route or state of this model. Did you mean 'lung'?",
    ),
]


@pytest.mark.parametrize(("change", "kind", "words"), DESIGNS, ids=[words[:40] for _, _, words in DESIGNS])
def test_designs_that_do_not_fit_say_why(change, kind, words):
    given = {"regimen": bolus(cells(1e9)), "times_h": [0, 1], "covariates": pd.DataFrame({"HER2": [3.0]})} | change
    with pytest.raises(kind, match=re.escape(words)):
        design(carm_blood_il6, **given, name="x")
