"""The flagship's table of truths, intervals and posterior/prior sd ratios from a finished fit: `python docs/validation/flagship_table.py DIR`.

Writes flagship_carm.csv beside this file from a run of `pkpd fit fits/carm_blood_il6.py --seed 1 --out DIR`.
"""

import json
import sys
from pathlib import Path

from pkpd import load_fit
from pkpd.diagnostics.contraction import contraction_table

HERE = Path(__file__).resolve().parent


def main(folder: str) -> None:
    fit = load_fit(folder)
    truth = json.loads(fit.tree.attrs["report"])["truth"]
    table = fit.summary.assign(truth=fit.summary["name"].map(truth))
    table["inside_90"] = (table["truth"] >= table["q5"]) & (table["truth"] <= table["q95"])
    ratio = contraction_table(fit).set_index("name")["ratio"]
    table["posterior_prior_sd"] = table["name"].map(ratio)
    columns = ["name", "truth", "q5", "q50", "q95", "inside_90", "posterior_prior_sd", "ess_bulk", "ess_tail", "rhat"]
    table[columns].round(5).to_csv(HERE / "flagship_carm.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
