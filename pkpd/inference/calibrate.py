"""`calibrate`: simulation-based calibration of a fit problem, and its verdict."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pkpd.errors import FitError
from pkpd.inference.calibrate_law import refuse
from pkpd.inference.calibrate_limits import limits
from pkpd.inference.calibrate_program import Program, Replicates
from pkpd.inference.calibrate_ranks import uniformity
from pkpd.inference.calibrate_table import RankTable, facts, in_order, read_facts, read_ranks
from pkpd.inference.calibrate_workers import Make, lines
from pkpd.inference.problem import FitProblem
from pkpd.solve.choose import waiting

log = logging.getLogger("pkpd")

FALSE_ALARM = 0.01
FEW = 50


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks of simulated truths among posterior draws, and what they say.

    `table` has one line a replicate: replicate, ess (smallest over what is ranked), draws, divergences, steps, censored, redrawn, seconds, cpu_seconds, and
    rank_<name> in 0 ... `thinned`, the number of draws the truth is ranked among. `false_alarm` is the chance that a right program is called wrong, over
    all ranked names together.
    """

    table: pd.DataFrame
    thinned: int
    name: str = "calibration"
    false_alarm: float = FALSE_ALARM

    @property
    def names(self) -> tuple[str, ...]:
        """What is ranked: population sites, log_likelihood, log_posterior."""
        return tuple(c.removeprefix("rank_") for c in self.table.columns if c.startswith("rank_"))

    def ranks(self, name: str) -> np.ndarray:
        """[n] whole numbers 0 to `thinned`."""
        return self.table[f"rank_{name}"].to_numpy(int)

    @cached_property
    def tests(self) -> pd.DataFrame:
        """name, p, mean (of ranks as fractions, 0.5 where calibrated) and what is wrong in words where p is below the name's share of the false alarm."""
        found = {n: uniformity(self.ranks(n), self.thinned) for n in self.names}
        own = self.false_alarm / len(found)
        lines = [(n, u.p, float(self.ranks(n).mean() / self.thinned), u.words if u.p <= own else "") for n, u in found.items()]
        return pd.DataFrame(lines, columns=["name", "p", "mean", "wrong"])

    @property
    def p_value(self) -> float:
        """Of all names together: the smallest p times their number (Bonferroni), at most 1."""
        return float(min(1.0, self.tests["p"].min() * len(self.names)))

    @property
    def calibrated(self) -> bool:
        """Whether `p_value` lies above `false_alarm`, and every chain moved."""
        return not self.tests["wrong"].any() and not self.stuck

    @property
    def stuck(self) -> list[int]:
        """Replicates whose chain never left the truth: every draw diverged. Ties are broken at random, so their ranks look uniform and say nothing."""
        return self.table.loc[self.table["divergences"] >= self.table["draws"], "replicate"].tolist()

    @property
    def verdict(self) -> str:
        """One sentence: calibrated, or which ranks stray and what that says of the posterior; then what weakens it."""
        n, wrong = len(self.table), self.tests[self.tests["wrong"] != ""]
        alarm = f"false alarms in {100 * self.false_alarm:g} % of right programs"
        if len(wrong):
            told = "; ".join(f"{w.name} {w.wrong}, p = {w.p:.2g}" for w in wrong.sort_values("p").itertuples(index=False))
            first = f"NOT calibrated: {told} ({n} replicates, {len(self.names)} quantities, overall p = {self.p_value:.2g}, {alarm})."
        elif self.stuck:
            which = ", ".join(map(str, self.stuck[:5])) + (", ..." if len(self.stuck) > 5 else "")
            first = (
                f"NOT calibrated: in {len(self.stuck)} of {n} replicates the chain never left the truth ({which}), and those ranks say nothing; "
                f"by ranks alone it would be (overall p = {self.p_value:.2g}, {alarm})."
            )
        else:
            low = self.tests.loc[self.tests["p"].idxmin()]
            first = (
                f"calibrated: ranks of {len(self.names)} quantities over {n} replicates are uniform "
                f"(smallest p = {low['p']:.2g}, of {low['name']}; overall p = {self.p_value:.2g}, {alarm})."
            )
        return " ".join([first, *self.notes])

    @property
    def notes(self) -> list[str]:
        """Sentences on what makes the verdict weaker than it sounds."""
        n, found = len(self.table), []
        if n < FEW:
            found.append(f"{n} replicates find gross errors only.")
        short = int((self.table["ess"] < self.thinned).sum())
        if short:
            found.append(
                f"{short} of {n} replicates have fewer than {self.thinned} effective draws (least: {self.table['ess'].min():.0f})."
            )
        share = float(self.table["divergences"].sum() / self.table["draws"].sum())
        if share > 0.001:
            found.append(f"{100 * share:.2g} % of draws diverged.")
        return found


def calibrate(
    problem: FitProblem,
    folder: str | Path | None = None,
    *,
    n: int = 200,
    seed: int = 1,
    ranks: int = 99,
    warmup: int = 300,
    most: int = 2000,
    kernel: str = "nuts",
    false_alarm: float = FALSE_ALARM,
    posterior: FitProblem | None = None,
    workers: int = 1,
    make: Make | None = None,
    progress: bool = False,
) -> Calibration:
    """Simulation-based calibration: draw `n` studies of the problem's design from its priors, fit each, and test that the truths rank uniformly.

    truth ~ prior, y ~ p(y | truth), draws ~ p(. | y)  =>  the rank of the truth among `ranks` independent draws is uniform on 0 ... `ranks`

    Each study gets one chain of `kernel` ("nuts", or "hmc"), whatever the problem's, from its truth on: `warmup` draws to tune and then as many (`most` at
    the most) as give `ranks` effective ones. Simulated values beyond a row's limit are censored there. Ranked are all population sites, the log-likelihood
    and the log posterior. Programs compile once.

    `folder` keeps the table after every replicate: the same call goes on from there, a larger `n` adds to it. `posterior` is another problem to sample
    from, to see whether an error in it would be found. `workers` processes share the work, each with the program of `make()`, which can be pickled.
    Raises `FitError` for observations that it cannot simulate, and for a folder of another calibration.

    >>> calibrate(problem, "build/calibration", n=200).verdict                             # doctest: +SKIP
    'calibrated: ranks of 9 quantities over 200 replicates are uniform (...)'

    Source: Talts et al. 2018 (arXiv:1804.06788); Modrak et al. 2023 (arXiv:2211.02383); Säilynoja, Bürkner & Vehtari 2022 (arXiv:2103.10522).
    """
    if n < 1:
        raise FitError(f"calibrate(n={n}): at least 1 replicate is needed; 200 find an error that matters.")
    if workers > 1 and make is None:
        raise FitError(f"calibrate(workers={workers}) needs make=, a function that can be pickled and makes the program in each process.")
    program = calibration_program(problem, Replicates(seed, ranks, warmup, most, kernel=kernel), posterior)
    told = {} if folder is None else facts(program.problem, program.posterior, program.settings.as_dict())
    kept = None if folder is None else RankTable(folder, told)
    found = {} if kept is None else kept.lines
    todo = [i for i in range(n) if i not in found]
    log.info("%s: %s", problem.name, _described(program, n, len(todo)))
    with tqdm(total=n, initial=n - len(todo), unit="study", disable=not progress, desc="calibration") as bar:
        for line in lines(program, todo, workers, make):
            found[line["replicate"]] = line
            if kept is not None:
                kept.add(line)
            bar.update()
    return Calibration(in_order(found[i] for i in range(n)), ranks, problem.name, false_alarm)


def calibration_program(problem: FitProblem, settings: Replicates, posterior: FitProblem | None = None) -> Program:
    """The program of a problem, its solver chosen. Raises `FitError` for what it cannot simulate."""
    refuse(problem)
    ready = replace(problem, solver=waiting(problem.solver))
    other = ready if posterior is None else replace(posterior, solver=waiting(posterior.solver))
    for each in (ready, other):
        _ = each.predictor.chosen
    if other.population_sites != ready.population_sites:
        raise FitError(
            f"calibrate: posterior= has the sites {other.population_sites}; those of the problem are needed: {ready.population_sites}."
        )
    return Program(ready, other, settings)


def load_calibration(folder: str | Path, false_alarm: float = FALSE_ALARM) -> Calibration:
    """The calibration kept in a folder, as far as it has come. Raises `FitError` where there is none.

    >>> load_calibration("build/calibration").verdict                                      # doctest: +SKIP
    """
    told, table = read_facts(Path(folder)), read_ranks(folder)
    if told is None or table.empty:
        raise FitError(f"{folder} holds no replicate of a calibration. Make them with 'pkpd calibrate FITFILE --out {folder}'.")
    return Calibration(table, int(told["settings"]["ranks"]), told["name"], false_alarm)


def _described(program: Program, n: int, left: int) -> str:
    two, lower, upper = (int(np.isfinite(x).sum()) for x in limits(program.problem))
    both = f" ({two} of them two)" if two else ""
    cut = f", of {len(program.problem.rows.dv)} rows {lower} have a lower limit{both} and {upper} an upper one" if lower or upper else ""
    done = f", {n - left} of them done" if left < n else ""
    return f"{n} studies of {len(program.problem.cohort.subjects)} subjects{done}; {len(program.names)} quantities ranked{cut}"
