"""SIMULATED: drug in plasma of 40 patients, and relief of pain, yes or no, whose odds grow with it; one fit of both."""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import (
    Component,
    FitProblem,
    Observable,
    Param,
    Population,
    Sampler,
    Signal,
    binary,
    compose,
    lognormal,
    normal,
    proportional_error,
    read_cohort,
    sample,
    simulate,
)
from pkpd.models.classic import one_compartment

EXAMPLE = "assumption: made up for this example"
PATIENTS, LOOKS, ASKED = 40, (0.5, 2, 6, 12, 24), (1, 3, 5, 8, 12, 16, 20, 24)  # h
TRUTH = {"CL": 3.0, "V": 20.0, "baseline": -2.0, "slope": 1.2, "omega_CL": 0.3, "omega_V": 0.3, "omega_baseline": 0.7, "sigma_cp": 0.15}

relief = Component(
    "relief",
    params=(
        one_compartment.V,
        Param("baseline", -2.0, "1", "log odds of relief without drug", source=EXAMPLE, support="real"),
        Param("slope", 1.0, "L/mg", "log odds gained per concentration", source=EXAMPLE),
    ),
    reads="central",
    gives=Signal("log_odds", "1", "log odds of relief"),
    signals=lambda t, y, p, s: {"log_odds": p.baseline + p.slope * y.central / p.V},
)
observed = (one_compartment.cp, Observable("relief", "1", lambda y, p, s: s.log_odds, "log odds of relief"))
model = compose("drug_and_relief", one_compartment.central, relief, observables=observed, text=__doc__)


def simulated(seed: int) -> pd.DataFrame:
    """NONMEM-style rows: 100 mg into the vein, five concentrations, eight answers."""
    rng = np.random.default_rng(seed)
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1, "DVID": ""}
    looks = [
        {"TIME": float(t), "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0, "DVID": o}
        for o, at in (("cp", LOOKS), ("relief", ASKED))
        for t in at
    ]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(PATIENTS) for row in (dose, *sorted(looks, key=lambda r: r["TIME"]))])
    eta = {n: TRUTH[f"omega_{n}"] * rng.normal(size=PATIENTS) for n in ("CL", "V", "baseline")}
    theta = {n: TRUTH[n] * np.exp(eta[n]) for n in ("CL", "V")} | {"baseline": TRUTH["baseline"] + eta["baseline"]}
    f = simulate(model, table, theta | {"slope": np.full(PATIENTS, TRUTH["slope"])}, units={"TIME": "h", "AMT": "mg"})
    cp = f["cp"].to_numpy() * (1 + TRUTH["sigma_cp"] * rng.normal(size=len(f)))
    yes = rng.uniform(size=len(f)) < 1 / (1 + np.exp(-f["relief"].to_numpy()))
    return table.assign(DV=np.where(table["DVID"] == "cp", cp, np.where(table["DVID"] == "relief", yes, np.nan)))


def fit_problem(table: pd.DataFrame) -> FitProblem:
    return FitProblem(
        model,
        read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "relief": "1"}}),
        Population(
            CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(0.5)),
            V=lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(0.5)),
            baseline=normal(dist.Normal(0.0, 3.0), between=dist.HalfNormal(1.0)),
            slope=lognormal(dist.LogNormal(0.0, 1.0)),
        ),
        noise={"cp": proportional_error(dist.HalfNormal(0.5)), "relief": binary()},
        name="joint_binary",
        simulated=True,
        truth=TRUTH,
        sampler=Sampler(chains=2, draws=500, warmup=500),
    )


problem = fit_problem(simulated(1))

if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    fit = sample(problem, seed=1)
    print(fit.verdict.headline)
    table = fit.summary.assign(truth=[TRUTH[n] for n in fit.summary["name"]])
    print(table[["name", "mean", "sd", "q5", "q95", "truth"]].round(3).to_string(index=False))
