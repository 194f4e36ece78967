"""Effective draws a CPU second by ODE on both sides, beside Stan's `ode_rk45`: two compartments, seven oral doses (TWO), as in `sampling`.

Stan's two chains take most of an hour, so this family runs only by name: `python -m tests.benchmarks.run sampling_ode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pkpd import Solver
from tests.benchmarks import stan_build, two_compartment
from tests.benchmarks.sampling import compared, medians, ours, stans
from tests.benchmarks.stan import METHODS, TOLERANCE
from tests.benchmarks.stan_build import Unavailable
from tests.benchmarks.table import Row, skipped

CHAINS = 2  # of Stan; every chain has its own warm-up, so effective draws a second do not depend on their number


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Ours at the tolerance of Stan's, by machine code where there is a compiler."""
    try:
        program = stan_build.program("two_compartment", "sample")
    except Unavailable as reason:
        yield skipped("Stan", f"{reason}.")
        return
    scale = float(two_compartment.problem().predictor.scales().max())  # `atol` is relative to it, Stan's is not
    problem = two_compartment.by(Solver(method="native_tsit5", rtol=TOLERANCE, atol=TOLERANCE / scale))
    mine = {kernel: ours(problem, kernel) for kernel in ("nuts", "hmc")}
    for kernel, found in mine.items():
        say(f"two compartments, ours by {kernel}: {found.note}; {found.rate:.2g} effective draws a second")
    data = two_compartment.for_stan() | {"method": METHODS["ode_rk45"], "tolerance": TOLERANCE}
    theirs = stans(program, data, medians(problem, two_compartment.WEIGHTS), list(mine["nuts"].means), 0.8, CHAINS)
    for kernel, found in mine.items():
        work = f"two compartments as an ODE, 1000 + 1000 a chain, ours by {kernel} and native_tsit5"
        yield compared(work, f"Stan, ode_rk45, {CHAINS} chains", found, theirs, 20.0)
