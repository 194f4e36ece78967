"""`next_dose`: which amount brings one patient to a target, and with what probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd import units
from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.model.moving import MovingPredictor
from pkpd.simulate.dose_freedom import refuse_unscalable
from pkpd.simulate.forecast import Forecast, weighted_quantile
from pkpd.simulate.patient_looks import Course, course
from pkpd.simulate.target import Target

FACTORS, WIDEST = 41, 20.0


@dataclass(frozen=True, eq=False)
class DoseChoice:
    """The regimen chosen, its `factor` to the one asked about, and the `probability` that it meets the target.

    `table` has a row a candidate: factor, amount of the first dose (regimen's unit), probabilities to lie inside, below and above the limits, that the course
    could not be solved (failed), and 5, 50 and 95 % of the value where it could.
    """

    regimen: Regimen
    factor: float
    probability: float
    target: Target
    table: pd.DataFrame
    sentence: str


def next_dose(
    forecast: Forecast, regimen: Regimen, target: Target, *, amounts: Sequence[float] | None = None, probability: float = 0.9
) -> DoseChoice:
    """The amount of a regimen to come that best brings a patient to a target.

        max_k P(low <= g(k x regimen; theta) <= high | the patient's records)

    `regimen` begins after the last record; all its doses are scaled together, so that each is one of `amounts` (in the regimen's unit; its doses must
    then be equal), or (None) by any factor from 1/20 to 20. With one finite limit the smallest amount (for a lower limit; for an upper one the largest) that
    meets it with `probability` is taken, or where none does the likeliest. With two limits it is the amount most likely to lie between them (of those alike
    to 0.001 the one whose median comes nearest to the middle). Returns a `DoseChoice`; a draw that cannot be solved counts as one that misses the target.
    Raises `FitError` for amounts that are not positive or doses that differ, doses with a cap, a regimen that begins before the last record or among
    doses that the records still give (ADDL), and a target before it.

    >>> next_dose(seen, bolus((100, "mg")).at((24, "h")), trough, amounts=[50, 100, 150]).sentence   # doctest: +SKIP
    '150 mg at 24 h: trough of cp at 48 h lies between 1 and 2 mg/L with probability 0.81.'
    """
    factors = _factors(regimen, amounts)
    _check(forecast, target, probability)
    if target.end <= regimen.start:
        raise FitError(f"The target ({target.words}) lies before the regimen, which begins at {regimen.start:g} h.")
    path = _path(forecast, regimen, target)
    run = _values(path.room, target, len(path.events))
    weights = forecast.patient.weights
    theta = {n: forecast.patient.draws[n].to_numpy() for n in forecast.patient.draws}
    found = _table(np.asarray(run(theta, path.records, path.new, path.events, factors)), factors, target, weights)
    if amounts is None:
        best = found["factor"][_best(found, target, probability)]
        step = WIDEST ** (2.0 / (FACTORS - 1))
        finer = best * np.geomspace(1.0 / step, step, FACTORS)
        more = _table(np.asarray(run(theta, path.records, path.new, path.events, finer)), finer, target, weights)
        found = pd.concat([found, more]).sort_values("factor", ignore_index=True)
    found.insert(1, "amount", regimen.doses[0].amount * found["factor"])
    best = _best(found, target, probability)
    line = found.iloc[best]
    chosen = regimen.scaled(float(line["factor"]))
    sentence = _sentence(chosen, target, line, probability)
    sentence += "" if forecast.verdict.startswith("Converged") else f" Do not use it: {forecast.verdict}"
    return DoseChoice(chosen, float(line["factor"]), float(line["inside"]), target, found, sentence)


def _check(forecast: Forecast, target: Target, probability: float) -> None:
    model = forecast.patient.prior.model
    if target.observable not in model.observable_names:
        raise FitError(f"{model.name} has no observable '{target.observable}'. {choices(target.observable, model.observable_names)}")
    if not (np.isfinite(target.low) or np.isfinite(target.high)):
        raise FitError(f"The target ({target.words}) has no finite limit; give target(..., between=(low, high)).")
    if not 0 < probability < 1:
        raise FitError(f"next_dose(probability={probability!r}): a probability between 0 and 1.")


def _factors(regimen: Regimen, amounts: Sequence[float] | None) -> np.ndarray:
    if not regimen.doses:
        raise FitError("next_dose needs a regimen with at least one dose, as in bolus((100, 'mg')).at((24, 'h')).")
    refuse_unscalable(regimen, "next_dose")
    if amounts is None:
        return np.geomspace(1.0 / WIDEST, WIDEST, FACTORS)
    first = regimen.doses[0]
    own = [d.amount * (1.0 if d.unit == first.unit else units.factor(d.unit, first.unit, "A dose")) for d in regimen.doses]
    given = np.asarray(amounts, float)
    if given.ndim != 1 or not given.size or not np.all(np.isfinite(given) & (given > 0)):
        raise FitError(f"next_dose(amounts={amounts!r}): positive amounts in the regimen's unit are needed.")
    if np.ptp(own) > 1e-12 * first.amount:
        told = ", ".join(f"{a:g}" for a in sorted(set(own)))
        raise FitError(f"next_dose(amounts=...): the doses of the regimen differ ({told}); leave amounts out, which scales them together.")
    return np.sort(given) / first.amount


def _path(forecast: Forecast, regimen: Regimen, target: Target) -> Course:
    """The course with as many looks as the target needs."""
    first = course(forecast.patient, regimen, [target.end], [0.0])
    times, ranks, _ = target.looks(first.events)
    path = course(forecast.patient, regimen, np.asarray(times), np.asarray(ranks))
    return path._replace(events=first.events)


@lru_cache(maxsize=32)
def _values(room: MovingPredictor, target: Target, events: int) -> Callable[..., Any]:
    """The target's value [F, N] for each factor and draw, compiled once a number of `events`."""
    _ = room.chosen
    which = room.model.observable_names.index(target.observable)

    def one(theta: Any, records: Any, new: Any, weights: Any, factor: Any) -> Any:
        amount = records.doses["amount"] * jnp.where(jnp.asarray(new) > 0, factor, 1.0)
        table = room.observables(theta, records._replace(doses=dict(records.doses) | {"amount": amount}))
        return target.value(weights, table[: len(weights), which])

    def run(theta: Any, records: Any, new: Any, events: Any, factors: Any) -> Any:
        weights = target.looks(events)[2]
        return jax.lax.map(lambda f: one(theta, records, new, weights, f), jnp.asarray(factors))

    return jax.jit(run)


def _table(values: np.ndarray, factors: np.ndarray, target: Target, weights: np.ndarray) -> pd.DataFrame:
    if not np.isfinite(values).any():
        raise FitError("next_dose: no draw of the patient could be solved under any amount. Check the regimen, the records and the solver.")
    lines = []
    for factor, v in zip(factors, values, strict=True):
        good = np.isfinite(v)
        inside, below, above = (float(weights[good & x].sum()) for x in (np.asarray(target.met(v)), v < target.low, v > target.high))
        middle = [weighted_quantile(v[good], weights[good], q) if good.any() else np.nan for q in (0.05, 0.5, 0.95)]
        lines.append((float(factor), min(inside, 1.0), below, above, float(weights[~good].sum()), *middle))
    return pd.DataFrame(lines, columns=["factor", "inside", "below", "above", "failed", "5%", "50%", "95%"])


def _best(found: pd.DataFrame, target: Target, probability: float) -> int:
    """The row to take."""
    inside = found["inside"].to_numpy()
    if np.isfinite(target.low) and np.isfinite(target.high):
        near = (
            -np.abs(np.log(np.maximum(found["50%"], 1e-300) / max(target.goal, 1e-300)))
            if target.low > 0
            else -np.abs(found["50%"] - target.goal)
        )
        return int(np.lexsort((np.nan_to_num(near, nan=-np.inf), np.round(inside, 3)))[-1])
    enough = np.flatnonzero(inside >= probability)
    if not enough.size:
        return int(np.argmax(inside))
    return int(enough[0] if np.isfinite(target.low) else enough[-1])


def _sentence(chosen: Regimen, target: Target, line: pd.Series, probability: float) -> str:
    told = repr(chosen).removeprefix("Regimen(").removesuffix(")")
    limits = (
        f"between {target.low:g} and {target.high:g}"
        if np.isfinite([target.low, target.high]).all()
        else (f"above {target.low:g}" if np.isfinite(target.low) else f"below {target.high:g}")
    )
    text = f"{told}: {target.words} lies {limits} {target.unit} with probability {line['inside']:.2f}."
    if line["failed"] > 0:
        text += f" Draws of weight {line['failed']:.2g} could not be solved and count as missing it."
    short = (np.isinf(target.low) or np.isinf(target.high)) and line["inside"] < probability
    return f"{text} No candidate reaches {probability:g}." if short else text
