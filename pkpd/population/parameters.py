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
    """theta_i = g^-1( g(theta) + sum beta x_i + omega eta_i ),  eta_i ~ N(0, 1);  g is log, logit, identity, or the inverse of `own`.

    `prior` is the prior of theta in the parameter's own unit, `between` that of omega (or a number); `centred` is None (chosen from the data
    and printed), True, False, a weight between, a weight for each subject [N], "by_subject" (chosen for each subject) or "mean" (one for all).
    `gamma` is the sd of the deviation at each `occasion` (prior or number), `tau` that of the deviation of each `level` of a column, `shape`
    that of a Box-Cox eta, `df` the degrees of freedom of a Student's t eta.
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
    level: str | None = None
    tau: Any = None
    df: Any = None
    own: Any = None

    def effect(
        self, covariate: str, *, reference: float, prior: Any = None, power: Any = None, slope: Any = None, per: float = 1.0
    ) -> Individual:
        """Add a covariate effect, by one of three: theta (x/reference)^power, g(theta) + slope (x - reference)/per, or a categorical shift.

        `power` and `slope` (in one over `per` units of the covariate) are a distribution, a `horseshoe` or a fixed number, `prior` is the
        distribution (or `horseshoe`) of the shift. Raises `FitError` when none or several are given, for a tied parameter, and for a `per`
        that is not positive or not of a slope.

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
        if per != 1.0 and (kind != "exponential" or not per > 0):
            raise FitError(f"The effect of {covariate} has per={per:g}: a positive number, and of slope=... only.")
        return replace(self, effects=(*self.effects, replace(_MADE[kind](covariate, reference, beta), per=float(per))))

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
        return replace(self, occasion=column, gamma=spread("over", prior, "gamma"))

    def across(self, column: str, prior: Any) -> Individual:
        """Let each level s of `column` (study, centre) deviate: g(theta_i) = g(theta) + sum beta x_i + lambda_s(i) + omega eta_i, lambda_s ~ N(0, tau).

        `column` is a covariate that does not change within a subject; `prior` is the distribution of tau (sd on the transformed scale) or a
        positive number. Raises `FitError` for a tied parameter, a second column, or a tau that is not positive. Source: Laporte-Simitsidis
        et al. 2000, J Pharm Sci 89:155.

        >>> import numpyro.distributions as dist
        >>> lognormal(dist.LogNormal(1.0, 0.5)).across("STUDY", dist.HalfNormal(0.3)).level
        'STUDY'
        """
        if self.tied_to is not None:
            raise FitError(f"A tied parameter has no levels of its own: it follows '{self.tied_to}'. Put .across('{column}', ...) there.")
        if self.level is not None:
            raise FitError(
                f"The parameter varies across '{self.level}' and across '{column}'; one column of levels is accepted. Keep one, or number the "
                "levels of both in one column."
            )
        if not isinstance(prior, (Distribution, int, float)):
            raise FitError(
                f"across('{column}', {prior!r}) takes a prior of the standard deviation tau, dist.HalfNormal(0.3) for example, or a number."
            )
        return replace(self, level=column, tau=spread("across", prior, "tau"))

    def tails(self, df: Any) -> Individual:
        """Student's t in the place of the normal: eta_i ~ t_df(0, omega), for populations with outlying subjects.

        `df` is a prior of the degrees of freedom, dist.Gamma(2, 0.1) for example, or a number above 2. omega is the scale: the sd of eta is
        omega sqrt(df / (df - 2)). Raises `FitError` for a parameter that is tied, has no spread, has tails already or a Box-Cox shape, and for
        a df that is not positive. Source: Lange, Little & Taylor 1989, J Am Stat Assoc 84:881.

        >>> import numpyro.distributions as dist
        >>> lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)).tails(4).df
        4
        """
        if self.tied_to is not None:
            raise FitError(f"A tied parameter has no random effects of its own: it follows '{self.tied_to}'. Put .tails(...) there.")
        if self.between is None:
            raise FitError(
                f"tails({_told(df)}): the parameter does not vary between subjects; give between=dist.HalfNormal(0.5), for example."
            )
        if self.shape is not None:
            raise FitError(f"tails({_told(df)}): a Box-Cox eta is normal before it is bent; take lognormal(...).tails(...) or boxcox(...).")
        if self.df is not None:
            raise FitError(f"tails({_told(df)}): the parameter has tails already; give them once.")
        if not isinstance(df, (Distribution, int, float)):
            raise FitError(f"tails({df!r}) takes a prior of the degrees of freedom, dist.Gamma(2, 0.1) for example, or a number above 2.")
        if isinstance(df, Distribution) and bool(df.support(-1e-9)):
            raise FitError(f"tails({_told(df)}): degrees of freedom are positive; take dist.Gamma(2, 0.1), for example.")
        if not isinstance(df, Distribution) and not df > 2:
            raise FitError(f"tails({df:g}): a number of degrees of freedom is above 2, where eta has a variance; a prior may reach below.")
        return replace(self, df=df)

    def forward(self, x: Any) -> Any:
        return _TO[self.scale](x) if self.own is None else self.own.forward(x)

    def back(self, x: Any) -> Any:
        return _BACK[self.scale](x) if self.own is None else self.own.back(x)

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
    return Individual(scale, prior, between=spread(word, between), centred=_weight(word, centred), source=source)


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


def _told(value: Any) -> str:
    return f"{type(value).__name__}(...)" if isinstance(value, Distribution) else repr(value)


def spread(word: str, between: Any, called: str = "between") -> Any:
    """A standard deviation as it was given: a prior, a number or None; refused where it is not positive."""
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
    return Individual(scale, value=float(value), between=spread("fixed", between), source=source)


def tied(to: str, times: float = 1.0, *, source: str = "") -> Individual:
    """A parameter that is a fixed multiple of another one, subject by subject: theta_i = times x other_i.

    >>> tied("k_BH", 0.4).times
    0.4
    """
    return Individual("identity", tied_to=to, times=float(times), source=source)
