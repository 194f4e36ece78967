"""One dose or three? 5e9 CAR-macrophages on day 1 against 0.5, 1.5 and 3.0e9 on days 1, 3 and 5: blood persistence and IL-6.

All numbers come from the PRIOR of the flagship problem (`fits/carm_blood_il6.py`, whose study is simulated): nothing is fitted here, so the page is built
in a minute. The same functions take the fit in the place of the problem.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from pkpd import (
    arm_table,
    cells,
    day,
    exposure,
    exposure_of,
    infusion,
    local_sensitivity,
    simulate_arms,
    sum_of,
    target_attainment,
    what_if,
)
from pkpd.models.carm import carm_blood_il6, cytokine_idr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fits"))

from carm_blood_il6 import DATA, fit_problem  # noqa: E402

# arms
PRODUCT = {"viability": 0.9, "car_fraction": 0.75}
SPLIT = ((0.5e9, 1), (1.5e9, 3), (3.0e9, 5))


def single(n: float):
    return infusion(cells(n, **PRODUCT), over=(30, "min")).at(day(1))


fractions = sum_of(infusion(cells(n, **PRODUCT), over=(30, "min")).at(day(d)) for n, d in SPLIT)
ARMS = {"single": single(5e9), "fractionated": fractions}
LADDER = {f"{n:g}e9": single(n * 1e9) for n in (1, 2.5, 5, 10, 20)}
# end of arms

# times
DENSE = np.array([0.0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 18, 24])
TIMES = np.unique(np.concatenate([24.0 * (d - 1) + DENSE for _, d in SPLIT] + [np.arange(120.0, 337.0, 12.0)]))
# end of times

PEAK, DETECTED = 500.0, 50.0  # pg/mL of IL-6 that one would not want to pass, copies/ug that an assay detects: assumptions of this page


def problem():
    """The flagship's problem: its priors are assumptions, anchored in the literature, its data are simulated and not used here."""
    return fit_problem(DATA / "records.csv", {}, quick=True)


# runs
def runs(fit=None, arms=None, n_subjects: int = 40, draws: int = 60):
    """Both arms (or others) in the same virtual patients, of a fit or of the prior."""
    source = problem() if fit is None else fit
    return what_if(source, arms or ARMS, times=TIMES, n_subjects=n_subjects, draws=draws, key=jax.random.key(11))


def exposures(seen):
    """IL-6 above each patient's own baseline, and how long cells are found in blood."""
    il6 = exposure(seen, "il6", baseline="first", above=PEAK)
    return il6, exposure(seen, "car_dna", limit=DETECTED)


# end of runs


# answers
def answers(seen):
    """Fractionated against single, pair by pair: the ratio of the median patient with its 90 % interval, and in what share of patients it is higher."""
    il6, cells_in_blood = exposures(seen)
    measures = {
        "IL-6 peak": il6["cmax"],
        "IL-6 area above baseline": il6["auc_above_baseline"],
        "area of cells in blood": cells_in_blood["auc"],
        "last detected": cells_in_blood["last_detectable"],
    }
    tables = [arm_table(x, "single").assign(measure=name) for name, x in measures.items()]
    return tables, target_attainment(il6["cmax"], at_least=PEAK)


# end of answers


# ladder
def ladder(seen):
    """The probability of a high peak against a single dose; and what of it a dose in three parts leaves."""
    return target_attainment(exposure(seen, "il6")["cmax"], at_least=[100.0, PEAK, 2000.0])


# end of ladder


# typical
def typical_panel():
    """Four cytokines of a typical patient under both arms."""
    return simulate_arms(cytokine_idr, ARMS, times=TIMES, covariates={"HER2": [3.0]})


def sensitivities():
    """What the peak of IL-6 after a single dose hangs on: each parameter down and up by half."""
    peak = exposure_of(carm_blood_il6, ARMS["single"], "il6", "cmax", times=TIMES[TIMES <= 48], covariates={"HER2": 3.0}, chunk=32)
    free = [p.name for p in carm_blood_il6.params if p.support == "positive" and p.value > 0]
    return local_sensitivity(peak, {n: float(carm_blood_il6.typical[n]) for n in free}, 0.5)


# end of typical

if __name__ == "__main__":
    tables, reached = answers(runs())
    for table in tables:
        print(table.round(2).to_string())
    print(reached.round(3).to_string())
