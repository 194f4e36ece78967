"""SIMULATED: elimination that saturates, learned by a closure where the mechanism is not given, beside the fit of the mechanism that made the data."""

from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import (
    Component,
    Dose,
    FitProblem,
    Param,
    Population,
    State,
    bolus,
    closure_priors,
    compose,
    laplace,
    lognormal,
    loss,
    neural_rate,
    proportional_error,
    read_cohort,
    simulate,
    total,
    what_if,
)
from pkpd.models.classic import michaelis_menten_iv, one_compartment

EXAMPLE = "assumption: made up for this example"
TRUTH = {"Vmax": 20.0, "Km": 2.0, "V": 32.0, "omega_Vmax": 0.2, "sigma": 0.08}
DOSES, LOOKS, EACH = (40.0, 120.0, 320.0), (0.5, 2, 5, 9, 14, 20, 28, 36), 4  # mg, h, subjects a dose
BEYOND, AT = 1280.0, np.geomspace(0.1, 40.0, 40)  # mg; mg/L
SAVED = Path(__file__).resolve().parents[1] / "validation" / "hybrid_elimination.csv"

# closure
C_SEEN = Param("C_seen", 10.0, "mg/L", "largest concentration of the data", source="320 mg in 32 L")
slowing = neural_rate("slowing", C_SEEN, size=1.0, source="assumption: a factor of 2.7 either way would not surprise")

elimination = Component(
    "elimination",
    states=State("central", "mg", "drug in the central compartment"),
    params=(one_compartment.CL, one_compartment.V, *slowing.params),
    rates=lambda t, y, p, s: total(loss("central", p.CL / p.V * y.central * slowing(p, y.central / p.V))),
    doses=Dose("iv", into="central"),
)
hybrid = compose("hybrid_elimination", elimination, observables=[one_compartment.cp], text=__doc__)
# end of closure


def simulated(seed: int = 1) -> pd.DataFrame:
    """NONMEM-style rows of `michaelis_menten_iv` at TRUTH; the largest rate of elimination differs between subjects."""
    between, within = jax.random.split(jax.random.PRNGKey(seed))
    amounts = np.repeat(DOSES, EACH)
    looks = [{"TIME": float(t), "EVID": 0, "MDV": 0, "AMT": 0.0} for t in LOOKS]
    dose = {"TIME": 0.0, "EVID": 1, "MDV": 1}
    rows = pd.DataFrame([{"ID": i + 1, **row} for i, amount in enumerate(amounts) for row in (dose | {"AMT": amount}, *looks)])
    vmax = TRUTH["Vmax"] * np.exp(TRUTH["omega_Vmax"] * np.asarray(jax.random.normal(between, (len(amounts),))))
    theta = pd.DataFrame({"ID": range(1, len(amounts) + 1), "Vmax": vmax, "Km": TRUTH["Km"], "V": TRUTH["V"]})
    f = simulate(michaelis_menten_iv, rows, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    return rows.assign(DV=f * (1 + TRUTH["sigma"] * np.asarray(jax.random.normal(within, (len(f),)))))


# problems
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
NOISE = {"cp": proportional_error(dist.HalfNormal(0.3))}
VOLUME = lognormal(dist.LogNormal(3.5, 0.5), source=EXAMPLE)


def problem(model, **priors):
    """Either model with the simulated data, one volume for all."""
    cohort = read_cohort(simulated(), model, units=UNITS, name="simulated elimination")
    return FitProblem(model, cohort, Population(V=VOLUME, **priors), NOISE, name=model.name, simulated=True)


def learned():
    """The closure: clearance, and how it changes with the concentration."""
    return problem(hybrid, CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(0.5), source=EXAMPLE), **closure_priors(slowing))


def mechanistic():
    """The law that made the data."""
    return problem(
        michaelis_menten_iv,
        Vmax=lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(0.5), source=EXAMPLE),
        Km=lognormal(dist.LogNormal(0.7, 1.0), source=EXAMPLE),
    )


# end of problems


# results
def clearances(fit, at) -> pd.DataFrame:
    """Clearance (L/h) at concentrations `at` (mg/L): the true one Vmax/(Km + C), and median and 90 % interval of the fit's."""
    at = np.asarray(at, float)
    draws = {n: np.asarray(fit.tree["posterior"][n]).ravel()[:, None] for n in fit.problem.population.estimated}
    learns = "CL" in draws
    value = draws["CL"] * np.asarray(slowing(hybrid.typical | draws, at)) if learns else draws["Vmax"] / (draws["Km"] + at)
    low, middle, high = np.quantile(value, (0.05, 0.5, 0.95), axis=0)
    return pd.DataFrame({"at": at, "true": TRUTH["Vmax"] / (TRUTH["Km"] + at), "low": low, "median": middle, "high": high})


# end of results
def profiles(fit) -> pd.DataFrame:
    """Concentrations (mg/L) of a typical subject after BEYOND, four times the largest dose of the data: the true ones, median and 90 % interval over draws."""
    times = np.arange(0.0, 121.0, 4.0)
    runs = what_if(
        fit, {"beyond": bolus((BEYOND, "mg"))}, times=times, key=jax.random.PRNGKey(2), n_subjects=1, draws=200, vary=("parameters",)
    )
    low, middle, high = np.quantile(runs["cp"].values[0, :, 0], (0.05, 0.5, 0.95), axis=0)
    rows = pd.DataFrame({"ID": 1, "TIME": times, "EVID": (times == 0).astype(int), "AMT": np.where(times == 0, BEYOND, 0.0)})
    true = simulate(michaelis_menten_iv, rows, {n: TRUTH[n] for n in ("Vmax", "Km", "V")}, units={"TIME": "h", "AMT": "mg"})["cp"]
    return pd.DataFrame({"at": times, "true": true, "low": low, "median": middle, "high": high})


def results() -> pd.DataFrame:
    """Both fits (two minutes): clearance by concentration and a profile beyond the data; what the page shows."""
    tables = []
    for name, make in (("closure", learned), ("Michaelis-Menten", mechanistic)):
        fit = laplace(make(), seed=1, draws=1000)
        print(f"{name}: {fit.verdict.headline}\n{fit.summary.to_string()}")
        tables += [clearances(fit, AT).assign(fit=name, of="clearance"), profiles(fit).assign(fit=name, of="profile")]
    return pd.concat(tables, ignore_index=True)


def picture(table: pd.DataFrame):
    """Left: clearance by concentration; right: a dose four times the largest. Bands are 90 %."""
    from matplotlib import rc_context

    from pkpd.plots import figures, style

    with rc_context(style.RC):
        figure, (left, right) = figures.panels(2, columns=2, width=9.6, height=3.4)
        for ax, of in ((left, "clearance"), (right, "profile")):
            for name, color in (("closure", style.ROSE), ("Michaelis-Menten", style.BLUE)):
                mine = table[(table["fit"] == name) & (table["of"] == of)]
                ax.fill_between(mine["at"], mine["low"], mine["high"], color=color, alpha=0.25, linewidth=0)
                ax.plot(mine["at"], mine["median"], color=color, label=f"fit: {name}")
            ax.plot(mine["at"], mine["true"], color=style.INK, linestyle=":", label="truth")
        left.axvspan(C_SEEN.value, AT[-1], color=style.FAINT, alpha=0.7, linewidth=0)
        left.text(C_SEEN.value * 1.1, left.get_ylim()[1] * 0.93, "no data", va="top")
        left.set_xscale("log")
        left.set_xticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
        left.set(xlim=(AT[0], AT[-1]), xlabel="Concentration (mg/L)", ylabel="L/h", title="Clearance", ylim=(0, None))
        right.set(xlabel="Time (h)", ylabel="mg/L", title=f"After {BEYOND:g} mg, four times the largest dose", ylim=(0, None))
        right.legend()
    return figure


if __name__ == "__main__":
    results().to_csv(SAVED, index=False, float_format="%.5g")
