"""`pkpd models list | show NAME | copy NAME DEST`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkpd.cli.library import copy_model, model_named
from pkpd.model import Model, available_models, describe
from pkpd.model.example import in_words
from pkpd.model.registry import model_source
from pkpd.plots import plot_typical, save_figure, write_whole

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
def show(
    name: Name,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Also write diagram.svg and profile.png to this folder.")] = None,
) -> None:
    """A model in words and tables: states, doses, parameters with their sources, covariates, observables; with --out its pictures too."""
    model = model_named(name)
    described = describe(model)
    typer.echo(str(described))
    if out is not None:
        _pictures(model, described.diagram, out)
    elif model.example is not None:
        typer.echo(f"\nExample: {in_words(model, model.example)}. --out DIR writes the diagram and the profile of a typical subject.")
    typer.echo(f"\nDefined in {model_source(name)}")


def _pictures(model: Model, diagram: str, out: Path) -> None:
    """diagram.svg and profile.png, and where they are; a model without an example has no profile, and is told so."""
    typer.echo(f"\nDiagram: {write_whole(out / 'diagram.svg', diagram.encode())}")
    if model.example is None:
        typer.echo(f"{model.name} declares no example, so there is no profile: give compose(..., example=Example(...)) one.")
        return
    picture = save_figure(plot_typical(model), out / "profile.png")
    typer.echo(f"Profile of a typical subject, no variability, {in_words(model, model.example)}: {picture}")


@models.command()
def copy(name: Name, dest: Annotated[Path, typer.Argument(metavar="DEST", help="A new .py file, or a folder.")]) -> None:
    """Copy the file that defines a model, to change it; a fit file beside the copy can import it."""
    line = copy_model(name, dest)
    typer.echo(f"In a fit file beside the copy: {line}")
