"""An answer as HTML: pure functions, without Shiny."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.app.session import Answer, Session
from pkpd.app.state import MOST_DOSES, follow
from pkpd.plots import plot_what_if, png_bytes
from pkpd.report.tags import Markup, bullets, element, image, join, number, pairs

WORDS = {
    "cmax": "Peak",
    "tmax": "Time of peak",
    "cmin": "Lowest",
    "clast": "At the end",
    "auc": "Area",
    "cavg": "Mean",
    "time_above": "Time above",
}
"""Measures that are shown, in words; the csv file has all."""
LEVELS = {"cmax": "peak", "cmin": "lowest value", "clast": "value at the end", "cavg": "mean"}
"""Measures in the unit of the observable, of which a limit can be asked."""
WAYS = {"at_least": "at least", "at_most": "at most"}
SIZE, DPI = (8.2, 3.9), 165


def banner(session: Session) -> Markup:
    """The verdict of the fit, before anything else."""
    verdict = session.fit.verdict
    words = verdict.headline if verdict.converged or "NOT CONVERGED" in verdict.headline.upper() else f"NOT CONVERGED. {verdict.headline}"
    less = "NOT IDENTIFIED" in words or words.startswith("Approximation")
    colour = "bad" if not verdict.converged else "warn" if less else "good"
    use = "" if verdict.converged else element("span", "Nothing on this page is to be used.")
    more = [r for r in (*verdict.reasons, *verdict.next_steps) if r not in words]
    rest = element("details", element("summary", "Why, and what to do"), bullets(more)) if more else ""
    return element("div", element("strong", words), use, rest, class_=f"banner {colour}")


def heading(session: Session) -> Markup:
    tags = [element("span", "simulated data", class_="tag")] if session.problem.simulated else []
    return element("div", element("h1", session.title), *tags, class_="top")


def trouble(sentence: str) -> Markup:
    """What is wrong with what was asked; nothing where all is well."""
    if not sentence:
        return Markup("")
    return element("div", sentence, element("small", "Below is still the last answer."), class_="trouble", role="alert")


def picture(answer: Answer) -> Markup:
    state = answer.state
    limits = {} if state.limit is None else {state.observable: state.limit}
    drawn = plot_what_if(answer.runs, state.observable, limits)
    drawn.set_size_inches(*SIZE)
    words = f"{state.observable} over time under arms {' and '.join(state.arms)}: median patient and middle 90 % of patients, with bands"
    return element("div", image(png_bytes(drawn, DPI), "image/png", words), class_="picture")


def exposures(answer: Answer) -> Markup:
    """Measures by arm: the median patient with 90 % of draws, and below it the middle 90 % of patients."""
    table, arms = answer.exposure, list(answer.state.arms)
    heads = [element("th", "Exposure"), *(element("th", a, class_=a.lower()) for a in arms)]
    rows = []
    for measure, word in WORDS.items():
        own = table[table["measure"] == measure].set_index("arm")
        if own.empty:
            continue
        unit = str(own["unit"].iloc[0])
        limit = f" {answer.state.limit:g} {_unit(answer)}" if measure == "time_above" else ""
        name = element("td", f"{word}{limit}", element("small", "" if unit == "1" else unit))
        rows.append(element("tr", name, *(element("td", *_cell(own.loc[a])) for a in arms)))
    lost = int(table["missing"].max())
    note = "Median patient (90 % of draws); below, the middle 90 % of patients." + (
        f" {lost} patients of all draws could not be solved or measured." if lost else ""
    )
    made = element("table", element("thead", element("tr", *heads)), element("tbody", *rows))
    return element("div", made, element("p", note, class_="note"))


def _cell(line: pd.Series) -> tuple[Any, ...]:
    span = lambda a, b: f"{_three(a)} – {_three(b)}"  # noqa: E731
    middle = f"{_three(line['q50'])} ", element("span", f"({span(line['median_low'], line['median_high'])})", class_="together")
    return *middle, element("small", span(line["q5"], line["q95"]), class_="together")


def _three(value: Any) -> str:
    """Three digits: more would be noise of the draws."""
    x = float(value)
    return number(float(f"{x:.3g}") if np.isfinite(x) else x)


def chances(answer: Answer) -> Markup:
    """The probability of a patient to reach the limit, by arm."""
    state, table = answer.state, answer.targets
    if table is None:
        return element("p", "Give a limit to see how many patients reach it.", class_="note")
    asked = f"Patients whose {state.observable} has a {LEVELS[state.measure]} of {WAYS[state.way]} {state.limit:g} {_unit(answer)}".rstrip()
    parts = [_chance(row) for row in table.to_dict("records")]
    note = f"With 90 % of draws; Monte Carlo error {100 * float(table['mc_error'].max()):.1f} %."
    return element(
        "div",
        element("p", asked, class_="note", style="margin: 0 0 10px"),
        element("div", *parts, class_="chances"),
        element("p", note, class_="note"),
    )


def _chance(row: Any) -> Markup:
    p, low, high = (100 * float(row[c]) for c in ("probability", "low", "high"))
    rail = element(
        "div", element("i", style=f"left: {low:.1f}%; width: {high - low:.1f}%"), element("b", style=f"left: {p:.1f}%"), class_="rail"
    )
    words = element("div", element("span", f"{_percent(p)} %", class_="big"), f" {row['arm']}")
    span = element("span", f"{_percent(low)} – {_percent(high)} %", class_="note")
    return element("div", words, rail, span, class_=f"chance {str(row['arm']).lower()}")


def _percent(x: float) -> str:
    """A decimal where a whole number would hide what is rare."""
    return f"{x:.1f}" if 0 < x < 10 or 90 < x < 100 else f"{x:.0f}"


def _unit(answer: Answer) -> str:
    unit = str(answer.runs[answer.state.observable].attrs.get("unit", "1"))
    return "" if unit == "1" else unit


def made(session: Session, answer: Answer) -> Markup:
    """What is extrapolation, what was assumed, and how the numbers came about."""
    told = answer.runs.attrs["extrapolation"]
    beyond = element("div", element("h2", "Extrapolation"), bullets(told), class_="extrapolation panel") if told else ""
    source, sizes = session.source, answer.runs.sizes
    facts = {
        "Patients": f"{sizes['subject']} virtual ones in each of {sizes['draw']} posterior draws; the same in both arms",
        "Random numbers": f"seed {source.seed}, fixed",
        "Shown": "what is there in patients, without residual error: not what an assay would read",
        "Times": f"{sizes['time']}, to {follow(answer.state, session.studied):g} h",
        "Model": f"{session.problem.model.name}, fitted to {len(session.problem.cohort.subjects)} subjects"
        + (" (simulated data)" if session.problem.simulated else ""),
        "Fit": f"{source.folder}, with {source.file}{' (quick)' if source.quick else ''}",
        **{f"Arm {name}": repr(r).removeprefix("Regimen(").removesuffix(")") for name, r in answer.scenario.arms.items()},
        "Computed in": f"{answer.seconds:.1f} s",
    }
    assumed = bullets([*session.studied.notes, f"At most {MOST_DOSES} doses an arm.", *_patients(answer), *session.problem.assumptions])
    parts = [element("h2", "Assumed"), assumed, element("h2", "How this was made", style="margin-top: 14px"), pairs(facts)]
    return join([beyond, element("div", *parts, class_="panel")])


def _patients(answer: Answer) -> list[str]:
    fixed = ", ".join(f"{n} = {v:g}" for n, v in answer.state.covariates.items())
    rest = "covariates drawn from the study's subjects, with replacement."
    return [f"Every patient has {fixed}; other {rest}" if fixed else f"Patients have {rest}"]


def flags(session: Session, answer: Answer) -> Markup:
    """Covariates that are set outside of what the fit saw."""
    return join(
        element("div", f"{r.name} outside {r.low:g} to {r.high:g}: extrapolation", class_="flag") for r in session.beyond(answer.state)
    )
