"""Real human cytokines: TNF, IL-6, IL-8 and IL-10 of 20 volunteers after 2 ng/kg endotoxin, a hierarchical turnover model.

Data: `lps_bolus_individual.csv` of msolufse/Inflammation_Bolus_Cont (2024, MIT; Windoloski et al. 2024, Exp Physiol, doi 10.1113/EP091552). The file is
not shipped: put it into a folder and name that folder in the environment variable PKPD_DATA.
"""

import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, Solver, data_file, lognormal, lognormal_error, read_cohort, run
from pkpd.models.carm import endotoxin_cytokines
from pkpd.models.carm.priors import around, around_above

FILE = "lps_bolus_individual.csv"
NAMES = {"TNF": "tnf", "IL-6": "il6", "IL-8": "il8", "IL-10": "il10"}
PANEL = tuple(NAMES.values())
BASE = {"tnf": 6.3, "il6": 0.71, "il8": 2.8, "il10": 4.2}
KOUT = {"tnf": 1.4, "il8": 0.69, "il10": 0.8}
GAIN = {"tnf": 250.0, "il6": 800.0, "il8": 750.0, "il10": 35.0}
ORDER = "assumption: order of magnitude"


def records(table: pd.DataFrame) -> pd.DataFrame:
    """NONMEM-style rows: the pre-dose sample, then the dose, then the rest."""
    looks = table.rename(columns={"id": "ID", "time_h": "TIME", "value": "DV"}).assign(
        EVID=0, AMT=0.0, CMT="", DVID=table["analyte"].map(NAMES)
    )
    dose = table.drop_duplicates("id")[["id", "lps_ng_per_kg"]].set_axis(["ID", "AMT"], axis=1)
    dose = dose.assign(TIME=0.0, EVID=1, CMT="endotoxin", DVID="", DV=float("nan"), MDV=1)
    rows = pd.concat([looks.assign(MDV=0), dose]).sort_values(["ID", "TIME", "EVID"], kind="stable")
    return rows[["ID", "TIME", "EVID", "AMT", "CMT", "DVID", "DV", "MDV"]].reset_index(drop=True)


def population() -> Population:
    spread, timing = dist.HalfNormal(0.5), dist.HalfNormal(0.3)
    base = {c: lognormal(around(BASE[c], 1.0), between=spread if c == "il6" else None, source="observed pre-dose median") for c in PANEL}
    kout = {
        f"kout_{c}": lognormal(around(KOUT[c], 0.7), between=timing, source="macrophage endotoxin model (Windoloski 2024)") for c in KOUT
    }
    kout["kout_il6"] = lognormal(
        around_above(2.1, 0.5, 1.0),
        between=timing,
        source="20 min half-life (Hosseini 2020), cut at the bound of the late decline",
    )
    gain = {f"gain_{c}": lognormal(around(GAIN[c], 1.0), between=spread, source=ORDER) for c in PANEL}
    chain = {
        "k_A": lognormal(around(9.5, 0.5), between=timing, source=ORDER),
        "tail": lognormal(around(0.05, 1.0), source=ORDER),
        "early_il10": lognormal(around(0.2, 1.0), source=ORDER),
    }
    return Population(**chain, **{f"base_{c}": b for c, b in base.items()}, **kout, **gain)


def problem_of(rows: pd.DataFrame, name: str = "endotoxin_cytokines", draws: int = 1500) -> FitProblem:
    """The fit of NONMEM-style rows of some of the volunteers."""
    units = {"TIME": "h", "AMT": "ng/kg", "DV": dict.fromkeys(PANEL, "pg/mL")}
    return FitProblem(
        endotoxin_cytokines,
        read_cohort(rows, model=endotoxin_cytokines, units=units, name=FILE),
        population(),
        noise={c: lognormal_error(dist.HalfNormal(0.5)) for c in PANEL},
        name=name,
        title="Endotoxin in 20 volunteers: TNF, IL-6, IL-8, IL-10 (real data)",
        assumptions=(
            "Release is in proportion to the dose, by stages 12, 18 and 21 of 21; TNF, IL-8 and IL-10 by activation that lasts, too (assumed).",
        ),
        sampler=Sampler(chains=4, draws=draws, warmup=min(draws, 1000), target_accept=0.9),
        solver=Solver(method="native_tsit5", rtol=1e-5, atol=1e-7),  # a chain of 21 stages: a third of the time of what "auto" takes
    )


def problem(quick: bool) -> FitProblem:
    return problem_of(records(pd.read_csv(data_file(FILE))), draws=400 if quick else 1500)


if __name__ == "__main__":
    run(problem)
