"""The section on the priors: what they predict before any fitting, held against the data."""

from __future__ import annotations

from typing import Any

from pkpd.diagnostics.layout import attribute, tree_of
from pkpd.inference.prior_check import FOLD
from pkpd.inference.prior_findings import PriorCheck, duration
from pkpd.report.tags import Markup, bullets, element, number, section, table

ABSENT = "Not checked: this fit was saved without a prior check. prior_check(problem, seed=1) makes one."
HEADERS = ("observable", "unit", "of", "rows", "measured", "simulated (5, 50, 95 %)", "outside", "far above", "far below", "a dose lasts")


def prior_section(fit: Any) -> Markup:
    """What is odd in sentences, then the numbers by observable."""
    check = stored_prior_check(fit)
    if check is None:
        return section("prior", "Prior check", element("p", ABSENT))
    said = [element("p", check.verdict, class_="good-word")] if not (check.warnings or check.reason) else []
    said += [element("p", check.verdict, class_="warn-word")] if check.reason else []
    said += [element("div", bullets(check.warnings), class_="warn-word")] if check.warnings else []
    if check.table.empty:
        return section("prior", "Prior check", *said)
    lines = [_row(line) for line in check.table.to_dict("records")]
    return section("prior", "Prior check", *said, table(HEADERS, lines), element("p", _caption(check), class_="note"))


def stored_prior_check(fit: Any) -> PriorCheck | None:
    """The check saved with a fit; None where it was saved by a version that made none."""
    return None if attribute(fit, "prior_check") is None else PriorCheck.from_json(tree_of(fit).attrs["prior_check"])


def _row(line: dict[Any, Any]) -> tuple[Any, ...]:
    span = number(line["low"]) if line["kind"] == "mean" else f"{number(line['low'])} to {number(line['high'])}"
    simulated = ", ".join(number(line[q]) for q in ("q5", "q50", "q95"))
    shares = [_percent(line[share]) for share in ("outside", "above", "below")]
    return (line["observable"], line["unit"], line["kind"], line["rows"], span, simulated, *shares, _lasts(line["lasts50"]))


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.0f} %"


def _lasts(hours: float) -> str:
    return "–" if hours != hours else "to the end" if hours == float("inf") else duration(hours)


def _caption(check: PriorCheck) -> str:
    failed = f"{100 * check.failed:.1f} % of the subjects' solves failed. "
    return (
        f"{check.draws} simulations of the measured rows from the prior alone. {failed if check.failed else ''}"
        "outside: measured values beyond the 99 % interval of their row. "
        f"far above, far below: share of the simulations more than {FOLD:g} times above the largest or below the smallest measured value. "
        "a dose lasts: how long the effect of the last dose on a typical subject stays above 1 % of its peak, at the median of the prior."
    )
