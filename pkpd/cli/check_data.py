"""`pkpd check-data FILE`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pkpd.cli.guard import FAILED
from pkpd.cli.library import model_named
from pkpd.cli.pairs import pairs
from pkpd.data import Cohort, read_cohort
from pkpd.errors import DataError

Units = Annotated[
    list[str] | None,
    typer.Option("--units", metavar="NAME=UNIT", help="A column's or observable's unit, as TIME=h or il6=pg/mL; repeat it."),
]


def check_data(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A csv file of NONMEM-style records.")],
    model: Annotated[str | None, typer.Option("--model", help="Check names and units against this model of the library.")] = None,
    units: Units = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """List everything wrong in a data file: code, row, subject, column, what it is and how to mend it.

    Without defects, tell what the file holds and what was assumed in reading it. Exit code: 0 without defects, 1 with them.
    """
    wanted = model_named(model) if model else None
    try:
        cohort = read_cohort(file, wanted, units=pairs(units or (), "--units"))
    except DataError as found:
        typer.echo(_json(file, found, None) if as_json else str(found))
        raise typer.Exit(FAILED) from None
    typer.echo(_json(file, None, cohort) if as_json else f"{file.name}: nothing to mend.\n{cohort.summary()}")


def _json(file: Path, found: DataError | None, cohort: Cohort | None) -> str:
    told: dict[str, Any] = {"file": str(file), "clean": found is None, "defects": [asdict(d) for d in found.defects] if found else []}
    if cohort is not None:
        told |= {"subjects": cohort.n_subjects, "sha256": cohort.sha256, "summary": cohort.summary(), "notes": list(cohort.notes)}
    return json.dumps(told, indent=2)
