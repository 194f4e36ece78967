"""A cohort as NONMEM-style records again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data.cohort import Cohort


def to_records(cohort: Cohort) -> pd.DataFrame:
    """The records of a cohort as a table with standard names, in the model's units and hours.

    Returns a DataFrame whose `read_cohort` with the units of the model gives the same doses and observations.

    >>> import pandas as pd
    >>> from pkpd.data import Field, Vocabulary, read_cohort
    >>> words = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"),))
    >>> rows = pd.DataFrame({"ID": [1, 1], "TIME [min]": [0, 90], "AMT [g]": [0.32, 0], "DV [mg/L]": [None, 8.5]})
    >>> to_records(read_cohort(rows, words))[["ID", "TIME", "AMT", "CMT", "DVID"]].values.tolist()
    [['1', 0.0, 320.0, 'depot', ''], ['1', 1.5, 0.0, '', 'cp']]
    """
    records = cohort.records
    table = records.drop(columns=["row", "subject"])
    table.insert(0, "ID", np.array(cohort.subjects, dtype=object)[records["subject"]])
    covariates = cohort.covariates.iloc[records["subject"]].reset_index(drop=True)
    return pd.concat([table.reset_index(drop=True), covariates], axis=1)
