"""The SIMULATED CT-0508-like study with everything a trial looks at, individual rows and the summary form. No measured CT-0508 value is in it or behind
it.

    python data/carm_phase1_simulated/panel.py      writes panel_records.csv, panel_summary.csv and panel_truth.json beside this file

Design as in generate.py (14 patients, two regimens). Beside blood copies and IL-6: TNF, IL-8, IL-10 with two assay batches; blood on days 14 and 28
as detected or not; biopsies before, at 168 and at 648 h; tumour size at 0, 8 and 16 weeks with its RECIST class; the grade of CRS. Population values
are drawn once from the priors with the committed seed. Rule for redraws: again only if no blood sample of any patient is detected (above the LOD), for
no other reason; panel_truth.json says which draw it is. What generate.py writes stays as it is.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import simulate
from pkpd.models.carm import carm_study, priors
from pkpd.models.carm.crs import of_each_grade

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from generate import BLOOD_AFTER, BLOOD_LATE, FRACTIONS, HER2, IL6_AFTER, IL6_LATE, INFUSION_H, PRE_DOSE_H, REGIMEN_CODE  # noqa: E402

SEED = 5080
PANEL = ("il6", "tnf", "il8", "il10")
LOD, LLOQ = 10.0, {"car_dna": 50.0, "il6": 1.0, "tnf": 1.0, "il8": 2.0, "il10": 1.0}
ULOQ = {"il6": (250.0, 2500.0), "il8": (250.0, 2500.0), "tnf": (2500.0, 2500.0), "il10": (2500.0, 2500.0)}  # first and second assay batch
SIGMA = {"car_dna": 0.56, "il6": 0.4, "tnf": 0.4, "il8": 0.4, "il10": 0.4, "biopsy_car": 0.9, "sld": 0.07}
DETECT, BIOPSIES, SCANS, GRADED = (312.0, 648.0), (PRE_DOSE_H, 168.0, 648.0), (PRE_DOSE_H, 1344.0, 2688.0), 168.0
PRIORS = priors.PRIORS | priors.OUTCOMES | priors.CYTOKINES
PLACES = [*PRIORS]
PLACES.insert(PLACES.index("kg"), "V0")  # fixed; its place among the random keys stays, so that no other value depends on it
BETWEEN = {"k_BH": 0.4, "S": 0.7, "k_BT": 0.8, "V0": priors.V0_BETWEEN}
TYPICAL_V0 = carm_study.typical["V0"]  # fixed: V0 varies between patients alone
SLOPES = 0.8  # sd of one effect shared by the gains of all cytokines
LOADINGS = dict.fromkeys(PANEL, 1.0)  # ln gain_c of a patient = ln gain_c + loading_c x shared effect (assumption: the same for all)
OUTSIDE = ("p_new", "crs_il6", "crs_gap2", "crs_gap3", "crs_slope")  # parameters of what is read off the model
AREA_H = 20.0  # a grade goes with the area of IL-6 above baseline: crs_il6 over so many hours (assumption)


def study(seed: int) -> tuple[pd.DataFrame, dict[str, float], int]:
    """Records of one simulated study, the population values behind them, and how often they were drawn."""
    key = jax.random.PRNGKey(seed)
    for attempt in range(100):
        keys = jax.random.split(jax.random.fold_in(key, attempt), len(PLACES))
        truth = {n: float(PRIORS[n].sample(k)) if n in PRIORS else TYPICAL_V0 for k, n in zip(keys, PLACES, strict=True)}
        records = reported(np.random.default_rng([seed, attempt]), truth)
        if detected(records).any():
            return records, truth, attempt + 1
    raise RuntimeError("blood was never detectable in 100 draws from the priors")


def detected(records: pd.DataFrame) -> pd.Series:
    """Blood above the LOD, quantified or not, or a yes on a detection-only day."""
    copies = (records["DVID"] == "car_dna") & ((records["CENS"] == 0) | (records["LIMIT"] != "."))
    return copies | ((records["DVID"] == "detect") & (pd.to_numeric(records["DV"], errors="coerce") == 1))


def individual(rng, truth: dict[str, float], n: int) -> dict[str, np.ndarray]:
    spread = {name: np.exp(sd * rng.normal(size=n)) for name, sd in BETWEEN.items()}
    shared = SLOPES * rng.normal(size=n)
    spread |= {f"gain_{c}": np.exp(loading * shared) for c, loading in LOADINGS.items()}
    theta = {name: value * spread.get(name, np.ones(n)) for name, value in truth.items() if name not in OUTSIDE}
    return theta | {name: times * theta[other] for name, (other, times) in priors.TIED.items()}


def patient(rng, number: int, regimen: str, her2: int) -> list[dict]:
    same = {
        "ID": number,
        "HER2": her2,
        "REGIMEN": REGIMEN_CODE[regimen],
        "VIAB": round(rng.beta(18, 2), 3),
        "CAR_FRAC": round(rng.beta(12, 4), 3),
    }
    doses = FRACTIONS[regimen]
    rows = [{"TIME_H": t, "EVID": 1, "AMT_E9": a, "RATE": a / INFUSION_H, "CMT": "infusion", "DVID": "", "order": 1} for t, a in doses]
    starts = {t for t, _ in doses}
    blood = {PRE_DOSE_H, *(t + x for t in starts for x in BLOOD_AFTER), *BLOOD_LATE[regimen]} - starts - set(DETECT)
    serum = {PRE_DOSE_H, *(t + x for t in starts for x in IL6_AFTER), *IL6_LATE[regimen]} - starts
    looks = [("car_dna", blood), *((c, serum) for c in PANEL), ("detect", DETECT), ("biopsy_car", BIOPSIES), ("sld", SCANS)]
    looks += [("recist", SCANS[1:]), ("crs", (GRADED,))]
    rows += [
        {"TIME_H": t, "EVID": 0, "AMT_E9": 0.0, "RATE": 0.0, "CMT": "", "DVID": name, "order": 2}
        for name, times in looks
        for t in sorted(times)
    ]
    rows.sort(key=lambda r: (r["TIME_H"], r["order"]))
    return [{**same, **{k: v for k, v in r.items() if k != "order"}} for r in rows]


def reported(rng, truth: dict[str, float]) -> pd.DataFrame:
    patients = [(regimen, her2) for regimen, scores in HER2.items() for her2 in scores]
    table = pd.DataFrame([row for i, (regimen, her2) in enumerate(patients) for row in patient(rng, i + 1, regimen, her2)])
    plain = table.assign(DVID=np.where(table["EVID"] == 0, "car_dna", ""))  # every observable is predicted at every row, whatever its name
    f = simulate(carm_study, plain, individual(rng, truth, len(patients)), units={"TIME": "h", "AMT": "1e9 cells"}).reset_index(drop=True)
    last = table[table["DVID"] == "biopsy_car"]["TIME_H"] == 168.0
    lod = 0.01 * float(f["biopsy_car"][last.index[last]].median())  # of the 168 h signal: so that some biopsies are censored
    rows = [row for kind in table["DVID"].unique() for row in _measured(rng, kind, table[table["DVID"] == kind], f, truth, lod)]
    named = pd.DataFrame(rows).set_index("row").sort_index()
    scans = table["DVID"] == "recist"
    named.loc[scans, "DV"] = [f"{c:g}" for c in _classes(rng, table.assign(DV=named["DV"]), truth["p_new"])]
    return table.join(named, how="inner").assign(MDV=lambda t: (t["EVID"] != 0).astype(int), LABEL="simulated")


def _row(i, dv, cens=0, limit=".", lloq=".", uloq=".") -> dict:
    shown = lambda x: x if isinstance(x, str) else f"{x:.5g}"  # noqa: E731
    return {"row": i, "DV": shown(dv), "CENS": cens, "LIMIT": shown(limit), "LLOQ": shown(lloq), "ULOQ": shown(uloq)}


def _measured(rng, kind: str, rows: pd.DataFrame, f: pd.DataFrame, truth: dict, lod: float) -> list[dict]:
    """What the laboratory or the reader reports of the rows of one kind."""
    noisy = lambda name: np.maximum(f.loc[rows.index, name], 1e-12) * np.exp(SIGMA[name] * rng.normal(size=len(rows)))  # noqa: E731
    if kind == "":
        return [_row(i, ".") for i in rows.index]
    if kind == "car_dna":
        return [_copies(i, y) for i, y in noisy("car_dna").items()]
    if kind == "detect":
        return [_row(i, float(y > LOD), lloq=LOD) for i, y in noisy("car_dna").items()]
    if kind == "biopsy_car":
        return [_row(i, max(y, lod), int(y < lod), lloq=lod) for i, y in noisy(kind).items()]
    if kind == "sld":
        return [_row(i, max(y, 5.0), int(y < 5.0), lloq=5.0) for i, y in noisy(kind).items()]
    if kind == "recist":
        return [_row(i, ".") for i in rows.index]  # from the sizes, once they are measured
    if kind == "crs":
        area = np.log(f.loc[rows.index, "il6_auc"].to_numpy() / AREA_H)
        p = np.asarray(of_each_grade(area, truth["crs_slope"], np.log(truth["crs_il6"]), truth["crs_gap2"], truth["crs_gap3"]))
        return [_row(i, float(rng.choice(len(q), p=q / q.sum()))) for i, q in zip(rows.index, p.T, strict=True)]
    high = [ULOQ[kind][(n + 1) % 2] for n in rows["ID"]]
    return [_cytokine(i, y, LLOQ[kind], u) for (i, y), u in zip(noisy(kind).items(), high, strict=True)]


def _copies(i, y: float) -> dict:
    """Below the LOD left-censored there; between LOD and LLOQ detected but not quantified: an interval."""
    if y < LOD:
        return _row(i, LOD, 1, lloq=LOD)
    return _row(i, max(y, LLOQ["car_dna"]), int(y < LLOQ["car_dna"]), limit=LOD if y < LLOQ["car_dna"] else ".", lloq=LLOQ["car_dna"])


def _cytokine(i, y: float, low: float, high: float) -> dict:
    return _row(i, min(max(y, low), high), int(y < low) - int(y > high), lloq=low, uloq=high)


def _classes(rng, table: pd.DataFrame, p_new: float) -> list[int]:
    """1 response, 2 stable, 3 progression, from the size measured at the same visit against that before treatment; new lesions with p_new in each row."""
    size = table[table["DVID"] == "sld"].assign(DV=lambda t: t["DV"].astype(float)).set_index(["ID", "TIME_H"])["DV"]
    found = []
    for number, time in table[table["DVID"] == "recist"][["ID", "TIME_H"]].itertuples(index=False):
        ratio = size[number, time] / size[number, PRE_DOSE_H]
        found.append(3 if rng.uniform() < p_new or ratio >= 1.2 else 1 if ratio <= 0.7 else 2)
    return found


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """What a paper would report: patients positive at each visit, last positive and first negative, stable disease by HER2, severe CRS."""
    rows = []
    add = lambda arm, time, what, stat, value, n: rows.append(("simulated", arm, time, what, stat, value, n, "SIM", "panel_records.csv"))  # noqa: E731
    value = pd.to_numeric(records["DV"], errors="coerce")
    blood = records[records["DVID"].isin(["car_dna", "detect"])]
    below = (blood["CENS"] == 1) & (blood["LIMIT"] == ".")
    yes = np.where(blood["DVID"] == "detect", value[blood.index] == 1, ~below)
    blood = blood.assign(yes=yes)
    for (arm, time), group in blood.groupby(["REGIMEN", "TIME_H"]):
        add(f"regimen {arm}", time, "car_dna positive", "count", int(group["yes"].sum()), len(group))
    for number, group in blood[blood["TIME_H"] > 0].sort_values("TIME_H").groupby("ID"):
        positive = group[group["yes"]]["TIME_H"]
        last = positive.max() if len(positive) else 0.0
        after = group[group["TIME_H"] > last]["TIME_H"]
        add(f"patient {number}", ".", "car_dna", "last_pos", last, 1)
        add(f"patient {number}", ".", "car_dna", "first_neg", after.min() if len(after) else ".", 1)
    for her2, group in records[(records["DVID"] == "recist") & (records["TIME_H"] == SCANS[1])].groupby("HER2"):
        add(f"HER2 {her2}+", SCANS[1], "stable disease", "count", int((value[group.index] == 2).sum()), len(group))
    graded = records[records["DVID"] == "crs"]
    add("all", ".", "CRS grade 3 or more", "count", int((value[graded.index] >= 3).sum()), len(graded))
    return pd.DataFrame(rows, columns=["STUDY", "ARM", "TIME_H", "QUANTITY", "STAT", "VALUE", "N", "TAG", "SOURCE"])


def main() -> None:
    records, truth, draws = study(SEED)
    records.to_csv(HERE / "panel_records.csv", index=False)
    summary(records).to_csv(HERE / "panel_summary.csv", index=False)
    spread = {f"omega_{n}": sd for n, sd in BETWEEN.items()} | {"omega_gains": SLOPES} | {f"sigma_{n}": sd for n, sd in SIGMA.items()}
    note = "SIMULATED study: population values drawn from the priors with this seed; not CT-0508 data"
    spread |= {f"loading_gain_{c}": x for c, x in LOADINGS.items()}
    text = json.dumps({"label": note, "seed": SEED, "draw": draws, "values": truth | spread}, indent=2)
    (HERE / "panel_truth.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
