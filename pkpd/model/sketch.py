"""What a diagram shows of a model, before it has places: boxes with what enters and leaves them, and arrows between boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pkpd.model.influence import Inputs, Link, links, observable_inputs, signal_inputs
from pkpd.model.layers import cut_cycles, reached
from pkpd.model.model import Model
from pkpd.model.svg import width_of

SMALL = 10.5
LEADING = 12.0
STUB = 20.0  # length of an arrow from or to nothing


@dataclass(frozen=True)
class Stub:
    """A short arrow at a box: a dose or a gain from above, a loss below."""

    kind: Literal["dose", "gain", "loss"]
    label: tuple[str, ...]
    told: str

    @property
    def width(self) -> float:
        return max([width_of(line, SMALL) for line in self.label], default=0.0) + 12

    @property
    def length(self) -> float:
        return STUB + LEADING * len(self.label) + 4


@dataclass(frozen=True)
class Node:
    """A state (box) or a signal (pill): its name, small lines under it, and its stubs."""

    name: str
    signal: bool
    lines: tuple[str, ...]
    observed: tuple[str, ...]
    told: str
    above: tuple[Stub, ...] = ()
    below: tuple[Stub, ...] = ()

    @property
    def width(self) -> float:
        texts = [width_of(self.name, 13) + 24, *(width_of(line, SMALL) + 20 for line in self.lines + self.observed)]
        return max(84.0, *texts, *(sum(s.width for s in side) + 4 for side in (self.above, self.below)))

    @property
    def height(self) -> float:
        return 30.0 + 13 * len(self.lines + self.observed) - (4 if self.signal else 0)

    @property
    def room(self) -> tuple[float, float]:
        """Above and below the centre, stubs included."""
        up, down = (max([s.length for s in side], default=0.0) for side in (self.above, self.below))
        return self.height / 2 + up + 9, self.height / 2 + down + 9


@dataclass(frozen=True)
class Arrow:
    """Mass that moves (solid) or a state or signal that sets a rate (dashed)."""

    source: str
    target: str
    mass: bool
    label: tuple[str, ...]
    told: str


@dataclass(frozen=True)
class Sketch:
    """Boxes and arrows; `bands` are drawn one under the other: what moves on its own, then what it drives."""

    nodes: Mapping[str, Node]
    arrows: tuple[Arrow, ...]
    bands: tuple[tuple[str, ...], ...]


def sketch(model: Model) -> Sketch:
    """The boxes, arrows and bands of a model."""
    terms, signals, seen = links(model), signal_inputs(model), observable_inputs(model)
    shown = [g.name for g in model.signals if any(g.name in i.signals for i in (*(t.inputs for t in terms), *seen.values()))]
    followed = {name: _follow(signals[name], signals, shown) for name in shown}
    arrows = (*_flows(terms), *_drives(terms, followed))
    nodes = _state_nodes(model, terms, seen) | _signal_nodes(model, followed, seen)
    return Sketch(nodes, arrows, _bands(model.state_names, shown, arrows))


def _follow(inputs: Inputs, signals: Mapping[str, Inputs], shown: Sequence[str]) -> Inputs:
    """Inputs with every signal that is not shown replaced by what it depends on."""
    parts = [Inputs(inputs.states, tuple(n for n in inputs.signals if n in shown), inputs.params, inputs.covariates, inputs.timed)]
    parts += [_follow(signals[name], signals, shown) for name in inputs.signals if name not in shown]
    return Inputs(
        *(tuple(dict.fromkeys(n for part in parts for n in getattr(part, kind))) for kind in ("states", "signals", "params", "covariates")),
        timed=any(part.timed for part in parts),
    )


def wrap(names: Sequence[str], most: int = 15) -> tuple[str, ...]:
    """Names on as few short lines as hold them, separated by commas."""
    lines: list[str] = []
    for i, name in enumerate(names):
        word = name + ("," if i < len(names) - 1 else "")
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return tuple(lines)


def told(link: Link) -> str:
    """A term of the rates in words: `lung → blood: k_LB`."""
    ends = f"{link.source or 'nothing'} → {link.target or 'nothing'}"
    names = (*link.inputs.label, *link.drivers)
    return f"{ends}: {', '.join(names)}" if names else ends


def _flows(terms: Iterable[Link]) -> list[Arrow]:
    """One arrow for each pair of states; several terms between the same two are told on one arrow."""
    between: dict[tuple[str, str], list[Link]] = {}
    for term in terms:
        if term.source is not None and term.target is not None:
            between.setdefault((term.source, term.target), []).append(term)
    return [
        Arrow(a, b, True, tuple(line for t in found for line in wrap(t.inputs.label)), "; ".join(map(told, found)))
        for (a, b), found in between.items()
    ]


def _drives(terms: Iterable[Link], followed: Mapping[str, Inputs]) -> list[Arrow]:
    pairs = [(d, t.target or t.source or "") for t in terms for d in t.drivers]
    pairs += [(d, name) for name, inputs in followed.items() for d in (*inputs.states, *inputs.signals)]
    return [Arrow(a, b, False, (), f"{a} drives {b}") for a, b in dict.fromkeys(pairs)]


def _state_nodes(model: Model, terms: Iterable[Link], seen: Mapping[str, Inputs]) -> dict[str, Node]:
    nodes = {}
    for s in model.states:
        gains = tuple(Stub("gain", wrap(t.inputs.label), told(t)) for t in terms if t.source is None and t.target == s.name)
        losses = tuple(Stub("loss", wrap(t.inputs.label), told(t)) for t in terms if t.target is None and t.source == s.name)
        observed = tuple(f"observed: {o}" for o, inputs in seen.items() if s.name in inputs.states)
        nodes[s.name] = Node(s.name, False, (s.unit,), observed, f"{s.name} ({s.unit}): {s.meaning}", _doses(model, s.name) + gains, losses)
    return nodes


def _doses(model: Model, state: str) -> tuple[Stub, ...]:
    found = []
    for dose in model.doses:
        for target, share in dose.into:
            if target == state:
                part = "" if share == 1.0 else str(share).replace(" - ", " − ")
                part = f"× ({part})" if "−" in part else f"× {part}" if part else ""
                found.append(Stub("dose", tuple(filter(None, (dose.name, part))), f"dose {dose.name} → {state} {part}".strip()))
    return tuple(found)


def _signal_nodes(model: Model, followed: Mapping[str, Inputs], seen: Mapping[str, Inputs]) -> dict[str, Node]:
    nodes = {}
    for g in model.signals:
        if g.name in followed:
            observed = tuple(f"observed: {o}" for o, inputs in seen.items() if g.name in inputs.signals)
            nodes[g.name] = Node(g.name, True, wrap(followed[g.name].label, 20), observed, f"signal {g.name} ({g.unit}): {g.meaning}")
    return nodes


def _bands(states: Sequence[str], shown: Sequence[str], arrows: Iterable[Arrow]) -> tuple[tuple[str, ...], ...]:
    """Systems of states joined by flows that nothing else drives come first; what is driven, and the signals that drive it, below.

    Where nothing flows in the first band, one band shows the line of causes better.
    """
    arrows = tuple(arrows)
    joined = [pair for a in arrows if a.mass for pair in ((a.source, a.target), (a.target, a.source))]
    system = {s: min(reached(s, joined), key=states.index) for s in states}
    drives = [(a.source, a.target) for a in arrows if not a.mass]
    between = [(system[a], system[b]) for a in states for b in states if system[a] != system[b] and b in _driven(a, drives, shown)]
    driven = {target for _, target in cut_cycles(between)[0]}
    lower = [s for s in states if system[s] in driven]
    first = {g: reached(g, drives) - {g} for g in shown}
    below = [g for g in shown if first[g] and all(x in lower for x in first[g] if x in states)]
    upper = [n for n in (*states, *shown) if n not in lower and n not in below]
    if not any(a.mass and a.source in upper for a in arrows):
        return ((*states, *shown),)
    return tuple(band for band in (tuple(upper), (*lower, *below)) if band)


def _driven(state: str, drives: Iterable[tuple[str, str]], shown: Sequence[str]) -> set[str]:
    """States that `state` drives, directly or through signals only."""
    drives = tuple(drives)
    through = {b for a, b in drives if a == state}
    for name in tuple(through):
        if name in shown:
            through |= {x for x in reached(name, [(a, b) for a, b in drives if a in shown])}
    return through
