"""Endpoints in whole numbers: yes or no, ordered grades, counts, and copies found in a PCR reaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from numpyro.distributions import constraints

from pkpd.errors import FitError, choices
from pkpd.noise import told
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.wrapped import need_prior, refuse_censored, where


def log1mexp(gap: Any) -> Any:
    """log(1 - exp(-gap)) for gap > 0, stable at both ends."""
    gap = jnp.maximum(gap, TINY)
    small = gap < 0.693
    return jnp.where(small, jnp.log(-jnp.expm1(-jnp.where(small, gap, 0.5))), jnp.log1p(-jnp.exp(-jnp.where(small, 1.0, gap))))


class Classes(dist.Distribution):
    """Rows in classes first, first + 1, ... with log-probabilities `logp` [n, k]."""

    arg_constraints = {"logp": constraints.real_vector}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("logp",)
    pytree_aux_fields = ("first",)

    def __init__(self, logp: Any, first: int = 0, *, validate_args: Any = None):
        self.logp, self.first = logp, first
        super().__init__(batch_shape=jnp.shape(logp)[:-1], validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-probability of each row."""
        k = jnp.asarray(value).astype(int) - self.first
        return jnp.sum(jnp.where(k[..., None] == np.arange(self.logp.shape[-1]), self.logp, 0.0), -1)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return (jax.random.categorical(key, self.logp, shape=sample_shape + self.batch_shape) + self.first).astype(float)


class Counts(dist.Distribution):
    """Counts of mean `mean` [n], dispersion `extra` (None for Poisson) and probability `zero` of a structural zero (or None)."""

    arg_constraints = {"mean_count": constraints.positive}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real

    def __init__(self, mean: Any, extra: Any = None, zero: Any = None, *, validate_args: Any = None):
        self.mean_count, self.extra, self.zero = jnp.maximum(mean, TINY), extra, zero
        super().__init__(batch_shape=jnp.shape(mean), validate_args=False)

    pytree_data_fields = ("mean_count", "extra", "zero")

    def _plain(self, y: Any) -> Any:
        m = self.mean_count
        if self.extra is None:
            return y * jnp.log(m) - m - gammaln(y + 1)
        size, am = 1.0 / self.extra, self.extra * m
        return gammaln(y + size) - gammaln(size) - gammaln(y + 1) + y * (jnp.log(am) - jnp.log1p(am)) - size * jnp.log1p(am)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-probability of each row."""
        y = jnp.asarray(value, float)
        plain = self._plain(y)
        if self.zero is None:
            return plain
        p = jnp.clip(self.zero, TINY, 1 - 1e-15)
        stay = jnp.log1p(-p) + plain
        return jnp.where(y == 0, jnp.logaddexp(jnp.log(p), stay), stay)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        one, two, three = jax.random.split(key, 3)
        shape = sample_shape + self.batch_shape
        m = jnp.broadcast_to(self.mean_count, shape)
        if self.extra is not None:
            m = m * self.extra * jax.random.gamma(two, 1.0 / self.extra, shape)
        y = jax.random.poisson(one, m).astype(float)
        return y if self.zero is None else jnp.where(jax.random.uniform(three, shape) < self.zero, 0.0, y)


@dataclass(frozen=True, eq=False)
class Discrete(Observation):
    """An endpoint in whole numbers 0..top; `make(f, values)` is its law."""

    kind: str
    priors: tuple[tuple[str, Any], ...]
    equation: str
    make: Callable[[Any, list], Any]
    top: float = np.inf
    logs: bool = False
    by_design = True

    @property
    def endpoint(self) -> str:
        return "counts" if np.isinf(self.top) else "grades" if self.kind == "ordinal" else "binary"

    def told(self, rows: ObservedRows) -> list[str]:
        return told.frequencies(rows, {"counts": "Counts", "grades": "Grades", "binary": "Values (1 yes, 0 no)"}[self.endpoint])

    def check(self, rows: ObservedRows) -> list[str]:
        bad = (rows.dv != np.round(rows.dv)) | (rows.dv < 0) | (rows.dv > self.top)
        span = "whole numbers from 0 on" if np.isinf(self.top) else f"whole numbers from 0 to {self.top:g}"
        return [
            f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and {self.kind} takes {span}; mend the row."
            for i in np.flatnonzero(bad)
        ] + refuse_censored(rows, self.kind)

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Any:
        return self.make(f, values)


def _log_odds(f: Any) -> Any:
    return jnp.stack([jax.nn.log_sigmoid(-f), jax.nn.log_sigmoid(f)], -1)


def _probability(f: Any) -> Any:
    p = jnp.clip(f, 1e-15, 1 - 1e-15)
    return jnp.stack([jnp.log1p(-p), jnp.log(p)], -1)


def _log_hazard(f: Any) -> Any:
    h = jnp.exp(jnp.clip(f, -69.0, 700.0))
    return jnp.stack([-h, log1mexp(h)], -1)


_LINKS = {"logit": _log_odds, "probability": _probability, "log_hazard": _log_hazard}


def binary(link: str = "logit") -> Discrete:
    """Yes (DV 1) or no (DV 0); the observable is logit P(yes), or P(yes) ("probability"), or ln(-ln P(no)) ("log_hazard").

    >>> binary().sites("response")
    []
    """
    if link not in _LINKS:
        raise FitError(f"binary(link={link!r}): no such link. {choices(str(link), _LINKS)}")
    return Discrete("binary", (), f"P(Y = 1) by {link} = f", lambda f, v: Classes(_LINKS[link](f)), 1)


def _grades(f: Any, slope: Any, steps: list) -> Classes:
    c = jnp.cumsum(jnp.stack([jnp.asarray(s, float) for s in steps]))
    u = slope * (jnp.asarray(f)[..., None] - c)
    inner = jax.nn.log_sigmoid(u[..., :-1]) + jax.nn.log_sigmoid(-u[..., 1:]) + log1mexp(slope * jnp.diff(c))
    return Classes(jnp.concatenate([jax.nn.log_sigmoid(-u[..., :1]), inner, jax.nn.log_sigmoid(u[..., -1:])], -1))


def ordinal(cutpoints: tuple, slope: Any = 1.0) -> Discrete:
    """Grades 0..G: logit P(grade >= g) = slope (f - c_g); `cutpoints` holds the prior (or number) of c_1, then of each gap c_g - c_(g-1) > 0.

    Source: McCullagh 1980, J R Stat Soc B 42:109.

    >>> import numpyro.distributions as dist
    >>> ordinal((dist.Normal(0, 2), dist.HalfNormal(2))).sites("crs")
    ['cut1_crs', 'gap2_crs']
    """
    if not cutpoints:
        raise FitError(
            "ordinal(cutpoints=()): no cutpoint; give the first cutpoint and then the gaps, such as (dist.Normal(0, 2), dist.HalfNormal(2))."
        )
    for i, gap in enumerate(cutpoints[1:], 2):
        need_prior("ordinal", f"gap{i}", gap)
    need_prior("ordinal", "slope", slope)
    names = ["cut1", *(f"gap{i}" for i in range(2, len(cutpoints) + 1))]
    priors = (*zip(names, cutpoints, strict=True), ("slope", slope))
    return Discrete("ordinal", priors, "logit P(Y >= g) = slope (f - c_g)", lambda f, v: _grades(f, v[-1], v[:-1]), len(cutpoints))


def poisson_count() -> Discrete:
    """Counts of mean f, Poisson.

    >>> poisson_count().kind
    'poisson_count'
    """
    return Discrete("poisson_count", (), "Y ~ Poisson(f)", lambda f, v: Counts(f))


def negative_binomial_count(dispersion: Any) -> Discrete:
    """Counts of mean f and variance f + dispersion f^2.

    >>> negative_binomial_count(0.5).sites("n")
    []
    """
    need_prior("negative_binomial_count", "dispersion", dispersion)
    text = "Y ~ negative binomial, variance f + dispersion f^2"
    return Discrete("negative_binomial_count", (("dispersion", dispersion),), text, lambda f, v: Counts(f, v[0]))


def zero_inflated(count: Discrete, probability: Any) -> Discrete:
    """A count that is a structural zero with `probability`, else follows `count`.

    >>> zero_inflated(poisson_count(), 0.2).kind
    'zero_inflated'
    """
    if not isinstance(count, Discrete) or not count.kind.endswith("_count"):
        raise FitError(f"zero_inflated takes poisson_count() or negative_binomial_count(...); got {count!r}.")
    need_prior("zero_inflated", "probability", probability, 0.0, 1.0, "dist.Beta(1, 4)")

    def make(f: Any, v: list) -> Counts:
        return Counts(f, v[0] if len(v) > 1 else None, v[-1])

    return Discrete("zero_inflated", (*count.priors, ("zero", probability)), f"0 with probability zero, else {count.equation}", make)


def copies_per_reaction(per_reaction: float) -> Discrete:
    """Detected (DV 1) or not (DV 0) by PCR: P(not detected) = exp(-f per_reaction), the zero class of a Poisson count of copies in a reaction.

    >>> copies_per_reaction(0.1).kind
    'copies_per_reaction'
    """
    need_prior("copies_per_reaction", "per_reaction", per_reaction)
    text = f"P(not detected) = exp(-{per_reaction:g} f)"

    def make(f: Any, v: list) -> Classes:
        h = jnp.maximum(f * per_reaction, TINY)
        return Classes(jnp.stack([-h, log1mexp(h)], -1))

    return Discrete("copies_per_reaction", (), text, make, 1)
