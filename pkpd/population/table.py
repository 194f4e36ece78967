"""The priors of a population as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpyro.distributions import Distribution, TransformedDistribution

from pkpd.population.effects import Effect
from pkpd.population.parameters import Individual
from pkpd.population.shrink import Horseshoe

COLUMNS = ["name", "scale", "prior", "between", "effects", "source"]


def prior_table(given: Any) -> pd.DataFrame:
    """The priors of a `Population`, or of a `FitProblem`: name, scale, prior, between, effects, source, a line for each parameter.

    Priors are told by family, median and 90 % range, in the parameter's unit. Of a problem also the parameters that its population leaves at
    their typical values, and those of the observations.

    >>> from pkpd import default_priors
    >>> from pkpd.models.classic import one_compartment_iv
    >>> prior_table(default_priors(one_compartment_iv, vary=["CL"]))[["name", "scale", "prior", "between"]].iloc[0].tolist()
    ['CL', 'log', 'LogNormal: median 2.87, 90 % 0.548 to 13.9', 'HalfNormal: median 0.326, 90 % 0.0274 to 0.981']
    """
    population = getattr(given, "population", given)
    lines = [_line(n, v) for n, v in population.parameters.items()]
    if population is not given:
        lines += [
            (p.name, "", f"fixed at {p.value:g}", "", "", f"typical value: {p.source}")
            for p in given.model.params
            if p.name not in population.parameters
        ]
        for o, error in given.observations.items():
            lines += [(f"{prefix}_{o}", "", in_words(prior), "", "", "noise of the fit") for prefix, prior in error.priors]
    return pd.DataFrame(lines, columns=COLUMNS)


def _line(name: str, spec: Individual) -> tuple[str, ...]:
    prior = (
        f"{spec.times:g} x {spec.tied_to}" if spec.tied_to is not None else in_words(spec.prior if spec.prior is not None else spec.value)
    )
    between = in_words(spec.between) if spec.between is not None else ""
    return (name, spec.scale, prior, between, "; ".join(_told(spec)), spec.source)


def _told(spec: Individual) -> Iterator[str]:
    for e in spec.effects:
        yield f"{e.kind} {e.covariate} against {e.reference:g}: {_beta(e)}"
    if spec.occasion is not None:
        yield f"occasions {spec.occasion}: {in_words(spec.gamma)}"
    if spec.level is not None:
        yield f"levels {spec.level}: {in_words(spec.tau)}"
    if spec.shape is not None:
        yield f"Box-Cox shape: {in_words(spec.shape)}"
    if spec.df is not None:
        yield f"Student's t, degrees of freedom: {in_words(spec.df)}"


def _beta(effect: Effect) -> str:
    return in_words(effect.beta)


def in_words(prior: Any) -> str:
    """Family, median and 90 % range of a prior (quantiles of 4000 draws with a fixed key); of a number that it is fixed.

    >>> in_words(0.5)
    'fixed at 0.5'
    """
    if not isinstance(prior, (Distribution, Horseshoe)):
        return f"fixed at {float(prior):g}"
    if isinstance(prior, Distribution) and prior.event_shape:
        return f"{family(prior)} of {prior.event_shape[0]}"
    draws = np.asarray(prior.sample(jax.random.PRNGKey(1), (4000,)))
    low, middle, high = (f"{x:.3g}" for x in np.quantile(draws, [0.05, 0.5, 0.95]))
    return f"{family(prior)}: median {middle}, 90 % {low} to {high}"


def family(prior: Any) -> str:
    """The name of a distribution; a transformed one by what it was made from."""
    if isinstance(prior, Horseshoe):
        return f"regularised horseshoe '{prior.name}'"
    if type(prior) is not TransformedDistribution:
        return type(prior).__name__
    step = type(prior.transforms[-1]).__name__.removesuffix("Transform").lower()
    return f"{step} of {type(prior.base_dist).__name__}"
