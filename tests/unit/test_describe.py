"""Descriptions: every declared word in the tables, the prose and the notebook view."""

import xml.etree.ElementTree as ET

import pytest

from pkpd import Component, Param, State, compose, loss, total
from pkpd.model import available_models, describe, load_model
from pkpd.model.describe import WIDTH


@pytest.mark.parametrize("name", available_models())
def test_tables_hold_everything_that_is_declared(name):
    model = load_model(name)
    told = describe(model)
    assert told.parameters["name"].tolist() == list(model.param_names)
    assert told.parameters["typical value"].to_dict() == dict(enumerate(model.typical.values()))
    assert told.parameters["source"].tolist() == [p.source for p in model.params]
    assert told.parameters["support"].tolist() == [p.support for p in model.params]
    assert told.states[["name", "unit", "meaning"]].to_numpy().tolist() == [[s.name, s.unit, s.meaning] for s in model.states]
    assert told.observables["name"].tolist() == list(model.observable_names)
    assert told.covariates["name"].tolist() == list(model.covariate_names)
    assert told.doses["name"].tolist() == [d.name for d in model.doses]
    for word in (*model.param_names, *model.state_names, *model.observable_names):
        assert word in str(told) and word in told._repr_html_()


def test_prose_says_what_moves_appears_and_is_lost():
    told = describe(load_model("indirect_response_III"))
    assert told.text.startswith(
        "indirect_response_III has 3 states and 7 parameters. A dose by 'oral' (mg) enters depot. A dose by 'iv' (mg) enters central. "
        "Mass moves from depot to central (ka). Gained from nothing: response (kout, R0, Emax, EC50, concentration). "
        "Lost to nothing: central (CL, V) and response (kout). Observed: cp (mg/L; plasma concentration) and effect (ng/mL; the response)."
    )
    assert "Dayneka" in told.text


def test_initial_values_doses_and_observables_name_their_parameters():
    told = describe(load_model("carm_blood_il6"))
    assert dict(zip(told.states["name"], told.states["initial"], strict=True)) | {"il6": "base_il6", "lung": "0"} == dict(
        zip(told.states["name"], told.states["initial"], strict=True)
    )
    assert told.doses["into"].tolist() == ["lung (share f_L) and blood (share 1 - f_L)"]
    assert told.observables["depends on"].tolist() == ["blood, S", "il6"]


def test_plain_text_fits_a_terminal_and_keeps_equations():
    told = str(describe(load_model("one_compartment_oral")))
    assert told.splitlines()[:2] == ["one_compartment_oral", "===================="]
    assert "    depot   dA/dt = -ka A\n" in told
    assert max(map(len, told.splitlines())) <= WIDTH
    assert "Covariates" not in told  # an empty table is not shown


def test_the_notebook_view_is_well_formed_and_escaped():
    pool = Component(
        "pool",
        states=State("x", "mg", "amount < 1 & <b>more</b>"),
        params=Param("k", 0.1, "1/h", "a rate", source="<script>alert(1)</script>"),
        rates=lambda t, y, p, s: total(loss("x", p.k * y.x)),
    )
    view = describe(compose("escaped", pool, text="a < b\n\n    dx/dt = -k x"))._repr_html_()
    root = ET.fromstring(view)
    tags = {e.tag.rsplit("}")[-1] for e in root.iter()}
    assert "svg" in tags and "table" in tags and "pre" in tags and not tags & {"b", "script"}
    assert "&lt;script&gt;" in view and "a &lt; b" in view


def test_a_description_is_a_frozen_value():
    told = describe(load_model("one_compartment_iv"))
    with pytest.raises(AttributeError):
        told.name = "other"  # ty: ignore[invalid-assignment]
