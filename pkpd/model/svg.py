"""The few shapes a diagram needs, as SVG text: escaped words, no scripts, no styles that could leak into a page around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

FONT = "Helvetica, Arial, sans-serif"
Point = tuple[float, float]


def width_of(words: str, size: float = 12.0) -> float:
    """About how wide words are drawn, in pixels; on the generous side."""
    return 0.6 * size * len(words)


def element(tag: str, *children: str, **attributes: object) -> str:
    """One element; `stroke_width` stands for stroke-width and numbers are rounded to tenths. Children are SVG already."""
    told = "".join(f" {k.rstrip('_').replace('_', '-')}={quoteattr(_plain(v))}" for k, v in attributes.items() if v is not None)
    inner = "".join(children)
    return f"<{tag}{told}>{inner}</{tag}>" if inner else f"<{tag}{told}/>"


def _plain(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else str(value)


def title(words: str) -> str:
    """What a pointer resting on a shape, or a screen reader, is told."""
    return f"<title>{escape(words)}</title>"


def words(x: float, y: float, text: str, *, size: float = 12.0, fill: str = "#222222", bold: bool = False, halo: bool = False) -> str:
    """One centred line with its baseline at y; a halo keeps it readable across lines."""
    around = {"stroke": "#ffffff", "stroke_width": 4, "stroke_linejoin": "round", "paint_order": "stroke"} if halo else {}
    weight = "bold" if bold else None
    look = {"font_size": size, "fill": fill, "font_weight": weight, "text_anchor": "middle"}
    return element("text", escape(text), x=float(x), y=float(y), **look, **around)


def lines_of(x: float, bottom: float, lines: Sequence[str], *, size: float, fill: str, leading: float, halo: bool = False) -> str:
    """Centred lines of which the last has its baseline at `bottom`."""
    return "".join(words(x, bottom - leading * (len(lines) - 1 - i), t, size=size, fill=fill, halo=halo) for i, t in enumerate(lines))


def box(x: float, y: float, width: float, height: float, *, round_: float, fill: str, stroke: str, dashed: bool = False) -> str:
    """A rounded box by its left upper corner."""
    size = {"x": float(x), "y": float(y), "width": float(width), "height": float(height), "rx": round_}
    return element("rect", **size, fill=fill, stroke=stroke, stroke_width=1.4, stroke_dasharray="4 3" if dashed else None)


def curve(points: Sequence[Point]) -> str:
    """A path through points, level at each of them."""
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        half = (to_x - x) / 2
        parts.append(f"C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(parts)


def height_at(start: Point, end: Point, x: float) -> float:
    """Where `curve` between two points passes a given x."""
    (x0, y0), (x1, y1) = start, end
    low, high = 0.0, 1.0
    for _ in range(30):
        t = (low + high) / 2
        low, high = (t, high) if x0 + (x1 - x0) * (1.5 * t * (1 - t) + t**3) < x else (low, t)
    return y0 + (y1 - y0) * (3 * low**2 - 2 * low**3)


def elbows(points: Sequence[Point], bend: float = 7.0) -> str:
    """A path of straight legs with rounded corners."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(here, before, bend), _towards(here, after, bend)
        parts.append(f"L{a[0]:.1f} {a[1]:.1f} Q{here[0]:.1f} {here[1]:.1f} {b[0]:.1f} {b[1]:.1f}")
    return " ".join([*parts, f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"])


def _towards(start: Point, end: Point, most: float) -> Point:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    part = min(most, length / 2) / length if length else 0.0
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])


def line(path: str, colour: str, *, dashed: bool = False, width: float = 1.6) -> str:
    return element("path", d=path, fill="none", stroke=colour, stroke_width=width, stroke_dasharray="5 4" if dashed else None)


def head(x: float, y: float, direction: str, colour: str) -> str:
    """An arrow head with its point at (x, y); `direction` is right, left, up or down."""
    dx, dy = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}[direction]
    corners = [(x, y), (x - 8 * dx + 4 * dy, y - 8 * dy + 4 * dx), (x - 8 * dx - 4 * dy, y - 8 * dy - 4 * dx)]
    return element("polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in corners), fill=colour)


def dot(x: float, y: float, colour: str) -> str:
    """Where one line joins another."""
    return element("circle", cx=float(x), cy=float(y), r=2.2, fill=colour)


def document(width: float, height: float, name: str, description: str, shapes: Iterable[str]) -> str:
    """A standalone picture on white."""
    wide, high = f"{width:.0f}", f"{height:.0f}"
    size = {"width": wide, "height": high, "viewBox": f"0 0 {wide} {high}"}
    paper = element("rect", width=wide, height=high, fill="#ffffff")
    told = title(name) + f"<desc>{escape(description)}</desc>"
    return element("svg", told, paper, *shapes, xmlns="http://www.w3.org/2000/svg", **size, role="img", font_family=FONT)
