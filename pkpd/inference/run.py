"""`sample`: from a fit problem to a fit."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from pkpd.errors import FitError
from pkpd.inference.assemble import assemble, population_summary
from pkpd.inference.centring import in_words
from pkpd.inference.certificate import SolverCheck
from pkpd.inference.checkpoint import PILOTED, Checkpoint
from pkpd.inference.fit import Fit
from pkpd.inference.geometry import Geometry
from pkpd.inference.joint import settle
from pkpd.inference.kept_geometry import kept_geometry
from pkpd.inference.pilot import LEAST, parts, run_pilot
from pkpd.inference.prior_check import checked_prior, tell
from pkpd.inference.problem import FitProblem, Sampler, changed
from pkpd.inference.provenance import facts
from pkpd.inference.quality import MEANING, finer, raised, until_enough, worst
from pkpd.inference.sample import Draws, Kernel, run_nuts
from pkpd.inference.space import Space
from pkpd.inference.starts import best_geometry
from pkpd.solve.choose import waiting

log = logging.getLogger("pkpd")
DRAFT = 1000
"""Draws that a draft keeps at least."""


def sample(
    problem: FitProblem,
    *,
    seed: Any,
    sampler: Sampler | None = None,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    **changes: Any,
) -> Fit:
    """Fit a problem with NUTS, or HMC: start at typical values, find the mode with spreads held, take the Fisher metric there, sample, label, judge.

    The first half of a warm-up of 200 draws or more is a pilot, from which centring weights and metric are taken anew for the rest; there is none
    where no centring weight is left to be chosen (nothing varies between subjects, or each weight was given).

    `seed` is required; `sampler` or its fields (`chains=`, `draws=`, ...) replace the problem's settings. Needs float64.
    Ctrl-C keeps the draws made so far. `checkpoint` is a folder that keeps where the fit stands, every few seconds: the same call after an interruption,
    a crash or a kill goes on from there and ends with the same draws. It is left for the caller to remove once the fit is saved.
    `quality="draft"` gives an approximation instead (`laplace`; `pathfinder` where random effects cannot be integrated out), `"final"` a finer solver, longer
    chains, and more draws until 1000 are effective in every population parameter.
    Raises `FitError` when float64 is off or the start is impossible (naming subjects and rows).

    >>> fit = sample(problem, seed=1)                                                      # doctest: +SKIP
    """
    if not jax.config.jax_enable_x64:
        raise FitError(
            "Fitting needs float64: call jax.config.update('jax_enable_x64', True) before any array is made, or set JAX_ENABLE_X64=1."
        )
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise FitError(f"sample(..., seed={seed!r}): a whole number is needed; it is stored with the fit and repeats it.")
    settings = changed(sampler or problem.sampler, changes)
    if problem.solver.devices > 1 and settings.together is False:
        raise FitError(
            f"Solver(devices={problem.solver.devices}) shares the subjects of a solve among devices, and all chains then walk in one program: "
            "Sampler(together=False) cannot be. Leave one of the two out."
        )
    log.info("%s", MEANING[settings.quality])
    if settings.quality == "draft":
        return _draft(problem, settings, seed, sorted(set(changes) - {"quality", "draws"}), checkpoint)
    if settings.quality == "final":
        settings, problem = raised(settings), replace(problem, solver=finer(problem.solver))
    problem = replace(problem, solver=waiting(problem.solver))
    space = Space(problem)
    log.info("%s: %d subjects, %d rows, %d unknowns", problem.name, len(problem.cohort.subjects), len(problem.rows.dv), space.size)
    if problem.solver.when == "wait":
        log.info("choosing the solver (the first time, its machine code is compiled: some seconds)")
    log.info("solver: %s (%s)", problem.predictor.chosen.name, problem.predictor.chosen.reason)
    priors = tell(checked_prior(problem, seed))
    pilot, rest = parts(problem, settings)
    found_in = {"coordinates": "pilot"} if pilot else {}
    kept = Checkpoint(checkpoint, facts(problem, settings, seed) | found_in) if checkpoint is not None else None
    starts = settings.starts if settings.warmup >= LEAST else 1
    geometry = kept_geometry(space, kept, lambda: best_geometry(space, log.info, starts, seed))
    if problem.summaries:
        space, geometry = settle(space, geometry, lambda s, report: best_geometry(s, report, starts, seed), log.info)
        problem = space.problem
    kernel = Kernel(space, settings)
    if pilot is not None:
        geometry = _piloted(kernel, geometry, pilot, seed, progress, kept)
    log.info("centring weights: %s", in_words(geometry.weights) or "none")
    draws, settings = _drawn(kernel, geometry, settings, rest.warmup, seed, progress, kept)
    log.info("labelling draws and predicting")
    tree = assemble(space, geometry, draws, settings, seed)
    tree.attrs["prior_check"] = priors.to_json()
    if problem.summaries:
        log.info("summaries: %s", tree["summaries"].attrs["error_sentence"])
    log.info("solver check: %s", SolverCheck.from_json(tree.attrs["solver_check"]).verdict)
    return Fit(tree, problem)


def _draft(problem: FitProblem, settings: Sampler, seed: int, unused: list[str], checkpoint: Any) -> Fit:
    """Laplace, or Pathfinder through all unknowns where random effects cannot be integrated out; what was asked for and is not used is told."""
    unused = [*unused, *(["checkpoint"] if checkpoint is not None else [])]
    if unused:
        log.info("a draft is no run of NUTS: %s not used", ", ".join(unused) + (" is" if len(unused) == 1 else " are"))
    from pkpd.approximate.laplace import integrated, laplace  # not at import time: it stands on what this package holds
    from pkpd.approximate.pathfinder import pathfinder

    if problem.summaries:
        raise FitError(
            f"{problem.name}: a draft does not take published summaries. Give quality='standard', or leave the summaries out for a first look."
        )
    draws = max(settings.draws, DRAFT)
    if integrated(problem) is not None:
        return laplace(problem, seed=seed, draws=draws)
    log.info("the random effects cannot be integrated out: Pathfinder through all unknowns")
    return pathfinder(problem, seed=seed, draws=draws)


def _drawn(
    kernel: Kernel, geometry: Geometry, settings: Sampler, warmup: int, seed: int, progress: bool, kept: Checkpoint | None
) -> tuple[Draws, Sampler]:
    """Draws of NUTS after what is left of the warm-up, and the settings they were made with; a final fit goes on until there are enough."""
    run = lambda now, place: run_nuts(kernel, geometry, replace(now, warmup=warmup), seed, progress, place)  # noqa: E731
    if settings.quality != "final":
        return run(settings, kept), settings
    space = kernel.space
    mixing = lambda draws: worst(population_summary(space, geometry, draws))  # noqa: E731
    return until_enough(run, settings, mixing, kept, lambda path: Checkpoint(path, facts(space.problem, settings, seed)), log.info)


def _piloted(kernel: Kernel, geometry: Geometry, pilot: Sampler, seed: int, progress: bool, kept: Checkpoint | None) -> Geometry:
    """The coordinates that a pilot finds, from the checkpoint where it has been run before."""
    found = kept.geometry(PILOTED) if kept is not None else None
    if found is None:
        place = Checkpoint(kept.folder / "pilot", kept.told) if kept is not None else None
        found = run_pilot(kernel, geometry, pilot, seed, progress, place, log.info)
        if kept is not None:
            kept.keep_geometry(found, PILOTED)
    return found
