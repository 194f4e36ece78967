"""Bauer 2019, supplement 3: 100 subjects, one bolus each, 500 concentrations of which 104 lie below the limit of quantification (method M3).

    ln CL, ln V1, ln Q, ln V2 ~ N(ln theta, Omega), full 4 x 4;   ln y = ln f + e;   below the limit only P(ln y < -3.5) counts

Data: tutorial part II of Bauer 2019 (CPT Pharmacometrics Syst Pharmacol 8:538), supplement 3, with CENS added. The file is not shipped: name the
folder that holds `bauer2019/m3_data.csv` in the environment variable PKPD_DATA. Rows with CENS 1 carry the
simulated value, which nobody could have measured: it is replaced by the limit. LOQ (-5.8) and TYPE belong to another variant of the example.
"""

from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, data_file, lognormal, lognormal_error, read_cohort, run
from pkpd.models.classic import two_compartment_iv

FILE = "bauer2019/m3_data.csv"
LLOQ = float(np.exp(-3.5))
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}
WEAK = "assumption: so wide that the data alone decide"
LOG_TYPICAL = {"CL": 1.5, "V1": 1.5, "Q": 1.0, "V2": 2.5}
CENTRED = {"Q": False, "V2": 0.5}  # chosen by itself, Q is centred (0.96, for omega 0.67), but its omega is near 0.2


def records(path: Path) -> pd.DataFrame:
    """NONMEM-style rows: the limit in DV wherever CENS is 1, no DV on dose rows."""
    table = pd.read_csv(path)
    dv = table["CONC"].mask(table["CENS"] == 1, LLOQ).mask(table["EVID"] == 1)
    return table[["ID", "TIME", "EVID", "AMT", "MDV", "CENS"]].assign(DV=dv)


def problem(quick: bool) -> FitProblem:
    draws = 500 if quick else 1000
    wide = dist.HalfNormal(1.0)
    varying = {n: lognormal(dist.LogNormal(m, 10), between=wide, centred=CENTRED.get(n), source=WEAK) for n, m in LOG_TYPICAL.items()}
    return FitProblem(
        two_compartment_iv,
        read_cohort(records(data_file(FILE)), model=two_compartment_iv, units=UNITS, name=FILE),
        Population(**varying, correlation=tuple(LOG_TYPICAL)),
        noise={"cp": lognormal_error(dist.HalfNormal(1.0))},
        name="bauer_m3",
        title="Bauer 2019, supplement 3: bolus in 100 subjects, a fifth of the concentrations below the limit",
        simulated=True,
        assumptions=("The source states no units: hours, mg and mg/L.",),
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.9),
    )


if __name__ == "__main__":
    run(problem)
