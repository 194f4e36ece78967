"""The order in which rows of one time act."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.errors import PkpdError, choices

TIES = {
    "rows": "",
    "doses_first": "At one time doses come before observations, whatever the order of the rows (ties='doses_first').",
    "observations_first": "At one time observations come before doses, whatever the order of the rows (ties='observations_first').",
}


def check_ties(ties: str) -> str:
    """The rule asked for; raises `PkpdError` for one there is not."""
    if ties not in TIES:
        raise PkpdError(f"ties={ties!r} is no rule for rows of one time. {choices(str(ties), TIES)}")
    return ties


def ranks(records: pd.DataFrame, ties: str) -> np.ndarray:
    """The rank of each row: its place in the file under "rows"; otherwise rows of one time are exchanged, never across a reset.

    >>> rows = pd.DataFrame({"subject": [0, 0, 0], "TIME": [0.0, 8.0, 8.0], "EVID": [1, 0, 1]})
    >>> ranks(rows, "rows").tolist(), ranks(rows, "doses_first").tolist()
    ([0, 1, 2], [0, 2, 1])
    """
    place = np.arange(len(records))
    if ties == "rows" or not len(records):
        return place
    evid = records["EVID"].to_numpy()
    last = np.isin(evid, [0, 2]) if ties == "doses_first" else evid != 0
    order = np.lexsort((place, last, _blocks(records, evid)))
    rank = np.empty_like(place)
    rank[order] = place
    return rank


def _blocks(records: pd.DataFrame, evid: np.ndarray) -> np.ndarray:
    """The number of the block of each row: rows of one subject and time; a reset stands between blocks, in one of its own."""
    subject, time, reset = records["subject"].to_numpy(), records["TIME"].to_numpy(), np.isin(evid, [3, 4])
    begins = np.ones(len(records), bool)
    begins[1:] = (subject[1:] != subject[:-1]) | (time[1:] != time[:-1]) | reset[1:] | reset[:-1]
    return np.cumsum(begins)
