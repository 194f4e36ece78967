"""Two sections: how far each estimate moves with its prior and with the data, and which subjects the posterior hangs on."""

from __future__ import annotations

from typing import Any

from pkpd.diagnostics.layout import absent
from pkpd.diagnostics.loo import subject_scores, who_is_influential
from pkpd.diagnostics.sensitivity import SENSITIVE, sensitivity_table
from pkpd.report.facts import Facts
from pkpd.report.sections import WITHHELD
from pkpd.report.tags import Markup, element, section, table

SENSITIVITY = (
    "Prior and likelihood raised to powers of 0.8 and 1.25 by re-weighting the draws (power-scaling, Kallioinen et al. 2024). "
    f"Above {SENSITIVE:g} a parameter moves. With both: the prior counts, as an informative one is meant to, or the data contradict it (then the "
    "shift is large); with the prior alone: the data say little. "
    "shift: of the mean from the weaker prior to the stronger, in posterior sds. Priors of random effects belong to the model and are not scaled."
)
SUBJECTS = (
    "Leaving a subject out by re-weighting the draws (PSIS-LOO, all rows of a subject together, at its own random effects). "
    "A log score is shown where its Pareto-k is below 0.7; above it a fit without that subject is the only way to tell."
)
BEFORE = "Not computed: this fit was saved without the density of its priors."


def sensitivity_section(fit: Any, facts: Facts) -> Markup:
    """Power-scaling sensitivity of each population parameter."""
    if not facts.converged:
        return section("sensitivity", "Sensitivity to prior and data", element("p", WITHHELD, class_="withheld"))
    if absent(fit, "log_prior", "log_likelihood/dv"):
        return section("sensitivity", "Sensitivity to prior and data", element("p", BEFORE))
    lines = sensitivity_table(fit).to_dict("records")
    rows = [(x["name"], f"{x['prior']:.3f}", f"{x['likelihood']:.3f}", f"{x['shift']:+.2f}", _word(x["diagnosis"])) for x in lines]
    headers = ("parameter", "prior", "likelihood", "shift", "")
    return section("sensitivity", "Sensitivity to prior and data", table(headers, rows, SENSITIVITY))


def _word(diagnosis: str) -> Any:
    return element("span", diagnosis, class_="warn-word") if diagnosis else ""


def influence_section(fit: Any, facts: Facts) -> Markup:
    """Pareto-k and log score by subject."""
    if not facts.converged:
        return section("influence", "Influence of subjects", element("p", WITHHELD, class_="withheld"))
    if absent(fit, "log_likelihood/dv", "constant_data"):
        return section("influence", "Influence of subjects", element("p", "The fit was saved without its log-likelihood."))
    found = subject_scores(fit).sort_values("pareto_k", ascending=False)
    rows = [
        (x["subject"], x["rows"], "–" if x["influential"] else f"{x['log_score']:.1f}", f"{x['pareto_k']:.2f}")
        for x in found.to_dict("records")
    ]
    headers = ("subject", "rows", "log score", "Pareto-k")
    return section("influence", "Influence of subjects", element("p", who_is_influential(found)), table(headers, rows, SUBJECTS))
