"""The section on the solver: what its error does to the estimates first, then which solver it was and what it could not solve."""

from __future__ import annotations

from typing import Any

from pkpd.inference.certificate import GOOD_K, MOVED, SolverCheck, short
from pkpd.report.facts import Facts
from pkpd.report.tags import Markup, element, pairs, section, table

MOST = 5
WORDS = {"certified": "good-word", "exact": "good-word", "warning": "bad-word", "unchecked": "warn-word"}
ABSENT = (
    "Not checked: this fit was saved without a check of its solver. solver_check(fit) makes one, where the fit is loaded with its problem."
)


def solver_section(facts: Facts) -> Markup:
    """How far the solver's error reaches the estimates, how the equations were solved, and every solve that failed."""
    solver = facts.report.get("solver") or {}
    failures = facts.report.get("failures") or {}
    told = pairs(failures) if failures else element("p", "None recorded.")
    used = pairs(solver) if solver else element("p", "Not recorded.")
    return section("solver", "Solver", *_trust(facts), used, element("h3", "Failed solves"), told)


def _trust(facts: Facts) -> list[Markup]:
    check = facts.solver_check
    if check is None:
        return [element("p", ABSENT)]
    said = element("p", element("span", check.verdict, class_=WORDS[check.status]))
    if check.table.empty:
        return [said]
    lines = check.table.sort_values("shift", key=abs, ascending=False).head(MOST).to_dict("records")
    headers = ("parameter", *(("mean", "re-weighted mean") if facts.converged else ()), "shift (posterior sd)")
    words = element("p", _caption(check, len(lines)), class_="note")
    return [said, table(headers, [_row(line, facts.converged) for line in lines]), words]


def _row(line: dict[Any, Any], converged: bool) -> tuple[Any, ...]:
    """Without convergence no mean is shown: it is no estimate of anything."""
    shift = float(line["shift"])
    told = f"{'-' if shift < 0 else '+'}{short(abs(shift), 2)}"
    moved = element("span", told, class_="bad-word") if abs(shift) > MOVED else told
    means = (float(line["mean"]), float(line["mean_reweighted"])) if converged else ()
    return (line["name"], *means, moved)


def _caption(check: SolverCheck, shown: int) -> str:
    k = "not fitted" if check.pareto_k is None else f"{check.pareto_k:.2f}"
    first = f"The {shown} parameters that move most" if shown < len(check.table) else "Every population parameter"
    return (
        f"{first}, as sampled by {check.solver} and with the same {check.draws} draws weighted by their density under {check.checked_with}. "
        f"A shift above {MOVED:g} sd counts. Pareto-k of the weights: {k}; below {GOOD_K:g} the weights can be trusted, from {GOOD_K:g} on a few draws "
        f"carry them all. Effective draws after weighting: {check.ess or 0.0:.0f}. "
        f"Largest difference of log posterior: {short(check.difference or 0.0, 2)}. Draws that could not be solved by the tighter solver: {check.failed}."
    )
