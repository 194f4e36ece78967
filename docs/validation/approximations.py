"""Approximations against NUTS: `python docs/validation/approximations.py` fits fits/theophylline.py by each and writes approximations.csv.

A line a method and population parameter: mean and sd, difference of the mean from that of NUTS in its sds and ratio of the sds, Pareto-k and effective
draws (of NUTS the smallest bulk ESS), and the CPU seconds of the method (compilation, labelling and predictions included). NUTS is 4 x 1000 draws.
"""

import importlib.util
import time
from pathlib import Path

import pandas as pd

from pkpd import laplace, pathfinder, sample, variational

HERE = Path(__file__).resolve().parent
FIT, SEED = HERE.parents[1] / "fits" / "theophylline.py", 1
METHODS = {
    "NUTS": lambda p: sample(p, seed=SEED, progress=False),
    "Laplace": lambda p: laplace(p, seed=SEED),
    "Pathfinder": lambda p: pathfinder(p, seed=SEED),
    "variational": lambda p: variational(p, seed=SEED),
}


def problem():
    """A new one each time, so that nothing compiled is shared."""
    spec = importlib.util.spec_from_file_location("theophylline", FIT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problem(quick=False)


def lines(name: str) -> pd.DataFrame:
    """The table of one method."""
    began = time.process_time()
    fit = METHODS[name](problem())
    spent = time.process_time() - began
    told = fit.provenance["sampler"] if name == "NUTS" else None
    table = fit.summary[["name", "mean", "sd"]].assign(method=name, cpu_seconds=round(spent, 1))
    if told is not None:
        return table.assign(pareto_k=float("nan"), effective=fit.summary["ess_bulk"].min())
    weighed = fit.approximation
    return table.assign(pareto_k=weighed["pareto_k"], effective=weighed["ess"])


def main() -> None:
    table = pd.concat([lines(name) for name in METHODS], ignore_index=True)
    nuts = table[table["method"] == "NUTS"].set_index("name")
    own = nuts.loc[table["name"]].reset_index()
    table["mean_off"], table["sd_ratio"] = (table["mean"] - own["mean"]) / own["sd"], table["sd"] / own["sd"]
    columns = ["method", "name", "mean", "sd", "mean_off", "sd_ratio", "pareto_k", "effective", "cpu_seconds"]
    table[columns].round(4).to_csv(HERE / "approximations.csv", index=False)
    print(table[columns].to_string(index=False))


if __name__ == "__main__":
    main()
