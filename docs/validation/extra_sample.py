"""Which extra sample would sharpen the comparison of regimens most, given a fit of the SIMULATED flagship: `python docs/validation/extra_sample.py DIR`.

DIR holds a run of `pkpd fit fits/carm_phase1.py --seed 1 --out DIR`. A candidate is one more measurement at one time in each of the n = 9 or 5 patients
of one regimen: in the study's own under the doses they got, or in as many new ones alike. By draws of the posterior, with q a quantity of the typical
patient, y the new values and m what a draw predicts of them,

    Var(q | y)  =  Var(q) - c' (V + s^2 I)^-1 c ,     c = Cov(m, q),  V = Cov(m)

is the variance that the best linear predictor of q leaves: exact if q and y are jointly normal. For the same patients m are their n ln values and
s^2 = E[sigma^2] of the residual; for new ones m is the mean of n typical ln values, and s^2 = (E[sigma^2] + variance between patients) / n.
`pkpd.extra_sample` is not used: it inverts the expected information of the data alone, which in this model is next to none in some directions (growth
against T cells), and knows no prior; the posterior holds both. Limits of assays are not foreseen: candidates whose median prediction lies outside of
them are left out, and so are detected-or-not and grades. Writes extra_sample_carm_phase1.csv beside this file: gains (1 - sd after / sd now) in the
`same` and in `new` patients with standard errors by the four chains; `again` says that the study samples at that time already. Rows where
neither gain reaches LEAST are left out: by chance alone n predictors and D draws give n / D of the variance, 0.3 % of the sd for nine.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd import load_fit, what_if
from pkpd.inference.predictive import Predictive, grid_predictor, over_draws
from pkpd.simulate.draws import centring, population_draws

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))

import what_if_fractionated as asked  # noqa: E402

DRAWS, CHAINS = 1400, 4  # of 5600: every fourth
LEAST = 0.005
KEY = jax.random.key(3)
AFTER = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 18.0, 24.0, 36.0)  # h after a dose began
LATE = (144.0, 168.0, 240.0, 336.0, 504.0, 672.0)
REGIMENS = {
    "single": (1.0, (0.0,), (48.0, 72.0, 96.0, 120.0)),
    "fractionated": (135.0, (0.0, 48.0, 96.0), ()),
}  # code, doses (h), later looks
SERUM = ("car_dna", *asked.CYTOKINES)
TISSUE = {"biopsy_car": (24.0, 72.0, 168.0, 336.0, 504.0, 672.0, 1008.0, 1344.0, 2016.0), "sld": (336.0, 672.0, 1344.0, 2016.0, 2688.0)}


def remaining(q: np.ndarray, m: np.ndarray, noise: float) -> float:
    """Variance of q that n values y = m + e, e ~ N(0, noise), leave to its best linear predictor; `q` [D] and `m` [D, n] by draw."""
    z, x = q - q.mean(), m - m.mean(0)
    c, v = x.T @ z / len(q), x.T @ x / len(q)
    return float(z @ z / len(q) - c @ np.linalg.solve(v + noise * np.eye(m.shape[1]), c))


def gain(q: np.ndarray, m: np.ndarray, noise: float) -> float:
    return 1.0 - float(np.sqrt(remaining(q, m, noise) / q.var()))


def candidates() -> pd.DataFrame:
    rows = [
        (regimen, o, t)
        for regimen, (_, doses, later) in REGIMENS.items()
        for o in (*SERUM, *TISSUE)
        for t in TISSUE.get(o, sorted({*(d + x for d in doses for x in AFTER), *later, *LATE}))
    ]
    return pd.DataFrame(rows, columns=["regimen", "observable", "time_h"])


def log_predictions(fit, times: np.ndarray) -> dict[str, np.ndarray]:
    """ln of every observable [draws, times, observables, patients] under the doses of the study: its "own" patients, "typical" and "new" ones alike."""
    problem, values = fit.problem, population_draws(fit, DRAWS, frozenset({"parameters"}), KEY)[0]
    theirs, n = Predictive(problem, centring(fit)), len(problem.cohort.subjects)
    look = grid_predictor(problem, problem.cohort.doses, times, problem.predictor.plan.intervals)

    def one(sites, key):
        people = {"own": theirs.individual(sites), "typical": theirs.typical(sites), "new": theirs.new(sites, key, problem.covariates, n)}
        return {name: jnp.log(jnp.maximum(look.observables(theta)[0], 1e-12)) for name, theta in people.items()}

    return over_draws(one, values, jax.random.split(KEY, DRAWS), batch=4)


def quantities(fit) -> dict[str, np.ndarray]:
    """What is to be sharpened, by draw: of the typical patient with HER2 3+."""
    typical = pd.DataFrame({"HER2": [3.0]})
    seen = what_if(fit, asked.ARMS, times=asked.TIMES, covariates=typical, n_subjects=1, draws=DRAWS, vary=("parameters",), key=KEY)
    of = {name: {arm: x.sel(arm=arm).to_numpy()[:, 0] for arm in asked.ARMS} for name, x in asked.measures(seen).items()}
    ratio = lambda name: np.log(of[name]["fractionated"] / of[name]["single"])  # noqa: E731
    last = of["last detected in blood"]
    return {
        "IL-6 peak, ln ratio": ratio("IL-6 peak"),
        "tumour exposure, ln ratio": ratio("tumour exposure"),
        "last detected in blood, difference (h)": last["fractionated"] - last["single"],
        "IL-6 peak, ln (single dose)": np.log(of["IL-6 peak"]["single"]),
        "tumour exposure, ln (single dose)": np.log(of["tumour exposure"]["single"]),
    }


def limits(problem) -> dict[str, tuple[float, float]]:
    """What each assay can quantify: its lower limit and its upper one, of the better batch."""
    rows = problem.cohort.observations.groupby("observable")
    return {str(o): (float(r["lloq"].max()), float(np.nan_to_num(r["uloq"].max(), nan=np.inf))) for o, r in rows}


def gains(q: np.ndarray, m: np.ndarray, noise: float) -> tuple[float, float]:
    """The gain, and its standard error by the chains."""
    parts = [gain(*part, noise) for part in zip(np.split(q, CHAINS), np.split(m, CHAINS), strict=True)]
    return gain(q, m, noise), float(np.std(parts, ddof=1) / np.sqrt(CHAINS))


def worth(fit) -> pd.DataFrame:
    """A row a quantity and candidate that the assay can measure."""
    problem, every, wanted = fit.problem, candidates(), quantities(fit)
    times = np.unique(every["time_h"])
    logs, within, looks = log_predictions(fit, times), limits(problem), problem.cohort.observations
    codes, posterior = np.asarray(problem.covariates["REGIMEN"]), fit.tree["posterior"].to_dataset()
    lines = []
    for regimen, o, t in every.itertuples(index=False):
        who = np.flatnonzero(codes == REGIMENS[regimen][0])
        at = np.searchsorted(times, t), problem.model.observable_names.index(o)
        own, typical, new = (logs[x][:, *at][:, who] for x in ("own", "typical", "new"))
        if not within[o][0] < np.exp(np.median(own)) < within[o][1]:
            continue
        s2 = float((posterior[f"sigma_{o}"] ** 2).mean())
        again = bool(((looks["observable"] == o) & (looks["time"] == t) & looks["subject"].isin(who)).any())
        mean, s2_new = typical.mean(1, keepdims=True), (s2 + float(np.var(new - typical))) / len(who)
        for name, q in wanted.items():
            lines.append((name, q.std(), regimen, len(who), o, t, again, *gains(q, own, s2), *gains(q, mean, s2_new)))
    columns = ["quantity", "sd_now", "regimen", "patients", "observable", "time_h", "again", "same", "same_error", "new", "new_error"]
    table = pd.DataFrame(lines, columns=columns)
    told = table[table[["same", "new"]].max(axis=1) >= LEAST]
    return told.sort_values("quantity", key=lambda x: x.map(list(wanted).index), kind="stable")


def main(folder: str) -> None:
    table = worth(load_fit(folder, asked.problem(quick=True)))
    shares = [c for c in table if c.startswith(("same", "new"))]
    table.round(dict.fromkeys(shares, 4) | {"sd_now": 5}).to_csv(HERE / "extra_sample_carm_phase1.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
