"""`simulate_trials`: a dose-finding trial many times over, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.simulate.dose_freedom import Freedom
from pkpd.simulate.dose_optimum import Search
from pkpd.simulate.dose_problem import DoseProblem, Doses, measured
from pkpd.simulate.people import People
from pkpd.simulate.target import FINE, Target


@dataclass(frozen=True, eq=False)
class TrialDesign:
    """A rule, the size of cohorts, the most subjects evaluated (whole cohorts), the first dose (0: the lowest), and the share that drops out before
    evaluation (they are replaced).
    """

    rule: Any
    cohort: int = 3
    most: int = 30
    start: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for word, x, least in (("cohort", self.cohort, 1), ("most", self.most, 1), ("start", self.start, 0)):
            if isinstance(x, bool) or not isinstance(x, int) or x < least:
                raise FitError(f"TrialDesign({word}={x!r}): a whole number, at least {least}.")
        lacking = next((n for n in ("check", "decide", "select") if not callable(getattr(self.rule, n, None))), None)
        if lacking:
            raise FitError(
                f"TrialDesign(rule={self.rule!r}) has no method '{lacking}'. A rule is three_plus_three(), boin(0.3), bayesian_limit(0.25), or an object with "
                "check, decide and select as in pkpd.simulate.trial_rules."
            )
        self.rule.check(self.cohort)
        if self.most % self.cohort:
            down = self.most // self.cohort * self.cohort
            near = f"{down} or {down + self.cohort}" if down else f"{self.cohort}"
            raise FitError(
                f"TrialDesign(cohort={self.cohort}, most={self.most}): cohorts are whole, so most is a multiple of cohort: {near}."
            )
        if not 0 <= self.dropout < 1:
            raise FitError(f"TrialDesign(dropout={self.dropout}): a share from 0 to below 1.")


@dataclass(frozen=True, eq=False)
class ArmOutcomes:
    """Probability of toxicity of each virtual subject [D, M, J] under each of the regimens `names`, for D draws of what is not known."""

    names: tuple[str, ...]
    toxicity: np.ndarray

    @property
    def rates(self) -> pd.Series:
        """Mean over draws and subjects."""
        return pd.Series(self.toxicity.mean((0, 1)), index=list(self.names), name="toxicity")


@dataclass(frozen=True, eq=False)
class OperatingCharacteristics:
    """What came of R trials: `table` has a row a dose (toxicity, selected with its Monte Carlo error, subjects, toxicities), `trials` a row a trial."""

    table: pd.DataFrame
    trials: pd.DataFrame

    @property
    def summary(self) -> pd.Series:
        """none_selected, subjects, enrolled, toxicities, toxicity_rate: means over trials, with standard errors named se_... ."""
        t = self.trials
        rate = t["toxicities"].sum() / max(t["subjects"].sum(), 1)
        found = {"none_selected": float((t["selected"] < 0).mean())}
        found |= {n: float(t[n].mean()) for n in ("subjects", "enrolled", "toxicities")}
        found |= {f"se_{n}": float(t[n].std(ddof=1) / np.sqrt(len(t))) for n in ("subjects", "enrolled", "toxicities")}
        return pd.Series(found | {"toxicity_rate": float(rate)})

    @property
    def sentence(self) -> str:
        """Which dose is recommended most often, and at what price."""
        best = self.table["selected"].idxmax()
        line, s = self.table.loc[best], self.summary
        return (
            f"{len(self.trials)} trials: '{best}' is recommended in {100 * line['selected']:.1f} % (Monte Carlo error {100 * line['se_selected']:.1f} %), "
            f"no dose in {100 * s['none_selected']:.1f} %; {s['subjects']:.1f} subjects and {s['toxicities']:.1f} toxicities a trial."
        )


def arm_outcomes(
    people: People, arms: Mapping[str, Regimen], measures: Mapping[str, Target], toxicity: Callable[[Mapping[str, Any]], Any]
) -> ArmOutcomes:
    """Each virtual subject's probability of toxicity under each regimen: `toxicity(values)` of its measures, from 0 to 1.

    The same subjects get every regimen. Returns `ArmOutcomes`, which `simulate_trials` draws from: each trial from one draw of what is not known. Raises
    `FitError` for probabilities outside 0 to 1.

    >>> arm_outcomes(people, arms, {"il6": peak}, lambda v: 1 / (1 + (100 / v["il6"]) ** 2)).rates    # doctest: +SKIP
    """
    problem = DoseProblem(people, dict(measures), toxicity, "1")
    found = []
    for name, regimen in arms.items():
        search = Search(problem, regimen, Freedom())
        theta = {n: jnp.asarray(x) for n, x in people.theta.items()}
        doses = Doses(*(jnp.asarray(x, float) for x in search.own))
        run = jax.jit(lambda d, t, given=search.given: toxicity(measured(problem, given, d, t, FINE)))
        p = np.broadcast_to(np.asarray(run(doses, theta)), (people.shape[0] * people.shape[1],))
        if not np.all(np.isfinite(p)):
            raise FitError(
                f"arm_outcomes: under '{name}' {problem.failing(float(np.mean(~np.isfinite(p))))}. Check the regimen, toxicity and the solver."
            )
        if not np.all((p >= 0) & (p <= 1)):
            raise FitError(
                f"arm_outcomes: the toxicity under '{name}' goes from {p.min():g} to {p.max():g}; a probability lies from 0 to 1."
            )
        found.append(p.reshape(people.shape))
    return ArmOutcomes(tuple(arms), np.stack(found, -1))


def simulate_trials(
    design: TrialDesign, toxicity: ArmOutcomes | Mapping[str, float], *, n: int = 1000, seed: int = 1
) -> OperatingCharacteristics:
    """A dose-finding trial `n` times over: which dose is recommended how often, how many subjects and toxicities it takes, with Monte Carlo errors.

    `toxicity` maps doses, lowest first, to true rates, or is an `ArmOutcomes`: then each trial has one draw of what is not known, and its subjects are
    those of that draw. Subjects who drop out (`design.dropout`) are replaced, and counted as enrolled. The same seed gives the same trials. A rule of one's
    own is any object with `check`, `decide` and `select`, as in `pkpd.simulate.trial_rules`; it may fit a model. A 3+3 that has not ended when `most` are
    treated recommends nothing. Raises `FitError` for rates outside 0 to 1.

    >>> from pkpd import three_plus_three
    >>> simulate_trials(TrialDesign(three_plus_three()), {"low": 0.05, "middle": 0.2, "high": 0.5}, n=500).summary["toxicities"].round(1)
    np.float64(2.8)
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise FitError(f"simulate_trials(n={n!r}): a whole number of at least 2 is needed.")
    bank = _bank(toxicity)
    if design.start >= len(bank.names):
        raise FitError(f"The first dose is {design.start}, and there are {len(bank.names)} (counted from 0).")
    level, count, toxic, stopped, enrolled = _run(design, bank, n, seed)
    selected = design.rule.select(level, count, toxic, stopped)
    trials = pd.DataFrame({"selected": selected, "subjects": count.sum(1), "enrolled": enrolled, "toxicities": toxic.sum(1)})
    share = np.array([(selected == j).mean() for j in range(len(bank.names))])
    table = pd.DataFrame(
        {
            "toxicity": bank.rates.to_numpy(),
            "selected": share,
            "se_selected": np.sqrt(share * (1 - share) / n),
            "subjects": count.mean(0),
            "toxicities": toxic.mean(0),
        },
        index=pd.Index(bank.names, name="dose"),
    )
    return OperatingCharacteristics(table, trials)


def _bank(toxicity: ArmOutcomes | Mapping[str, float]) -> ArmOutcomes:
    if isinstance(toxicity, ArmOutcomes):
        return toxicity
    rates = np.array(list(toxicity.values()), float)
    if not rates.size or not np.all((rates >= 0) & (rates <= 1)):
        raise FitError(f"simulate_trials: true rates lie from 0 to 1, one for each dose; got {dict(toxicity)!r}.")
    return ArmOutcomes(tuple(toxicity), rates[None, None])


def _run(design: TrialDesign, bank: ArmOutcomes, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Cohort by cohort, all trials together."""
    d, m, j = bank.toxicity.shape
    keys = jax.random.split(jax.random.key(seed), 4)
    cohorts = design.most // design.cohort
    shape = (cohorts, n, design.cohort)
    who = np.asarray(jax.random.randint(keys[0], shape, 0, m))
    luck = np.asarray(jax.random.uniform(keys[1], shape))
    extra = np.asarray(jax.random.geometric(keys[2], 1.0 - design.dropout, shape)) - 1 if design.dropout else np.zeros(shape, int)
    truth = np.asarray(jax.random.permutation(keys[3], np.arange(n) % d))
    level, live = np.full(n, design.start), np.ones(n, bool)
    count, toxic, enrolled = np.zeros((n, j), int), np.zeros((n, j), int), np.zeros(n, int)
    rows = np.arange(n)
    for c in range(cohorts):
        p = bank.toxicity[truth[:, None], who[c], level[:, None]]
        np.add.at(count, (rows[live], level[live]), design.cohort)
        np.add.at(toxic, (rows[live], level[live]), (luck[c] < p).sum(1)[live])
        enrolled[live] += design.cohort + extra[c].sum(1)[live]
        following, stop = design.rule.decide(level, count, toxic)
        level = np.where(live & ~stop, following, level)
        live &= ~stop
        if not live.any():
            break
    return level, count, toxic, ~live, enrolled
