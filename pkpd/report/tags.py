"""HTML built from small pieces: every text is escaped unless a piece made here says that it is already markup."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any


class Markup(str):
    """Text that is HTML already; only the functions of this file make it, out of escaped parts."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Any value as escaped text; markup passes as it is.

    >>> text("a < b")
    'a &lt; b'
    """
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(parts: Iterable[Any]) -> Markup:
    """Parts one after another, each escaped."""
    return Markup("".join(text(part) for part in parts))


def element(tag: str, *children: Any, **attributes: Any) -> Markup:
    """One HTML element; `class_` and `id_` stand for class and id, an attribute that is None is left out.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    given = {key.rstrip("_"): value for key, value in attributes.items() if value is not None}
    words = "".join(f' {key}="{html.escape(str(value), quote=True)}"' for key, value in given.items())
    return Markup(f"<{tag}{words}>{join(children)}</{tag}>")


def section(identity: str, title: str, *children: Any) -> Markup:
    """A section with its heading, reachable as `#identity`."""
    return element("section", element("h2", title), *children, id_=identity)


def table(headers: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str = "") -> Markup:
    """A table; numbers are shortened and aligned to the right. `rows` may hold markup in its cells."""
    head = element("tr", *(element("th", h) for h in headers))
    body = [element("tr", *(_cell(value) for value in row)) for row in rows]
    words = [element("caption", caption)] if caption else []
    return element("div", element("table", *words, element("thead", head), element("tbody", *body)), class_="scroll")


def _cell(value: Any) -> Markup:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return element("td", number(value), class_="number") if is_number else element("td", value)


def number(value: float) -> str:
    """A number to four significant digits without an exponent where that is readable; an en dash for nan.

    >>> number(0.123456), number(1234567.0), number(float("nan")), number(12)
    ('0.1235', '1.235e6', '–', '12')
    """
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        mantissa, power = f"{value:.3e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def pairs(values: Any) -> Markup:
    """A mapping as a two-column list, nested mappings and lists inside."""
    lines = [element("dt", key) + element("dd", plain(value)) for key, value in values.items()]
    return element("dl", Markup("".join(lines)))


def plain(value: Any) -> Any:
    """A value of a JSON attribute as something to read."""
    if isinstance(value, dict):
        return pairs(value) if value else "none"
    if isinstance(value, (list, tuple)):
        return bullets(value) if value else "none"
    if isinstance(value, float):
        return number(value)
    return "–" if value is None else value


def bullets(items: Iterable[Any]) -> Markup:
    """A bulleted list."""
    return element("ul", *(element("li", plain(item)) for item in items))


def image(data: bytes, kind: str, words: str) -> Markup:
    """A picture inside the page itself; `kind` is its media type, `words` its description for those who cannot see it.

    A script inside an SVG does not run in a picture, so a diagram from elsewhere is safe to show.
    """
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return Markup(f'<img src="{source}" alt="{html.escape(words, quote=True)}">')
