"""Places for a sketch: bands of layers under one another, ports where arrows touch boxes, lanes and channels for arrows between bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pkpd.model.layers import Layers, Pair, arrange
from pkpd.model.sketch import SMALL, Arrow, Node, Sketch
from pkpd.model.svg import Point, height_at, width_of

MARGIN, GAP, LANE, PORT, CHANNEL, STEEP, BEND = 20.0, 46.0, 9.0, 17.0, 14.0, 20.0, 10.0


@dataclass(frozen=True)
class Places:
    """Size of the picture, centres of boxes, the points each arrow runs through, which arrows point left, which cross between bands,
    and which of those end by joining another on its way to the same box.

    `spots[arrow]` is where its label stands.
    """

    width: float
    height: float
    centre: Mapping[str, Point]
    routes: Mapping[Arrow, tuple[Point, ...]]
    leftward: frozenset[Arrow]
    crossing: frozenset[Arrow]
    joining: frozenset[Arrow]
    spots: Mapping[Arrow, Spot]


@dataclass(frozen=True)
class Spot:
    """Where a label stands: its point on the arrow, and the side of the line it keeps to (`on` it, where the line is steep)."""

    x: float
    y: float
    side: Literal["above", "below", "left", "right", "on"]


@dataclass(frozen=True)
class Band:
    """One band: its layers, the left and right edge of each column, and its own arrows with those that leave and enter it."""

    layers: Layers
    nodes: Mapping[str, Node]
    arrows: tuple[Arrow, ...]
    exits: tuple[Arrow, ...]
    entries: tuple[str, ...]

    def column(self, key: str) -> int:
        return next(i for i, column in enumerate(self.layers.columns) if key in column)

    def leaving(self, i: int) -> list[Arrow]:
        return [a for a in self.exits if self.column(a.source) == i]

    def entering(self, i: int) -> list[str]:
        return [key for key in self.entries if self.column(key) == i]

    def column_width(self, i: int) -> float:
        return max((self.nodes[k].width for k in self.layers.columns[i] if k in self.nodes), default=20.0)

    def gap(self, i: int) -> float:
        """Room right of column i: lanes for what leaves it, labels, lanes for what enters the next; -1 is the left margin."""
        lanes = LANE * (len(self.leaving(i)) + len(self.entering(i + 1)))
        if i in (-1, len(self.layers.columns) - 1):
            return MARGIN + lanes
        labels = [self.label_room(a) for a in self.arrows if self.column(self.chain(a)[0]) == i]
        return max(labels, default=0.0) + lanes + GAP

    def edges(self, offset: float = 0.0) -> list[tuple[float, float]]:
        """Left and right edge of each column."""
        x, found = offset + self.gap(-1), []
        for i in range(len(self.layers.columns)):
            found.append((x, x + self.column_width(i)))
            x = found[-1][1] + self.gap(i)
        return found

    @property
    def width(self) -> float:
        return self.edges()[-1][1] + self.gap(len(self.layers.columns) - 1)

    def reach(self) -> tuple[float, float]:
        """The highest and lowest line of the band, stubs and bends included, before it is moved to its place."""
        rooms = {k: self.nodes[k].room if k in self.nodes else (BEND, BEND) for k in self.layers.centre}
        tops, bottoms = zip(*((y - rooms[k][0], y + rooms[k][1]) for k, y in self.layers.centre.items()), strict=True)
        return min(tops), max(bottoms)

    def chain(self, a: Arrow) -> tuple[str, ...]:
        return self.layers.chains[a.source, a.target]

    def label_room(self, a: Arrow) -> float:
        """Steep arrows between the same two boxes have their labels side by side."""
        start, end = self.chain(a)[:2]
        steep = abs(self.layers.centre[start] - self.layers.centre[end]) >= STEEP
        widths = list(map(label_width, self.between(a)))
        return sum(widths) if steep else max(widths, default=0.0)

    def between(self, a: Arrow) -> list[Arrow]:
        """The flows between the same two boxes, itself included, in either direction."""
        return [b for b in self.arrows if b.mass and {b.source, b.target} == {a.source, a.target}]

    def leftward(self, a: Arrow) -> bool:
        return (a.source, a.target) in self.layers.backward


Home = tuple[Band, list[tuple[float, float]]]  # a band and the edges of its columns


def place(drawing: Sketch) -> Places:
    """Places for every box and arrow of a sketch."""
    bands = [_band(drawing, keys) for keys in drawing.bands]
    width = max(band.width for band in bands)
    targets = list(dict.fromkeys(a.target for band in bands for a in band.exits))
    y, shift, channel = MARGIN / 2, [], {}
    for i, band in enumerate(bands):
        if i == 1:
            channel = {key: y + CHANNEL * (k + 0.5) for k, key in enumerate(targets)}
            y += CHANNEL * len(targets)
        top, bottom = band.reach()
        shift.append(y - top)
        y += bottom - top
    columns = [band.edges((width - band.width) / 2) for band in bands]
    centre = {k: c for band, dy, edges in zip(bands, shift, columns, strict=True) for k, c in _centres(band, dy, edges).items()}
    routes: dict[Arrow, tuple[Point, ...]] = {}
    spots: dict[Arrow, Spot] = {}
    for band, edges in zip(bands, columns, strict=True):
        routes |= _inner_routes(band, edges, centre)
        spots |= _spots(band, edges, routes)
    home = {k: (band, edges) for band, edges in zip(bands, columns, strict=True) for k in band.nodes}
    crossing = [a for band in bands for a in band.exits]
    routes |= {a: _crossing(a, home, centre, channel[a.target]) for a in crossing}
    joining = {a: cut for key in targets for a, cut in _joined({a: routes[a] for a in crossing if a.target == key}).items()}
    routes |= joining
    leftward = frozenset(a for band in bands for a in band.arrows if band.leftward(a))
    return Places(width, y + MARGIN / 2, centre, routes, leftward, frozenset(crossing), frozenset(joining), spots)


def label_width(a: Arrow) -> float:
    return max((width_of(line, SMALL) for line in a.label), default=0.0)


def _band(drawing: Sketch, keys: Sequence[str]) -> Band:
    nodes = {k: drawing.nodes[k] for k in drawing.nodes if k in keys}
    inner = tuple(a for a in drawing.arrows if a.source in keys and a.target in keys)
    exits = tuple(a for a in drawing.arrows if a.source in keys and a.target not in keys)
    entries = tuple(dict.fromkeys(a.target for a in drawing.arrows if a.target in keys and a.source not in keys))
    layers = arrange(tuple(nodes), _pairs(nodes, inner), {k: n.room for k, n in nodes.items()}, BEND)
    return Band(layers, nodes, inner, exits, entries)


def _pairs(nodes: Mapping[str, Node], arrows: Sequence[Arrow]) -> list[Pair]:
    """Edges in the order in which they may set the direction: flows that lead away from where doses enter, other flows, then drives."""
    flows = [(a.source, a.target) for a in arrows if a.mass]
    dosed = [k for k, n in nodes.items() if any(s.kind == "dose" for s in n.above)]
    distance = {}
    for start in dosed or list(nodes)[:1]:
        for step, found in enumerate(_rings(start, flows)):
            distance |= {k: min(step, distance.get(k, step)) for k in found}
    far = len(nodes)
    flows.sort(key=lambda e: (distance.get(e[0], far) > distance.get(e[1], far)) - (distance.get(e[0], far) < distance.get(e[1], far)))
    return flows + [(a.source, a.target) for a in arrows if not a.mass]


def _rings(start: str, flows: Sequence[Pair]) -> list[set[str]]:
    """What is 0, 1, 2, ... flows away from `start`."""
    rings, known = [{start}], {start}
    while rings[-1]:
        rings.append({b for a, b in flows if a in rings[-1]} - known)
        known |= rings[-1]
    return rings


def _centres(band: Band, dy: float, edges: Sequence[tuple[float, float]]) -> dict[str, Point]:
    return {k: (sum(edges[i]) / 2, band.layers.centre[k] + dy) for i, column in enumerate(band.layers.columns) for k in column}


def _inner_routes(band: Band, edges: Sequence[tuple[float, float]], centre: Mapping[str, Point]) -> dict[Arrow, tuple[Point, ...]]:
    """Points of each arrow within a band, from left to right."""
    start = _ports(band, centre, 0)
    end = _ports(band, centre, -1)
    routes = {}
    for a in band.arrows:
        first, *bends, last = band.chain(a)
        points = [(centre[first][0] + band.nodes[first].width / 2, start[a])]
        for key in bends:
            left, right = edges[band.column(key)]
            points += [(left, centre[key][1]), (right, centre[key][1])]
        routes[a] = (*points, (centre[last][0] - band.nodes[last].width / 2, end[a]))
    return routes


def _ports(band: Band, centre: Mapping[str, Point], side: int) -> dict[Arrow, float]:
    """Where along the side of its box each arrow touches it: side 0 the right side of its left end, -1 the left side of its right end."""
    found = {}
    for key, node in band.nodes.items():
        here = [a for a in band.arrows if band.chain(a)[side] == key]
        here.sort(key=lambda a: (centre[band.chain(a)[1 if side == 0 else -2]][1], band.leftward(a)))
        step = min(PORT, (node.height - 12) / max(1, len(here) - 1))
        found |= {a: centre[key][1] + step * (i - (len(here) - 1) / 2) for i, a in enumerate(here)}
    return found


def _spots(band: Band, edges: Sequence[tuple[float, float]], routes: Mapping[Arrow, tuple[Point, ...]]) -> dict[Arrow, Spot]:
    """Labels stand in the middle of the free part of their gap."""
    found = {}
    for a in band.arrows:
        i = band.column(band.chain(a)[0])
        left = edges[i][1] + LANE * len(band.leaving(i))
        right = edges[i + 1][0] - LANE * len(band.entering(i + 1))
        start, end = routes[a][:2]
        x = (left + right) / 2
        found[a] = Spot(x, height_at(start, end, x), _side(start, end, [routes[b][0][1] for b in band.between(a)]))
    return found


def _side(start: Point, end: Point, ports: Sequence[float]) -> Literal["above", "below", "left", "right", "on"]:
    """Over a level line and on a steep one; of two arrows between the same boxes each label keeps to its outer side."""
    rise = end[1] - start[1]
    lower, alone = start[1] > min(ports, default=start[1]), len(ports) < 2
    if abs(rise) < STEEP:
        return "below" if lower else "above"
    if alone:
        return "on"
    return "right" if lower == (rise < 0) else "left"


def _crossing(a: Arrow, home: Mapping[str, Home], centre: Mapping[str, Point], channel: float) -> tuple[Point, ...]:
    """From the right side of the source down its lane to the channel of the target, then into its top where free, else its left side."""
    band, edges = home[a.source]
    i = band.column(a.source)
    node = band.nodes[a.source]
    start = centre[a.source][0] + node.width / 2, centre[a.source][1] + node.height / 2 - 9
    out = edges[i][1] + LANE * (1 + band.leaving(i).index(a))
    band, edges = home[a.target]
    j = band.column(a.target)
    node = band.nodes[a.target]
    x, y = centre[a.target]
    if channel < y and band.layers.columns[j][0] == a.target and not node.above:
        return start, (out, start[1]), (out, channel), (x, channel), (x, y - node.height / 2)
    into = edges[j][0] - LANE * (1 + band.entering(j).index(a.target))
    end = x - node.width / 2, y if node.signal else y - node.height / 2 + 9
    return start, (out, start[1]), (out, channel), (into - 8, channel), (into - 8, end[1]), end


def _joined(routes: Mapping[Arrow, tuple[Point, ...]]) -> dict[Arrow, tuple[Point, ...]]:
    """Arrows to one box share their way: the farthest on each side runs along the channel, one of them into the box; the others join."""
    trunk = next(iter(routes.values()))[3][0]
    right = {a: p for a, p in routes.items() if p[2][0] > trunk}
    left = {a: p for a, p in routes.items() if a not in right}
    farthest = [max(side, key=lambda a: abs(side[a][2][0] - trunk)) for side in (right, left) if side]
    cut = {a: p[:3] for a, p in routes.items() if a not in farthest}
    return cut | {a: routes[a][:4] for a in farthest[1:]}
