"""Reading, checking and scheduling 100,000 subjects of 20 records: `python docs/validation/reading.py`. CPU seconds and peak memory to reading.csv."""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pkpd import Solver, read_cohort
from pkpd.model import predictor
from pkpd.models.classic import one_compartment_oral

SUBJECTS, RECORDS = 100_000, 20
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}


def table() -> pd.DataFrame:
    """Simulated: a dose every fifth record with one more a day later, measurements between."""
    n = SUBJECTS * RECORDS
    k = np.tile(np.arange(RECORDS), SUBJECTS)
    dose = k % 5 == 0
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        "ID": np.repeat(np.arange(1, SUBJECTS + 1), RECORDS), "TIME": 12.0 * k, "EVID": dose.astype(int), "AMT": np.where(dose, 100.0, 0.0),
        "ADDL": dose.astype(int), "II": np.where(dose, 24.0, 0.0), "CMT": np.where(dose, "oral", ""),
        "DV": np.where(dose, np.nan, rng.lognormal(size=n)),
    })  # fmt: skip


def main() -> None:
    rows, records = [], table()

    def stage(name: str, work):
        begun = time.process_time()
        result = work()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append((name, round(time.process_time() - begun, 1), round(memory, 2)))
        sys.stderr.write(f"{rows[-1]}\n")
        return result

    cohort = stage("read and check a DataFrame", lambda: read_cohort(records, one_compartment_oral, units=UNITS))
    stage("schedule", lambda: predictor(one_compartment_oral, cohort, Solver()).schedule)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.csv"
        records.to_csv(path, index=False)
        del records
        stage("read and check a csv", lambda: read_cohort(path, one_compartment_oral, units=UNITS))
    out = pd.DataFrame(rows, columns=["stage", "CPU s", "peak memory so far, GB"])
    out.to_csv(Path(__file__).with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
