"""Courses of a model by SciPy, from its own rates: for tests that hold equations against closed forms and printed numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp


@functools.cache
def _field(model):
    still = [0.0] * len(model.states)
    return jax.jit(lambda t, y, p, q: jnp.stack([jnp.asarray(x, float) for x in model.rhs(t, list(y), list(p), list(q), still)]))


def course(model, times, given=None, covariates=None, **theta):
    """States {name: [times]} from `given` amounts {state: x} added to the initial state at times[0]; parameters typical unless named."""
    p = model.typical | theta
    assert set(p) == set(model.typical), f"not parameters of {model.name}: {set(p) - set(model.typical)}"
    start = np.array([float(x) for x in model.initial(p)])
    for state, amount in (given or {}).items():
        start[model.state_names.index(state)] += amount
    q = [(covariates or {}).get(c.name, c.reference) for c in model.covariates]
    values = np.array([p[n] for n in model.param_names])
    # the largest state sets the scale of the absolute tolerance; no test below asks for more than 1e-8
    found = solve_ivp(
        lambda t, y: np.asarray(_field(model)(t, y, values, np.array(q))),
        (times[0], times[-1]),
        start,
        method="LSODA",
        t_eval=times,
        rtol=1e-10,
        atol=1e-13 * max(np.abs(start).max(), 1e-9),
    )
    assert found.success, found.message
    return dict(zip(model.state_names, found.y, strict=True))


def seen(model, states, covariates=None, **theta):
    """Observables {name: [times]} of a course."""
    p = model.typical | theta
    q = [(covariates or {}).get(c.name, c.reference) for c in model.covariates]
    values = model.observe(0.0, [states[n] for n in model.state_names], [p[n] for n in model.param_names], q)
    return dict(zip(model.observable_names, map(np.asarray, values), strict=True))


def rates(model, states, covariates=None, **theta):
    """dy/dt {name: float} at one point."""
    p = model.typical | theta
    q = [(covariates or {}).get(c.name, c.reference) for c in model.covariates]
    change = model.rhs(0.0, [states[n] for n in model.state_names], [p[n] for n in model.param_names], q, [0.0] * len(model.states))
    return {n: float(x) for n, x in zip(model.state_names, change, strict=True)}
