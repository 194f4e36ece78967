"""The tables of a cohort, made from validated rows in the model's units."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data.cohort import Cohort
from pkpd.data.expand import expand_doses
from pkpd.data.interpolation import CONSTANT, DEFAULT, changing, covariate_records, notes_on_changes
from pkpd.data.options import Options
from pkpd.data.source import Cells
from pkpd.data.table import Table
from pkpd.data.ties import TIES, ranks
from pkpd.units import CLOCK

RECORDS = ["row", "subject", "TIME", "EVID", "AMT", "RATE", "DUR", "ADDL", "II", "SS", "LAG", "F", "CMT", "DVID", "DV", "MDV", "CENS"]
RECORDS += ["LIMIT", "LLOQ", "ULOQ"]
MODELLED = {"modelled_rate": -1.0, "modelled_duration": -2.0}


def make_cohort(cells: Cells, table: Table, frame: pd.DataFrame, name: str | None, notes: tuple[str, ...], asked: Options) -> Cohort:
    """The cohort of a table without errors; `frame` holds its rows in the model's units."""
    starts = np.flatnonzero(np.diff(table["SUBJECT"], prepend=-1))
    varying = changing(table)
    given = {c: m for c, m in _methods(asked, table).items() if m != CONSTANT}
    methods = {c: given.get(c, DEFAULT) for c in varying}
    said = notes_on_changes(varying, methods) + ((TIES[asked.ties],) if TIES[asked.ties] else ())
    return Cohort(
        name=name or cells.label.removesuffix(".csv").removesuffix(".xpt"),
        source=cells.label,
        sha256=cells.sha256,
        subjects=tuple(str(i) for i in table["ID"][starts]),
        records=_records(frame),
        doses=expand_doses(frame, asked.ties),
        observations=_observations(frame, asked.ties),
        covariates=pd.DataFrame({c: table[c][starts] for c in table.covariates}, index=range(len(starts))),
        notes=notes + said,
        covariate_records=covariate_records(table, frame["TIME"].to_numpy(), varying),
        interpolation=methods,
        ties=asked.ties,
        units=_units(table),
    )


def _methods(asked: Options, table: Table) -> dict[str, str]:
    known = {name.upper(): name for name in table.covariates}
    return {known[str(name).upper()]: method for name, method in asked.interpolation.items() if str(name).upper() in known}


def _records(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as NONMEM writes them: RATE -1 and -2 where rate or duration is modelled, 0 where there is none."""
    shape = frame["SHAPE"].to_numpy()
    rate = np.nan_to_num(frame["RATE"].to_numpy())
    for name, code in MODELLED.items():
        rate = np.where(shape == name, code, rate)
    return frame.assign(RATE=rate, DUR=np.nan_to_num(frame["DUR"].to_numpy()))[RECORDS]


def _observations(frame: pd.DataFrame, ties: str) -> pd.DataFrame:
    """One line per row to predict, in file order."""
    at = np.flatnonzero(frame["EVID"].to_numpy() == 0)
    own = {name: frame[name].to_numpy()[at] for name in ("subject", "TIME", "DVID", "DV", "MDV", "CENS", "LIMIT", "LLOQ", "ULOQ", "row")}
    scored = own["MDV"] != 1
    cens = np.where(scored, own["CENS"], 0)
    first = {"subject": own["subject"], "time": own["TIME"], "rank": ranks(frame, ties)[at], "observable": own["DVID"], "dv": own["DV"]}
    limits = {"lower": np.where(cens == 1, own["LIMIT"], np.nan), "lloq": own["LLOQ"], "uloq": own["ULOQ"]}
    return pd.DataFrame({**first, "scored": scored, "cens": cens, **limits, "row": own["row"], "place": at}, copy=False)


def _units(table: Table) -> dict:
    """The units of the cohort's numbers, as `read_cohort(units=...)` takes them; without a model they are the file's and not known."""
    words = table.vocabulary
    if words is None:
        return {"TIME": CLOCK}
    amounts = {name: unit for name in words.targets if (unit := words.dose_unit(name)) is not None}
    return {"TIME": CLOCK, "AMT": amounts, "DV": {o.name: o.unit for o in words.observables}}
