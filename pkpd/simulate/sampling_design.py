"""When to sample: times chosen by exchange from candidates, refined between them; designs compared; and the extra sample that tells most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.simulate.criterion import Criterion, Quantity, criterion
from pkpd.simulate.sampling_information import Approximation, ExpectedInformation, Piece, expected_information
from pkpd.simulate.sampling_slopes import SamplingGroup, estimated

SWEEPS, NEAR, ROUNDS = 50, 9, 4


@dataclass(frozen=True, eq=False)
class ChosenTimes:
    """Groups with the times chosen, their `information` under each prior, the `score`, and `efficiency` against the groups as they were given.

    `table` has a row a group and sample: group, observable, time (h).
    """

    groups: tuple[SamplingGroup, ...]
    information: tuple[ExpectedInformation, ...]
    score: float
    efficiency: float

    @property
    def table(self) -> pd.DataFrame:
        lines = [(g, o, float(t)) for g, group in enumerate(self.groups) for o, hours in group.times.items() for t in hours]
        return pd.DataFrame(lines, columns=["group", "observable", "time"])


@dataclass(frozen=True, eq=False)
class _Board:
    """Candidates of every group under every prior, and which are picked: `picks[g]` indices into `hours[g]`, `which[g]`."""

    pieces: tuple[tuple[Piece, ...], ...]
    hours: tuple[np.ndarray, ...]
    which: tuple[np.ndarray, ...]
    empty: tuple[ExpectedInformation, ...]
    by: Criterion
    names: tuple[str, ...]

    def score(self, picks: Sequence[np.ndarray], g: int | None = None, rows: np.ndarray | None = None) -> Any:
        """Of the picks, or of each of `rows` [B, n] in the place of those of group g."""
        total: Any = 0.0
        for prior, found in zip(self.pieces, self.empty, strict=True):
            m: Any = sum(p.information(np.asarray(picks[i])) for i, p in enumerate(prior) if i != g)
            m = m if g is None else m + prior[g].information(np.asarray(rows))
            total = total + self.by.score(found, m) / len(self.pieces)
        return total


def choose_times(
    prior: PatientPrior | Sequence[PatientPrior],
    groups: Sequence[SamplingGroup],
    candidates: Mapping[str, Any],
    *,
    by: Criterion | str = "D",
    apart: float = 0.0,
    continuous: bool = False,
    starts: int = 3,
    method: str = "FO",
    full: bool = False,
    draws: int = 1,
    seed: int = 1,
) -> ChosenTimes:
    """Sampling times that maximise a criterion: as many for each observable of each group as it has now, from `candidates` (h, by observable).

    Each sample in turn takes the candidate that is best while the others stay, until none moves (Fedorov's exchange), from the groups' own times and
    `starts` - 1 random ones. `apart` hours lie at least between two samples of an observable in a subject (0: they differ); `continuous` then narrows
    the grid around each time between the first and the last candidate. Several priors (models, populations) make it robust: the mean of the criterion.
    `draws` averages over the prior's draws. Returns `ChosenTimes`. Raises `FitError` for candidates that are too few, and where no design found tells
    of every value. Source: Fedorov 1972, Theory of Optimal Experiments; Nyberg et al. 2012, Comput Methods Programs Biomed 108:789.

    >>> choose_times(prior, [group], {"cp": range(1, 121)}, by="D").table                  # doctest: +SKIP
    """
    priors, how = priors_of(prior), Approximation(method, full, draws)
    by = criterion(by) if isinstance(by, str) else by
    _check(groups, candidates, apart)
    board = _board(priors, groups, [dict(candidates)] * len(groups), by, how)
    first = [_snapped(group, board, g, apart) for g, group in enumerate(groups)]
    others = [[_random(group, board, g, apart, seed + 1000 * s + g) for g, group in enumerate(groups)] for s in range(1, starts)]
    found = max((_exchanged(board, picks, apart) for picks in [first, *others]), key=lambda x: x[1])
    best, score = _groups(groups, board, found[0]), found[1]
    for r in range(ROUNDS if continuous else 0):
        board = _board(priors, best, [_around(g, candidates, r) for g in best], by, how)
        picks, score = _exchanged(board, [_snapped(group, board, g, apart) for g, group in enumerate(best)], apart)
        best = _groups(best, board, picks)
    if not np.isfinite(score):
        raise FitError(
            f"No choice of these candidates tells of all of {', '.join(estimated(priors[0]))}. Give more samples or groups, or hold a value as a number."
        )
    own = tuple(expected_information(p, best, method=method, full=full, draws=draws) for p in priors)
    given = [by.score(expected_information(p, groups, method=method, full=full, draws=draws)) for p in priors]
    return ChosenTimes(tuple(best), own, float(score), by.efficiency(float(score), float(np.mean(given)), len(estimated(priors[0]))))


def priors_of(prior: Any) -> tuple[PatientPrior, ...]:
    return (prior,) if isinstance(prior, PatientPrior) else tuple(prior)


def _check(groups: Sequence[SamplingGroup], candidates: Mapping[str, Any], apart: float) -> None:
    for group in groups:
        for o, hours in group.times.items():
            if o not in candidates:
                raise FitError(f"The groups sample '{o}', and candidates have no times for it. {choices(o, candidates)}")
            if len(np.unique(np.asarray(candidates[o], float))) < len(hours):
                raise FitError(
                    f"A group takes {len(hours)} samples of '{o}', and there are fewer candidates. Give more times, or fewer samples."
                )
    if not apart >= 0:
        raise FitError(f"choose_times(apart={apart!r}): hours between two samples, 0 or more.")


def _board(priors: Any, groups: Sequence[SamplingGroup], times: Sequence[Mapping[str, Any]], by: Criterion, how: Approximation) -> _Board:
    wide = [replace(g, times={o: np.unique(np.asarray(t[o], float)) for o in g.times}) for g, t in zip(groups, times, strict=True)]
    pieces = tuple(tuple(Piece.of(p, g, how) for g in wide) for p in priors)
    samples = [g.samples(priors[0].model) for g in wide]
    empty = tuple(
        ExpectedInformation(estimated(p), np.zeros((len(own[0].values), 1, 1)), own[0].values)
        for p, own in zip(priors, pieces, strict=True)
    )
    return _Board(pieces, tuple(h for h, _ in samples), tuple(w for _, w in samples), empty, by, tuple(priors[0].model.observable_names))


def _free(board: _Board, g: int, picks: np.ndarray, k: int, apart: float) -> np.ndarray:
    """Candidates that sample k of group g may take beside the others."""
    hours, which = board.hours[g], board.which[g]
    same = [j for j in range(len(picks)) if j != k and which[picks[j]] == which[picks[k]]]
    gap = np.min(np.abs(hours[:, None] - hours[picks[same]]), axis=1, initial=np.inf)
    return np.flatnonzero((which == which[picks[k]]) & (gap > 0) & (gap >= apart * (1 - 1e-12)))


def _exchanged(board: _Board, picks: list[np.ndarray], apart: float) -> tuple[list[np.ndarray], float]:
    """Sweeps over all samples until none moves."""
    picks, score = [np.array(p) for p in picks], float(board.score(picks))
    for _ in range(SWEEPS):
        before = score
        for g, own in enumerate(picks):
            for k in range(len(own)):
                open_ = _free(board, g, own, k, apart)
                rows = np.tile(own, (len(open_), 1))
                rows[:, k] = open_
                scores = board.score(picks, g, rows)
                best = int(np.argmax(scores))
                if scores[best] > score + 1e-12 * abs(score) or not np.isfinite(score):
                    own[k], score = open_[best], float(scores[best])
        if not score > before:
            break
    return picks, score


def _snapped(group: SamplingGroup, board: _Board, g: int, apart: float) -> np.ndarray:
    """The candidates nearest to the group's times, each taken once."""
    model_times = [(o, float(t)) for o in group.times for t in np.asarray(group.times[o], float)]
    picks: list[int] = []
    for o, t in model_times:
        taken = np.array([board.hours[g][p] for p in picks if board.which[g][p] == board.names.index(o)])
        gap = np.min(np.abs(board.hours[g][:, None] - taken), axis=1, initial=np.inf)
        allowed = np.flatnonzero((board.which[g] == board.names.index(o)) & (gap > 0) & (gap >= apart * (1 - 1e-12)))
        if not allowed.size:
            raise FitError(f"Group {g}: its {len(model_times)} samples cannot lie {apart:g} h apart among these candidates.")
        picks.append(int(allowed[np.argmin(np.abs(board.hours[g][allowed] - t))]))
    return np.array(picks)


def _random(group: SamplingGroup, board: _Board, g: int, apart: float, seed: int) -> np.ndarray:
    """Random times in the place of the group's own."""
    low, high = board.hours[g].min(), board.hours[g].max()
    u = np.asarray(jax.random.uniform(jax.random.key(seed), (sum(len(t) for t in group.times.values()),)))
    at, times = 0, {}
    for o, t in group.times.items():
        times[o] = low + (high - low) * np.sort(u[at : at + len(t)])
        at += len(t)
    try:
        return _snapped(replace(group, times=times), board, g, apart)
    except FitError:  # these random ones do not fit between each other: the group's own do
        return _snapped(group, board, g, apart)


def _groups(groups: Sequence[SamplingGroup], board: _Board, picks: Sequence[np.ndarray]) -> list[SamplingGroup]:
    found = []
    for g, group in enumerate(groups):
        hours, which = board.hours[g][picks[g]], board.which[g][picks[g]]
        found.append(replace(group, times={o: np.sort(hours[which == board.names.index(o)]) for o in group.times}))
    return found


def _around(group: SamplingGroup, candidates: Mapping[str, Any], r: int) -> dict[str, np.ndarray]:
    """Times near each of the group's own, closer round by round, within the candidates' range."""
    found = {}
    for o, hours in group.times.items():
        grid = np.unique(np.asarray(candidates[o], float))
        step = np.max(np.diff(grid), initial=0.0) / 4.0**r
        near = (np.asarray(hours)[:, None] + step * np.linspace(-1, 1, NEAR)).ravel()
        found[o] = np.clip(np.append(near, hours), grid[0], grid[-1])
    return found


def compare_designs(
    prior: PatientPrior, designs: Mapping[str, Sequence[SamplingGroup]], *, by: Criterion | str = "D", method: str = "FO", draws: int = 1
) -> pd.DataFrame:
    """A row a design: subjects, samples, score of the criterion, efficiency against the first, and the expected relative standard error (%) of each value.

    An efficiency of 0.5 means that it takes twice the subjects for the precision of the first.

    >>> compare_designs(prior, {"trial": [rich], "sparse": [few]})                          # doctest: +SKIP
    """
    by = criterion(by) if isinstance(by, str) else by
    lines, first = [], None
    for name, groups in designs.items():
        found = expected_information(prior, groups, method=method, draws=draws)
        score = float(by.score(found))
        first = score if first is None else first
        samples = sum(g.subjects * sum(len(t) for t in g.times.values()) for g in groups)
        told = {f"rse_{n}": x for n, x in found.table["rse"].items()}
        size = by.efficiency(score, first, len(found.names))
        lines.append(
            {"design": name, "subjects": sum(g.subjects for g in groups), "samples": samples, "score": score, "efficiency": size, **told}
        )
    return pd.DataFrame(lines).set_index("design")


def extra_sample(
    prior: PatientPrior,
    groups: Sequence[SamplingGroup],
    candidates: Mapping[str, Any],
    of: Quantity,
    *,
    method: str = "FO",
    draws: int = 1,
) -> pd.DataFrame:
    """Which one more sample would sharpen a quantity most: a row for each group, observable and candidate time, the best first.

    `of` is the name of a value, or a function of the values. Columns: group, observable, time (h), se (expected standard error with that sample in each
    subject of the group) and gain (1 - se / se as it is). Raises `FitError` for observables without a residual error, and a quantity that is not known.

    >>> extra_sample(prior, [group], {"cp": [0.5, 4, 48]}, "ka").iloc[0]["time"]            # doctest: +SKIP
    0.5
    """
    how, now = Approximation(method, False, draws), expected_information(prior, groups, method=method, draws=draws)
    before, lines = now.se_of(of), []
    for g, group in enumerate(groups):
        rest = [Piece.of(prior, x, how) for i, x in enumerate(groups) if i != g]
        base = sum((p.information(np.arange(p.slopes.sd.shape[0])) for p in rest), np.zeros_like(now.matrices))
        for o, hours in candidates.items():
            own = {**group.times, o: np.concatenate([np.asarray(group.times.get(o, []), float), np.asarray(hours, float)])}
            wide = replace(group, times=own)
            piece, (times, which) = Piece.of(prior, wide, how), wide.samples(prior.model)
            new = np.flatnonzero(which == prior.model.observable_names.index(o))[len(group.times.get(o, [])) :]
            kept = np.setdiff1d(np.arange(len(times)), new)
            matrices = base + piece.information(np.stack([np.append(kept, k) for k in new]))
            for k, m in zip(new, matrices, strict=True):
                se = replace(now, matrices=m).se_of(of)
                lines.append((g, o, float(times[k]), se, 1.0 - se / before))
    return pd.DataFrame(lines, columns=["group", "observable", "time", "se", "gain"]).sort_values("se", kind="stable", ignore_index=True)
