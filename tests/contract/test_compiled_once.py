"""A fit compiles its programs once: a warm-up of more windows compiles nothing anew."""

from __future__ import annotations

import jax.monitoring

from pkpd import sample
from tests import small

EVENT = "/jax/core/compile/backend_compile_duration"


def compiled(**changes) -> int:
    """How many programs XLA compiles while the small problem is fitted."""
    count = 0

    def listen(event: str, _: float, **__: object) -> None:
        nonlocal count
        count += event == EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        sample(small.problem(), seed=5, progress=False, **changes)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return count


def test_a_longer_warm_up_compiles_nothing_more_and_a_fit_few_programs():
    """19 programs when this was written, of which those that solve: value and gradient, Jacobian, three of the sampler, predictions, curves, check."""
    compiled(chains=2, warmup=50, draws=50)  # small operations that any later fit of this process finds compiled
    short, long = compiled(chains=2, warmup=50, draws=50), compiled(chains=2, warmup=400, draws=50)
    assert 0 < short == long <= 25
