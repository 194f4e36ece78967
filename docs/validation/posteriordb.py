"""Lotka and Volterra's hares and lynxes: our posterior beside the reference draws of posteriordb (same data, model and priors).

    PKPD_DATA=FOLDER python docs/validation/posteriordb.py        # writes lotka_volterra.csv

    du/dt = theta1 u - theta2 u v,   dv/dt = -theta3 v + theta4 u v;   y_k ~ lognormal(ln state_k, sigma_k), the first year as well

Priors: theta1, theta3 half-normal around 1 (sd 0.5), theta2, theta4 around 0.05 (sd 0.05), both above 0; sigma lognormal(-1, 1), the start lognormal(ln 10, 1).
Data: Hewitt 1921 (Hudson's Bay, 1900 to 1920), by Howard 2009; reference: stan-dev/posteriordb, hudson_lynx_hare-lotka_volterra. A year is told as an hour:
time has no calendar here.
"""

import os
from pathlib import Path

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
    Solver,
    State,
    compose,
    gain,
    lognormal,
    lognormal_error,
    loss,
    read_cohort,
    sample,
    total,
)

TABLE = Path(__file__).parent / "lotka_volterra.csv"
SOURCE = "published: stan-dev/posteriordb, hudson_lynx_hare"
KNOWN = ["theta[1]", "theta[2]", "theta[3]", "theta[4]", "z_init[1]", "z_init[2]", "sigma[1]", "sigma[2]"]
OURS = ["th1", "th2", "th3", "th4", "u0", "v0", "sigma_hare", "sigma_lynx"]

animals = Component(
    "animals",
    states=(State("u", "1", "thousands of hares", initial="u0"), State("v", "1", "thousands of lynxes", initial="v0")),
    params=(
        Param("th1", 0.5, "1/h", "growth of hares", source=SOURCE),
        Param("th2", 0.03, "1/h", "hares eaten", source=SOURCE),
        Param("th3", 0.8, "1/h", "loss of lynxes", source=SOURCE),
        Param("th4", 0.03, "1/h", "growth of lynxes", source=SOURCE),
        Param("u0", 30.0, "1", "hares at the start", source=SOURCE),
        Param("v0", 4.0, "1", "lynxes at the start", source=SOURCE),
    ),
    rates=lambda t, y, p, s: total(
        gain("u", p.th1 * y.u), loss("u", p.th2 * y.u * y.v), loss("v", p.th3 * y.v), gain("v", p.th4 * y.u * y.v)
    ),
)

model = compose(
    "hares_and_lynxes",
    animals,
    observables=[
        Observable("hare", "1", lambda y, p, s: y.u, "thousands of pelts of hares"),
        Observable("lynx", "1", lambda y, p, s: y.v, "thousands of pelts of lynxes"),
    ],
    text=__doc__,
)


def above_0(middle: float, sd: float) -> dist.Distribution:
    return dist.TruncatedNormal(middle, sd, low=0.0)


def problem(folder: Path) -> FitProblem:
    counts = pd.read_csv(folder / "lotka_volterra_data.csv")
    rows = counts.melt("t_years", ["hare_thousands", "lynx_thousands"], "DVID", "DV").rename(columns={"t_years": "TIME"})
    rows = rows.assign(ID=1, EVID=0, DVID=rows["DVID"].str.removesuffix("_thousands")).sort_values("TIME", kind="stable")
    cohort = read_cohort(rows, model, units={"TIME": "h", "DV": {"hare": "1", "lynx": "1"}}, name="lotka_volterra_data.csv")
    growth, eaten, start = above_0(1.0, 0.5), above_0(0.05, 0.05), dist.LogNormal(np.log(10.0), 1.0)
    population = Population(
        th1=lognormal(growth), th2=lognormal(eaten), th3=lognormal(growth), th4=lognormal(eaten), u0=lognormal(start), v0=lognormal(start)
    )
    noise = {name: lognormal_error(dist.LogNormal(-1.0, 1.0)) for name in ("hare", "lynx")}
    sampler = Sampler(chains=4, warmup=1000, draws=2500)
    return FitProblem(model, cohort, population, noise, name="lotka_volterra", sampler=sampler, solver=Solver(rtol=1e-8, atol=1e-10))


def compared(fit, reference: pd.DataFrame) -> pd.DataFrame:
    """Ours and theirs: means, sds, and the difference of means in sds and in Monte Carlo errors of both."""
    ours, theirs = fit.summary.set_index("name").loc[OURS].reset_index(), reference.set_index("parameter").loc[KNOWN].reset_index()
    error = np.hypot(ours["sd"] / np.sqrt(ours["ess_bulk"]), theirs["mcse_mean"])
    away = ours["mean"] - theirs["mean"]
    return pd.DataFrame(
        {
            "quantity": KNOWN,
            "mean": ours["mean"],
            "reference mean": theirs["mean"],
            "sd": ours["sd"],
            "reference sd": theirs["sd"],
            "off, sds": away / theirs["sd"],
            "off, Monte Carlo errors": away / error,
            "effective draws": np.minimum(ours["ess_bulk"], ours["ess_tail"]).round(),
        }
    )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    folder = Path(os.environ["PKPD_DATA"]) / "posteriordb"
    found = sample(problem(folder), seed=1)
    print(found.verdict.headline)
    table = compared(found, pd.read_csv(folder / "lotka_volterra_reference.csv"))
    table.to_csv(TABLE, index=False, float_format="%.5g", lineterminator="\n")
    print(table.round(4).to_string())
