"""From a plan and the lag, bioavailability, rate and duration of each dose to segments: pure array work, the same under NumPy and under JAX.

Every event is a point in time with a rank; points are sorted per subject (the permutation carries no gradient, the times do) and a segment begins
at each. The rules are those of NONMEM (docs/guide/events.md): F scales a dose; of an infusion given by its rate it scales the duration, else the rate; a
steady-state record replaces (SS 1) or adds (SS 2) the state II - lag after the dose before, and what is unfinished of earlier doses of its train goes on;
a reset or SS 1 record cancels what is pending and cuts what runs.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np

from pkpd.events.plan import BOLUS, DURATION, LAST, MODELLED_DURATION, MODELLED_RATE, RATE, Plan

CONSTANT = 24.0
"""Hours taken as one period of a constant infusion; any would do."""


class Fault(enum.IntEnum):
    """Why a subject's events cannot be laid out; 0 is no fault."""

    NONE = 0
    BAD_DOSE = 1
    LAG_BEYOND_INTERVAL = 2
    OVERLAP = 3
    CROSSED = 4


class Given(NamedTuple):
    """What doses do [A, B]: lag (h), bioavailability, duration (h) and rate (amount/h), each already chosen from column or model."""

    lag: Any
    bioavailability: Any
    duration: Any
    rate: Any
    scales_rate: Any


class Steady(NamedTuple):
    """Steady-state records [S, B]: the segment each begins, and its train: target, jump, rate, duration, period and phase (h after a dose)."""

    segment: Any
    target: Any
    jump: Any
    rate: Any
    duration: Any
    period: Any
    phase: Any


class Layout(NamedTuple):
    """Segments: `edges[E+1, B]`; `amount[E, D, B]`, `rate[E, D, B]`; `reset[E, B]` to initial values, `clear[E, B]` to nothing; `interval[E, B]` of the
    covariates; `segment[M, B]` of each look; steady-state records; `fault[B]`.
    """

    edges: Any
    amount: Any
    rate: Any
    reset: Any
    clear: Any
    interval: Any
    segment: Any
    steady: Steady | None
    fault: Any


class Static(NamedTuple):
    """What must be known before tracing: which doses [A] of a lane may be infusions, which may be at steady state, how many of a train may overlap,
    and (where crossing is a fault) which doses [A, B] arrive before the record that would cancel them.
    """

    infused: np.ndarray
    steady: np.ndarray
    overlaps: int
    arrives: np.ndarray | None = None


def static_of(plan: Plan, given: Given, strict: bool = False) -> Static:
    """Read off typical values; room is left for trains that overlap more than typical. `strict` makes it a fault to cross a cancelling record."""
    d, given = plan.doses, _sound(plan, given, np)[0]
    infused, steady = (d.shape != BOLUS).any(1), (d.steady > 0).any(1)
    at = (d.steady > 0) & (d.shape != BOLUS) & (d.period > 0)
    lasts = np.where(at, _lasts(plan, given, np)[0] + np.asarray(given.lag), 0.0)
    ratio = np.divide(lasts, d.period, out=np.zeros_like(lasts), where=at)
    fixed = bool((d.shape[at] == DURATION).all()) and not bool(np.isnan(d.lag[at]).any())
    most = int(min(np.ceil(np.nan_to_num(ratio).max(initial=0.0) - 1e-9), 1e6))
    seen = np.divide(plan.end - d.time, d.period, out=np.zeros_like(lasts), where=at)
    room = int(np.ceil(seen.max(initial=0.0))) + 1  # no more can end before the last record
    arrives = d.time + np.asarray(given.lag) <= d.until if strict else None
    return Static(np.flatnonzero(infused), np.flatnonzero(steady), min(room, most if fixed or not at.any() else 2 * most + 2), arrives)


def _lasts(plan: Plan, given: Given, xp: Any) -> tuple[Any, Any]:
    """Duration and rate of each dose; zero for a bolus."""
    d, f = plan.doses, given.bioavailability
    by_rate = (d.shape == RATE) | (d.shape == MODELLED_RATE)
    one = xp.ones_like(f)
    rate_given, lasts_given = xp.where(by_rate, given.rate, one), xp.where(by_rate | (d.shape == BOLUS), one, given.duration)
    scaled = given.scales_rate & by_rate
    duration = xp.where(by_rate, d.amount * xp.where(scaled, one, f) / rate_given, lasts_given)
    rate = xp.where(by_rate, rate_given * xp.where(scaled, f, one), f * d.amount / lasts_given)
    bolus = d.shape == BOLUS
    return xp.where(bolus, 0.0, duration), xp.where(bolus, 0.0, rate)


def lay_out(plan: Plan, given: Given, static: Static, xp: Any = np, stop: Any = lambda x: x) -> Layout:
    """Sort every subject's points and add them up. `xp` is numpy or jax.numpy, `stop` ends gradients (of what only orders)."""
    given, fault = _sound(plan, given, xp)
    points, ranks, parts, trains, overlap = _points(plan, given, static, xp, stop)
    fault = xp.where((fault == 0) & overlap, int(Fault.OVERLAP), fault)
    if static.arrives is not None:
        crossed = (plan.doses.target >= 0) & ((plan.doses.time + given.lag <= plan.doses.until) != static.arrives)
        fault = xp.where((fault == 0) & xp.any(crossed, axis=0), int(Fault.CROSSED), fault)
    order = _sorted(stop(points), ranks, xp)
    take = lambda x: xp.take_along_axis(xp.broadcast_to(x, order.shape), order, 0)  # noqa: E731
    times, moved = take(points), {name: take(x) for name, x in parts.items()}
    end = xp.maximum(times[-1:], plan.end[None])
    edges = xp.concatenate([xp.minimum(plan.start[None], times[:1]), times, end])
    amount, rate, count = (_by_target(plan, moved, name, xp) for name in ("amount", "rate", "count"))
    first = lambda x: xp.concatenate([xp.zeros_like(x[:1]), x])  # noqa: E731
    rank_sorted = take(ranks)
    segment = _look_segments(plan, stop(times), rank_sorted, xp)
    steady = _steady(trains, moved, xp)
    interval = xp.cumsum(first(moved["cut"]), 0).astype(int)
    return Layout(
        edges, first(amount), first(_held(rate, count, xp)), first(moved["reset"]), first(moved["clear"]), interval, segment, steady, fault
    )


def _sound(plan: Plan, given: Given, xp: Any) -> tuple[Given, Any]:
    """The faults of doses that cannot be, and values that stand in for them, so that the rest of the work goes on."""
    d = plan.doses
    real = d.target >= 0
    by_rate, by_time = (d.shape == RATE) | (d.shape == MODELLED_RATE), (d.shape == DURATION) | (d.shape == MODELLED_DURATION)
    good_lag, good_f = (given.lag >= 0) & (given.lag < LAST), (given.bioavailability >= 0) & (given.bioavailability < LAST)
    good_t = (given.duration > 0) & (given.duration < LAST) | ~by_time
    good_r = (given.rate > 0) & (given.rate < LAST) | ~by_rate
    bad = xp.any(real & ~(good_lag & good_f & good_t & good_r), axis=0)
    late = xp.any(real & (d.steady > 0) & (d.period > 0) & (given.lag > d.period), axis=0)
    keep = lambda good, x, spare: xp.where(good & real, x, spare)  # noqa: E731
    new = Given(
        keep(good_lag, given.lag, 0.0), keep(good_f, given.bioavailability, 1.0), keep(good_t, given.duration, 1.0),
        keep(good_r, given.rate, 1.0), given.scales_rate,
    )  # fmt: skip
    return new, xp.where(bad, int(Fault.BAD_DOSE), xp.where(late, int(Fault.LAG_BEYOND_INTERVAL), 0))


def _points(plan: Plan, given: Given, static: Static, xp: Any, stop: Any) -> tuple[Any, Any, dict, dict, Any]:
    """Times, ranks and what happens at each point, stacked: starts, ends, resets, steady states with the ends of their trains, covariate cuts."""
    d, i, s = plan.doses, static.infused, static.steady
    duration, rate = _lasts(plan, given, xp)
    start = _on_looks(plan, d.time + given.lag, given.lag, xp, stop)
    late = stop(start) > d.record
    rank = xp.where(late, xp.where(d.time > d.record, d.rank, d.rank + plan.late), d.rank + 0.3)
    alive = (d.target >= 0) & ((start < d.until) | ((start == d.until) & ~(late & (plan.late > 0)))) & ~((d.steady == 1) & (d.period == 0))
    bolus = xp.where(alive & (d.shape == BOLUS), d.amount * given.bioavailability, 0.0)
    flow = xp.where(alive, rate, 0.0)
    until = xp.where(d.until < LAST, d.until, LAST)
    over = xp.minimum(start + duration, until)
    target = xp.maximum(d.target, 0)
    groups = [
        _group(plan, alive, start, rank, xp, target=target, amount=bolus, rate=flow, count=1.0 * (flow != 0)),
        _group(plan, alive[i] & (d.shape[i] != BOLUS), over[i], -LAST, xp, target=target[i], rate=-flow[i], count=-1.0 * (flow[i] != 0)),
        _group(plan, plan.reset_time < LAST, plan.reset_time, plan.reset_rank + 0.1, xp, reset=1.0),
    ]
    trains, overlap = _trains(plan, given, static, duration, rate, xp, stop)
    if len(s):
        groups += trains.pop("groups")
    cut = plan.intervals.cut
    groups.append(_group(plan, cut < LAST, cut, -LAST / 10, xp, cut=1.0))
    names = ("target", "amount", "rate", "count", "reset", "clear", "cut", "train")
    stack = lambda name: xp.concatenate([xp.broadcast_to(g.get(name, 0), g["time"].shape) for g in groups])  # noqa: E731
    return stack("time"), stack("rank"), {n: stack(n) for n in names}, trains, overlap


def _on_looks(plan: Plan, start: Any, lag: Any, xp: Any, stop: Any) -> Any:
    """A lagged dose that misses a look's time by a rounding (0.1 + 0.2 against 0.3) takes that time; its slope in the lag stays."""
    if xp is np and not (lag > 0).any():
        return start
    near = 1e-12 * xp.maximum(1.0, xp.abs(stop(start)))
    for look in plan.look_time if xp is np else ():
        start = np.where((lag > 0) & (np.abs(start - look) <= near), look, start)
    if xp is np:
        return start
    import jax

    held, looks = stop(start), xp.asarray(plan.look_time)
    after = jax.vmap(xp.searchsorted, (1, 1), 1)(looks, held)
    for k in (after, after - 1):
        look = xp.take_along_axis(looks, xp.clip(k, 0, looks.shape[0] - 1), 0)
        start = xp.where((lag > 0) & (xp.abs(look - held) <= near), start + (look - held), start)
    return start


def _group(plan: Plan, real: Any, time: Any, rank: Any, xp: Any, **parts: Any) -> dict[str, Any]:
    """Points that are there (`real`) and are not past the last record; the others stand behind it and do nothing that is seen."""
    here = real & (time <= plan.end)
    return {
        "time": xp.where(here, time, plan.end),
        "rank": xp.where(here, rank, LAST),
        **{k: xp.where(here, v, 0) for k, v in parts.items()},
    }


def _trains(plan: Plan, given: Given, static: Static, duration: Any, rate: Any, xp: Any, stop: Any) -> tuple[dict, Any]:
    """Steady-state records: their own points, the ends of what is unfinished of the doses before, and the train each stands in."""
    s, d = static.steady, plan.doses
    if not len(s):
        return {}, xp.zeros(plan.lanes, bool)
    time, period, target, code = d.time[s], d.period[s], d.target[s], d.steady[s]
    on, constant = (code > 0) & (target >= 0), period == 0
    lag, lasts, flow = given.lag[s], duration[s], xp.where(on & (d.shape[s] != BOLUS), rate[s], 0.0)
    spaced = xp.where(constant, CONSTANT, period)
    lasts = xp.where(constant, CONSTANT, lasts)
    until = xp.where(d.until[s] < LAST, d.until[s], LAST)
    on_train = on & ~constant & (flow != 0)
    ago = xp.where(on_train, xp.maximum(stop(xp.ceil((lag + lasts) / spaced)) - 1.0, 0.0), 0.0)  # how many doses before this one still run
    shown = xp.minimum(until, plan.end) - time
    first = stop(xp.maximum(xp.ceil((lag + lasts - shown) / spaced), 1.0))  # those before it run on to the end of what is seen
    ends = [time + lag - (first + i) * spaced + lasts for i in range(static.overlaps)]
    running = [on_train & (first + i <= ago) for i in range(static.overlaps)]  # by number, as `ago` counts: times would round
    cut = xp.minimum(first - 1.0, ago)
    number = 1.0 + np.arange(len(s))[:, None]
    put = xp.maximum(target, 0)
    groups = [
        _group(plan, on, time, d.rank[s] + 0.2, xp, target=put, rate=flow * ago, count=ago, clear=1.0 * (code == 1), train=number),
        _group(plan, on_train, until, -LAST, xp, target=put, rate=-flow * cut, count=-cut),
    ]
    groups += [_group(plan, r, e, -LAST, xp, target=put, rate=-flow, count=-1.0) for e, r in zip(ends, running, strict=True)]
    beyond = on_train & (ago - first + 1.0 > static.overlaps)
    jump = xp.where(on & (d.shape[s] == BOLUS), d.amount[s] * given.bioavailability[s], 0.0)
    phase = xp.where(on & ~constant, xp.maximum(spaced - lag, 0.0), 0.0)
    lasts, spaced = xp.where(on, lasts, 0.0), xp.where(on, spaced, CONSTANT)
    made = {"target": xp.where(on, target, -1), "jump": jump, "rate": flow, "duration": lasts, "period": spaced, "phase": phase}
    return made | {"groups": groups}, xp.any(beyond, axis=0)


def _sorted(times: Any, ranks: Any, xp: Any) -> Any:
    """The permutation that puts points in order of time and, within a time, rank."""
    return xp.lexsort((ranks, times), axis=0)


def _by_target(plan: Plan, moved: dict, name: str, xp: Any) -> Any:
    """[P, D, B]"""
    if not plan.targets:
        return xp.zeros((moved[name].shape[0], 0, plan.lanes))
    return xp.stack([xp.where(moved["target"] == t, moved[name], 0.0) for t in range(len(plan.targets))], 1)


def _held(change: Any, count: Any, xp: Any) -> Any:
    """Infusion rates after each point: nothing where as many have ended as have begun, whatever rounding leaves of their sum."""
    running = xp.cumsum(count, 0)
    return xp.where(running == 0, 0.0, xp.cumsum(change, 0))


def _look_segments(plan: Plan, times: Any, ranks: Any, xp: Any) -> Any:
    """How many points come before each look, by sorting looks among the points."""
    p = times.shape[0]
    order = _sorted(xp.concatenate([times, plan.look_time]), xp.concatenate([ranks, plan.look_rank]), xp)
    passed = xp.cumsum(order < p, 0)
    return xp.take_along_axis(passed, xp.argsort(order, axis=0)[p:], 0)


def _steady(trains: dict, moved: dict, xp: Any) -> Steady | None:
    if not trains:
        return None
    count = trains["target"].shape[0]
    place = [xp.argmax(moved["train"] == s + 1.0, axis=0) + 1 for s in range(count)]
    return Steady(xp.stack(place), *(trains[n] for n in ("target", "jump", "rate", "duration", "period", "phase")))
