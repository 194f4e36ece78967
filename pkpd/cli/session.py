"""One fit from problem to folder: sample, save, what-if, report, and the verdict said first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import typer

from pkpd.cli.guard import DONE, NOT_CONVERGED
from pkpd.cli.options import DEFAULT_SEED, Settings
from pkpd.cli.progress import telling
from pkpd.cli.results import result_folder
from pkpd.cli.what_if_file import write_what_if
from pkpd.errors import FitError
from pkpd.inference import FitProblem, sample
from pkpd.report import write_report


def fit_and_write(problem: FitProblem, settings: Settings) -> int:
    """Fit, write everything into the result folder, print the verdict and where the report is; returns the exit code."""
    place = settings.out or _default_place(problem)
    seed = DEFAULT_SEED if settings.seed is None else settings.seed
    with telling() as log, result_folder(place) as draft:
        log.info("%s: seed %d%s%s", problem.name, seed, " (default)" if settings.seed is None else "", ", quick" if settings.quick else "")
        unfinished = place.expanduser().with_name(f".{place.name}.unfinished")
        fit = sample(problem, seed=seed, checkpoint=unfinished, **settings.sampler)
        fit.save(draft)
        _tidy(unfinished, fit, log)
        runs = _what_if(problem, fit, draft, log)
        log.info("drawing the report")
        write_report(fit, draft, what_if=runs)
    tell(fit.verdict, place)
    return NOT_CONVERGED if not (fit.verdict.converged or settings.quick) else DONE


def _tidy(unfinished: Path, fit: Any, log: Any) -> None:
    """Remove the checkpoint of a fit that converged; a draft has none, and leaves that of an unfinished fit of the same folder alone."""
    if not unfinished.exists():
        return
    if "approximation" in fit.tree.attrs:
        log.info("an unfinished fit stays in %s: the command without --quality draft goes on from there", unfinished)
    elif fit.verdict.converged:
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        log.info("kept in %s: the same command, with more --draws, goes on from here", unfinished)


def tell(verdict: Any, folder: Path) -> None:
    """The verdict, what fell short beyond its headline, what to do next, and where the report is."""
    typer.echo(verdict.headline)
    for line in (*(r for r in verdict.reasons if r not in verdict.headline), *verdict.next_steps):
        typer.echo(f"  {line}")
    typer.echo(f"Report: {folder / 'report.html'}")


def _default_place(problem: FitProblem) -> Path:
    if Path(problem.name).name != problem.name:
        raise FitError(f"The problem's name '{problem.name}' cannot name a folder. Give one with --out DIR.")
    return Path("build") / problem.name


def _what_if(problem: FitProblem, fit: Any, folder: Path, log: Any) -> Any:
    if problem.what_if is None:
        return None
    log.info("running the what-ifs")
    runs = problem.what_if(fit)
    write_what_if(runs, folder)
    return runs
