"""`pkpd calibrate FITFILE`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.cli.guard import DONE, NOT_CONVERGED
from pkpd.cli.options import DEFAULT_SEED
from pkpd.cli.progress import telling
from pkpd.cli.runtime import prepare
from pkpd.errors import FitError
from pkpd.inference.calibrate import FALSE_ALARM, Calibration, calibrate, calibration_program, load_calibration
from pkpd.inference.calibrate_program import Program, Replicates
from pkpd.inference.calibrate_table import RANKS, write_whole
from pkpd.plots import save_figure
from pkpd.plots.calibration import plot_calibration

FIGURE, VERDICT = "ranks.png", "verdict.txt"


@dataclass(frozen=True)
class Again:
    """Makes the program of a fit file in another process."""

    fitfile: Path
    quick: bool
    settings: Replicates

    def __call__(self) -> Program:
        prepare()
        return calibration_program(build_problem(load_problem(self.fitfile), self.quick), self.settings)


def run_calibration(
    fitfile: Annotated[Path, typer.Argument(metavar="FITFILE", help="A Python file that defines 'problem(quick: bool) -> FitProblem'.")],
    n: Annotated[int, typer.Option("--n", help="Replicates in all; those that are there already count.")] = 200,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the table, else build/NAME.calibration.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Whole number that repeats the calibration.")] = DEFAULT_SEED,
    ranks: Annotated[int, typer.Option("--ranks", help="Thinned draws that each truth is ranked among.")] = 99,
    warmup: Annotated[int, typer.Option("--warmup", help="Warm-up draws of each replicate.")] = 300,
    most: Annotated[int, typer.Option("--most", help="Draws of a replicate at the most.")] = 2000,
    kernel: Annotated[
        str, typer.Option("--kernel", help="nuts, numpyro_nuts, or hmc: trajectories of random length, fewer gradients where they suffice.")
    ] = "nuts",
    false_alarm: Annotated[float, typer.Option("--false-alarm", help="Chance that a right program is called wrong.")] = FALSE_ALARM,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes, else one a core.", show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The problem's quick form.")] = False,
) -> None:
    """Simulate studies of FITFILE's design from its priors, fit each, and test that the truths rank uniformly among the draws.

    Writes ranks.csv (a line a replicate, after each one), ranks.png and verdict.txt. The same command goes on from there; a larger --n adds to it.

    Exit code: 0 when calibrated, 3 when not, 1 on an error, 130 when interrupted.
    """
    problem = build_problem(load_problem(fitfile), quick)
    if out is None and Path(problem.name).name != problem.name:
        raise FitError(f"The problem's name '{problem.name}' cannot name a folder. Give one with --out DIR.")
    place = out or Path("build") / f"{problem.name}.calibration"
    processes = (os.cpu_count() or 1) if workers is None else workers
    again = Again(fitfile.resolve(), quick, Replicates(seed, ranks, warmup, most, kernel=kernel))
    with telling():
        calibrate(
            problem,
            place,
            n=n,
            seed=seed,
            ranks=ranks,
            warmup=warmup,
            most=most,
            kernel=kernel,
            workers=processes,
            make=again,
            progress=True,
        )
    raise typer.Exit(conclude(place, false_alarm))


def conclude(place: Path, false_alarm: float) -> int:
    """Write verdict and figure beside the table, over all replicates that are there, print the verdict; returns the exit code."""
    found: Calibration = load_calibration(place, false_alarm)
    save_figure(plot_calibration(found), place / FIGURE)
    write_whole(place / VERDICT, found.verdict + "\n")
    typer.echo(found.verdict)
    typer.echo(f"Ranks: {place / RANKS}, figure: {place / FIGURE}")
    return DONE if found.calibrated else NOT_CONVERGED
