"""SIMULATED CAR-T kinetics: 24 patients, one infusion, transgene copies to one year. No measured value is in it or behind it.

    python data/cart_stein_simulated/generate.py            writes records.csv and truth.json beside this file

Typical values are drawn once from the priors of fits/cart_stein.py with the committed seed, never set to their medians and never drawn again; each
patient's parameters vary around them. The omegas and sigma are set: the spreads transcribed from Stein 2019, which are the centres of their priors in the fit.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import simulate
from pkpd.models.cart import cart_stein

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "fits"))
from cart_stein import BETWEEN, PRIORS, SIGMA, UNIT  # noqa: E402

SEED, PATIENTS, LLOQ = 22, 24, 10.0
DAYS = (1, 3, 5, 7, 9, 11, 14, 17, 21, 28, 42, 60, 90, 180, 270, 365)


def truth() -> dict[str, float]:
    keys = jax.random.split(jax.random.PRNGKey(SEED), len(PRIORS))
    return {n: float(p.sample(k)) for k, (n, p) in zip(keys, PRIORS.items(), strict=True)}


def individual(rng, values: dict[str, float]) -> dict[str, np.ndarray]:
    """Lognormal around the population value; logit-normal where the parameter is a fraction."""
    eta = {n: sd * rng.normal(size=PATIENTS) for n, sd in BETWEEN.items()}
    spread = {n: v * np.exp(eta.get(n, np.zeros(PATIENTS))) for n, v in values.items()}
    odds = values[UNIT] / (1 - values[UNIT]) * np.exp(eta[UNIT])
    return spread | {UNIT: odds / (1 + odds)}


def main() -> None:
    rng, values = np.random.default_rng(SEED), truth()
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 1.0, "CMT": "infusion", "MDV": 1}
    looks = [{"TIME": 24.0 * d, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for d in DAYS]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(PATIENTS) for row in (dose, *looks)])
    f = simulate(cart_stein, table, individual(rng, values), units={"TIME": "h", "AMT": "1"})["car_dna"].to_numpy()
    y = f * np.exp(SIGMA * rng.normal(size=len(f)))
    seen = (table["EVID"] == 0).to_numpy()
    low = (y < LLOQ) & seen
    shown = [f"{v:.5g}" if ok else "." for v, ok in zip(np.where(low, LLOQ, y), seen, strict=True)]
    table = table.assign(
        DVID=np.where(seen, "car_dna", ""), DV=shown, CENS=low.astype(int), LLOQ=np.where(seen, f"{LLOQ:g}", "."), LABEL="simulated"
    )
    table.to_csv(HERE / "records.csv", index=False)
    spread = {f"omega_{n}": sd for n, sd in BETWEEN.items()} | {"sigma_car_dna": SIGMA}
    note = "SIMULATED study: population values drawn from the priors with this seed; not patient data"
    (HERE / "truth.json").write_text(
        json.dumps({"label": note, "seed": SEED, "values": values | spread}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
