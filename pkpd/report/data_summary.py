"""One page about a data file before any fit: what is wrong in it, what it holds, and how its values look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.data import Cohort, Examined
from pkpd.errors import Defect
from pkpd.plots import plot_spaghetti, png_bytes, write_whole
from pkpd.report.css import CSS
from pkpd.report.data_subjects import subjects_section
from pkpd.report.defects import MEANING, SEVERITIES, counted, grouped, many
from pkpd.report.figures import Drawn, figure
from pkpd.report.tags import Markup, bullets, element, join, number, pairs, section, table


def write_data_summary(seen: Examined, path: str | Path) -> Path:
    """Write the page of `render_data_summary` to `path`, whole or not at all; returns the path."""
    return write_whole(path, render_data_summary(seen).encode("utf-8"))


def render_data_summary(seen: Examined) -> str:
    """The page of a file that was examined: defects by severity, counts, tables by observable and by subject, one figure an observable.

    A file with errors has no counts and figures: the page says what to mend first.
    """
    parts = [*_found(seen.defects)]
    if seen.cohort is not None:
        parts += [_observables(seen, seen.cohort), _figures(seen, seen.cohort), subjects_section(seen, seen.cohort), _assumed(seen.cohort)]
    body = element("main", _banner(seen), _heading(seen), *parts, _file(seen))
    title = " · ".join(["Data summary", seen.label, *(["simulated data"] if seen.simulated else [])])
    meta = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    head = element("head", meta, element("title", title), element("style", Markup(CSS)))
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _banner(seen: Examined) -> Markup:
    worst = next((word for word in SEVERITIES if any(d.severity == word for d in seen.defects)), "")
    kind = {"error": "bad", "warning": "warn"}.get(worst, "good")
    said = f"{counted(seen.defects)[0].upper()}{counted(seen.defects)[1:]}."
    more = " The file cannot be read." if worst == "error" else ""
    return element("div", element("strong", said + more), class_=f"banner {kind}")


def _heading(seen: Examined) -> Markup:
    tag = element("span", "simulated data", class_="tag") if seen.simulated else ""
    links = [("errors", "Errors"), ("warnings", "Warnings"), ("notes", "Notes")]
    links = [(key, word) for key, word in links if any(d.severity + "s" == key for d in seen.defects)]
    links += [("data", "Data"), ("figures", "Figures"), ("subjects", "Subjects"), ("assumed", "Assumed")] if seen.cohort else []
    nav = element("nav", *(element("a", word, href=f"#{key}") for key, word in [*links, ("file", "File")]))
    return join([element("h1", f"Data summary: {seen.label}"), tag, nav])


def _found(defects: tuple[Defect, ...]) -> Iterator[Markup]:
    """One section a severity; defects of the same words share a line."""
    for word, title in SEVERITIES.items():
        mine = [d for d in defects if d.severity == word]
        if mine:
            rows = [(g.code, ", ".join(g.rows), ", ".join(g.subjects), g.column, g.message, g.cure) for g in grouped(mine)]
            told = table(("code", "rows", "subjects", "column", "what is seen", "what to do"), rows)
            yield section(f"{word}s", f"{title} ({len(mine)})", element("p", MEANING[word], class_="note"), told)


def _observables(seen: Examined, cohort: Cohort) -> Markup:
    doses = cohort.doses[(cohort.doses["kind"] != "reset").to_numpy()]
    headers = ("observable", "unit", "subjects", "rows", "scored", "below limit", "above limit", "first", "last", "quantified values")
    rows = [_observable(str(name), mine, seen) for name, mine in cohort.observations.groupby("observable", sort=False)]
    given = [_route(str(name), mine, seen) for name, mine in doses.groupby("target", sort=False)]
    words = (
        [element("h3", "Doses"), table(("into", "subjects", "doses", "smallest", "largest", "unit", "first", "last"), given)]
        if given
        else []
    )
    known = {name: _levels(cohort.covariates[name]) for name in cohort.covariates.columns}
    more = [element("h3", "Covariates"), pairs(known)] if known else []
    scored = int(cohort.observations["scored"].sum())
    counts = (many(cohort.n_subjects, "subject"), many(len(doses), "dose"), many(scored, "scored observation"))
    lead = element("p", ", ".join(counts) + ".")
    caption = "Rows that are not scored are predicted only. Times in hours."
    return section("data", "Data", lead, table(headers, rows, caption) if rows else "", *words, *more)


def _observable(name: str, rows: pd.DataFrame, seen: Examined) -> tuple[Any, ...]:
    scored = rows[rows["scored"].to_numpy()]
    sure = scored.loc[(scored["cens"] == 0).to_numpy(), "dv"]
    span = f"{number(sure.min())} to {number(sure.max())}" if len(sure) else "none"
    counts = (int(rows["subject"].nunique()), len(rows), len(scored))
    times = (float(rows["time"].min()), float(rows["time"].max()))
    return (name, seen.units.get(name, ""), *counts, *(_share(scored, code) for code in (1, -1)), *times, span)


def _share(scored: pd.DataFrame, code: int) -> str:
    count = int((scored["cens"] == code).sum())
    return f"{count} ({100 * count / len(scored):.0f} %)" if count else "0"


def _route(name: str, doses: pd.DataFrame, seen: Examined) -> tuple[Any, ...]:
    amount, time = doses["amount"], doses["time"]
    size = (float(amount.min()), float(amount.max()), seen.units.get("AMT", ""))
    return (name or "–", int(doses["subject"].nunique()), len(doses), *size, float(time.min()), float(time.max()))


def _levels(values: pd.Series) -> str:
    """Few levels are counted, many are told as a range."""
    lacking = int(values.isna().sum())
    if lacking:
        return f"{_levels(values.dropna())}, missing: {many(lacking, 'subject')}"
    counts = values.value_counts(sort=False).sort_index()
    if len(counts) <= 5:
        return ", ".join(
            f"{number(level)}: {many(count, 'subject')}" for level, count in zip(counts.index.tolist(), counts.tolist(), strict=True)
        )
    return f"{number(float(values.min()))} to {number(float(values.max()))}, median {number(float(values.median()))}"


def _figures(seen: Examined, cohort: Cohort) -> Markup:
    scored = cohort.observations[cohort.observations["scored"].to_numpy() & cohort.observations["dv"].notna().to_numpy()]
    drawn = []
    for name in map(str, pd.unique(scored["observable"])):
        picture = plot_spaghetti(cohort, name, seen.units.get(name, ""), simulated=seen.simulated)
        caption = (
            "Triangles stand at the limit of quantification. A thread that lies far from the others, or has another shape, deserves a look."
        )
        drawn.append(Drawn(f"measured_{name}", f"Measured: {name}", caption, png_bytes(picture)))
    return section("figures", "Figures", *(figure(d) for d in drawn)) if drawn else section("figures", "Figures", element("p", "None."))


def _assumed(cohort: Cohort) -> Markup:
    notes = [note for note in cohort.notes if not note.startswith("PK")]
    return section("assumed", "What was assumed in reading", bullets(notes) if notes else element("p", "Nothing."))


def _file(seen: Examined) -> Markup:
    told = {"file": seen.label} | ({"sha256": seen.sha256} if seen.sha256 else {})
    return section("file", "File", pairs(told))
