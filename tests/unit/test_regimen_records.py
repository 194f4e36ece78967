"""Regimens as records: the columns of each feature, one subject or many, and what is refused on the way."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary
from pkpd.errors import DoseError
from pkpd.events import Regimen, bolus, constant_infusion, infusion, oral
from pkpd.model import load_model
from pkpd.models.classic import one_compartment_iv
from pkpd.simulate import design

MG = (100, "mg")
WORDS = Vocabulary(doses=(Field("iv", "mg"), Field("oral", "mg")), states=(Field("depot", "mg"), Field("central", "mg")))
USUAL = ["ID", "TIME", "EVID", "AMT", "RATE", "DUR", "CMT"]
PEOPLE = pd.DataFrame({"ID": ["a", "b"], "WT": [60.0, 90.0], "HT": [150.0, 190.0]})


def rows(regimen: Regimen, **more) -> list[list]:
    table = regimen.to_records(WORDS, **more)
    return table.drop(columns=["EVID", "CMT"]).values.tolist()


def back(regimen: Regimen) -> Regimen:
    return Regimen.from_records(regimen.to_records(WORDS), WORDS)


SHAPES = [
    (bolus(MG, "iv"), [100.0, 0.0, 0.0]),
    (infusion(MG, "iv", over=(2, "h")), [100.0, 50.0, 2.0]),
    (infusion((0.1, "g"), "iv", rate=(50, "mg/h")), [100.0, 50.0, 0.0]),
    (infusion(MG, "iv", over="modelled"), [100.0, -2.0, 0.0]),
    (infusion(MG, "iv", rate="modelled"), [100.0, -1.0, 0.0]),
]


@pytest.mark.parametrize(("regimen", "written"), SHAPES, ids=[r.doses[0].shape for r, _ in SHAPES])
def test_each_shape_has_its_columns(regimen, written):
    table = regimen.to_records(WORDS)
    assert list(table.columns) == USUAL
    assert table[["AMT", "RATE", "DUR"]].values.tolist() == [written]
    assert back(regimen) == regimen.for_model(WORDS)


def test_columns_come_where_a_dose_needs_them():
    first = oral(MG).lagged((0.5, "h")).bioavailable(0.8).steady_state((12, "h"))
    table = (first + bolus(MG, "iv").at((5, "h"))).to_records(WORDS)
    assert list(table.columns) == [*USUAL, "SS", "II", "LAG", "F"]
    np.testing.assert_array_equal(table[["SS", "II", "LAG", "F"]], [[1, 12, 0.5, 0.8], [0, 0, np.nan, np.nan]])
    assert list(oral(MG).lagged((1, "h")).to_records(WORDS).columns) == [*USUAL, "LAG"]


FEATURES = [
    oral(MG).lagged((0.5, "h")).bioavailable(0.8) + oral(MG).at((12, "h")),
    bolus(MG, "iv").steady_state((12, "h")).every((12, "h"), times=3),
    infusion(MG, "iv", over=(20, "h")).steady_state((12, "h"), adds=True).lagged((2, "h")),
    infusion(MG, "iv", rate=(5, "mg/h")).steady_state((12, "h")) + oral(MG),
    constant_infusion((50, "mg/h"), "iv") + infusion(MG, "iv", rate=(50, "mg/h")),
    bolus((500, "mg"), "iv").then(bolus((250, "mg"), "iv").every((0.1, "h"), times=10), after=(12, "h")),
    bolus(MG, "iv") + bolus(MG, "iv"),
    bolus(MG, "central").at((-24, "h")),
]


@pytest.mark.parametrize("regimen", FEATURES, ids=range(len(FEATURES)))
def test_reading_back_is_exact(regimen):
    assert back(regimen) == regimen.for_model(WORDS)
    pd.testing.assert_frame_equal(back(regimen).to_records(WORDS), regimen.to_records(WORDS))


def test_additional_doses_taken_away_by_a_steady_state_are_not_given():
    table = pd.DataFrame({"ID": 1, "TIME": [0, 24], "AMT": 10, "CMT": "iv", "ADDL": [5, 1], "II": 12, "SS": [0, 1]})
    found = Regimen.from_records(table, WORDS, units={"TIME": "h", "AMT": "mg"})
    steady = bolus((10, "mg"), "iv").steady_state((12, "h")).every((12, "h"), times=2).at((1, "day"))
    assert found == bolus((10, "mg"), "iv").every((12, "h"), times=2) + steady


def test_a_dose_that_a_steady_state_takes_away_at_once_is_no_regimen():
    table = pd.DataFrame({"ID": 1, "TIME": 0, "AMT": [10, 20], "CMT": "iv", "II": [0, 12], "SS": [0, 1]})
    words = (
        "Row 1 gives a dose which row 2, at steady state (SS = 1) and at the same time, takes away. No regimen says this. "
        "Leave the first of them out, or give the second SS = 2."
    )
    with pytest.raises(DoseError, match=re.escape(words)):
        Regimen.from_records(table, WORDS, units={"TIME": "h", "AMT": "mg"})
    assert len(Regimen.from_records(table.iloc[::-1], WORDS, units={"TIME": "h", "AMT": "mg"}).doses) == 2


def test_every_subject_has_its_own_amounts():
    plan = infusion((5, "mg/kg"), "iv", rate=(100, "mg/h")).at_most((400, "mg")).every((1, "day"), times=2)
    assert rows(plan, subjects=PEOPLE) == [
        ["a", 0.0, 300.0, 100.0, 0.0],
        ["a", 24.0, 300.0, 100.0, 0.0],
        ["b", 0.0, 400.0, 100.0, 0.0],
        ["b", 24.0, 400.0, 100.0, 0.0],
    ]
    assert plan.to_records(WORDS, subjects=PEOPLE).attrs["units"] == {"TIME": "h", "AMT": {"iv": "mg"}}


def test_subjects_get_what_one_body_gets():
    plan = infusion((75, "mg/m^2"), "iv", over=(2, "h")) + infusion((1, "g"), "iv", rate=(0.5, "mg/kg/min")).at((3, "h"))
    table = plan.to_records(WORDS, subjects=PEOPLE.assign(BSA=[1.6, 2.2]))
    for name, weight, surface in (("a", 60, 1.6), ("b", 90, 2.2)):
        alone = plan.for_body(weight=(weight, "kg"), surface=(surface, "m^2"))
        mine = table[table["ID"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone.to_records(WORDS, id=name))


def test_body_surface_is_computed_when_a_formula_is_named():
    plan = bolus((100, "mg/m^2"), "iv")
    assert plan.to_records(WORDS, subjects=PEOPLE, bsa="mosteller")["AMT"].tolist() == pytest.approx([158.114, 217.945], abs=1e-3)
    metres = PEOPLE.drop(columns="HT").assign(**{"ht [m]": [1.5, 1.9]})
    pd.testing.assert_frame_equal(
        plan.to_records(WORDS, subjects=metres, bsa="mosteller"), plan.to_records(WORDS, subjects=PEOPLE, bsa="mosteller")
    )


def test_subjects_without_an_id_are_counted():
    table = bolus(MG, "iv").to_records(WORDS, subjects=pd.DataFrame(index=range(3)))
    assert table["ID"].tolist() == ["1", "2", "3"]
    assert len(Regimen().to_records(WORDS, subjects=PEOPLE)) == 0


def test_many_subjects_take_no_loop():
    many = pd.DataFrame({"WT": np.linspace(40, 120, 20_000)})
    table = bolus((5, "mg/kg"), "iv").every((12, "h"), times=10).to_records(WORDS, subjects=many)
    assert len(table) == 200_000
    assert table["AMT"].sum() == pytest.approx(50 * many["WT"].sum())


@pytest.mark.slow
def test_a_design_gives_each_subject_its_own_dose():
    plan, people = infusion((5, "mg/kg"), rate=(50, "mg/h")), pd.DataFrame({"WT": [50.0, 70.0, 80.0]})
    together = design(one_compartment_iv, plan, [0.0, 4.0, 24.0], people, "by weight")
    values = np.asarray(together.predictor.observables({})[0])[:, 0]
    assert together.cohort.doses["amount"].tolist() == [250.0, 350.0, 400.0]
    assert together.cohort.subjects == ("1", "2", "3")
    for i, weight in enumerate(people["WT"]):
        alone = design(one_compartment_iv, plan.for_body(weight=(weight, "kg")), [0.0, 4.0, 24.0], people[:1], "alone")
        np.testing.assert_allclose(values[:, i], np.asarray(alone.predictor.observables({})[0])[:, 0, 0], rtol=1e-9)


def test_a_design_keeps_every_feature_of_a_regimen():
    plan = infusion(MG, rate=(50, "mg/h")).lagged((1, "h")).steady_state((12, "h")).every((12, "h"), times=2)
    doses = design(one_compartment_iv, plan + infusion(MG).at((5, "h")), [0.0, 24.0], pd.DataFrame(index=range(1)), "all").cohort.doses
    assert doses["shape"].tolist() == ["rate", "duration", "rate"]
    assert doses["ss"].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(doses["lag"], [1.0, np.nan, 1.0])


PER_KG, PER_M2 = bolus((5, "mg/kg"), "iv"), bolus((75, "mg/m^2"), "iv")
REFUSED = [
    (
        lambda: PER_KG.to_records(WORDS),
        "A dose of 5 mg/kg needs the body weight of each subject: to_records(model, subjects=table), or for_body(...).",
    ),
    (
        lambda: PER_KG.to_records(WORDS, subjects=pd.DataFrame({"WGT": [70.0]})),
        "A dose of 5 mg/kg needs column WT (kg), which the table of subjects does not have. Did you mean 'WGT'? Known: WGT.",
    ),
    (
        lambda: PER_KG.to_records(WORDS, subjects=PEOPLE.assign(WT=[60.0, None])),
        "WT is nan in row 2 of the subjects; a dose of 5 mg/kg needs a number above zero.",
    ),
    (
        lambda: PER_KG.to_records(WORDS, subjects=PEOPLE.assign(WT=[60.0, -1.0])),
        "WT is -1.0 in row 2 of the subjects; a dose of 5 mg/kg needs a number above zero.",
    ),
    (
        lambda: PER_M2.to_records(WORDS, subjects=PEOPLE),
        "A dose of 75 mg/m^2 needs the body surface of each subject; the table has WT and HT but no BSA. "
        "Name the formula, as in bsa='mosteller' (mosteller, du_bois, haycock), or add a column BSA in m^2.",
    ),
    (
        lambda: PER_M2.to_records(WORDS, subjects=PEOPLE[["ID", "WT"]]),
        "A dose of 75 mg/m^2 needs column BSA (m^2), which the table of subjects does not have. Known: ID, WT.",
    ),
    (
        lambda: PER_M2.to_records(WORDS, subjects=PEOPLE.assign(BSA=1.8), bsa="mosteller"),
        "The subjects have a column BSA, and bsa='mosteller' asks for a formula. Leave out one of the two.",
    ),
    (
        lambda: PER_M2.to_records(WORDS, subjects=PEOPLE.assign(HT=[1.5, 1.9]), bsa="mosteller"),
        "HT is 1.5 cm in row 1 of the subjects. Is it in another unit? Write HT [m].",
    ),
    (
        lambda: PER_M2.to_records(WORDS, subjects=PEOPLE, bsa="moesteller"),
        "'moesteller' is no formula of body surface. Did you mean 'mosteller'? Known: du_bois, haycock, mosteller.",
    ),
    (
        lambda: PER_KG.to_records(WORDS, "7", subjects=PEOPLE),
        "to_records(id='7', subjects=...): the subjects carry their own names. Put them in column ID of the table.",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[f"{i}-{words[:30]}" for i, (_, words) in enumerate(REFUSED)])
def test_what_is_refused_says_why(make, words):
    with pytest.raises(DoseError) as caught:
        make()
    assert str(caught.value) == words


def test_a_model_that_counts_by_weight_itself_needs_no_weights():
    """Endotoxin is dosed in ng/kg, and the model's state counts so."""
    model = load_model("endotoxin_cytokines")
    route = model.vocabulary.doses[0]
    table = bolus((2.0, route.unit), into=route.name).to_records(model)
    assert table["AMT"].tolist() == [2.0]
    assert table.attrs["units"]["AMT"] == {route.name: route.unit}
    assert Regimen.from_records(table, model) == bolus((2.0, route.unit), into=route.name)
