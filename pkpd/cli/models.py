"""`pkpd models list | show NAME | copy NAME DEST`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.library import copy_model, model_named
from pkpd.model import available_models, describe
from pkpd.model.registry import model_source

models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The model library: list it, show a model, copy one to change it.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A model of the library.")]


@models.command("list")
def list_() -> None:
    """Every installed model with the first line of its description."""
    known = available_models()
    width = max(map(len, known), default=0)
    for name, line in known.items():
        typer.echo(f"{name.ljust(width)}  {line}".rstrip())


@models.command()
def show(name: Name) -> None:
    """A model in words and tables: states, doses, parameters with their sources, covariates, observables."""
    typer.echo(str(describe(model_named(name))))
    typer.echo(f"\nDefined in {model_source(name)}")


@models.command()
def copy(name: Name, dest: Annotated[Path, typer.Argument(metavar="DEST", help="A new .py file, or a folder.")]) -> None:
    """Copy the file that defines a model, to change it; a fit file beside the copy can import it."""
    line = copy_model(name, dest)
    typer.echo(f"In a fit file beside the copy: {line}")
