"""`pkpd simulate SCENARIO.toml --out DIR`: a what-if from a file to tables, figures, netCDF and a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import xarray as xr

from pkpd.cli.fitfile import build_problem, load_problem
from pkpd.cli.library import model_named
from pkpd.cli.what_if_file import write_what_if
from pkpd.diagnostics.nonmem_tables import write_nonmem_table
from pkpd.errors import FitError
from pkpd.inference.fit import load_fit
from pkpd.model import Model
from pkpd.plots import plot_differences, plot_dose_probability, plot_what_if, png_bytes, write_whole
from pkpd.report.figures import Drawn
from pkpd.report.scenario import scenario_page
from pkpd.simulate import Scenario, read_scenario, simulate_arms, what_if, write_arms, xpose_table
from pkpd.simulate.scenario.read import read_source
from pkpd.simulate.scenario.tables import bands_table, exposure_table, profiles, target_table
from pkpd.simulate.virtual import needed, with_values

BANDS = "Lines: the median patient; dark bands: what is not known of it (90 % of draws); light bands: the middle 90 % of patients."
PAIRS = "The same patients under both arms: median patient with 90 % of draws, and the middle 90 % of patients."


def run_scenario(path: Path, out: Path, tell: Callable[[str], None]) -> xr.Dataset:
    """Read, simulate and write a scenario; returns the runs. Raises `FitError` for what is wrong in the file, or a folder that is not empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FitError(f"{out} exists and is not empty, and is left alone. Give another folder, or delete it first.")
    source = read_source(path)
    scenario, model, runs = _of_model(path, source, tell) if source["model"] else _of_fit(path, source)
    unread = scenario.population["patients"].attrs["unread"] if "patients" in scenario.population else []
    if unread:
        tell(f"Columns of the patients that nothing reads: {', '.join(unread)}.")
    out.mkdir(parents=True, exist_ok=True)
    tables = {"Exposure": exposure_table(runs, scenario)}
    if scenario.targets:
        tables["Targets"] = target_table(runs, scenario)
    _write_tables(runs, scenario, model, tables, out, tell)
    drawn = _figures(runs, scenario, tables)
    for d in drawn:
        write_whole(out / f"{d.name}.png", d.png)
    page = scenario_page(scenario.title, runs.attrs, drawn, tables, _facts(scenario, model), path.read_text(encoding="utf-8"))
    write_whole(out / "scenario.html", page.encode("utf-8"))
    shutil.copyfile(path, out / "scenario.toml")
    if not runs.attrs.get("converged", 1):
        tell("The fit behind these runs has not converged: they are not to be used.")
    for sentence in runs.attrs.get("extrapolation") or ():
        tell(sentence)
    tell(f"{len(list(out.iterdir()))} files in {out}; open {out / 'scenario.html'}.")
    return runs


def _of_model(path: Path, source: Any, tell: Callable[[str], None]) -> tuple[Scenario, Model, xr.Dataset]:
    model = model_named(source["model"])
    s = read_scenario(path, model)
    wrong = [n for n in ("draws", "vary") if n in s.population]
    if wrong:
        raise FitError(f"{path.name}: population.{wrong[0]} belongs to a fit or its prior; a model with stated parameters has one draw.")
    table = _patients(s, model, tell)
    n = None if table is not None else s.population.get("subjects")
    key = jax.random.key(s.seed)
    return s, model, simulate_arms(
        model, s.arms, s.parameters, times=s.times, between=s.variability, n_subjects=n, covariates=table, key=key, overrides=s.overrides,
        product=s.population.get("product", ()),
    )  # fmt: skip


def _patients(s: Scenario, model: Model, tell: Callable[[str], None]) -> pd.DataFrame | None:
    """The covariates of a model's patients: a file, or the same numbers for all."""
    if "patients" in s.population:
        return s.population["patients"]
    given = s.population.get("covariates", {})
    same = {**{c.name: c.reference for c in model.covariates}, **given}
    if not same:
        return None
    assumed = [f"{n} = {v:g}" for n, v in same.items() if n not in given]
    if assumed:
        tell(f"The model's reference for every patient (population.covariates says otherwise): {', '.join(assumed)}.")
    return _alike(same, s.population.get("subjects", 100 if s.variability else 1))


def _alike(values: Mapping[str, float], n: int) -> pd.DataFrame:
    return pd.DataFrame({c: [v] * n for c, v in values.items()})


def _of_fit(path: Path, source: Any) -> tuple[Scenario, Model, xr.Dataset]:
    problem = build_problem(load_problem(path.parent / source["file"]), source["quick"])
    s = read_scenario(path, problem.model, covariates=tuple(needed(problem)))
    wrong = [n for n, v in (("parameters", s.parameters), ("variability", s.variability)) if v]
    if wrong:
        raise FitError(f"{path.name}: [{wrong[0]}] belongs to a model; a fit has its own. Set values of an arm by [overrides].")
    fit: Any = load_fit(path.parent / source["fit"], problem) if source["fit"] else problem
    p = s.population
    people = p.get("patients") or with_values(problem, p.get("covariates", {}))
    return s, problem.model, what_if(
        fit, s.arms, times=s.times, key=jax.random.key(s.seed), n_subjects=p.get("subjects"), draws=p.get("draws", 100), covariates=people,
        vary=tuple(p.get("vary", ("parameters", "subjects"))), overrides=s.overrides, product=tuple(p.get("product", ())),
    )  # fmt: skip


def _write_tables(
    runs: xr.Dataset, s: Scenario, model: Model, tables: dict[str, pd.DataFrame], out: Path, tell: Callable[[str], None]
) -> None:
    write_what_if(runs, out)
    bands_table(runs).to_csv(out / "bands.csv", index=False)
    for name, table in tables.items():
        table.to_csv(out / f"{name.lower()}.csv", index=False)
    predicted = xpose_table(runs, s.table_draws)
    write_nonmem_table(predicted, out / "sdtab1")
    for note in predicted.attrs["notes"]:
        tell(f"sdtab1: {note}")
    write_arms(runs, model, s.arms, out, product=s.population.get("product", ()))
    if len(runs["draw"]) > s.table_draws:
        tell(
            f"sdtab1 holds {s.table_draws} of {len(runs['draw'])} draws (output.table_draws), records.csv and parameters.csv the first; what_if.nc all."
        )


def _figures(runs: xr.Dataset, s: Scenario, tables: dict[str, pd.DataFrame]) -> list[Drawn]:
    found = [Drawn(f"what_if_{o}", f"What if: {o}", BANDS, png_bytes(plot_what_if(runs, o))) for o in profiles(runs)]
    if s.reference is not None and len(s.arms) > 1:
        made = [(o, plot_differences(runs, s.reference, o)) for o in profiles(runs)]
        found += [Drawn(f"differences_{o}", f"{o}: against {s.reference}", PAIRS, png_bytes(f)) for o, f in made]
    totals = {n: sum(d.amount for d in r.doses) for n, r in s.arms.items()}
    units = {d.unit for r in s.arms.values() for d in r.doses}
    if "Targets" in tables and len(units) == 1 and len(set(totals.values())) > 2:
        figure = plot_dose_probability(tables["Targets"], totals, f"{units.pop()}, in all", attrs=runs.attrs)
        found.append(Drawn("targets", "Targets by total dose", "Probability of a patient; band: 90 % of draws.", png_bytes(figure)))
    return found


def _facts(s: Scenario, model: Model) -> dict[str, Any]:
    try:
        made = version("pkpd-jax")
    except PackageNotFoundError:
        made = "not installed"
    return {
        "program": f"pkpd {made}",
        "model": f"{model.name} ({model.digest[:12]})",
        "seed": str(s.seed),
        "times": f"{len(s.times)}, {s.times[0]:g} to {s.times[-1]:g} h",
    }
