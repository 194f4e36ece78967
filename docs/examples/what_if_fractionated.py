"""One dose or three? 5e9 CAR-macrophages on day 1 against 0.5, 1.5 and 3.0e9 on days 1, 3 and 5: IL-6, blood and tumour.

The numbers made here come from the PRIOR of the flagship problem (`fits/carm_phase1.py`, whose study is simulated): nothing is fitted, so the page is
built in a minute. The same functions take a fit in the place of the problem: `docs/validation/fractionated.py`.
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
from pkpd.models.carm import carm_panel

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fits"))

from carm_phase1 import CYTOKINES, PRIORS, problem  # noqa: E402

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
AFTER = np.concatenate([np.arange(0, 2, 0.25), np.arange(2, 8, 1.0), np.arange(8, 24, 2.0), np.arange(24, 49, 4.0)])  # h after each dose
TIMES = np.unique(
    np.concatenate([*(24.0 * (d - 1) + AFTER for _, d in SPLIT), np.arange(144, 672, 12.0), np.arange(672, 2017, 84.0)])
)  # 12 weeks
# end of times

PEAK = 500.0  # pg/mL of IL-6 that one would not want to pass: an assumption of this page
DETECTED = 10.0  # copies/ug, the limit of detection in the simulated study


# runs
def runs(fit=None, arms=None, times=TIMES, n_subjects: int = 30, draws: int = 40):
    """Both arms (or others) in the same virtual patients, of a fit or of the prior."""
    source = problem(quick=True) if fit is None else fit
    return what_if(source, arms or ARMS, times=times, n_subjects=n_subjects, draws=draws, key=jax.random.key(11))


def measures(seen):
    """IL-6 above each patient's own baseline, cells in blood and how long they are found, cells in the tumour: one value a patient and arm."""
    il6, blood = exposure(seen, "il6", baseline="first"), exposure(seen, "car_dna", limit=DETECTED)
    cells_in_tumour = seen["biopsy_car"] / seen["theta_S_x"]  # the observable is S_x (T + A), in copies
    return {
        "IL-6 peak": il6["cmax"],
        "IL-6 area above baseline": il6["auc_above_baseline"],
        "area of cells in blood": blood["auc"],
        "last detected in blood": blood["last_detectable"],
        "tumour exposure": exposure(cells_in_tumour.assign_attrs(unit="1e9 cells"))["auc"],
    }


# end of runs


# answers
def answers(seen):
    """Fractionated against single, pair by pair: the median patient's ratio (of times the difference, h) with its 90 % interval, and who is higher."""
    by = {"last detected in blood": "difference"}
    tables = [
        arm_table(x, "single", by=by.get(name, "ratio")).assign(measure=name, by=by.get(name, "ratio"))
        for name, x in measures(seen).items()
    ]
    return tables, target_attainment(exposure(seen, "il6")["cmax"], at_least=PEAK)


# end of answers


# ladder
def ladder(seen):
    """The probability of a high peak against a single dose; and what of it a dose in three parts leaves."""
    return target_attainment(exposure(seen, "il6")["cmax"], at_least=[100.0, PEAK, 2000.0])


# end of ladder


# typical
def typical_panel():
    """Four cytokines of a typical patient under both arms, two weeks."""
    return simulate_arms(carm_panel, ARMS, times=TIMES[TIMES <= 336], covariates={"HER2": [3.0]})[list(CYTOKINES)]


def sensitivities():
    """What the peak of IL-6 after a single dose hangs on: each parameter that is estimated and positive, down and up by half."""
    peak = exposure_of(carm_panel, ARMS["single"], "il6", "cmax", times=TIMES[TIMES <= 48], covariates={"HER2": 3.0}, chunk=32)
    free = [p.name for p in carm_panel.params if p.name in PRIORS and p.support == "positive"]
    return local_sensitivity(peak, {n: float(carm_panel.typical[n]) for n in free}, 0.5)


# end of typical

if __name__ == "__main__":
    tables, reached = answers(runs())
    for table in tables:
        print(table.round(2).to_string())
    print(reached.round(3).to_string())
