"""Native code against SciPy, central differences and XLA: values, gradients in every input, forward mode, mapped axes, failed subjects, primitives."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pkpd.errors import SolveError
from pkpd.solve import Events, Status
from pkpd.solve.native import available, build, make_native
from tests.oracle import slope

pytestmark = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")
KINDS = ("edges", "jump", "rate", "y0", "p", "q", "times")
METHODS = ("tsit5", "rodas4")
LANES, SEGMENTS, STATES = 3, 5, 3


@pytest.fixture(autouse=True)
def kept(monkeypatch, root):
    """Libraries are kept in the checkout, as XLA's compiled code is."""
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))


def rhs(t, y, p, q, r, sin=jnp.sin):
    """Absorption, saturable elimination that a covariate scales and the time of day changes, and a delayed response."""
    lost = p[1] * q[0] * (1.0 + 0.3 * sin(t)) * y[1] / (p[2] + y[1])
    return [r[0] - p[0] * y[0], p[0] * y[0] + r[1] - lost, p[3] * (1.0 + y[1] / (1.0 + y[1]) - y[2]) + r[2]]


def tables():
    """Subject 0: boluses, one in a segment without length, an infusion; 1: a reset, then a clearing; 2: little, then padding."""
    rng = np.random.default_rng(1)
    edges = np.array([[0.0, 1.5, 1.5, 3.0, 7.0, 9.0], [-1.0, 0.5, 2.0, 4.0, 5.0, 8.0], [0.0, 2.0, 4.0, 4.0, 4.0, 4.0]]).T
    jump, rate = np.zeros((SEGMENTS, STATES, LANES)), np.zeros((SEGMENTS, STATES, LANES))
    jump[0], jump[1, 0, 0], jump[2, 1, 0], jump[3, :, 1] = rng.uniform(1, 4, (STATES, LANES)), 2.0, 1.0, 0.7
    rate[2, 0, 0], rate[1, 1, 1], rate[0, 2, 2] = 3.0, 2.0, 0.5
    reset, clear = np.zeros((SEGMENTS, LANES)), np.zeros((SEGMENTS, LANES))
    reset[2, 1], clear[3, 1] = 1.0, 1.0
    times = np.array([[8.2, 0.7, 2.9, 1.5, 6.0], [-0.9, 0.4, 1.1, 4.4, 7.7], [0.5, 1.9, 3.7, 0.5, 0.5]]).T
    segment = np.array([[4, 0, 2, 0, 3], [0, 0, 1, 3, 4], [0, 0, 1, 0, 0]]).T
    y0, p = rng.uniform(0.5, 2, (STATES, LANES)), rng.uniform(0.5, 2, (4, LANES))
    q = rng.uniform(0.5, 2, (1, SEGMENTS, LANES))
    return {"edges": edges, "jump": jump, "rate": rate, "y0": y0, "p": p, "q": q, "times": times}, (reset, clear, segment)


GIVEN, (RESET, CLEAR, SEGMENT) = tables()
WEIGHT = np.random.default_rng(5).normal(size=(5, STATES, LANES))


def by_scipy(x):
    """Values [M, n, B] by DOP853 at 1e-12, segment by segment."""
    out = np.full(WEIGHT.shape, np.nan)
    for b in range(LANES):
        y = x["y0"][:, b]
        for e in range(SEGMENT[:, b].max() + 1):
            start, end = x["edges"][e : e + 2, b]
            y = y * (1 - RESET[e, b] - CLEAR[e, b]) + x["y0"][:, b] * RESET[e, b] + x["jump"][e, :, b]
            field = lambda t, z, e=e, b=b: np.array(rhs(t, z, x["p"][:, b], x["q"][:, e, b], x["rate"][e, :, b], np.sin), float)  # noqa: E731
            go = lambda until, y=y, start=start, f=field: (  # noqa: E731
                solve_ivp(f, (start, until), y, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1] if until != start else y
            )
            for m in np.flatnonzero(SEGMENT[:, b] == e):
                out[m, :, b] = go(x["times"][m, b])
            y = go(end) if e < SEGMENT[:, b].max() else y
    return out


def run(method="tsit5", rtol=1e-9, threads=1, max_steps=4096):
    solve = make_native(method, rtol, np.full(STATES, rtol * 1e-2), max_steps, threads)

    def values(x):
        events = Events(x["edges"], x["jump"], x["rate"], jnp.asarray(RESET), jnp.asarray(SEGMENT), jnp.asarray(CLEAR))
        return solve(rhs, events, x["y0"], x["p"], x["q"], x["times"])

    return values


def test_nothing_stands_in_the_way():
    assert available(rhs, (3, 4, 1)) is None


@pytest.mark.parametrize("method", [pytest.param("tsit5", marks=pytest.mark.slow), "rodas4"])
def test_values_with_every_kind_of_event(method):
    solution = jax.jit(run(method))(GIVEN)
    assert not np.any(solution.status)
    assert np.all(solution.steps > 5)
    np.testing.assert_allclose(solution.y, by_scipy(GIVEN), rtol=1e-7)  # a hundred times rtol


@pytest.fixture(scope="module", params=METHODS)
def gradient(request, root):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))
        return jax.jit(jax.grad(lambda x: jnp.sum(WEIGHT * run(request.param)(x).y)))(GIVEN)


@cache
def along(kind):
    """A random direction of an input, edges without a segment between them moving together, and the slope along it by central differences."""
    direction = np.random.default_rng(7).normal(size=GIVEN[kind].shape)
    if kind == "edges":
        direction[2, 0], direction[3:, 2] = direction[1, 0], direction[2, 2]
        direction[1, 0] = direction[2, 0] = 0.4
    return direction, slope(lambda s: np.sum(WEIGHT * by_scipy(GIVEN | {kind: GIVEN[kind] + (s - 1.0) * direction})), 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_central_differences(gradient, kind):
    direction, exact = along(kind)
    found = float(jnp.sum(gradient[kind] * direction))
    assert found == pytest.approx(exact, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_forward_mode_says_the_same(gradient, method):
    moves = {k: np.random.default_rng(i).normal(size=v.shape) for i, (k, v) in enumerate(GIVEN.items())}
    tangent = jax.jit(lambda x, v: jax.jvp(lambda x: run(method)(x).y, (x,), (v,))[1])(GIVEN, moves)
    expected = sum(jnp.sum(gradient[k] * moves[k]) for k in KINDS)
    assert float(jnp.sum(WEIGHT * tangent)) == pytest.approx(float(expected), rel=1e-10)


def test_mapped_axes_become_lanes():
    """jacrev and jacfwd map over weights and directions; lax.map maps in batches; a mapped input solves for each of its values."""
    values = lambda p: run()(GIVEN | {"p": p}).y[:, 1]  # noqa: E731
    reverse, forward = (jax.jit(f(values))(GIVEN["p"]) for f in (jax.jacrev, jax.jacfwd))
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-12)
    basis = np.eye(12).reshape(12, 4, 3)
    rows = jax.jit(lambda: jax.lax.map(lambda v: jax.jvp(values, (GIVEN["p"],), (v,))[1], basis, batch_size=5))()
    np.testing.assert_allclose(np.moveaxis(rows, 0, -1).reshape(forward.shape), forward, rtol=1e-12, atol=1e-14)
    several = GIVEN["p"] * np.array([1.0, 1.1, 0.9])[:, None, None]
    mapped = jax.jit(jax.vmap(values))(several)
    np.testing.assert_array_equal(mapped, np.stack([jax.jit(values)(p) for p in several]))


def test_threads_change_nothing():
    wide = {k: jnp.tile(jnp.asarray(v), 9) for k, v in GIVEN.items()}
    found = []
    for threads in (1, 2):
        solve = make_native("tsit5", 1e-6, np.full(STATES, 1e-8), 4096, threads)

        def total(x, solve=solve):
            events = Events(x["edges"], x["jump"], x["rate"], np.tile(RESET, 9), np.tile(SEGMENT, 9), np.tile(CLEAR, 9))
            return jnp.sum(solve(rhs, events, x["y0"], x["p"], x["q"], x["times"]).y)

        found.append(jax.jit(jax.value_and_grad(total))(wide))
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_steps_that_are_no_longer_kept_are_taken_again():
    """The library keeps the steps of the last few solves; models of other sizes keep theirs apart."""
    first = jax.vjp(lambda x: run()(x).y, GIVEN)[1]
    for scale in np.linspace(0.9, 1.1, 12):
        jax.vjp(lambda p: exploding(p).y, jnp.full((2, 3), 0.3 * scale))
        jax.vjp(lambda p: run()(GIVEN | {"p": p}).y, GIVEN["p"] * scale)
    (again,) = first(jnp.asarray(WEIGHT))
    direct = jax.jit(jax.grad(lambda x: jnp.sum(WEIGHT * run()(x).y)))(GIVEN)
    jax.tree.map(np.testing.assert_array_equal, again, direct)


def test_a_look_at_an_edge_keeps_its_own_slope(gradient):
    """Subject 0 is seen at 1.5 before the bolus there: that look follows its own time, and edges move later looks only."""
    before = jax.jit(jax.grad(lambda x: run()(x).y[3, 1, 0]))(GIVEN)
    assert np.all(np.asarray(before["edges"])[1:] == 0.0)
    assert abs(float(before["times"][3, 0])) > 1e-3


def explode(t, y, p, q, r):
    return [p[0] * y[0] * y[0] + r[0], -p[1] * y[1]]


def exploding(p, max_steps=4096):
    solve = make_native("tsit5", 1e-6, np.full(2, 1e-8), max_steps, 1)
    lanes = p.shape[1]
    none = jnp.zeros((1, lanes))
    events = Events(
        jnp.asarray([[0.0], [2.0]]) * jnp.ones(lanes), jnp.zeros((1, 2, lanes)), jnp.zeros((1, 2, lanes)), none, none.astype(int), none
    )
    return solve(explode, events, jnp.ones((2, lanes)), p, jnp.zeros((0, 1, lanes)), jnp.full((1, lanes), 1.5))


@pytest.mark.parametrize(
    ("bad", "max_steps", "status"),
    [
        ((1.0, 1.0), 4096, {Status.STEPS_EXHAUSTED, Status.NOT_FINITE}),  # infinite at t = 1
        ((0.1, 1e4), 200, {Status.STEPS_EXHAUSTED}),  # too stiff for an explicit method in 200 steps
        ((np.nan, 1.0), 4096, {Status.NOT_FINITE}),
        ((np.inf, 1.0), 4096, {Status.NOT_FINITE}),
    ],
)
def test_a_failed_subject_fails_alone(bad, max_steps, status):
    good = np.random.default_rng(3).uniform(0.1, 0.5, (2, 10))
    p = np.insert(good, 4, bad, axis=1)
    both = jax.jit(lambda p: (exploding(p, max_steps), jax.grad(lambda p: jnp.sum(exploding(p, max_steps).y))(p)))
    found, gradient = both(p)
    alone, gradient_alone = both(good)
    assert int(found.status[4]) in status
    assert np.all(np.isnan(found.y[:, :, 4])) and np.all(np.isnan(gradient[:, 4]))
    np.testing.assert_array_equal(np.delete(found.y, 4, -1), alone.y)
    np.testing.assert_array_equal(np.delete(gradient, 4, -1), gradient_alone)
    forward = jax.jit(lambda p: jax.jvp(lambda p: exploding(p, max_steps).y, (p,), (jnp.ones_like(p),))[1])(p)
    assert np.all(np.isnan(forward[:, :, 4])) and np.all(np.isfinite(np.delete(forward, 4, -1)))


FUNCTIONS = {
    "powers": [
        lambda a, b: a**b,
        lambda a, b: a**-3,
        lambda a, b: jnp.sqrt(a) + jax.lax.rsqrt(b),
        lambda a, b: jnp.square(a) + jnp.cbrt(b),
    ],
    "exponentials": [
        lambda a, b: jnp.exp(-a * b),
        lambda a, b: jnp.exp2(a),
        lambda a, b: jnp.expm1(a),
        lambda a, b: jnp.log1p(a) * jnp.log(b),
    ],
    "sigmoids": [
        lambda a, b: jnp.tanh(a - b),
        lambda a, b: jax.nn.sigmoid(b - a),
        lambda a, b: jax.nn.softplus(a),
        lambda a, b: jnp.arctan2(a, b),
    ],
    "errors": [lambda a, b: jax.scipy.special.erf(a), lambda a, b: jax.scipy.special.erfc(b), lambda a, b: jax.scipy.stats.norm.cdf(a)],
    "circular": [
        lambda a, b: jnp.sin(a) * jnp.cos(b),
        lambda a, b: jnp.tan(a / 4),
        lambda a, b: jnp.arctan(a),
        lambda a, b: jnp.sinh(a) + jnp.cosh(b),
    ],
    "choices": [
        lambda a, b: jnp.where(a > b, a * a, b),
        lambda a, b: jnp.maximum(a, b) + jnp.minimum(a, 1.0),
        lambda a, b: jnp.clip(a, 0.5, 1.5) * jnp.sign(a - b) + jnp.abs(a - 2 * b),
        lambda a, b: jnp.where((a > 1) & ~(b > 1) | (a == b), 1.0, b) + (a < b).astype(float),
        lambda a, b: jnp.where(a > 1, jnp.log(jnp.where(a > 1, a - 1, 1.0)), 0.0) + jax.lax.cond(a > b, lambda: a, lambda: b * b),
    ],
    "arrays": [
        lambda a, b: jnp.sum(jnp.array([a, b, a * b]) * jnp.arange(1.0, 4.0)),
        lambda a, b: jnp.dot(jnp.stack([a, b]), jnp.array([2.0, 3.0])) + jnp.max(jnp.array([a, b])),
        lambda a, b: (jnp.outer(jnp.array([a, b]), jnp.array([b, 1.0])) @ jnp.array([1.0, a]))[1],
        lambda a, b: jax.lax.stop_gradient(a) * b + jnp.concatenate([jnp.array([a]), jnp.array([b])])[0],
        lambda a, b: jnp.floor(a) + jnp.ceil(b) + jnp.prod(jnp.array([a, b])) + jnp.mod(a, 0.7),
    ],
}


@pytest.fixture(scope="module")
def primitives(root):
    """Values and gradients of all functions, native and direct, and the group of each. One library: a compiler's start costs most.

    y' = g(p) over one unit of time is g itself, and its gradient the slope of g: one state a function, one lane a point.
    """
    functions = [f for group in FUNCTIONS.values() for f in group]
    points = np.random.default_rng(4).uniform(0.05, 3.0, (2, 19))
    n, lanes = len(functions), points.shape[1]
    constant = lambda t, y, p, q, r: [f(p[0], p[1]) for f in functions]  # noqa: E731
    solve, none = make_native("tsit5", 1e-6, np.full(n, 1e-8), 100, 1), jnp.zeros((1, lanes))
    events = Events(
        jnp.array([[0.0], [1.0]]) * jnp.ones(lanes), jnp.zeros((1, n, lanes)), jnp.zeros((1, n, lanes)), none, none.astype(int), none
    )
    native = lambda p: solve(constant, events, jnp.zeros((n, lanes)), p, jnp.zeros((0, 1, lanes)), jnp.ones((1, lanes))).y[0]  # noqa: E731
    direct = lambda p: jnp.stack([jnp.broadcast_to(jax.vmap(f)(p[0], p[1]), lanes) for f in functions])  # noqa: E731
    both = jax.jit(
        lambda f, p: (f(p), jax.vmap(jax.grad(lambda p, w: jnp.sum(w[:, None] * f(p))), (None, 0))(p, np.eye(n))), static_argnums=0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))
        return both(native, points), both(direct, points), [name for name, group in FUNCTIONS.items() for _ in group]


@pytest.mark.parametrize("group", FUNCTIONS)
def test_primitives_say_what_xla_says(primitives, group):
    *two, names = primitives
    mine = [i for i, name in enumerate(names) if name == group]
    for found, exact in zip(*two, strict=True):
        np.testing.assert_allclose(found[np.array(mine)], exact[np.array(mine)], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (lambda t, y, p, q, r: [jax.lax.while_loop(lambda v: v < 3.0, lambda v: v + 1.0, y[0])], "while"),
        (lambda t, y, p, q, r: [jax.scipy.special.gammaln(y[0])], "lgamma"),
        (lambda t, y, p, q, r: [jnp.interp(t, jnp.arange(3.0), jnp.ones(3)) * y[0]], "'"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_name(bad, word):
    reason = available(bad, (1, 0, 0))
    assert reason is not None and word in reason
    one = jnp.ones((1, 1))
    events = Events(jnp.array([[0.0], [1.0]]), one[None], one[None], one, one.astype(int), one)
    with pytest.raises(SolveError, match="No native code"):
        make_native("tsit5", 1e-6, 1e-8, 100)(bad, events, one, jnp.zeros((0, 1)), jnp.zeros((0, 1, 1)), one)


def test_a_second_derivative_is_refused():
    with pytest.raises(SolveError, match="first derivatives only"):
        jax.hessian(lambda p: jnp.sum(run()(GIVEN | {"p": p}).y))(jnp.asarray(GIVEN["p"]))


def power(t, y, p, q, r):
    return [r[0] - p[0] * y[0], p[1] * y[0] ** 1.5 - 0.3 * y[1]]


def inverse(t, y, p, q, r):
    return [p[0] / y[0]]


@pytest.mark.parametrize(("rhs", "start", "p", "looks"), [(power, [1.0, 0.0], [50.0, 1.0], 8), (inverse, [1.0], [1.0], 1)])
@pytest.mark.parametrize("method", [pytest.param("tsit5", marks=pytest.mark.slow), "rodas4"])
def test_a_look_at_the_start_and_lanes_that_stand_still_leave_the_slope_finite(method, rhs, start, p, looks):
    """A stage of a stiff step may leave where the rates are defined, and a lane without a look has nothing to be differentiated."""
    n, times = len(start), np.arange(float(looks)) if looks > 1 else np.array([0.5])
    table = np.zeros((1, n, 1))
    events = Events(np.array([[0.0], [8.0]]), table, table, np.zeros((1, 1)), np.zeros((looks, 1), int))
    solve = make_native(method, 1e-8, np.full(n, 1e-10), 4096)
    y0 = np.array(start)[:, None]
    total = lambda p: jnp.sum(solve(rhs, events, y0, p, np.zeros((0, 1, 1)), times[:, None]).y)  # noqa: E731
    theta = jnp.array(p)[:, None]
    back = jax.jacrev(total)(theta)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(back, jax.jacfwd(total)(theta), rtol=1e-9)
