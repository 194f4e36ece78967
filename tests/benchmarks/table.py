"""The rows of a bench: one comparison each, kept by family in build/bench.json and docs/validation/bench.csv, and printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tests.benchmarks.timing import load

ROOT = Path(__file__).resolve().parents[2]
JSON, CSV = ROOT / "build" / "bench.json", ROOT / "docs" / "validation" / "bench.csv"
SCALE = {"s": 1.0, "ms": 1e3, "us": 1e6}

Row = dict[str, Any]


def row(work: str, peer: str, ours: float, other: float, unit: str, target: float | None = None, notes: str = "") -> Row:
    """`ours` and `other` in seconds; `unit` begins with "s", "ms" or "us" and says of what ("us CPU a gradient"); ratio = peer / ours."""
    size = SCALE[unit.split()[0]]
    ratio = other / ours
    met = None if target is None else ratio >= target
    shown = {
        "ours": _short(ours * size),
        "peer_value": _short(other * size),
        "unit": unit,
        "ratio": _short(ratio),
        "target": target,
        "met": met,
    }
    return {"work": work, "peer": peer, **shown, "load": load(), "notes": notes}


def skipped(work: str, reason: str) -> Row:
    """A comparison that could not be made here."""
    empty = dict.fromkeys(("peer", "ours", "peer_value", "unit", "ratio", "target", "met"))
    return {"work": work, **empty, "load": load(), "notes": f"skipped: {reason}"}


def keep(family: str, rows: Sequence[Row]) -> None:
    """Put the rows of a family in the place of those it had."""
    others = [r for r in read() if r["family"] != family]
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps([*others, *({"family": family, **r} for r in rows)], indent=1) + "\n", encoding="utf-8")


def read() -> list[Row]:
    """Rows of earlier runs here; in a fresh checkout those that stand in the documentation."""
    if JSON.exists():
        return json.loads(JSON.read_text(encoding="utf-8"))
    return json.loads(pd.read_csv(CSV).to_json(orient="records")) if CSV.exists() else []


def publish(order: Sequence[str]) -> str:
    """Sort the rows by family, write the table of the documentation, and return it as text without the notes."""
    rows = sorted((r for r in read() if r["family"] in order), key=lambda r: order.index(r["family"]))
    JSON.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    pd.DataFrame(rows).to_csv(CSV, index=False)
    return "\n".join(line(r) for r in rows)


def line(r: Row, notes: bool = False) -> str:
    """One comparison, with the notes in a line below if asked for; a skipped one has only those."""
    if r["ratio"] is None:
        return f"  {r['work']}: {r['notes']}"
    goal = "" if r["target"] is None else f"  (target {r['target']:g}: {'met' if r['met'] else 'MISSED'})"
    head = f"{r['ratio']:6g} x  {r['work']}: {r['ours']:g} against {r['peer_value']:g} {r['unit']}, {r['peer']}{goal}"
    return f"{head}\n          {r['notes']}" if notes and r["notes"] else head


def _short(x: float) -> float:
    return float(f"{x:.3g}")
