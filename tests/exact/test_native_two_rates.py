"""The machine code of absorption and elimination against 150 digits, in value and slope, through every closeness of the two rates and every group of lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd.solve import Events
from pkpd.solve.native import build, make_native
from tests.exact.decimals import divided

pytestmark = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")

DOSE, KE = 100.0, 0.1
GAPS = (0.0, 1e-14, 1e-9, 1e-4, 0.03, 0.4, 0.9999, 1.0001, 1.5, 2.5, 30.0, -1e-9, -0.3, -0.9)  # of ka - ke; times 1 h, 0.3 h and 7 h
TIMES = (0.0, 0.3, 1.0, 7.0)


@pytest.fixture(autouse=True)
def kept(monkeypatch, root):
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))


def rhs(t, y, p, q, r):
    return [r[0] - p[0] * y[0], p[0] * y[0] - p[1] * y[1] + r[1]]


def solved(p):
    """y[M, 2, B] of a dose into the first state, and the slope of the sum over lanes of the second state at each time in p."""
    lanes = p.shape[1]
    edges = jnp.stack([jnp.zeros(lanes), jnp.full(lanes, TIMES[-1])])
    jump = jnp.zeros((1, 2, lanes)).at[0, 0].set(DOSE)
    events = Events(edges, jump, jnp.zeros((1, 2, lanes)), jnp.zeros((1, lanes)), jnp.zeros((len(TIMES), lanes), int))
    times = jnp.broadcast_to(jnp.asarray(TIMES)[:, None], (len(TIMES), lanes))
    solve = make_native("closed_form", 1e-8, np.full(2, 1e-10), 16, 1)
    values = jax.jit(lambda p: solve(rhs, events, jnp.zeros((2, lanes)), p, jnp.zeros((0, 1, lanes)), times).y)
    slopes = [jax.jit(jax.grad(lambda p, m=m: values(p)[m, 1].sum()))(p) for m in range(len(TIMES))]
    return np.asarray(values(p)), np.stack(slopes)


@pytest.mark.parametrize("lanes", [3, 8, 13, 14])
def test_values_and_slopes_to_twelve_digits(lanes):
    """y2 = D ka f[-ke, -ka], f(x) = exp(t x). A quotient past the switch at a gap of 1/t loses a bit, and the mixed slope takes two."""
    ka = KE + np.array(GAPS[-lanes:]) * np.where(np.array(GAPS[-lanes:]) < 0, KE, 1.0)
    y, slope = solved(jnp.asarray(np.stack([ka, np.full(lanes, KE)])))
    for m, t in enumerate(TIMES):
        for b, k in enumerate(ka):
            f, at_ka, at_ke = divided([-KE, -k], t), divided([-KE, -k, -k], t), divided([-KE, -KE, -k], t)
            np.testing.assert_allclose(y[m, :, b], [DOSE * np.exp(-k * t), DOSE * k * f], rtol=2e-14, err_msg=f"ka {k}, {t} h")
            exact = np.array([DOSE * (f - k * at_ka), -DOSE * k * at_ke])
            scale = DOSE * np.array([f + k * at_ka, k * at_ke])
            assert np.all(np.abs(slope[m, :, b] - exact) <= 1e-14 * scale + 1e-300), (k, t, slope[m, :, b], exact)
