"""What published summaries do to a prior: how surprising each is before conditioning, and which of them moves which parameter, by how much."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers
from scipy.special import logsumexp
from scipy.stats import norm

from pkpd.errors import FitError, choices
from pkpd.inference.predictive import over_draws
from pkpd.inference.published import Arms, Published
from pkpd.inference.summaries import Classes, Detectable, Responders
from pkpd.inference.summary_laws import binomial
from pkpd.inference.summary_model import summary_sites
from pkpd.population import Population
from pkpd.solve import Solver
from pkpd.solve.choose import waiting

log = logging.getLogger("pkpd")

COUNTED = (Detectable, Responders)
BINS = 20
FAILED = 0.02
"""Share of prior draws that may fail."""
LEAST = 100.0
"""Effective draws below which importance weights from the prior say nothing: the summaries then tell too much to be weighed in, and a fit is needed."""


@dataclass(frozen=True, eq=False)
class SummaryInfluence:
    """Prior draws of the population's sites [n], the log-likelihood of each term [n, terms], and for each count what was observed with the log-probability
    of every number it could have been [n, of + 1]. Counts are those of `Detectable` and `Responders`, and of each class of `Classes` ("term: class").

    `failed` draws, whose predictions are no numbers, are left out.
    """

    names: tuple[str, ...]
    sites: Mapping[str, np.ndarray]
    log_terms: np.ndarray
    counts: Mapping[str, tuple[int, np.ndarray]]
    failed: int = 0

    def _place(self, term: str) -> int:
        if term not in self.names:
            raise FitError(f"There is no summary '{term}'. {choices(term, self.names)}")
        return self.names.index(term)

    def _count(self, name: str) -> tuple[int, np.ndarray]:
        if name not in self.counts:
            raise FitError(f"There is no count '{name}'. {choices(name, self.counts)}")
        return self.counts[name]

    @cached_property
    def predictive(self) -> pd.DataFrame:
        """Each count before conditioning: observed, of, expected count, P(at most), P(at least) and the smaller of both, `extreme`."""
        return pd.DataFrame([{"count": n, **self.pooled([n])} for n in self.counts])

    def pooled(self, counts: Sequence[str]) -> dict[str, float]:
        """The prior law of a sum of `counts`, as "0 of 14" over two arms: the counts of one draw are independent, draws are averaged."""
        found = [self._count(c) for c in counts]
        each = functools.reduce(_convolved, [np.exp(law) for _, law in found])
        p, seen = each.mean(0), sum(k for k, _ in found)
        most, least = float(p[: seen + 1].sum()), float(p[seen:].sum())
        expected = float(p @ np.arange(len(p)))
        return {"observed": seen, "of": len(p) - 1, "expected": expected, "at_most": most, "at_least": least, "extreme": min(most, least)}

    def weights(self, terms: Sequence[str] | None = None) -> np.ndarray:
        """Importance weights [n] of the prior draws under `terms` (None: all), summing to 1."""
        log_w = self._log_weights(terms)
        return np.exp(log_w - logsumexp(log_w))

    def effective(self, terms: Sequence[str] | None = None) -> float:
        """How many equally weighted draws the weights amount to: 1 / sum w^2."""
        return float(1.0 / np.sum(self.weights(terms) ** 2))

    def log_evidence(self, terms: Sequence[str] | None = None) -> float:
        """log of the prior probability of the terms: the log mean of their likelihood over the prior draws."""
        return float(logsumexp(self._log_weights(terms)) - np.log(len(self.log_terms)))

    def _log_weights(self, terms: Sequence[str] | None) -> np.ndarray:
        places = range(len(self.names)) if terms is None else [self._place(t) for t in terms]
        return self.log_terms[:, list(places)].sum(1)

    def moved(self, groups: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
        """Each parameter's shift under each group of terms alone (None: each term) and under all, in prior sds, and posterior/prior sd under all.

        Parameters are put on their prior's normal scores, so neither scale nor skewness matters. `error` is the Monte Carlo error of the shift under all.
        Raises `FitError` where fewer than 100 effective draws are left under all terms.
        """
        if self.effective() < LEAST:
            raise FitError(
                f"{self.effective():.0f} of {len(self.log_terms)} prior draws count under all summaries; {LEAST:g} are needed. Draw more (n=), or fit "
                "with sample_summaries: summaries this informative are not weighed in."
            )
        sets = {**({n: [n] for n in self.names} if groups is None else groups)}
        rows = []
        for site, values in self.sites.items():
            z = norm.ppf((pd.Series(values).rank().to_numpy() - 0.5) / len(values))
            w = self.weights()
            centre = float(w @ z)
            spread = float(np.sqrt(w @ (z - centre) ** 2) / z.std())
            row = {"parameter": site, **{g: float(self.weights(t) @ z) for g, t in sets.items()}}
            rows.append(row | {"all": centre, "error": float(np.sqrt(w**2 @ (z - centre) ** 2)), "sd_ratio": spread})
        return pd.DataFrame(rows)

    def explained(self, count: str, site: str) -> float:
        """The share of the prior variance of a count's probability that `site` alone explains: Var(E[p | site])/Var(p), over 20 bins of the site.

        Corrected for the noise of the bins; source: the first-order index of Sobol' 1993.
        """
        law = self._count(count)[1]
        if site not in self.sites:
            raise FitError(f"There is no site '{site}'. {choices(site, self.sites)}")
        p = np.exp(law) @ np.arange(law.shape[1]) / (law.shape[1] - 1)
        bin_of = pd.Series(self.sites[site]).rank(method="first").to_numpy() * BINS // (len(p) + 1)
        grouped = pd.Series(p).groupby(bin_of)
        between = float(np.sum(grouped.size() * (grouped.mean() - p.mean()) ** 2) / len(p))
        noise = float(np.mean(grouped.var() / grouped.size()))
        return max(0.0, (between - noise) / float(p.var()))


def _convolved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The law of a sum, row by row."""
    out = np.zeros((len(a), a.shape[1] + b.shape[1] - 1))
    for k in range(b.shape[1]):
        out[:, k : k + a.shape[1]] += a * b[:, k : k + 1]
    return out


def summary_influence(
    arms_terms: Arms,
    population: Population,
    noise: Mapping[str, Any],
    *,
    seed: int,
    n: int = 2000,
    summary_draws: int = 64,
    solver: Solver | None = None,
) -> SummaryInfluence:
    """What published summaries say before and beside a fit: `n` draws of the prior, each with the likelihood of every term.

    `arms_terms`, `population`, `noise` as for `sample_summaries`; `summary_draws` virtual subjects an arm (a power of two). Of the result, `predictive` is the
    prior predictive check of each count, `moved()` which term moves which parameter, `explained(term, site)` what one parameter alone explains.
    Raises `FitError` for terms that do not fit.

    >>> told = summary_influence([(arm, terms)], population, noise, seed=1)                # doctest: +SKIP
    >>> told.predictive                                                                    # doctest: +SKIP
    """
    published = Published(arms_terms, population, noise, summary_draws, 0, waiting(solver or Solver()))
    keys = jax.random.split(jax.random.PRNGKey(seed), n)

    def draw(key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(lambda: summary_sites(published), key)).get_trace()
        return {k: s["value"] for k, s in trace.items() if s["type"] == "sample"}

    drawn = {k: np.asarray(v) for k, v in jax.vmap(draw)(keys).items()}  # op by op: compiling the random numbers of every site takes longer
    every = [term for _, terms in published.arms for term in terms]

    def weigh(values: Any, _: Any) -> Any:
        found = []
        for i, (_, terms) in enumerate(published.arms):
            seen = published._seen(i, values, published._own[i])
            found += [x for term in terms for x in (term.log_likelihood(seen), *_laws(term, seen))]
        return jnp.stack(found)

    return _assembled(published, every, drawn, over_draws(weigh, drawn, keys))


def _laws(term: Any, seen: Any) -> list[Any]:
    """log-probability of every number that each count of a term could have been."""
    if isinstance(term, COUNTED):
        return [replace(term, count=k).log_likelihood(seen) for k in range(term.of + 1)]
    if isinstance(term, Classes):
        log_p = [(x, jnp.log(-jnp.expm1(jnp.minimum(x, -1e-12)))) for x in term.log_probabilities(seen)]
        return [binomial(k, term.of, *p) for p in log_p for k in range(term.of + 1)]
    return []


def _counts(term: Any) -> list[tuple[str, int]]:
    """(ending of the name, observed) of each count of a term."""
    if isinstance(term, COUNTED):
        return [("", term.count)]
    return [(f": {c}", k) for c, k in term.counts.items()] if isinstance(term, Classes) else []


def _assembled(published: Published, every: Sequence[Any], drawn: Mapping[str, np.ndarray], table: np.ndarray) -> SummaryInfluence:
    """Columns [n, term and its counts, term by term] taken apart, without the draws that failed."""
    names = tuple(published.names)
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise FitError(f"Two summaries are both told as '{twice}'; name responders, as in Responders(..., name='stable disease').")
    good = np.isfinite(table).all(1)
    if not np.mean(good) > 1.0 - FAILED:
        what = f"{np.sum(~good)} of {len(good)} prior draws give predictions that are no numbers"
        raise FitError(f"{what}; at most {FAILED:.0%} are accepted. Narrow the priors, or look for rates that grow without bound.")
    if not good.all():
        log.warning("%d of %d prior draws give predictions that are no numbers and are left out.", np.sum(~good), len(good))
    columns = iter(table[good].T)
    own, counts = [], {}
    for name, term in zip(names, every, strict=True):
        own.append(next(columns))
        for ending, observed in _counts(term):
            counts[name + ending] = (observed, np.stack([next(columns) for _ in range(term.of + 1)], 1))
    scalars = {k: v[good] for k, v in drawn.items() if v.ndim == 1}
    return SummaryInfluence(names, scalars, np.stack(own, 1), counts, int(np.sum(~good)))
