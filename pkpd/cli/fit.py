"""`pkpd fit FITFILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.cli.options import Chains, DrawsEach, Kernel, Out, Quality, Quick, Seed, Settings, TargetAccept, Warmup
from pkpd.cli.session import fit_and_write

FitFile = Annotated[Path, typer.Argument(metavar="FITFILE", help="A Python file that defines 'problem(quick: bool) -> FitProblem'.")]


def fit(
    fitfile: FitFile,
    quick: Quick = False,
    out: Out = None,
    seed: Seed = None,
    chains: Chains = None,
    draws: DrawsEach = None,
    warmup: Warmup = None,
    quality: Quality = None,
    kernel: Kernel = None,
    target_accept: TargetAccept = None,
) -> None:
    """Fit the problem of FITFILE: writes fit.nc, summary.csv, provenance.json, report.html, plots/, and what_if.nc if the problem has one.

    Ctrl-C keeps the draws made so far.

    Exit code: 0 when the fit converged or --quick was given, 3 when it has not converged, 1 on an error.
    """
    settings = Settings(quick, out, seed, chains, draws, warmup, quality, kernel, target_accept)
    raise typer.Exit(fit_and_write(build_problem(load_problem(fitfile), quick), settings))
