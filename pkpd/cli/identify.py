"""`pkpd identify FITFILE`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pkpd.cli.fit import FitFile
from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.inference import Identifiability
from pkpd.inference import identify as look
from pkpd.plots import plot_information, save_figure, write_whole


def identify(
    fitfile: FitFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the table and the picture of it.", show_default=False)
    ] = None,
) -> None:
    """Before any fit: what the data of FITFILE can tell of each parameter at the prior medians, and which combinations only the priors will.

    Expected posterior/prior sd by each observable alone and by all, and the standard error from the data alone, in percent. Nothing is sampled. With --out
    also information.csv, information.png (which data inform which parameter) and verdict.txt.
    """
    found = look(build_problem(load_problem(fitfile), False))
    for line in as_text(found):
        typer.echo(line)
    if out is not None:
        keep(found, out)
        typer.echo(f"Table, picture and verdict: {out}")


def keep(found: Identifiability, out: Path) -> None:
    """The table, its picture, and the sentences."""
    write_whole(out / "information.csv", found.table.to_csv(index=False).encode())
    write_whole(out / "verdict.txt", ("\n".join((found.verdict, *found.next_steps)) + "\n").encode())
    save_figure(plot_information(found), out / "information.png")


def as_text(found: Identifiability) -> list[str]:
    """The verdict, what to do, a table in columns, the rows and ranks by observable, and what was left out."""
    streams = found.streams.to_dict("records")
    head = ("parameter", "prior median", "unit", "prior sd", *(s["stream"] for s in streams), "SE %")
    body = [_line(line, [s["stream"] for s in streams]) for line in found.table.to_dict("records")]
    counts = ("observable", "rows", "rank", "more than prior", "of")
    ranks = [(s["stream"], *(str(s[k]) for k in ("rows", "rank", "informed", "of"))) for s in streams]
    said = (*(d.sentence for d in found.not_seen), *found.next_steps)
    told = [found.headline, *(f"  {line}" for line in said), "", "Expected posterior/prior sd:", *_columns(head, body), ""]
    return [*told, *_columns(counts, ranks), *(["", *found.notes] if found.notes else [])]


def _line(line: dict[Any, Any], streams: list[Any]) -> tuple[str, ...]:
    ratios = [_number(line[s], ".2f") for s in streams]
    return (line["name"], f"{line['value']:.3g}", line["unit"], _number(line["prior_sd"], ".2f"), *ratios, _number(line["rse"], ".0f"))


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else "inf" if math.isinf(value) else format(value, form)


def _columns(head: tuple[str, ...], body: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    return [
        "  ".join(w.ljust(n) if i == 0 else w.rjust(n) for i, (w, n) in enumerate(zip(line, widths, strict=True))) for line in (head, *body)
    ]
