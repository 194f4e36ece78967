"""Units that stand in cells: CDISC files say in AVALU what AVAL is measured in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pkpd.data.aliases import UNIT_COLUMNS
from pkpd.data.codes import defect
from pkpd.data.columns import Columns
from pkpd.data.names import observables
from pkpd.data.numeric import texts
from pkpd.data.scales import Declared
from pkpd.data.source import Cells
from pkpd.data.table import Table
from pkpd.errors import Defect


def units_in_cells(cells: Cells, columns: Columns, table: Table, declared: Declared) -> tuple[Declared, tuple[str, ...], list[Defect]]:
    """The declared units with those that a column of units adds where none is declared, notes on them, and where they do not agree."""
    name = next((n for n in UNIT_COLUMNS if n in columns.at), None)
    if name is None or "DV" in declared.flat:
        return declared, (), []
    written, what = texts(cells.frame[columns.at[name]]), observables(table)
    seen = table.evid(0) & ~np.isnan(table["DV"]) & (written != "")
    own, notes, wrong = {}, [], []
    for which in [w for w in pd.unique(what[seen]) if w and w not in declared.by_observable]:
        found = list(pd.unique(written[seen & (what == which)]))
        if len(found) > 1:
            wrong.append(defect("PK112", column=name, column_name=name, name=which, value=", ".join(found)))
        own[which] = found[0]
        notes.append(f"{which} is in {found[0]}, as column {name} says.")
    return replace(declared, by_observable=own | declared.by_observable), tuple(notes), wrong
