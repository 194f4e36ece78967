"""The table of published CT-0508 facts and the list of what is unknown, written from data/ct0508/published.csv when the docs are built."""

from __future__ import annotations

from pathlib import Path

from model_pages import OUT, _write, table

from pkpd import read_facts
from pkpd.data.facts import Fact

FACTS = Path(__file__).resolve().parents[1] / "data" / "ct0508" / "published.csv"


def write_facts() -> None:
    """generated/ct0508_facts.txt and generated/ct0508_unknown.txt."""
    OUT.mkdir(parents=True, exist_ok=True)
    facts = read_facts(FACTS)
    columns = ("fact", "value", "status", "source", "note")
    rows = [(f"`{f.name}`", told(f), f.status, ", ".join(f.source), f.note) for f in facts.values() if f.known]
    _write(OUT / "ct0508_facts.txt", table(columns, rows))
    _write(OUT / "ct0508_unknown.txt", "".join(f"- {what}\n" for what in facts.unknown.values()))


def told(f: Fact) -> str:
    """A fact in a cell: k of n, a number with its range, an interval, or words."""
    if f.kind == "count":
        return f"{f.count} of {f.n}"
    if f.kind == "interval":
        return f"{f.low:g} to {f.high:g}"
    if f.kind == "text":
        return str(f.value)
    span = f" ({f.low:g} to {f.high:g})" if f.low is not None else ""
    return f"{f.value:g} {f.unit}".rstrip() + span + (f" of {f.n}" if f.n else "")
