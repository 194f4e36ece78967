"""Records of a design for calibration: doses, times and limits; the values are those of the model's typical subject and are never looked at."""

import numpy as np
import pandas as pd

from pkpd import simulate


def records(model, subjects, doses, times, lloq=None, **columns):
    """NONMEM-style rows: `doses` [(time h, dose site, mg, duration h), ...] and `times` {observable: h} of each subject, `columns` {name: a value each}."""
    rows = []
    for i in range(subjects):
        own = {"ID": i + 1, **{name: values[i] for name, values in columns.items()}}
        rows += [{**own, "TIME": t, "EVID": 1, "AMT": a, "CMT": s, "DUR": d, "DVID": "", "MDV": 1} for t, s, a, d in doses]
        rows += [
            {**own, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DUR": 0.0, "DVID": o, "MDV": 0} for o, ts in times.items() for t in ts
        ]
    table = pd.DataFrame(rows).sort_values(["ID", "TIME", "MDV"], ascending=[True, True, False], kind="stable").reset_index(drop=True)
    typical = simulate(model, table, {}, units={"TIME": "h", "AMT": "mg", "DUR": "h"})
    seen = table["EVID"].to_numpy() == 0
    value = np.full(len(table), np.nan)
    for o in times:
        here = (table["DVID"] == o).to_numpy()
        value[here] = typical[o].to_numpy()[here]
    table = table.assign(DV=value)
    if lloq is None:
        return table
    low = seen & (value < lloq)
    return table.assign(DV=np.where(low, lloq, value), CENS=low.astype(int), LLOQ=np.where(seen, lloq, np.nan))
