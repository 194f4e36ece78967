"""How many subjects each group of a design gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError
from pkpd.simulate.criterion import Criterion, criterion
from pkpd.simulate.sampling_design import ChosenTimes, priors_of
from pkpd.simulate.sampling_information import Approximation, ExpectedInformation, Piece, expected_information
from pkpd.simulate.sampling_slopes import SamplingGroup, estimated


def choose_sizes(
    prior: PatientPrior | Sequence[PatientPrior],
    groups: Sequence[SamplingGroup],
    total: int,
    *,
    by: Criterion | str = "D",
    least: int = 0,
    method: str = "FO",
    full: bool = False,
    draws: int = 1,
) -> ChosenTimes:
    """How many of `total` subjects each group gets, at least `least` each: whole numbers that maximise a criterion; groups that get none are left out.

    From equal sizes one subject at a time moves to where it tells more, until none does. Groups are candidates: give several schedules or doses, and see which
    are worth their subjects. Returns `ChosenTimes`, whose efficiency is against equal sizes. Raises `FitError` for a total that is too small.

    >>> choose_sizes(prior, [rich, sparse], 40).groups[0].subjects                         # doctest: +SKIP
    """
    priors, how = priors_of(prior), Approximation(method, full, draws)
    rule = criterion(by) if isinstance(by, str) else by
    if isinstance(total, bool) or not isinstance(total, int) or total < max(1, least * len(groups)):
        raise FitError(
            f"choose_sizes(total={total!r}): a whole number of subjects, at least {max(1, least * len(groups))} for these groups."
        )
    pieces = [[Piece.of(q, g, how) for g in groups] for q in priors]
    one = [np.stack([p.information(np.arange(p.slopes.sd.shape[0])) / p.subjects for p in own]) for own in pieces]
    blank = [
        ExpectedInformation(estimated(q), own[0][:, :1, :1], parts[0].values) for q, own, parts in zip(priors, one, pieces, strict=True)
    ]

    def score(sizes: np.ndarray) -> Any:
        """Of sizes [..., G]."""
        told = [rule.score(e, np.einsum("...g,gdpq->...dpq", sizes, own)) for e, own in zip(blank, one, strict=True)]
        return sum(told) / len(priors)

    count = len(groups)
    equal = np.array([total // count + (g < total % count) for g in range(count)])
    sizes, value = _moved(score, equal, least)
    chosen = tuple(replace(g, subjects=int(n)) for g, n in zip(groups, sizes, strict=True) if n > 0)
    own = tuple(expected_information(q, chosen, method=method, full=full, draws=draws) for q in priors)
    return ChosenTimes(chosen, own, value, rule.efficiency(value, float(score(equal)), len(estimated(priors[0]))))


def _moved(score: Callable[[np.ndarray], Any], sizes: np.ndarray, least: int) -> tuple[np.ndarray, float]:
    """One subject at a time to where it tells more, until none does."""
    value, unit = float(score(sizes)), np.eye(len(sizes), dtype=int)
    while True:
        moves = [sizes + unit[b] - unit[a] for a in range(len(sizes)) for b in range(len(sizes)) if a != b and sizes[a] > least]
        scores = score(np.array(moves)) if moves else np.zeros(1) - np.inf
        best = int(np.argmax(scores))
        if not scores[best] > value + 1e-12 * abs(value):
            return sizes, value
        sizes, value = moves[best], float(scores[best])
