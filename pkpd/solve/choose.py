"""Which solver for which system: exact where it is linear and small, the cascade where states form a chain, diffrax for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import SolveError, choices
from pkpd.events.schedule import Schedule
from pkpd.solve import cascade, closed_form, general, native
from pkpd.solve.batched import make_batched
from pkpd.solve.contract import Periodic, Rhs, Solve
from pkpd.solve.mesh import build_mesh, segment_mesh
from pkpd.solve.structure import Structure, analyse

NATIVE = {"native_tsit5": "tsit5", "native_rodas4": "rodas4"}
BATCHED = {"rosenbrock": "rodas5p", "tsit5_batched": "tsit5"}
STEPS, FEW_STEPS = (
    4096,
    1024,
)  # the tape of a batched solve is made in full: an implicit method at usual tolerances needs a few hundred rows
METHODS = ("auto", "closed_form", "cascade", *BATCHED, *NATIVE, "kvaerno5", "tsit5")


@dataclass(frozen=True)
class Solver:
    """How to integrate: method ("auto" picks by structure), tolerances (atol relative to each state's scale), step limit, and the cascade's mesh.

    The cascade's intervals are at most `mesh_first + mesh_growth` x time since the last event; `mesh_rtol` bounds its error estimate relative to the
    largest value (pessimistic: on the flagship, subjects that pass 1e-2 carry errors below 2e-4 of the peak for rates up to 100 times the typical ones).
    `mesh_first=None` takes 0.4 / (fastest rate that drives another state, at typical values), between 0.02 and 1 h. "native_tsit5" and "native_rodas4"
    (L-stable) compile the equations to machine code with the C++ compiler at hand, on the CPU; `threads` of XLA's pool (0: all) share the subjects.

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

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SolveError(f"There is no solver '{self.method}'. {choices(self.method, METHODS)}")
        if not 0 < self.rtol < 1 or not self.atol > 0:
            raise SolveError(f"Tolerances must be positive and rtol below 1; got rtol={self.rtol}, atol={self.atol}.")


@dataclass(frozen=True, eq=False)
class Chosen:
    """The solver picked for a system and a schedule: its name, why, the function, the one for doses at steady state, and what the equations are."""

    name: str
    reason: str
    solve: Solve
    periodic: Periodic
    structure: Structure


def choose(solver: Solver, rhs: Rhs, schedule: Schedule, sizes: tuple[int, int, int], typical: Any) -> Chosen:
    """Pick and build a solver for `rhs` with sizes (n states, k parameters, j covariates) at `typical` = (y scale[n], p[k], q[j])."""
    structure = analyse(rhs, *sizes)
    name, reason = _pick(solver, structure, rhs, typical)
    n, scale = sizes[0], np.maximum(np.asarray(typical[0], float), 1e-12)
    if name == "closed_form":
        return Chosen(name, reason, closed_form.make_closed_form(structure), closed_form.make_periodic(structure), structure)
    if name == "cascade":
        first = solver.mesh_first or _first_length(structure, rhs, typical)
        moving = schedule.static is not None
        lay = segment_mesh(np.diff(schedule.edges, axis=0), first, solver.mesh_growth) if moving else None
        mesh = lay or build_mesh(schedule, first, solver.mesh_growth)
        longest = 24.0 if schedule.steady is None else float(np.max(schedule.steady.period))
        again = cascade.make_periodic(structure, first, solver.mesh_growth, solver.mesh_rtol, longest)
        reason = f"{reason}; {mesh.intervals} intervals, the first {first:.2g} h"
        return Chosen(name, reason, cascade.make_cascade(structure, mesh, solver.mesh_rtol), again, structure)
    if name in NATIVE:
        return _native(name, reason, solver, structure, rhs, sizes, scale)
    if name in BATCHED:
        few = name == "rosenbrock" and solver.max_steps == STEPS and solver.rtol >= 1e-7
        solve = make_batched(BATCHED[name], solver.rtol, solver.atol * scale, FEW_STEPS if few else solver.max_steps)
        return Chosen(name, f"{reason}; rtol {solver.rtol:g}", solve, general.make_periodic(solve, n, scale, solver.rtol), structure)
    solve = general.make_diffrax(name, solver.rtol, solver.atol * scale, solver.max_steps)
    return Chosen(name, f"{reason}; rtol {solver.rtol:g}", solve, general.make_periodic(solve, n, scale, solver.rtol), structure)


def _native(
    name: str, reason: str, solver: Solver, structure: Structure, rhs: Rhs, sizes: tuple[int, int, int], scale: np.ndarray
) -> Chosen:
    """Machine code, compiled now; raises `SolveError` with the reason where it cannot be."""
    refusal = native.available(rhs, sizes, NATIVE[name])
    if refusal:
        raise SolveError(f"Solver(method='{name}') cannot be used: {refusal}. Use method='auto'.")
    native.prepare(rhs, sizes, NATIVE[name])
    solve = native.make_native(NATIVE[name], solver.rtol, solver.atol * scale, solver.max_steps, solver.threads)
    again = general.make_periodic(solve, sizes[0], scale, solver.rtol)
    return Chosen(name, f"{reason}; machine code, rtol {solver.rtol:g}", solve, again, structure)


def _pick(solver: Solver, s: Structure, rhs: Rhs, typical: Any) -> tuple[str, str]:
    exact = closed_form.applies(s) and _real_eigenvalues(s, rhs, typical)
    if solver.method == "closed_form" and not exact:
        raise SolveError(
            "closed_form needs equations linear in at most three states, with real eigenvalues; this model is not. Use method='auto'."
        )
    if solver.method == "cascade" and not s.cascade:
        raise SolveError(
            "cascade needs states that follow one another with constant own rates; this model has a loop or a varying own rate. Use method='auto'."
        )
    if solver.method != "auto":
        return solver.method, "asked for"
    if exact:
        return "closed_form", "linear in at most three states"
    if s.cascade:
        return "cascade", "each state follows those before it and decays at a constant own rate"
    return "rosenbrock", "states form a loop or have varying own rates"


def _jacobian(rhs: Rhs, n: int, typical: Any) -> np.ndarray:
    scale, p, q = (np.asarray(x, float) for x in typical)
    columns, _ = closed_form.matrix(rhs, n, [np.atleast_1d(x) for x in p], [np.atleast_1d(x) for x in q])
    del scale
    return np.array([[float(np.asarray(c)[0]) for c in row] for row in columns])


def _real_eigenvalues(s: Structure, rhs: Rhs, typical: Any) -> bool:
    return bool(np.all(np.abs(np.linalg.eigvals(_jacobian(rhs, s.n, typical)).imag) < 1e-12))


def _first_length(s: Structure, rhs: Rhs, typical: Any) -> float:
    """0.4 over the fastest own rate among states that drive others: their shape is what the mesh must follow."""
    drivers = set().union(*s.reads) or set(range(s.n))
    own = np.abs(np.diag(_jacobian(rhs, s.n, typical)))
    fastest = max(own[i] for i in drivers)
    return float(np.clip(0.4 / max(fastest, 1e-9), 0.02, 1.0))
