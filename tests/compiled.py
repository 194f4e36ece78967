"""How many programs XLA compiles while something runs."""

from __future__ import annotations

from collections.abc import Callable

import jax.monitoring

EVENT = "/jax/core/compile/backend_compile_duration"


def compiled(run: Callable[[], object]) -> int:
    """Programs compiled while `run()` runs."""
    count = 0

    def listen(event: str, _: float, **__: object) -> None:
        nonlocal count
        count += event == EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        run()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return count
