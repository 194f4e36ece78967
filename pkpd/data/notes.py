"""What was assumed while reading a file, as sentences: nothing is silent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.checks.observations import first_equal
from pkpd.data.columns import DOSE_ITEMS, Columns
from pkpd.data.dose_items import items_used
from pkpd.data.doses import counts_cells
from pkpd.data.names import observables, targets
from pkpd.data.scales import SHARES, Declared
from pkpd.data.table import Table


def notes_on(table: Table, columns: Columns, declared: Declared) -> tuple[str, ...]:
    """Every assumption made on the way from the file to the cohort."""
    parts = (
        _taken(columns),
        (table.clock_note,) if table.clock else (),
        _items(table, columns, declared),
        _defaults(table),
        _units(table, declared),
        _dose_notes(table),
        _measure_notes(table),
        _subjects(table),
        _columns(table, columns),
    )
    return tuple(note for part in parts for note in part)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _taken(columns: Columns) -> Iterator[str]:
    yield from (f"Column {own} is read as {name}." for name, own in columns.taken if name not in DOSE_ITEMS)


ITEM_WORDS = {"LAG": "the lag", "F": "the bioavailability", "D": "the modelled duration", "R": "the modelled rate"}
WHOSE = {"LAG": "of each dose", "F": "of each dose", "D": "of each dose with RATE -2", "R": "of each dose with RATE -1"}


def _items(table: Table, columns: Columns, declared: Declared) -> Iterator[str]:
    """What the columns LAG, F, D and R, and those with a number, are used for."""
    time = "h" if table.clock else declared.flat.get("TIME", "h")
    for item, name, number, rows in items_used(table):
        unit = {"F": "", "R": f" ({declared.flat.get(name, f'{declared.flat.get("AMT", "AMT")} per {time}')})"}.get(
            item, f" ({declared.flat.get(name, time)})"
        )
        where = f" into compartment {number}" if number else ""
        yield f"Column {columns.own[name]} is {ITEM_WORDS[item]} {WHOSE[item]}{where}{unit}{'' if rows else '; no dose uses it'}."


def _defaults(table: Table) -> Iterator[str]:
    words, empty = table.vocabulary, table["CMT"] == ""
    if "EVID" not in table.present:
        yield f"There is no column EVID: {_rows(int(table.gives.sum()))} with AMT above 0 are doses, all others observations."
    if words is None:
        yield "No model was given: CMT and DVID are taken as they are, AMT and DV in the units of the file."
        return
    if (table.gives & empty).any():
        yield f"{_rows(int((table.gives & empty).sum()))} without CMT dose the only route '{words.doses[0].name}'."
    unnamed = int((table.evid(0) & (table["DVID"] == "")).sum())
    if unnamed:
        yield f"{_rows(unnamed)} without DVID hold the only observable '{words.observable_names[0]}'."


def _units(table: Table, declared: Declared) -> Iterator[str]:
    flat = declared.flat
    if "TIME" not in flat:
        yield "The unit of TIME is not declared: taken as h."
    time = flat.get("TIME", "h")
    for name in ("II", "DUR"):
        if name in table.present and name not in flat:
            yield f"{name} is in the unit of TIME ({time})."
    if "RATE" in table.present and "RATE" not in flat and np.nan_to_num(table["RATE"]).any():
        yield f"RATE is in {flat.get('AMT', 'the unit of AMT')} per {time}."


def _dose_notes(table: Table) -> Iterator[str]:
    value = table["DV"]
    ignored = int((table.gives & (np.nan_to_num(value) != 0)).sum())
    if ignored:
        yield f"DV on {_rows(ignored)} that give a dose is ignored."
    both = (np.nan_to_num(table["RATE"]) > 0) & (np.nan_to_num(table["DUR"]) > 0)
    if both.any():
        yield f"RATE and DUR agree on {_rows(int(both.sum()))}: DUR counts."
    shares = [name for name in SHARES if name in table.present]
    if shares and any(counts_cells(table, t) for t in pd.unique(targets(table)) if t):
        yield f"Doses of cells are AMT x {' x '.join(shares)}."
    if (table["TIME"] < 0).any():
        yield f"TIME is below 0 on {_rows(int((table['TIME'] < 0).sum()))}: a subject's clock starts at its first row."


def _measure_notes(table: Table) -> Iterator[str]:
    what, value, cens = observables(table), table["DV"], table["CENS"]
    repeats = int((first_equal(table, exact=False) >= 0).sum())
    if repeats:
        yield f"{_rows(repeats)} repeat an earlier observation's subject, time and observable (replicates): all are scored."
    unused = table.scored & (cens != 1) & ~np.isnan(table["LIMIT"])
    if unused.any():
        yield f"LIMIT is used with CENS 1 only: not used on {_rows(int(unused.sum()))}."
    low = table.scored & (cens == 0) & (value < table["LLOQ"])
    if low.any():
        yield f"{_rows(int(low.sum()))} have DV below their LLOQ but CENS 0: scored as measured."
    for name in pd.unique(what[table.scored & (cens == 0) & (value <= 0)]):
        count = int((table.scored & (cens == 0) & (value <= 0) & (what == name)).sum())
        yield f"{_rows(count)} of {name} are zero or below: an error on the log scale cannot score them."


def _subjects(table: Table) -> Iterator[str]:
    subject = table["SUBJECT"]
    for words, mask in (("observation to predict", table.evid(0)), ("dose", table.gives)):
        without = len(np.unique(subject)) - len(np.unique(subject[mask]))
        if without:
            yield f"{without} subject{'' if without == 1 else 's'} without {words}."


def _columns(table: Table, columns: Columns) -> Iterator[str]:
    labels = table.frame.loc[table["LABEL"] != "", "LABEL"].value_counts(sort=False)
    if len(labels):
        yield "Rows by LABEL: " + ", ".join(f"{count} {label}" for label, count in labels.items()) + "."
    if columns.unused:
        yield f"Columns not used: {', '.join(columns.unused)}."
