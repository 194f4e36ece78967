"""`pkpd simulate MODEL RECORDS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.check_data import Units
from pkpd.cli.files import write_new
from pkpd.cli.library import model_named
from pkpd.cli.pairs import numbers, pairs
from pkpd.model import Model
from pkpd.simulate import simulate as predict_records


def simulate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the library (see 'pkpd models list').")],
    records: Annotated[Path, typer.Argument(metavar="RECORDS", help="A csv file of NONMEM-style records; DV may be missing.")],
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="A parameter, in the model's unit, as CL=2.8; repeat it.")
    ] = None,
    units: Units = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the csv here instead of on the screen.")] = None,
) -> None:
    """Predict every observable of MODEL at every record: a csv with ID, TIME, EVID and one column an observable.

    Parameters that are not set stay at the model's typical values; these are told on stderr.
    """
    known, parameters = model_named(model), numbers(given or (), "--set")
    table = predict_records(known, records, parameters, units=pairs(units or (), "--units"))
    typer.echo(_assumed(known, parameters), err=True)
    text = table.to_csv(index=False)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_new(out, text)
        typer.echo(f"{len(table)} rows written to {out}", err=True)


def _assumed(model: Model, parameters: dict[str, float]) -> str:
    """The units of what is predicted, and the parameters that were left alone."""
    kept = [f"{p.name} = {p.value:g} {p.unit}" for p in model.params if p.name not in parameters]
    observed = ", ".join(f"{o.name} in {o.unit}" for o in model.observables)
    return f"{model.name}: {observed}. " + (f"At the typical value: {', '.join(kept)}." if kept else "All parameters were set.")
