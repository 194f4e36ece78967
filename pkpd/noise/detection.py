"""Detected or not: a probability of detection around a limit (LOD), and the interval in which a subject's signal disappears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints
from scipy.special import ndtri

from pkpd.errors import FitError, choices
from pkpd.noise import told
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.tails import log_below, log_between
from pkpd.noise.wrapped import missing, need_prior, where

_KINDS = {"LOD50": 0.0, "LOD95": float(ndtri(0.95))}
_CLOSE = 1e-4
_NOTHING, _ONLY_POSITIVE, _ONLY_NEGATIVE, _PAIR = 0, 1, 2, 3


def _log(x: Any) -> Any:
    return jnp.log(jnp.maximum(x, TINY))


def _limits(lod: float | None, rows: ObservedRows) -> np.ndarray:
    return rows.columns["lloq"] if lod is None else np.full(len(rows.dv), float(lod))


def _check_rows(word: str, lod: float | None, rows: ObservedRows) -> list[str]:
    found = [
        f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and {word} takes 1 (detected) or 0 (not detected)."
        for i in np.flatnonzero(~np.isin(rows.dv, (0.0, 1.0)))
    ]
    found += [
        f"{where(rows, i)}: '{rows.observable}' is marked as censored, and {word} takes CENS 0 with a DV of 1 or 0; mark a row not detected by DV 0."
        for i in np.flatnonzero(rows.cens != 0)
    ]
    if lod is not None:
        return found
    found += missing(rows, "lloq", word, f"Give the limit in the data, or {word}(..., lod=...).")
    low = np.flatnonzero(rows.columns["lloq"] <= 0) if "lloq" in rows.columns else []
    return found + [f"{where(rows, i)}: the limit of detection is {rows.columns['lloq'][i]:g}; it must be above 0." for i in low]


def _seen(rows: ObservedRows) -> str:
    return f"Detection only: {(rows.dv == 1).sum()} positive (DV 1), {(rows.dv == 0).sum()} negative (DV 0)."


def _told_limits(word: str, lod: float | None, rows: ObservedRows) -> str:
    return f"{word}: {told.listed(_limits(lod, rows))}{'' if lod is None else ', the same for all rows'}."


def _need_lod(word: str, lod: Any) -> None:
    if lod is not None and (isinstance(lod, bool) or not isinstance(lod, (int, float)) or not lod > 0):
        raise FitError(f"{word}(lod={lod!r}): accepted is a number above 0 in the observable's unit, or None for the lloq of each row.")


class Detected(dist.Distribution):
    """Rows of 1 with probability fp + (1 - fp) Phi(z), else 0; `fp` None for no false positives."""

    arg_constraints = {"z": constraints.real}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.boolean
    pytree_data_fields = ("z", "fp")

    def __init__(self, z: Any, fp: Any = None, *, validate_args: Any = None):
        self.z, self.fp = z, fp
        super().__init__(batch_shape=jnp.shape(z), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-probability of each row."""
        yes, no = log_below(self.z), log_below(-self.z)
        if self.fp is not None:
            stay = jnp.log1p(-jnp.minimum(self.fp, 1.0 - 1e-15))
            yes, no = jnp.logaddexp(_log(self.fp), stay + yes), stay + no
        return jnp.where(value > 0.5, yes, no)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        one, two = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        found = jax.random.normal(one, shape) < self.z
        false = jax.random.uniform(two, shape) < (0.0 if self.fp is None else self.fp)
        return (found | false).astype(float)


@dataclass(frozen=True, eq=False)
class Detection(Observation):
    """Rows of detected (1) or not (0); see `detection`."""

    priors: tuple[tuple[str, Any], ...]
    lod: float | None
    shift: float
    kind: str
    equation: str
    logs: bool = False
    endpoint: str = "binary"
    by_design = True

    def told(self, rows: ObservedRows) -> list[str]:
        return [_seen(rows), _told_limits(self.kind.removeprefix("detection, "), self.lod, rows)]

    def check(self, rows: ObservedRows) -> list[str]:
        return _check_rows("detection", self.lod, rows)

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Detected:
        z = (_log(f) - np.log(_limits(self.lod, rows))) / values[0] + self.shift
        return Detected(z, values[1] if len(values) > 1 else None)


def detection(sd: Any, lod: float | None = None, kind: str = "LOD50", false_positive: Any = 0.0) -> Detection:
    """An assay that only says yes (DV 1) or no (DV 0): P(yes) = fp + (1 - fp) Phi((ln f - ln LOD50) / sigma).

    `sd`: prior of sigma, on the log scale (or a number). `lod`: the limit in the observable's unit, or None for the lloq of each row.
    `kind`: at the limit P(yes) is 0.5 ("LOD50") or 0.95 ("LOD95" = LOD50 exp(1.645 sigma)), apart from false positives. `false_positive`: prior of
    fp between 0 and 1, or a number from 0 on. Prefixes: sigma, and fp where it is not 0. Raises `FitError`.
    Source: Forootan et al. 2017, Biomol Detect Quantif 12:1 (LOD95 of qPCR).

    >>> import numpyro.distributions as dist
    >>> detection(dist.HalfNormal(0.5), lod=50.0, false_positive=dist.Beta(1, 50)).sites("pcr")
    ['sigma_pcr', 'fp_pcr']
    """
    need_prior("detection", "sd", sd)
    _need_lod("detection", lod)
    if kind not in _KINDS:
        raise FitError(f"detection(kind={kind!r}): no such limit. {choices(str(kind), _KINDS)}")
    never = isinstance(false_positive, (int, float)) and not isinstance(false_positive, bool) and false_positive == 0
    if not never:
        need_prior("detection", "false_positive", false_positive, 0.0, 1.0, "dist.Beta(1, 50)")
    priors = (("sigma", sd), *(() if never else (("fp", false_positive),)))
    phi = f"Phi((ln f - ln {kind}) / sigma{' + 1.645' if kind == 'LOD95' else ''})"
    return Detection(priors, lod, _KINDS[kind], f"detection, {kind}", f"P(yes) = {phi if never else f'fp + (1 - fp) {phi}'}")


class Disappearance(dist.Distribution):
    """The interval in which each subject's signal falls below what is detected, one term a subject.

    `c` [n]: (ln LOD - ln f)/sigma; a row is positive where the subject's e ~ N(0, 1) is above it. `role` [n]: nothing, the only positive, the
    only negative, or the negative of a pair, whose positive row is `partner` [n]. The roles were read from the data, so `log_prob` ignores its value.
    """

    arg_constraints = {"c": constraints.real}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.boolean
    pytree_data_fields = ("c",)
    pytree_aux_fields = ("role", "partner", "subject")

    def __init__(self, c: Any, role: np.ndarray, partner: np.ndarray, subject: np.ndarray, *, validate_args: Any = None):
        self.c, self.role, self.partner, self.subject = c, role, partner, subject
        super().__init__(batch_shape=jnp.shape(c), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-probability of each subject's interval, on its negative row (on the positive one where it has no other)."""
        pair = self.role == _PAIR
        a, b = jnp.where(pair, self.c[..., self.partner], -1.0), jnp.where(pair, self.c, 1.0)
        gap = b - a
        between = log_between(a, a + jnp.maximum(gap, _CLOSE)) + jnp.minimum(gap - _CLOSE, 0.0) / _CLOSE
        single = log_below(jnp.where(self.role == _ONLY_POSITIVE, -self.c, self.c))
        return jnp.where(pair, between, jnp.where(self.role == _NOTHING, 0.0, single))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Rows of 0 and 1, with one threshold a subject."""
        e = jax.random.normal(key, (*sample_shape, int(np.max(self.subject, initial=0)) + 1))
        return (e[..., self.subject] > self.c).astype(float)


@dataclass(frozen=True, eq=False)
class LastPositive(Observation):
    """Rows of detected (1) or not (0), of which the last 1 and the next 0 count; see `last_positive`."""

    priors: tuple[tuple[str, Any], ...]
    lod: float | None
    kind: str
    equation: str
    logs: bool = False
    endpoint: str = "binary"

    def told(self, rows: ObservedRows) -> list[str]:
        role, _ = _roles(rows)
        pair, positive, negative, nothing = (int((role == k).sum()) for k in (_PAIR, _ONLY_POSITIVE, _ONLY_NEGATIVE, _NOTHING))
        return [
            _seen(rows),
            f"Disappearance between a last positive and a first negative row: {told.many(pair, 'subject')}; always positive: {positive}; "
            f"never positive: {negative}.",
            f"Other rows, which count 0: {nothing - pair}.",
            _told_limits("LOD", self.lod, rows),
        ]

    def check(self, rows: ObservedRows) -> list[str]:
        return _check_rows("last_positive", self.lod, rows)

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Disappearance:
        c = (np.log(_limits(self.lod, rows)) - _log(f)) / values[0]
        return Disappearance(c, *_roles(rows), rows.subject)


def _roles(rows: ObservedRows) -> tuple[np.ndarray, np.ndarray]:
    """What each row counts for, and the positive row of each negative one that makes a pair (else itself)."""
    role, partner = np.zeros(len(rows.dv), int), np.arange(len(rows.dv))
    order = np.lexsort((rows.dv == 0, rows.time, rows.subject))
    for i in np.unique(rows.subject):
        mine = order[rows.subject[order] == i]
        positive = np.flatnonzero(rows.dv[mine] == 1)
        later = mine[positive[-1] + 1 :] if len(positive) else mine
        if not len(positive):
            role[later[0]] = _ONLY_NEGATIVE
        elif not len(later):
            role[mine[positive[-1]]] = _ONLY_POSITIVE
        else:
            role[later[0]], partner[later[0]] = _PAIR, mine[positive[-1]]
    return role, partner


def last_positive(sd: Any, lod: float | None = None) -> LastPositive:
    """When a signal was last found and first not found: the disappearance lies between, and counts once for a subject.

    With c(t) = (ln LOD - ln f(t)) / sigma, last positive (DV 1) at t_a, first negative after it (DV 0) at t_b: Phi(c(t_b)) - Phi(c(t_a)) on the
    negative row; 1 - Phi(c(t_a)) where a subject has no later negative, Phi(c(t_b)) where it has no positive. All other rows count 0.
    It holds where f falls from t_a to t_b. Where it does not (c(t_b) < c(t_a) + 1e-4) the logarithm goes on as a straight line in c(t_b) - c(t_a)
    with slope 1e4: very low, finite, and its gradient points to a falling f. `sd`: prior of sigma (log scale), or a number;
    `lod`: the limit in the observable's unit, or None for the lloq of each row. Prefix: sigma. Raises `FitError`.
    Source: interval censoring, Lindsey & Ryan 1998.

    >>> import numpyro.distributions as dist
    >>> last_positive(dist.HalfNormal(0.5), lod=50.0).sites("persistence")
    ['sigma_persistence']
    """
    need_prior("last_positive", "sd", sd)
    _need_lod("last_positive", lod)
    equation = "P = Phi(c(t_b)) - Phi(c(t_a)), c = (ln LOD - ln f) / sigma"
    return LastPositive((("sigma", sd),), lod, "last positive", equation)
