"""A cohort as NONMEM-style records again, as a table or as a csv file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.cohort import Cohort
from pkpd.data.vocabulary import Vocabulary, vocabulary_of
from pkpd.errors import PkpdError, choices

OPTIONAL = {"RATE": 0.0, "DUR": 0.0, "ADDL": 0, "II": 0.0, "SS": 0, "LAG": np.nan, "F": np.nan, "CENS": 0}
"""Columns left out of a file where every row holds this."""


def to_records(cohort: Cohort) -> pd.DataFrame:
    """The records of a cohort as a table with standard names, in the model's units and hours.

    Amounts are what enters the model (AMT x VIAB x CAR_FRAC); lag and bioavailability stand in LAG and F, whatever column said them;
    covariates have their value of each record. Returns a DataFrame whose `read_cohort` gives the same cohort; the units that it is to be
    read with stand in `.attrs["units"]` and are taken from there (they are the model's).

    >>> import pandas as pd
    >>> from pkpd.data import Field, Vocabulary, read_cohort
    >>> words = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"),))
    >>> rows = pd.DataFrame({"ID": [1, 1], "TIME [min]": [0, 90], "AMT [g]": [0.32, 0], "DV [mg/L]": [None, 8.5]})
    >>> to_records(read_cohort(rows, words))[["ID", "TIME", "AMT", "CMT", "DVID"]].values.tolist()
    [['1', 0.0, 320.0, 'depot', ''], ['1', 1.5, 0.0, '', 'cp']]
    """
    records = cohort.records
    table = records.drop(columns=["row", "subject"]).reset_index(drop=True)
    table.insert(0, "ID", np.array(cohort.subjects, dtype=object)[records["subject"].to_numpy()])
    covariates = cohort.covariates.iloc[records["subject"].to_numpy()].reset_index(drop=True)
    table = pd.concat([table, covariates.assign(**{c: cohort.covariate_records[c].to_numpy() for c in cohort.interpolation})], axis=1)
    table.attrs["units"] = dict(cohort.units)
    return table


def write_records(cohort: Cohort, path: str | PathLike[str], *, numbered: Any = None) -> Path:
    """Write the records of a cohort as a csv file for NONMEM: one header line, `.` where nothing is said, columns without content left out.

    Numbers are written so that they are read back exactly: `read_cohort(path, model, units=cohort.units, covariates=...)` gives the same
    doses, observations and covariates. Compartments, observables and subjects keep their names, which this library reads back; with
    `numbered`, the model (or its `Vocabulary`), CMT and DVID become the numbers that NONMEM needs, and subjects whose ID is no whole
    number count from 1. Returns the path. Raises `PkpdError` for a dose route that leads to no single state.

    >>> import tempfile
    >>> import pandas as pd
    >>> from pkpd.data import Field, Vocabulary, read_cohort
    >>> words = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"),))
    >>> rows = pd.DataFrame({"ID": [1, 1], "TIME [h]": [0, 1.5], "AMT [mg]": [320, 0], "DV [mg/L]": [None, 8.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = write_records(read_cohort(rows, words), f"{folder}/study.csv", numbered=words).read_text()
    >>> text.splitlines()
    ['ID,TIME,EVID,AMT,CMT,DVID,DV,MDV', '1,0.0,1,320.0,1,.,.,0', '1,1.5,0,0.0,.,1,8.5,0']
    """
    table = to_records(cohort)
    if numbered is not None:
        table = _in_numbers(table, vocabulary_of(numbered) or Vocabulary())
    empty = [name for name, value in OPTIONAL.items() if _holds_only(table[name].to_numpy(), value)]
    empty += [name for name in ("LIMIT", "LLOQ", "ULOQ") if table[name].isna().all()]
    texts = table.select_dtypes(exclude="number").columns
    table = table.drop(columns=empty).assign(**{c: table[c].where(table[c] != "", ".") for c in texts})
    table.to_csv(path, index=False, na_rep=".", lineterminator="\n")
    return Path(path)


def _holds_only(values: np.ndarray, value: float) -> bool:
    return bool(np.isnan(values).all() if np.isnan(value) else (values == value).all())


def _in_numbers(table: pd.DataFrame, words: Vocabulary) -> pd.DataFrame:
    places = {name: words.compartment(name) for name in pd.unique(table["CMT"]) if name}
    lost = next((name for name, number in places.items() if not number), None)
    if lost is not None:
        raise PkpdError(
            f"The dose route '{lost}' leads to no single state, so it has no compartment number. {choices(lost, words.state_names)}"
        )
    seen = {name: i + 1 for i, name in enumerate(words.observable_names)}
    whole = pd.to_numeric(table["ID"], errors="coerce")
    plain = bool((whole.notna() & (whole % 1 == 0)).all())
    ids = table["ID"] if plain else pd.factorize(table["ID"])[0] + 1
    return table.assign(ID=ids, CMT=_numbers(table["CMT"], places), DVID=_numbers(table["DVID"], seen))


def _numbers(names: pd.Series, numbers: dict[str, int]) -> np.ndarray:
    code, distinct = pd.factorize(names.to_numpy(dtype=object))
    return np.array([str(numbers.get(name, "")) for name in distinct], dtype=object)[code]
