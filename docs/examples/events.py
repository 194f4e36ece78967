"""Steady state, lag, bioavailability, infusions by rate and covariates that change: the code of the page "Doses and events"."""

# model
import jax
import pandas as pd

from pkpd import Component, Covariate, Dose, Observable, Param, State, compose, flow, loss, predict, read_cohort, simulate, total

WHY = "assumption: round numbers for an example"

depot = Component(
    "absorption",
    states=State("depot", "mg", "drug waiting to be absorbed"),
    params=(
        Param("ka", 1.2, "1/h", "absorption rate constant", WHY),
        Param("tlag", 0.5, "h", "lag", WHY),
        Param("F", 0.6, "1", "bioavailability", WHY),
    ),
    reads="central",
    covariates=Covariate("FED", "1", "1 after a meal, else 0", reference=0.0),
    rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
    doses=Dose("oral", into="depot", lag=lambda p, s: p.tlag * (1.0 + s.FED), bioavailability="F"),
)
central = Component(
    "central",
    states=State("central", "mg", "drug in the central compartment"),
    params=(
        Param("CL", 3.0, "L/h", "clearance", WHY),
        Param("V", 30.0, "L", "volume", WHY),
        Param("D", 2.0, "h", "duration of the infusion", WHY),
    ),
    rates=lambda t, y, p, s: total(loss("central", p.CL / p.V * y.central)),
    doses=Dose("iv", into="central", duration="D"),
)
model = compose("events", depot, central, observables=[Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration")])
# end of model

# records
UNITS = {"TIME": "h", "AMT": "mg"}
COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "SS", "II", "ADDL", "RATE", "FED"]
records = pd.DataFrame(
    [
        (1, 0, 1, 100, "oral", 1, 12, 2, 0, 0),  # at steady state, every 12 h, two more to come
        (1, 2, 0, 0, "", 0, 0, 0, 0, 0),
        (1, 23, 0, 0, "", 0, 0, 0, 0, 0),
        (1, 30, 4, 80, "iv", 0, 0, 0, -2, 1),  # a reset, then an infusion whose duration is the model's D
        (1, 31, 0, 0, "", 0, 0, 0, 0, 1),
        (1, 33, 1, 100, "oral", 0, 0, 0, 0, 1),  # after a meal: twice the lag
        (1, 33.9, 0, 0, "", 0, 0, 0, 0, 1),
        (1, 36, 0, 0, "", 0, 0, 0, 0, 1),
    ],
    columns=COLUMNS,
)


def predictions() -> pd.DataFrame:
    return simulate(model, records, {"CL": 3.0}, units=UNITS).round(4)


# end of records


# gradients
def slopes() -> dict[str, float]:
    """d(prediction at 36 h) by lag, bioavailability and duration."""
    cohort = read_cohort(records.assign(DV=1.0, MDV=(records["EVID"] > 0).astype(int)), model, units=UNITS | {"DV": "mg/L"})
    at_36 = lambda theta: predict(model, theta, cohort)[-1]  # noqa: E731
    found = jax.grad(at_36)({"tlag": 0.5, "F": 0.6, "D": 2.0})
    return {name: round(float(value), 4) for name, value in found.items()}


# end of gradients
