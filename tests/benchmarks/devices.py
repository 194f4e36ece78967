"""One device or two: virtual CAR-M patients over 28 days, by `what_if` of the flagship's prior and streamed. `python -m tests.benchmarks.devices`;
with `million` a million of them, streamed once.

No family of `make bench`: JAX must be told of two devices before it starts. Every call compiles its program, so two sizes are timed (after one that is not):
patients a second are those of the difference. The study behind the prior is simulated.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import jax

DEVICES, SHORT, LONG, EACH = (1, 2), 40, 400, 100  # draws, and subjects of each
STREAMED = (20_000, 200_000)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def rates(name: str, run: Callable[[int, int], object], sizes: tuple[int, int], each: int) -> None:
    for n in DEVICES:
        run(sizes[0], n)  # builds machine code, loads what is loaded once
        (wall0, cpu0), (wall, cpu) = (timed(lambda size=size, n=n: run(size, n)) for size in sizes)
        more = (sizes[1] - sizes[0]) * each
        print(
            f"| {name} | {n} | {sizes[1] * each:,} | {wall:.1f} | {cpu:.1f} | {more / (wall - wall0):,.0f} | {more / (cpu - cpu0):,.0f} | "
            f"{os.getloadavg()[0]:.1f} |",
            flush=True,
        )


def streamed(method: str) -> Callable[..., object]:
    from pkpd import Solver, stream_bands
    from tests.benchmarks import stream

    solver = Solver(method=method, rtol=stream.RTOL, atol=stream.RTOL)
    return lambda n, devices: stream_bands(
        stream.model(), stream.WEEK, stream.draw, times=stream.TIMES, n_subjects=n, key=jax.random.key(2), names=stream.STATES,
        solver=solver, chunk=2000, devices=devices, progress=False,
    )  # fmt: skip


def million() -> None:
    """All devices, compilation and counting in."""
    wall, cpu = timed(lambda: streamed("native_rodas4")(1_000_000, None))
    print(
        f"1,000,000 patients, native_rodas4, {len(jax.devices())} devices: {wall:.1f} s wall, {cpu:.1f} s CPU, load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    import numpy as np

    from fits.carm_blood_il6 import arms, problem
    from pkpd import what_if

    source, fractions = problem(quick=True), {"D1/3/5": arms()["D1/3/5"]}
    looks = np.arange(0.0, 28 * 24 + 1, 24.0)

    def predicted(method: str) -> Callable[[int, int], object]:
        from dataclasses import replace

        own = replace(source, solver=replace(source.solver, method=method))
        return lambda draws, n: what_if(own, fractions, times=looks, n_subjects=EACH, draws=draws, key=jax.random.key(1), devices=n)

    print("| what | devices | patients | wall s | CPU s | patients a wall s | patients a CPU s | load |\n|---|---|---|---|---|---|---|---|")
    for method in ("cascade", "native_rodas4"):
        rates(f"what_if, {method}", predicted(method), (SHORT, LONG), EACH)
    for method in ("native_rodas4", "native_tsit5"):
        rates(f"stream_bands, {method}", streamed(method), STREAMED, 1)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", max(DEVICES))
    million() if sys.argv[1:] == ["million"] else main()
