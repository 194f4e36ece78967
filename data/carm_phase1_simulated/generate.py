"""The SIMULATED CT-0508-like study: 14 patients, two regimens, blood vector copies and IL-6. No measured CT-0508 value is in it or behind it.

    python data/carm_phase1_simulated/generate.py            writes records.csv and truth.json beside this file

Population values are drawn once from the priors (models/carm/priors.py: assumptions) with the committed seed, never set to their medians: a fit that
learns nothing would otherwise look right. They are drawn again only if no patient is ever detectable in blood. `study(seed)` makes other studies of
the same design, for coverage.
"""

import json
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import simulate
from pkpd.models.carm import carm_blood_il6, priors

SEED = 508
HERE = Path(__file__).resolve().parent
FRACTIONS = {"D1/3/5": ((0.0, 0.5), (48.0, 1.5), (96.0, 3.0)), "D1": ((0.0, 5.0),)}  # hours, 1e9 infused cells (assumed)
REGIMEN_CODE = {"D1/3/5": 135, "D1": 1}
HER2 = {"D1/3/5": (3, 3, 3, 3, 3, 3, 2, 2, 2), "D1": (3, 3, 3, 2, 2)}  # marginals 9 and 5 published, joint assumed
BLOOD_AFTER, IL6_AFTER = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0), (1.0, 2.0, 4.0, 8.0, 24.0)  # hours after each infusion begins
BLOOD_LATE = {"D1/3/5": (168.0, 312.0, 648.0), "D1": (48.0, 72.0, 96.0, 168.0, 312.0, 648.0)}
IL6_LATE = {"D1/3/5": (168.0,), "D1": (48.0, 72.0, 168.0)}
INFUSION_H, PRE_DOSE_H = 0.5, -1.0
LLOQ = {"car_dna": 50.0, "il6": 1.0}
ULOQ_BATCH = (250.0, 2500.0)  # IL-6: first and second assay batch
SIGMA = {"car_dna": 0.56, "il6": 0.4}


def study(seed: int, her2: dict = HER2) -> tuple[pd.DataFrame, dict[str, float]]:
    """Records of one simulated study and the population values behind them; `her2` is the score of each patient on each regimen."""
    key = jax.random.PRNGKey(seed)
    for attempt in range(100):
        truth = _truth(jax.random.fold_in(key, attempt))
        records = _records(np.random.default_rng([seed, attempt]), truth, her2)
        measured = records[records["DVID"] == "car_dna"]
        if (measured["CENS"] == 0).any():
            return records, truth
    raise RuntimeError("blood was never detectable in 100 draws from the priors")


def _truth(key) -> dict[str, float]:
    keys = jax.random.split(key, len(priors.PRIORS))
    return {n: float(p.sample(k)) for k, (n, p) in zip(keys, priors.PRIORS.items(), strict=True)}


def _records(rng, truth: dict[str, float], her2: dict) -> pd.DataFrame:
    patients = [(regimen, score) for regimen, scores in her2.items() for score in scores]
    rows = [row for i, (regimen, score) in enumerate(patients) for row in _patient(rng, i + 1, regimen, score)]
    table = pd.DataFrame(rows)
    looks = table["EVID"] == 0
    predicted = simulate(carm_blood_il6, table, _individual(rng, truth, len(patients)), units={"TIME": "h", "AMT": "1e9 cells"})
    f = np.where(table["DVID"] == "car_dna", predicted["car_dna"], predicted["il6"])
    sd = table["DVID"].map(SIGMA).fillna(0.0).to_numpy()
    y = np.where(looks, np.maximum(f, 1e-12) * np.exp(sd * rng.normal(size=len(f))), np.nan)
    return _reported(table, y)


def _individual(rng, truth: dict[str, float], n: int) -> dict[str, np.ndarray]:
    spread = {name: np.exp(sd * rng.normal(size=n)) for name, sd in priors.BETWEEN.items()}
    theta = {name: value * spread.get(name, np.ones(n)) for name, value in truth.items()}
    return theta | {name: times * theta[other] for name, (other, times) in priors.TIED.items() if other in theta}


def _patient(rng, number: int, regimen: str, her2: int) -> list[dict]:
    same = {
        "ID": number,
        "HER2": her2,
        "REGIMEN": REGIMEN_CODE[regimen],
        "VIAB": round(rng.beta(18, 2), 3),
        "CAR_FRAC": round(rng.beta(12, 4), 3),
    }
    doses = FRACTIONS[regimen]
    rows = [{"TIME_H": t, "EVID": 1, "AMT_E9": a, "RATE": a / INFUSION_H, "CMT": "infusion", "DVID": "", "order": 1} for t, a in doses]
    for name, after, late in (("car_dna", BLOOD_AFTER, BLOOD_LATE), ("il6", IL6_AFTER, IL6_LATE)):
        times = {PRE_DOSE_H, *(t + x for t, _ in doses for x in after), *late[regimen]} - {t for t, _ in doses}
        rows += [{"TIME_H": t, "EVID": 0, "AMT_E9": 0.0, "RATE": 0.0, "CMT": "", "DVID": name, "order": 2} for t in sorted(times)]
    rows.sort(key=lambda r: (r["TIME_H"], r["order"], r["DVID"]))
    return [{**same, **{k: v for k, v in r.items() if k != "order"}} for r in rows]


def _reported(table: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
    """What the laboratory reports: below the LLOQ the LLOQ with CENS 1, above the ULOQ the ULOQ with CENS -1."""
    lloq = table["DVID"].map(LLOQ).to_numpy(float)
    batch = np.where(table["ID"] % 2 == 1, *ULOQ_BATCH)
    uloq = np.where(table["DVID"] == "il6", batch, np.inf)
    low, high = y < lloq, y > uloq
    dv = np.where(low, lloq, np.where(high, uloq, y))
    shown = [f"{v:.5g}" if np.isfinite(v) else "." for v in dv]
    return table.assign(
        DV=shown, CENS=low.astype(int) - high.astype(int), MDV=(table["EVID"] != 0).astype(int),
        LLOQ=_limits(lloq), ULOQ=_limits(np.where(table["EVID"] == 0, uloq, np.nan)), LABEL="simulated",
    )  # fmt: skip


def _limits(values: np.ndarray) -> list[str]:
    return [f"{v:g}" if np.isfinite(v) else "." for v in values]


def main() -> None:
    records, truth = study(SEED)
    records.to_csv(HERE / "records.csv", index=False)
    spread = {f"omega_{n}": sd for n, sd in priors.BETWEEN.items()} | {f"sigma_{n}": sd for n, sd in SIGMA.items()}
    note = "SIMULATED study: population values drawn from the priors with this seed; not CT-0508 data"
    (HERE / "truth.json").write_text(json.dumps({"label": note, "seed": SEED, "values": truth | spread}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
