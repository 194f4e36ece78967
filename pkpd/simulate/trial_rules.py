"""Rules that say which dose the next cohort gets, when to stop, and which dose is recommended: 3+3, BOIN, a Bayesian limit. Vectorised over R trials.

A rule has `decide(level, n, y)` -> (next level [R], stopped [R]) and `select(level, n, y, stopped)` -> dose [R] (-1: none), with level [R] the dose just
given, n [R, J] subjects evaluated at each of J doses and y [R, J] those with toxicity. Doses count from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from pkpd.errors import FitError


@dataclass(frozen=True)
class ThreePlusThree:
    """Cohorts of three: none of 3 or at most 1 of 6 goes up, 2 go down; `expand` treats six at the dose recommended."""

    expand: bool = True

    def check(self, cohort: int) -> None:
        if cohort != 3:
            raise FitError(f"3+3 treats cohorts of 3, not {cohort}.")

    def decide(self, level: np.ndarray, n: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the module says."""
        r, top = np.arange(len(level)), n.shape[1] - 1
        ceiling = _first(y >= 2) - 1  # the highest dose that may still be given
        own, toxic = n[r, level], y[r, level]
        again = (own == 3) & (toxic == 1)
        passed = ((own == 3) & (toxic == 0)) | ((own >= 6) & (toxic <= 1))
        up = passed & (level < np.minimum(ceiling, top))
        at_end = passed & ~up
        fill = at_end & (own == 3) & self.expand
        down = toxic >= 2
        below = np.maximum(level - 1, 0)
        wanted = 6 if self.expand else 1  # a trial that began above the lowest dose comes to doses that nobody has had
        lower = down & (level > 0) & (n[r, below] < wanted)
        following = np.where(up, level + 1, np.where(lower, below, level))
        return following, ~(again | up | fill | lower)

    def select(self, level: np.ndarray, n: np.ndarray, y: np.ndarray, stopped: np.ndarray) -> np.ndarray:
        """The highest dose given below the first that was too toxic; none where there is none, or where the trial did not end by the rule."""
        dose = np.arange(n.shape[1])
        highest = np.where((n > 0) & (dose < _first(y >= 2)[:, None]), dose, -1).max(1)
        return np.where(stopped, highest, -1)


@dataclass(frozen=True)
class Boin:
    """The Bayesian optimal interval design: up where the observed rate is at most `escalate`, down where it is at least `deescalate`."""

    target: float
    low: float
    high: float
    cutoff: float = 0.95
    enough: int | None = None

    @property
    def escalate(self) -> float:
        """ln((1 - low) / (1 - t)) / ln(t (1 - low) / (low (1 - t)))"""
        t, a = self.target, self.low
        return float(np.log((1 - a) / (1 - t)) / np.log(t * (1 - a) / (a * (1 - t))))

    @property
    def deescalate(self) -> float:
        """ln((1 - t) / (1 - high)) / ln(high (1 - t) / (t (1 - high)))"""
        t, b = self.target, self.high
        return float(np.log((1 - t) / (1 - b)) / np.log(b * (1 - t) / (t * (1 - b))))

    def check(self, cohort: int) -> None:
        """Any cohort will do."""

    def eliminated(self, n: np.ndarray, y: np.ndarray) -> np.ndarray:
        """First dose [R] with P(p > target) > cutoff under a uniform prior, from three subjects on; that and all above are closed."""
        return _first((n >= 3) & (beta.sf(self.target, 1 + y, 1 + n - y) > self.cutoff))

    def decide(self, level: np.ndarray, n: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the module says."""
        r, top = np.arange(len(level)), n.shape[1] - 1
        closed = self.eliminated(n, y)
        rate = y[r, level] / np.maximum(n[r, level], 1)
        move = np.where(rate <= self.escalate, 1, np.where(rate >= self.deescalate, -1, 0))
        following = np.clip(level + move, 0, np.minimum(top, closed - 1).clip(0))
        stop = closed == 0
        if self.enough is not None:
            stop = stop | ((following == level) & (n[r, level] >= self.enough))
        return following, stop

    def select(self, level: np.ndarray, n: np.ndarray, y: np.ndarray, stopped: np.ndarray) -> np.ndarray:
        """The open dose whose isotonic estimate of (y + 0.05) / (n + 0.1) is nearest to the target; of ties the higher below it, the lower above."""
        open_ = np.arange(n.shape[1]) < self.eliminated(n, y)[:, None]
        n, y = np.where(open_, n, 0), np.where(open_, y, 0)  # what is closed tells nothing of the others, as in the BOIN package
        rate = isotonic((y + 0.05) / (n + 0.1), n, y)
        rate = rate + 1e-10 * np.arange(1, n.shape[1] + 1)
        far = np.where(n > 0, np.abs(rate - self.target), np.inf)
        return np.where(np.isfinite(far).any(1), far.argmin(1), -1)


@dataclass(frozen=True)
class BayesianLimit:
    """P(p > limit | y, n) under Beta(prior): above `stop` the dose and all above are closed, below `go` the next one is given."""

    limit: float
    go: float
    stop: float
    prior: tuple[float, float] = (0.5, 0.5)

    def check(self, cohort: int) -> None:
        """Any cohort will do."""

    def over(self, n: np.ndarray, y: np.ndarray) -> np.ndarray:
        """P(p > limit | y, n) [R, J]."""
        return beta.sf(self.limit, self.prior[0] + y, self.prior[1] + n - y)

    def decide(self, level: np.ndarray, n: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the module says."""
        r, over = np.arange(len(level)), self.over(n, y)
        closed = _first((n > 0) & (over > self.stop))
        up = (over[r, level] < self.go).astype(int)
        return np.clip(level + up, 0, np.minimum(n.shape[1] - 1, closed - 1).clip(0)), closed == 0

    def select(self, level: np.ndarray, n: np.ndarray, y: np.ndarray, stopped: np.ndarray) -> np.ndarray:
        """The highest dose given that is open and less likely than not above the limit."""
        over = self.over(n, y)
        good = (n > 0) & (np.arange(n.shape[1]) < _first((n > 0) & (over > self.stop))[:, None]) & (over < 0.5)
        return np.where(good, np.arange(n.shape[1]), -1).max(1)


def _first(bad: np.ndarray) -> np.ndarray:
    """The first dose for which `bad` [R, J] holds, J where none does."""
    return np.where(bad.any(1), bad.argmax(1), bad.shape[1])


def isotonic(rate: np.ndarray, n: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The non-decreasing estimate over the doses given [R, J], weighted by inverse variances: max over a <= j of min over b >= j of the mean of a .. b."""
    weight = np.where(n > 0, (n + 0.1) ** 2 * (n + 1.1) / ((y + 0.05) * (n - y + 0.05)), 0.0)
    total, sums = (np.concatenate([np.zeros((len(n), 1)), np.cumsum(x, 1)], 1) for x in (weight, weight * rate))
    j = n.shape[1]
    found = np.full(n.shape, -np.inf)
    for i in range(j):
        for a in range(i + 1):
            low = np.full(len(n), np.inf)
            for b in range(i, j):
                w = total[:, b + 1] - total[:, a]
                mean = np.divide(sums[:, b + 1] - sums[:, a], w, out=np.full(len(n), np.inf), where=w > 0)
                low = np.minimum(low, mean)
            found[:, i] = np.maximum(found[:, i], np.where(np.isfinite(low), low, -np.inf))
    return found


def three_plus_three(expand: bool = True) -> ThreePlusThree:
    """3+3: 0 of 3 goes up, 1 of 3 treats three more, at most 1 of 6 goes up, 2 stop; the dose below is recommended.

    With `expand` six subjects are treated at the dose recommended (de-escalation); without it the one below the first too toxic one is taken as it is. A
    dose that nobody has had is never recommended: a trial that begins above the lowest dose treats the ones below on its way down. Source:
    Storer 1989, Biometrics 45:925; Lin & Shih 2001, Biostatistics 2:203.

    >>> three_plus_three().expand
    True
    """
    return ThreePlusThree(bool(expand))


def boin(
    target: float = 0.3, *, low: float | None = None, high: float | None = None, cutoff: float = 0.95, enough: int | None = None
) -> Boin:
    """BOIN for a target toxicity rate: boundaries from `low` (0.6 target: clearly too little) and `high` (1.4 target: clearly too much).

    A dose with P(p > target) > `cutoff`, and all above, are closed. The trial ends when the lowest dose is closed, when `most` subjects are treated, or
    (`enough`) when the next cohort would go to the dose just given and that has had `enough` subjects. Raises `FitError` for rates that are not in order
    and an `enough` that is no whole number. Source: Liu & Yuan 2015, J R Stat Soc C 64:507.

    >>> round(boin(0.3).escalate, 3), round(boin(0.3).deescalate, 3)
    (0.236, 0.359)
    """
    low, high = 0.6 * target if low is None else low, 1.4 * target if high is None else high
    if not 0 < low < target < high < 1:
        raise FitError(f"boin(target={target}, low={low:g}, high={high:g}): 0 < low < target < high < 1 is needed.")
    if not 0.5 < cutoff < 1:
        raise FitError(f"boin(cutoff={cutoff}): a probability between 0.5 and 1.")
    if enough is not None and (isinstance(enough, bool) or not isinstance(enough, int) or enough < 1):
        raise FitError(f"boin(enough={enough!r}): a whole number of subjects, at least 1, or None to go on until the last cohort.")
    return Boin(target, low, high, cutoff, enough)


def bayesian_limit(limit: float, *, go: float = 0.25, stop: float = 0.8, prior: tuple[float, float] = (0.5, 0.5)) -> BayesianLimit:
    """A limit on a toxicity rate (CRS of grade 3 or more, say): up while P(rate > limit) < `go`, closed above `stop`, else another cohort.

    The rate of each dose has a Beta(prior) of its own. Raises `FitError` for probabilities that are not in order.

    >>> round(float(bayesian_limit(0.25).over(np.array([[6]]), np.array([[1]]))[0, 0]), 2)
    0.35
    """
    if not (0 < limit < 1 and 0 < go < stop < 1 and min(prior) > 0):
        raise FitError(
            f"bayesian_limit({limit}, go={go}, stop={stop}, prior={prior}): 0 < limit < 1, 0 < go < stop < 1 and a positive prior are needed."
        )
    return BayesianLimit(limit, go, stop, prior)
