"""The batched solver through the contract: values against SciPy, slopes in every argument, failures, stiffness, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pkpd.errors import SolveError
from pkpd.solve import Events, Status
from pkpd.solve.batched import make_batched
from tests.oracle import slope

METHODS = ("tsit5", "rodas4", "rodas5p")


def rhs(t, y, p, q, r):
    """Absorption, saturable elimination with a daily rhythm, and a response driven by a covariate."""
    c = y[1] / p[2]
    cleared = p[1] * c / (1.0 + 0.2 * c) * (1.0 + 0.3 * jnp.sin(0.5 * t))
    return [r[0] - p[0] * y[0], r[1] + p[0] * y[0] - cleared, q[0] * (1.0 + 0.1 * c**2 - y[2]) + r[2]]


def field(t, y, p, q, r):
    c = y[1] / p[2]
    cleared = p[1] * c / (1.0 + 0.2 * c) * (1.0 + 0.3 * np.sin(0.5 * t))
    return [r[0] - p[0] * y[0], r[1] + p[0] * y[0] - cleared, q[0] * (1.0 + 0.1 * c**2 - y[2]) + r[2]]


# Seven segments: a bolus, an infusion, a reset, a segment of no length, a clearing with a dose, and one of no length at the end.
# Looks at a segment's start, inside, at an end, in the segment of no length, and again after it.
GIVEN = {
    "y0": np.array([[0.0, 0.5], [0.0, 0.1], [1.0, 2.0]]),
    "p": np.array([[1.5, 0.4], [1.0, 0.6], [2.0, 1.0]]),
    "q": np.array([[[0.3, 0.5], [0.3, 0.5], [0.4, 0.5], [0.4, 0.1], [0.4, 0.7], [0.2, 0.7], [0.2, 0.7]]]),
    "edges": np.array([[0.0, 2.0, 3.5, 6.0, 6.0, 9.0, 14.0, 14.0], [1.0, 1.5, 4.0, 5.0, 5.0, 8.0, 12.0, 12.0]]).T.copy(),
    "jump": np.zeros((7, 3, 2)),
    "rate": np.zeros((7, 3, 2)),
    "times": np.array([[0.0, 0.7, 2.0, 2.5, 3.5, 6.0, 6.0, 6.1, 9.0, 13.0], [1.0, 1.2, 1.5, 3.9, 4.0, 5.0, 5.0, 5.4, 8.0, 12.0]]).T.copy(),
}
GIVEN["jump"][0, 0] = GIVEN["jump"][4, 0] = [4.0, 7.0]
GIVEN["jump"][5, 1] = [2.0, 0.0]
GIVEN["rate"][1, 1] = GIVEN["rate"][2, 1] = [1.0, 2.0]
GIVEN["rate"][2, 0] = [0.5, 0.0]
SEGMENT = np.repeat(np.array([0, 0, 1, 1, 2, 3, 4, 4, 4, 5])[:, None], 2, 1)
SEGMENT[2] = 0  # the end of the first segment, before what happens at the next one's start
RESET, CLEAR = np.zeros((7, 2)), np.zeros((7, 2))
RESET[3, 0] = 1.0
CLEAR[5, 1] = 1.0


def solve(method, given, rtol=1e-9, max_steps=2048, segment=SEGMENT, reset=RESET, clear=CLEAR):
    events = Events(given["edges"], given["jump"], given["rate"], jnp.asarray(reset), jnp.asarray(segment), jnp.asarray(clear))
    return make_batched(method, rtol, np.full(3, rtol * 1e-2), max_steps)(rhs, events, given["y0"], given["p"], given["q"], given["times"])


def by_scipy(given):
    """Segment by segment; a look's own clock and the moving edges are what is differentiated."""
    out = np.zeros((len(SEGMENT), 3, 2))
    for b in range(2):
        y0 = given["y0"][:, b]
        y = y0
        for e in range(7):
            a, z = given["edges"][e : e + 2, b]
            y = y * (1 - RESET[e, b] - CLEAR[e, b]) + y0 * RESET[e, b] + given["jump"][e, :, b]
            args = (given["p"][:, b], given["q"][:, e, b], given["rate"][e, :, b])
            to = lambda t, a=a, y=y, args=args: _scipy(a, t, y, args)  # noqa: E731
            for m in np.flatnonzero(SEGMENT[:, b] == e):
                out[m, :, b] = to(given["times"][m, b])
            y = to(z)
    return out


def _scipy(a, z, y, args):
    return y if a == z else solve_ivp(field, (a, z), y, method="DOP853", rtol=1e-12, atol=1e-13, args=args).y[:, -1]


@pytest.fixture(scope="module")
def exact():
    return by_scipy(GIVEN)


@pytest.mark.parametrize("method", METHODS)
def test_values_with_every_kind_of_event(method, exact):
    """1e-7 of the largest value of each state at rtol 1e-9."""
    got = jax.jit(lambda given: solve(method, given))(GIVEN)
    assert not np.any(got.status)
    size = np.abs(exact).max((0, 2))[:, None]
    np.testing.assert_allclose(got.y / size, exact / size, rtol=0, atol=1e-7)


def directions():
    """One per argument; where two edges coincide they move together, and of the looks only those away from edges move."""
    rng = np.random.default_rng(3)
    for name in ("y0", "p", "q", "jump", "rate"):
        yield name, rng.uniform(0.2, 1.0, GIVEN[name].shape) * np.where(GIVEN[name] == 0.0, 0.0, GIVEN[name] + 0.1)
    edges = np.repeat(np.array([0.0, 0.3, -0.2, 0.4, 0.4, -0.3, 0.1, 0.1])[:, None], 2, 1)
    yield "edges", edges
    inside = np.isin(np.arange(len(SEGMENT)), (1, 3, 7, 9))[:, None]
    yield "times", rng.uniform(0.2, 1.0, GIVEN["times"].shape) * (inside & (GIVEN["times"] < 12.0))


CASES = dict(directions())


@pytest.fixture(scope="module")
def exact_slopes():
    """Looks fixed at a moving edge would be crossed by it; in the case of edges such looks move along."""
    return {name: slope(lambda x, n=name: by_scipy(moved(n)(x)), 0.0, 1.0) for name in CASES}


def moved(name):
    """GIVEN moved along the direction of one argument, as a function of the distance; with edges, the looks that stand on one go with it."""
    along = lambda x: GIVEN | {name: GIVEN[name] + x * CASES[name]}  # noqa: E731
    if name != "edges":
        return along
    share = np.zeros_like(GIVEN["times"])
    for m, e in ((2, 1), (4, 2), (5, 3), (6, 4), (8, 5)):
        share[m] = CASES["edges"][e]
    share[9, 1] = CASES["edges"][6, 1]
    return lambda x: along(x) | {"times": GIVEN["times"] + x * share}


@pytest.mark.parametrize("method", ("tsit5", pytest.param("rodas5p", marks=pytest.mark.slow)))
def test_slopes_in_every_argument(method, exact_slopes):
    """Forward mode against extrapolated differences of SciPy, 1e-5 of the largest; reverse mode against forward, to rounding."""
    run = lambda given: solve(method, given).y  # noqa: E731
    start = {k: jnp.asarray(v) for k, v in GIVEN.items()}
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(len(SEGMENT), 3, 2)))
    tangents = [_tangent(n) for n in CASES]
    together = {k: jnp.stack([t[k] for t in tangents]) for k in start}
    forward = jax.jit(jax.vmap(lambda d: jax.jvp(run, (start,), (d,))[1]))(together)
    back = jax.jit(jax.grad(lambda given: jnp.sum(weights * run(given))))(start)
    for name, got, direction in zip(CASES, forward, tangents, strict=True):
        size = np.abs(exact_slopes[name]).max()
        np.testing.assert_allclose(got / size, exact_slopes[name] / size, rtol=0, atol=1e-5, err_msg=name)
        reverse = sum(jnp.vdot(back[k], direction[k]) for k in start)
        np.testing.assert_allclose(reverse, jnp.vdot(weights, got), rtol=1e-9, atol=1e-9 * float(size), err_msg=name)


def _tangent(name):
    zero, step = moved(name)(0.0), moved(name)(1.0)
    return {k: jnp.asarray(step[k] - zero[k]) for k in GIVEN}


@pytest.mark.slow
def test_only_what_is_asked_for_is_differentiated():
    """Slopes in one argument alone are those found beside all the others."""
    start = {k: jnp.asarray(v) for k, v in GIVEN.items()}
    total = lambda given: jnp.sum(solve("tsit5", given, 1e-4).y ** 2)  # noqa: E731
    every = jax.jit(jax.grad(total))(start)
    for name in ("q", "y0"):
        alone = jax.jit(jax.grad(lambda x, n=name: total(start | {n: x})))(start[name])
        np.testing.assert_allclose(alone, every[name], rtol=1e-12)


def test_padding_changes_nothing():
    """Segments of no length, repeated looks and a third subject: values and slopes of the first two to rounding (vector lengths differ)."""
    wide = {k: np.concatenate([v, v[..., :1]], -1) for k, v in GIVEN.items()}
    again = lambda x, axis, k: np.concatenate([x, *[np.take(x, [-1], axis)] * k], axis)  # noqa: E731
    long = wide | {k: again(wide[k], 1 if k == "q" else 0, 4) for k in ("q", "edges", "jump", "rate", "times")}
    long["jump"][7:] = 3.0  # never reached
    extra = {
        "segment": np.pad(SEGMENT, ((0, 4), (0, 1)), "edge"),
        "reset": np.pad(RESET, ((0, 4), (0, 1))),
        "clear": np.pad(CLEAR, ((0, 4), (0, 1))),
    }

    def both(given, **tables):
        run = lambda p: solve("tsit5", given | {"p": p}, 1e-6, **tables).y[:10, :, :2]  # noqa: E731
        return jax.jit(lambda p: (run(p), jax.grad(lambda p: jnp.sum(jnp.sin(run(p))))(p)[:, :2]))(given["p"])

    for a, b in zip(both(GIVEN), both(long, **extra), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)  # rounding in a step's error estimate moves the next step a little


@pytest.mark.slow
def test_value_and_slope_are_smooth_along_a_line_at_sampling_tolerance():
    """A sampler feels how the error varies, not how large it is: at rtol 1e-4 the variation is below 1e-5 of the range, for the slope too."""
    runs = {}
    for rtol in (1e-4, 1e-9):
        total = lambda x, rtol=rtol: jnp.sum(jnp.log1p(solve("rodas5p", GIVEN | {"p": GIVEN["p"] * jnp.exp(x)}, rtol).y))  # noqa: E731
        run = jax.jit(jax.value_and_grad(total))
        runs[rtol] = np.array([[float(v) for v in run(x)] for x in np.linspace(-0.3, 0.3, 31)])
    error, reach = runs[1e-4] - runs[1e-9], np.ptp(runs[1e-9], 0)
    assert np.all(np.std(error, 0) < 1e-5 * reach), np.std(error, 0) / reach
    assert np.abs(np.diff(error[:, 0], 2)).max() < 1e-4 * reach[0]


def growth(t, y, p, q, r):
    """y' = p y^2 explodes at 1 / (p y0); the logarithm is not a number where p is negative."""
    return [p[0] * y[0] ** 2 + 0.0 * jnp.log(p[0])]


def grown(method, p, max_steps=200):
    """Subjects with y(t) = 1 / (1 - p t), read at 0.5 and 1."""
    lanes = p.shape[0]
    edges = jnp.broadcast_to(jnp.array([0.0, 2.0])[:, None], (2, lanes))
    events = Events(edges, jnp.zeros((1, 1, lanes)), jnp.zeros((1, 1, lanes)), jnp.zeros((1, lanes)), jnp.zeros((2, lanes), int))
    times = jnp.broadcast_to(jnp.array([0.5, 1.0])[:, None], (2, lanes))
    solution = make_batched(method, 1e-8, np.full(1, 1e-10), max_steps)
    return solution(growth, events, jnp.ones((1, lanes)), p[None], jnp.zeros((0, 1, lanes)), times)


@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_a_failed_subject_is_not_a_number_and_the_others_are_untouched(method):
    """Explodes before its last look; not a number from the start; given as not a number: each fails alone, in value and in slope."""
    p = jnp.array([0.5, 3.0, -1.0, jnp.nan, 0.25])
    value = lambda p: jnp.sum(grown(method, p).y[:, 0], 0)  # noqa: E731
    solution, (per_lane, slopes) = jax.jit(
        lambda p: (grown(method, p), (value(p), jax.grad(lambda p: jnp.sum(value(p) * jnp.array([1.0, 1, 1, 1, 2])))(p)))
    )(p)
    assert list(solution.status) == [Status.OK, Status.STEPS_EXHAUSTED, Status.NOT_FINITE, Status.NOT_FINITE, Status.OK]
    assert np.all(np.isnan(per_lane[1:4])) and np.all(np.isnan(slopes[1:4]))
    ok = np.array([0.5, 0.25])
    np.testing.assert_allclose(np.asarray(per_lane)[[0, 4]], 1 / (1 - 0.5 * ok) + 1 / (1 - ok), rtol=1e-7)
    exact = 0.5 / (1 - 0.5 * ok) ** 2 + 1 / (1 - ok) ** 2
    np.testing.assert_allclose(np.asarray(slopes)[[0, 4]], exact * np.array([1.0, 2.0]), rtol=1e-6)


def test_too_few_steps_are_said():
    solution = jax.jit(lambda p: grown("tsit5", p, max_steps=12))(jnp.array([0.9, 1e-9]))
    assert list(solution.status) == [Status.STEPS_EXHAUSTED, Status.OK]


STIFF = {
    "robertson": (
        lambda t, y, p, q, r: [
            -p[0] * y[0] + 1e4 * y[1] * y[2],
            p[0] * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2,
            3e7 * y[1] ** 2,
        ],
        [1.0, 0.0, 0.0],
        0.04,
        [0.4, 40.0, 4e3, 4e5],
        1e-5,
    ),
    # Steps are held in a slope, so a jump in time follows p only as its layer is resolved: 1e-2 at rtol 1e-7, 2e-4 at 1e-9; none is passed before 807.
    "van der pol": (
        lambda t, y, p, q, r: [y[1], p[0] * (1 - y[0] ** 2) * y[1] - y[0]],
        [2.0, 0.0],
        1000.0,
        [200.0, 500.0, 800.0, 1000.0],
        2e-2,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [("robertson", "rodas4"), ("robertson", "rodas5p"), ("van der pol", "rodas5p")])
def test_stiff_systems(name, method):
    """Against Radau at 1e-10: 1e-5 of each state's largest value, and slopes in the parameter; an explicit method would take millions of steps."""
    system, start, at, looks, tolerance = STIFF[name]
    n = len(start)
    events = Events(jnp.array([[0.0], [looks[-1]]]), *[jnp.zeros((1, n, 1))] * 2, jnp.zeros((1, 1)), jnp.zeros((4, 1), int))
    run = make_batched(method, 1e-7, np.full(n, 1e-10), 4096)

    def states(p):
        solution = run(system, events, jnp.asarray(start)[:, None], p[None, None], jnp.zeros((0, 1, 1)), jnp.asarray(looks)[:, None])
        return solution.y[:, :, 0], solution.steps

    got, steps = jax.jit(states)(jnp.asarray(at))
    exact = lambda v: stiff_reference(system, start, v, looks)  # noqa: E731
    size = np.abs(exact(at)).max(0)
    np.testing.assert_allclose(got / size, exact(at) / size, rtol=0, atol=1e-5)
    assert steps[0] < 3200
    slopes, reference = jax.jit(jax.jacfwd(lambda p: states(p)[0]))(jnp.asarray(at)), slope(exact, at, 1e-3)
    largest = np.abs(reference).max(0)
    np.testing.assert_allclose(slopes / largest, reference / largest, rtol=0, atol=tolerance)


def stiff_reference(system, start, p, looks):
    field = lambda t, y: [float(x) for x in system(t, y, [p], [], [])]  # noqa: E731
    return solve_ivp(field, (0.0, looks[-1]), start, method="Radau", rtol=1e-10, atol=1e-13, t_eval=looks).y.T


def test_equations_are_traced_once_for_all_values():
    """Fifty gradients at fifty points: the equations are read while compiling the first, never again."""
    seen = []

    def counted(t, y, p, q, r):
        seen.append(1)
        return rhs(t, y, p, q, r)

    events = Events(GIVEN["edges"], GIVEN["jump"], GIVEN["rate"], jnp.asarray(RESET), jnp.asarray(SEGMENT), jnp.asarray(CLEAR))
    run = make_batched("rodas4", 1e-4, np.full(3, 1e-6), 512)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(run(counted, events, GIVEN["y0"], p, GIVEN["q"], GIVEN["times"]).y)))
    gradient(GIVEN["p"])
    first = len(seen)
    for k in range(50):
        gradient(GIVEN["p"] * (1.0 + 0.01 * k))
    assert first < 40 and len(seen) == first


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(SolveError, match="rodas5p"):
        make_batched("rodas6", 1e-6, np.ones(1), 10)


def test_second_derivatives_are_refused_with_the_way_out():
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        jax.jit(jax.hessian(lambda p: jnp.sum(grown("tsit5", p).y)))(jnp.ones(1))
