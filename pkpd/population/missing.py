"""Missing covariates as parameters: each subject's has the prior that the population states, and the data move it by the effects it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.population.effects import Effect
from pkpd.population.parameters import Individual

MOST = 5


def checked(priors: Any, parameters: Mapping[str, Individual]) -> dict[str, Distribution]:
    """`missing=` of a population, or a `FitError` about the first prior that cannot be."""
    for name, prior in dict(priors).items():
        if not isinstance(prior, Distribution) or prior.event_shape or prior.batch_shape or prior.support.is_discrete:
            raise FitError(
                f"missing={{'{name}': {prior!r}}} takes the prior of one subject's value, dist.LogNormal(4.25, 0.2) for example."
            )
        kinds = {e.kind for v in parameters.values() for e in v.effects if e.covariate == name}
        if not kinds:
            raise FitError(f"missing names '{name}', of which no parameter has an effect: nothing would read its values. Leave it out.")
        if "categorical" in kinds:
            raise FitError(levels_stay(name))
        support: Any = prior.support
        if "power" in kinds and bool(support(-1e-9)):
            raise FitError(
                f"missing={{'{name}': {type(prior).__name__}(...)}}: a power effect needs positive values and this prior reaches others; "
                "take dist.LogNormal(...), for example."
            )
    return dict(priors)


def levels_stay(name: str) -> str:
    return (
        f"{name} has a categorical effect, and a level is not imputed. Give the subjects without one a level of their own in the file "
        "('unknown', as one more number), or leave them out (cohort.subset)."
    )


def lacks(name: str, who: Sequence[str]) -> str:
    return (
        f"{name} is missing in {named(who)}, and a parameter has an effect of it. Give its prior, Population(..., missing={{'{name}': "
        "dist.LogNormal(4.25, 0.2)}) for example, fill it in, or leave these subjects out (cohort.subset)."
    )


def named(who: Sequence[str]) -> str:
    """subjects 3, 7"""
    rest = f" and {len(who) - MOST} more" if len(who) > MOST else ""
    return f"subject{'' if len(who) == 1 else 's'} {', '.join(who[:MOST])}{rest}"


def absent(values: Any) -> np.ndarray:
    """Indices of the missing among values [N]."""
    return np.flatnonzero(np.isnan(np.asarray(values, float)))


def filled(
    parameters: Mapping[str, Individual],
    priors: Mapping[str, Distribution],
    covariates: Mapping[str, Any],
    value: Callable[[str, int], Any],
) -> Mapping[str, Any]:
    """`covariates` with "imputed:NAME" [missing] for each that an effect reads and that is missing somewhere; `value` gives them by name and count."""
    more: dict[str, Any] = {}
    for name in dict.fromkeys(e.covariate for v in parameters.values() for e in v.effects):
        where = absent(covariates[name]) if name in covariates else ()
        if len(where) and name not in priors:
            raise FitError(lacks(name, [f"{i + 1} (counted from 1)" for i in where]))
        if len(where):
            more[f"imputed:{name}"] = value(name, len(where))
    return {**covariates, **more} if more else covariates


def drawn(priors: Mapping[str, Distribution]) -> Callable[[str, int], Any]:
    """Values sampled as `missing_<name>` [missing]."""
    return lambda name, n: numpyro.sample(f"missing_{name}", priors[name].expand([n]).to_event(1))


def stored(sites: Mapping[str, Any]) -> Callable[[str, int], Any]:
    """Values from those of the sites."""

    def value(name: str, n: int) -> Any:
        found = sites.get(f"missing_{name}")
        if found is None or jnp.shape(found) != (n,):
            raise FitError(
                f"{name} is missing in {n} of the subjects given, who have no values in this fit. Fill them in: a typical subject has a value."
            )
        return found

    return value


def column(effect: Effect, x: np.ndarray, covariates: Mapping[str, Any]) -> Any:
    """A design column [N] with the imputed values in the places of the missing."""
    imputed = covariates.get(f"imputed:{effect.covariate}")
    return x if imputed is None else jnp.asarray(x).at[np.flatnonzero(np.isnan(x))].set(effect.regressor(imputed))
