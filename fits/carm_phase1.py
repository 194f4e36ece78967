"""The flagship: a phase 1 study of CAR-macrophages, all that was measured of each patient in one model. The study is SIMULATED.

Blood copies (quantified, below a limit, or only detected or not), IL-6, TNF, IL-8 and IL-10 with lower and upper limits of quantification, biopsies,
tumour size and the grade of CRS of 14 patients on two regimens. No CT-0508 concentrations are used: none are published. The data are simulated by
data/carm_phase1_simulated/panel.py, population values drawn once from the priors. The classes of response in that file are the sizes read twice and
are left out. Blood and IL-6 alone, a smaller model of another simulated study: carm_blood_il6.py.
"""

import json
import math
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import (
    FitProblem,
    Population,
    Sampler,
    Solver,
    cells,
    day,
    detection,
    fixed,
    infusion,
    logit_normal,
    lognormal,
    lognormal_error,
    ordinal,
    read_cohort,
    run,
    sum_of,
    tied,
    what_if,
)
from pkpd.models.carm import carm_panel, priors

DATA = Path(__file__).resolve().parents[1] / "data" / "carm_phase1_simulated"
CYTOKINES = ("il6", "tnf", "il8", "il10")
UNITS = {
    "DV": {
        "car_dna": "copies/ug",
        "detect": "copies/ug",
        "biopsy_car": "copies/ug",
        "sld": "mm",
        "crs": "1",
        **dict.fromkeys(CYTOKINES, "pg/mL"),
    }
}
SPREAD = {"k_BH": 0.5, "S": 0.5, "k_BT": 0.5}  # half-normal scale of the between-patient sd
SIGMA = {  # medians of the residual sd of the log, assumptions: copies 0.4 to 0.7, cytokines 0.3 to 0.6, biopsies 0.8 to 1 are usual
    "car_dna": 0.55,
    "detect": 0.55,
    "biopsy_car": 0.9,
    **dict.fromkeys(CYTOKINES, 0.42),
}
WIDE = 0.35  # log sd of those priors: 95 % within a factor of 2; a half-normal would let an assay be exact
READING = priors.around(0.07, 0.25)  # sd of ln SLD: an assumption, 0.05 to 0.10 is usual
FIXED = ("k_Ld", "k_Td", "c_kill", "gam", "V50", "dE", "A50", "E_cap")  # at the library's values: nothing measured here tells them
COUNTS = ("p_new", "crs_il6", "crs_gap2", "crs_gap3", "crs_slope")  # priors for counts in papers; grades have theirs below
PRIORS = {n: p for n, p in (priors.PRIORS | priors.CYTOKINES | priors.OUTCOMES).items() if n not in FIXED + COUNTS}

ASSUMPTIONS = (
    "Data are simulated; no CT-0508 concentration exists in or behind them.",
    "Fixed at the library's values, not estimated: k_Ld, k_Td = k_Ad, k_Pd, the ratio k_BP/k_BH, no return from the liver, S_x (vector copies a cell in "
    "biopsies: known); of the tumour c_kill, gam, eta, V50, dE, A50, E_cap, one lesion, the typical size before treatment (60 mm) and its spread. The "
    "study was simulated with other values of k_Ld, k_Td, c_kill, gam, V50, dE, A50 and E_cap, as nature would have them.",
    "One spread for the release of all four cytokines: a patient who releases much of one releases much of all, in proportion.",
    "No order of lung and blood is imposed: the blood curve of one patient has a flip-flop twin, in which kL = k_LB + k_Ld and the total exit from blood kB "
    "change places. The priors favour a lung that empties faster (kL > kB in 85 % of their draws); this study was simulated with the slower one (kL 0.075, "
    "kB 0.103 1/h), against them.",
    "Viability and CAR+ fraction of each patient's product are known; the dose that enters the model is infused cells x viability x CAR+ fraction.",
    "The grade of CRS goes with the area of IL-6 above baseline up to its visit; a cutpoint of 0 is 50 pg/mL over 20 h.",
    "Prior-driven, whatever the fit says of convergence: kg, kT and pE (they take up what the fixed values of killing and T cells miss: not to be read as "
    "rates of a tumour), and the cutpoints of CRS.",
)


def population() -> Population:
    def spec(name: str):
        kind = logit_normal if name in priors.UNIT_INTERVAL else lognormal
        return kind(PRIORS[name], between=dist.HalfNormal(SPREAD[name]) if name in SPREAD else None)

    return Population(
        **{name: spec(name) for name in PRIORS},
        **{name: tied(other, times) for name, (other, times) in priors.TIED.items() if other in PRIORS},
        release=fixed(1.0, between=dist.HalfNormal(1.0), source="assumption: 1 stands for the typical patient; log sd half-normal(1)"),
        V0=fixed(carm_panel.typical["V0"], between=priors.V0_BETWEEN, source="assumption: 60 mm, log sd of SLD 0.5 between patients"),
    )


def noise() -> dict:
    step = dist.HalfNormal(1.5)
    sd = {name: priors.around(median, WIDE) for name, median in SIGMA.items()}
    return {
        **{name: lognormal_error(prior) for name, prior in sd.items() if name != "detect"},
        "sld": lognormal_error(READING),
        "detect": detection(sd["detect"]),
        "crs": ordinal((dist.Normal(0.0, 1.5), step, step), slope=dist.HalfNormal(1.5)),
    }


def truth() -> dict[str, float]:
    """The values the study was simulated with, by the names of this fit."""
    values = json.loads((DATA / "panel_truth.json").read_text(encoding="utf-8"))["values"]
    known = {n: v for n, v in values.items() if n in PRIORS or n.startswith("sigma_") or n.removeprefix("omega_") in SPREAD}
    grades = {"cut1_crs": math.log(values["crs_il6"] * 20.0 / carm_panel.typical["auc_ref"]), "slope_crs": values["crs_slope"]}
    grades |= {f"gap{i}_crs": values[f"crs_gap{i}"] for i in (2, 3)}
    return {**known, **grades, "omega_release": values["omega_gains"], "sigma_detect": values["sigma_car_dna"]}


def arms() -> dict:
    product = {"viability": 0.9, "car_fraction": 0.75}
    once = infusion(cells(5e9, **product), over=(0.5, "h")).at(day(1))
    fractions = sum_of(infusion(cells(n, **product), over=(0.5, "h")).at(day(d)) for n, d in ((0.5e9, 1), (1.5e9, 3), (3.0e9, 5)))
    return {"D1": once, "D1/3/5": fractions, "D1 double": once.scaled(2)}


def regimens(fit):
    """D1 against D1/3/5 against a doubled single dose (extrapolation), in new patients."""
    near = [d + np.linspace(0, 8, 17) for d in (0, 48, 96)]
    times = np.unique(np.concatenate([*near, np.arange(0, 337, 12.0), (672.0, 1344.0, 2688.0)]))
    return what_if(fit, arms(), times=times, n_subjects=100, draws=100, key=jax.random.PRNGKey(11))


def fit_problem(rows: pd.DataFrame, known: dict[str, float], quick: bool, name: str = "carm_phase1") -> FitProblem:
    """The same statistical model for any simulated study of this design."""
    cohort = read_cohort(
        rows[rows["DVID"] != "recist"], model=carm_panel, units=UNITS, covariates=["REGIMEN"], name="panel_records.csv, simulated"
    )
    draws = 400 if quick else 2000
    return FitProblem(
        carm_panel,
        cohort,
        population(),
        noise(),
        name=name,
        title="CAR-macrophages, phase 1: blood, cytokines, biopsies, tumour size, CRS (simulated CT-0508-like study)",
        simulated=True,
        truth=known,
        assumptions=ASSUMPTIONS,
        sampler=Sampler(chains=4, draws=draws, warmup=min(draws, 1000), target_accept=0.85, kernel="hmc"),
        solver=Solver(rtol=1e-3, atol=1e-5),
        what_if=regimens,
    )


def problem(quick: bool) -> FitProblem:
    return fit_problem(pd.read_csv(DATA / "panel_records.csv", keep_default_na=False), truth(), quick)


if __name__ == "__main__":
    run(problem)
