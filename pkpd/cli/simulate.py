"""`pkpd simulate MODEL RECORDS`, and `pkpd simulate SCENARIO.toml --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.check_data import Units
from pkpd.cli.files import write_new
from pkpd.cli.library import model_named
from pkpd.cli.pairs import numbers, pairs
from pkpd.cli.scenario import run_scenario
from pkpd.errors import PkpdError
from pkpd.model import Model
from pkpd.simulate import simulate as predict_records


def simulate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|SCENARIO", help="A model of the library (see 'pkpd models list'), or a scenario file ending in .toml."
        ),
    ],
    records: Annotated[
        Path | None, typer.Argument(metavar="RECORDS", help="With a model: a csv file of NONMEM-style records; DV may be missing.")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="A parameter, in the model's unit, as CL=2.8; repeat it.")
    ] = None,
    units: Units = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="Of records: write the csv here instead of on the screen. Of a scenario: a new folder."),
    ] = None,
) -> None:
    """Predict every observable of MODEL at every record, or run a SCENARIO of arms, times, patients and targets.

    Of records: a csv with ID, TIME, EVID and one column an observable. Parameters that are not set stay at the model's typical values; these are told on
    stderr. Of a scenario: a folder with the runs (netCDF), bands, exposures and targets (csv), records that NONMEM and mrgsolve read, figures and a page.
    """
    if model.endswith(".toml"):
        _scenario(Path(model), records, given, units, out)
        return
    if records is None:
        raise PkpdError(f"pkpd simulate {model}: give a csv file of records beside the model, or a scenario file that ends in .toml.")
    known, parameters = model_named(model), numbers(given or (), "--set")
    table = predict_records(known, records, parameters, units=pairs(units or (), "--units"))
    typer.echo(_assumed(known, parameters), err=True)
    text = table.to_csv(index=False)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_new(out, text)
        typer.echo(f"{len(table)} rows written to {out}", err=True)


def _scenario(path: Path, records: Path | None, given: list[str] | None, units: list[str] | None, out: Path | None) -> None:
    if records is not None or given or units:
        raise PkpdError("A scenario says its doses, parameters and units itself: leave RECORDS, --set and --units out.")
    if out is None:
        raise PkpdError(f"A scenario writes a folder: pkpd simulate {path} --out DIR.")
    run_scenario(path, out, lambda sentence: typer.echo(sentence, err=True))


def _assumed(model: Model, parameters: dict[str, float]) -> str:
    """The units of what is predicted, and the parameters that were left alone."""
    kept = [f"{p.name} = {p.value:g} {p.unit}" for p in model.params if p.name not in parameters]
    observed = ", ".join(f"{o.name} in {o.unit}" for o in model.observables)
    return f"{model.name}: {observed}. " + (f"At the typical value: {', '.join(kept)}." if kept else "All parameters were set.")
