"""Fit files: a Python file that defines `problem(quick)`, loaded by its path and never imported by name."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from pkpd.cli.guard import AGAIN, named
from pkpd.errors import FitError, PkpdError, nearest
from pkpd.inference import FitProblem, load_fit

WANTED = "A fit file defines 'def problem(quick: bool) -> FitProblem'."


def load_problem(path: Path) -> Callable[[bool], Any]:
    """The function `problem` of a fit file; files beside it can be imported, as when Python runs it.

    Raises `FitError` when the file is missing, cannot be read as Python, stops with an error, or defines no such function.
    """
    _check_path(path)
    module = load_file(path.resolve())
    found = getattr(module, "problem", None)
    if found is None:
        near = nearest("problem", [n for n in vars(module) if not n.startswith("_")])
        raise FitError(f"{path} defines no 'problem'{f', but {near!r}' if near else ''}. {WANTED}")
    if not callable(found):
        raise FitError(f"{path}: 'problem' is a {type(found).__name__}, not a function. {WANTED}")
    return found


def build_problem(function: Callable[[bool], Any], quick: bool) -> FitProblem:
    """What `problem(quick)` returns. Raises `FitError` when it takes other arguments, stops with an error, or returns something else."""
    path = Path(inspect.getsourcefile(inspect.unwrap(function)) or "fit file")
    try:
        inspect.signature(function).bind(quick)
    except TypeError as error:
        found = f"problem{inspect.signature(function)}"
        raise FitError(f"{path.name}: {found} cannot be called as problem({quick}): {error}. {WANTED}") from None
    with _told(path):
        made = function(quick)
    if made is None:
        raise FitError(f"{path.name}: problem(quick={quick}) returned nothing. End it with 'return FitProblem(...)'.")
    if not isinstance(made, FitProblem):
        raise FitError(f"{path.name}: problem(quick={quick}) returned a {type(made).__name__}, but a FitProblem is needed. {WANTED}")
    return made


def fit_file_of(folder: Path, cure: str) -> Path:
    """The fit file that bears the name of the fit, where one would look; told, for it is run. `cure` is the line that gives it."""
    name = str(load_fit(folder).provenance["name"])
    places = [p / f"{name}.py" for p in (Path(), Path("fits"), folder, folder.parent)]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        looked = ", ".join(str(p) for p in places)
        raise FitError(f"The fit in {folder} is named '{name}', and its fit file is none of {looked}. Give it: {cure}.")
    typer.echo(f"Fit file: {found}", err=True)
    return found


def _check_path(path: Path) -> None:
    if path.is_dir():
        inside = ", ".join(sorted(p.name for p in path.glob("*.py"))) or "none"
        raise FitError(f"{path} is a folder; name one fit file. Python files in it: {inside}.")
    if not path.exists():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else None
        raise FitError(f"There is no fit file '{path}'. {f'Did you mean {str(path.with_name(near))!r}? ' if near else ''}{WANTED}")
    if path.suffix != ".py":
        raise FitError(f"{path} is not a Python file (.py). {WANTED}")


def load_file(path: Path) -> ModuleType:
    """The module of a Python file, found by its path."""
    name = f"fitfile_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FitError(f"{path} cannot be loaded as a Python file. {WANTED}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    with _told(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Errors of the fit file's own code as sentences with the line; errors of the library pass."""
    try:
        yield
    except PkpdError:
        raise
    except SyntaxError as error:
        place = f"{Path(error.filename or path).name}, line {error.lineno}"
        raise FitError(f"{place}: {error.msg}: {(error.text or '').strip()}") from error
    except Exception as error:
        raise FitError(f"{path.name}{_line(error, path)}: {named(error)} {AGAIN}") from error


def _line(error: BaseException, path: Path) -> str:
    """The last line of the fit file that the error came through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return f", line {lines[-1]}" if lines else ""
