"""Layered layout of a small graph: cycles cut, longest-path layers, few crossings, neighbours level. Knows boxes, no models.

Sources: Sugiyama, Tagawa & Toda 1981 (layers, dummy nodes on long edges, barycentre order); heights by isotonic regression
(pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Pair = tuple[str, str]
SWEEPS = 6


@dataclass(frozen=True)
class Layers:
    """Columns of keys from left to right, the vertical centre of each key, and for each edge the keys it runs through, from left to right.

    A key that is no box is a bend of a long edge. `backward` holds the edges drawn from right to left.
    """

    columns: tuple[tuple[str, ...], ...]
    centre: Mapping[str, float]
    chains: Mapping[Pair, tuple[str, ...]]
    backward: frozenset[Pair]


def arrange(keys: Sequence[str], edges: Sequence[Pair], extent: Mapping[str, tuple[float, float]], bend: float = 10.0) -> Layers:
    """Lay out `keys` joined by `edges`; `extent[key]` is the room a box needs above and below its centre.

    Where edges form a loop, those that come first keep their direction.
    """
    forward, backward = cut_cycles(edges)
    layer = longest_path(keys, forward)
    chains = {e: _chain(e, layer, e in backward) for e in forward + backward}
    columns: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for key in keys:
        columns[layer[key]].append(key)
    for chain in chains.values():
        for i, key in enumerate(chain[1:-1], layer[chain[0]] + 1):
            columns[i].append(key)
    steps = sorted({pair for chain in chains.values() for pair in pairwise(chain)})
    _order(columns, steps)
    room = {key: extent.get(key, (bend, bend)) for column in columns for key in column}
    return Layers(tuple(map(tuple, columns)), _heights(columns, steps, room), chains, frozenset(backward))


def cut_cycles(edges: Iterable[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Edges that keep their direction, and those that would close a loop (taken in the order given)."""
    forward: list[Pair] = []
    backward: list[Pair] = []
    for source, target in dict.fromkeys(edges):
        (backward if source in reached(target, forward) else forward).append((source, target))
    return forward, backward


def reached(start: str, edges: Iterable[Pair]) -> set[str]:
    """Everything that can be reached along the edges from `start`, itself included."""
    edges, found, new = tuple(edges), {start}, {start}
    while new:
        new = {target for source, target in edges if source in new} - found
        found |= new
    return found


def longest_path(keys: Sequence[str], edges: Iterable[Pair]) -> dict[str, int]:
    """The layer of each key: one more than the largest among its sources; what has no source stands just before its nearest target."""
    edges = tuple(edges)
    layer = dict.fromkeys(keys, 0)
    for _ in keys:
        for source, target in edges:
            layer[target] = max(layer[target], layer[source] + 1)
    for key in keys:
        if all(target != key for _, target in edges):
            layer[key] = min((layer[target] - 1 for source, target in edges if source == key), default=0)
    return layer


def _chain(edge: Pair, layer: Mapping[str, int], backward: bool) -> tuple[str, ...]:
    left, right = edge[::-1] if backward else edge
    bends = [f"{edge[0]}>{edge[1]}#{i}" for i in range(layer[left] + 1, layer[right])]
    return (left, *bends, right)


def _order(columns: list[list[str]], steps: Sequence[Pair]) -> None:
    """Sort each column by the mean place of its neighbours in the column before, then in the one after, a few times."""
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else columns[::-1]:
            place = {key: i - (len(c) - 1) / 2 for c in columns for i, key in enumerate(c)}
            near = {k: [place[a] if rightwards else place[b] for a, b in steps if (b if rightwards else a) == k] for k in column}
            column.sort(key=lambda k: sum(near[k]) / len(near[k]) if near[k] else place[k])


def _heights(columns: list[list[str]], steps: Sequence[Pair], room: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Centres that hold the order and the room of each column and otherwise stand level with their neighbours."""
    centre = dict.fromkeys((k for column in columns for k in column), 0.0)
    for column in columns:
        centre |= spread(column, centre, room)
    for sweep in range(2 * SWEEPS + 1):  # the last one rightwards: what follows a box stands level with it
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {}
            for key in column:
                before = [centre[a] for a, b in steps if b == key]
                after = [centre[b] for a, b in steps if a == key]
                near = (before or after) if sweep % 2 == 0 else (after or before)
                wanted[key] = sum(near) / len(near) if near else centre[key]
            centre |= spread(column, wanted, room)
    return centre


def spread(column: Sequence[str], wanted: Mapping[str, float], room: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The centres nearest to those wanted (least squares) that keep the order and leave each box its room."""
    offset = [0.0]
    for above, key in pairwise(column):
        offset.append(offset[-1] + room[above][1] + room[key][0])
    blocks: list[list[float]] = []  # sum and count of wanted places, merged while they overlap
    for key, shift in zip(column, offset, strict=False):
        blocks.append([wanted[key] - shift, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    places = [total / count for total, count in blocks for _ in range(int(count))]
    return {key: place + shift for key, place, shift in zip(column, places, offset, strict=False)}
