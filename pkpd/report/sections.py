"""The sections of a report, each from facts and tree to markup."""

from __future__ import annotations

from typing import Any

from pkpd.diagnostics.cohort_summary import covariate_summary, observable_summary, value_counts
from pkpd.diagnostics.layout import absent, observation
from pkpd.diagnostics.rows import endpoint, observables
from pkpd.diagnostics.shrinkage import DEFINITION, EPSILON, epsilon_shrinkage_table, shrinkage_table
from pkpd.report.facts import Facts
from pkpd.report.tags import Markup, bullets, element, image, join, number, pairs, plain, section, table

WITHHELD = "Withheld: this fit has not converged, so its numbers are not estimates of anything."


def banner(facts: Facts) -> Markup:
    """The verdict as the first thing on the page, in words and colour, with its reasons."""
    return element(
        "div",
        element(
            "strong", facts.headline if facts.converged or "NOT CONVERGED" in facts.headline.upper() else f"NOT CONVERGED. {facts.headline}"
        ),
        bullets(facts.reasons) if facts.reasons else "",
        class_=f"banner {_colour(facts)}",
    )


def _colour(facts: Facts) -> str:
    less = "NOT IDENTIFIED" in facts.headline or facts.headline.startswith("Approximation")
    return ("warn" if less else "good") if facts.converged else "bad"


def heading(facts: Facts) -> Markup:
    """Title, the word simulated where it applies, and what to do next."""
    tag = element("span", "simulated data", class_="tag") if facts.simulated else ""
    return join([element("h1", facts.title), tag, element("h3", "What to do next"), bullets(facts.next_steps)])


def data_section(fit: Any) -> Markup:
    """What data the fit saw: rows, times and censored fractions per observable, and the covariates."""
    if absent(fit, "constant_data", "observed_data"):
        return section("data", "Data", element("p", "The fit was saved without its data."))
    headers = ("observable", "unit", "subjects", "rows", "scored", "below limit", "above limit", "first", "last", "quantified values")
    lines = [_observable(line) for line in observable_summary(fit).to_dict("records")]
    told = [part for name in observables(fit) for part in _counted(fit, name)]
    known = covariate_summary(fit)
    words = [element("h3", "Covariates"), pairs(known)] if known else []
    caption = "Rows that are not scored are predicted only. Times in hours."
    return section("data", "Data", table(headers, lines, caption), *told, *words)


def _counted(fit: Any, observable: str) -> list[Markup]:
    """How one observable is measured and how its rows count; nothing where the fit does not tell (made before it was stored)."""
    facts = observation(fit, observable)
    if not facts:
        return []
    words = {"observation": facts["kind"], "equation": facts["equation"], "parameters": facts["priors"], "rows": facts["rows"]}
    seen = [] if endpoint(fit, observable) == "continuous" else [_frequencies(fit, observable)]
    return [element("h3", f"How {observable} is measured"), pairs(words), *seen]


def _frequencies(fit: Any, observable: str) -> Markup:
    lines = [(number(v), n, _percent(n, total)) for v, n, total in value_counts(fit, observable)]
    return table((observable, "rows", "share"), lines, "Every value that was seen, in all subjects and at all times.")


def _observable(line: dict[str, Any]) -> tuple[Any, ...]:
    shares = [f"{line[side]} ({_percent(line[side], line['scored'])})" if line[side] else "0" for side in ("below", "above")]
    span = f"{number(line['low'])} to {number(line['high'])}"
    counts = (line["subjects"], line["rows"], line["scored"])
    return (line["observable"], line["unit"], *counts, *shares, float(line["first"]), float(line["last"]), span)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def model_section(facts: Facts) -> Markup:
    """The model: diagram, equations, sampled parameters with their priors, fixed parameters with their sources."""
    parts: list[Any] = []
    if diagram := facts.report.get("diagram"):
        parts.append(
            element("div", image(str(diagram).encode(), "image/svg+xml", "Diagram of the model's states and flows"), class_="diagram")
        )
    if equations := facts.report.get("equations"):
        lines = equations if isinstance(equations, str) else "\n".join(str(line) for line in equations)
        parts.append(element("pre", lines))
    keys = ("name", "unit", "prior", "meaning", "source")
    sampled = [(name, *(plain(line.get(key, "")) for key in keys[1:])) for name, line in facts.parameters.items()]
    if sampled:
        parts += [element("h3", "Sampled"), table(keys, sampled)]
    fixed = [
        tuple(plain(line.get(key, "")) if key != "value" else line.get(key) for key in FIXED) for line in facts.report.get("fixed", [])
    ]
    words = "Held at one value, never estimated. What depends on them is only as good as they are."
    parts += [element("h3", "Fixed"), table(FIXED, fixed, words) if fixed else element("p", "None.")]
    return section("model", "Model", *parts)


FIXED = ("name", "value", "unit", "source")


def shrinkage_section(fit: Any, facts: Facts) -> Markup:
    """Shrinkage of every random effect, with its definition."""
    if not facts.converged:
        return section("shrinkage", "Shrinkage", element("p", WITHHELD, class_="withheld"))
    lines, residual = [] if absent(fit, "posterior") else shrinkage_table(fit).to_dict("records"), _epsilon(fit)
    if not lines:
        return section("shrinkage", "Shrinkage", element("p", "No parameter varies between subjects in this fit."), *residual)
    headers = ("parameter", "omega (mean)", "sd of mean effects", "shrinkage", "mean posterior sd of an effect")
    rows = [(s["name"], s["omega"], s["sd_eta"], f"{100 * s['shrinkage']:.0f} %", s["mean_posterior_sd"]) for s in lines]
    return section("shrinkage", "Shrinkage", table(headers, rows, DEFINITION), *residual)


def _epsilon(fit: Any) -> list[Markup]:
    lines = epsilon_shrinkage_table(fit).to_dict("records")
    rows = [(s["observable"], s["rows"], s["sd_iwres"], f"{100 * s['shrinkage']:.0f} %") for s in lines]
    return [table(("observable", "quantified rows", "sd of weighted residuals", "shrinkage"), rows, EPSILON)] if rows else []


def assumptions_section(facts: Facts) -> Markup:
    """What was assumed, one sentence each."""
    told = facts.report.get("assumptions") or []
    return section(
        "assumptions", "What was assumed", bullets(told) if told else element("p", "Nothing beyond the model and its priors was recorded.")
    )


def provenance_section(facts: Facts) -> Markup:
    """All that is needed to repeat the fit: versions, seed, hashes."""
    return section("provenance", "Provenance", pairs(facts.provenance) if facts.provenance else element("p", "Not recorded."))
