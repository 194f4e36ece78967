"""`pkpd estimate FITFILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.approximate import PointEstimates, maximise
from pkpd.approximate.marginal import METHODS
from pkpd.cli.fit import FitFile
from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.cli.guard import DONE, NOT_CONVERGED
from pkpd.cli.options import DEFAULT_SEED
from pkpd.cli.progress import telling
from pkpd.cli.results import result_folder

Method = Annotated[str, typer.Option("--method", help=f"{', '.join(METHODS)}; upper or lower case.")]
Prior = Annotated[bool, typer.Option("--prior", help="Add the priors' log density: penalised likelihood.")]
Starts = Annotated[int, typer.Option("--starts", min=1, help="Descents, each from another place; the lowest is kept.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder for estimates.csv, correlation.csv, individual.csv; else none is written."),
]


def estimate(
    fitfile: FitFile,
    method: Method = "FOCEI",
    prior: Prior = False,
    starts: Starts = 1,
    seed: Annotated[int, typer.Option("--seed", help="Whole number that places the later descents.")] = DEFAULT_SEED,
    out: Out = None,
) -> None:
    """Point estimates of FITFILE by FO, FOCE, FOCEI, Laplace or exact quadrature: estimate, SE, RSE %, shrinkage, objective.

    Exit code: 0 when it converged, 3 when it has not, 1 on an error.
    """
    problem = build_problem(load_problem(fitfile), False)
    with telling() as log:
        log.info("%s: %s", problem.name, method)
        found = maximise(problem, _spelled(method), prior=prior, starts=starts, seed=seed)
        if out is not None:
            with result_folder(out) as draft:
                _write(found, draft)
    typer.echo(str(found))
    raise typer.Exit(DONE if found.verdict.converged else NOT_CONVERGED)


def _spelled(method: str) -> str:
    return {m.lower(): m for m in METHODS}.get(method.lower(), method)


def _write(found: PointEstimates, folder: Path) -> None:
    found.table.to_csv(folder / "estimates.csv")
    found.correlation.to_csv(folder / "correlation.csv")
    found.individual.table.to_csv(folder / "individual.csv")
