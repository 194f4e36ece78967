"""`pkpd check-data FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.check_text import as_json, as_text
from pkpd.cli.guard import FAILED
from pkpd.cli.library import model_named
from pkpd.cli.pairs import pairs
from pkpd.data import Examined, examine
from pkpd.errors import PkpdError
from pkpd.report import write_data_summary

Units = Annotated[
    list[str] | None,
    typer.Option("--units", metavar="NAME=UNIT", help="A column's or observable's unit, as TIME=h or il6=pg/mL; repeat it."),
]


def check_data(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A csv file of NONMEM-style records.")],
    model: Annotated[str | None, typer.Option("--model", help="Check names and units against this model of the library.")] = None,
    units: Units = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write a page besides: defects, counts, tables, every subject's values.")
    ] = None,
) -> None:
    """List everything wrong or odd in a data file: code, row, subject, column, what it is and how to mend it.

    Errors stop a file from being read; warnings (a mistake is likely) and notes (odd, and often right) do not. A readable file is
    summarised, with what was assumed in reading it. Exit code: 1 with errors, else 0.
    """
    seen = examine(file, model_named(model) if model else None, units=pairs(units or (), "--units"))
    typer.echo(as_json(file, seen) if json else as_text(file, seen))
    if html is not None:
        _write(seen, html)
    if seen.cohort is None:
        raise typer.Exit(FAILED)


def _write(seen: Examined, path: Path) -> None:
    try:
        write_data_summary(seen, path)
    except OSError as error:
        raise PkpdError(f"{path} cannot be written ({error.strerror}).") from error
    typer.echo(f"Data summary: {path}", err=True)
