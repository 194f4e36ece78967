"""The one-kernel solver by JAX's interpreter, against SciPy and the batched solver, and its lowering for a GPU, which needs none.

Nothing here has run on a GPU: the interpreter follows the same kernel, and lowering shows that Triton takes it.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from pkpd.errors import SolveError
from pkpd.solve import Events, Status
from pkpd.solve.batched import make_batched
from pkpd.solve.kernel import available, make_kernel
from pkpd.solve.kernel.able import refusal
from tests.benchmarks import problem_c
from tests.reference import test_native as small  # three subjects with every kind of event

STEPS, LOOKS = 200, len(small.SEGMENT)
TRITON = "__gpu$xla.gpu.triton"


def kernel(rtol, n, max_steps=STEPS, block=2, interpret=True):
    return make_kernel("tsit5", rtol, np.full(n, rtol * 1e-2), max_steps, block, interpret)


def batched(rtol, n, max_steps=STEPS):
    return make_batched("tsit5", rtol, np.full(n, rtol * 1e-2), max_steps)


def values(solve, x):
    events = Events(x["edges"], x["jump"], x["rate"], jnp.asarray(small.RESET), jnp.asarray(small.SEGMENT), jnp.asarray(small.CLEAR))
    return solve(small.rhs, events, x["y0"], x["p"], x["q"], x["times"])


MOVES = {k: np.random.default_rng(i).normal(size=v.shape) for i, (k, v) in enumerate(small.GIVEN.items())}


def everything(solve):
    """A plain solution; then the solution and slopes of a weighted sum; then tangents along MOVES."""
    total = lambda x: (lambda s: (jnp.sum(small.WEIGHT * s.y), s))(values(solve, x))  # noqa: E731
    tangents = lambda x: jax.jvp(lambda x: values(solve, x).y, (x,), (MOVES,))[1]  # noqa: E731
    return jax.jit(lambda x: (values(solve, x), jax.grad(total, has_aux=True)(x), tangents(x)))(small.GIVEN)


@pytest.fixture(scope="module")
def found():
    """Three subjects in blocks of two: one lane of the second block is nobody."""
    return everything(kernel(1e-8, 3))


@pytest.fixture(scope="module")
def expected():
    return everything(batched(1e-8, 3))


@pytest.mark.slow
def test_values_with_every_kind_of_event(found, expected):
    """The steps are those of the batched solver, so values agree to rounding; with SciPy to ten times rtol. Looks cost no accepted step."""
    solution, exact = found[0], small.by_scipy(small.GIVEN)
    assert not np.any(solution.status)
    np.testing.assert_allclose(solution.y, exact, rtol=1e-7)
    np.testing.assert_allclose(solution.y, expected[0].y, rtol=1e-10)
    assert np.all(np.abs(solution.steps - expected[0].steps) <= 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", small.KINDS)
def test_slopes_in_every_argument(found, expected, kind):
    got, exact = found[1][0][kind], expected[1][0][kind]
    np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-9 * np.abs(exact).max())


@pytest.mark.slow
def test_forward_mode_says_the_same(found):
    reverse = sum(jnp.sum(found[1][0][k] * MOVES[k]) for k in small.KINDS)
    assert float(jnp.sum(small.WEIGHT * found[2])) == pytest.approx(float(reverse), rel=1e-10)


@pytest.mark.slow
def test_a_simulation_without_a_tape_gives_the_same_values(found):
    plain, (_, taped), _ = found
    np.testing.assert_allclose(plain.y, taped.y, rtol=1e-12)
    np.testing.assert_array_equal(plain.steps, taped.steps)


@pytest.mark.slow
def test_blocks_and_what_is_asked_for_change_nothing(found):
    """Blocks of four; slopes in q and in y0 alone."""
    solve = kernel(1e-8, 3, block=4)
    alone = jax.jit(jax.grad(lambda q, y0: jnp.sum(small.WEIGHT * values(solve, small.GIVEN | {"q": q, "y0": y0}).y), (0, 1)))
    for name, got in zip(("q", "y0"), alone(small.GIVEN["q"], small.GIVEN["y0"]), strict=True):
        np.testing.assert_allclose(got, found[1][0][name], rtol=1e-10, atol=1e-12)


def carm(solve, p):
    """Problem C for its first day: two subjects, infusions, the first six looks."""
    given = problem_c.problem(2)
    looks = given.events._replace(segment=given.events.segment[:6])
    return solve(problem_c.rates, looks, jnp.asarray(given.y0), p, jnp.asarray(given.q), jnp.asarray(given.times[:6]))


@pytest.mark.slow
def test_problem_c():
    p = jnp.asarray(problem_c.problem(2).p)
    both = []
    for make in (kernel, batched):
        solve = make(1e-8, 10)
        total = lambda p, solve=solve: (lambda s: (problem_c.objective(s.y), s))(carm(solve, p))  # noqa: E731
        both.append(jax.jit(jax.grad(total, has_aux=True))(p))
    (slopes, solution), (exact, reference) = both
    assert not np.any(solution.status)
    size = np.abs(reference.y).max((0, 2))[:, None]
    np.testing.assert_allclose(solution.y / size, reference.y / size, rtol=0, atol=1e-9)
    np.testing.assert_allclose(slopes, exact, rtol=1e-7, atol=1e-8 * np.abs(exact).max())


def growth(t, y, p, q, r):
    """y' = p y^2 explodes at 1 / (p y0); the logarithm is not a number where p is negative."""
    return [p[0] * y[0] ** 2 + 0.0 * jnp.log(p[0])]


def grown(p, max_steps=STEPS, block=2):
    """Subjects with y(t) = 1 / (1 - p t), read at 1 and, out of order, at 0.5 before."""
    lanes, none = p.shape[0], jnp.zeros((1, 1, p.shape[0]))
    across = lambda *x: jnp.broadcast_to(jnp.array(x)[:, None], (len(x), lanes))  # noqa: E731
    events = Events(across(0.0, 2.0), none, none, none[0], across(0, 0))
    solve = kernel(1e-8, 1, max_steps, block)
    return solve(growth, events, jnp.ones((1, lanes)), p[None], jnp.zeros((0, 1, lanes)), across(1.0, 0.5))


def test_a_failed_subject_is_not_a_number_and_the_others_are_untouched():
    """Explodes before its last look; not a number from the start; given as not a number: each fails alone, in value, slope and tangent."""
    p = jnp.array([0.5, 3.0, -1.0, jnp.nan, 0.25])
    value = lambda p: jnp.sum(grown(p).y[:, 0], 0)  # noqa: E731
    total = lambda p: jnp.sum(value(p) * jnp.array([1.0, 1, 1, 1, 2]))  # noqa: E731
    tangent = lambda p: jax.jvp(value, (p,), (jnp.ones(5),))[1]  # noqa: E731
    solution, slopes, moved = jax.jit(lambda p: (grown(p), jax.grad(total)(p), tangent(p)))(p)
    assert list(solution.status) == [Status.OK, Status.STEPS_EXHAUSTED, Status.NOT_FINITE, Status.NOT_FINITE, Status.OK]
    assert np.all(np.isnan(solution.y[:, :, 1:4])) and np.all(np.isnan(slopes[1:4])) and np.all(np.isnan(moved[1:4]))
    good, ok = np.array([0, 4]), np.array([0.5, 0.25])
    np.testing.assert_allclose(solution.y[:, 0, good], [1 / (1 - ok), 1 / (1 - 0.5 * ok)], rtol=1e-7)
    exact = 0.5 / (1 - 0.5 * ok) ** 2 + 1 / (1 - ok) ** 2
    np.testing.assert_allclose(slopes[good], exact * np.array([1.0, 2.0]), rtol=1e-6)
    np.testing.assert_allclose(moved[good], exact, rtol=1e-6)


def test_too_few_steps_are_said():
    solution = jax.jit(lambda p: grown(p, max_steps=10))(jnp.array([0.9, 1e-9]))
    assert list(solution.status) == [Status.STEPS_EXHAUSTED, Status.OK]


@pytest.mark.slow
def test_mapped_axes_are_more_blocks():
    """jacrev maps over weights, vmap over parameters: both give what one at a time gives."""
    p = jnp.array([0.5, 0.25, 0.1])
    one = lambda p: grown(p).y[0, 0]  # noqa: E731
    several = jnp.stack([p, 0.5 * p])
    mapped, reverse = jax.jit(lambda: (jax.vmap(one)(several), jax.jacrev(one)(p)))()
    np.testing.assert_allclose(mapped, 1 / (1 - several), rtol=1e-7)
    np.testing.assert_allclose(reverse, np.diag(1 / (1 - p) ** 2), rtol=1e-6)


@pytest.fixture
def gpu():
    """What JAX has to know of a GPU to write code for one; the warning is JAX's own, that Triton kernels are to leave Pallas."""
    card = AbstractMesh((), (), abstract_device=AbstractDevice("NVIDIA H100", None, "cuda"))
    with use_abstract_mesh(card), pytest.warns(DeprecationWarning, match="Pallas Triton"):
        yield


def lowered(function, *args):
    return jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()


def test_each_way_is_one_kernel_in_float64(gpu):
    """One Triton call for the values, one more for the slopes; no tape without slopes; no number in single precision."""
    x = {k: jnp.tile(jnp.asarray(v), 22)[..., :64] for k, v in small.GIVEN.items()}
    reset, clear, segment = (jnp.tile(jnp.asarray(v), 22)[..., :64] for v in (small.RESET, small.CLEAR, small.SEGMENT))
    solve = kernel(1e-8, 3, block=32, interpret=False)

    def total(x):
        events = Events(x["edges"], x["jump"], x["rate"], reset, segment, clear)
        return jnp.sum(solve(small.rhs, events, x["y0"], x["p"], x["q"], x["times"]).y)

    value, slope = lowered(total, x), lowered(jax.grad(total), x)
    assert (value.count(TRITON), slope.count(TRITON)) == (1, 2)
    assert f"tensor<{STEPS + LOOKS}x3x64xf64>" in slope and f"tensor<{STEPS + LOOKS}x" not in value
    # the kernel's own code stands in the lowered text as bytes, in which "f32" may come up by chance: its types are read from the jaxpr
    inside = str(jax.make_jaxpr(jax.grad(total))(x))
    assert "pallas_call" in inside and "Ref<default>{f64[" in inside
    assert not re.search(r"\bf(loat)?32\b", re.sub(r'"[^"]*"', "", value + slope) + inside)


def test_where_it_cannot_run_is_said():
    assert "GPU" in available(small.rhs, (3, 4, 1))


def test_equations_that_do_not_fit_are_said(gpu):
    looped = lambda t, y, p, q, r: [jax.scipy.special.gammaln(y[0])]  # noqa: E731
    assert refusal(problem_c.rates, (10, 12, 0)) is None
    assert "lgamma" in refusal(looped, (1, 0, 0))


@pytest.mark.parametrize(("method", "block", "word"), [("rodas4", 32, "tsit5"), ("tsit5", 24, "power of two")])
def test_what_cannot_be_made_is_refused(method, block, word):
    with pytest.raises(SolveError, match=word):
        make_kernel(method, 1e-6, 1e-8, 100, block)
