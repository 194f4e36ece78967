"""Three fractions against one dose, by the prior and by a fit of the SIMULATED flagship study: `python docs/validation/fractionated.py DIR`.

DIR holds a run of `pkpd fit fits/carm_phase1.py --seed 1 --out DIR`. What is asked stands in docs/examples/what_if_fractionated.py, and is asked of
both alike, and of the values that the study was simulated with. Writes fractionated_carm_phase1.csv beside this file: a row a source (prior, posterior,
truth) and measure, of the median patient with 90 % intervals over draws.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pkpd import Population, fixed, load_fit, tied
from pkpd.models.carm import carm_panel, priors

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))

import what_if_fractionated as asked  # noqa: E402

STUDY = HERE.parents[1] / "data" / "carm_phase1_simulated"
DRAWS, PATIENTS, MANY = 200, 40, 2000
ENDS = {"median": "", "low": "_low", "high": "_high"}


def line(table: pd.DataFrame) -> dict:
    """One measure: both arms, and the second against the first."""
    arms = table.set_index("arm")
    values = {f"{arm}{end}": arms.loc[arm, column] for arm in asked.ARMS for column, end in ENDS.items()}
    against = arms.loc["fractionated"]
    kept = {n: against[n] for n in ("by", "versus", "versus_low", "versus_high", "higher")}
    return {"measure": against["measure"], "unit": against["unit"], **values, **kept, "censored": against.get("censored")}


def compared(seen) -> pd.DataFrame:
    """A row a measure, and one of the share of patients above the peak that one would not want to pass (mean over draws)."""
    tables, reached = asked.answers(seen)
    passed = reached.rename(columns={"probability": "median"}).assign(
        measure=f"share above {asked.PEAK:g} pg/mL", unit="1", **dict.fromkeys(("by", "versus", "versus_low", "versus_high", "higher"))
    )
    return pd.DataFrame([line(t) for t in (*tables, passed)])


def nature(problem):
    """The problem with the values that the study was simulated with in the place of its priors; some are held at others in the fit."""
    told = json.loads((STUDY / "panel_truth.json").read_text(encoding="utf-8"))["values"]
    spread = {n.removeprefix("omega_"): x for n, x in told.items() if n.startswith("omega_")}
    spread["release"] = spread.pop("gains")
    values = {n: told[n] for n in carm_panel.param_names if n in told and n not in priors.TIED} | {"release": 1.0}
    held = {n: fixed(x, between=spread.get(n), source="the simulated study") for n, x in values.items()}
    return replace(problem, population=Population(**held, **{n: tied(*x) for n, x in priors.TIED.items()}))


def main(folder: str) -> None:
    problem = asked.problem(quick=True)
    sources = {"prior": problem, "posterior": load_fit(folder, problem)}
    made = {name: compared(asked.runs(x, draws=DRAWS, n_subjects=PATIENTS)) for name, x in sources.items()}
    made["truth"] = compared(asked.runs(nature(problem), draws=1, n_subjects=MANY))
    table = pd.concat([x.assign(source=name) for name, x in made.items()]).set_index("source").round(5)
    table.to_csv(HERE / "fractionated_carm_phase1.csv", float_format="%.5g")


if __name__ == "__main__":
    main(sys.argv[1])
