"""TWO: eight simulated subjects, two compartments, seven oral doses, lognormal error, non-centred: a posterior that can be had in closed form and as an ODE."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Solver, lognormal, lognormal_error, read_cohort, simulate
from pkpd.models.classic import two_compartment_oral

SUBJECTS, AMOUNT, INTERVAL, DOSES, SEED = 8, 100.0, 12.0, 7, 20
LAST = INTERVAL * (DOSES - 1)
LOOKS = (
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
    *(INTERVAL * i for i in range(1, DOSES)),
    *(LAST + t for t in (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0, 48.0)),
)
TRUTH = {"CL": 5.0, "Q": 3.0, "V1": 20.0, "V2": 50.0, "ka": 1.0}
PRIORS = {"CL": (1.6, 0.5), "Q": (1.1, 0.5), "V1": (3.0, 0.5), "V2": (3.9, 0.5), "ka": (0.0, 0.5)}
WEIGHTS = dict.fromkeys(PRIORS, 0.0)


def records() -> pd.DataFrame:
    """Simulated with a fixed seed: 30 % between subjects, 15 % error; a look at the time of a dose stands before it, a trough."""
    rng = np.random.default_rng(SEED)
    one = [(t, 0, 0) for t in LOOKS] + [(INTERVAL * i, 1, 1) for i in range(DOSES)]
    table = pd.DataFrame([(i + 1, *row) for i in range(SUBJECTS) for row in sorted(one)], columns=["ID", "TIME", "EVID", "MDV"])
    table = table.assign(AMT=AMOUNT * table["EVID"], CMT=np.where(table["EVID"] == 1, "oral", ""))
    theta = {n: v * np.exp(0.3 * rng.normal(size=SUBJECTS)) for n, v in TRUTH.items()}
    cp = simulate(two_compartment_oral, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    seen = (table["EVID"] == 0).to_numpy()
    dv = np.where(seen, cp * np.exp(0.15 * rng.normal(size=len(cp))), np.nan)
    return table.assign(DV=dv, DVID=np.where(seen, "cp", ""))


@functools.cache
def problem() -> FitProblem:
    cohort = read_cohort(records(), model=two_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    spec = {n: lognormal(dist.LogNormal(*prior), between=dist.HalfNormal(0.5)) for n, prior in PRIORS.items()}
    noise = {"cp": lognormal_error(dist.HalfNormal(0.5))}
    return FitProblem(two_compartment_oral, cohort, Population(**spec), noise, name="two_compartment_simulated", simulated=True)


def by(solver: Solver) -> FitProblem:
    return replace(problem(), solver=solver)


def for_stan() -> dict[str, Any]:
    """The data of stan_models/two_compartment.stan, but for method and tolerance."""
    times, given = np.array(LOOKS), INTERVAL * np.arange(DOSES)
    edges = np.append(given, times[-1])
    before = [given[given < t] for t in times]
    counts = np.array([len(b) for b in before])
    log_cp = np.log(problem().cohort.observations["dv"].to_numpy(float).reshape(SUBJECTS, len(times)))
    return {
        "subjects": SUBJECTS,
        "looks": len(times),
        "doses": DOSES,
        "pairs": int(counts.sum()),
        "times": times.tolist(),
        "edges": edges.tolist(),
        "first": [int(np.flatnonzero(times > a)[0]) + 1 for a in given],
        "last": [int(np.flatnonzero(times <= z)[-1]) + 1 for z in edges[1:]],
        "ends": [int(z in times) for z in edges[1:]],
        "since": np.concatenate([t - b for t, b in zip(times, before, strict=True)]).tolist(),
        "from": (np.cumsum(counts) - counts + 1).tolist(),
        "to": np.cumsum(counts).tolist(),
        "amount": AMOUNT,
        "log_cp": log_cp.T.tolist(),
    }
