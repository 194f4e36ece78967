"""`run(problem)`: a fit file run by itself does what `pkpd fit` does with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pkpd.cli.fitfile import build_problem
from pkpd.cli.guard import guarded
from pkpd.cli.options import Chains, DrawsEach, Kernel, Out, Quality, Quick, Seed, Settings, TargetAccept, Warmup
from pkpd.cli.session import fit_and_write


def run(problem: Callable[[bool], Any], argv: Sequence[str] | None = None) -> None:
    """Fit `problem(quick)` with the options of `pkpd fit`, taken from the command line; the last line of a fit file.

    `argv` replaces the program's own arguments. Returns when all is well; raises `SystemExit` with the code of `pkpd fit` otherwise
    (1 an error, told on stderr; 3 not converged; 130 interrupted).

    >>> if __name__ == "__main__":                                                         # doctest: +SKIP
    ...     run(problem)
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fit(
        quick: Quick = False,
        out: Out = None,
        seed: Seed = None,
        chains: Chains = None,
        draws: DrawsEach = None,
        warmup: Warmup = None,
        quality: Quality = None,
        kernel: Kernel = None,
        target_accept: TargetAccept = None,
        debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
    ) -> None:
        """Fit the problem of this file; the options are those of 'pkpd fit'."""
        settings = Settings(quick, out, seed, chains, draws, warmup, quality, kernel, target_accept)
        raise typer.Exit(fit_and_write(build_problem(problem, quick), settings))

    code = guarded(app, sys.argv[1:] if argv is None else argv, Path(sys.argv[0]).name)
    if code:
        raise SystemExit(code)
