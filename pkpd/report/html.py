"""One self-contained HTML page per fit: verdict, data, model, estimates, figures, assumptions, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pkpd.diagnostics.rows import no_residuals
from pkpd.plots import write_whole
from pkpd.report import sections
from pkpd.report.css import CSS
from pkpd.report.estimates import estimates_section
from pkpd.report.facts import Facts, gather
from pkpd.report.figures import Drawn, draw_all, draw_what_if, figures_section, what_if_section
from pkpd.report.identified import identified_box
from pkpd.report.influence import influence_section, sensitivity_section
from pkpd.report.prior import prior_section
from pkpd.report.solver import solver_section
from pkpd.report.tags import Markup, element

PLACES = {
    "data": "Data",
    "model": "Model",
    "prior": "Prior check",
    "estimates": "Estimates",
    "shrinkage": "Shrinkage",
    "sensitivity": "Sensitivity",
    "influence": "Influence",
    "what-if": "What if",
    "figures": "Figures",
    "solver": "Solver",
    "assumptions": "Assumptions",
    "provenance": "Provenance",
}


def write_report(fit: Any, directory: str | Path, *, what_if: Any = None) -> Path:
    """Write `report.html` and `plots/*.png` into `directory`, each file whole or not at all.

    `fit` has `.tree`, `.summary`, `.verdict` (converged, headline, reasons) and `.provenance`; `what_if` is the Dataset of a what-if
    run, which gets a section and `plots/what_if.png` if the fit has converged. File names depend only on observables and page numbers.
    Returns the path of the page. A fit that has not converged says so in the first line and shows no estimates.
    """
    directory, facts = Path(directory), gather(fit)
    drawn = draw_all(fit)
    extra = draw_what_if(what_if) if what_if is not None and facts.converged else None
    for picture in (*drawn, *([extra] if extra else [])):
        write_whole(directory / "plots" / f"{picture.name}.png", picture.png)
    page = _page(fit, facts, drawn, extra, what_if)
    return write_whole(directory / "report.html", page.encode("utf-8"))


def render_report(fit: Any, *, what_if: Any = None) -> str:
    """The page of `write_report` as text, with all figures inside; nothing is written."""
    facts = gather(fit)
    extra = draw_what_if(what_if) if what_if is not None and facts.converged else None
    return _page(fit, facts, draw_all(fit), extra, what_if)


def _page(fit: Any, facts: Facts, drawn: list[Drawn], extra: Drawn | None, runs: Any) -> str:
    parts = [
        sections.data_section(fit),
        sections.model_section(facts),
        prior_section(fit),
        estimates_section(fit, facts),
        sections.shrinkage_section(fit, facts),
        sensitivity_section(fit, facts),
        influence_section(fit, facts),
        *([what_if_section(extra, runs)] if runs is not None else []),
        figures_section(drawn, facts, no_residuals(fit)),
        solver_section(facts),
        sections.assumptions_section(facts),
        sections.provenance_section(facts),
    ]
    places = [key for key in PLACES if key != "what-if" or runs is not None]
    links = element("nav", *(element("a", PLACES[key], href=f"#{key}") for key in places))
    body = element("main", sections.banner(facts), identified_box(fit, facts), sections.heading(facts), links, *parts)
    return _document(facts, body)


def _document(facts: Facts, body: Markup) -> str:
    words = [] if facts.converged else ["NOT CONVERGED"]
    title = " · ".join([*words, facts.title, *(["simulated data"] if facts.simulated else [])])
    sheet = element("style", Markup(CSS))
    meta = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    head = element("head", meta, element("title", title), sheet)
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"
