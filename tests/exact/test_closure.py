"""Closures: at weight 0 the mechanistic model, exact against rates written by hand, the same by every solver, with right gradients; else a sentence."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from pkpd import (
    Component,
    Dose,
    ModelError,
    Observable,
    Param,
    Population,
    Solver,
    State,
    bolus,
    closure_priors,
    compose,
    default_priors,
    describe,
    lognormal,
    loss,
    neural_rate,
    prior_table,
    read_cohort,
    simulate,
    total,
)
from pkpd.model import predictor
from pkpd.models.classic import michaelis_menten_iv, one_compartment_iv
from pkpd.simulate import design
from pkpd.solve import native
from tests.courses import rates

WHY = "assumption: a test"
SEEN = Param("C_seen", 10.0, "mg/L", "largest concentration", source=WHY)
CL, V = Param("CL", 4.0, "L/h", "clearance", source=WHY), Param("V", 20.0, "L", "volume", source=WHY)
CP = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration")
UNITS = {"TIME": "h", "AMT": "mg"}


def closed(closure, reads=lambda y, p: (y.central / p.V,), name="closed"):
    """One compartment whose clearance is CL times the closure."""
    part = Component(
        "elimination",
        states=State("central", "mg", "drug"),
        params=(CL, V, *closure.params),
        rates=lambda t, y, p, s: total(loss("central", p.CL / p.V * y.central * closure(p, *reads(y, p)))),
        doses=Dose("iv", into="central"),
    )
    return compose(name, part, observables=[CP])


slowing = neural_rate("slowing", SEEN, size=1.0, source=WHY)
model = closed(slowing)
THETA = {"slowing_size": 0.8, "slowing_w1": -0.7, "slowing_w2": 0.4, "slowing_w3": -1.1, "slowing_w4": 0.3}


LOOKS = np.array([0.5, 2.0, 6.0, 12.0, 24.0])


def by_hand(concentration):
    """The factor of `slowing` at THETA, from the formula in the module's docstring."""
    z = np.asarray(concentration) / 10.0
    w = [THETA[f"slowing_w{k}"] for k in range(1, 5)]
    net = 0.8 / math.sqrt(4) * sum(w[k] * np.tanh(4.0 * (z - (k + 0.5) / 4)) for k in range(4))
    return np.exp(math.log(10.0) * np.tanh(net / math.log(10.0)))


@pytest.fixture(scope="module")
def exact():
    """Concentrations at LOOKS by SciPy, from the factor written by hand."""
    decline = lambda t, c: -0.2 * c * by_hand(c)  # noqa: E731
    return solve_ivp(decline, (0, 24), [10.0], t_eval=LOOKS, rtol=1e-11, atol=1e-13, method="LSODA").y[0]


@pytest.fixture(scope="module")
def bound():
    """Concentrations [looks, 1, 1] after 200 mg, compiled once."""
    solver = Solver(method="tsit5_batched", rtol=1e-9)
    made = design(model, bolus((200, "mg")), LOOKS, pd.DataFrame(index=[0]), "one", solver=solver).predictor
    return jax.jit(lambda theta: made.observables(theta)[0])


def test_without_weights_it_is_the_mechanistic_model():
    assert rates(model, {"central": 137.0}) == {"central": pytest.approx(-4.0 / 20.0 * 137.0, rel=1e-14)}
    plain = rates(one_compartment_iv, {"central": 137.0}, CL=4.0, V=20.0)
    assert rates(model, {"central": 137.0}, slowing_size=5.0)["central"] == pytest.approx(plain["central"], rel=1e-12)


def test_a_course_without_weights_and_with_them(bound, exact):
    """Declining at CL/V, and as SciPy has it for the factor written by hand."""
    plain, learned = (bound({"CL": 4.0} | weights)[:, 0, 0] for weights in (dict.fromkeys(THETA, 0.0), THETA))
    np.testing.assert_allclose(plain, 10.0 * np.exp(-0.2 * LOOKS), rtol=1e-7)
    np.testing.assert_allclose(learned, exact, rtol=1e-7)


def test_one_hidden_unit_against_a_rate_written_by_hand():
    one = neural_rate("k", SEEN, hidden=1, within=3.0, source=WHY)
    found = rates(closed(one, name="one"), {"central": 90.0}, k_w1=1.7, k_size=0.6)["central"]
    net = 0.6 * 1.7 * math.tanh(1.0 * 90.0 / 20.0 / 10.0 - 0.5)
    assert found == pytest.approx(-0.2 * 90.0 * math.exp(math.log(3.0) * math.tanh(net / math.log(3.0))), rel=1e-14)
    concentrations = np.array([0.0, 0.4, 3.0, 9.0, 200.0])
    values = [float(slowing(model.typical | THETA, c)) for c in concentrations]
    np.testing.assert_allclose(values, by_hand(concentrations), rtol=1e-13)


@pytest.mark.parametrize("weight", [1e3, -1e3])
def test_the_factor_stays_within_its_bounds(weight):
    p = model.typical | {f"slowing_w{k}": weight for k in range(1, 5)}
    assert 0.1 - 1e-12 <= float(slowing(p, 10.0)) <= 10.0 + 1e-12


def test_a_network_of_equinox_gives_its_hidden_layer():
    net = eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=jax.random.PRNGKey(5))
    two = neural_rate("two", (SEEN, Param("A_seen", 200.0, "mg", "largest amount", source=WHY)), net=net, within=1e6, source=WHY)
    p = {q.name: float(q.value) for q in two.params} | {"two_size": math.sqrt(3.0), "two_w1": 0.4, "two_w2": -0.2, "two_w3": 0.9}
    own = eqx.tree_at(lambda m: (m.layers[1].weight, m.layers[1].bias), net, (jnp.array([[0.4, -0.2, 0.9]]), jnp.zeros(1)))
    expected = float(own(jnp.array([0.7, 0.3])))
    # ln(factor) = L tanh(net / L) with L = ln 1e6 = 13.8: for a net below 1 the bound takes less than 1 / (3 L^2) = 0.2 % of it
    assert math.log(float(two(p, 7.0, 60.0))) == pytest.approx(math.log(1e6) * math.tanh(expected / math.log(1e6)), rel=1e-6)
    learned = neural_rate("two", two.scales, net=net, within=1e6, source=WHY, learn="all")
    same = {q.name: float(q.value) for q in learned.params} | p
    assert float(learned(same, 7.0, 60.0)) == pytest.approx(float(two(p, 7.0, 60.0)), rel=1e-12)
    assert len(learned.params) == len(two.params) + 9 and set(closure_priors(learned)) == {q.name for q in learned.params} - {
        "C_seen",
        "A_seen",
    }


LATER = ("rosenbrock", "tsit5", "kvaerno5", "native_rodas4")
METHODS = ("native_tsit5", *(pytest.param(m, marks=pytest.mark.slow) for m in LATER))


@pytest.mark.parametrize("method", METHODS)
def test_every_solver_gives_the_same(method, exact):
    if method.startswith("native") and native.available(model.rhs, (1, len(model.params), 0)):
        pytest.skip("no compiler here")
    bound = design(
        model, bolus((200, "mg")), LOOKS, pd.DataFrame(index=range(2)), "two", solver=Solver(method=method, rtol=1e-7, native="wait")
    )
    values = bound.predictor.observables({n: jnp.full(2, x) for n, x in THETA.items()})[0]
    np.testing.assert_allclose(values[:, 0, 1], exact, rtol=1e-5)


def test_gradients_agree_with_differences(bound):
    names = ["CL", *THETA]
    mean = lambda x: jnp.mean(jnp.log(bound(dict(zip(names, x, strict=True)))))  # noqa: E731
    at = np.array([4.0, *THETA.values()])
    slopes = jax.grad(mean)(at)
    for i, step in enumerate(np.eye(len(at)) * 1e-4):
        assert float(slopes[i]) == pytest.approx(float(mean(at + step) - mean(at - step)) / 2e-4, rel=1e-4, abs=1e-6)


def test_saturation_is_learned_where_there_are_data_and_not_beyond():
    """Noise-free concentrations of michaelis_menten_iv under three doses, fitted by least squares with the prior as penalty (a mode)."""
    rows = pd.DataFrame({"ID": np.repeat([1, 2, 3], 9), "TIME": [0, 0.5, 2, 5, 9, 14, 20, 28, 36] * 3, "EVID": [1, *[0] * 8] * 3})
    rows["AMT"] = np.where(rows["EVID"] == 1, rows["ID"].map({1: 40.0, 2: 120.0, 3: 320.0}), 0.0)
    truth = {"Vmax": 20.0, "Km": 2.0, "V": 32.0}
    seen = np.log(simulate(michaelis_menten_iv, rows, truth, units=UNITS)["cp"])
    names, looks = ["CL", *(f"slowing_w{k}" for k in range(1, 5))], rows["EVID"] == 0
    cohort = read_cohort(rows.assign(DV=np.where(looks, np.exp(seen), np.nan)), model, units=UNITS | {"DV": "mg/L"})
    course = jax.jit(predictor(model, cohort, Solver(method="tsit5_batched")))

    def misfit(x):
        theta = dict(zip(names, [math.exp(x[0]), *x[1:]], strict=True)) | {"V": 32.0, "slowing_size": 2.0}
        return np.concatenate([(np.log(course(theta)) - seen[looks]) / 0.05, x[1:]])  # an error of 5 %; weights N(0, 1)

    x = least_squares(misfit, [1.0, 0, 0, 0, 0], diff_step=1e-4, xtol=1e-5, ftol=1e-4).x
    p = model.typical | dict(zip(names, [math.exp(x[0]), *x[1:]], strict=True)) | {"slowing_size": 2.0}
    clearance = lambda c: p["CL"] * float(slowing(p, c))  # noqa: E731
    for c in (1.0, 3.0, 6.0, 9.0):
        assert clearance(c) == pytest.approx(20.0 / (2.0 + c), rel=0.10)  # twice the assumed error of 5 %
    assert clearance(50.0) > 3 * 20.0 / 52.0  # beyond the data it stays where its units saturate; the truth falls on


def test_a_wrong_unit_is_told():
    with pytest.raises(
        ModelError, match=r"wrong: component 'elimination', central -> nothing: adds \[no unit\] and \[L\]|adds \[L\] and \[no unit\]"
    ):
        closed(slowing, lambda y, p: (y.central,), "wrong")


ACCEPTED = "accepted is equinox.nn.MLP(1, 'scalar', width of at most 32, depth 1, jnp.tanh, key=...)"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": " "}, "has no source for the prior of its size. Say why 0.5"),
        ({"size": 0.0}, "size=0.0, the sd of the logarithm of the factor; give a number above 0"),
        ({"within": 1.0}, "within=1.0, the largest factor; give a number above 1"),
        ({"hidden": 0}, "hidden=0; give 1 to 32 units"),
        ({"scales": ()}, "`scales` are positive parameters, one an input"),
        ({"net": eqx.nn.MLP(1, "scalar", 3, 2, jnp.tanh, key=jax.random.PRNGKey(0))}, ACCEPTED),
        ({"net": eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=jax.random.PRNGKey(0))}, ACCEPTED),
        ({"net": eqx.nn.MLP(1, "scalar", 3, 1, key=jax.random.PRNGKey(0))}, "its activation is not tanh"),
    ],
)
def test_what_cannot_be_a_closure_is_refused(changes, sentence):
    with pytest.raises(ModelError) as told:
        neural_rate("k", **({"scales": SEEN, "source": WHY} | changes))
    assert sentence in str(told.value)


def test_the_wrong_number_of_inputs_is_refused():
    with pytest.raises(ModelError, match=r"Closure 'slowing' takes 1 inputs \(divided by C_seen \[mg/L\]\), and was given 2"):
        closed(slowing, lambda y, p: (y.central / p.V, y.central), "two")


def test_a_description_and_the_priors_say_what_is_learned():
    told = describe(model).parameters.set_index("name")
    assert told.loc["slowing_w2", "meaning"] == "closure 'slowing', weight of tanh(4 x/C_seen -1.5) in units of size/sqrt(4)"
    assert "lies between 0.1 and 10" in told.loc["slowing_size", "meaning"] and "Neal 1996" in told.loc["slowing_w2", "source"]
    population = Population(CL=lognormal(dist.LogNormal(1.0, 1.0)), **closure_priors(slowing, learn_size=True))
    said = " ".join(str(x) for x in prior_table(population).to_numpy().ravel())
    assert "closure: s half-normal(1), the sd of the logarithm of its factor; assumption: a test" in said
    assert "closure: output weight N(0, s/sqrt(4)), s = slowing_size; Neal 1996" in said
    assert population.parameters["slowing_size"].prior is not None
    held = closure_priors(slowing)["slowing_size"]
    assert held.value == 1.0 and held.source == "closure: s held at 1, the prior sd of the logarithm of its factor; assumption: a test"
    assert population.varying == () and "slowing_w1" in default_priors(model, fixed=["C_seen"]).estimated


def test_models_with_other_hidden_units_or_bounds_have_another_digest():
    others = (neural_rate("slowing", SEEN, size=1.0, within=5.0, source=WHY), neural_rate("slowing", SEEN, size=1.0, hidden=3, source=WHY))
    net = eqx.nn.MLP(1, "scalar", 4, 1, jnp.tanh, key=jax.random.PRNGKey(1))
    digests = {closed(c).digest for c in (slowing, *others, neural_rate("slowing", SEEN, size=1.0, net=net, source=WHY))}
    assert len(digests) == 4


def test_the_prior_of_the_function_does_not_depend_on_the_number_of_units():
    """The sd of ln(factor) far beyond the units, where tanh is 1, is s: s/sqrt(H) sum of H standard normal weights (within is large)."""
    draws = np.asarray(jax.random.normal(jax.random.PRNGKey(2), (4000, 16)))
    for hidden in (1, 16):
        k = neural_rate("k", SEEN, hidden=hidden, within=1e9, source=WHY)
        p = {"C_seen": 10.0, "k_size": 0.5} | {f"k_w{i + 1}": draws[:, i] for i in range(hidden)}
        # 4000 draws: the standard error of the sd is 0.5 / sqrt(8000) = 0.0056; four of them
        assert np.log(np.asarray(k(p, 1e4))).std() == pytest.approx(0.5, abs=0.0224)
