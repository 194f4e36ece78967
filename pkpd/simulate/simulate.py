"""`simulate`: the model's prediction at every record of a NONMEM-style table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.data import Cohort
from pkpd.data.unscored import read_unscored
from pkpd.errors import ModelError, SolveError
from pkpd.model import Model, predictor
from pkpd.model.predict import raise_failures
from pkpd.simulate.parameters import subject_parameters
from pkpd.solve import Solver


def simulate(
    model: Model,
    records: Any,
    parameters: Any,
    *,
    units: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
    solver: Solver | None = None,
) -> pd.DataFrame:
    """Predict every observable of a model at every record of a table: one row a record, in the order and with the index of `records`.

    `records` is a DataFrame or a csv path, read and checked by the rules of `read_cohort` (`units`, `columns`, `covariates` and
    `interpolation` are its arguments); observation rows need no DV, and no DVID. `parameters` maps names to numbers in the model's units, or holds a column a
    parameter with one row a subject (column ID or index); parameters not named stay at the model's typical value. Covariates the model
    reads come from the records. Returns a DataFrame with ID and TIME as written, EVID, one column an observable (in the model's unit, see
    `.attrs["units"]`), and the columns named by `covariates`.

    The prediction of a record is the one after the record has acted: a dose row of a bolus shows the peak, a reset row the initial state.
    So does NONMEM (event set of `mrgsolve/nmtests`: PRED on a row with EVID 3 is 0, on one with EVID 4 and SS the new steady state). An
    observation row standing before a dose row of the same time shows the trough.

    Raises `DataError` with every defect of the records, `ModelError` with everything wrong about the parameters, `SolveError` naming the
    subjects that could not be integrated.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> table = pd.DataFrame({"ID": 1, "TIME [h]": [0, 10], "EVID": [1, 0], "AMT [mg]": [200, 0]})
    >>> simulate(one_compartment_iv, table, {"CL": 1.0, "V": 20.0}).round(3)
       ID  TIME  EVID      cp
    0   1     0     1  10.000
    1   1    10     0   6.065
    """
    if not model.observables:
        raise ModelError(f"{model.name} observes nothing, so there is nothing to predict. Compose it with observables=[...].")
    given = read_unscored(records, model, units=units, columns=columns, covariates=covariates, interpolation=interpolation)
    _refuse_parameter_columns(model, given.unused)
    cohort = given.cohort
    theta = subject_parameters(model, parameters, cohort.subjects)
    values = _predict(model, _every_record(cohort, model.observable_names[0]), theta, solver)
    table = pd.DataFrame({"ID": given.ids, "TIME": given.times, "EVID": cohort.records["EVID"].to_numpy()}, index=given.ids.index)
    lane = cohort.records["subject"].to_numpy()
    carried = {name: cohort.covariates[name].to_numpy()[lane] for name in covariates}
    table = table.assign(**dict(zip(model.observable_names, values.T, strict=True)), **carried)
    table.attrs["units"] = {o.name: o.unit for o in model.observables}
    return table


def _refuse_parameter_columns(model: Model, unused: tuple[str, ...]) -> None:
    """A column named like a parameter is a wish to override it or an accident: only the user knows which."""
    both = [name for name in unused if name in model.param_names]
    if both:
        raise ModelError(
            f"The records have the column{'s' if len(both) > 1 else ''} {', '.join(both)}, named like parameters of {model.name}. "
            "Parameters come from the argument `parameters` only: move the values there, or drop or rename the column."
        )


def _every_record(cohort: Cohort, observable: str) -> Cohort:
    """The cohort with one look a record, half a rank after it: when the record has acted and before the next one."""
    records = cohort.records
    place = np.arange(len(records))
    looks = {"subject": records["subject"], "time": records["TIME"], "rank": place + 0.5, "place": place, "observable": observable}
    return replace(cohort, observations=pd.DataFrame(looks))


def _predict(model: Model, cohort: Cohort, theta: Mapping[str, np.ndarray], solver: Solver | None) -> np.ndarray:
    """[rows, observables]"""
    bound = predictor(model, cohort, solver, free=(), at=theta)
    _ = bound.chosen  # the solver is picked with plain numbers, outside of the traced function
    table, solution = jax.jit(bound.observables)(theta)
    raise_failures(bound, solution, cohort.subjects)
    s = bound.schedule
    values = np.asarray(table)[s.row_time, :, s.row_lane]
    bad = np.unique(s.row_lane[~np.isfinite(values).all(1)])
    if len(bad):
        names = ", ".join(cohort.subjects[i] for i in bad[:5])
        raise SolveError(
            f"Predictions are not finite for {len(bad)} of {cohort.n_subjects} subjects ({names}). Check their parameters (a volume of 0?)."
        )
    return values
