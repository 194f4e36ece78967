"""Coverage of 90 % predictive intervals of the endotoxin fit for volunteers it has not seen: `python docs/validation/endotoxin_coverage.py`.

The 20 volunteers are split into folds. Each fold is predicted by a fit to the others: new subjects drawn from the fitted variability, measured with the
fitted residual error. A row counts where its value lies between the 5 % and 95 % quantiles of those predictions. Writes endotoxin_coverage.csv.

    python docs/validation/endotoxin_coverage.py --arm FILE --bolus 1 --infusion 3 --hours 3

predicts another arm instead, by a fit to all 20 volunteers. FILE is laid out as lps_bolus_individual.csv: id, time_h, analyte, value (pg/mL), and
lps_ng_per_kg, the bolus of each subject unless options tell the dose of all. A column `lloq` (pg/mL) is optional: a value below it, or an empty one, was
below the limit. Nothing is fitted to the arm.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import xarray as xr

from pkpd import Fit, FitError, Sampler, bolus, data_file, infusion, sum_of, what_if
from pkpd.inference.assemble import population_summary
from pkpd.inference.geometry import find_geometry
from pkpd.inference.pilot import parts, run_pilot
from pkpd.inference.sample import Kernel, run_nuts
from pkpd.inference.space import Space
from pkpd.inference.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).resolve().with_suffix(".csv")
FOLDS, SEED = 5, 20_240
SETTINGS = Sampler(chains=2, draws=500, warmup=500, kernel="hmc", target_accept=0.9)
COLUMNS = ("id", "time_h", "analyte", "value")
LOW, HIGH = 0.05, 0.95


def fit_file():
    spec = importlib.util.spec_from_file_location("endotoxin_cytokines", ROOT / "fits" / "endotoxin_cytokines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_arm(path: Path, names: dict[str, str]) -> pd.DataFrame:
    """The rows of an arm, `analyte` by its name in the model, `below` where the value lies below the limit of quantification."""
    table = pd.read_csv(path)
    lacking = [c for c in COLUMNS if c not in table]
    if lacking:
        raise FitError(
            f"{Path(path).name} lacks the column '{lacking[0]}'. Needed are {', '.join(COLUMNS)}; lloq and lps_ng_per_kg are optional."
        )
    unknown = sorted(set(table["analyte"]) - set(names))
    if unknown:
        raise FitError(
            f"{Path(path).name} names the analyte '{unknown[0]}', which is not in the model. Known are {', '.join(names)}: leave other rows out."
        )
    limit = table["lloq"] if "lloq" in table else pd.Series(np.nan, table.index)
    lost = table["value"].isna() & limit.isna()
    if lost.any():
        first = table[lost].iloc[0]
        raise FitError(
            f"{Path(path).name} has {lost.sum()} rows without a value or a limit, the first of id {first['id']} at {first['time_h']:g} h. "
            "Leave them out, or give `lloq` where the value lay below it."
        )
    below = table["value"].isna() | (table["value"] < limit)
    return table.assign(analyte=table["analyte"].map(names), below=below, value=table["value"].where(~below, limit))


def predictive(fit, regimen, times: np.ndarray, seed: int, draws: int = 400, subjects: int = 10) -> dict[str, np.ndarray]:
    """Values [S, time] of each analyte as measured in new subjects of a fit, or of a problem's prior; a look before the dose is one at 0 h, at baseline."""
    at = np.unique(np.maximum(times, 0.0))
    told = {"key": jax.random.PRNGKey(seed), "n_subjects": subjects, "draws": draws, "vary": ("parameters", "subjects", "residual")}
    runs = what_if(fit, {"arm": regimen}, times=at, **told).isel(arm=0)
    where = np.searchsorted(at, np.maximum(times, 0.0))
    noise = getattr(fit, "problem", fit).noise
    return {c: runs[c].to_numpy().reshape(-1, len(at))[:, where] for c in noise}


def scored(rows: pd.DataFrame, fit, regimen, seed: int) -> pd.DataFrame:
    """Each row with its interval, whether that holds the value, the probability integral transform (of a row below its limit: a random one below), and
    the log predictive density of its logarithm (`lpd`; of a row below its limit: the log of the chance to be there)."""
    times = np.unique(rows["time_h"].to_numpy(float))
    drawn = predictive(fit, regimen, times, seed)
    place = np.searchsorted(times, rows["time_h"])
    values = np.stack([drawn[c][:, i] for c, i in zip(rows["analyte"], place, strict=True)])  # [row, S]
    low, high = np.quantile(values, (LOW, HIGH), axis=1)
    y, below = rows["value"].to_numpy(float), rows["below"].to_numpy(bool)
    inside = np.where(below, low < y, (low <= y) & (y <= high))
    chance = np.asarray(jax.random.uniform(jax.random.PRNGKey(seed + 1), y.shape))
    pit = (values < y[:, None]).mean(1) * np.where(below, chance, 1.0)
    kept = rows[["id", "time_h", "analyte", "value", "below"]]
    return kept.assign(low=low, median=np.median(values, axis=1), high=high, inside=inside, pit=pit, lpd=log_density(values, y, below))


def log_density(values: np.ndarray, y: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Log density of ln y [row] under draws [row, S]: a Gaussian kernel in the log, as wide as Silverman's rule says."""
    x = np.log(values)
    width = 1.06 * x.std(1) * x.shape[1] ** -0.2
    z = (np.log(y)[:, None] - x) / width[:, None]
    density = np.exp(-0.5 * z**2).mean(1) / (width * np.sqrt(2 * np.pi))
    chance = (values < y[:, None]).mean(1)
    return np.log(np.maximum(np.where(below, chance, density), np.finfo(float).tiny))


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """By analyte and over all: the share inside, averaged by subject; its error is the sd over subjects / sqrt(n), since rows of a subject hang together.

    `by_pit` is the share of PITs between 0.05 and 0.95. Without rows below a limit it is the coverage; with them the coverage of a right model exceeds
    90 %, as an interval that reaches below the limit holds all of them, and `by_pit` is the one to be 90 %.
    """
    rows = rows.assign(by_pit=rows["pit"].between(LOW, HIGH))
    groups = {c: g for c, g in rows.groupby("analyte", sort=False)} | {"all": rows}
    found = []
    for name, group in groups.items():
        each = group.groupby("id")[["inside", "by_pit"]].mean()
        error = each.std(ddof=1) / np.sqrt(len(each))
        told = {
            "coverage": each["inside"].mean(),
            "error": error["inside"],
            "by_pit": each["by_pit"].mean(),
            "by_pit_error": error["by_pit"],
        }
        ends = {"below_5": (group["pit"] < LOW).mean(), "above_95": (group["pit"] > HIGH).mean()}
        found.append({"analyte": name, "subjects": len(each), "rows": len(group), **told, **ends})
    return pd.DataFrame(found)


def fitted(module, table: pd.DataFrame, name: str, seed: int = SEED) -> Fit:
    """The fit of these rows of the volunteers: draws and R-hat as `sample` gives them, without the predictions and certificate of its report."""
    problem = module.problem_of(module.records(table), name)
    space, quiet = Space(problem), lambda *_: None
    kernel, (pilot, rest) = Kernel(space, SETTINGS), parts(problem, SETTINGS)
    geometry = find_geometry(space, quiet)
    geometry = geometry if pilot is None else run_pilot(kernel, geometry, pilot, seed, False, None, quiet)
    draws = run_nuts(kernel, geometry, rest, seed, False)
    summary = population_summary(space, geometry, draws)
    values = jax.vmap(jax.vmap(space.constrain))(draws.z)
    posterior = xr.Dataset({n: (("chain", "draw"), np.asarray(values[n])) for n in problem.population_sites})
    tree = xr.DataTree.from_dict({"/": xr.Dataset(), "posterior": posterior})
    worst, diverged = summary["rhat"].max(), int(draws.stats["diverging"].sum())
    verdict = Verdict(
        bool(worst < 1.05), f"largest R-hat {worst:.3f}, least ESS {summary['ess_bulk'].min():.0f}, {diverged} diverged", (), ()
    )
    tree.attrs = {
        "summary": summary.to_json(orient="records"),
        "verdict": json.dumps(verdict.as_dict()),
        "report": json.dumps({"centring": {}}),
    }
    sys.stderr.write(
        f"{name}: {verdict.headline}, {draws.stats['n_steps'].mean():.1f} steps a draw, {time.process_time():.0f} s of CPU so far\n"
    )
    return Fit(tree, problem)


def dose(amount: float, more: float = 0.0, hours: float = 0.0):
    """A bolus at 0 h and an infusion that begins with it, ng/kg."""
    if not (amount or more) or (more and not hours):
        raise FitError(
            f"A bolus of {amount:g} ng/kg and {more:g} ng/kg in {hours:g} h are no dose. Give --bolus, or --infusion with --hours."
        )
    parts = [bolus((amount, "ng/kg"), into="endotoxin")] if amount else []
    parts += [infusion((more, "ng/kg"), over=(hours, "h"), into="endotoxin")] if more else []
    return sum_of(parts)


def of_arm(path: Path, fit, module, given=None, seed: int = SEED) -> pd.DataFrame:
    """The scored rows of another arm in `path`, whose dose is `given`, or each subject's bolus of its column lps_ng_per_kg."""
    rows = read_arm(path, module.NAMES)
    if given is not None:
        return scored(rows, fit, given, seed)
    if "lps_ng_per_kg" not in rows:
        raise FitError(f"{Path(path).name} has no column lps_ng_per_kg. Tell the dose by --bolus, or --infusion and --hours.")
    other = sorted(
        {r for r in rows.get("regimen", pd.Series(dtype=str)).dropna() if "bolus" not in r or "infusion" in r or "continuous" in r}
    )
    if other:
        raise FitError(f"{Path(path).name} says '{other[0]}', which is no bolus alone. Tell the dose by --bolus, --infusion and --hours.")
    return pd.concat([scored(g, fit, dose(float(x)), seed) for x, g in rows.groupby("lps_ng_per_kg")])


def left_out(module, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Every volunteer predicted by a fit that had not seen its fold."""
    subjects = np.sort(table["id"].unique())
    rows, found = read_arm(path, module.NAMES), []
    for k in range(FOLDS):
        out = subjects[k::FOLDS]
        fit = fitted(module, table[~table["id"].isin(out)], f"endotoxin_fold_{k + 1}")
        mine = rows[rows["id"].isin(out)]
        found.append(
            scored(mine, fit, dose(float(table["lps_ng_per_kg"].iloc[0])), SEED + k).assign(fold=k + 1, rhat=fit.summary["rhat"].max())
        )
        jax.clear_caches()
    return pd.concat(found).sort_values(["id", "analyte", "time_h"])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--arm", type=Path, help="csv of another arm")
    options.add_argument("--bolus", type=float, default=0.0, help="ng/kg, of all its subjects")
    options.add_argument("--infusion", type=float, default=0.0, help="ng/kg in all, from 0 h on")
    options.add_argument("--hours", type=float, default=0.0, help="how long the infusion lasts")
    options.add_argument("--out", type=Path, default=OUT, help="csv of the rows of left-out volunteers")
    asked = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    module = fit_file()
    path = data_file(module.FILE)
    table = pd.read_csv(path)
    if asked.arm is None:
        rows = left_out(module, table, path)
        rows.drop(columns="value").round(3).to_csv(asked.out, index=False)  # the volunteers' own values are not ours to ship
    else:
        given = dose(asked.bolus, asked.infusion, asked.hours) if asked.bolus or asked.infusion else None
        rows = of_arm(asked.arm, fitted(module, table, "endotoxin_all"), module, given)
    sys.stdout.write(coverage(rows).round(3).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
