"""Stiff systems through every implicit backend: values against SciPy's LSODA at 1e-11, gradients against its central differences, and a clear refusal."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pkpd.solve import Status
from pkpd.solve.batched import make_batched
from pkpd.solve.general import make_diffrax
from pkpd.solve.native import build, make_native
from tests.benchmarks.stiff_problems import NAMES, problem
from tests.oracle import slope

pytestmark = pytest.mark.slow  # what it holds, faster tests hold on smaller systems

LANES, RTOL, STEPS = 2, 1e-6, 8192
compiled = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")
BACKENDS = {"rodas5p": make_batched, "kvaerno5": make_diffrax, "rodas4": functools.partial(make_native, threads=1)}

SLOW = {("rodas4", "robertson"), ("rodas4", "van_der_pol"), ("kvaerno5", "van_der_pol"), ("kvaerno5", "pbpk")}  # seconds of compiling each


def cases():
    for backend in BACKENDS:
        for name in NAMES:
            marks = [pytest.mark.slow] * ((backend, name) in SLOW) + [compiled] * (backend == "rodas4")
            yield pytest.param(backend, name, marks=marks)


@pytest.fixture(autouse=True)
def cache(monkeypatch, root):
    """Libraries are kept in the checkout, as XLA's compiled code is."""
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))


def by_scipy(given, p, method="LSODA", rtol=1e-11):
    """Values [M, n, B], subject by subject, segment by segment."""
    out = np.full((len(given.times), *given.y0.shape), np.nan)
    for b in range(given.y0.shape[1]):
        y, still, own = given.y0[:, b], [0.0] * len(given.scale), [float(x) for x in p[:, b]]
        for e in range(len(given.events.jump)):
            y, (start, end), seen = y + given.events.jump[e, :, b], given.events.edges[e : e + 2, b], given.events.segment[:, b] == e
            stops = np.unique(np.append(given.times[seen, b], end))
            field = lambda t, x, own=own, still=still: given.rates(t, list(x), own, [], still)  # noqa: E731
            found = solve_ivp(field, (start, end), y, method, rtol=rtol, atol=rtol * 1e-2 * given.scale, t_eval=stops)
            assert found.success, found.message
            out[seen, :, b], y = found.y[:, np.searchsorted(stops, given.times[seen, b])].T, found.y[:, -1]
    return out


@functools.cache
def exact(name):
    given = problem(name, LANES)
    return by_scipy(given, given.p)


def solve(given, backend, rtol, steps, p):
    made = BACKENDS[backend](backend, rtol, rtol * 1e-2 * given.scale, steps)
    return made(given.rates, given.events, given.y0, p, given.q, given.times)


@pytest.mark.parametrize(("backend", "name"), list(cases()))
def test_values(backend, name):
    """A hundred times the tolerance, of the largest value of each state."""
    given, true = problem(name, LANES), exact(name)
    found = jax.jit(lambda p: solve(given, backend, RTOL, STEPS, p))(given.p)
    assert not np.any(found.status)
    size = np.abs(true).max((0, 2))[:, None]
    np.testing.assert_allclose(found.y / size, true / size, rtol=0, atol=100 * RTOL)


def test_two_references_agree():
    """LSODA and Radau share no formulas."""
    given = problem("tmdd", LANES)
    size = np.abs(exact("tmdd")).max((0, 2))[:, None]
    np.testing.assert_allclose(by_scipy(given, given.p, "Radau", 1e-10) / size, exact("tmdd") / size, rtol=0, atol=1e-9)


def directed(name):
    """(a total of all states at all looks as a function of y, a direction of the logarithms of the parameters)."""
    given, rng = problem(name, LANES), np.random.default_rng(11)
    weight = rng.normal(size=exact(name).shape) / np.abs(exact(name)).max((0, 2))[:, None]
    return given, lambda y: (weight * y).sum(), rng.normal(size=given.p.shape)


@functools.cache
def exact_slope(name):
    given, total, direction = directed(name)
    return float(slope(lambda s: total(by_scipy(given, given.p * np.exp((s - 1.0) * direction))), 1.0))


@pytest.mark.parametrize("name", ("tmdd", "friberg"))
@pytest.mark.parametrize("backend", ("rodas5p", pytest.param("rodas4", marks=compiled)))
def test_gradients_by_central_differences(backend, name):
    """At rtol 1e-8; the differences themselves are good to about 1e-8."""
    given, total, direction = directed(name)
    gradient = jax.jit(jax.grad(lambda p: total(solve(given, backend, 1e-8, STEPS, p).y)))(given.p)
    assert float(jnp.sum(gradient * given.p * direction)) == pytest.approx(exact_slope(name), rel=1e-6)


def test_an_explicit_method_refuses_what_is_too_stiff_for_its_steps():
    """Robertson's fastest rate is 1e4 and more: no explicit method gets to 4e5 in so many steps, and it says so for every subject."""
    given = problem("robertson", LANES)
    made = make_batched("tsit5", RTOL, RTOL * 1e-2 * given.scale, 1000)
    found, gradient = jax.jit(
        lambda p: (
            made(given.rates, given.events, given.y0, p, given.q, given.times),
            jax.grad(lambda p: jnp.sum(made(given.rates, given.events, given.y0, p, given.q, given.times).y))(p),
        )
    )(given.p)
    assert np.all(np.asarray(found.status) == Status.STEPS_EXHAUSTED)
    assert np.all(np.isnan(found.y)) and np.all(np.isnan(gradient))
