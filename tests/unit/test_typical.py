"""Examples and the typical profile: refused when they do not fit, exact where a closed form is known, drawn with the dose in the title."""

import numpy as np
import pytest

from pkpd import Example, ModelError, bolus, compose, infusion, load_model, typical_profile
from pkpd.errors import DoseError
from pkpd.plots import plot_typical
from tests.cli import told

WHY = "assumption: a test"


def test_the_profile_of_one_compartment_is_its_closed_form():
    model = load_model("one_compartment_iv")
    table = typical_profile(model, Example(bolus((320, "mg")).every((12, "h"), times=2), (24, "h"), WHY))
    t, k = table["TIME"].to_numpy(), 2.8 / 32.0
    second = np.where(t >= 12.0, np.exp(-k * np.clip(t - 12.0, 0.0, None)), 0.0)
    np.testing.assert_allclose(table["cp"], 10.0 * (np.exp(-k * t) + second), rtol=2e-6)  # the solver's rtol is 1e-6
    assert (np.diff(t) > 0).all() and {0.0, 12.0, 24.0} <= set(t) and ((t < 12) & (t > 12 - 1e-6)).any()
    assert table.attrs == {"units": {"cp": "mg/L"}, "says": "320 mg into iv at 0, 12 h (assumption: a test)"}


def test_an_example_is_no_part_of_what_a_model_is():
    model = load_model("one_compartment_iv")
    bare = compose(model.name, *model.components, observables=model.observables, text=model.text)
    assert bare == model and bare.digest == model.digest and hash(bare) == hash(model) and bare.example is None
    with pytest.raises(ModelError, match="one_compartment_iv declares no example"):
        typical_profile(bare)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((bolus((1, "mg")), (24, "h"), " "), "has no source"),
        ((bolus((1, "mg")).at((2, "day")), (24, "h"), WHY), "An example ends at 24 h, and a dose is given at 48 h. Look for longer."),
        ((bolus((1, "mg")).at((-2, "h")), (24, "h"), WHY), "a dose is given at -2 h: the trial begins at 0 h"),
    ],
)
def test_an_example_that_shows_nothing_is_refused(arguments, sentence):
    with pytest.raises(ModelError, match=sentence):
        Example(*arguments)


@pytest.mark.parametrize(
    ("example", "error", "sentence"),
    [
        (Example(bolus((1, "mg"), into="orl"), (24, "h"), WHY), DoseError, "mine: its example does not fit the model. .*'orl'"),
        (Example(bolus((1, "mg")), (24, "h"), WHY, {"WT": 70.0}), ModelError, "sets the covariate 'WT', which the model does not read"),
    ],
)
def test_an_example_that_does_not_fit_the_model_is_refused(example, error, sentence):
    model = load_model("one_compartment_iv")
    with pytest.raises(error, match=sentence):
        compose("mine", *model.components, observables=model.observables, example=example)


def test_the_figure_says_the_dose_and_that_nothing_varies():
    model = load_model("effect_compartment")
    figure = plot_typical(model, Example(infusion((320, "mg"), into="iv", over=(2, "h")), (48, "h"), WHY))
    words = " ".join(t.get_text() for t in figure.texts).replace("\n", " ")
    assert "Typical subject, no variability: 320 mg over 2 h into iv at 0 h (assumption: a test)." in words
    assert [ax.get_ylabel() for ax in figure.axes] == ["mg/L", "no unit"]
    assert [t.get_text() for ax in figure.axes for t in ax.get_legend().get_texts()] == ["cp", "effect"]


def test_show_writes_the_diagram_and_the_profile(tmp_path, capsys):
    code, out, _ = told(capsys, "models", "show", "one_compartment_iv")
    assert code == 0 and "Example: 320 mg into iv at 0 h (assumption: the amount" in out and "--out DIR writes" in out
    code, out, _ = told(capsys, "models", "show", "one_compartment_iv", "--out", tmp_path / "new")
    picture, diagram = tmp_path / "new" / "profile.png", tmp_path / "new" / "diagram.svg"
    assert code == 0 and f"Diagram: {diagram}\n" in out and "Profile of a typical subject, no variability, 320 mg into iv at 0 h" in out
    assert picture.read_bytes()[:4] == b"\x89PNG" and diagram.read_text().startswith("<svg")
