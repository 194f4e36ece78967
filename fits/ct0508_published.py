"""CT-0508, published facts alone. Kinetics: prior only.

Stable disease at 8 weeks in 4 of 9 patients with HER2 3+ and in 0 of 5 with 2+, no objective response, CRS of grade 3 or more in 0 of 14: these counts
condition a model of CAR-macrophages, cytokine, tumour and T cells whose priors come from the literature of other cells. No CT-0508 concentration exists in or
behind this file. It asks what the counts tell: first how surprising each is under the prior, then which of them moves which parameter, and how much
the probability of new lesions (`p_new`) alone explains.

    python fits/ct0508_published.py --quick        weighs 6000 draws of the prior: predictive.csv, moved.csv, share.csv and page.md in build/ct0508_published
    python fits/ct0508_published.py                the same, then NUTS over the population's 35 sites: fit.nc and summary.csv as well; most of an hour
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpyro.distributions as dist
import pandas as pd

from pkpd import (
    Classes,
    Population,
    Responders,
    Sampler,
    Solver,
    SummaryArm,
    SummaryInfluence,
    cells,
    day,
    fixed,
    infusion,
    logit_normal,
    lognormal,
    read_facts,
    sample_summaries,
    summary_influence,
    tied,
)
from pkpd.models.carm import carm_outcomes, priors

ROOT = Path(__file__).resolve().parents[1]
FACTS = ROOT / "data" / "ct0508" / "published.csv"
PRIORS = {n: p for n, p in (priors.PRIORS | priors.OUTCOMES).items() if n != "S"}  # nothing reported reads copies
SPREAD = {"k_BH": 0.5, "k_BT": 0.5, "gain_il6": 1.0, "kg": 0.5}  # half-normal scale of the between-patient sd
WEEKS_8 = 1344.0
SOLVER = Solver(rtol=1e-4, atol=1e-6)  # the fit's certificate weighs its draws by a tighter one
LOOKS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0, WEEKS_8)  # hours; IL-6 peaks within the first two days

ASSUMPTIONS = (
    "Dose: 5e9 cells once, viability 0.9, CAR+ fraction 0.75. What was given, to whom, is unknown; HER2 by regimen is unknown.",
    "Untreated and treated tumours grow exponentially; one lesion; tumour size measured with 7 %.",
    "Counts of one arm are taken as independent given the population values, though the same patients stand behind them.",
    "Fixed: k_BP/k_BH = 0.4, k_Ad = k_Td, k_Pd, no return from the liver, eta, sigma_sld.",
    "Whoever had neither stable disease nor a response counts as progressive (published for 2+; for 3+ assumed).",
    "Not used: 0 of 14 with ICANS or a dose-limiting toxicity, and the earlier interim (4 of 7), which are the same patients.",
)

CRS, RESPONSE = "CRS grade 3 or more", "response at 8 weeks"


def population() -> Population:
    def spec(name: str):
        kind = logit_normal if name in (*priors.UNIT_INTERVAL, "p_new") else lognormal
        return kind(PRIORS[name], between=dist.HalfNormal(SPREAD[name]) if name in SPREAD else None)

    size = fixed(carm_outcomes.typical["V0"], between=priors.V0_BETWEEN, source="assumption: 60 mm, log sd of SLD 0.5 between patients")
    return Population(
        V0=size, **{name: spec(name) for name in PRIORS}, **{name: tied(other, times) for name, (other, times) in priors.TIED.items()}
    )


def severe(theta, f):
    """At the peak of IL-6."""
    return jnp.max(f["p_crs3"], axis=0)


def responses(theta, f):
    """At the last look, 8 weeks."""
    return {"SD": f["p_sd"][-1], "PR": f["p_pr"][-1], "PD": f["p_pd"][-1]}


def arms() -> list:
    """The two HER2 groups with their counts. Published is 0 of 14 with severe CRS and 0 responses, hence none in either group."""
    facts = read_facts(FACTS)
    assert facts["crs_grade_ge3"].count == facts["objective_responses"].count == 0
    dose = infusion(cells(5e9, viability=0.9, car_fraction=0.75), over=(0.5, "h")).at(day(1))
    found = []
    for her2, fact in ((3.0, facts["sd_her2_3plus"]), (2.0, facts["sd_her2_2plus"])):
        n = fact.n or 0
        arm = SummaryArm(carm_outcomes, dose, LOOKS, n, {"HER2": her2}, name=f"HER2 {her2:g}+", patients="CT-0508")
        found.append(
            (arm, [Classes(responses, {"SD": fact.count, "PR": 0, "PD": n - fact.count}, RESPONSE), Responders(severe, 0, n, CRS)])
        )
    return found


GROUPS = {
    "response 3+": [f"HER2 3+: {RESPONSE} (n = 9)"],
    "response 2+": [f"HER2 2+: {RESPONSE} (n = 5)"],
    "CRS 0/14": [f"HER2 3+: {CRS} (n = 9)", f"HER2 2+: {CRS} (n = 5)"],
}
COUNTS = {
    "SD 4/9 (3+)": [f"{GROUPS['response 3+'][0]}: SD"],
    "SD 0/5 (2+)": [f"{GROUPS['response 2+'][0]}: SD"],
    "PR 0/14": [f"{GROUPS[g][0]}: PR" for g in ("response 3+", "response 2+")],
    "CRS 0/14": GROUPS["CRS 0/14"],
}


def influence(seed: int = 1, n: int = 6000) -> SummaryInfluence:
    return summary_influence(arms(), population(), {}, seed=seed, n=n, solver=SOLVER)


def predictive(told: SummaryInfluence) -> pd.DataFrame:
    """Before conditioning: each published count under the prior."""
    return pd.DataFrame([{"fact": name, **told.pooled(terms)} for name, terms in COUNTS.items()])


def shares(told: SummaryInfluence) -> pd.DataFrame:
    """First-order shares of the prior variance of the probability of stable disease, the largest five and p_new."""
    rows = []
    for group in ("SD 4/9 (3+)", "SD 0/5 (2+)"):
        shares = pd.Series({site: told.explained(COUNTS[group][0], site) for site in told.sites}).sort_values(ascending=False)
        kept = shares.iloc[:5] if "p_new" in shares.index[:5] else pd.concat([shares.iloc[:5], shares[["p_new"]]])
        rows += [{"fact": group, "parameter": site, "share": share} for site, share in kept.items()]
    return pd.DataFrame(rows)


def p_new_only(told: SummaryInfluence, seed: int = 1, n: int = 500) -> pd.DataFrame:
    """log prior probability of the facts, everything free against p_new alone (the rest at typical values, patients alike)."""
    law = Population(p_new=logit_normal(PRIORS["p_new"]))
    alone = summary_influence(arms(), law, {}, seed=seed, n=n, summary_draws=1, solver=SOLVER)
    rows = {name: (told.log_evidence(terms), alone.log_evidence(terms)) for name, terms in GROUPS.items()}
    return pd.DataFrame([{"fact": name, "all free": a, "p_new alone": b} for name, (a, b) in rows.items()])


def fit(seed: int = 1, **changes):
    """NUTS on the population's sites, the patients integrated out."""
    settings = replace(Sampler(chains=4, draws=1000, warmup=500, max_tree_depth=6), **changes)
    return sample_summaries(
        arms(), population(), {}, seed=seed, name="ct0508_published", sampler=settings, solver=SOLVER, summary_draws=64, progress=False
    )


def page(told: SummaryInfluence, evidence: pd.DataFrame, how: str) -> str:
    """A page that says first that kinetics are prior only."""
    moved = told.moved(GROUPS)
    tables = {
        "Before conditioning: each count under the prior": predictive(told),
        "What moved what: shift in prior sds by each fact and by all; sd_ratio is posterior over prior": moved[
            (moved["all"].abs() > 3 * moved["error"]) | (moved["sd_ratio"] < 0.9)
        ].sort_values("sd_ratio"),
        "What stable disease hangs on under the prior: share of variance that one parameter explains": shares(told),
        "How well the facts are predicted (log prior probability)": evidence,
    }
    parts = ["# CT-0508: published facts alone", "**Kinetics: prior only.** No CT-0508 concentrations are used: none are published.", how]
    parts += [f"## {title}\n\n```text\n{t.round(3).to_string(index=False)}\n```" for title, t in tables.items()]
    return "\n\n".join([*parts, "## Assumptions\n\n" + "\n".join(f"- {a}" for a in ASSUMPTIONS)]) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="no NUTS: draws of the prior are weighed by the counts")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "ct0508_published")
    asked = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asked.out.mkdir(parents=True, exist_ok=True)
    told = influence(asked.seed)
    how = f"Posterior by weighing {len(told.log_terms)} draws of the prior: {told.effective():.0f} effective draws."
    if not asked.quick:
        result = fit(asked.seed)
        result.save(asked.out / "fit.nc")
        result.summary.to_csv(asked.out / "summary.csv", index=False)
        how = f"{how} NUTS beside it: {result.verdict.headline}"
    evidence = p_new_only(told, asked.seed)
    tables = {"predictive": predictive(told), "moved": told.moved(GROUPS), "share": shares(told), "evidence": evidence}
    for name, table in tables.items():
        table.to_csv(asked.out / f"{name}.csv", index=False, float_format="%.4g")
    (asked.out / "page.md").write_text(page(told, evidence, how), encoding="utf-8")
    logging.getLogger("pkpd").info("%s\n%s", page(told, evidence, how), asked.out)


if __name__ == "__main__":
    main()
