"""What a component, its words and its flows refuse, each with its exact sentence."""

import math
from typing import Any

import pytest

from pkpd import Component, Covariate, Dose, Observable, Param, Signal, State, flow, gain, loss, total
from pkpd.components.words import in_support
from pkpd.errors import ModelError, UnitError

UNITS = "Write units as in 'mg', 'mg/L', '1/h', '1e9 cells', 'copies/ug', 'pg/mL'."
NAMES = "a name is made of letters, digits and underscores, begins with no digit and is no word of Python, like 'k_LB'."


def param(name: str = "k", value: float = 1.0, unit: str = "1/h", **more: Any) -> Param:
    return Param(name, value, unit, "a rate", **{"source": "assumption: test", **more})


def nothing(t, y, p, s):
    return ()


REFUSALS = {
    "state named by a digit": (lambda: State("1a", "mg", "m"), f"A state is named '1a'; {NAMES}"),
    "parameter named by a word of Python": (lambda: param("lambda"), f"A parameter is named 'lambda'; {NAMES}"),
    "signal with a dash": (lambda: Signal("a-b", "mg", "m"), f"A signal is named 'a-b'; {NAMES}"),
    "covariate with a space": (lambda: Covariate("W T", "kg", "m", 70.0), f"A covariate is named 'W T'; {NAMES}"),
    "dose route by a digit": (lambda: Dose("1v", "blood"), f"A dose route is named '1v'; {NAMES}"),
    "observable with a space": (lambda: Observable("c p", "mg", lambda y, p, s: 0, "m"), f"An observable is named 'c p'; {NAMES}"),
    "component without a name": (lambda: Component(""), f"A component is named ''; {NAMES}"),
    "no source": (
        lambda: param(value=0.25, source=" "),
        "Parameter 'k' has no source. Say where 0.25 [1/h] comes from: a paper, a data set, or 'assumption: ...'.",
    ),
    "negative where positive": (
        lambda: param(value=-1.0),
        "Parameter 'k' has typical value -1, which lies outside its support 'positive' (above 0). Mend the value or the support.",
    ),
    "one in the open unit interval": (
        lambda: param(value=1.0, support="unit"),
        "Parameter 'k' has typical value 1, which lies outside its support 'unit' (between 0 and 1, both excluded). "
        "Mend the value or the support.",
    ),
    "infinite": (
        lambda: param(value=math.inf),
        "Parameter 'k' has typical value inf, which lies outside its support 'positive' (above 0). Mend the value or the support.",
    ),
    "not a number": (
        lambda: param(value=math.nan, support="real"),
        "Parameter 'k' has typical value nan, which lies outside its support 'real' (any finite number). Mend the value or the support.",
    ),
    "infinite start": (
        lambda: State("x", "mg", "m", math.inf),
        "State 'x' starts at inf; give a finite number, or the name of a parameter.",
    ),
    "states without rates": (
        lambda: Component("a", State("x", "mg", "m")),
        "Component 'a' has states but no rates: give rates=function(t, y, p, s) that returns total(...).",
    ),
    "gives without signals": (
        lambda: Component("a", gives=Signal("g", "mg", "m")),
        "Component 'a' gives g but has no signals function: give signals=function(t, y, p, s) that returns them by name.",
    ),
    "signals without gives": (
        lambda: Component("a", signals=lambda t, y, p, s: {"g": 1.0}),
        "Component 'a' has a signals function but gives nothing: declare what it returns, as in gives=Signal(name, unit, meaning).",
    ),
    "rates of two arguments": (
        lambda: Component("a", State("x", "mg", "m"), rates=lambda y, p: ()),
        "Component 'a': rates must be a function of (t, y, p, s); the one given takes (y, p).",
    ),
    "observable of one argument": (
        lambda: Observable("cp", "mg", lambda y: y.blood, "m"),
        "Observable 'cp': value must be a function of (y, p, s); the one given takes (y).",
    ),
    "a state twice": (
        lambda: Component("a", (State("x", "mg", "m"), State("x", "mg", "m")), rates=nothing),
        "Component 'a' declares the state 'x' twice; keep one of them.",
    ),
    "a parameter twice": (
        lambda: Component("a", params=(param(), param())),
        "Component 'a' declares the parameter 'k' twice; keep one of them.",
    ),
    "a flow to itself": (lambda: flow("a", "a", 1.0), "A flow from 'a' to itself changes nothing; name two different states."),
    "a dose to nowhere": (lambda: Dose("iv", {}), "Dose route 'iv' goes nowhere; name a state, as in Dose('iv', into='central')."),
    "a share that is a formula": (
        lambda: Dose("iv", {"blood": "2*f"}),
        "Dose route 'iv': the share for 'blood' is '2*f'; give a number that is not negative, the name of a parameter, or '1 - name'.",
    ),
    "a negative share": (
        lambda: Dose("iv", {"blood": -1.0}),
        "Dose route 'iv': the share for 'blood' is -1.0; give a number that is not negative, the name of a parameter, or '1 - name'.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_is_wrong_and_what_to_do(case):
    build, sentence = REFUSALS[case]
    with pytest.raises(ModelError) as caught:
        build()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("build", "who"),
    [
        (lambda: State("x", "mgg", "m"), "State 'x'"),
        (lambda: param(unit="mgg"), "Parameter 'k'"),
        (lambda: Signal("g", "mgg", "m"), "Signal 'g'"),
        (lambda: Covariate("WT", "mgg", "m", 70.0), "Covariate 'WT'"),
        (lambda: Dose("iv", "x", unit="mgg"), "Dose route 'iv'"),
        (lambda: Observable("cp", "mgg", lambda y, p, s: y.x, "m"), "Observable 'cp'"),
    ],
)
def test_an_unreadable_unit_names_whose_it_is(build, who):
    with pytest.raises(UnitError) as caught:
        build()
    why = "UndefinedUnitError: 'mgg' is not defined in the unit registry"
    assert str(caught.value) == f"{who}: 'mgg' is not a unit I can read ({why}). {UNITS}"


def unchecked(kind: type, *values: Any, **named: Any) -> Any:
    """Build a word as a user without run-time type checks does."""
    build = getattr(kind.__init__, "__wrapped__", kind.__init__)
    made = object.__new__(kind)
    build(made, *values, **named)
    return made


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: unchecked(Component, "a", ("x", "y"), rates=nothing), "Component 'a': `states` takes State(...) values, not 'x'."),
        (lambda: unchecked(Component, "a", reads=(3,)), "Component 'a': `reads` takes names, not 3."),
        (
            lambda: unchecked(Param, "f", 1.0, "1", "m", "assumption", "postive"),
            "Parameter 'f' has support 'postive'; accepted: positive, nonnegative, unit, real. Did you mean 'positive'?",
        ),
        (lambda: unchecked(Param, "f", "1", "1", "m", "assumption"), "Parameter 'f' has typical value '1'; give a number."),
    ],
)
def test_values_of_another_kind_are_refused_without_a_type_checker_too(build, sentence):
    with pytest.raises(ModelError) as caught:
        build()
    assert str(caught.value) == sentence


def test_total_flattens_and_refuses_what_is_no_flow():
    assert [f.rate for f in total(loss("a", 1.0), [gain("a", 2.0), total(flow("a", "b", 3.0))])] == [1.0, 2.0, 3.0]
    build = getattr(total, "__wrapped__", total)
    with pytest.raises(ModelError) as caught:
        build(3.0)
    assert str(caught.value) == "total() takes flow(...), gain(...) and loss(...), not 3.0."


def test_one_word_may_stand_where_a_tuple_is_asked_for():
    pool = Component("pool", State("x", "mg", "m"), param(), lambda t, y, p, s: total(loss("x", p.k * y.x)), doses=Dose("iv", "x"))
    assert pool.states == (State("x", "mg", "m"),) and pool.params == (param(),) and pool.doses[0].into == (("x", 1.0),)
    assert hash(pool) == hash(pool)


@pytest.mark.parametrize(
    ("support", "inside", "outside"),
    [
        ("positive", (1e-9, 1e9), (0.0, -1.0)),
        ("nonnegative", (0.0, 1.0), (-1e-9,)),
        ("unit", (0.5,), (0.0, 1.0)),
        ("real", (-1.0, 0.0), (math.inf,)),
    ],
)
def test_supports(support, inside, outside):
    assert all(in_support(x, support) for x in inside)
    assert not any(in_support(x, support) for x in outside)
