"""`stream_bands`: a cohort of any size under one regimen, solved a chunk at a time, of which only quantile bands are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers
from tqdm import tqdm

from pkpd.errors import ModelError, SolveError, choices
from pkpd.events import Regimen
from pkpd.model import Model, Predictor
from pkpd.population import Population
from pkpd.population.medians import typical_value
from pkpd.population.mixture import drawn_kind
from pkpd.population.shrink import of_subjects
from pkpd.simulate.bands import Bands, checked_quantiles
from pkpd.simulate.grid import design
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.sketch import Sketch
from pkpd.solve import Solver, Status
from pkpd.solve.choose import waiting
from pkpd.solve.devices import FIRST, LAST, Devices, checked_devices, over_devices, told_devices, useful

log = logging.getLogger("pkpd")

BLOCK = 1000  # subjects whose parameters are drawn together with one key, whatever the size of a chunk
VALUES = 2**21  # of a chunk, about: 16 MB
Step = Callable[[Mapping[str, Any]], tuple[Any, Any]]
Theta = dict[str, np.ndarray]


def stream_bands(
    model: Model,
    regimen: Any,
    parameters: Any,
    *,
    times: Any,
    n_subjects: int,
    key: Any,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    names: Sequence[str] | None = None,
    covariates: Mapping[str, float] | None = None,
    at_dose: Literal["after", "before"] = "after",
    relative_error: float = 0.005,
    chunk: int | None = None,
    solver: Solver | None = None,
    devices: Any = None,
    progress: bool = True,
) -> Bands:
    """Quantiles over `n_subjects` virtual subjects under one regimen, of states and observables at `times` (h), in memory that does not grow with them.

    `regimen` may also be the records of one subject (a DataFrame or a csv path), read by `Regimen.from_records`. `parameters` is a function `(key, n)`
    that gives names with n numbers each (in the model's units; what is not named stays typical), or a `Population`, whose priors are taken at their
    medians and whose random effects are drawn. Subjects are drawn a thousand at a time, so `key` alone decides who they are: another `chunk` or a
    larger cohort has the same first subjects. `names` picks states and observables (None: all). `covariates` are numbers that hold for every subject.
    `at_dose="before"` reads the trough at the time of a dose. `chunk` subjects are solved together (None: as many as make about two million values);
    one compiled program serves all. Without a `solver` all cores share the work of machine code, which is waited for. Otherwise each of `devices` (None:
    all of the machine; a number of them; some of `jax.devices()`) takes a chunk at a time. The numbers are the same, to rounding.

    Each value is counted in a bin, which makes a quantile wrong by at most the share `relative_error` of itself; counts, minimum and maximum are
    exact. A subject who cannot be integrated, or has a value that is no number, is left out, counted and told. Ctrl-C gives the bands of the subjects
    so far, marked `partial`. Without residual error. Returns `Bands`.

    Raises `ModelError`, `DoseError` or `SolveError` with what cannot be used, and `SolveError` when no subject could be solved.

    >>> from pkpd import bolus
    >>> from pkpd.models.classic import one_compartment_iv
    >>> draw = lambda key, n: {"CL": 3.0 * jnp.exp(0.3 * jax.random.normal(key, (n,)))}
    >>> once = bolus((320, "mg"))
    >>> stream_bands(one_compartment_iv, once, draw, times=[1, 8, 24], n_subjects=100_000, key=jax.random.key(1))   # doctest: +SKIP
    Bands(100,000 subjects, 0 failed; 3 quantiles of central, cp at 3 times; relative error 0.005)
    """
    wanted = _wanted(model, names)
    _check_sizes(n_subjects, chunk)
    draw = _drawer(parameters, covariates or {})
    nothing = _nothing(model, wanted, times, quantiles, relative_error)
    lanes = chunk or max(1, min(n_subjects, VALUES // max(1, nothing.mean.size)))
    doses = regimen if isinstance(regimen, Regimen) else Regimen.from_records(regimen, model)
    here = checked_devices(devices)
    step, working = _step(model, doses, times, covariates or {}, at_dose, solver, lanes, wanted, here, -(-n_subjects // lanes))
    log.info("stream_bands: %s subjects, %s at a time on each of %s.", f"{n_subjects:,}", f"{lanes:,}", told_devices(working))
    chunks = _chunks(_subjects(model, draw, _checked_key(key)), n_subjects, lanes * len(working))
    with tqdm(total=n_subjects, unit="subject", desc="cohort", disable=not progress, delay=2.0) as bar:
        return _told(_run(step, chunks, n_subjects, lanes, nothing, bar))


def _wanted(model: Model, names: Sequence[str] | None) -> tuple[int, ...]:
    """Places among the states and then the observables."""
    if not model.observables:
        raise ModelError(f"{model.name} observes nothing, so there is nothing to look at. Compose it with observables=[...].")
    known = model.state_names + model.observable_names
    if isinstance(names, str):
        raise ModelError(f"names={names!r}: a sequence of states and observables, as in ['{names}'].")
    for name in names or ():
        if name not in known:
            raise ModelError(f"{model.name} has no state or observable '{name}'. {choices(name, set(known))}")
    return tuple(range(len(known))) if names is None else tuple(len(known) - 1 - known[::-1].index(n) for n in names)


def _check_sizes(n_subjects: int, chunk: int | None) -> None:
    for word, size in (("n_subjects", n_subjects), ("chunk", 1 if chunk is None else chunk)):
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ModelError(f"{word}={size!r}: a whole number of subjects, at least 1.")


def _checked_key(key: Any) -> Any:
    if isinstance(key, int | np.integer):
        raise ModelError(f"key={key}: a key of JAX, as in key=jax.random.key({key}).")
    return key


def _nothing(model: Model, wanted: tuple[int, ...], times: Any, quantiles: Any, relative_error: float) -> Bands:
    """The bands of nobody."""
    hours = np.asarray(times, float)
    seen = [(x.name, x.unit) for x in (*model.states, *model.observables)]
    names, units = (tuple(seen[i][j] for i in wanted) for j in (0, 1))
    return Bands(names, units, hours, checked_quantiles(quantiles), Sketch.empty(len(names) * hours.size, relative_error))


def _drawer(parameters: Any, covariates: Mapping[str, float]) -> Callable[[Any, int], Mapping[str, Any]]:
    """A function (key, n) that gives parameters."""
    if isinstance(parameters, Population):
        return lambda key, n: _from_population(parameters, covariates, key, n)
    if callable(parameters):
        return parameters
    raise ModelError(
        f"`parameters` draws the subjects: a function (key, n) that gives names with n numbers each, or a Population, not {type(parameters).__name__}. "
        "Predictions for given subjects are made by simulate."
    )


def _from_population(population: Population, covariates: Mapping[str, float], key: Any, n: int) -> Mapping[str, Any]:
    """Population values at the medians of their priors, random effects drawn."""
    if population.levels:
        name, column = next(iter(population.levels.items()))
        raise ModelError(
            f"stream_bands draws subjects of one set of covariates, and '{name}' varies across '{column}', whose deviation all of one level share. "
            f"Leave .across('{column}', ...) out, or take what_if."
        )
    held = lambda site: None if of_subjects(str(site["name"])) else typical_value(site)  # noqa: E731
    drawn = handlers.seed(handlers.substitute(population.draw, substitute_fn=held), key)
    theta = drawn({c: np.full(n, float(v)) for c, v in covariates.items()}, n, {})
    return drawn_kind(theta, jax.random.fold_in(key, 1), n)


def _subjects(model: Model, draw: Callable[[Any, int], Mapping[str, Any]], key: Any) -> Iterator[Theta]:
    """Checked parameters of the first thousand subjects, of the second, and so on for ever."""
    for block in range(2**32):
        ids = tuple(str(block * BLOCK + i + 1) for i in range(BLOCK))
        yield subject_parameters(model, draw(jax.random.fold_in(key, block), BLOCK), ids)


def _chunks(blocks: Iterator[Theta], n: int, lanes: int) -> Iterator[tuple[int, Theta]]:
    """(number of the first subject from 0, parameters of `lanes` subjects), until there are n; the last chunk is filled up with whoever would follow."""
    held = next(blocks)
    for first in range(0, n, lanes):
        parts, have = [held], len(next(iter(held.values()), range(BLOCK)))
        while have < lanes:
            parts.append(next(blocks))
            have += BLOCK
        joined = {name: np.concatenate([part[name] for part in parts]) for name in held}
        yield first, {name: x[:lanes] for name, x in joined.items()}
        held = {name: x[lanes:] for name, x in joined.items()}


def _step(
    model: Model,
    regimen: Regimen,
    times: Any,
    covariates: Mapping[str, float],
    at_dose: Literal["after", "before"],
    solver: Solver | None,
    lanes: int,
    wanted: tuple[int, ...],
    devices: Devices,
    chunks: int,
) -> tuple[Step, Devices]:
    """The compiled function from parameters to what is wanted [names x times, N] and the status [N], N = lanes x devices; and the devices that work."""
    table = pd.DataFrame({c: np.full(lanes, float(v)) for c, v in covariates.items()}, index=range(lanes))
    own = replace(waiting(solver or Solver(threads=0)), devices=1)  # devices share the chunks
    bound = design(model, regimen, times, table, "cohort", at_dose=at_dose, solver=own).predictor
    chosen = bound.chosen.name  # the solver is picked with plain numbers, outside of the traced function
    working = useful(devices, chunks, chosen, bound.solver.threads)
    return over_devices(lambda theta: _looks(bound, theta, wanted), working, (LAST, FIRST)), working


def _looks(bound: Predictor, theta: Mapping[str, Any], wanted: tuple[int, ...]) -> tuple[Any, Any]:
    """States and observables as asked for; a subject with one that is no number has failed."""
    solution, p = bound.solve(theta)
    y = [solution.y[:, i] for i in range(len(bound.model.states))]
    seen = bound.model.observe(jnp.asarray(bound.plan.look_time), y, p, list(jnp.asarray(bound.look_covariates)))
    values = jnp.stack([jnp.broadcast_to([*y, *seen][i], y[0].shape) for i in wanted])
    finite = jnp.isfinite(values).all((0, 1))
    status = jnp.where((solution.status == Status.OK) & ~finite, int(Status.NOT_FINITE), solution.status)
    return values.reshape(-1, values.shape[-1]), status


def _run(step: Step, chunks: Iterator[tuple[int, Theta]], n: int, lanes: int, nothing: Bands, bar: Any) -> Bands:
    """All chunks; while those of one turn are solved, the values of the turn before are counted."""
    done: Future[Bands] = Future()
    done.set_result(nothing)
    with ThreadPoolExecutor(1) as pool:
        try:
            for first, theta in chunks:
                values, status = jax.block_until_ready(step(theta))
                done = pool.submit(_counted, done.result(), first, *_real(values, status, n - first), lanes)
                bar.update(min(n - first, len(status)))
        except KeyboardInterrupt:
            return _stopped(done.result(), n)
        return done.result()


def _counted(bands: Bands, first: int, values: np.ndarray, status: np.ndarray, lanes: int) -> Bands:
    """With the chunks of one turn, added in the same order on any number of devices."""
    for i in range(0, len(status), lanes):
        bands = bands.add(first + i + 1, values[:, i : i + lanes], status[i : i + lanes])
    return bands


def _real(values: Any, status: Any, left: int) -> tuple[np.ndarray, np.ndarray]:
    """Without the subjects that fill up the last chunk."""
    return np.asarray(values)[:, :left], np.asarray(status)[:left]


def _stopped(bands: Bands, n: int) -> Bands:
    seen = bands.subjects + bands.n_failed
    if not seen:
        raise KeyboardInterrupt
    log.warning("Interrupted: these are the bands of the first %s of %s subjects.", f"{seen:,}", f"{n:,}")
    return replace(bands, partial=True)


def _told(bands: Bands) -> Bands:
    """The same, when who failed has been said."""
    if not bands.subjects:
        raise SolveError(f"{bands.losses} There is nobody to make bands of: check the parameters and doses, or raise max_steps.")
    if bands.failures:
        log.warning(bands.losses)
    return bands
