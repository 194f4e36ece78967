"""The parameters of one dose's samples: areas, terminal slope, clearance, volumes, and those of a dosing interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.simulate.exposure import derived_units
from pkpd.simulate.exposure.areas import area_above, auc, aumc
from pkpd.simulate.exposure.segments import value_at
from pkpd.simulate.exposure.terminal import lambda_z


@dataclass(frozen=True, eq=False)
class Interval:
    """Times since the dose [n] (h), values [n], which are `quantified`; the dose, hours to the next one, its duration; samples, those below the limit.

    `made`: the first value was not measured.
    """

    t: Any
    c: Any
    quantified: Any
    dose: float
    length: float
    duration: float
    samples: int
    blq: int
    made: bool


def parameters(x: Interval, route: str, method: str, single: bool, least: int, tolerance: float) -> dict[str, float]:
    """The parameters by name; what cannot be known is left out."""
    found: dict[str, float] = {"samples": x.samples, "blq": x.blq}
    seen = np.flatnonzero(x.quantified & (x.c > 0))
    if not len(seen):
        return found | ({"cmax": 0.0, "auc_last": 0.0, "auc_all": 0.0} if x.samples else {})
    measured = np.flatnonzero(np.arange(len(x.c)) >= int(x.made))
    top = measured[np.argmax(x.c[measured])]
    last = int(seen[-1])
    found |= {
        "cmax": float(x.c[top]),
        "tmax": float(x.t[top]),
        "tfirst": float(x.t[seen[0]]),
        "tlast": float(x.t[last]),
        "clast": float(x.c[last]),
    }
    if last > 0:
        found["auc_last"] = float(auc(x.t[: last + 1], x.c[: last + 1], method=method))
        found["auc_all"] = found["auc_last"] + _triangle(x, last)
    if last > 0:
        found |= _terminal(x, last, route, method, single, least, tolerance, found["auc_last"])
    return found | (_of_tau(x, method) if np.isfinite(x.length) else {})


def over_baseline(x: Interval, base: float | None, method: str) -> dict[str, float]:
    """The peak and the area to the last sample above a baseline (None: not asked for)."""
    if base is None or len(x.t) < 2:
        return {}
    peak = max(float(x.c.max()) - base, 0.0) if np.isfinite(base) else np.nan
    return {"peak_above_baseline": peak, "auc_above_baseline": float(area_above(x.t, x.c, base, method=method))}


def _triangle(x: Interval, last: int) -> float:
    """From the last quantifiable sample to a first one that counts as 0."""
    after = x.c[last + 1 : last + 2]
    return float(x.c[last] * (x.t[last + 1] - x.t[last]) / 2) if len(after) and after[0] == 0 else 0.0


def _terminal(x: Interval, last: int, route: str, method: str, single: bool, least: int, tolerance: float, area: float) -> dict[str, float]:
    used = np.where(x.quantified & (np.arange(len(x.c)) >= int(x.made)), x.c, np.nan)[: last + 1]
    line = lambda_z(x.t[: last + 1], used, least=least, tolerance=tolerance, peak=route == "bolus")
    lam, clast, tlast = float(line.lambda_z), float(x.c[last]), float(x.t[last])
    if not np.isfinite(lam):
        return {"points": 0}
    names = ("half_life", "r2", "adjusted_r2", "points", "span")
    found: dict[str, Any] = {"lambda_z": lam} | {n: float(getattr(line, n)) for n in names} | {"points": int(line.points)}
    found |= {"lambda_z_first": float(line.first), "lambda_z_last": float(line.last)}
    whole = area + clast / lam
    moment = float(aumc(x.t[: last + 1], x.c[: last + 1], method=method)) + clast * tlast / lam + clast / lam**2
    found |= {"auc_inf": whole, "auc_inf_pred": area + float(line.predicted) / lam, "extrapolated": clast / lam / whole, "aumc_inf": moment}
    return found | (_single(x, route, whole, moment, lam) if single else {})


def _single(x: Interval, route: str, whole: float, moment: float, lam: float) -> dict[str, float]:
    mrt = moment / whole - (x.duration / 2 if route == "infusion" else 0.0)
    cl = x.dose / whole
    if route == "extravascular":
        return {"mrt": mrt, "cl_f": cl, "vz_f": cl / lam}
    return {"mrt": mrt, "cl": cl, "vz": cl / lam, "vss": cl * mrt}


def _of_tau(x: Interval, method: str) -> dict[str, float]:
    """Of a dosing interval that samples cover to its end; a value at its end may be read off the line between two samples."""
    if len(x.t) < 2 or x.t[-1] < x.length:
        return {}
    inside = x.t <= x.length
    area = float(auc(x.t, x.c, end=x.length, method=method))
    mean, high, low = area / x.length, float(x.c[inside].max()), float(x.c[inside].min())
    end = float(value_at(x.t, x.c, x.length, method))
    low = min(low, end)
    swing = (high - low) / low if low > 0 else np.nan
    return {
        "auc_tau": area,
        "cavg": mean,
        "cmin": low,
        "ctau": end,
        "fluctuation": (high - low) / mean,
        "swing": swing,
        "cl_tau": x.dose / area,
    }


def units_of(dose: str, value: str, route: str) -> tuple[dict[str, str], float]:
    """The unit of each column, and the number by which clearances and volumes are multiplied to have theirs."""
    scale, volume = derived_units.volume(dose, value)
    hours = dict.fromkeys(("dose_time", "tmax", "tfirst", "tlast", "mrt", "half_life", "lambda_z_first", "lambda_z_last"), "h")
    values = dict.fromkeys(("cmax", "clast", "cavg", "cmin", "ctau", "peak_above_baseline"), value)
    areas = dict.fromkeys(("auc_last", "auc_all", "auc_inf", "auc_inf_pred", "auc_tau", "auc_above_baseline"), derived_units.area(value))
    flows = dict.fromkeys(("cl", "cl_f", "cl_tau"), derived_units.over_hour(volume))
    rest = {"dose": dose, "aumc_inf": derived_units.moment(value), "lambda_z": "1/h"}
    return hours | values | areas | flows | dict.fromkeys(("vz", "vz_f", "vss"), volume) | rest, scale
