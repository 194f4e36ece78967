"""Models by name, through the entry points of installed packages."""

import sys
from types import ModuleType
from typing import Any

import pytest

from pkpd import Component, Param, State, compose, loss, total
from pkpd.errors import ModelError
from pkpd.model import Model, available_models, load_model, registry
from pkpd.model.registry import model_source


def pool(name: str) -> Model:
    states, params = State("x", "mg", "m"), Param("k", 0.1, "1/h", "a rate", source="assumption: test")
    return compose(
        name, Component("pool", states, params, lambda t, y, p, s: total(loss("x", p.k * y.x))), text=f"{name}, in one line.\nMore."
    )


class Point:
    """An entry point that loads what it is given."""

    def __init__(self, name: str, loaded: Any):
        self.name, self.value, self.loaded = name, f"{name}.models", loaded

    def load(self) -> Any:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def module(name: str, **values: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(values)
    return made


@pytest.fixture
def offer(monkeypatch):
    """Let the given points be all that is installed."""
    return lambda *points: monkeypatch.setattr(registry, "entry_points", lambda group: list(points) if group == "pkpd.models" else [])


def test_the_shipped_models_are_found_by_name():
    known = available_models()
    assert {"one_compartment_oral", "two_compartment_iv", "indirect_response_I", "carm_trafficking", "carm_blood_il6"} <= set(known)
    assert list(known) == sorted(known) and all(known.values())
    assert all(load_model(name).name == name for name in known)


def test_a_model_is_one_object_however_it_is_reached():
    from pkpd.models.classic import one_compartment_oral

    assert load_model("one_compartment_oral") is one_compartment_oral


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ModelError) as caught:
        load_model("one_compartment_orl")
    listed = ", ".join(sorted(available_models()))
    assert str(caught.value) == f"No installed model is named 'one_compartment_orl'. Did you mean 'one_compartment_oral'? Known: {listed}."


@pytest.mark.parametrize("name", available_models())
def test_the_source_of_a_model_is_the_file_that_composes_it(name):
    file = model_source(name)
    assert file.name != "__init__.py" and "compose" in file.read_text(encoding="utf-8")


def test_the_source_is_where_a_model_is_assigned_not_where_it_is_imported(tmp_path, monkeypatch, offer):
    package = tmp_path / "somebody"
    package.mkdir()
    (package / "__init__.py").write_text("from .reuse import thing\n")
    (package / "reuse.py").write_text("from .zz_made import thing\n\nother = [thing]\n")
    (package / "zz_made.py").write_text("from tests.unit.test_registry import pool\n\nthing, count = pool('thing'), 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tests.unit.test_registry", sys.modules[__name__])
    import somebody  # ty: ignore[unresolved-import]

    offer(Point("somebody", somebody))
    assert available_models() == {"thing": "thing, in one line."}
    assert model_source("thing") == package / "zz_made.py"
    for name in [n for n in sys.modules if n.split(".")[0] == "somebody"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_model_that_no_file_assigns_has_no_source(offer, tmp_path):
    (tmp_path / "made.py").write_text("")
    offer(Point("a", module("made", thing=pool("thing"), __file__=str(tmp_path / "made.py"))))
    with pytest.raises(ModelError) as caught:
        model_source("thing")
    assert (
        str(caught.value)
        == "'thing' is offered by made, but no file of that package assigns it to a name, so there is none to show or copy."
    )


def test_a_package_that_cannot_be_imported_stops_nobody_but_is_named(offer):
    offer(Point("broken", ImportError("no module named 'x'")), Point("good", module("good", thing=pool("thing"))))
    sentence = "The models of 'broken.models' cannot be imported (ImportError: no module named 'x'); mend or uninstall the package."
    assert load_model("thing").name == "thing"
    with pytest.warns(UserWarning) as warned:
        assert list(available_models()) == ["thing"]
    assert str(warned[0].message) == sentence
    with pytest.raises(ModelError) as caught:
        load_model("thin")
    assert str(caught.value) == f"No installed model is named 'thin'. Did you mean 'thing'? Known: thing. {sentence}"


def test_two_models_of_one_name_are_refused(offer):
    offer(Point("a", module("first", m=pool("thing"))), Point("b", module("second", m=pool("thing"))))
    with pytest.raises(ModelError) as caught:
        load_model("thing")
    assert str(caught.value) == "Two models are named 'thing': one in first, one in second. Rename one, or uninstall its package."


def test_nothing_installed_is_said_so(offer):
    offer()
    assert available_models() == {}
    with pytest.raises(ModelError) as caught:
        load_model("thing")
    assert str(caught.value) == "No models are installed: no package offers any (entry points 'pkpd.models'). Install pkpd-jax with pip."
