"""A model as a picture: states as boxes in layers, mass moving along arrows, doses entering, losses leaving, signals as dashed arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkpd.model import svg
from pkpd.model.model import Model
from pkpd.model.places import Places, place
from pkpd.model.sketch import LEADING, SMALL, STUB, Arrow, Node, Sketch, Stub, sketch

MASS, DRIVE, DOSE, LOSS, QUIET, SEEN = "#1f4e79", "#7b5ea7", "#b4540a", "#6b7280", "#5f6368", "#0b6b4f"
BOX, PILL = ("#e8f1fa", "#1f4e79"), ("#f3eefa", "#7b5ea7")


def diagram(model: Model) -> str:
    """The flows of a model as a standalone SVG picture.

    Boxes are states with their units, in layers along the flows; an arrow names the parameters (and covariates) its rate depends on.
    Orange arrows are doses with their shares, short arrows gains from nothing and losses to nothing; pills and dashed arrows are signals
    and what they drive.

    >>> from pkpd.models.classic import one_compartment_oral
    >>> diagram(one_compartment_oral)[:4]
    '<svg'
    """
    content = sketch(model)
    drawn = Drawn(content, place(content))
    shapes = [*map(drawn.arrow, content.arrows), *map(drawn.node, content.nodes.values()), *map(drawn.label, content.arrows)]
    description = f"{len(model.states)} states. " + "; ".join(a.told for a in content.arrows)
    wide, legend = _legend(content, drawn.places.height)
    size = max(wide, drawn.places.width), drawn.places.height + (18 if legend else 0)
    return svg.document(*size, model.name, description, [*shapes, *legend])


@dataclass(frozen=True)
class Drawn:
    """A sketch with places, drawn piece by piece."""

    sketch: Sketch
    places: Places

    def arrow(self, a: Arrow) -> str:
        colour = MASS if a.mass else DRIVE
        points = self.places.routes[a]
        path = svg.elbows(points) if a in self.places.crossing else svg.curve(points)
        (x, y), direction = (points[0], "left") if a in self.places.leftward else (points[-1], "right")
        if points[-1][0] == points[-2][0]:
            direction = "down"
        end = svg.dot(x, y, colour) if a in self.places.joining else svg.head(x, y, direction, colour)
        parts = svg.title(a.told), svg.line(path, colour, dashed=not a.mass, width=1.8 if a.mass else 1.3), end
        return svg.element("g", *parts, class_="flow" if a.mass else "drive")

    def label(self, a: Arrow) -> str:
        if not a.label:
            return ""
        spot = self.places.spots[a]
        tall = LEADING * (len(a.label) - 1)
        wide = max(svg.width_of(line, SMALL) for line in a.label) / 2 + 3
        x = spot.x + {"left": -wide, "right": wide}.get(spot.side, 0.0)
        bottom = spot.y + {"above": -6.0, "below": 13 + tall}.get(spot.side, 4 + tall / 2)
        return svg.lines_of(x, bottom, a.label, size=SMALL, fill=MASS, leading=LEADING, halo=True)

    def node(self, n: Node) -> str:
        x, y = self.places.centre[n.name]
        fill, stroke = PILL if n.signal else BOX
        top = y - n.height / 2
        corner = n.height / 2 if n.signal else 7
        body = svg.box(x - n.width / 2, top, n.width, n.height, round_=corner, fill=fill, stroke=stroke, dashed=n.signal)
        lines = [svg.words(x, top + (17 if n.signal else 19), n.name, size=13, bold=not n.signal)]
        for i, (text, colour) in enumerate([(t, QUIET) for t in n.lines] + [(t, SEEN) for t in n.observed], 1):
            lines.append(svg.words(x, top + (16 if n.signal else 18) + 13 * i, text, size=SMALL, fill=colour))
        stubs = [*_stubs(n.above, x, top), *_stubs(n.below, x, y + n.height / 2)]
        return svg.element("g", svg.title(n.told), body, *lines, *stubs, class_="signal" if n.signal else "state")


def _stubs(stubs: Sequence[Stub], x: float, edge: float) -> list[str]:
    """Short arrows side by side, ending or starting at the edge of a box."""
    found = []
    left = x - sum(s.width for s in stubs) / 2
    for s in stubs:
        at = left + s.width / 2
        left += s.width
        colour = {"dose": DOSE, "gain": MASS, "loss": LOSS}[s.kind]
        start, end = (edge, edge + STUB) if s.kind == "loss" else (edge - STUB, edge)
        bottom = edge + STUB + LEADING * len(s.label) if s.kind == "loss" else edge - STUB - 5
        text = svg.lines_of(at, bottom, s.label, size=SMALL, fill=colour, leading=LEADING)
        arrow = svg.line(f"M{at:.1f} {start:.1f}V{end - 2:.1f}", colour, width=2.2 if s.kind == "dose" else 1.6)
        found.append(svg.element("g", svg.title(s.told), arrow, svg.head(at, end, "down", colour), text, class_=s.kind))
    return found


def _legend(content: Sketch, y: float) -> tuple[float, list[str]]:
    """The width of a legend, and its shapes; none where a picture has nothing but flows."""
    if all(a.mass for a in content.arrows):
        return 0.0, []
    doses = [s for n in content.nodes.values() for s in n.above if s.kind == "dose"]
    kinds = [(MASS, False, "mass moves"), (DRIVE, True, "sets a rate"), *([(DOSE, False, "dose")] if doses else [])]
    found, x = [], 22.0
    for colour, dashed, text in kinds:
        found += [svg.line(f"M{x:.1f} {y:.1f}h18", colour, dashed=dashed), svg.head(x + 23, y, "right", colour)]
        half = svg.width_of(text, 10) / 2
        found.append(svg.words(x + 29 + half, y + 3.5, text, size=10, fill=QUIET))
        x += 29 + 2 * half + 14
    return x, found
