"""At the tolerance of a sampler a log-likelihood and its gradient are smooth along a line, by every method that "auto" takes for stiff equations.

A sampler feels how an error varies, not how large it is. Where stability sets the steps of an explicit method its slopes are not to be trusted, so
"auto" takes one only where accuracy sets them; that too is shown.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial

from pkpd import Solver
from pkpd.model import predictor
from pkpd.models.classic import indirect_response_II
from pkpd.solve import native
from pkpd.solve.stiffness import MOST
from tests.oracle import Given, cohort
from tests.reference.test_parity import shipped

pytestmark = pytest.mark.slow  # what it holds, faster tests hold on smaller systems

compiled = pytest.mark.skipif(native.build.why_not() is not None, reason=f"no native code here: {native.build.why_not()}")
LINE = np.linspace(-0.02, 0.02, 41)
DEGREE = 8  # what more terms would take away is rounding: by the two exact methods 7, 8 and 10 leave the same


@pytest.fixture(autouse=True)
def cache(monkeypatch, root):
    """Libraries are kept in the checkout, as XLA's compiled code is."""
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))


def along(name, method):
    """Log-likelihoods [41], gradients in the log parameters [41, k * 3], and the direction: every state of three subjects seen with 10 % noise."""
    case, rng = shipped(name), np.random.default_rng(8)
    bound = predictor(case.model, cohort(*case.regimen, case.model.observable_names[0], case.covariates), Solver(method=method))
    seen = case.exact + 0.1 * case.peak * rng.normal(size=case.exact.shape)
    s, peak = bound.schedule, case.peak

    @jax.jit
    @jax.value_and_grad
    def run(moved):
        y = bound.solve({k: v * jnp.exp(moved[i]) for i, (k, v) in enumerate(case.theta.items())})[0].y
        return -0.5 * jnp.sum(((y[s.row_time, :, s.row_lane] - seen) / (0.1 * peak)) ** 2)

    direction = rng.choice([-1.0, 1.0], size=(len(case.theta), 3))
    values, gradients = zip(*(run(x * direction) for x in LINE), strict=True)
    return np.array(values), np.array(gradients).reshape(len(LINE), -1), direction.ravel()


def rough(curve):
    """The largest distance from a polynomial through the line, of each column."""
    fits = [Polynomial.fit(LINE, c, DEGREE) for c in np.atleast_2d(curve.T)]
    return np.array([np.abs(f(LINE) - c).max() for f, c in zip(fits, np.atleast_2d(curve.T), strict=True)])


# At most three times what was measured (beside them): roughness of the value in units of log-likelihood (it moves by 3 along the line), of the gradient
# relative to its largest component (30), and how far the slope of the polynomial is from the gradient along the line, relative to its largest.
BOUNDS = {
    ("carm_blood_il6", "native_rodas4"): (9e-9, 5e-9, 7e-8),  # 3.0e-9, 1.7e-9, 2.5e-8
    ("carm_blood_il6", "rosenbrock"): (8e-8, 5.5e-8, 1.7e-7),  # 2.7e-8, 1.9e-8, 5.9e-8
    ("carm_blood_il6", "cascade"): (
        2e-12,
        1.4e-13,
        1.2e-12,
    ),  # 2.3e-13, 2.3e-14, 1.3e-13: rounding, so the bounds are those of the next line
    ("three_compartment_oral", "closed_form"): (2e-12, 1.4e-13, 1.2e-12),  # 6.5e-13, 4.6e-14, 3.9e-13: rounding
}


@pytest.mark.parametrize(("name", "method"), [pytest.param(*c, marks=[compiled] * c[1].startswith("native")) for c in BOUNDS])
def test_value_and_gradient_are_smooth_along_a_line(name, method):
    values, gradients, direction = along(name, method)
    exact, inner = gradients @ direction, slice(5, -5)  # a fitted slope is worst at the ends
    slopes = Polynomial.fit(LINE, values, DEGREE).deriv()(LINE)
    apart = np.abs(slopes - exact)[inner].max() / np.abs(exact).max()
    found = np.array([rough(values).max(), rough(gradients).max() / np.abs(gradients).max(), apart])
    assert np.all(found < BOUNDS[name, method]), found


def followed(doses):
    """An indirect response (rates of 1.5, 0.1 and 0.09 per hour) whose loss is inhibited, followed for two days."""
    given = [Given(t, 100.0, "oral", rank=t) for t in doses]
    return predictor(indirect_response_II, cohort([given], [[(48.0, 48.5)]], "effect"))


@pytest.mark.parametrize(
    ("every", "stiff", "off", "wait"),
    [(1.0, False, "tsit5_batched", "native_tsit5"), (48.0, True, "rosenbrock", "native_rodas4")],
)
def test_auto_takes_an_explicit_method_only_where_stability_does_not_set_its_steps(monkeypatch, every, stiff, off, wait):
    """Doses each hour: half a step of stability's from one to the next; one dose: 1.5 / h x 48 h / 3.3, about twenty steps."""
    bound = followed(np.arange(0.0, 48.0, every))
    found = bound._stiffness([*indirect_response_II.typical.values()], [])
    assert found.stiff == stiff == (found.steps > MOST)
    assert found.fastest == pytest.approx(1.5, rel=0.05)
    assert bound.chosen.name == off and found.sentence in bound.chosen.reason
    if native.build.why_not() is None:
        monkeypatch.setattr(native, "prepare", lambda *_: True)
        monkeypatch.setenv("PKPD_NATIVE", "wait")
        assert dataclasses.replace(bound).chosen.name == wait
