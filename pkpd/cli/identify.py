"""`pkpd identify FITFILE`, `pkpd identify MODEL DESIGN` and `pkpd identify FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pkpd.approximate import find_twins, maximise
from pkpd.approximate import profile as profile_of
from pkpd.cli.check_data import Units
from pkpd.cli.fitfile import build_problem, fit_file_of, load_problem
from pkpd.cli.identify_text import as_text, fit_text
from pkpd.cli.library import model_of
from pkpd.cli.options import DEFAULT_SEED
from pkpd.cli.pairs import numbers, pairs
from pkpd.errors import PkpdError
from pkpd.inference import Identifiability, load_fit
from pkpd.inference import identify as look
from pkpd.plots import plot_information, plot_profile, save_figure, write_whole
from pkpd.simulate import read_study, study_problem

WHAT = "A fit file (.py), a folder of a saved fit; or with DESIGN a model: of the library, or FILE.py:NAME."


@dataclass(frozen=True, eq=False)
class Asked:
    """A problem and what belongs to it: copies of its subjects, the order of its observables, what was assumed, and the folder of its fit."""

    problem: Any
    copies: tuple[int, ...] | None = None
    order: Any = ()
    assumed: tuple[str, ...] = ()
    fit: Path | None = None


def identify(
    what: Annotated[str, typer.Argument(metavar="FITFILE|MODEL|FOLDER", help=WHAT)],
    design: Annotated[
        Path | None,
        typer.Argument(metavar="DESIGN", help="Of a model: a design (.toml) or a csv of NONMEM-style records; DV may be missing."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the tables and the pictures of them.", show_default=False)
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option("--fix", metavar="NAME=NUMBER", help="Of a model: a parameter held at this value; repeat it.")
    ] = None,
    units: Units = None,
    twins: Annotated[int, typer.Option("--twins", min=0, help="Look for other values with the same predictions, from so many starts.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Whole number that places the starts.")] = DEFAULT_SEED,
    fit: Annotated[
        Path | None, typer.Option("--fit", metavar="DIR", help="Of a fit file: what this saved fit has found, beside.", show_default=False)
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME[,NAME]", help="Of a fit file: profile likelihood of these values.", show_default=False),
    ] = None,
) -> None:
    """Before any fit: what data can tell of each parameter at the prior medians, and which combinations only the priors will.

    Of a fit file, its data; of MODEL and DESIGN, a study that has no data yet: doses, times, residual errors. Expected posterior/prior sd by each observable
    alone, as they are added one after another, and by all; the standard error from the data alone, in percent. Nothing is sampled. Of a FOLDER written by
    'pkpd fit' also what its posterior has found, beside what was expected. With --out also information.csv, information.png (which data inform which
    parameter) and verdict.txt.
    """
    asked = _asked(what, design, fix or (), units or (), profile, fit)
    found = look(asked.problem, order=asked.order, copies=asked.copies)
    for line in as_text(found, asked.assumed):
        typer.echo(line)
    if out is not None:
        keep(found, out, asked.assumed)
    if asked.fit is not None:
        for line in fit_text(load_fit(asked.fit, asked.problem), found):
            typer.echo(line)
    if twins:
        _twins(asked.problem, seed, twins, out)
    if profile is not None:
        _profile(asked.problem, profile, out)
    if out is not None:
        typer.echo(f"Table, picture and verdict: {out}")


def _asked(what: str, design: Path | None, fix: Sequence[str], units: Sequence[str], profile: str | None, fit: Path | None) -> Asked:
    if design is not None:
        return _of_design(what, design, fix, units, profile, fit)
    for word, given in (("--fix", fix), ("--units", units)):
        if given:
            raise PkpdError(
                f"{word} belongs to MODEL DESIGN; {what} says for itself what is held (fixed(...)) and in which units its data are."
            )
    path = Path(what)
    if path.is_dir():
        if fit is not None:
            raise PkpdError(f"{path} is a folder of a fit, and --fit names another: give the fit file, pkpd identify FITFILE --fit {fit}.")
        return Asked(build_problem(load_problem(fit_file_of(path, f"pkpd identify FITFILE --fit {path}")), False), fit=path)
    if path.suffix == ".py" or path.exists() or "/" in what:
        return Asked(build_problem(load_problem(path), False), fit=fit)
    model_of(what)  # a name that is not one either gets the nearest
    raise PkpdError(
        f"pkpd identify {what}: give a design beside the model, 'pkpd identify {what} design.toml' (doses, times, residual errors; "
        "guide: What the data can tell), or a csv file of records; or a fit file (.py) alone."
    )


def _of_design(what: str, design: Path, fix: Sequence[str], units: Sequence[str], profile: str | None, fit: Path | None) -> Asked:
    if fit is not None:
        raise PkpdError("--fit belongs to a fit file: a design has no posterior. Give it alone: pkpd identify FITFILE --fit DIR.")
    if profile is not None:
        raise PkpdError(
            "--profile needs data: a profile likelihood is that of rows that were measured. Give a fit file: pkpd identify FITFILE --profile NAME."
        )
    model = model_of(what)
    study = read_study(design, model).holding(numbers(fix, "--fix"), model)
    if units:
        if study.records is None:
            raise PkpdError(f"--units belongs to a file of records; in {design.name} every number has its own unit.")
        study = study.with_units(pairs(units, "--units"))
    made = study_problem(model, study)
    return Asked(made.problem, made.copies, made.order, made.assumed)


def _twins(problem: Any, seed: int, starts: int, out: Path | None) -> None:
    found = find_twins(problem, seed=seed, starts=starts)
    typer.echo(f"\n{found.verdict}")
    if out is not None:
        write_whole(out / "twins.csv", found.table.to_csv().encode())


def _profile(problem: Any, given: str, out: Path | None) -> None:
    names = [n.strip() for n in given.split(",") if n.strip()]
    if out is None:
        raise PkpdError(f"--profile writes a table and a picture: give a folder, pkpd identify FITFILE --profile {given} --out DIR.")
    found = profile_of(problem, maximise(problem), names)
    typer.echo(f"\nProfile likelihood: {found.verdict}")
    write_whole(out / "profile.csv", found.table.to_csv(index=False).encode())
    save_figure(plot_profile(found), out / "profile.png")


def keep(found: Identifiability, out: Path, assumed: Sequence[str] = ()) -> None:
    """The tables, their picture, and the sentences, with what they hang on."""
    write_whole(out / "information.csv", found.table.to_csv(index=False).encode())
    if found.staged:
        write_whole(out / "steps.csv", found.by_step.to_csv(index=False).encode())
    said = (
        found.verdict,
        *found.next_steps,
        *(c.sentence for c in found.together),
        *found.notes,
        *(f"Assumed: {line}" for line in assumed),
    )
    write_whole(out / "verdict.txt", ("\n".join(said) + "\n").encode())
    save_figure(plot_information(found), out / "information.png")
