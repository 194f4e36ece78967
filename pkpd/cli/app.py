"""The program `pkpd`: its commands, its version, and one way to end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from pkpd.cli.calibrate import run_calibration
from pkpd.cli.check_data import check_data
from pkpd.cli.estimate import estimate
from pkpd.cli.fit import fit
from pkpd.cli.guard import guarded
from pkpd.cli.identify import identify
from pkpd.cli.models import models
from pkpd.cli.report import report
from pkpd.cli.show import show
from pkpd.cli.simulate import simulate

app = typer.Typer(name="pkpd", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command(short_help="Fit the problem of a file; write its report.")(fit)
app.command(short_help="Before a fit: what its data can tell of each parameter.")(identify)
app.command(short_help="Point estimates of a file's problem, as FOCEI gives them.")(estimate)
app.command(short_help="Make the report of a saved fit again.")(report)
app.command("app", short_help="Show a fit as a page: move doses, see bands.")(show)
app.command("calibrate", short_help="Test a problem's posteriors on simulated studies.")(run_calibration)
app.command(short_help="Predict at every record of a table.")(simulate)
app.command("check-data", short_help="List everything wrong in a data file.")(check_data)
app.add_typer(models, name="models", short_help="List, show or copy library models.")


def _version(wanted: bool) -> bool:
    if wanted:
        try:
            typer.echo(f"pkpd {version('pkpd-jax')}")
        except PackageNotFoundError:
            typer.echo("pkpd, run from its source without being installed")
        raise typer.Exit()
    return wanted


@app.callback()
def _pkpd(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose; may stand anywhere on the line.")] = False,
) -> None:
    """Population PK/PD modelling: check data, fit, report, simulate."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the program's own arguments); returns the exit code.

    0: done. 1: an error, told in a sentence. 2: the line itself was not understood. 3: the fit has not converged. 130: interrupted.

    >>> main(["models", "list"])                                                           # doctest: +SKIP
    0
    """
    return guarded(app, sys.argv[1:] if argv is None else argv, "pkpd")
