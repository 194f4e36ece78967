"""A fit: draws with labels, verdict, provenance; saved as netCDF and read back. Never pickled."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.inference.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit found. `tree` holds the groups posterior, prior, sample_stats, log_likelihood, posterior_predictive, predictions, observed_data
    and constant_data; `problem` is there when the fit was made in this session or loaded with its problem.
    """

    tree: xr.DataTree
    problem: FitProblem | None = None

    @cached_property
    def summary(self) -> pd.DataFrame:
        """name, mean, sd, q5, q50, q95, ess_bulk, ess_tail, rhat of every population-level parameter."""
        table = pd.DataFrame(json.loads(self.tree.attrs["summary"]))
        return table.assign(
            **{k: table[k].astype(float) for k in ("ess_bulk", "ess_tail", "rhat") if k in table}
        )  # None where there is none

    @cached_property
    def verdict(self) -> Verdict:
        """Converged or not, and why."""
        found = json.loads(self.tree.attrs["verdict"])
        told = (tuple(found.get(k, ())) for k in ("reasons", "next_steps", "not_identified"))  # a fit made before the last has none
        return Verdict(found["converged"], found["headline"], *told)

    @cached_property
    def approximation(self) -> dict[str, Any] | None:
        """Of an approximation: method, proposals, pareto_k, ess, what its weights move, usable; None of a run of NUTS."""
        stored = self.tree.attrs.get("approximation")
        return json.loads(stored) if stored else None

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, seed, hashes and settings that repeat the fit."""
        return json.loads(self.tree.attrs["provenance"])

    @cached_property
    def centring(self) -> dict[str, Any]:
        """The centring weight each varying parameter was sampled with: one number, or one for each subject [N]."""
        return {n: np.asarray(w, float) for n, w in json.loads(self.tree.attrs["report"])["centring"].items()}

    def save(self, directory: str | Path) -> Path:
        """Write fit.nc, summary.csv and provenance.json into `directory`, each whole or not at all."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        _whole(folder / "fit.nc", lambda path: self.tree.to_netcdf(path, engine="h5netcdf"))
        _whole(folder / "summary.csv", lambda path: self.summary.to_csv(path, index=False))
        _whole(
            folder / "provenance.json", lambda path: Path(path).write_text(json.dumps(self.provenance, indent=2) + "\n", encoding="utf-8")
        )
        return folder

    def __repr__(self) -> str:
        return f"Fit('{self.provenance['name']}': {self.verdict.headline})"


def load_fit(directory: str | Path, problem: FitProblem | None = None) -> Fit:
    """Read a fit back from `directory`; with `problem`, what-ifs can be run on it (a changed model or data set is refused).

    Raises `FitError` when there is no fit, or it belongs to another model or data.

    >>> load_fit("build/theophylline", problem).verdict.headline                           # doctest: +SKIP
    """
    path = Path(directory) / "fit.nc"
    if not path.is_file():
        raise FitError(f"There is no fit in {directory}: fit.nc is missing. Run 'pkpd fit FITFILE --out {directory}' first.")
    try:
        tree = (
            xr.load_datatree(path, engine="h5netcdf") if hasattr(xr, "load_datatree") else xr.open_datatree(path, engine="h5netcdf").load()
        )
    except Exception as error:
        raise FitError(
            f"{path} cannot be read as a fit ({type(error).__name__}: {error}). It may be cut short; run the fit again."
        ) from None
    fit = Fit(tree, problem)
    if problem is not None:
        _same(fit, problem)
        _coordinates(fit, problem)
    return fit


def _same(fit: Fit, problem: FitProblem) -> None:
    for what, stored, now in (
        ("model", fit.provenance["model"]["digest"], problem.model.digest),
        ("data", fit.provenance["data"]["sha256"], problem.cohort.sha256),
    ):
        if stored != now:
            raise FitError(
                f"This fit was made with another {what} ({stored[:12]}, now {now[:12]}). Run the fit again, or load it without `problem`."
            )


def _coordinates(fit: Fit, problem: FitProblem) -> None:
    """Fits stored before decision 19 hold correlated effects in other coordinates: their rows would be predicted from the wrong ones."""
    groups = problem.population.correlation
    if groups and "coordinates" not in fit.tree.attrs:
        names = ", ".join(n for g in groups for n in g.names)
        raise FitError(
            f"This fit was stored by an earlier pkpd, which kept the correlated effects of {names} in other coordinates. "
            "Its tables and plots can be read without `problem`; run the fit again for what-ifs, forecasts and predictions."
        )


def _whole(path: Path, write: Any) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        write(name)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
