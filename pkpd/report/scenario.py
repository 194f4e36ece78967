"""One self-contained HTML page of a scenario: arms, figures, exposures, targets, what is extrapolation, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pkpd.report.css import CSS
from pkpd.report.figures import Drawn, figure
from pkpd.report.tags import Markup, bullets, element, pairs, section, table

BADGES = (("simulated", "simulated data"), ("extrapolation", "extrapolation"))
WITHHELD = "Withheld: the fit behind these runs has not converged. The figures beside this page are marked, and the tables are no result."
SOURCES = {"posterior": "posterior of a fit", "prior": "prior of a problem: nothing was fitted", "parameters": "stated parameters: no fit"}


def scenario_page(
    title: str,
    attrs: Mapping[str, Any],
    figures: Sequence[Drawn],
    tables: Mapping[str, pd.DataFrame],
    facts: Mapping[str, Any],
    text: str,
) -> str:
    """The page as text; figures and tables of a fit that has not converged are withheld.

    `attrs` are those of the runs, `tables` have a heading each, `facts` say how it was made, `text` is the scenario file.
    """
    failed = not attrs.get("converged", 1)
    words = [word for name, word in BADGES if attrs.get(name)]
    told = (
        element("div", element("strong", "The fit behind this has not converged: not to be used."), class_="banner bad")
        if failed
        else Markup("")
    )
    tags = [element("span", word, class_="tag") for word in words]
    parts = [
        told,
        element("h1", title),
        element("p", f"Source: {SOURCES.get(str(attrs.get('source')), attrs.get('source'))}. ", *tags),
        section("arms", "Arms", bullets(attrs.get("regimens") or ["none"])),
        *([section("extrapolation", "Extrapolation", bullets(attrs["extrapolation"]))] if attrs.get("extrapolation") else []),
        *([section("figures", "Figures", element("p", WITHHELD, class_="withheld"))] if failed else _shown(figures, tables)),
        section("provenance", "How this was made", pairs(facts), element("pre", text)),
    ]
    meta = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    names = " · ".join([*(["NOT CONVERGED"] if failed else []), title, *words])
    head = element("head", meta, element("title", names), element("style", Markup(CSS)))
    return "<!DOCTYPE html>\n" + element("html", head, element("body", element("main", *parts)), lang="en") + "\n"


def _shown(figures: Sequence[Drawn], tables: Mapping[str, pd.DataFrame]) -> list[Markup]:
    drawn = section("figures", "Figures", *(figure(d) for d in figures))
    return [drawn, *(section(name.lower().replace(" ", "-"), name, _table(x)) for name, x in tables.items())]


def _table(x: pd.DataFrame) -> Markup:
    rows = [[v.item() if hasattr(v, "item") else v for v in row] for row in x.itertuples(index=False, name=None)]
    return table(list(x.columns), rows)
