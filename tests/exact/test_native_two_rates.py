"""The machine code of absorption and elimination against 150 digits, in value and slope, through every closeness of the two rates and every group of lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd.solve import Events
from pkpd.solve.closed_form import make_closed_form
from pkpd.solve.native import build, make_native
from pkpd.solve.structure import analyse
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
def test_values_and_slopes_to_rounding(lanes):
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


@pytest.mark.parametrize(("lanes", "threads"), [(7, 1), *(pytest.param(*n, marks=pytest.mark.slow) for n in ((9, 1), (35, 4)))])
def test_groups_of_lanes_with_their_own_segments(lanes, threads):
    """Segments that differ from lane to lane, a covariate, a reset and an infusion: values and every slope are those of XLA's closed form."""
    rng = np.random.default_rng(lanes)
    rhs = lambda t, y, p, q, r: [r[0] - p[0] * y[0], p[0] * y[0] - p[1] * q[0] * y[1] + r[1]]  # noqa: E731
    edges = np.cumsum(np.concatenate([np.zeros((1, lanes)), rng.uniform(0.5, 3.0, (3, lanes))]), 0)
    jump, rate = np.zeros((3, 2, lanes)), np.zeros((3, 2, lanes))
    jump[0, 0], jump[2, 1], rate[1, 0] = rng.uniform(1, 5, lanes), 1.0, rng.uniform(0, 2, lanes)
    reset = np.zeros((3, lanes))
    reset[2, ::3] = 1.0
    segment = rng.integers(0, 3, (5, lanes))
    segment[0] = 1  # one look in the same segment for all
    start, end = (np.take_along_axis(edges, segment + i, 0) for i in (0, 1))
    times = start + rng.uniform(0.0, 1.0, (5, lanes)) * (end - start)
    given = {"edges": edges, "jump": jump, "rate": rate, "y0": rng.uniform(0, 1, (2, lanes)), "p": rng.uniform(0.2, 2, (2, lanes))}
    given |= {"q": rng.uniform(0.5, 2, (1, 3, lanes)), "times": times}
    weight = rng.normal(size=(5, 2, lanes))

    def total(solve, x):
        events = Events(x["edges"], x["jump"], x["rate"], jnp.asarray(reset), jnp.asarray(segment))
        return jnp.sum(jnp.asarray(weight) * solve(rhs, events, x["y0"], x["p"], x["q"], x["times"]).y)

    native = make_native("closed_form", 1e-8, np.full(2, 1e-10), 16, threads)
    x = jax.tree.map(jnp.asarray, given)
    ours, exact = (jax.jit(jax.value_and_grad(lambda x, s=s: total(s, x)))(x) for s in (native, make_closed_form(analyse(rhs, 2, 2, 1))))
    np.testing.assert_allclose(ours[0], exact[0], rtol=1e-12)
    for name in given:
        np.testing.assert_allclose(ours[1][name], exact[1][name], rtol=1e-9, atol=1e-11, err_msg=name)
    for name in ("edges", "times"):  # asked for alone
        one = jax.jit(jax.grad(lambda v, name=name: total(native, x | {name: v})))(x[name])
        np.testing.assert_array_equal(one, ours[1][name])
