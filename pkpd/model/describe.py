"""A model in words, tables and a picture: what a methods section, a notebook or a terminal shows of it."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from pkpd.components import Dose
from pkpd.model.diagram import diagram
from pkpd.model.influence import Link, links, observable_inputs
from pkpd.model.model import Model

WIDTH = 120  # columns of a terminal; the last column of a table wraps


@dataclass(frozen=True, eq=False)
class Description:
    """What `describe` says: tables, one for each kind of word in the model, a diagram as SVG text, and the same in prose.

    `parameters`: name, unit, typical value, support, meaning, source. `states`: name, unit, initial, meaning. `observables`: name, unit,
    meaning, depends on. `covariates`: name, unit, reference, meaning. `doses`: name, unit, into.
    Printed, it is plain text; in a notebook, tables and picture.
    """

    name: str
    parameters: pd.DataFrame
    states: pd.DataFrame
    observables: pd.DataFrame
    covariates: pd.DataFrame
    doses: pd.DataFrame
    diagram: str
    text: str

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that have rows, by title."""
        all_ = {
            "States": self.states,
            "Doses": self.doses,
            "Parameters": self.parameters,
            "Covariates": self.covariates,
            "Observables": self.observables,
        }
        return {title: table for title, table in all_.items() if len(table)}

    def __str__(self) -> str:
        parts = [self.name, "=" * len(self.name), "", _filled(self.text)]
        for title, table in self.tables.items():
            parts += ["", title, "-" * len(title), *_plain(table)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        paragraphs = "".join(
            f"<p>{html.escape(p)}</p>" if not _is_block(p) else f"<pre>{html.escape(p)}</pre>" for p in self.text.split("\n\n")
        )
        tables = "".join(f"<h4>{title}</h4>{_markup(table)}" for title, table in self.tables.items())
        return f"<div><h3>{html.escape(self.name)}</h3>{self.diagram}{paragraphs}{tables}</div>"


def describe(model: Model) -> Description:
    """Everything a model declares, as tables, a diagram of its flows and prose.

    `model` comes from `compose` or `load_model`. Returns a `Description`; print it, show it in a notebook, or take its tables.

    >>> from pkpd.models.classic import one_compartment_oral
    >>> described = describe(one_compartment_oral)
    >>> list(described.parameters["name"])
    ['ka', 'CL', 'V']
    >>> described.diagram[:4]
    '<svg'
    """
    terms = links(model)
    seen = observable_inputs(model)
    parameters = [(p.name, p.unit, float(p.value), p.support, p.meaning, p.source) for p in model.params]
    states = [(s.name, s.unit, s.initial if isinstance(s.initial, str) else f"{s.initial:g}", s.meaning) for s in model.states]
    depends = {name: ", ".join((*i.states, *i.signals, *i.label)) for name, i in seen.items()}
    return Description(
        model.name,
        _table(("name", "unit", "typical value", "support", "meaning", "source"), parameters),
        _table(("name", "unit", "initial", "meaning"), states),
        _table(("name", "unit", "meaning", "depends on"), [(o.name, o.unit, o.meaning, depends[o.name]) for o in model.observables]),
        _table(("name", "unit", "reference", "meaning"), [(q.name, q.unit, float(q.reference), q.meaning) for q in model.covariates]),
        _table(("name", "unit", "into"), [(d.name, _dose_unit(model, d), _into(d)) for d in model.doses]),
        diagram(model),
        "\n\n".join(part for part in (prose(model, terms), textwrap.dedent(model.text).strip()) if part),
    )


def prose(model: Model, terms: Sequence[Link]) -> str:
    """The structure in sentences: sizes, doses, flows, gains and losses, what is observed."""
    counts = (("state", model.states), ("parameter", model.params), ("covariate", model.covariates))
    sentences = [f"{model.name} has {_listed([f'{len(x)} {word}{"" if len(x) == 1 else "s"}' for word, x in counts if x])}."]
    sentences += [f"A dose by '{d.name}' ({_dose_unit(model, d)}) enters {_into(d)}." for d in model.doses]
    kinds = (
        ("Mass moves from", [f"{t.source} to {t.target}{_by(t)}" for t in terms if t.source and t.target]),
        ("Gained from nothing:", [f"{t.target}{_by(t)}" for t in terms if not t.source]),
        ("Lost to nothing:", [f"{t.source}{_by(t)}" for t in terms if not t.target]),
        ("Observed:", [f"{o.name} ({o.unit}; {o.meaning})" for o in model.observables]),
    )
    return " ".join([*sentences, *(f"{start} {_listed(what)}." for start, what in kinds if what)])


def _by(term: Link) -> str:
    names = (*term.inputs.label, *term.drivers)
    return f" ({', '.join(names)})" if names else ""


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _dose_unit(model: Model, dose: Dose) -> str:
    return dose.unit or next(s.unit for s in model.states if s.name == dose.into[0][0])


def _into(dose: Dose) -> str:
    return _listed([state if share == 1.0 else f"{state} (share {share})" for state, share in dose.into])


def _table(columns: Sequence[str], rows: Iterable[tuple]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns))


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_block(paragraph: str) -> bool:
    """Whether a paragraph's line breaks mean something: equations and tables are indented."""
    return any(line.startswith("  ") for line in paragraph.split("\n"))


def _filled(text: str) -> str:
    return "\n\n".join(p if _is_block(p) else textwrap.fill(p, WIDTH) for p in text.split("\n\n"))


def _plain(table: pd.DataFrame) -> list[str]:
    """A table as lines of text; the last column wraps in what room is left."""
    rows = [list(table.columns), *([_cell(v) for v in row] for row in table.itertuples(index=False))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        first = "".join(cell.ljust(width) + "  " for cell, width in zip(row, widths, strict=False))
        lines.append(textwrap.fill(row[-1], max(WIDTH, indent + 40), initial_indent=first, subsequent_indent=" " * indent).rstrip())
    return lines


def _markup(table: pd.DataFrame) -> str:
    """A table as HTML, every cell escaped."""
    heads = "".join(f"<th>{html.escape(str(c))}</th>" for c in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(v))}</td>" for v in row) + "</tr>" for row in table.itertuples(index=False))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
