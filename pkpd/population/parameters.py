"""How one parameter varies over a population: typical value, between-subject spread on a transformed scale, covariates, or fixed, or tied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.population.effects import Effect, categorical, exponential, power

_TO = {"log": jnp.log, "logit": logit, "identity": lambda x: x}
_BACK = {"log": jnp.exp, "logit": lambda x: 1.0 / (1.0 + jnp.exp(-x)), "identity": lambda x: x}


@dataclass(frozen=True, eq=False)
class Individual:
    """theta_i = g^-1( g(theta) + sum beta x_i + omega eta_i ),  eta_i ~ N(0, 1);  g is log, logit or identity.

    `prior` is the prior of theta in the parameter's own unit, `between` that of omega (or a number); `centred` is None (chosen from the data
    and printed), True, False, a weight between, a weight for each subject [N], "by_subject" (chosen for each subject) or "mean" (one for all).
    `gamma` is the sd of the deviation at each `occasion` (prior or number), `shape` that of a Box-Cox eta.
    """

    scale: str
    prior: Distribution | None = None
    value: float | None = None
    between: Any = None
    effects: tuple[Effect, ...] = ()
    centred: Any = None
    source: str = ""
    tied_to: str | None = None
    times: float = 1.0
    occasion: str | None = None
    gamma: Any = None
    shape: Any = None

    def effect(self, covariate: str, *, reference: float, prior: Any = None, power: Any = None, slope: Any = None) -> Individual:
        """Add a covariate effect, by one of three: theta (x/reference)^power, g(theta) + slope (x - reference), or a categorical shift.

        `power` and `slope` (in one over the covariate's unit) are a distribution or a fixed number, `prior` is the distribution of the shift.
        Raises `FitError` when none or several are given, and for a tied parameter.

        >>> import numpyro.distributions as dist
        >>> lognormal(dist.LogNormal(1.0, 0.5)).effect("AGE", reference=40, slope=-0.01).effects[0].kind
        'exponential'
        """
        given = {k: v for k, v in (("power", power), ("exponential", slope), ("categorical", prior)) if v is not None}
        if len(given) != 1:
            raise FitError(
                f"The effect of {covariate} takes power=... (allometric), slope=... (exponential) or prior=... (categorical), one of the three."
            )
        if self.tied_to is not None:
            raise FitError(
                f"A tied parameter takes no effect of its own: it follows '{self.tied_to}'. Put the effect of {covariate} there."
            )
        ((kind, beta),) = given.items()
        return replace(self, effects=(*self.effects, _MADE[kind](covariate, reference, beta)))

    def over(self, column: str, prior: Any) -> Individual:
        """Let the parameter deviate at each occasion k of `column`: g(theta_ik) = g(theta_i) + kappa_ik, kappa_ik ~ N(0, gamma).

        `prior` is the distribution of gamma (sd on the transformed scale) or a positive number. Raises `FitError` for a tied parameter, a second
        column, or a gamma that is not positive. Source: Karlsson & Sheiner 1993, J Pharmacokinet Biopharm 21:735.

        >>> import numpyro.distributions as dist
        >>> lognormal(dist.LogNormal(1.0, 0.5)).over("OCC", dist.HalfNormal(0.3)).occasion
        'OCC'
        """
        if self.tied_to is not None:
            raise FitError(f"A tied parameter has no occasions of its own: it follows '{self.tied_to}'. Put .over('{column}', ...) there.")
        if self.occasion is not None:
            raise FitError(
                f"The parameter varies over '{self.occasion}' and over '{column}'; one column of occasions is accepted. Keep one."
            )
        if not isinstance(prior, (Distribution, int, float)):
            raise FitError(
                f"over('{column}', {prior!r}) takes a prior of the standard deviation gamma, dist.HalfNormal(0.3) for example, or a number."
            )
        return replace(self, occasion=column, gamma=_spread("over", prior, "gamma"))

    def forward(self, x: Any) -> Any:
        return _TO[self.scale](x)

    def back(self, x: Any) -> Any:
        return _BACK[self.scale](x)

    @property
    def varies(self) -> bool:
        return self.between is not None


WEIGHTS = ("by_subject", "mean")
_MADE = {"power": power, "exponential": exponential, "categorical": categorical}
_INSIDE = {"log": "positive", "logit": "between 0 and 1", "identity": "real"}
_OUTSIDE = {"log": (-1.0, -1e-9), "logit": (-1.0, -1e-9, 1.0 + 1e-9, 2.0), "identity": ()}


def _individual(word: str, scale: str, prior: Distribution, between: Any, centred: Any, source: str) -> Individual:
    """Checked: the prior lives where the scale does, and the spread is positive."""
    support: Any = prior.support
    if any(bool(support(x)) for x in _OUTSIDE[scale]):
        raise FitError(
            f"{word}(prior={type(prior).__name__}(...)): this prior reaches values that are not {_INSIDE[scale]}; choose one that does not."
        )
    return Individual(scale, prior, between=_spread(word, between), centred=_weight(word, centred), source=source)


def _weight(word: str, centred: Any) -> Any:
    """What `centred` accepts; a sequence becomes an array."""
    if centred is None or centred in (list(WEIGHTS) if isinstance(centred, str) else ()):
        return centred
    try:
        w = np.asarray(centred, float)
    except (TypeError, ValueError):
        w = np.full(1, np.nan)
    if w.ndim > 1 or not np.all((w >= 0) & (w <= 1)):
        raise FitError(
            f"{word}(centred={centred!r}): accepted are a weight from 0 (non-centred) to 1 (centred), one for each subject, "
            f"{' or '.join(map(repr, WEIGHTS))}, or None."
        )
    return w if w.ndim else centred


def _spread(word: str, between: Any, called: str = "between") -> Any:
    if isinstance(between, Distribution) and bool(between.support(-1e-9)):
        raise FitError(
            f"{word}({called}={type(between).__name__}(...)): a standard deviation is positive; take dist.HalfNormal(0.5), for example."
        )
    if isinstance(between, (int, float)) and not between > 0:
        raise FitError(f"{word}({called}={between:g}): a standard deviation is positive; leave it out for a parameter that does not vary.")
    return between


def lognormal(prior: Distribution, between: Any = None, *, centred: Any = None, source: str = "") -> Individual:
    """A positive parameter: log theta_i = log theta + omega eta_i.

    `prior`: distribution of the typical value in the parameter's unit. `between`: prior of omega (sd of the log), a number, or None for no
    between-subject variability.

    >>> import numpyro.distributions as dist
    >>> lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)).scale
    'log'
    """
    return _individual("lognormal", "log", prior, between, centred, source)


def logit_normal(prior: Distribution, between: Any = None, *, centred: Any = None, source: str = "") -> Individual:
    """A parameter between 0 and 1: logit theta_i = logit theta + omega eta_i; `prior` is on the parameter itself (Beta, for example).

    >>> import numpyro.distributions as dist
    >>> logit_normal(dist.Beta(2, 4)).scale
    'logit'
    """
    return _individual("logit_normal", "logit", prior, between, centred, source)


def normal(prior: Distribution, between: Any = None, *, centred: Any = None, source: str = "") -> Individual:
    """A real parameter: theta_i = theta + omega eta_i.

    >>> import numpyro.distributions as dist
    >>> normal(dist.Normal(0, 1)).scale
    'identity'
    """
    return _individual("normal", "identity", prior, between, centred, source)


def boxcox(prior: Distribution, between: Any, shape: Any, *, source: str = "") -> Individual:
    """A positive parameter with skewed eta: log theta_i = log theta + (exp(shape eta_i) - 1) / shape,  eta_i ~ N(0, omega).

    `prior`: distribution of the typical value in the parameter's unit. `between`: prior of omega or a number. `shape`: prior of the shape or a
    number; 0 is lognormal, above it the right tail is longer. Always non-centred. Raises `FitError` for a spread that is missing or not
    positive. Source: Petersson et al. 2009, Pharm Res 26:2174.

    >>> import numpyro.distributions as dist
    >>> boxcox(dist.LogNormal(1.0, 0.5), dist.HalfNormal(0.5), dist.Normal(0, 1)).scale
    'log'
    """
    if between is None:
        raise FitError(
            "boxcox(between=None): a shape bends the random effects, which need a spread; give between=dist.HalfNormal(0.5), for example."
        )
    if not isinstance(shape, (Distribution, int, float)):
        raise FitError(f"boxcox(shape={shape!r}) takes a prior, dist.Normal(0, 0.5) for example, or a number.")
    return replace(_individual("boxcox", "log", prior, between, False, source), shape=shape)


def fixed(value: float, between: Any = None, *, scale: str = "log", source: str = "") -> Individual:
    """A parameter held at a value (it may still vary between subjects); listed as fixed in the report.

    >>> fixed(0.01).value
    0.01
    """
    if scale not in _TO:
        raise FitError(f"fixed(..., scale={scale!r}): accepted are {', '.join(_TO)}.")
    if (scale == "log" and not value > 0) or (scale == "logit" and not 0 < value < 1):
        raise FitError(
            f"fixed({value:g}) on the {scale} scale must be {_INSIDE[scale]}; a value that is not may be fixed with scale='identity'."
        )
    return Individual(scale, value=float(value), between=_spread("fixed", between), source=source)


def tied(to: str, times: float = 1.0, *, source: str = "") -> Individual:
    """A parameter that is a fixed multiple of another one, subject by subject: theta_i = times x other_i.

    >>> tied("k_BH", 0.4).times
    0.4
    """
    return Individual("identity", tied_to=to, times=float(times), source=source)
