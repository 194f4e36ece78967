"""The table of replicates on disk: one line each, whole after every one, and what it belongs to beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.errors import FitError
from pkpd.inference.checkpoint import differences
from pkpd.inference.problem import FitProblem
from pkpd.population.table import prior_table

RANKS, FACTS = "ranks.csv", "facts.json"


def facts(problem: FitProblem, posterior: FitProblem, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share for their replicates to stand in one table."""
    return {
        "name": problem.name,
        "settings": dict(settings),
        "model": problem.model.digest,
        "data": problem.cohort.sha256,
        "rows": len(problem.rows.dv),
        "solver": {"chosen": problem.predictor.chosen.name, **asdict(problem.solver)},
        "population": _told(problem),
        "priors": {s: problem.prior_text(s) for s in problem.population_sites},
        "residual errors": {o: problem.observations[o].equation for o in problem.observed_names},
        **({} if posterior is problem else {"sampled": {s: posterior.prior_text(s) for s in posterior.population_sites}}),
    }


def _told(problem: FitProblem) -> dict[str, str]:
    """Every parameter in words: priors, spreads and effects, and what is held fixed or tied, which no list of priors holds."""
    table = prior_table(problem).drop(columns="source")
    return {
        line["name"]: "; ".join(x for x in (line["scale"], line["prior"], line["between"], line["effects"]) if x)
        for line in table.to_dict("records")
    }


class RankTable:
    """The folder of one calibration; a folder of another one is refused, never overwritten."""

    def __init__(self, folder: str | Path, told: Mapping[str, Any]):
        self.folder = Path(folder)
        now, before = json.loads(json.dumps(told)), read_facts(self.folder)
        if before is not None and before != now:
            raise FitError(
                f"{self.folder} holds another calibration ({differences(before, now)}). Name another folder for this one, or remove that one."
            )
        if before is None and self.folder.exists() and any(self.folder.iterdir()):
            raise FitError(f"{self.folder} holds other things and no calibration ({FACTS}); they are left alone. Name another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        if before is None:
            write_whole(self.folder / FACTS, json.dumps(now, indent=1) + "\n")
        self.lines = {int(line["replicate"]): line for line in read_ranks(self.folder).to_dict("records")}

    def missing(self, n: int) -> list[int]:
        """Replicates 0 to n - 1 that are not there."""
        return [i for i in range(n) if i not in self.lines]

    def add(self, line: Mapping[str, Any]) -> None:
        """Keep one more replicate; a reader sees the table before or after, never half of it."""
        self.lines[int(line["replicate"])] = dict(line)
        write_whole(self.folder / RANKS, in_order(self.lines.values()).to_csv(index=False, lineterminator="\n"))


def in_order(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(lines)).sort_values("replicate").reset_index(drop=True)


def read_ranks(folder: str | Path) -> pd.DataFrame:
    """The table of a folder; empty where no replicate is done."""
    path = Path(folder) / RANKS
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def read_facts(folder: str | Path) -> dict[str, Any] | None:
    """What a folder's calibration belongs to; None where there is none."""
    path = Path(folder) / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
