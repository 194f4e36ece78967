"""Subjects of like size together: one long subject does not make all others as long."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from pkpd.events.intervals import Intervals
from pkpd.events.plan import LAST, Doses, Plan

WORTH = 0.6
"""Subjects are split only when that takes the work below this share of the whole: each group is compiled by itself."""
CANDIDATES = 24


def lane_sizes(plan: Plan) -> np.ndarray:
    """About how much work each subject is [B]: looks, doses (an infusion counts twice), resets and changes of covariates."""
    looks = 1 + (plan.look_rank < LAST).sum(0)
    doses = (plan.doses.target >= 0).sum(0) + ((plan.doses.target >= 0) & (plan.doses.shape > 0)).sum(0)
    return looks + doses + (plan.reset_time < LAST).sum(0) + (plan.intervals.cut < LAST).sum(0)


def buckets(sizes: np.ndarray) -> list[np.ndarray]:
    """Groups of lanes, small ones first: at most three, whichever cuts of the sorted sizes leave the least work, or one where that gains little.

    >>> [g.tolist() for g in buckets(np.array([5, 400, 5, 6, 5, 5, 6, 5]))]
    [[0, 2, 3, 4, 5, 6, 7], [1]]
    """
    order = np.argsort(sizes, kind="stable")
    ranked = sizes[order]
    jumps = np.flatnonzero(np.diff(ranked)) + 1
    if len(jumps) > CANDIDATES:
        jumps = np.unique(jumps[np.linspace(0, len(jumps) - 1, CANDIDATES).astype(int)])
    whole = _work(ranked, ())
    best: tuple[int, ...] = min(((), *_cuts(jumps)), key=lambda cuts: _work(ranked, cuts) * (1.0 + 0.1 * len(cuts)))
    best = best if _work(ranked, best) < WORTH * whole else ()
    return [np.sort(part) for part in np.split(order, best)]


def _cuts(jumps: np.ndarray) -> list[tuple[int, ...]]:
    return [(int(a),) for a in jumps] + [(int(a), int(b)) for a, b in itertools.combinations(jumps, 2)]


def _work(ranked: np.ndarray, cuts: tuple[int, ...]) -> float:
    edges = (0, *cuts, len(ranked))
    return float(sum((b - a) * ranked[b - 1] for a, b in itertools.pairwise(edges)))


def part_of(plan: Plan, lanes: np.ndarray) -> Plan:
    """The plan of some lanes, no longer than they need; without rows of the long table."""
    cut = lambda table, used, least=0: table[: max(int(used[:, lanes].sum(0).max(initial=0)), least)][:, lanes]  # noqa: E731
    real, looks = plan.doses.target >= 0, plan.look_rank < LAST
    some = looks if looks[:, lanes].any() else np.ones_like(looks[:1])
    doses = Doses(**{f: cut(getattr(plan.doses, f), real, 1) for f in Doses.__dataclass_fields__})
    resets, changes = plan.reset_time < LAST, plan.intervals.cut < LAST
    i, pieces = plan.intervals, int(changes[:, lanes].sum(0).max(initial=0)) + 1
    intervals = Intervals(
        cut(i.cut, changes),
        i.value[:, :pieces][..., lanes],
        i.slope[:, :pieces][..., lanes],
        i.origin[:pieces][:, lanes],
        i.linear,
        i.begins,
    )
    return replace(
        plan, doses=doses, intervals=intervals, start=plan.start[lanes], end=plan.end[lanes],
        reset_time=cut(plan.reset_time, resets), reset_rank=cut(plan.reset_rank, resets),
        look_time=cut(plan.look_time, some), look_rank=cut(plan.look_rank, some), look_place=cut(plan.look_place, some),
        row_time=plan.row_time[:0], row_lane=plan.row_lane[:0],
    )  # fmt: skip
