"""Residual error models: additive, proportional, combined (both conventions, by name) and lognormal. One small object an observable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY, Measurement


@dataclass(frozen=True, eq=False)
class ResidualError(Observation):
    """How a measurement scatters around its prediction f: `kind`, and the priors of its standard deviations by site prefix."""

    kind: str
    priors: tuple[tuple[str, Any], ...]
    equation: str
    spread: Callable[..., Any]
    logs: bool = False
    scaled: bool = True
    by_design = True
    tails = True

    def check(self, rows: ObservedRows) -> list[str]:
        """A measured value that is not positive cannot be scored on the log scale."""
        bad = np.flatnonzero((rows.cens == 0) & ~(rows.dv > 0)) if self.logs else np.array([], int)
        if not bad.size:
            return []
        return [
            f"{rows.where(bad[0])} has {rows.observable} = {rows.dv[bad[0]]:g}, which a lognormal residual cannot score; {bad.size} rows are like it. "
            "Mark them censored (CENS=1, DV=LLOQ) or use combined_error(...)."
        ]

    def law(self, f: Any, values: list[Any], rows: ObservedRows, also: Any) -> Measurement:
        """The measured rows, censored ones by the M3 method."""
        return Measurement(*self.mean_sd(f, values), np.full(len(rows.dv), self.logs), rows.cens, rows.lower)

    def mean_sd(self, f: Any, sds: list[Any]) -> tuple[Any, Any]:
        """Mean and standard deviation on the scale where the residual is normal (log scale for lognormal)."""
        mean = jnp.log(jnp.maximum(f, TINY)) if self.logs else f
        return mean, self.spread(f, *sds) * jnp.ones_like(mean)


def _check(name: str, *priors: Any) -> None:
    for p in priors:
        if not isinstance(p, (Distribution, int, float)) or (isinstance(p, (int, float)) and not p > 0):
            raise FitError(f"{name} takes a prior such as dist.HalfNormal(0.5), or a positive number to hold it fixed; got {p!r}.")


def additive_error(sd: Any) -> ResidualError:
    """y = f + e, e ~ N(0, sd); `sd` is a prior in the observable's unit, or a number.

    >>> import numpyro.distributions as dist
    >>> additive_error(dist.HalfNormal(1.0)).sites("cp")
    ['sigma_cp']
    """
    _check("additive_error", sd)
    return ResidualError("additive", (("sigma", sd),), "y = f + e, e ~ N(0, sigma)", lambda f, a: a)


def proportional_error(cv: Any) -> ResidualError:
    """y = f (1 + e), e ~ N(0, cv).

    >>> proportional_error(0.2).kind
    'proportional'
    """
    _check("proportional_error", cv)
    return ResidualError("proportional", (("sigma", cv),), "y = f (1 + e), e ~ N(0, sigma)", lambda f, b: b * jnp.maximum(jnp.abs(f), TINY))


def combined_error(sd: Any, cv: Any, form: int = 2) -> ResidualError:
    """Additive and proportional together: form 2 has variance sd^2 + (cv f)^2 (two independent errors), form 1 has sd + cv f.

    >>> combined_error(0.1, 0.2).sites("cp")
    []
    """
    _check("combined_error", sd, cv)
    if form not in (1, 2):
        raise FitError(f"combined_error(form={form!r}): accepted are 1 (sd + cv f) and 2 (sqrt(sd^2 + (cv f)^2)).")
    spread = (lambda f, a, b: a + b * jnp.abs(f)) if form == 1 else (lambda f, a, b: jnp.sqrt(a**2 + (b * f) ** 2))
    text = "sigma_add + sigma f" if form == 1 else "sqrt(sigma_add^2 + (sigma f)^2)"
    return ResidualError(f"combined {form}", (("sigma_add", sd), ("sigma", cv)), f"y = f + e, e ~ N(0, {text})", spread)


def lognormal_error(sd: Any) -> ResidualError:
    """log y = log f + e, e ~ N(0, sd).

    >>> import numpyro.distributions as dist
    >>> lognormal_error(dist.HalfNormal(0.5)).logs
    True
    """
    _check("lognormal_error", sd)
    return ResidualError("lognormal", (("sigma", sd),), "log y = log f + e, e ~ N(0, sigma)", lambda f, s: s, logs=True)
