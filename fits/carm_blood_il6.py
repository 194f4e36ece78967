"""The flagship in its first form: CAR-macrophage blood persistence and IL-6 of 14 patients on two regimens, from a SIMULATED CT-0508-like study.

No CT-0508 concentrations are used: none are published. The data are simulated by data/carm_phase1_simulated/generate.py. What is sampled, fixed and
prior-driven follows the Fisher information of this design: blood determines four combinations of its eight parameters, so deaths in organs
and the spleen-to-liver ratio are fixed and labelled so; base x slope of IL-6 is sampled instead of the slope.
"""

import json
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist

from pkpd import (
    FitProblem,
    Population,
    Sampler,
    Solver,
    cells,
    day,
    infusion,
    logit_normal,
    lognormal,
    lognormal_error,
    read_cohort,
    run,
    sum_of,
    tied,
    what_if,
)
from pkpd.models.carm import carm_blood_il6, priors

DATA = Path(__file__).resolve().parents[1] / "data" / "carm_phase1_simulated"
UNITS = {"DV": {"car_dna": "copies/ug", "il6": "pg/mL"}}
SPREAD = {"k_BH": 0.5, "S": 0.5, "k_BT": 0.5, "gain_il6": 1.0}  # half-normal scale of the between-patient sd

ASSUMPTIONS = (
    "Data are simulated; no CT-0508 concentration exists in or behind them.",
    "Fixed, not estimated: k_Ld, k_Td = k_Ad, k_Pd, k_Hd, k_Bd, the ratio k_BP/k_BH, and no return from the liver (k_HB = 0).",
    "No order of lung and blood is imposed: the blood curve of one patient has a flip-flop twin, in which kL = k_LB + k_Ld and the total exit from blood kB "
    "change places. The priors favour a lung that empties faster (kL > kB in 86 % of their draws); so it does in the study (kL 0.169, kB 0.062 1/h).",
    "Viability and CAR+ fraction of each patient's product are known; the dose that enters the model is infused cells x viability x CAR+ fraction.",
    "Prior-driven here (no biopsies): k_BT, k_act, h2, weight_A.",
)


def population() -> Population:
    def spec(name: str):
        kind = logit_normal if name in priors.UNIT_INTERVAL else lognormal
        between = dist.HalfNormal(SPREAD[name]) if name in SPREAD else None
        return kind(priors.PRIORS[name], between=between)

    ratios = {name: tied(other, times) for name, (other, times) in priors.TIED.items() if other in priors.PRIORS}
    return Population(**{name: spec(name) for name in priors.PRIORS}, **ratios)


def arms() -> dict:
    product = {"viability": 0.9, "car_fraction": 0.75}
    once = infusion(cells(5e9, **product), over=(0.5, "h")).at(day(1))
    fractions = sum_of(infusion(cells(n, **product), over=(0.5, "h")).at(day(d)) for n, d in ((0.5e9, 1), (1.5e9, 3), (3.0e9, 5)))
    return {"D1": once, "D1/3/5": fractions, "D1 double": once.scaled(2)}


def regimens(fit):
    """D1 against D1/3/5 against a doubled single dose (extrapolation), in new patients."""
    times = np.unique(
        np.concatenate([np.linspace(0, 8, 33), 48 + np.linspace(0, 8, 17), 96 + np.linspace(0, 8, 17), np.arange(0, 337, 6.0)])
    )
    return what_if(fit, arms(), times=times, n_subjects=100, draws=100, key=jax.random.PRNGKey(11))


def fit_problem(records, truth, quick: bool, name: str = "carm_blood_il6") -> FitProblem:
    """The same statistical model for any simulated study of this design (coverage uses it)."""
    cohort = read_cohort(records, model=carm_blood_il6, units=UNITS, covariates=["REGIMEN"])
    draws = 600 if quick else 1000
    return FitProblem(
        carm_blood_il6,
        cohort,
        population(),
        noise={"car_dna": lognormal_error(dist.HalfNormal(0.6)), "il6": lognormal_error(dist.HalfNormal(0.5))},
        name=name,
        title="CAR-macrophages: blood persistence and IL-6 (simulated CT-0508-like study)",
        simulated=True,
        truth=truth,
        assumptions=ASSUMPTIONS,
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.95, max_tree_depth=8),
        solver=Solver(mesh_growth=0.5),
        what_if=regimens,
    )


def problem(quick: bool) -> FitProblem:
    truth = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))["values"]
    return fit_problem(DATA / "records.csv", truth, quick)


if __name__ == "__main__":
    run(problem)
