"""CT-0508, published facts alone. Kinetics: prior only.

Stable disease at 8 weeks in 4 of 9 patients with HER2 3+ and in 0 of 5 with 2+, no objective response, CRS of grade 3 or more in 0 of 14: these counts
condition a model of CAR-macrophages, cytokine, tumour and T cells whose priors are assumptions, anchored in the literature of other cells. No CT-0508
concentration exists in or behind this file. It asks what the counts tell: first how surprising each is under the prior, then which of them moves which
parameter, and whether they need an effect of the cells at all: a model without one is scored beside it. Both published regimens are run, each for all
patients, since who had which is unknown.

    python fits/ct0508_published.py --quick        weighs 6000 draws of the prior a regimen: tables and page.md in build/ct0508_published
    python fits/ct0508_published.py                the same, then HMC over the population's 34 sites (once): fit.nc, summary.csv; some 20 minutes of CPU more
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
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
    sum_of,
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
AFTER = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0)  # hours after each infusion; IL-6 peaks within two days of one
REGIMENS = {"once": ((1, 5.0e9),), "fractions": ((1, 0.5e9), (3, 1.5e9), (5, 3.0e9))}  # day, infused cells: amounts of the simulated study
NOTHING = 1e-12  # of a killing rate: none

ASSUMPTIONS = (
    "Dose: 5e9 cells once, or 0.5, 1.5 and 3e9 on days 1, 3 and 5, each over 0.5 h: the amounts of the simulated study. Two regimens are published, "
    "amounts are not; which patients had which, and HER2 by regimen, are unknown. So each run gives all 14 the same.",
    "Viability 0.9, CAR+ fraction 0.75: unknown.",
    "Timing: 8 weeks are counted from the first infusion. The visit is published for the stable disease of 3+ alone; that all 2+ were progressive, and "
    "that nobody responded, is taken at 8 weeks as well. CRS is graded at the largest IL-6 of looks up to 48 h after each infusion; published is any time.",
    "No objective response is published without a denominator: taken of all 14.",
    "Whoever had neither stable disease nor a response counts as progressive (published for 2+; for 3+ assumed: `relaxed` does without).",
    "Untreated and treated tumours grow exponentially; one lesion, 60 mm before treatment, log sd 0.5 between patients; tumour size measured with 7 %.",
    "Counts of one arm are taken as independent given the population values, though the same patients stand behind them.",
    "Fixed: k_BP/k_BH = 0.4, k_Ad = k_Td, k_Pd, no return from the liver, eta, sigma_sld, the typical V0 and its spread, V_ref.",
    "Not used: 0 of 14 with ICANS, no dose-limiting toxicity, and the earlier interim (4 of 7), which are the same patients.",
    "Not used, since published without a count of patients: cells transiently detectable in blood; transient, self-limiting elevations of cytokines (the "
    "priors contradict them: at their medians IL-6 stays raised for weeks); CRS of grade 1 or 2; CAR mRNA in biopsies after treatment; new T-cell clones "
    "in the tumour.",
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


def arms(regimen: str = "once") -> list:
    """The two HER2 groups with their counts, all on one regimen. Published is 0 of 14 with severe CRS and no response, hence none in either group."""
    facts = read_facts(FACTS)
    assert facts["crs_grade_ge3"].count == facts["objective_responses"].value == 0
    days = REGIMENS[regimen]
    doses = sum_of(infusion(cells(n, viability=0.9, car_fraction=0.75), over=(0.5, "h")).at(day(d)) for d, n in days)
    looks = (*sorted({24.0 * (d - 1) + x for d, _ in days for x in AFTER}), WEEKS_8)
    found = []
    for her2, fact in ((3.0, facts["sd_her2_3plus"]), (2.0, facts["sd_her2_2plus"])):
        n = fact.n or 0
        arm = SummaryArm(carm_outcomes, doses, looks, n, {"HER2": her2}, name=f"HER2 {her2:g}+", patients="CT-0508")
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


def influence(seed: int = 1, n: int = 6000, regimen: str = "once") -> SummaryInfluence:
    return summary_influence(arms(regimen), population(), {}, seed=seed, n=n, solver=SOLVER)


def relaxed(told: SummaryInfluence) -> SummaryInfluence:
    """The same with `Responders(stable, 4, 9)` in the place of the classes of 3+: nothing is said of the other five, not even that none responded."""
    (term,) = GROUPS["response 3+"]
    observed, law = told.counts[f"{term}: SD"]
    return replace(told, log_terms=np.where(np.array(told.names) == term, law[:, [observed]], told.log_terms))


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


def growth_alone() -> Population:
    """Neither cells nor T cells kill: growth and p_new are as in the full model, nothing else bears on a response, the regimen included."""
    free = {name: population().parameters[name] for name in ("kg", "p_new")}
    return Population(**free, kT=fixed(NOTHING), c_kill=fixed(NOTHING))


def no_cell_effect(seed: int = 1, n: int = 2000) -> SummaryInfluence:
    return summary_influence(arms(), growth_alone(), {}, seed=seed, n=n, solver=SOLVER)


def p_new_only(seed: int = 1, n: int = 500) -> SummaryInfluence:
    """The rest at typical values, patients alike."""
    law = Population(p_new=logit_normal(PRIORS["p_new"]))
    return summary_influence(arms(), law, {}, seed=seed, n=n, summary_draws=1, solver=SOLVER)


def evidence(told: dict[str, SummaryInfluence], seed: int = 1) -> pd.DataFrame:
    """log prior probability of the facts by model (higher: better predicted), `error` that of both responses (Monte Carlo, from the effective draws)."""
    models = {f"full model, {regimen}": x for regimen, x in told.items()}
    models |= {"no cell effect: kg and p_new free": no_cell_effect(seed), "p_new alone free, once": p_new_only(seed)}
    both = GROUPS["response 3+"] + GROUPS["response 2+"]
    rows = []
    for name, x in models.items():
        scores = {g: x.log_evidence(terms) for g, terms in (GROUPS | {"both responses": both}).items()}
        error = np.sqrt(1 / x.effective(both) - 1 / len(x.log_terms))
        rows.append({"model": name, **scores, "error": error})
    table = pd.DataFrame(rows)[["model", "response 3+", "response 2+", "both responses", "error", "CRS 0/14"]]
    return table.assign(**{"CRS 0/14": table["CRS 0/14"].where(~table["model"].str.startswith("no cell"))})  # CRS is no response


def verdict(table: pd.DataFrame) -> str:
    """Whether the responses call for an effect of the cells, in words."""
    score = table.set_index("model")["both responses"]
    full, none = score[[m for m in score.index if m.startswith("full")]], score["no cell effect: kg and p_new free"]
    numbers = f"log score {none:.2f} without an effect of the cells, {' and '.join(f'{x:.2f}' for x in full)} with it"
    better = "at least as well as" if none >= full.max() else "less well than"
    weak = (
        "They are no sign of an effect; nor, by so few patients and a prior of killing so wide, of its absence. "
        if none >= full.max()
        else ""
    )
    return f"A model without an effect of the cells predicts the responses {better} the full model ({numbers}). {weak}".rstrip()


def fit(seed: int = 1, checkpoint: Path | None = None, **changes):
    """HMC on the population's sites, the patients integrated out; an interrupted run goes on from `checkpoint`."""
    settings = replace(Sampler(chains=4, draws=1000, warmup=300, kernel="hmc", target_accept=0.8, max_tree_depth=6), **changes)
    return sample_summaries(
        arms(),
        population(),
        {},
        seed=seed,
        name="ct0508_published",
        sampler=settings,
        solver=SOLVER,
        summary_draws=64,
        progress=False,
        checkpoint=checkpoint,
    )


def page(told: dict[str, SummaryInfluence], scores: pd.DataFrame, how: str) -> str:
    """A page that says first that kinetics are prior only."""
    tables = {"How well the facts are predicted (log prior probability)": scores}
    for regimen, x in told.items():
        tables |= {
            f"Before conditioning: each count under the prior ({regimen})": predictive(x),
            f"What moved what ({regimen}): shift in prior sds by each fact and by all; sd_ratio is posterior over prior": shown(x),
        }
    once = told["once"]
    tables |= {
        "Sensitivity (once): Responders(stable, 4, 9), nothing assumed of the other five": shown(relaxed(once)),
        "What stable disease hangs on under the prior (once): share of variance that one parameter explains": shares(once),
    }
    parts = [
        "# CT-0508: published facts alone",
        "**Kinetics: prior only.** No CT-0508 concentrations are used: none are published.",
        how,
        verdict(scores),
    ]
    parts += [f"## {title}\n\n```text\n{t.round(3).to_string(index=False)}\n```" for title, t in tables.items()]
    return "\n\n".join([*parts, "## Assumptions\n\n" + "\n".join(f"- {a}" for a in ASSUMPTIONS)]) + "\n"


def shown(told: SummaryInfluence) -> pd.DataFrame:
    """What moved by more than three Monte Carlo errors, or became narrower."""
    moved = told.moved(GROUPS)
    return moved[(moved["all"].abs() > 3 * moved["error"]) | (moved["sd_ratio"] < 0.9)].sort_values("sd_ratio")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="no HMC: draws of the prior are weighed by the counts")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "ct0508_published")
    asked = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asked.out.mkdir(parents=True, exist_ok=True)
    told = {regimen: influence(asked.seed, regimen=regimen) for regimen in REGIMENS}
    draws = ", ".join(f"{x.effective():.0f} effective of {len(x.log_terms)} ({regimen})" for regimen, x in told.items())
    how = f"Posterior by weighing draws of the prior: {draws}."
    if not asked.quick:
        result = fit(asked.seed, asked.out / "unfinished")
        result.save(asked.out)
        how = f"{how} HMC beside it (once): {result.verdict.headline}"
    scores = evidence(told, asked.seed)
    by_regimen = {"predictive": predictive, "moved": lambda x: x.moved(GROUPS), "share": shares}
    tables = {name: pd.concat([f(x).assign(regimen=r) for r, x in told.items()]) for name, f in by_regimen.items()}
    tables |= {"evidence": scores, "relaxed": relaxed(told["once"]).moved(GROUPS)}
    for name, table in tables.items():
        table.to_csv(asked.out / f"{name}.csv", index=False, float_format="%.4g")
    (asked.out / "page.md").write_text(page(told, scores, how), encoding="utf-8")
    logging.getLogger("pkpd").info("%s\n%s", page(told, scores, how), asked.out)


if __name__ == "__main__":
    main()
