"""Parameters that vary by occasion and by covariates in time, against analytic solutions, a component written out, finite differences and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from pkpd import Component, Covariate, Dose, Observable, Param, State, compose, loss, total
from pkpd.data import read_cohort
from pkpd.errors import ModelError
from pkpd.model.predict import predict, predictor
from pkpd.model.varying import Varying, VaryingModel, check_cohort, vary
from pkpd.models.classic import indirect_response_I, one_compartment_iv, one_compartment_oral_lag
from pkpd.solve import Solver

HALVES = Varying(occasion="OCC", levels=(1.0, 2.0))
NAMES = {"ID": 1, "TIME [h]": [0, 4, 10], "AMT [mg]": [320, 0, 0], "DV [mg/L]": [None, 4.0, 4.0]}
LINEAR = Solver(native="off")
OBS = ("cp", "cp")


def rows(**columns) -> pd.DataFrame:
    return pd.DataFrame({**NAMES, **columns})


def two_doses(occasions, weights=(70.0, 80.0, 60.0, 90.0, 90.0, 75.0)) -> pd.DataFrame:
    """Two oral doses, one on each occasion, with two looks each; weight changes throughout."""
    table = {"ID": 1, "TIME [h]": [0, 2, 6, 12, 14, 20], "AMT [mg]": [320, 0, 0, 320, 0, 0], "CMT": ["oral", *OBS, "oral", *OBS]}
    return pd.DataFrame({**table, "DV [mg/L]": [None, 4.0, 4.0, None, 4.0, 4.0], "OCC": occasions, "WT": list(weights)})


def bateman(t, dose=320.0, ka=1.5, cl=2.8, v=32.0):
    """Concentration after an oral dose into one compartment, 0 before it."""
    k, t = cl / v, np.maximum(t, 0.0)
    return dose * ka / (v * (ka - k)) * (np.exp(-k * t) - np.exp(-ka * t))


def frozen(theta, free) -> dict[str, float]:
    """Values that a predictor is bound at: of `theta`, but for those that are free."""
    return {n: 0.0 if free is None or n in free else v for n, v in theta.items()}


def weighted_model():
    """Clearance by a power of weight, written into the component itself."""
    weight = Covariate("WT", "1", "weight", 70.0)
    cl, v = (one_compartment_iv.param(n) for n in ("CL", "V"))
    slope = Param("slope", 0.0, "1", "power of weight", source="assumption: none", support="real")
    rates = lambda t, y, p, s: total(loss("central", p.CL * (s.WT / 70.0) ** p.slope / p.V * y.central))  # noqa: E731
    seen = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration")
    body = Component("body", State("central", "mg", "drug"), (cl, v, slope), rates, doses=Dose("iv", into="central"), covariates=weight)
    return compose("written_out", body, observables=seen)


def test_occasion_changes_clearance_without_reset():
    model = vary(one_compartment_iv, {"CL": HALVES})
    theta = {"CL": 3.2, "kappa_CL_0": 0.3, "kappa_CL_1": -0.4}
    found = predict(model, theta, read_cohort(rows(OCC=[1, 1, 2]), model))
    k = 0.1 * np.exp([0.3, -0.4])
    np.testing.assert_allclose(found, 10 * np.exp([-4 * k[0], -4 * k[0] - 6 * k[1]]), rtol=1e-10)
    assert model.digest != one_compartment_iv.digest


@pytest.mark.parametrize("rule", ["nocb", "locf", "linear"])
def test_power_of_weight_equals_the_component_written_out(rule):
    model, written = vary(one_compartment_iv, {"CL": Varying(slopes=(("WT", "power", 70.0),))}), weighted_model()
    table = rows(WT=[55.0, 90.0, 120.0])
    solver = Solver("tsit5_batched") if rule == "linear" else LINEAR
    theta = {"CL": 3.2, "slope_CL_WT": 0.75}
    found = predict(model, theta, read_cohort(table, model, interpolation={"WT": rule}), solver)
    cohort = read_cohort(table, written, interpolation={"WT": rule})
    np.testing.assert_allclose(found, predict(written, {"CL": 3.2, "slope": 0.75}, cohort, solver), rtol=1e-10)
    if rule != "linear":
        k = 0.1 * (np.array([90.0, 120.0] if rule == "nocb" else [55.0, 90.0]) / 70.0) ** 0.75
        np.testing.assert_allclose(found, 10 * np.exp([-4 * k[0], -4 * k[0] - 6 * k[1]]), rtol=1e-10)


@pytest.mark.parametrize(
    ("scale", "slope", "factor"),
    [
        ("log", ("SEX", "categorical", 0.0, 1.0), lambda s: np.exp(s)),
        ("log", ("SEX", "exponential", 3.0), lambda s: np.exp(-2 * s)),
        ("identity", ("SEX", "exponential", 3.0), lambda s: 1 - 2 * s / 3.2),
    ],
)
def test_forms_and_scales(scale, slope, factor):
    model = vary(one_compartment_iv, {"CL": Varying(scale=scale, slopes=(slope,))})
    found = predict(model, {"CL": 3.2, "slope_CL_SEX": 0.2}, read_cohort(rows(SEX=[1, 1, 1]), model), LINEAR)
    np.testing.assert_allclose(found, 10 * np.exp(-0.1 * factor(0.2) * np.array([4.0, 10.0])), rtol=1e-10)


def both_model():
    """Oral, with occasions and a slope on clearance, occasions on bioavailability and lag."""
    cl = Varying(occasion="OCC", levels=(1.0, 2.0), slopes=(("WT", "power", 70.0),))
    return vary(one_compartment_oral_lag, {"CL": cl, "F": HALVES, "tlag": HALVES})


CHANGES = ("kappa_CL_0", "kappa_CL_1", "slope_CL_WT", "kappa_F_0", "kappa_F_1", "kappa_tlag_0", "kappa_tlag_1")
AT = np.array([0.2, -0.3, 0.7, 0.1, -0.2, 0.15, -0.25])


@pytest.mark.slow
def test_gradients_equal_finite_differences():
    model = both_model()
    bound = predictor(model, read_cohort(two_doses([1, 1, 1, 2, 2, 2]), model), LINEAR)
    total_of = jax.jit(lambda x: jnp.sum(bound(dict(zip(CHANGES, x, strict=True))) * jnp.arange(1.0, 5.0)))
    found, step = np.asarray(jax.grad(total_of)(AT)), 1e-5
    central = [(total_of(AT + step * e) - total_of(AT - step * e)) / (2 * step) for e in np.eye(len(AT))]
    np.testing.assert_allclose(found, central, rtol=1e-6, atol=1e-6)
    assert (np.abs(found) > 1e-3).all()


@pytest.mark.parametrize("free", [None, ("kappa_F_0",), ()])
def test_bioavailability_is_that_of_the_occasion_of_the_dose(free):
    """The second dose carries occasion 2, its looks occasion 1."""
    model = vary(one_compartment_oral_lag, {"F": HALVES})
    theta = {"tlag": 0.0, "F": 0.8, "kappa_F_0": 0.3, "kappa_F_1": -0.4}
    cohort = read_cohort(two_doses([1, 1, 1, 2, 1, 1]), model)
    found = predictor(model, cohort, LINEAR, free=free, at=frozen(theta, free))(theta)
    t = np.array([2.0, 6.0, 14.0, 20.0])
    expected = 0.8 * (np.exp(0.3) * bateman(t) + np.exp(-0.4) * bateman(t - 12))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("free", [None, ("kappa_tlag_1",), ()])
def test_lag_is_that_of_the_occasion_of_the_dose(free):
    model = vary(one_compartment_oral_lag, {"tlag": HALVES})
    theta = {"tlag": 0.5, "kappa_tlag_0": 0.3, "kappa_tlag_1": -0.4}
    found = predictor(model, read_cohort(two_doses([1, 1, 1, 2, 1, 1]), model), LINEAR, free=free, at=frozen(theta, free))(theta)
    t = np.array([2.0, 6.0, 14.0, 20.0])
    expected = bateman(t - 0.5 * np.exp(0.3)) + bateman(t - 12 - 0.5 * np.exp(-0.4))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_additional_doses_have_the_occasion_of_their_record():
    model = vary(one_compartment_oral_lag, {"F": HALVES})
    table = {"ID": 1, "TIME [h]": [0, 30], "AMT [mg]": [320, 0], "ADDL": [1, 0], "II [h]": [12, 0], "OCC": [2, 1]}
    rest = {"CMT": ["oral", "cp"], "DV [mg/L]": [None, 4.0]}
    found = predict(model, {"tlag": 0.0, "kappa_F_1": -0.4}, read_cohort(pd.DataFrame(table).assign(**rest), model), LINEAR)
    np.testing.assert_allclose(found, [np.exp(-0.4) * (bateman(30.0) + bateman(18.0))], rtol=1e-10)


def test_steady_state_has_the_occasion_of_its_record():
    model = vary(one_compartment_oral_lag, {"CL": HALVES, "F": HALVES})
    table = {"ID": 1, "TIME [h]": [0, 5], "AMT [mg]": [320, 0], "SS": [1, 0], "II [h]": [12, 0], "OCC": [2, 2], "CMT": ["oral", "cp"]}
    cohort = read_cohort(pd.DataFrame({**table, "DV [mg/L]": [None, 4.0]}), model)
    found = predict(model, {"tlag": 0.0, "CL": 2.8, "kappa_CL_1": 0.3, "kappa_F_1": -0.4}, cohort, LINEAR)
    train = sum(bateman(5.0 + 12.0 * k, cl=2.8 * np.exp(0.3)) for k in range(60))
    np.testing.assert_allclose(found, [np.exp(-0.4) * train], rtol=1e-10)


def test_occasion_without_data_has_no_gradient():
    model = vary(one_compartment_iv, {"CL": Varying(occasion="OCC", levels=(1.0, 2.0, 3.0))})
    bound = predictor(model, read_cohort(rows(OCC=[1, 1, 2]), model), LINEAR)
    slope = jax.jit(jax.grad(lambda k: jnp.sum(bound({f"kappa_CL_{i}": k[i] for i in range(3)}))))(jnp.zeros(3))
    assert (np.abs(slope[:2]) > 1e-3).all()
    assert slope[2] == 0.0


def test_occasion_that_is_no_level_has_no_deviation():
    model = vary(one_compartment_iv, {"CL": HALVES})
    found = predict(model, {"CL": 3.2, "kappa_CL_0": 1.0, "kappa_CL_1": 2.0}, read_cohort(rows(OCC=[7, 7, 7]), model), LINEAR)
    np.testing.assert_allclose(found, 10 * np.exp(-0.1 * np.array([4.0, 10.0])), rtol=1e-10)


@pytest.mark.parametrize(
    "method",
    ["matrix_exponential", "rosenbrock", "tsit5_batched", *(pytest.param(m, marks=pytest.mark.slow) for m in ("tsit5", "kvaerno5"))],
)
def test_solvers_agree(method):
    model = both_model()
    cohort, theta = read_cohort(two_doses([1, 1, 1, 2, 2, 2]), model), dict(zip(CHANGES, AT, strict=True))
    exact = predict(model, theta, cohort, Solver("closed_form"))
    np.testing.assert_allclose(predict(model, theta, cohort, Solver(method, rtol=1e-9, atol=1e-11)), exact, rtol=1e-6)


@pytest.mark.slow
def test_solvers_agree_on_a_nonlinear_model():
    model = vary(indirect_response_I, {"CL": HALVES, "kout": HALVES})
    table = two_doses([1, 1, 1, 2, 2, 2]).rename(columns={"DV [mg/L]": "DV"}).assign(DVID=["", "effect", "effect", "", "effect", "effect"])
    units = {"TIME": "h", "AMT": "mg", "DV": {o.name: o.unit for o in model.observables}}
    cohort = read_cohort(table.rename(columns={"TIME [h]": "TIME", "AMT [mg]": "AMT"}).replace({"CMT": {"cp": ""}}), model, units=units)
    theta = {"kappa_CL_0": 0.2, "kappa_CL_1": -0.3, "kappa_kout_1": 0.4}
    found = [predict(model, theta, cohort, Solver(m, rtol=1e-9, atol=1e-11)) for m in ("rosenbrock", "tsit5_batched")]
    np.testing.assert_allclose(*found, rtol=1e-6)
    assert not np.allclose(found[0], predict(model, {}, cohort, Solver("rosenbrock")), rtol=1e-3)


def test_linear_model_with_occasions_stays_exact():
    model = both_model()
    bound = predictor(model, read_cohort(two_doses([1, 1, 1, 2, 2, 2]), model), LINEAR)
    assert bound.chosen.name == "closed_form"


def test_machine_code_agrees(monkeypatch):
    monkeypatch.delenv("PKPD_NATIVE", raising=False)
    model = both_model()
    cohort, theta = read_cohort(two_doses([1, 1, 1, 2, 2, 2]), model), dict(zip(CHANGES, AT, strict=True))
    bound = predictor(model, cohort, Solver(native="wait"))
    if "no native code" in bound.chosen.reason:
        pytest.skip(bound.chosen.reason)
    assert bound.chosen.name == "native_closed_form"
    np.testing.assert_allclose(bound(theta), predict(model, theta, cohort, LINEAR), rtol=1e-10)


def test_bounded_parameter_moves_on_the_logit():
    fraction = Param("f", 0.6, "1", "fraction absorbed", source="assumption: example", support="unit")
    rates = lambda t, y, p, s: total(loss("body", p.k * y.body))  # noqa: E731
    k = Param("k", 0.1, "1/h", "elimination", source="assumption: example")
    body = Component("body", State("body", "mg", "drug"), (k, fraction), rates, doses=Dose("iv", into="body", bioavailability="f"))
    plain = compose("bounded", body, observables=Observable("amount", "mg", lambda y, p, s: y.body, "amount"))
    model = vary(plain, {"f": Varying("logit", "OCC", (1.0, 2.0))})
    table = pd.DataFrame({"ID": 1, "TIME [h]": [0, 4], "AMT [mg]": [320, 0], "DV [mg]": [None, 4.0], "OCC": 2})
    found = predict(model, {"kappa_f_1": 0.5}, read_cohort(table, model), LINEAR)
    np.testing.assert_allclose(found, 320 * np.exp(-0.4) / (1 + np.exp(-np.log(1.5) - 0.5)), rtol=1e-10)


def test_changes_are_declared():
    model = vary(one_compartment_iv, {"CL": Varying("identity", "OCC", (1.0,), (("WT", "exponential", 70.0),))})
    assert [(p.name, p.unit, p.value, p.support) for p in model.params[2:]] == [
        ("kappa_CL_0", "L/h", 0.0, "real"),
        ("slope_CL_WT", "L/h", 0.0, "real"),
    ]
    assert model.digest == vary(one_compartment_iv, {"CL": Varying("identity", "OCC", (1,), (("WT", "exponential", 70),))}).digest
    assert model.vocabulary.covariates == ("OCC", "WT")
    assert hash(model) == hash(vary(one_compartment_iv, dict(model.varied)))


def test_a_second_vary_keeps_the_first():
    model = vary(vary(one_compartment_iv, {"CL": HALVES}), {"V": Varying(occasion="OCC", levels=(1.0,))})
    assert isinstance(model, VaryingModel)
    assert model.param_names == ("CL", "V", "kappa_CL_0", "kappa_CL_1", "kappa_V_0")
    with pytest.raises(ModelError) as error:
        vary(model, {"V": HALVES})
    assert str(error.value) == "'V' varies already. Give its occasions and slopes in one Varying."


REFUSED = {
    "scale": (
        {"CL": Varying("lg", "OCC", (1.0,))},
        "'CL' varies on the scale 'lg'. Did you mean 'log'? Known: identity, log, logit.",
    ),
    "support": (
        {"CL": Varying("logit", "OCC", (1.0,))},
        "'CL' varies on the scale 'logit', and its support is 'positive'. Take log or identity.",
    ),
    "nothing": ({"CL": Varying()}, "'CL' has no occasion and no slope to vary by. Give occasion and levels, or slopes."),
    "levels": (
        {"CL": Varying(occasion="OCC", levels=(1.0, 1.0))},
        "'CL' varies by occasion 'OCC' with levels (1.0, 1.0). Give a column and its levels, finite numbers, each once.",
    ),
    "no column": (
        {"CL": Varying(levels=(1.0,), slopes=(("WT", "power", 70.0),))},
        "'CL' varies by occasion None with levels (1.0,). Give a column and its levels, finite numbers, each once.",
    ),
    "form": (
        {"CL": Varying(slopes=(("WT", "powr", 70.0),))},
        "'CL' has the slope ('WT', 'powr', 70.0), whose form is none. Did you mean 'power'? Known: categorical, exponential, power.",
    ),
    "numbers": (
        {"CL": Varying(slopes=(("SEX", "categorical", 0.0),))},
        "'CL' has the slope ('SEX', 'categorical', 0.0). Give (covariate, 'categorical', reference, level) with finite numbers.",
    ),
    "power": (
        {"CL": Varying(slopes=(("WT", "power", 0.0),))},
        "'CL' has the slope ('WT', 'power', 0.0), and a power of value / 0 is none. Give a reference above 0, or take the form exponential.",
    ),
    "level": (
        {"CL": Varying(slopes=(("SEX", "categorical", 1.0, 1.0),))},
        "'CL' has the slope ('SEX', 'categorical', 1.0, 1.0), whose level is its reference. Give the level that differs from the reference.",
    ),
    "twice": (
        {"CL": Varying(slopes=(("WT", "power", 70.0), ("WT", "exponential", 70.0)))},
        "'CL' has two slopes on the covariate 'WT'. Give each covariate once.",
    ),
    "unknown": ({"Cl": HALVES}, "one_compartment_iv has no parameter 'Cl'. Did you mean 'CL'? Known: CL, V."),
    "state": (
        {"CL": Varying(occasion="central", levels=(1.0,))},
        "one_compartment_iv: 'central' is a column that parameters vary by, and a state of the model. Rename one of them.",
    ),
    "parameter": (
        {"CL": Varying(slopes=(("V", "power", 70.0),))},
        "one_compartment_iv: 'V' is a column that parameters vary by, and a parameter of the model. Rename one of them.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    varied, sentence = REFUSED[case]
    with pytest.raises(ModelError) as error:
        vary(one_compartment_iv, varied)
    assert str(error.value) == sentence


def clashing(*names, initial="start", share="part"):
    """One compartment with further parameters by these names, an initial value and a share."""
    param = lambda n, unit="1", value=0.5: Param(n, value, unit, n, source="assumption: example")  # noqa: E731
    read = lambda t, y, p, s: total(loss("body", p.k * y.body * sum([p[n] for n in names], 1.0)))  # noqa: E731
    more = (param("k", "1/h"), param(initial, "mg"), param(share), *map(param, names))
    states = State("body", "mg", "drug", initial)
    return compose(
        "clashing",
        Component("body", states, more, read, doses=Dose("iv", into={"body": share})),
        observables=Observable("amount", "mg", lambda y, p, s: y.body, "amount"),
    )


def test_initial_values_and_shares_cannot_vary():
    for name in ("start", "part"):
        with pytest.raises(ModelError) as error:
            vary(clashing(), {name: HALVES})
        assert (
            str(error.value) == f"'{name}' is an initial value or a share of a dose route, which has no covariates. Vary another parameter."
        )


def test_names_that_are_taken():
    with pytest.raises(ModelError) as error:
        vary(clashing("kappa_k_0"), {"k": HALVES})
    assert str(error.value) == "clashing: 'kappa_k_0' is a deviation or slope, and a parameter of the model. Rename one of them."
    power = lambda name: Varying(slopes=((name, "power", 1.0),))  # noqa: E731
    with pytest.raises(ModelError) as error:
        vary(clashing("k_A"), {"k": power("A_B"), "k_A": power("B")})
    assert str(error.value) == "clashing: 'slope_k_A_B' is the name of two changes or columns. Rename a parameter or a covariate."


def test_cohorts_that_cannot_be_read():
    model = vary(one_compartment_iv, {"CL": HALVES})
    with pytest.raises(ModelError) as error:
        check_cohort(model, read_cohort(rows(OCC=[1, 1, 2]), model, interpolation={"OCC": "linear"}))
    assert str(error.value) == ("'CL' varies by the category 'OCC', which is interpolated linearly. Give interpolation={'OCC': 'nocb'}.")
    model = vary(one_compartment_iv, {"CL": Varying(slopes=(("WT", "power", 70.0),))})
    cohort = read_cohort(rows(WT=[70, 0, 70]), model)
    with pytest.raises(ModelError) as error:
        check_cohort(model, cohort)
    assert str(error.value) == (
        f"'CL' varies by a power of 'WT', which is 0 in {cohort.name}. Mend the column, or take the form exponential."
    )
    check_cohort(model, read_cohort(rows(WT=[70, 60, 70]), model))
    check_cohort(one_compartment_iv, cohort)
