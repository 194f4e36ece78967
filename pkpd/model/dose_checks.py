"""What compose refuses in dose routes: where they go, how they are split, and the units of lag, bioavailability, duration and rate."""

from __future__ import annotations

from typing import Any

from pkpd import units
from pkpd.components import Dose
from pkpd.errors import ModelError, choices
from pkpd.model.equations import expect, unit_of
from pkpd.model.model import Model


def check_doses(model: Model) -> None:
    """Dose routes reach states that exist, in the state's unit, with shares that are numbers or dimensionless parameters."""
    by_name = {s.name: s for s in model.states}
    for d in model.doses:
        where = f"{model.name}: dose route '{d.name}'"
        for target, share in d.into:
            if target not in by_name:
                raise ModelError(f"{where} goes into '{target}', which is no state. {choices(target, by_name)}")
            if d.unit and not units.parse(d.unit).same(units.parse(by_name[target].unit)):
                raise ModelError(f"{where} is in '{d.unit}' but state '{target}' in '{by_name[target].unit}'; give both one unit.")
            if isinstance(share, str):
                used = share_parameter(share)
                unit = units.parse(parameter_of(model, used, f"{where} splits by '{used}'").unit)
                expect(f"{where}: the share '{share}' for '{target}'", unit, "1")
        if len({units.parse(by_name[target].unit).scale for target, _ in d.into}) > 1:
            listed = ", ".join(f"'{target}' in '{by_name[target].unit}'" for target, _ in d.into)
            raise ModelError(f"{where} goes into states of different units ({listed}); give them one unit, or two dose routes.")
        _check_values(model, d)


def _check_values(model: Model, dose: Dose) -> None:
    """Lags and durations are times, bioavailabilities have no unit, rates are amounts by the hour."""
    amount = dose.unit or next(s.unit for s in model.states if s.name == dose.into[0][0])
    component = model.dose_owner[dose.name][1]
    wanted = {"lag": units.CLOCK, "bioavailability": "1", "duration": units.CLOCK, "rate": f"({amount or 1})/{units.CLOCK}"}
    for attribute, unit in wanted.items():
        value, where = getattr(dose, attribute), f"{model.name}: {attribute} of dose route '{dose.name}'"
        if isinstance(value, str) or callable(value):
            expect(where, unit_of(model, where, lambda scope, v=value, w=where: scope.dose_value(component, v, w)), unit)


def parameter_of(model: Model, name: str, where: str) -> Any:
    """The parameter by name, or the sentence `where` says about it."""
    if name not in model.param_names:
        raise ModelError(f"{where}, which is no parameter. {choices(name, model.param_names)}")
    return model.param(name)


def share_parameter(share: str) -> str:
    """The parameter in a dose's share, "f" or "1 - f"."""
    return share.replace(" ", "").removeprefix("1-")
