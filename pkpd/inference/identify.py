"""Before any fit: what a design can tell of each parameter, and what only the prior will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpyro.distributions import Distribution

from pkpd.errors import FitError, choices
from pkpd.inference.combinations import Combination, combinations
from pkpd.inference.design_information import DesignInformation, design_information
from pkpd.inference.identified import Direction, Quantities, cures, directions, weakest
from pkpd.inference.linearised import Linearised, linearised
from pkpd.inference.problem import FitProblem

SMALL = 1e-9
"""Singular values below this share of the largest count as none: derivatives are exact, so what is left is rounding."""
QUANTILES, DRAWS = 2000, 20000


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the design of a problem can tell; `verdict` says it in sentences.

    `table` has a line per typical value, covariate coefficient and spread: name, unit, value (prior median), prior_sd (of ln where positive), the expected
    posterior/prior sd by each observable alone and by all (`all`), and `rse`, the expected standard error from the data alone in percent (of ln; of the
    value's size where it may be negative; inf where they cannot tell). `streams` has a line per observable and for all: rows, rank (directions of the fixed
    effects that the rows respond to), informed (directions of which they tell more than the prior). `steps` has the same as one observable after another is
    added, `by_step` the posterior/prior sds then. `singular` [P] are the singular values of V^-1/2 d m / d ln theta, all rows together. `not_seen` are the
    directions along which the posterior will be as wide as the prior, `weakest` the one where it is widest, `together` the combinations that are known better
    than their members; `notes` what was left out or held.
    """

    table: pd.DataFrame
    streams: pd.DataFrame
    steps: pd.DataFrame
    by_step: pd.DataFrame
    singular: np.ndarray
    not_seen: tuple[Direction, ...]
    weakest: Direction | None
    together: tuple[Combination, ...]
    notes: tuple[str, ...]

    @property
    def staged(self) -> bool:
        """Whether `steps` says more than `streams`: more than two, or several observables at once."""
        return len(self.steps) > 2 or (len(self.steps) > 1 and self.steps["stream"].iloc[0] != self.streams["stream"].iloc[0])

    @property
    def verdict(self) -> str:
        """The headline, and a sentence for each direction not seen."""
        return " ".join((self.headline, *(d.sentence for d in self.not_seen)))

    @property
    def headline(self) -> str:
        """Identified or not, and how many directions the data inform."""
        every = self.streams.iloc[-1]
        if not every["of"]:
            return "No typical value is estimated, so there is nothing to identify but spreads and residual sds."
        counted = f"the rows respond to {every['rank']} of {every['of']} directions and tell more than the priors of {every['informed']}"
        return f"{'NOT IDENTIFIED' if self.not_seen else 'Identified'} at the prior medians: {counted}."

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to do about directions not seen."""
        return cures(self.not_seen)


def identify(
    problem: FitProblem, *, order: Mapping[str, Sequence[str]] | Sequence[str] = (), copies: Sequence[int] | None = None
) -> Identifiability:
    """The expected information of a problem's design about each parameter, at the prior medians, before anything is sampled.

    First-order approximation with between-subject spread (V_i = G_i G_i' + R_i), derivatives exact and the solver finer than a fit's; the prior adds
    1 / variance to the information.
    `order` says in which order observables are added in `steps`: their names, or steps of several as {"blood": ["car_dna"], "cytokines": ["il6", "tnf"]};
    those not named follow. `copies` has a number for each subject of the problem: how many like it the design has (1).
    Rows beyond a limit count for nothing, though they tell something, and observables without a plain residual error are left out. Other values than the
    prior medians have other information, and what is bent (two modes, a limit reached) is not seen.
    Raises `FitError` for subpopulations, for an `order` that names what is not observed, and where the medians cannot be solved.
    Source: Retout & Mentre 2003, J Biopharm Stat 13:209.

    >>> identify(problem).verdict                                                          # doctest: +SKIP
    'Identified at the prior medians: the rows respond to 2 of 2 directions and tell more than the priors of 2.'
    """
    here = linearised(problem, None if copies is None else _checked_copies(problem, copies))
    observed = [(o, (i,)) for i, o in enumerate(problem.observed_names) if o not in here.left_out]
    streams: list[tuple[str, Any]] = [*(observed if len(observed) > 1 else []), ("all", None)]
    steps = _steps(problem, order, [o for o, _ in observed])
    found = {o: design_information(here, at) for o, at in streams}
    added = {o: design_information(here, at) for o, at in steps}
    width = {n: prior_width(problem.prior_of(n), here.logs.get(n, True)) for n in (*here.mean, *found["all"].spreads)}
    fixed = np.array([width[n] for n in here.mean])
    typical = [i for i, n in enumerate(here.mean) if n in problem.population.estimated]
    covariance = _scaled_covariance(found["all"].fixed, fixed)[np.ix_(typical, typical)] if len(fixed) else np.zeros((0, 0))
    names = [n for n in here.mean if n in problem.population.estimated]
    among: Any = (names, [here.logs[n] for n in names], fixed[typical], covariance)
    stand = Quantities(np.array([here.values[n] for n in names]), [problem.site_unit(n) for n in names])
    columns = ["stream", "rows", "rank", "informed", "of"]
    return Identifiability(
        _table(problem, here, found, width),
        pd.DataFrame([_stream(o, here, at, found[o], fixed) for o, at in streams], columns=columns),
        pd.DataFrame([_stream(o, here, at, added[o], fixed) for o, at in steps], columns=columns),
        _by_step(here, added, width),
        np.linalg.svd(found["all"].root, compute_uv=False),
        tuple(directions(*among, at=stand)) if names else (),
        weakest(*among, at=stand) if names else None,
        combinations(*among, at=stand) if names else (),
        tuple(_notes(problem, here)),
    )


def _checked_copies(problem: FitProblem, copies: Sequence[int]) -> list[int]:
    n, given = len(problem.cohort.subjects), list(copies)
    if len(given) != n or any(isinstance(k, bool) or k != int(k) or k < 1 for k in given):
        raise FitError(f"identify(copies={given!r}): {problem.name} has {n} subjects; give a whole number from 1 on for each.")
    return [int(k) for k in given]


def _steps(
    problem: FitProblem, order: Mapping[str, Sequence[str]] | Sequence[str], observed: list[str]
) -> list[tuple[str, tuple[int, ...]]]:
    """The label of each step, and the observables that are there by then; empty for a single step."""
    groups = {o: tuple(n) for o, n in order.items()} if isinstance(order, Mapping) else {o: (o,) for o in order}
    named = [o for group in groups.values() for o in group]
    for o in named:
        if o not in problem.observed_names:
            raise FitError(
                f"identify(order=...) names '{o}', which is not observed in {problem.name}. {choices(o, problem.observed_names)}"
            )
        if named.count(o) > 1:
            raise FitError(f"identify(order=...) names '{o}' twice; an observable is added once.")
    groups |= {o: (o,) for o in observed if o not in named}
    there, found = [], []
    for label, group in groups.items():
        there += [problem.observed_names.index(o) for o in group if o in observed]
        found.append((f"+ {label}" if found else label, tuple(there)))
    return found if len(found) > 1 else []


def prior_width(prior: Any, log: bool) -> float:
    """Standard deviation of a prior, of ln where `log`, from 2000 quantiles (else from 20000 draws with a fixed key); nan for a number.

    >>> import numpyro.distributions as dist
    >>> round(prior_width(dist.LogNormal(0.0, 0.7), True), 3)
    0.7
    """
    if not isinstance(prior, Distribution):
        return float("nan")
    try:
        x = np.asarray(prior.icdf((np.arange(QUANTILES) + 0.5) / QUANTILES))
    except (NotImplementedError, ImportError):
        x = np.asarray(prior.sample(jax.random.PRNGKey(1), (DRAWS,)))
    return float(np.std(np.log(x) if log else x))


def _scaled_covariance(information: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Expected posterior covariance in prior sds."""
    return np.linalg.inv(information * np.outer(width, width) + np.eye(len(width)))


def _table(problem: FitProblem, here: Linearised, found: dict[str, DesignInformation], width: dict[str, float]) -> pd.DataFrame:
    lines = []
    ratios = {o: _ratios(info, width) for o, info in found.items()}
    errors = _errors(found["all"])
    for name in (*here.mean, *found["all"].spreads):
        if name in here.values:
            by_stream = {o: ratios[o][name] for o in found}
            told = {"name": name, "unit": problem.site_unit(name), "value": here.values[name], "prior_sd": width[name]}
            size = 1.0 if here.logs.get(name, True) else abs(here.values[name]) or float("nan")
            lines.append(told | by_stream | {"rse": 100 * errors[name] / size})
    return pd.DataFrame(lines)


def _by_step(here: Linearised, added: dict[str, DesignInformation], width: dict[str, float]) -> pd.DataFrame:
    """Expected posterior/prior sd of each line of the table as observables are added."""
    ratios = {o: _ratios(info, width) for o, info in added.items()}
    names = [n for n in width if n in here.values]
    return pd.DataFrame([{"name": n} | {o: r.get(n, float("nan")) for o, r in ratios.items()} for n in names], columns=["name", *added])


def _ratios(info: DesignInformation, width: dict[str, float]) -> dict[str, float]:
    """Expected posterior/prior sd of each parameter."""
    found = {}
    for names, information in ((info.names, info.fixed), (info.spreads, info.spread)):
        free = [i for i, n in enumerate(names) if np.isfinite(width[n])]
        wide = np.array([width[names[i]] for i in free])
        sds = np.sqrt(np.diag(_scaled_covariance(information[np.ix_(free, free)], wide)))
        found |= dict(zip([names[i] for i in free], sds.tolist(), strict=True))
    return found


def _errors(info: DesignInformation) -> dict[str, float]:
    """Expected standard errors from the data alone; inf for every parameter that takes part in a direction without information."""
    factor = np.linalg.svd(info.spread)
    spread_root = np.sqrt(factor.S)[:, None] * factor.Vh
    return dict(zip(info.names, _from_root(info.root), strict=True)) | dict(zip(info.spreads, _from_root(spread_root), strict=True))


def _from_root(root: np.ndarray) -> list[float]:
    """Square roots of the diagonal of (root' root)^-1, inf where a direction without information takes part."""
    size = np.linalg.norm(root, axis=0)
    scale = np.where(size > 0, size, 1.0)
    _, values, vectors = np.linalg.svd(root / scale, full_matrices=True)
    values = np.concatenate([values, np.zeros(len(scale) - len(values))])
    none = values < SMALL
    lost = (vectors[none] ** 2).sum(0) > SMALL
    sds = np.sqrt((vectors**2 / np.where(none, np.inf, values)[:, None] ** 2).sum(0)) / scale
    return np.where(lost, np.inf, sds).tolist()


def _stream(name: str, here: Linearised, at: Any, info: DesignInformation, width: np.ndarray) -> tuple[Any, ...]:
    there = np.ones(len(here.rows), bool) if at is None else np.isin(here.observable, at)
    rows = int(here.copies[here.subject[there]].sum())
    raw = np.linalg.svd(info.root, compute_uv=False)
    scaled = np.linalg.svd(info.root * width, compute_uv=False)
    rank = int((raw > SMALL * raw.max()).sum()) if raw.size and raw.max() > 0 else 0
    return (name, rows, rank, int((scaled > 1.0).sum()), len(info.names))


def _notes(problem: FitProblem, here: Linearised) -> list[str]:
    beyond, told = int((problem.rows.cens != 0).sum()), []
    if beyond:
        told.append(f"{beyond} of {len(problem.rows.dv)} rows lie beyond a limit and count for nothing here.")
    if here.left_out:
        told.append(f"Left out, as no plain residual error: {', '.join(here.left_out)}.")
    if here.held:
        told.append(f"Held at their medians: {', '.join(here.held)}.")
    if problem.summaries:
        told.append("Published summaries are left out.")
    return told
