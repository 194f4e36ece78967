"""One replicate: a study from the priors, a chain from its truth on, the rank of the truth among thinned draws."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.errors import FitError
from pkpd.inference.calibrate_limits import Simulated
from pkpd.inference.calibrate_program import Frame, Program
from pkpd.inference.chain import warmup_chunks
from pkpd.inference.nuts import CHUNK

MOST_REDRAWN = 100


def replicate(program: Program, number: int) -> dict[str, Any]:
    """Simulate study `number`, sample its posterior, rank its truth: one line of the table.

    The chain starts at the values the study was made from, which are one exact draw from the posterior: nothing has to be found, and the warm-up only
    tunes step and metric and carries the chain away from the truth, so that the draws that rank it do not depend on it.

    Keys: replicate, ess (the smallest over what is ranked), draws (made), divergences, steps (leapfrog steps of all draws), censored (rows),
    redrawn (prior draws whose equations could not be solved), seconds, cpu_seconds, and rank_<name> in 0 ... ranks.
    """
    began, cpu, settings = time.perf_counter(), time.process_time(), program.settings
    key = jax.random.fold_in(jax.random.PRNGKey(settings.seed), number)
    data, frame, walk, redrawn = _start(program, key)
    truth = _measured(program, jnp.zeros((CHUNK, len(frame.centre))), frame, data)[0]
    walk, warm = _warm(program, walk, frame, data)
    draws, steps, divergences = _draw(program, walk, frame, data)
    kept = draws[np.linspace(0, len(draws) - 1, settings.ranks).round().astype(int)]
    found = ranks(truth, kept, jax.random.fold_in(key, MOST_REDRAWN))
    return {
        "replicate": number,
        "ess": round(smallest_ess(draws), 1),
        "draws": len(draws),
        "divergences": divergences,
        "steps": warm + steps,
        "censored": int(np.sum(np.asarray(data.cens) != 0)),
        "redrawn": redrawn,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        **{f"rank_{n}": int(r) for n, r in zip(program.names, found, strict=True)},
    }


def _start(program: Program, key: Any) -> tuple[Simulated, Frame, Any, int]:
    """A study and the chain at its truth. Draws that cannot be solved are drawn anew: the posterior gives them no mass either."""
    for redrawn in range(MOST_REDRAWN):
        of_study, of_chain = jax.random.split(jax.random.fold_in(key, redrawn))
        data, frame = _framed(program, of_study)
        if not (np.all(np.isfinite(data.dv)) and np.all(np.isfinite(frame.factor))):
            continue
        walk = program.begin(of_chain, frame, data)
        if np.isfinite(walk.state.logdensity) and np.all(np.isfinite(walk.state.logdensity_grad)):
            return data, frame, walk, redrawn
    raise FitError(
        f"{program.problem.name}: {MOST_REDRAWN} draws from the priors in a row could not be solved or scored. "
        "Look at what the priors say with prior_check(problem)."
    )


def _framed(program: Program, key: Any) -> tuple[Simulated, Frame]:
    """The study, with weights and metric from the information at its truth."""
    centred = program.space.full_weights
    data, z = program.simulate(key, centred)
    weights = program.weights(z, program.information(z, centred, data)[0])
    data, z = program.simulate(key, weights)
    information = np.asarray(program.information(z, weights, data)[1])
    factor = jnp.asarray(np.linalg.inv(np.linalg.cholesky(information)).T)
    return data, Frame(z, factor, weights)


def _measured(program: Program, u: Any, frame: Frame, data: Simulated) -> np.ndarray:
    return np.asarray(program.measure(u, frame, data))


def _warm(program: Program, walk: Any, frame: Frame, data: Simulated) -> tuple[Any, int]:
    steps = 0
    for _, renew in warmup_chunks(program.settings.warmup):
        walk, info = program.advance(walk, True, frame, data)
        walk, steps = program.refresh(walk) if renew else walk, steps + int(info.n_steps.sum())
    return walk, steps


def _draw(program: Program, walk: Any, frame: Frame, data: Simulated) -> tuple[np.ndarray, int, int]:
    """Draws until every ranked quantity has as many effective ones as there are ranks, or `most` are made; leapfrog steps; divergences."""
    values, steps, divergences, settings = [], 0, 0, program.settings
    while True:
        walk, info = program.advance(walk, False, frame, data)
        values.append(_measured(program, info.position, frame, data))
        steps, divergences = steps + int(info.n_steps.sum()), divergences + int(info.diverging.sum())
        made = CHUNK * len(values)
        if made >= settings.most or (made >= settings.ranks and smallest_ess(np.concatenate(values)) >= settings.ranks):
            return np.concatenate(values), steps, divergences


def smallest_ess(values: np.ndarray) -> float:
    """The smallest bulk ESS over columns of `values` [draw, names] of one chain; 0 where a column stands still."""
    from arviz_stats.base import array_stats  # not at import time: it takes seconds

    if not np.all(np.ptp(values, axis=0) > 0):
        return 0.0
    return float(min(array_stats.ess(column[None, :], chain_axis=0, draw_axis=1, method="bulk") for column in values.T))


def ranks(truth: np.ndarray, draws: np.ndarray, key: Any) -> np.ndarray:
    """How many of `draws` [L, names] lie below `truth` [names], 0 to L; ties are broken at random (Modrak et al. 2023).

    >>> ranks(np.array([0.5, 9.0]), np.array([[0.0, 1.0], [1.0, 2.0]]), jax.random.PRNGKey(0)).tolist()
    [1, 2]
    """
    below, equal = (draws < truth).sum(0), (draws == truth).sum(0)
    return below + np.asarray(jax.random.randint(key, equal.shape, 0, equal + 1))
