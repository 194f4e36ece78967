"""What `pkpd check-data` prints: text for a person, or one JSON object for a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pkpd.data import Cohort, Examined
from pkpd.report.defects import SEVERITIES, counted, grouped

FIELDS = ("code", "severity", "row", "subject", "column", "message", "cure")


def as_text(file: Path, seen: Examined) -> str:
    """The counts, the defects under their severity (the same words said once), and what a readable file holds."""
    lines = [f"{file.name}: {counted(seen.defects)}."]
    for word, title in SEVERITIES.items():
        mine = [d for d in seen.defects if d.severity == word]
        lines += [f"{title} ({len(mine)})", *(f"  {group}" for group in grouped(mine))] if mine else []
    if seen.cohort is not None:
        lines += _held(seen.cohort)
    return "\n".join(lines)


def _held(cohort: Cohort) -> list[str]:
    """The summary of a cohort without its warnings, which were told already."""
    return [line for line in cohort.summary().split("\n") if not line.startswith("  note: PK")]


def as_json(file: Path, seen: Examined) -> str:
    """One object: file, sha256, clean (no errors), counts, defects, assumed.

    Its keys stay as they are; new ones may be added. `subjects`, `doses`, `observations` and `censored` are null for a file with errors.
    """
    counts: dict[str, Any] = {f"{word}s": sum(d.severity == word for d in seen.defects) for word in SEVERITIES}
    told = {
        "file": str(file),
        "sha256": seen.sha256,
        "clean": seen.cohort is not None,
        "counts": counts | _counts(seen.cohort),
        "defects": [{name: getattr(d, name) for name in FIELDS} for d in seen.defects],
        "assumed": [note for note in seen.cohort.notes if not note.startswith("PK")] if seen.cohort else [],
    }
    return json.dumps(told, indent=2)


def _counts(cohort: Cohort | None) -> dict[str, int | None]:
    if cohort is None:
        return dict.fromkeys(("subjects", "doses", "observations", "censored"))
    scored = cohort.observations[cohort.observations["scored"].to_numpy()]
    doses = int((cohort.doses["kind"] != "reset").sum())
    return {"subjects": cohort.n_subjects, "doses": doses, "observations": len(scored), "censored": int((scored["cens"] != 0).sum())}
