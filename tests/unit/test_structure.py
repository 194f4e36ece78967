"""What the equations allow, read off their trace: linear, a chain with constant own rates, or neither; in doubt, neither."""

import jax
import jax.numpy as jnp
import pytest

from pkpd.models import carm, classic
from pkpd.solve.structure import analyse


def kinds(rate_x, rate_y=lambda t, x, y: -y):
    """(linear, cascade) of the system x' = rate_x, y' = rate_y."""
    s = analyse(lambda t, y, p, q, r: [rate_x(t, *y) + r[0], rate_y(t, *y) + r[1]], 2, 0, 0)
    return s.linear, s.cascade


@pytest.mark.parametrize(
    ("what", "rate", "expected"),
    [
        ("decay", lambda t, x, y: -2 * x, (True, True)),
        ("constant input", lambda t, x, y: 3.0 - x, (True, True)),
        ("driven linearly", lambda t, x, y: y - x, (True, True)),
        ("driven by a curve", lambda t, x, y: y / (1 + y) - x, (False, True)),
        ("driven by a square", lambda t, x, y: y**2 - x, (False, True)),
        ("driven by two in a product with itself", lambda t, x, y: y * y - x, (False, True)),
        ("driven in time", lambda t, x, y: jnp.sin(t) - x, (False, True)),
        ("own rate in time", lambda t, x, y: -x * jnp.sin(t), (False, False)),
        ("own rate switched in time", lambda t, x, y: jnp.where(t > 1, -x, -2 * x), (False, False)),
        ("own rate driven", lambda t, x, y: -x * y, (False, False)),
        ("own rate over a state", lambda t, x, y: -x / (1 + y), (False, False)),
        ("own exponential", lambda t, x, y: -jnp.exp(x), (False, False)),
        ("saturable", lambda t, x, y: -x / (1 + x), (False, False)),
        ("logistic", lambda t, x, y: x * (1 - x), (False, False)),
        ("own absolute value", lambda t, x, y: -jnp.abs(x), (False, False)),
        ("own maximum", lambda t, x, y: -jnp.maximum(x, 0), (False, False)),
        ("switched on itself", lambda t, x, y: jnp.where(x > 1, -x, -2 * x), (False, False)),
        ("switched by its driver", lambda t, x, y: jnp.where(y > 1, -x, -2 * x), (False, False)),
        ("rounded", lambda t, x, y: -x.astype(int) * 1.0 if hasattr(x, "astype") else -x, (False, False)),
        ("hidden in a function of two", lambda t, x, y: -jnp.hypot(x, y), (False, False)),
        ("behind a gradient stop, where differentiation would not find it", lambda t, x, y: -jax.lax.stop_gradient(x), (False, False)),
        ("a power of one", lambda t, x, y: -(x**1), (True, True)),
        ("in a compiled function", lambda t, x, y: jax.jit(lambda z: -z * z)(x), (False, False)),
    ],
)
def test_kinds(what, rate, expected):
    assert kinds(rate) == expected, what


def test_a_loop_is_linear_but_no_cascade():
    assert kinds(lambda t, x, y: y - x, lambda t, x, y: x - y) == (True, False)


def test_a_switch_on_a_covariate_keeps_a_linear_system_linear():
    s = analyse(lambda t, y, p, q, r: [jnp.where(q[0] >= 3, -p[0], -p[1]) * y[0] + r[0]], 1, 2, 1)
    assert s.linear and s.cascade


def structure(model):
    return analyse(model.rhs, len(model.states), len(model.params), len(model.covariates))


def test_shipped_models():
    """Inhibited or stimulated loss makes the own rate vary; neutrophils feed back; the rest is a chain, two or three compartments a loop;
    saturation, binding and tumours that grow make rates vary."""
    found = {m.name: (structure(m).linear, structure(m).cascade) for m in (getattr(classic, n) for n in classic.__all__ if "_I" not in n)}
    assert found == {
        "one_compartment_iv": (True, True),
        "one_compartment_oral_lag": (True, True),
        "one_compartment_oral": (True, True),
        "friberg_karlsson": (False, False),
        "two_compartment_iv": (True, False),
        "two_compartment_oral": (True, False),
        "one_compartment_transit": (True, True),
        "three_compartment_iv": (True, False),
        "three_compartment_oral": (True, False),
        "effect_compartment": (True, True),
        "tumour_wang": (True, True),
        **dict.fromkeys(
            ("michaelis_menten_iv", "michaelis_menten_oral", "tmdd_full", "tmdd_qss", "tumour_claret", "tumour_simeoni"), (False, False)
        ),
    }
    assert [structure(getattr(classic, f"indirect_response_{k}")).cascade for k in ("I", "II", "III", "IV")] == [True, False, True, False]
    assert structure(carm.carm_blood_il6).cascade and not structure(carm.carm_blood_il6).linear
    assert not structure(carm.carm_recirculating).cascade
    assert structure(carm.endotoxin_cytokines).cascade and structure(carm.endotoxin_cytokines).linear


def test_states_are_ordered_after_what_drives_them():
    s = structure(carm.carm_blood_il6)
    for i in s.order:
        assert s.reads[i] <= set(s.order[: s.order.index(i)])
