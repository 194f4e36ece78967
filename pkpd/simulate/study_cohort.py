"""Who is given what and looked at when, as a cohort without data: one subject for each arm, or the subjects of a file of records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Cohort, read_cohort
from pkpd.data.unscored import read_unscored
from pkpd.errors import FitError
from pkpd.model import Model
from pkpd.simulate.scenario.study import Study, StudyArm


def from_arms(model: Model, study: Study) -> tuple[Cohort, tuple[int, ...], tuple[str, ...]]:
    """The cohort of a design, how many patients each subject stands for, and what was assumed."""
    study, told = _with_references(model, study)
    columns = [c.name for c in model.covariates]  # sizes of a body have made their doses, and nothing else reads them
    parts = [_rows(model, study, name, a) for name, a in study.arms.items()]
    amounts: dict[str, str] = {}
    for p in parts:
        amounts |= p.attrs["amounts"]
    units: Any = {"TIME": "h", "AMT": amounts, "DV": {o.name: o.unit for o in model.observables}}
    table = pd.concat([p.assign(**{c: study.arms[n].covariates[c] for c in columns}) for n, p in zip(study.arms, parts, strict=True)])
    cohort = read_cohort(table.reset_index(drop=True), model, units=units, covariates=columns, name=study.title)
    return cohort, tuple(study.arms[s].patients for s in cohort.subjects), (*told, *_after(cohort))


def _with_references(model: Model, study: Study) -> tuple[Study, tuple[str, ...]]:
    """With the model's reference for every covariate of the model that an arm does not have."""
    reference, told, arms = {c.name: c.reference for c in model.covariates}, [], {}
    for name, a in study.arms.items():
        assumed = {c: v for c, v in reference.items() if c not in a.covariates}
        if assumed:
            told.append(f"Arm {name}: the model's reference for every patient, {', '.join(f'{c} = {v:g}' for c, v in assumed.items())}.")
        arms[name] = replace(a, covariates=assumed | dict(a.covariates))
    return replace(study, arms=arms), tuple(told)


def _after(cohort: Cohort) -> tuple[str, ...]:
    """Which arms are looked at just when a dose enters at once: a trough and a peak are different things."""
    given = cohort.doses[cohort.doses["shape"] == "bolus"]
    at = set(zip(given["subject"], given["time"].round(9), strict=True))
    looks = cohort.observations
    same = sorted({s for s, t in zip(looks["subject"], looks["time"].round(9), strict=True) if (s, t) in at})
    if not same:
        return ()
    arms = ", ".join(cohort.subjects[s] for s in same)
    return (f"Looks at the time of a dose are taken after it (arm{'s' * (len(same) > 1)} {arms}); give one before it a time just before.",)


def _rows(model: Model, study: Study, name: str, a: StudyArm) -> pd.DataFrame:
    """Dose rows and looks of one patient of an arm, in the order in which they act: a look at the time of a dose comes after it."""
    sizes = pd.DataFrame([{"ID": name, **a.covariates}]) if a.regimen.for_model(model).sizes else None
    doses = a.regimen.to_records(model, subjects=sizes) if sizes is not None else a.regimen.to_records(model, id=name)
    looks = [pd.DataFrame({"TIME": look.times, "DVID": look.observable}) for look in study.looks if look.arms is None or name in look.arms]
    if not looks:
        raise FitError(f"{study.title}: nobody looks at arm {name}. Name it in arms of an [[observations]], or leave the arm out.")
    seen = pd.concat(looks).drop_duplicates().assign(ID=name, EVID=0, MDV=0, DV=1.0, AMT=0.0, RATE=0.0, DUR=0.0, CMT="", place=2)
    given = doses.assign(RATE=doses["RATE"].where(doses["DUR"] == 0, 0.0), MDV=1, DVID="", DV=np.nan, place=1)
    rows = (
        pd.concat([given, seen] if len(given) else [seen], ignore_index=True)
        .sort_values(["TIME", "place"], kind="stable")
        .drop(columns="place")
    )
    rows.attrs["amounts"] = doses.attrs["units"]["AMT"] if len(given) else {}
    return rows


def from_records(model: Model, study: Study) -> tuple[Cohort, tuple[int, ...], tuple[str, ...]]:
    """Every observation row of a file is a look, whatever its DV and MDV."""
    path: Any = study.records
    if not path.is_file():
        raise FitError(f"{study.title}: there is no file of records {path}.")
    cohort = read_unscored(path, model, units=study.units or None).cohort
    looks = cohort.observations.reset_index(drop=True)
    if looks.empty:
        raise FitError(f"{path.name} has no observation row (EVID 0), so nothing is looked at.")
    looks = looks.assign(scored=True, dv=1.0, cens=0, lower=np.nan)
    seen = set(looks["observable"])
    told = [
        f"{path.name}: {len(looks)} observation rows of {cohort.n_subjects} subject{'s' * (cohort.n_subjects > 1)}; DV, CENS and limits are not read."
    ]
    if len(seen) == 1 and len(model.observable_names) > 1:
        told.append(f"Every row is one of {next(iter(seen))}: the first observable where DVID says nothing.")
    return replace(cohort, observations=looks), (1,) * cohort.n_subjects, tuple(told)
