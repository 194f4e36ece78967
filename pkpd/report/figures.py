"""The figures of a report: drawn once, used for the page and for the files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkpd.plots import gallery, plot_what_if, png_bytes
from pkpd.report.facts import Facts
from pkpd.report.sections import WITHHELD
from pkpd.report.tags import Markup, bullets, element, image, section


@dataclass(frozen=True)
class Drawn:
    """A finished figure: file name without ending, title, caption, PNG."""

    name: str
    title: str
    caption: str
    png: bytes


def draw_all(fit: Any) -> list[Drawn]:
    """Every figure that the fit's tree has the numbers for."""
    return [Drawn(p.name, p.title, p.caption, png_bytes(p.draw())) for p in gallery(fit)]


def draw_what_if(runs: Any) -> Drawn:
    """The what-if figure of a report."""
    caption = "Lines: the median patient; dark bands: what is not known of it (90 % of draws); light bands: the middle 90 % of patients."
    return Drawn("what_if", "What if", caption, png_bytes(plot_what_if(runs)))


def figures_section(drawn: list[Drawn], facts: Facts, told: str = "") -> Markup:
    """All figures, after what is `told` of those left out; the traces come first when the fit has not converged, since they show why."""
    if not facts.converged:
        drawn = sorted(drawn, key=lambda d: not d.name.startswith("trace"))
    words = [element("p", told, class_="note")] if told else []
    return section("figures", "Figures", *words, *(figure(d) for d in drawn))


def figure(drawn: Drawn) -> Markup:
    """One figure with its caption."""
    return element("figure", image(drawn.png, "image/png", drawn.title), element("figcaption", drawn.caption), id_=drawn.name)


def what_if_section(drawn: Drawn | None, runs: Any) -> Markup:
    """The what-if figure, and what in it lies outside the studied doses; nothing drawn (no convergence) is said to be withheld."""
    if drawn is None:
        return section("what-if", "What if", element("p", WITHHELD, class_="withheld"))
    told = runs.attrs.get("extrapolation") or ()
    told = [told] if isinstance(told, str) else list(told)
    words = [element("h3", "Extrapolation"), bullets(told)] if told else []
    return section("what-if", "What if", *words, figure(drawn))
