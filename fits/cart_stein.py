"""CAR-T cells in blood, from SIMULATED data: expansion until Tmax and two-phase contraction of 24 patients, recovered.

The data are simulated by data/cart_stein_simulated/generate.py; typical values are Stein et al. 2019's as transcribed by a third party, and whether
the published spread is the SD or the variance of the logarithms is not settled: it is taken as the SD. The expansion is seen only by what is sampled
before the peak. Typical values of the simulation were drawn from their priors; the omegas and sigma were set, at the centre of theirs, so their recovery
tests less.
"""

import json
import math
from pathlib import Path

import numpyro.distributions as dist

from pkpd import FitProblem, Population, Sampler, logit_normal, lognormal, lognormal_error, read_cohort, run
from pkpd.models.carm.priors import around, within
from pkpd.models.cart import cart_stein

DATA = Path(__file__).resolve().parents[1] / "data" / "cart_stein_simulated"
DAY, UNIT = 24.0, "FB"
PRIORS = {
    "foldx": around(3900.0, 1.0),
    "Tmax": around(9.3 * DAY, 0.3),
    "Cmax": around(24000.0, 0.7),
    "alpha": around(0.16 / DAY, 0.5),
    UNIT: within(0.002, 0.03),
    "beta": around(0.0032 / DAY, 0.7),
}
BETWEEN = {"foldx": 2.4, "Tmax": 0.38, "Cmax": 0.65, "alpha": 0.91, UNIT: 0.80}
SIGMA = 0.56

ASSUMPTIONS = (
    "Data are simulated; no patient's value exists in or behind them.",
    "Typical values and spreads behind the priors are transcribed by a third party from Stein 2019; the spread is taken as the SD of the logarithm.",
    "Widths of the priors of typical values are assumptions, as are the priors of the omegas (half-normal, median 1.01 times the transcribed spread) and of "
    "sigma (half-normal, mean 0.56 as transcribed).",
    "The omegas and sigma of the simulation are the transcribed values themselves, the centres of their priors: not drawn.",
    "beta is one value for all patients, in the simulation and the fit: the late phase has few samples above the LLOQ (published spread: 0.86).",
    "The kinetics do not depend on the number of cells infused.",
)


def population() -> Population:
    kinds = {n: logit_normal if n == UNIT else lognormal for n in PRIORS}
    spread = {n: dist.HalfNormal(1.5 * BETWEEN[n]) if n in BETWEEN else None for n in PRIORS}
    return Population(**{n: kinds[n](p, between=spread[n]) for n, p in PRIORS.items()})


def problem(quick: bool) -> FitProblem:
    units = {"TIME": "h", "AMT": "1", "DV": {"car_dna": "copies/ug"}}
    draws = 500 if quick else 1000
    return FitProblem(
        cart_stein,
        read_cohort(DATA / "records.csv", model=cart_stein, units=units),
        population(),
        noise={"car_dna": lognormal_error(dist.HalfNormal(math.sqrt(math.pi / 2) * SIGMA))},
        name="cart_stein",
        title="CAR-T cells in blood (simulated)",
        simulated=True,
        truth=json.loads((DATA / "truth.json").read_text(encoding="utf-8"))["values"],
        assumptions=ASSUMPTIONS,
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.9),
    )


if __name__ == "__main__":
    run(problem)
