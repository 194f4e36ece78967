"""What a report says, gathered from a fit once: verdict, summary, report attributes, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pkpd.diagnostics.contraction import contraction_table
from pkpd.diagnostics.layout import absent, attribute, report_facts
from pkpd.diagnostics.solver_check import stored_check
from pkpd.inference.certificate import SolverCheck

NEXT_WHEN_CONVERGED = ("Look first at the parameters marked prior-driven: their estimates repeat the assumptions.",)
NEXT_WHEN_NOT = (
    "Look at the traces below: chains that sit apart point to more than one mode or to a bad start; slow drifts ask for more draws.",
    "Run again with more warm-up and draws; where chains stay apart, tighten or fix parameters that the data do not identify.",
    "Do not use any estimate, curve or what-if of this fit.",
)


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything a report prints about a fit, apart from its data and figures."""

    title: str
    simulated: bool
    converged: bool
    headline: str
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]
    summary: pd.DataFrame
    report: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    solver_check: SolverCheck | None = None


def gather(fit: Any) -> Facts:
    """The facts of a fit (`.tree`, `.summary`, `.verdict`, `.provenance`)."""
    report, verdict = report_facts(fit), fit.verdict
    converged = bool(verdict.converged)
    advice = getattr(verdict, "next_steps", ()) or (NEXT_WHEN_CONVERGED if converged else NEXT_WHEN_NOT)
    return Facts(
        title=str(report.get("title", "A population fit")),
        simulated=bool(report.get("simulated", False)),
        converged=converged,
        headline=str(verdict.headline),
        reasons=tuple(verdict.reasons),
        next_steps=tuple(advice),
        summary=fit.summary,
        report=report,
        parameters=parameter_facts(fit),
        provenance=fit.provenance or attribute(fit, "provenance", {}),
        solver_check=stored_check(fit),
    )


def parameter_facts(fit: Any) -> dict[str, dict[str, Any]]:
    """Unit, prior, source and meaning of each sampled parameter, from `report["parameters"]` and the root attribute `priors`.

    `priors` may map a name to a text or to a mapping with any of prior, unit, source, meaning.
    """
    priors = attribute(fit, "priors", {})
    found = {str(k): dict(v) if isinstance(v, Mapping) else {"prior": v} for k, v in priors.items()} if isinstance(priors, Mapping) else {}
    for line in report_facts(fit).get("parameters", []):
        found[line["name"]] = found.get(line["name"], {}) | line
    return found


def sd_ratios(fit: Any) -> dict[str, float]:
    """Posterior/prior sd of each population parameter that has prior draws."""
    if absent(fit, "prior", "posterior"):
        return {}
    table = contraction_table(fit)
    return dict(zip(table["name"], table["ratio"].astype(float), strict=True))
