"""A table of truths, intervals and posterior/prior sd ratios from a finished fit to simulated data: `python docs/validation/truths.py DIR`.

Writes beside this file, from a run of `pkpd fit FITFILE --seed 1 --out DIR`, truths_carm_phase1.csv or truths_carm_blood_il6.csv, by the name of the fit.
"""

import json
import sys
from pathlib import Path

from pkpd import load_fit
from pkpd.diagnostics.contraction import contraction_table

HERE = Path(__file__).resolve().parent


def main(folder: str) -> None:
    fit = load_fit(folder)
    name = json.loads(fit.tree.attrs["provenance"])["name"]
    truth = json.loads(fit.tree.attrs["report"])["truth"]
    table = fit.summary.assign(truth=fit.summary["name"].map(truth))
    table["inside_90"] = (table["truth"] >= table["q5"]) & (table["truth"] <= table["q95"])
    ratio = contraction_table(fit).set_index("name")["ratio"]
    table["posterior_prior_sd"] = table["name"].map(ratio)
    columns = ["name", "truth", "q5", "q50", "q95", "inside_90", "posterior_prior_sd", "ess_bulk", "ess_tail", "rhat"]
    table[columns].round(5).to_csv(HERE / f"truths_{name}.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
