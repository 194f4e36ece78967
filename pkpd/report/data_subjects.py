"""The table of a data summary that has one line a subject."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Cohort, Examined
from pkpd.report.tags import Markup, element, section, table

MOST = 200


def subjects_section(seen: Examined, cohort: Cohort) -> Markup:
    """Doses, observations and warnings of each subject; at most 200 are listed."""
    columns = {"subject": list(cohort.subjects), **_spans(cohort), **_doses(cohort), **_observed(cohort), **_warned(seen, cohort)}
    rows = list(zip(*(values[:MOST] for values in columns.values()), strict=True))
    unit, rest = seen.units.get("AMT"), cohort.n_subjects - len(rows)
    words = ["Under each observable: scored values, and how many of these lie below (<) or above (>) a limit."]
    words += [f"Amounts in {unit}."] if unit else []
    words += [f"{rest} more subjects are not listed."] if rest else []
    return section("subjects", "Subjects", table(tuple(columns), rows, " ".join(words)))


def _spans(cohort: Cohort) -> dict[str, list[Any]]:
    spans = cohort.records.groupby("subject")["TIME"].agg(["min", "max"])
    return {"rows from (h)": spans["min"].tolist(), "to (h)": spans["max"].tolist()}


def _doses(cohort: Cohort) -> dict[str, list[Any]]:
    doses = cohort.doses[(cohort.doses["kind"] != "reset").to_numpy()]
    mine = doses.groupby("subject").agg(n=("amount", "size"), total=("amount", "sum"), first=("time", "min"), last=("time", "max"))
    mine = mine.reindex(range(cohort.n_subjects)).astype(float)
    counts = [int(n) for n in mine["n"].fillna(0)]
    times = {"first dose (h)": mine["first"].tolist(), "last dose (h)": mine["last"].tolist()}
    return {"doses": counts, "total amount": mine["total"].tolist(), **times}


def _observed(cohort: Cohort) -> dict[str, list[Any]]:
    scored = cohort.observations[cohort.observations["scored"].to_numpy()]
    return {str(name): _counts(cohort, scored[(scored["observable"] == name).to_numpy()]) for name in pd.unique(scored["observable"])}


def _counts(cohort: Cohort, rows: pd.DataFrame) -> list[str]:
    subject, cens = rows["subject"].to_numpy(int), rows["cens"].to_numpy()
    parts = (subject, subject[cens == 1], subject[cens == -1])
    total, below, above = (np.bincount(part, minlength=cohort.n_subjects).tolist() for part in parts)
    return [_words(*line) for line in zip(total, below, above, strict=True)]


def _words(total: int, below: int, above: int) -> str:
    sides = [f"{count} {sign}" for count, sign in ((below, "<"), (above, ">")) if count]
    return f"{total} ({', '.join(sides)})" if sides else str(total)


def _warned(seen: Examined, cohort: Cohort) -> dict[str, list[Any]]:
    """How many warnings each subject has; no column where nobody has one."""
    named = [d.subject for d in seen.defects if d.severity == "warning"]
    counts = [named.count(name) for name in cohort.subjects[:MOST]] if named else []
    return {"warnings": [element("span", str(n), class_="warn-word") if n else "" for n in counts]} if any(counts) else {}
