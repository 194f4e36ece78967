"""Laws that every shipped model obeys: mass moves and is not lost, and the order in which components are composed changes nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd import compose
from pkpd.model import available_models, load_model
from pkpd.model.influence import links

MODELS = sorted(available_models())
positive = st.floats(0.01, 100.0)


def point(model, draw):
    """Random states, parameters and covariates by name."""
    y = {n: draw(positive) for n in model.state_names}
    p = {n: draw(positive) for n in model.param_names}
    q = {c.name: draw(st.sampled_from([2.0, 3.0])) for c in model.covariates}
    return y, p, q


def rhs(model, values):
    """dy/dt by name."""
    change = model.rhs(1.0, *lists(model, values), [0.0] * len(model.states))
    return {n: float(x) for n, x in zip(model.state_names, change, strict=True)}


def observed(model, values):
    """Each observable by name."""
    return {n: float(x) for n, x in zip(model.observable_names, model.observe(1.0, *lists(model, values)), strict=True)}


def lists(model, values):
    """Named values in the order of the model's tables."""
    return [
        [named[n] for n in names]
        for named, names in zip(values, (model.state_names, model.param_names, model.covariate_names), strict=True)
    ]


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=10)
@given(data=st.data())
def test_what_all_states_gain_together_is_what_appears_less_what_disappears(name, data):
    model = load_model(name)
    values = point(model, data.draw)
    terms = [f for _, f in model.flows_at(model.scope(1.0, *lists(model, values)))]
    appears = math.fsum(float(f.rate) for f in terms if f.source is None)
    disappears = math.fsum(float(f.rate) for f in terms if f.target is None)
    moved = math.fsum(abs(float(f.rate)) for f in terms)
    # each state adds up its few terms in float64, so the sums agree to rounding of what moves
    assert math.fsum(rhs(model, values).values()) == pytest.approx(appears - disappears, abs=1e-12 * moved, rel=0)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=2)  # of each of forty models
@given(data=st.data())
def test_flows_alone_keep_the_mass(name, data):
    """Without gains and losses what is left moves between states and adds up to nothing."""
    model = load_model(name)
    values = point(model, data.draw)
    change = dict.fromkeys(model.state_names, 0.0)
    moved = 0.0
    for link, (_, f) in zip(links(model), model.flows_at(model.scope(1.0, *lists(model, values))), strict=True):
        assert (link.source, link.target) == (f.source, f.target)
        if f.source is not None and f.target is not None:
            change[f.source] -= float(f.rate)
            change[f.target] += float(f.rate)
            moved += abs(float(f.rate))
    assert math.fsum(change.values()) == pytest.approx(0.0, abs=1e-12 * moved)


@pytest.mark.parametrize("name", [n for n in MODELS if len(load_model(n).components) > 1])
@settings(max_examples=2)  # of each of forty models
@given(data=st.data())
def test_the_order_of_components_changes_no_rate_and_no_prediction(name, data):
    model = load_model(name)
    other = compose(name, *data.draw(st.permutations(model.components)), observables=model.observables)
    values = point(model, data.draw)
    assert rhs(other, values) == pytest.approx(rhs(model, values), rel=1e-12, abs=1e-12)  # sums in another order differ by rounding
    assert observed(other, values) == pytest.approx(observed(model, values), rel=1e-12)
