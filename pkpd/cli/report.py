"""`pkpd report DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.session import tell
from pkpd.cli.what_if_file import read_what_if
from pkpd.inference import load_fit
from pkpd.report import write_report


def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by 'pkpd fit'.")]) -> None:
    """Make report.html and plots/ of a saved fit again, from fit.nc (and what_if.nc where there is one)."""
    fit = load_fit(folder)
    write_report(fit, folder, what_if=read_what_if(folder))
    tell(fit.verdict, folder)
