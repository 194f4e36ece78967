"""Pages and diagrams of the model library, written from the library itself when the docs are built."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pkpd import Model, available_models, bolus, describe, load_model
from pkpd.model.example import in_words
from pkpd.model.registry import model_source
from pkpd.plots import plot_typical, save_figure
from pkpd.simulate import design
from pkpd.solve import Solver, closed_form

HERE = Path(__file__).resolve().parent
OUT = HERE / "generated"
LEAD = {"classic": "Classic pharmacokinetics and pharmacodynamics", "carm": "CAR-macrophages and their cytokines", "cart": "CAR-T cells"}


def write_all() -> None:
    """One page and one diagram a model, and the table of solvers; the codes of data files are written by `code_pages`."""
    (OUT / "models").mkdir(parents=True, exist_ok=True)
    names = list(available_models())
    for name in names:
        model = load_model(name)
        described = describe(model)
        _write(OUT / "models" / f"{name}.svg", described.diagram)
        _profile(model, OUT / "models" / f"{name}.png")
        _write(OUT / "models" / f"{name}.md", page(name, described))
    for family in LEAD:
        lines = [f"- [`{n}`](../generated/models/{n}.md): {_first(n)}" for n in names if model_source(n).parent.name == family]
        _write(OUT / f"family_{family}.txt", "\n".join(lines) + "\n")
    _write(
        OUT / "solvers.txt",
        table(
            ("model", "with a compiler", "without", "why"), [(f"`{n}`", *(f"`{x}`" for x in solver(n)[:2]), solver(n)[2]) for n in names]
        ),
    )


def page(name: str, described) -> str:
    """A model's page in MyST: what `pkpd models show` prints, with the diagram and the profile of a typical subject."""
    source = model_source(name)
    parts = [
        f"# {name}",
        f"```{{image}} {name}.svg\n:alt: diagram of {name}\n:class: diagram\n```",
        *map(_paragraph, described.text.split("\n\n")),
        f"## A typical subject\n\n```{{image}} {name}.png\n:alt: profile of a typical subject of {name}\n:width: 100%\n```",
        *(f"## {title}\n\n{frame(t)}" for title, t in described.tables.items()),
        f"## Use it\n\nSolved by `{solver(name)[0]}` where there is a C++ compiler, else by `{solver(name)[1]}`: {solver(name)[2]}.\n",
        f"```python\nfrom pkpd.models.{source.parent.name} import {name}\n```",
        f"The file is `models/{source.parent.name}/{source.name}`; `pkpd models copy {name} my_model.py` copies it.",
    ]
    return "\n\n".join(parts) + "\n"


def _profile(model: Model, path: Path) -> None:
    """Every model of the library declares an example (an architecture test); drawn again where the same page was not drawn before."""
    drawn = f"{model.digest} {in_words(model, model.example)}"
    mark = path.with_suffix(".drawn")
    if not path.exists() or not mark.exists() or mark.read_text(encoding="utf-8") != drawn:
        save_figure(plot_typical(model), path)
        mark.write_text(drawn, encoding="utf-8")


def solver(name: str) -> tuple[str, str, str]:
    """Which solver `Solver()` picks for a model with and without a C++ compiler, and why; the mesh, which depends on the data, left out."""
    model = load_model(name)
    d = model.vocabulary.doses[0]
    covariates = pd.DataFrame({q.name: [q.reference] for q in model.covariates}, index=[0])
    regimen = bolus((1.0, d.unit), into=d.name)
    chosen = design(model, regimen, [0.0, 24.0], covariates, name, solver=Solver(native="off")).predictor.chosen
    explicit = "native_tsit5" if chosen.name == "tsit5_batched" else "native_rodas4"
    machine = "native_closed_form" if closed_form.applies(chosen.structure) else explicit
    return machine, chosen.name, chosen.reason.split(";")[0]


def frame(t: pd.DataFrame) -> str:
    return table(t.columns, t.itertuples(index=False))


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    heads = list(columns)
    lines = [heads, ["---"] * len(heads), *([_cell(v) for v in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = text.replace("|", "\\|")
    return f"`{text}`" if re.fullmatch(r"[A-Za-z]\w*_\w+", text) else text


def _paragraph(text: str) -> str:
    """A paragraph of a model's text: indented lines are equations and stay as they are."""
    if any(line.startswith("  ") for line in text.split("\n")):
        return f"```text\n{textwrap.dedent(text)}\n```"
    return text.replace("*", "\\*")


def _first(name: str) -> str:
    return available_models()[name]


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # unchanged pages are not read again
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()
