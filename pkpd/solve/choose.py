"""Which solver for which system: exact where it is linear and small, else by how stiff it is; machine code where a compiler is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pkpd.errors import SolveError, choices
from pkpd.events.schedule import Schedule
from pkpd.solve import cascade, closed_form, general, kernel, native
from pkpd.solve.batched import make_batched
from pkpd.solve.blocks import in_blocks, lanes_for
from pkpd.solve.contract import Periodic, Rhs, Solve
from pkpd.solve.exponential import make_exponential, make_exponential_periodic
from pkpd.solve.linear import matrix
from pkpd.solve.mesh import build_mesh, segment_mesh
from pkpd.solve.shared import over_subjects
from pkpd.solve.stiffness import Stiffness
from pkpd.solve.structure import Structure, analyse

NATIVE = {"native_tsit5": "tsit5", "native_rodas4": "rodas4", "native_closed_form": "closed_form"}
BATCHED = {"rosenbrock": "rodas5p", "tsit5_batched": "tsit5"}
EXACT = ("closed_form", "native_closed_form", "matrix_exponential")
DIFFRAX = ("kvaerno5", "tsit5")
KERNEL = {"kernel_tsit5": "tsit5"}
METHODS = ("auto", *EXACT, "cascade", *BATCHED, "native_tsit5", "native_rodas4", *KERNEL, *DIFFRAX)
WHEN = ("background", "wait", "off")
STEPS, FEW_STEPS = 4096, 1024  # a batched solve's tape is made in full; an implicit method at usual tolerances needs a few hundred rows
COMPILES = 4  # states up to which the closed form is quick to compile in XLA
CASCADES = 16  # and the cascade: 26 states take minutes


@dataclass(frozen=True)
class Solver:
    """How to integrate: method ("auto" picks by structure and stiffness), tolerances (atol relative to each state's scale), and step limit.

    `native` says when "auto" may use machine code: "background" (once compiled, which is begun now and goes on meanwhile), "wait" (compile first, what a
    fit does), "off"; the environment variable PKPD_NATIVE overrides it. `threads` of XLA's pool (0: all) share the subjects of machine code.
    The first `devices` of JAX share the subjects of every solve: for a cohort that one accelerator takes long for, or has no memory for.
    The cascade's intervals are at most `mesh_first + mesh_growth` x time since the last event; `mesh_rtol` bounds its error estimate relative to the
    largest value (pessimistic: on the flagship, subjects that pass 1e-2 carry errors below 2e-4 of the peak for rates up to 100 times the typical ones).
    `mesh_first=None` takes 0.4 / (fastest rate that drives another state, at typical values), between 0.02 and 1 h.

    >>> Solver(rtol=1e-8).method
    'auto'
    """

    method: str = "auto"
    rtol: float = 1e-6
    atol: float = 1e-8
    max_steps: int = STEPS
    mesh_first: float | None = None
    mesh_growth: float = 0.35
    mesh_rtol: float = 1e-2
    threads: int = 1
    native: str = "background"
    devices: int = 1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SolveError(f"There is no solver '{self.method}'. {choices(self.method, METHODS)}")
        if not 0 < self.rtol < 1 or not self.atol > 0:
            raise SolveError(f"Tolerances must be positive and rtol below 1; got rtol={self.rtol}, atol={self.atol}.")
        if isinstance(self.devices, bool) or not isinstance(self.devices, int) or self.devices < 1:
            raise SolveError(
                f"Solver(devices={self.devices!r}): a whole number of at least 1 is needed; the first so many share the subjects."
            )
        if self.when not in WHEN:
            given = f"PKPD_NATIVE={self.when}" if "PKPD_NATIVE" in os.environ else f"Solver(native='{self.native}')"
            raise SolveError(f"{given}: machine code is used in the 'background', after a 'wait', or it is 'off'.")

    @property
    def when(self) -> str:
        """`native`, or what the environment says instead."""
        return os.environ.get("PKPD_NATIVE", self.native)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The solver picked for a system and a schedule: its name, why, the function, the one for doses at steady state, and what the equations are."""

    name: str
    reason: str
    solve: Solve
    periodic: Periodic
    structure: Structure


@dataclass(frozen=True, eq=False)
class System:
    """What a choice is made for: sizes (n states, k parameters, j covariates), typical (y scale[n], p[k], q[j]), and how stiff it is when asked."""

    rhs: Rhs
    schedule: Schedule
    sizes: tuple[int, int, int]
    typical: Any
    structure: Structure
    stiffness: Callable[[], Stiffness]

    @property
    def scale(self) -> np.ndarray:
        return np.maximum(np.asarray(self.typical[0], float), 1e-12)


def choose(
    solver: Solver,
    rhs: Rhs,
    schedule: Schedule,
    sizes: tuple[int, int, int],
    typical: Any,
    stiffness: Callable[[], Stiffness] | None = None,
) -> Chosen:
    """Pick and build a solver for `rhs` at `typical` values; `stiffness()` measures it there (None: taken as stiff)."""
    unknown = lambda: Stiffness(np.inf, np.inf)  # noqa: E731
    system = System(rhs, schedule, sizes, typical, analyse(rhs, *sizes), stiffness or unknown)
    name, reason = _pick(solver, system)
    if name in NATIVE:
        return _native(name, reason, solver, system)
    if name in EXACT:
        return _exact(name, reason, solver, system)
    if name == "cascade":
        return _cascade(reason, solver, system)
    return _stepping(name, reason, solver, system)


def _pick(solver: Solver, system: System) -> tuple[str, str]:
    """(name, why)"""
    if solver.method != "auto":
        _refuse(solver.method, system)
        return solver.method, "asked for"
    s = system.structure
    if closed_form.applies(s):
        fallback = "closed_form" if s.n <= COMPILES or not s.cascade else "cascade"
        return _machine("native_closed_form", fallback, f"linear in {s.n} state{'s' * (s.n > 1)}", solver, system)
    measured = system.stiffness()
    fallback = "cascade" if s.cascade and s.n <= CASCADES else "rosenbrock" if measured.stiff else "tsit5_batched"
    return _machine("native_rodas4" if measured.stiff else "native_tsit5", fallback, measured.sentence, solver, system)


def _machine(name: str, fallback: str, why: str, solver: Solver, system: System) -> tuple[str, str]:
    """Machine code where it may be and can be had now, else the fallback; and the reason, with what stood in the way."""
    instead = "each state follows those before it and decays at a constant own rate" if fallback == "cascade" else why
    if solver.when == "off":
        return fallback, instead
    refusal = native.available(system.rhs, system.sizes, NATIVE[name])
    if refusal:
        return fallback, f"{instead}; no native code: {refusal}"
    compiled = native.prepare if solver.when == "wait" else native.begin
    try:
        if compiled(system.rhs, system.sizes, NATIVE[name]):
            return name, why
    except SolveError as error:
        return fallback, f"{instead}; {str(error).rstrip('.').replace('No native', 'no native', 1)}"
    return fallback, f"{instead}; machine code is being compiled for the next time"


def _refuse(method: str, system: System) -> None:
    """Asked for by name, and not possible."""
    s = system.structure
    if method in ("closed_form", "native_closed_form") and not closed_form.applies(s):
        raise SolveError(
            f"{method} needs equations linear in at most {closed_form.MOST} states, which exchange (if they do) along a tree; this model is not. "
            "Use method='auto'."
        )
    if method == "matrix_exponential" and not s.linear:
        raise SolveError(
            "matrix_exponential needs equations that are linear in the states and free of time; this model is not. Use method='auto'."
        )
    if method == "cascade" and not s.cascade:
        raise SolveError(
            "cascade needs states that follow one another with constant own rates; this model has a loop or a varying own rate. Use method='auto'."
        )
    if method in NATIVE or method in KERNEL:
        refusal = (
            native.available(system.rhs, system.sizes, NATIVE[method]) if method in NATIVE else kernel.available(system.rhs, system.sizes)
        )
        if refusal:
            raise SolveError(f"Solver(method='{method}') cannot be used: {refusal}. Use method='auto'.")


def _native(name: str, reason: str, solver: Solver, system: System) -> Chosen:
    """Machine code, compiled by now."""
    native.prepare(system.rhs, system.sizes, NATIVE[name])
    solve = _shared(native.make_native(NATIVE[name], solver.rtol, solver.atol * system.scale, solver.max_steps, solver.threads), solver)
    if name in EXACT:
        return Chosen(name, f"{reason}; machine code", solve, closed_form.make_periodic(system.structure), system.structure)
    again = general.make_periodic(solve, system.sizes[0], system.scale, solver.rtol)
    return Chosen(name, f"{reason}; machine code, rtol {solver.rtol:g}", solve, again, system.structure)


def _exact(name: str, reason: str, solver: Solver, system: System) -> Chosen:
    s = system.structure
    if name == "matrix_exponential":
        solve, again = make_exponential(s), make_exponential_periodic(s)
        size = lanes_for(8.0 * 40 * (s.n + 1) ** 2 * sum(_rows(system)))
    else:
        solve, again = closed_form.make_closed_form(s), closed_form.make_periodic(s)
        size = lanes_for(8.0 * 60 * (s.n + 1) * sum(_rows(system)))
    return Chosen(name, reason, _shared(in_blocks(solve, size), solver), again, s)


def _cascade(reason: str, solver: Solver, system: System) -> Chosen:
    s, schedule = system.structure, system.schedule
    first = solver.mesh_first or _first_length(system)
    moving = schedule.static is not None
    lay = segment_mesh(np.diff(schedule.edges, axis=0), first, solver.mesh_growth) if moving else None
    mesh = lay or build_mesh(schedule, first, solver.mesh_growth)
    solve = over_subjects(lambda *tables: cascade.make_cascade(s, mesh.of(*tables), solver.mesh_rtol), mesh.tables, solver.devices)
    longest = 24.0 if schedule.steady is None else float(np.max(schedule.steady.period))
    again = cascade.make_periodic(s, first, solver.mesh_growth, solver.mesh_rtol, longest)
    reason = f"{reason}; {mesh.intervals} intervals, the first {first:.2g} h"
    return Chosen("cascade", reason, solve, again, s)


def _stepping(name: str, reason: str, solver: Solver, system: System) -> Chosen:
    """The adaptive methods of XLA: our own loop, the same as one kernel on a GPU, or diffrax."""
    n, looks = system.sizes[0], _rows(system)[1]
    if name in BATCHED:
        few = name == "rosenbrock" and solver.max_steps == STEPS and solver.rtol >= 1e-7
        steps = FEW_STEPS if few else solver.max_steps
        solve = make_batched(BATCHED[name], solver.rtol, solver.atol * system.scale, steps)
        size = lanes_for(8.0 * (steps * (n + 5) + 30 * looks * n))
    elif name in KERNEL:
        solve = kernel.make_kernel(KERNEL[name], solver.rtol, solver.atol * system.scale, solver.max_steps)
        size = 1 << 20
    else:
        solve = general.make_diffrax(name, solver.rtol, solver.atol * system.scale, solver.max_steps)
        size = lanes_for(8.0 * 20 * n * (solver.max_steps**0.5 + looks))
    solve = _shared(in_blocks(solve, size), solver)
    return Chosen(
        name, f"{reason}; rtol {solver.rtol:g}", solve, general.make_periodic(solve, n, system.scale, solver.rtol), system.structure
    )


def _shared(solve: Solve, solver: Solver) -> Solve:
    return over_subjects(lambda: solve, (), solver.devices)


def _rows(system: System) -> tuple[int, int]:
    """(segments, looks) of a subject."""
    return system.schedule.edges.shape[0] - 1, system.schedule.times.shape[0]


def _jacobian(system: System) -> np.ndarray:
    _, p, q = (np.asarray(x, float) for x in system.typical)
    columns, _ = matrix(system.rhs, system.sizes[0], [np.atleast_1d(x) for x in p], [np.atleast_1d(x) for x in q])
    return np.array([[float(np.asarray(c)[0]) for c in row] for row in columns])


def _first_length(system: System) -> float:
    """0.4 over the fastest own rate among states that drive others: their shape is what the mesh must follow."""
    s = system.structure
    drivers = set().union(*s.reads) or set(range(s.n))
    own = np.abs(np.diag(_jacobian(system)))
    fastest = max(own[i] for i in drivers)
    return float(np.clip(0.4 / max(fastest, 1e-9), 0.02, 1.0))


def waiting(solver: Solver) -> Solver:
    """The same, which compiles machine code first where it would otherwise go on in the background: what runs for minutes waits for it."""
    return replace(solver, native="wait") if solver.native == "background" else solver
