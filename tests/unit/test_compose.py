"""What compose refuses, each with its exact sentence; the stranger who made the mistake is its reader."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import pytest

from pkpd import Component, Covariate, Dose, Observable, Param, Signal, State, compose, flow, loss, total
from pkpd.errors import ModelError
from pkpd.model.model import Model
from pkpd.model.unit_check import spoken
from pkpd.units import parse

MG = "mg"


def param(name: str = "k", value: float = 1.0, unit: str = "1/h") -> Param:
    return Param(name, value, unit, "a rate", source="assumption: test")


def elimination(t, y, p, s):
    return total(loss("blood", p.k * y.blood))


def body(name: str = "body", **changes: Any) -> Component:
    """A component that composes, with something changed so that it does not."""
    return Component(name, **{"states": State("blood", MG, "m"), "params": param(), "rates": elimination, **changes})


def other(name: str = "b", **changes: Any) -> Component:
    rates = lambda t, y, p, s: total(loss("x", p.k * y.x))  # noqa: E731
    return Component(name, **{"states": State("x", MG, "m"), "params": param(), "rates": rates, **changes})


def giver(name: str, gives: str, value: Callable[..., Any], unit: str = MG, **more: Any) -> Component:
    return Component(name, gives=Signal(gives, unit, "m"), signals=lambda t, y, p, s: {gives: value(y, p, s)}, **more)


def m(*components: Component, **more: Any) -> Model:
    return compose("m", *components, **more)


def rate(value: Callable[..., Any]) -> Callable[..., Any]:
    """Rates of one loss from blood whose rate is `value(y, p, s)`."""
    return lambda t, y, p, s: total(loss("blood", value(y, p, s)))


def seen(value: Callable[..., Any], unit: str = MG) -> Observable:
    return Observable("cp", unit, value, "m")


WT = Covariate("WT", "kg", "weight", 70.0)
TWO = (State("blood", MG, "m"), State("x", MG, "m"))
PYTHON = (
    "m: component 'body', blood -> nothing: the equation needs a plain Python number where only a traced value is there, as `if`, `math.exp` "
    "and `float()` do. Write jnp.where(condition, a, b) for a choice and jax.numpy functions (jnp.exp) for algebra."
)
LOST = "m: component 'body', blood -> nothing:"
CHECK = "which measures something else. Check the units of the parameters in it (a plain number has none)."

NAMES = {
    "unknown state in rates": (
        lambda: m(body(rates=rate(lambda y, p, s: p.k * y.blod))),
        "m: component 'body': y (own states and those it reads) has no 'blod'. Did you mean 'blood'? Known: blood. "
        "A state of another component is listed in `reads`.",
    ),
    "unknown parameter in rates": (
        lambda: m(body(rates=rate(lambda y, p, s: p.kk * y.blood))),
        "m: component 'body': p (its parameters) has no 'kk'. Did you mean 'k'? Known: k. A parameter is declared in `params`.",
    ),
    "unknown signal in rates": (
        lambda: m(body(rates=rate(lambda y, p, s: p.k * s.drive))),
        "m: component 'body': s (signals and covariates it reads) has no 'drive'. Known: none. "
        "A signal is listed in `reads`, a covariate declared in `covariates`.",
    ),
    "a state is set": (
        lambda: m(body(rates=lambda t, y, p, s: setattr(y, "blood", 3.0))),
        "m: component 'body': y (own states and those it reads) cannot be changed (tried to set 'blood'); rates return what changes.",
    ),
    "two components of one name": (lambda: m(body("a"), other("a")), "m: two components are named 'a'; rename one."),
    "a state with two owners": (
        lambda: m(body("a"), body("b")),
        "m: the state 'blood' has two owners, 'a' and 'b'; rename one, or let one component read the other's (reads).",
    ),
    "a signal with two owners": (
        lambda: m(body(), giver("a", "g", lambda y, p, s: y.blood, reads="blood"), giver("b", "g", lambda y, p, s: y.blood, reads="blood")),
        "m: the signal 'g' has two owners, 'a' and 'b'; rename one, or let one component read the other's (reads).",
    ),
    "a dose route with two owners": (
        lambda: m(body(doses=Dose("iv", "blood")), other(doses=Dose("iv", "x"))),
        "m: the dose route 'iv' has two owners, 'body' and 'b'; rename one.",
    ),
    "a parameter declared differently": (
        lambda: m(body(), other(params=param(value=2.0))),
        "m: parameter 'k' is declared differently in 'body' and 'b' (value: 1.0 against 2.0); use one declaration in both, or rename one.",
    ),
    "a covariate declared differently": (
        lambda: m(body(covariates=WT), other(covariates=Covariate("WT", "g", "weight", 70.0))),
        "m: covariate 'WT' is declared differently in 'body' and 'b' (unit: 'kg' against 'g'); use one declaration in both, or rename one.",
    ),
    "a state and a parameter of one name": (
        lambda: m(body(params=param("blood"))),
        "m: 'blood' is both a state and a parameter; give one of them another name.",
    ),
    "a reader without a giver": (
        lambda: m(body(reads="engaged")),
        "m: component 'body' reads 'engaged', which nothing gives. Signals here: none; states: blood. Add a component that gives 'engaged'.",
    ),
    "a reader that misspells": (
        lambda: m(body(), giver("a", "killing", lambda y, p, s: y.blood, reads="blood"), other(reads="kiling")),
        "m: component 'b' reads 'kiling', which nothing gives. Signals here: killing; states: blood, x. "
        "Did you mean 'killing'? Else add a component that gives 'kiling'.",
    ),
    "a covariate in reads": (
        lambda: m(body(reads="WT", covariates=WT)),
        "m: component 'body' reads 'WT', a covariate. Declare it in the component's `covariates`, not in `reads`.",
    ),
    "a signal that is not given": (
        lambda: m(body(gives=Signal("g", MG, "m"), signals=lambda t, y, p, s: {})),
        "m: component 'body' declares the signal 'g' in `gives`, but its signals function does not return it. Known: none.",
    ),
    "a signal that is not declared": (
        lambda: m(body(gives=Signal("dose", MG, "m"), signals=lambda t, y, p, s: {"doze": y.blood})),
        "m: component 'body': its signals function returns 'doze', which `gives` does not declare. Did you mean 'dose'? Known: dose.",
    ),
    "signals that are no mapping": (
        lambda: m(body(gives=Signal("g", MG, "m"), signals=lambda t, y, p, s: y.blood)),
        "m: component 'body': its signals function must return a mapping {\"g\": ...}, not DynamicJaxprTracer.",
    ),
    "a parameter that nothing reads": (
        lambda: m(body(params=(param(), param("k2")))),
        "m: no equation reads the parameter 'k2' of component 'body'. Use it in an equation, or delete it.",
    ),
    "an algebraic loop": (
        lambda: m(body(), giver("a", "ga", lambda y, p, s: s.gb, reads="gb"), giver("b", "gb", lambda y, p, s: s.ga, reads="ga")),
        "m: algebraic loop a -> b -> a: each needs the next one's signal at the same moment. Let one of them read a state instead, "
        "or split a component whose signals do not need each other.",
    ),
    "a signal that needs itself": (
        lambda: m(body(), giver("a", "ga", lambda y, p, s: s.ga, reads="ga")),
        "m: algebraic loop: the signals of component 'a' need its own signals at the same moment. Let them read a state.",
    ),
}

FLOWS = {
    "a flow to a state that is not there": (
        lambda: m(body(rates=lambda t, y, p, s: total(flow("blood", "liver", p.k * y.blood)))),
        "m: component 'body' moves mass to or from 'liver', which it neither owns nor reads. Known: blood.",
    ),
    "a flow to a foreign state": (
        lambda: m(body(rates=lambda t, y, p, s: total(flow("blood", "x", p.k * y.blood))), other()),
        "m: component 'body' moves mass to or from 'x', which it neither owns nor reads. Add reads='x' to the component.",
    ),
    "a flow between units": (
        lambda: m(
            body(states=(State("blood", MG, "m"), State("x", "ug", "m")), rates=lambda t, y, p, s: total(flow("blood", "x", p.k * y.blood)))
        ),
        "m: component 'body', blood -> x: the states have different units, 'mg' and 'ug'; use loss and gain with the factor between them.",
    ),
    "one flow without total": (
        lambda: m(body(rates=lambda t, y, p, s: loss("blood", p.k * y.blood))),
        "m: component 'body': its rates must return total(flow(...), gain(...), loss(...)), not Flow.",
    ),
    "a rate that is no number": (
        lambda: m(body(rates=rate(lambda y, p, s: "k"))),
        f"{LOST} one number is needed, and the equation gives 'k'.",
    ),
    "a rate that is an array": (
        lambda: m(body(rates=rate(lambda y, p, s: jnp.ones(3) * p.k * y.blood))),
        f"{LOST} one number is needed, and the equation gives an array of shape (3,).",
    ),
    "a branch in Python": (lambda: m(body(rates=rate(lambda y, p, s: p.k * y.blood if y.blood > 0 else 0.0))), PYTHON),
    "a function of math": (lambda: m(body(rates=rate(lambda y, p, s: math.exp(p.k / p.k) * p.k * y.blood))), PYTHON),
}

UNITS = {
    "another dimension": (
        lambda: m(body(params=param(unit="L/h"))),
        f"{LOST} the rate comes out in [mg L/h] where 'mg/h' is needed, {CHECK}",
    ),
    "per day where per hour is needed": (
        lambda: m(body(params=param(unit="1/day"))),
        f"{LOST} the rate comes out in [mg/day] where 'mg/h' is needed: divide it by 24, or give its parameters in units that fit.",
    ),
    "per minute where per hour is needed": (
        lambda: m(body(params=param(unit="1/min"))),
        f"{LOST} the rate comes out in [mg/min] where 'mg/h' is needed: multiply it by 60, or give its parameters in units that fit.",
    ),
    "a sum of unlike dimensions": (
        lambda: m(body(params=(param(), param("V", 1.0, "L")), rates=rate(lambda y, p, s: p.k * (y.blood + p.V)))),
        f"{LOST} adds [mg] and [L]; mend the units of the parameters in it.",
    ),
    "a sum of unlike scales": (
        lambda: m(body(params=(param(), param("d", 1.0, "ug")), rates=rate(lambda y, p, s: p.k * (y.blood - p.d)))),
        f"{LOST} subtracts [mg] and [ug]; mend the units of the parameters in it.",
    ),
    "exp of something with a unit": (
        lambda: m(body(rates=rate(lambda y, p, s: p.k * jnp.exp(-p.k) * y.blood))),
        f"{LOST} takes exp of something in [1/h]; divide it by a parameter in that unit first (a plain number carries none).",
    ),
    "a power of something with a unit": (
        lambda: m(body(params=(param(), param("g", 2.0, "1")), rates=rate(lambda y, p, s: p.k * y.blood**p.g))),
        f"{LOST} takes a power of something in [mg]; divide it by a parameter in that unit first (a plain number carries none).",
    ),
    "a comparison with a plain number": (
        lambda: m(body(rates=rate(lambda y, p, s: p.k * jnp.where(y.blood > 1.0, y.blood, 0.0)))),
        f"{LOST} compares [mg] and [no unit]; a plain number carries no unit: make it a parameter.",
    ),
    "a signal": (
        lambda: m(body(gives=Signal("g", "mg/L", "m"), signals=lambda t, y, p, s: {"g": y.blood})),
        f"m: component 'body', signal 'g' comes out in [mg] where 'mg/L' is needed, {CHECK}",
    ),
    "an initial value": (
        lambda: m(body(states=State("blood", MG, "m", "k"))),
        f"m: the initial value of state 'blood', parameter 'k', comes out in [1/h] where 'mg' is needed, {CHECK}",
    ),
    "an observable": (
        lambda: m(body(), observables=[seen(lambda y, p, s: y.blood, "mg/L")]),
        f"m: observable 'cp' comes out in [mg] where 'mg/L' is needed, {CHECK}",
    ),
    "an observable of another scale": (
        lambda: m(body(), observables=[seen(lambda y, p, s: y.blood, "ug")]),
        "m: observable 'cp' comes out in [mg] where 'ug' is needed: multiply it by 1000, or give its parameters in units that fit.",
    ),
}

DOSES_AND_OBSERVABLES = {
    "a dose into an unknown state": (
        lambda: m(body(doses=Dose("iv", "blod"))),
        "m: dose route 'iv' goes into 'blod', which is no state. Did you mean 'blood'? Known: blood.",
    ),
    "a dose in another unit": (
        lambda: m(body(doses=Dose("iv", "blood", unit="g"))),
        "m: dose route 'iv' is in 'g' but state 'blood' in 'mg'; give both one unit.",
    ),
    "a dose over two units": (
        lambda: m(body(doses=Dose("iv", {"blood": 0.5, "x": 0.5})), other(states=State("x", "ug", "m"))),
        "m: dose route 'iv' goes into states of different units ('blood' in 'mg', 'x' in 'ug'); give them one unit, or two dose routes.",
    ),
    "a share by an unknown parameter": (
        lambda: m(body(doses=Dose("iv", {"blood": "1 - F"}))),
        "m: dose route 'iv' splits by 'F', which is no parameter. Known: k.",
    ),
    "a share with a unit": (
        lambda: m(body(doses=Dose("iv", {"blood": "k"}))),
        f"m: dose route 'iv': the share 'k' for 'blood' comes out in [1/h] where '1' is needed, {CHECK}",
    ),
    "a start at an unknown parameter": (
        lambda: m(body(states=State("blood", MG, "m", "kk"))),
        "m: state 'blood' starts at 'kk', which is no parameter. Did you mean 'k'? Known: k.",
    ),
    "an unknown state in an observable": (
        lambda: m(body(), observables=[seen(lambda y, p, s: y.blod)]),
        "m: observable 'cp': y (states) has no 'blod'. Did you mean 'blood'? Known: blood.",
    ),
    "an unknown parameter in an observable": (
        lambda: m(body(), observables=[seen(lambda y, p, s: y.blood / p.V)]),
        "m: observable 'cp': p (parameters) has no 'V'. Known: k.",
    ),
    "an unknown signal in an observable": (
        lambda: m(body(), observables=[seen(lambda y, p, s: s.drive)]),
        "m: observable 'cp': s (signals and covariates) has no 'drive'. Known: none.",
    ),
    "an observable twice": (
        lambda: m(body(), observables=[seen(lambda y, p, s: y.blood)] * 2),
        "m: the observable 'cp' is declared twice; keep one of them.",
    ),
    "no states": (
        lambda: m(Component("a")),
        "m has no states: nothing would change in time. Add a component with a State and its rates.",
    ),
    "no components": (lambda: m(), "compose('m', ...) needs components, got none. Write compose('m', first, second, observables=[...])."),
    "no name": (lambda: compose(" ", body()), "A model needs a name, got ' '; write compose('my_model', ...)."),
}

REFUSALS = NAMES | FLOWS | UNITS | DOSES_AND_OBSERVABLES


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_is_wrong_and_what_to_do(case):
    build, sentence = REFUSALS[case]
    with pytest.raises(ModelError) as caught:
        build()
    assert str(caught.value) == sentence


def test_the_component_that_the_refusals_change_composes():
    model = m(body(), other(), observables=seen(lambda y, p, s: y.blood))
    assert model.state_names == ("blood", "x") and model.param_names == ("k",) and model.observable_names == ("cp",)


def test_equations_that_divide_by_zero_at_the_point_where_they_are_tried_are_accepted():
    model = m(body(states=TWO, rates=rate(lambda y, p, s: p.k * y.blood * y.x / (y.blood - y.x))))
    assert model.rhs(0.0, [2.0, 1.0], [0.5], [], [0.0, 0.0]) == [-1.0, 0.0]


def test_a_power_by_a_plain_number_carries_its_unit():
    square_root = body(params=param(unit="mg^0.5/h"), rates=rate(lambda y, p, s: p.k * y.blood**0.5))
    assert m(square_root).rhs(0.0, [4.0], [0.5], [], [0.0])[0] == -1.0


def test_weight_over_a_plain_number_keeps_its_unit_and_over_a_parameter_loses_it():
    with pytest.raises(ModelError, match="a plain number has none"):
        m(body(covariates=WT, rates=rate(lambda y, p, s: p.k * (s.WT / 70.0) ** 0.75 * y.blood)))
    reference = (param(), param("WT_ref", 70.0, "kg"))
    model = m(body(covariates=WT, params=reference, rates=rate(lambda y, p, s: p.k * (s.WT / p.WT_ref) ** 0.75 * y.blood)))
    assert model.rhs(0.0, [3.0], [1.0, 70.0], [70.0], [0.0]) == [-3.0]


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("mg/h", "mg/h"),
        ("L/h", "L/h"),
        ("pg/mL", "ng/L"),
        ("1e9 cells", "1e9 cells"),
        ("1", "no unit"),
        ("copies/ug", "copies/ug"),
        ("m^2", "m^2"),
    ],
)
def test_units_are_said_as_people_write_them(unit, said):
    assert spoken(parse(unit)) == said
    assert said == "no unit" or parse(said).same(parse(unit))
