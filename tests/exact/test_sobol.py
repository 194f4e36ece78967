"""Sobol indices of the Ishigami function and of a linear one; elasticities of a bolus; against closed forms."""

import jax
import numpy as np
import numpy.testing as npt
import numpyro.distributions as dist
import pytest

from pkpd import FitError, bolus, exposure_of, local_sensitivity, sobol_indices
from pkpd.models.classic import one_compartment_iv

A, B = 7.0, 0.1
PI = (-np.pi, np.pi)


def ishigami(p):
    return np.sin(p["x1"]) + A * np.sin(p["x2"]) ** 2 + B * p["x3"] ** 4 * np.sin(p["x1"])


def test_ishigami():
    """V1, V2 and V13 in closed form (Ishigami and Homma 1990). With 8192 points of a Sobol sequence the error is some 1e-3; 0.01 is allowed."""
    v1, v2, v13 = (1 + B * np.pi**4 / 5) ** 2 / 2, A**2 / 8, B**2 * np.pi**8 * 8 / 225
    v = v1 + v2 + v13
    found = sobol_indices(ishigami, {"x1": PI, "x2": PI, "x3": PI}, n=8192, key=jax.random.key(3), bootstraps=200)
    table = found.set_index("parameter")
    npt.assert_allclose(table.loc[["x1", "x2", "x3"], "first"], [v1 / v, v2 / v, 0.0], atol=0.01)
    npt.assert_allclose(table.loc[["x1", "x2", "x3"], "total"], [(v1 + v13) / v, v2 / v, v13 / v], atol=0.01)
    npt.assert_allclose(found.attrs["variance"], v, rtol=0.01)
    assert found["parameter"].tolist() == ["x1", "x2", "x3"] and found.attrs["evaluations"] == 5 * 8192


def test_the_bootstrap_interval_holds_the_truth():
    """90 % intervals of 60 indices, 20 seeds: at least 45 of them (a binomial of 60 and 0.9 is below 45 once in 5000; points of a sequence err less)."""
    v1, v2, v13 = (1 + B * np.pi**4 / 5) ** 2 / 2, A**2 / 8, B**2 * np.pi**8 * 8 / 225
    truth = {"x1": (v1 + v13) / (v1 + v2 + v13), "x2": v2 / (v1 + v2 + v13), "x3": v13 / (v1 + v2 + v13)}
    held = 0
    for seed in range(20):
        table = sobol_indices(ishigami, {"x1": PI, "x2": PI, "x3": PI}, n=256, key=jax.random.key(seed), bootstraps=200).set_index(
            "parameter"
        )
        held += sum(table.loc[x, "total_low"] <= truth[x] <= table.loc[x, "total_high"] for x in truth)
    assert held >= 45


def test_laws_by_quantiles_and_a_linear_measure():
    found = sobol_indices(
        lambda p: 3 * p["a"] + p["b"],
        {"a": dist.Normal(1.0, 1.0), "b": dist.Normal(0.0, 2.0)},
        n=4096,
        key=jax.random.key(1),
        bootstraps=50,
    )
    npt.assert_allclose(found.set_index("parameter").loc[["a", "b"], "first"], [9 / 13, 4 / 13], atol=0.01)


def test_the_area_of_a_bolus_depends_on_clearance_alone():
    area = exposure_of(one_compartment_iv, bolus((100, "mg")), "cp", "auc", times=[0.0, 24.0, 120.0, 240.0], chunk=16)
    found = local_sensitivity(area, {"CL": 4.0, "V": 20.0}).set_index("parameter")
    npt.assert_allclose(found.loc["CL", "elasticity"], -1.0, rtol=1e-8)  # 240 h are 48 time constants
    npt.assert_allclose(found.loc["V", "elasticity"], 0.0, atol=1e-8)
    npt.assert_allclose(found["base"], 25.0, rtol=1e-8)
    with pytest.raises(FitError, match=r"^one_compartment_iv has no parameter 'CLL'\. Did you mean 'CL'\? "):
        area({"CLL": [1.0]})


def test_refusals_are_sentences():
    for call, text in (
        (lambda: sobol_indices(ishigami, {}, key=jax.random.key(1)), r"^sobol_indices needs a law for each parameter"),
        (lambda: sobol_indices(ishigami, {"x1": PI}, n=100, key=jax.random.key(1)), r"^n=100: a power of two, at least 64\.$"),
        (
            lambda: sobol_indices(ishigami, {"x1": (1, 0)}, key=jax.random.key(1)),
            r"^The law of 'x1' is \(1, 0\); accepted are \(low, high\)",
        ),
        (lambda: sobol_indices(lambda p: 0 * p["x1"], {"x1": PI}, key=jax.random.key(1)), r"^The measure is the same for all sets"),
        (lambda: local_sensitivity(lambda p: p["a"], {"a": 1.0}, {"b": (0, 1)}), r"^ranges names 'b', which has no value\. "),
        (lambda: local_sensitivity(lambda p: p["a"], {"a": 1.0}, {"a": (2, 1)}), r"^'a' goes from 2 to 1; low must be below high\.$"),
        (
            lambda: exposure_of(one_compartment_iv, bolus((1, "mg")), "cpp", "auc", times=[1.0]),
            r"^one_compartment_iv has no observable 'cpp'\. ",
        ),
    ):
        with pytest.raises(FitError, match=text):
            call()
