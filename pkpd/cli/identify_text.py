"""What `pkpd identify` prints: sentences first, then tables in columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pkpd.diagnostics.contraction import contraction_table
from pkpd.inference import Identifiability


def as_text(found: Identifiability, assumed: Sequence[str] = ()) -> list[str]:
    """The verdict, what to do, what is known best, a table in columns, the rows and ranks by observable, and what was left out or assumed."""
    streams = found.streams.to_dict("records")
    head = ("parameter", "prior median", "unit", "prior sd", *(s["stream"] for s in streams), "SE %")
    body = [_line(line, [s["stream"] for s in streams]) for line in found.table.to_dict("records")]
    counts = ("observable", "rows", "rank", "more than prior", "of")
    widest = () if found.not_seen or found.weakest is None or len(_typical(found)) < 2 else (f"Known least: {found.weakest.alone}.",)
    said = (*(d.sentence for d in found.not_seen), *found.next_steps, *widest, *_best(found), *(c.sentence for c in found.together))
    told = [found.headline, *(f"  {line}" for line in said), "", "Expected posterior/prior sd:", *columns(head, body), ""]
    ranks = [(s["stream"], *(str(s[k]) for k in ("rows", "rank", "informed", "of"))) for s in streams]
    added = _added(found) if found.staged else []
    guessed = ["", "Assumed, as the design says it or nobody does:", *(f"  {line}" for line in assumed)] if assumed else []
    return [*told, *columns(counts, ranks), *added, *(["", *found.notes] if found.notes else []), *guessed]


def _best(found: Identifiability) -> tuple[str, ...]:
    """The three parameters of several that are known best, if any is half as wide as its prior or less."""
    typical = _typical(found)
    lines = typical[typical["all"] <= 0.5].sort_values("all").head(3 if len(typical) > 1 else 0)
    told = ", ".join(f"{line['name']} {line['all']:.2f}" for line in lines.to_dict("records"))
    return (f"Known best (posterior/prior sd): {told}.",) if told else ()


def _typical(found: Identifiability) -> Any:
    """The lines of the table without spreads."""
    return found.table[~found.table["name"].str.startswith(("omega_", "sigma_", "gamma_", "tau_"))]


def _added(found: Identifiability) -> list[str]:
    """The same as observables are added one after another."""
    names = found.steps["stream"].tolist()
    body = [(line["name"], *(_number(line[s], ".2f") for s in names)) for line in found.by_step.to_dict("records")]
    counts = [(s["stream"], *(str(s[k]) for k in ("rows", "rank", "informed", "of"))) for s in found.steps.to_dict("records")]
    head = ("added", "rows", "rank", "more than prior", "of")
    return ["", "Expected posterior/prior sd as they are added:", *columns(("parameter", *names), body), "", *columns(head, counts)]


def fit_text(fit: Any, found: Identifiability) -> list[str]:
    """What the posterior of a fit has found of the typical values, beside what was expected; spreads are read on another scale there and are left out."""
    expected = found.table.set_index("name")["all"]
    table = contraction_table(fit)
    typical = table[table["name"].isin(expected.index) & ~table["name"].str.startswith(("omega_", "sigma_", "gamma_", "tau_"))]
    body = [
        (line["name"], line["scale"], *(f"{line[k]:.2f}" for k in ("prior_sd", "posterior_sd", "ratio")), _number(float(expected[line["name"]]), ".2f"))
        for line in typical.to_dict("records")
    ]  # fmt: skip
    head = ("parameter", "scale", "prior sd", "posterior sd", "found", "expected")
    return ["", f"What the fit has found (posterior/prior sd). {fit.verdict.headline}", *columns(head, body)]


def _line(line: dict[Any, Any], streams: list[Any]) -> tuple[str, ...]:
    ratios = [_number(line[s], ".2f") for s in streams]
    return (line["name"], f"{line['value']:.3g}", line["unit"], _number(line["prior_sd"], ".2f"), *ratios, _number(line["rse"], ".0f"))


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else "inf" if math.isinf(value) else format(value, form)


def columns(head: tuple[str, ...], body: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines in columns: the first to the left, the others to the right."""
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    return [
        "  ".join(w.ljust(n) if i == 0 else w.rjust(n) for i, (w, n) in enumerate(zip(line, widths, strict=True))) for line in (head, *body)
    ]
