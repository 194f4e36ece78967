"""Every model of the library declares an example: it fits the model, says where it comes from, and shows every observable."""

import numpy as np
import pytest

from pkpd import available_models, load_model, typical_profile
from pkpd.model.influence import observable_inputs

FEW = ("carm_study", "one_compartment_oral_lag", "tumour_wang")  # many observables; a lag; no dose
ALL = tuple(available_models())


def defects(model) -> list[str]:
    """What is wrong with a model's example; compose has checked its routes, units and covariates."""
    if model.example is None:
        return [f"{model.name} declares no example"]
    table = typical_profile(model)
    found = [] if model.example.source else [f"{model.name}: its example has no source"]
    for name, inputs in observable_inputs(model).items():
        values = table[name].to_numpy()
        if not np.isfinite(values).all():
            found.append(f"{model.name}: {name} is not finite")
        moves = bool(inputs.states or inputs.signals)  # what is made of parameters alone stays as it is
        if moves and np.ptp(values) <= 1e-6 * np.abs(values).max():
            found.append(f"{model.name}: {name} does not move")
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_model_declares_an_example(name):
    example = load_model(name).example
    assert example is not None and example.source.strip()


@pytest.mark.parametrize("name", FEW)
def test_an_example_shows_every_observable(name):
    assert defects(load_model(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in ALL if n not in FEW])
def test_every_example_shows_every_observable(name):
    assert defects(load_model(name)) == []
