"""Models of the library by name, and a copy of one for a person to change."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

from pkpd.cli.files import write_new
from pkpd.cli.fitfile import load_file
from pkpd.errors import PkpdError, choices
from pkpd.model import Model, load_model
from pkpd.model.registry import model_source

RELATIVE = re.compile(r"from\s+\.[\w.]*")


def model_named(name: str) -> Model:
    """The library's model of this name. Raises `ModelError` that names the nearest one."""
    return load_model(name)


def model_of(words: str) -> Model:
    """A model of the library by its name, or of a person's own file, as FILE.py:NAME. Raises `PkpdError` that says which there are."""
    file, colon, name = words.rpartition(":")
    if not colon and not words.endswith(".py"):
        return model_named(words)
    path = Path(file if colon else words)
    if not path.is_file():
        raise PkpdError(f"There is no file {path}. A model of your own is given as FILE.py:NAME, one of the library by its name.")
    models = {n: x for n, x in vars(load_file(path.resolve())).items() if isinstance(x, Model)}
    if not colon or name not in models:
        known = choices(name, models) if models else "It has no model: assign one, as in mine = compose(...)."
        wrong = f"{path.name} has no model '{name}'." if colon else f"{path.name} beside a design: which model of it? Write {path}:NAME."
        raise PkpdError(f"{wrong} {known}")
    return models[name]


def copy_model(name: str, place: Path) -> str:
    """Copy the file that defines a model to `place` (a .py file or a folder) and return the line that imports the model from the copy.

    What the file imports from its neighbours is imported from the installed package by the copy. Raises `PkpdError` when the copy could
    not be imported under its name, or something is in the way.
    """
    source = model_source(name)
    target = place / source.name if place.is_dir() else place
    if target.suffix != ".py" or not target.stem.isidentifier():
        raise PkpdError(f"{target} could not be imported: name a folder, or a file with a name like my_{source.name}.")
    module = _module_of(source)
    write_new(target, absolute(source.read_text(encoding="utf-8"), module.__package__ or ""))
    variable = next((n for n, value in vars(module).items() if isinstance(value, Model) and value.name == name), name)
    return f"from {target.stem} import {variable}"


def absolute(text: str, package: str) -> str:
    """Python source whose relative imports are written in full, as seen from `package`.

    >>> absolute("from .trafficking import cells", "pkpd.models.carm")
    'from pkpd.models.carm.trafficking import cells'
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            full = ".".join([*above, *([node.module] if node.module else [])])
            line, start = lines[node.lineno - 1], node.col_offset
            lines[node.lineno - 1] = line[:start] + RELATIVE.sub(f"from {full}", line[start:], count=1)
    return "".join(lines)


def _module_of(source: Path) -> ModuleType:
    return next(m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == str(source))
