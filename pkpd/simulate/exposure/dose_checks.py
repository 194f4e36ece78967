"""Doses that a non-compartmental analysis cannot take as what it was told they are."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pkpd.errors import FitError


def check_doses(doses: pd.DataFrame, who: str, route: str, tau: float | None) -> None:
    """Raise `FitError` for the first of a subject's doses (the lines of `Cohort.doses`) that contradicts the route, or has no dosing interval."""
    for row, text in (*_shapes(doses, route), *_steady(doses, tau), *_together(doses)):
        raise FitError(f"row {row} (subject {who}): {text}")


def _shapes(doses: pd.DataFrame, route: str) -> Iterator[tuple[int, str]]:
    given = doses[doses["amount"] > 0]
    lasts = given[given["shape"] != "bolus"]
    if route == "bolus" and len(lasts):
        yield (
            lasts["row"].iloc[0],
            "this dose is infused (RATE or DUR), and route='bolus' says that it is not. Take route='infusion', or mend the row.",
        )
    at_once = given[given["shape"] == "bolus"]
    if route == "infusion" and len(at_once):
        yield (
            at_once["row"].iloc[0],
            "this dose has no RATE and no DUR, and route='infusion' says that it lasts. Take route='bolus', or mend the row; subjects of another route are "
            "analysed apart (cohort.subset).",
        )


def _steady(doses: pd.DataFrame, tau: float | None) -> Iterator[tuple[int, str]]:
    for line in doses[doses["ss"] > 0].itertuples():
        if line.ss == 2:
            yield (
                line.row,
                "SS = 2 adds a steady state to what is there, so that the interval is not that of one dose. Leave the subject out (cohort.subset).",
            )
        elif not line.amount > 0:
            yield (
                line.row,
                "an infusion that has been running for ever (AMT = 0, SS = 1) has no dosing interval. Leave the subject out (cohort.subset).",
            )
        elif tau is not None and line.time == doses["time"].max() and abs(tau - line.ii) > 1e-9 * line.ii:
            yield (
                line.row,
                f"this last dose is at steady state with an interval of {line.ii:g} h (II), and tau={tau:g} says another. Leave tau out.",
            )


def _together(doses: pd.DataFrame) -> Iterator[tuple[int, str]]:
    given = doses[doses["amount"] > 0]
    for time, part in given.groupby("time"):
        if part["target"].nunique() > 1:
            yield part["row"].iloc[1], f"doses into several targets at {time:g} h; their amounts have no common sum."
        if len(part) > 1 and (part["ss"] > 0).any():
            yield part["row"].iloc[1], f"a dose at steady state and another at {time:g} h; their amounts have no common interval."
