"""The table of estimates: what was found for each population parameter, or, without convergence, only why it is withheld."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.diagnostics.contraction import PRIOR_DRIVEN
from pkpd.diagnostics.layout import population_names
from pkpd.report.facts import Facts, sd_ratios
from pkpd.report.sections import WITHHELD
from pkpd.report.tags import Markup, element, section, table

NUMBERS = ("mean", "sd", "q5", "q50", "q95")
CONVERGENCE = ("ess_bulk", "ess_tail", "rhat")


def estimates_section(fit: Any, facts: Facts) -> Markup:
    """Estimates with their convergence numbers; when the fit has not converged only the latter, and a sentence that says so."""
    lines = population_lines(fit, facts)
    if not facts.converged:
        rows = [(line["name"], *(_whole(line, key) for key in CONVERGENCE)) for line in lines]
        withheld = element("p", WITHHELD + " The table shows how far each parameter is from convergence.", class_="withheld")
        return section("estimates", "Estimates", withheld, table(("name", *CONVERGENCE), rows))
    truth, ratios = facts.report.get("truth") or {}, sd_ratios(fit)
    extra = ("truth", "inside 90 %") if truth else ()
    headers = ("name", "unit", *NUMBERS, *CONVERGENCE, "posterior/prior sd", *extra)
    rows = [_row(line, facts, ratios.get(line["name"], np.nan), truth) for line in lines]
    parts = [table(headers, rows, _caption(bool(truth)))]
    return section("estimates", "Estimates", *parts, *_recovered(lines, truth))


def population_lines(fit: Any, facts: Facts) -> list[dict[str, Any]]:
    """Summary lines of the population parameters, in the order of the summary (names may be its index or its column `name`)."""
    summary = facts.summary
    if "name" not in summary.columns:
        summary = summary.rename_axis("name").reset_index()
    known = set(population_names(fit))
    return [{str(k): v for k, v in line.items()} for line in summary.to_dict("records") if line["name"] in known]


def _row(line: dict[str, Any], facts: Facts, ratio: float, truth: dict[str, float]) -> tuple[Any, ...]:
    name = line["name"]
    unit = facts.parameters.get(name, {}).get("unit", "")
    cells = [name, unit, *(float(line[key]) for key in NUMBERS), *(_whole(line, key) for key in CONVERGENCE), ratio_cell(ratio)]
    return (*cells, *truth_cells(line, truth.get(name))) if truth else tuple(cells)


def _whole(line: dict[str, Any], key: str) -> str:
    """Effective sizes as whole numbers, R-hat to three decimals."""
    value = np.nan if line[key] is None else float(line[key])  # one chain has no R-hat
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if key == "rhat" else f"{value:.0f}"


def ratio_cell(ratio: float) -> Any:
    """Posterior/prior sd, with the words prior-driven above 0.8."""
    if not np.isfinite(ratio):
        return "–"
    return element("span", f"{ratio:.2f} prior-driven", class_="warn-word") if ratio > PRIOR_DRIVEN else f"{ratio:.2f}"


def truth_cells(line: dict[str, Any], truth: float | None) -> tuple[Any, Any]:
    """The value that made the data, and whether the 90 % interval holds it."""
    if truth is None:
        return "–", "–"
    inside = covers(line, truth)
    return float(truth), element("span", "yes" if inside else "no", class_="good-word" if inside else "bad-word")


def covers(line: dict[str, Any], truth: float) -> bool:
    """Whether q5 <= truth <= q95.

    >>> covers({"q5": 1.0, "q95": 2.0}, 2.5)
    False
    """
    return bool(line["q5"] <= truth <= line["q95"])


def _caption(with_truth: bool) -> str:
    words = "q5 to q95: central 90 % interval of the posterior. posterior/prior sd: of the logarithm for positive typical values; "
    words += "near 1 the data say nothing."
    return words + (" truth: the value that made the simulated data." if with_truth else "")


def _recovered(lines: list[dict[str, Any]], truth: dict[str, float]) -> list[Markup]:
    known = [line for line in lines if line["name"] in truth]
    if not known:
        return []
    inside = sum(covers(line, truth[line["name"]]) for line in known)
    return [
        element("p", f"{inside} of {len(known)} true values lie inside their 90 % interval; about {0.9 * len(known):.0f} are expected to.")
    ]
