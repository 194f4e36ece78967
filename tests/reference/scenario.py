"""One cohort that meets every kind of event at once: six subjects, each with another schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.oracle import Given, Move, walk

LATER = [(5.0, 50.0), (11.0, 51.0), (23.0, 52.0), (50.0, 53.0)]


def subjects(route: str) -> tuple[list[list[Given]], list[list[tuple[float, float]]]]:
    """Doses and looks (time, rank) of six subjects; `route` is where every dose goes."""

    def give(time: float, amount: float, rank: float = 5.0, **more) -> Given:
        return Given(time, amount, route, rank=rank, **more)

    doses = [
        [give(-2.0, 5.0)],  # before the origin of time; looked at before and after by rank
        [give(0.0, 4.0, duration=2.0), give(1.0, 3.0, duration=2.5), give(1.5, 1.0, rank=6.0)],  # overlapping infusions and a bolus within
        [give(12.0 * k, 2.0, rank=5.0 + 10 * k) for k in range(4)],  # repeated doses, with a look before and after the second
        [
            give(0.0, 6.0, duration=6.0),
            give(2.0, 0.0, rank=6.0, kind="reset"),
            give(4.0, 2.0, rank=7.0),
        ],  # a reset stops a running infusion
        [give(0.0, 3.0), give(3.0, 2.0, rank=6.0, kind="reset_dose", duration=1.0)],  # a reset with an infusion of its own
        [],  # nothing given
    ]
    looks = [
        [(-2.0, 1.0), (-2.0, 6.0), (0.0, 7.0), *LATER],
        [(0.0, 9.0), (0.7, 10.0), (1.5, 1.0), (1.5, 9.0), (2.0, 10.0), (3.0, 10.0), *LATER],
        [(1.0, 6.0), (12.0, 14.0), (12.0, 16.0), (36.0, 90.0), (40.0, 91.0), (50.0, 92.0)],
        [(1.0, 5.5), (2.0, 5.6), (2.0, 6.6), (3.0, 6.7), (4.0, 6.8), (4.0, 8.0), *LATER],
        [(1.0, 5.5), (3.0, 5.6), (3.0, 7.0), (3.5, 7.1), *LATER],
        [(0.0, 1.0), *LATER],
    ]
    return doses, looks


def expected(moves: Sequence[Move], y0: Sequence, routes: Mapping[str, Sequence[float]], route: str) -> np.ndarray:
    """The oracle's states, one row of the long table after another [rows, n]."""
    doses, looks = subjects(route)
    return np.concatenate([walk(m, y, routes, d, k) for m, y, d, k in zip(moves, y0, doses, looks, strict=True)])
