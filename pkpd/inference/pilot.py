"""The pilot: the first half of the warm-up finds where the posterior lies, from which the rest takes its coordinates."""

from __future__ import annotations

from dataclasses import replace

from pkpd.inference.checkpoint import Checkpoint
from pkpd.inference.geometry import Geometry, Report
from pkpd.inference.nuts import CHUNK
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.inference.sample import Kernel, no_draws_yet, run_nuts
from pkpd.inference.settled import settled

LEAST = 200
"""Warm-up below which there is no pilot: it would be too short to tell anything."""


def parts(problem: FitProblem, settings: Sampler) -> tuple[Sampler | None, Sampler]:
    """The pilot's settings, where there is one, and those of the run that counts; together they take the warm-up that was asked for.

    A pilot is run where a centring weight is left to be chosen. Three fifths of it adapt, two fifths are looked at.
    """
    parameters = problem.population.parameters
    free = [n for n in problem.population.varying if parameters[n].centred is None and parameters[n].shape is None]
    if settings.warmup < LEAST or not free:
        return None, settings
    chunks = settings.warmup // (2 * CHUNK)
    looked = max(1, round(0.4 * chunks))
    pilot = replace(settings, warmup=(chunks - looked) * CHUNK, draws=looked * CHUNK)
    return pilot, replace(settings, warmup=settings.warmup - chunks * CHUNK)


def run_pilot(
    kernel: Kernel, geometry: Geometry, pilot: Sampler, seed: int, progress: bool, kept: Checkpoint | None, report: Report
) -> Geometry:
    """Sample shortly in the coordinates of the mode, and take weights, start and metric from those draws; the mode's where they tell nothing."""
    draws = run_nuts(kernel, geometry, pilot, seed + PILOT, progress, kept, "pilot")
    if draws.stopped:
        raise no_draws_yet(kept)
    found = settled(kernel.space, geometry, draws.z.reshape(-1, draws.z.shape[-1]))
    if found is None:
        report("pilot: its draws give no finite metric; the rest of the warm-up goes on in the coordinates of the mode")
        return geometry
    told = f"{draws.z.shape[0]} x {draws.z.shape[1]} draws, {int(draws.stats['diverging'].sum())} diverged"
    report(f"pilot: {told}; -log density {found.potential:.2f}")
    return replace(found, place=f"{found.place} ({told})", modes=geometry.modes)


PILOT = 1_000_003
"""What the pilot's seed is beyond the fit's."""
