"""Models by name: every installed package that declares the entry-point group `pkpd.models` offers those it holds."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pkpd.errors import ModelError, choices
from pkpd.model.model import Model

GROUP = "pkpd.models"


def available_models() -> dict[str, str]:
    """The name of every installed model, with the first line of its description.

    A package that cannot be imported is left out with a warning that says why.

    >>> from pkpd.model import available_models
    >>> available_models()["one_compartment_oral"]
    'One compartment: a drug given by mouth or into the vein, distributed in one volume, cleared linearly.'
    """
    found, broken = _offered()
    for sentence in broken:
        warnings.warn(sentence, stacklevel=2)
    return {name: _first_line(model) for name, (model, _) in sorted(found.items())}


def load_model(name: str) -> Model:
    """The installed model of this name.

    Raises `ModelError` naming the nearest one when there is none.

    >>> from pkpd.model import load_model
    >>> load_model("one_compartment_oral").state_names
    ('depot', 'central')
    """
    return _find(name)[0]


def model_source(name: str) -> Path:
    """The file that defines an installed model.

    Raises `ModelError` naming the nearest model when there is none of this name, or when it was not made in a file.

    >>> model_source("one_compartment_oral").name
    'one_compartment.py'
    """
    model, package = _find(name)
    defining = [m for m in _modules(package) if _defines(m, model)]
    if not defining:
        where = f"'{name}' is offered by {package.__name__}, but no file of that package assigns it to a name"
        raise ModelError(f"{where}, so there is none to show or copy.")
    return Path(str(defining[0].__file__))


def _find(name: str) -> tuple[Model, ModuleType]:
    found, broken = _offered()
    if name in found:
        return found[name]
    if not found:
        none = "No models are installed: no package offers any (entry points 'pkpd.models'). Install pkpd-jax with pip."
        raise ModelError(" ".join([none, *broken]))
    raise ModelError(" ".join([f"No installed model is named '{name}'. {choices(name, found)}", *broken]))


def _offered() -> tuple[dict[str, tuple[Model, ModuleType]], list[str]]:
    """Every model by name with the package that offers it, and a sentence for each package that cannot be imported."""
    found: dict[str, tuple[Model, ModuleType]] = {}
    broken: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            package: Any = point.load()
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            broken.append(f"The models of '{point.value}' cannot be imported ({why}); mend or uninstall the package.")
            continue
        for model in (m for m in vars(package).values() if isinstance(m, Model)):
            if found.setdefault(model.name, (model, package))[0] is not model:
                places = f"one in {found[model.name][1].__name__}, one in {package.__name__}"
                raise ModelError(f"Two models are named '{model.name}': {places}. Rename one, or uninstall its package.")
    return found, broken


def _first_line(model: Model) -> str:
    return next(iter(model.text.strip().splitlines()), "")


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """The imported modules of a package, the package itself last."""
    inside = [m for name, m in list(sys.modules.items()) if name.startswith(package.__name__ + ".") and getattr(m, "__file__", None)]
    yield from (*inside, package)


def _defines(module: ModuleType, model: Model) -> bool:
    """Whether the text of a module assigns the model to a name (importing it is not enough)."""
    names = {name for name, value in vars(module).items() if value is model}
    return bool(names) and bool(names & _assigned(Path(str(module.__file__))))


def _assigned(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
