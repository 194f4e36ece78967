"""A patient's mode, posterior and next dose against brute force: scipy's minimiser, a grid over the random effects, closed forms."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from pkpd import (
    FitError,
    Population,
    additive_error,
    bolus,
    combined_error,
    dose_problem,
    fixed,
    forecast,
    lognormal_error,
    next_dose,
    optimise_dose,
    patient_prior,
    proportional_error,
    sum_of,
    target,
)
from pkpd.approximate.importance import importance_weights
from pkpd.inference.fit import Fit
from pkpd.models.classic import one_compartment_iv
from pkpd.simulate.forecast import Forecast
from tests import small
from tests.compiled import compiled

UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}
TIMES, DV = (0.0, 1.0, 6.0, 12.0, 24.0), (np.nan, 4.0, 2.2, 1.1, 0.3)
OMEGA = np.array([[0.09, 0.6 * 0.3 * 0.2], [0.6 * 0.3 * 0.2, 0.04]])
WT = 85.0


def rows(n: int = 4, cens: bool = False) -> pd.DataFrame:
    """A bolus of 100 mg and the first n samples; with `cens` the last one is known to lie below 0.3 mg/L."""
    size = n + 1
    first = [1] + [0] * n
    table = pd.DataFrame(
        {"ID": 7, "TIME": TIMES[:size], "AMT": [100.0] + [0.0] * n, "EVID": first, "MDV": first, "DV": DV[:size], "WT": WT}
    )
    return table.assign(CMT=["iv"] + [""] * n, DVID=[""] + ["cp"] * n, CENS=[0] * n + [int(cens)])


@functools.cache
def prior(kind: str = "combined"):
    """CL with allometry, CL and V correlated."""
    error = {"additive": additive_error(0.2), "proportional": proportional_error(0.15), "combined": combined_error(0.1, 0.12)}
    error["lognormal"] = lognormal_error(0.15)
    people = Population(
        CL=fixed(3.0, between=0.3).effect("WT", reference=70.0, power=0.75), V=fixed(20.0, between=0.2), correlation=("CL", "V")
    )
    return patient_prior(one_compartment_iv, {"corr_CL_V": 0.6}, population=people, noise={"cp": error[kind]})


def course(eta: np.ndarray, t: np.ndarray) -> np.ndarray:
    """eta [.., 2] -> concentrations [.., T]."""
    cl, v = 3.0 * (WT / 70.0) ** 0.75 * np.exp(eta[..., :1]), 20.0 * np.exp(eta[..., 1:])
    return 100.0 / v * np.exp(-cl / v * t)


def objective(eta: np.ndarray, kind: str, table: pd.DataFrame) -> np.ndarray:
    """-2 log p(y | eta) + eta' Omega^-1 eta without n ln 2 pi of exact rows."""
    seen = table.iloc[1:]
    f, y, cens = course(eta, seen["TIME"].to_numpy()), seen["DV"].to_numpy(), seen["CENS"].to_numpy()
    spread = {"additive": 0.2 + 0 * f, "proportional": 0.15 * f, "combined": np.sqrt(0.01 + (0.12 * f) ** 2), "lognormal": 0.15 + 0 * f}[
        kind
    ]
    if kind == "lognormal":
        f, y, jacobian = np.log(f), np.log(y), np.log(y)
    else:
        jacobian = 0.0
    exact = norm.logpdf(y, f, spread) + 0.5 * np.log(2 * np.pi) - jacobian
    terms = np.where(cens == 1, norm.logcdf((y - f) / spread), exact)
    return -2 * terms.sum(-1) + np.einsum("...i,ij,...j->...", eta, np.linalg.inv(OMEGA), eta)


def mode(kind: str, table: pd.DataFrame) -> np.ndarray:
    """The lowest of five descents, to where a gradient of 1e-9 leaves 1e-10 of eta."""
    starts = np.random.default_rng(1).normal(0, 0.3, (5, 2))
    with np.errstate(over="ignore", invalid="ignore"):  # a first step may go far
        found = [minimize(objective, s, args=(kind, table), method="BFGS", options={"gtol": 1e-9}) for s in starts]
    return min(found, key=lambda r: r.fun).x


@pytest.mark.slow
def test_the_mode_is_the_minimum_and_later_samples_compile_nothing():
    """Combined error, allometry, correlated etas, samples arriving one by one, the last below its limit (M3).

    1e-6: BFGS by differences stops with a gradient of 1e-6 or so; the search itself goes on to steps of 1e-8.
    """
    forecast(prior(), rows(1), units=UNITS)
    for table in (rows(2), rows(4), rows(4, cens=True)):
        seen = []
        assert compiled(lambda t=table, s=seen: s.append(forecast(prior(), t, units=UNITS).patient)) == 0
        eta = mode("combined", table)
        assert seen[0].eta.to_numpy() == pytest.approx(eta, abs=1e-6)
        assert seen[0].objective == pytest.approx(float(objective(eta, "combined", table)), abs=1e-8)
        assert seen[0].status == "converged" and seen[0].verdict.startswith("Converged")
        _posterior_on_a_grid(seen[0], table)


def _posterior_on_a_grid(patient, table) -> None:
    """Means and sds of the draws within five of their Monte Carlo errors (false alarms: 6e-7 each) of a trapezoidal grid, exact to rounding here."""
    u = np.linspace(-6, 6, 241)
    grid = np.stack(np.meshgrid(u, u, indexing="ij"), -1).reshape(-1, 2) @ np.linalg.cholesky(OMEGA).T
    w = np.exp(-0.5 * objective(grid, "combined", table))
    w /= w.sum()
    mean, sd = w @ grid, np.sqrt(w @ grid**2 - (w @ grid) ** 2)
    found = patient.weights @ patient.etas
    spread = np.sqrt(patient.weights @ patient.etas**2 - found**2)
    assert np.all(np.abs(found - mean) < 5 * sd / np.sqrt(patient.ess)) and np.all(np.abs(spread / sd - 1) < 5 * np.sqrt(1.5 / patient.ess))


@pytest.mark.slow
def test_where_late_doses_stand_is_part_of_the_program():
    """A lagged dose that arrives at the time of a sample: before it (ties="rows") or behind it; the same prior and sizes, the objective in closed form."""
    table = pd.DataFrame({"ID": 1, "TIME": [0.0, 1.0, 10.0, 12.0], "AMT": [100.0, 0, 100, 0], "LAG": [0.0, 0, 2, 0], "EVID": [1, 0, 1, 0]})
    table = table.assign(MDV=[1, 0, 1, 0], CMT=["iv", "", "iv", ""], DVID=["", "cp", "", "cp"], DV=[np.nan, 4.0, np.nan, 3.0], WT=WT)
    for ties, seen in (("rows", True), ("observations_first", False)):
        patient = forecast(prior(), table, units=UNITS | {"LAG": "h"}, ties=ties).patient
        (eta, p), y = (patient.eta.to_numpy(), patient.parameters), np.array([4.0, 3.0])
        f = course(eta, np.array([1.0, 12.0])) + np.array([0.0, 100.0 / p["V"] if seen else 0.0])
        told = -2 * norm.logpdf(y, f, np.sqrt(0.01 + (0.12 * f) ** 2)).sum() - 2 * np.log(2 * np.pi) + eta @ np.linalg.solve(OMEGA, eta)
        assert patient.objective == pytest.approx(told, abs=1e-8)


def test_few_effective_draws_and_tails_that_cannot_be_fitted_are_no_posterior():
    """The verdict of weights: equal ones, one that carries all, and 90 effective of 1000."""
    whole = forecast(prior(), rows(2), units=UNITS).patient
    equal = np.full(1000, 1e-3)
    one = importance_weights(np.where(np.arange(1000) == 3, 0.0, -900.0))
    assert one.pareto_k == np.inf
    few = np.where(np.arange(1000) < 90, 1 / 90, 0.0)
    assert replace(whole, weights=equal, pareto_k=None).verdict == "Converged: 1000 effective of 1000 draws."
    assert replace(whole, weights=one.weight, pareto_k=one.pareto_k).verdict.startswith(
        "The mode was found, but draws around it do not cover"
    )
    assert replace(whole, weights=few, pareto_k=0.3).verdict == (
        "The mode was found, but too few draws carry weight (Pareto k 0.30, 90 effective of 1000 draws; at least 100 are needed): ask for more with "
        "forecast(..., draws=...), or sample the patient with pkpd.sample."
    )


def test_doses_to_come_begin_where_the_records_end():
    """Before the last record, and among additional doses that the records still give, a regimen is refused; behind them all of them count, in closed form."""
    seen = forecast(
        prior(), rows(2).assign(ADDL=[2, 0, 0], II=[12.0, 0, 0]), units=UNITS
    )  # 100 mg at 0, 12 and 24 h; the last record at 6 h
    trough = target("trough", "cp", (0.5, np.inf), at=(48, "h"), unit="mg/L", model=one_compartment_iv)
    then = bolus((80, "mg"))
    with pytest.raises(
        FitError,
        match=r"^The regimen to come begins at 3 h, before the last record at 6 h; move it with \.at\(\(\.\.\., 'h'\)\), 6 h at least\.$",
    ):
        next_dose(seen, then.at((3, "h")), trough)
    told = r"^The regimen to come begins at 12 h, and the records give additional doses \(ADDL\) until 24 h: both would be given\. "
    with pytest.raises(FitError, match=told):
        next_dose(seen, then.at((12, "h")), trough)
    with pytest.raises(FitError, match=told):
        seen.predict([48.0], then.at((12, "h")))
    with pytest.raises(
        FitError, match=r"^optimise_dose\(times=\(20\.0, 40\.0\)\) may put a dose at 20 h, and the records give additional doses "
    ):
        problem = dose_problem(seen, {"trough": trough}, lambda v: v["trough"], unit="mg/L")
        optimise_dose(problem, then.at((36, "h")), times=(20.0, 40.0), starts=1)
    theta = seen.patient.draws
    k = (theta["CL"] / theta["V"]).to_numpy()
    decay = lambda amount, since: amount / theta["V"].to_numpy() * np.exp(-k * since)  # noqa: E731
    found = seen.predict([48.0], then.at((36, "h")))["cp"].to_numpy()[:, 0]
    assert found == pytest.approx(decay(100, 48) + decay(100, 36) + decay(100, 24) + decay(80, 12), rel=1e-10)


def test_amounts_are_in_the_unit_of_the_regimen_and_failed_draws_miss_the_target():
    """0.08 g is 80 mg, of doses of two units too; draws with NaN in the place of a clearance lie neither inside nor outside and are told."""
    seen = forecast(prior(), rows(2), units=UNITS)
    trough = target("trough", "cp", (0.5, 3.0), at=(36, "h"), unit="mg/L", model=one_compartment_iv)
    twice = sum_of([bolus((0.08, "g")).at((12, "h")), bolus((80, "mg")).at((24, "h"))])
    found = next_dose(seen, twice, trough, amounts=[0.1, 0.2])
    theta, w = seen.patient.draws, seen.patient.weights
    k = (theta["CL"] / theta["V"]).to_numpy()
    decay = lambda amount, since: amount / theta["V"].to_numpy() * np.exp(-k * since)  # noqa: E731
    value = decay(100, 36) + decay(200, 24) + decay(200, 12)
    inside = (value >= 0.5) & (value <= 3.0)
    line = found.table.set_index("amount").loc[0.2]
    assert line["inside"] == pytest.approx(float(w[inside].sum()), abs=1e-9) and line["failed"] == 0
    bad = np.arange(len(w)) % 4 == 0
    patient = replace(seen.patient, draws=theta.assign(CL=np.where(bad, np.nan, theta["CL"])))
    part = next_dose(Forecast(patient), twice, trough, amounts=[0.1, 0.2])
    line = part.table.set_index("amount").loc[0.2]
    assert line["failed"] == pytest.approx(float(w[bad].sum())) and line["inside"] == pytest.approx(float(w[inside & ~bad].sum()), abs=1e-9)
    assert line[["inside", "below", "above", "failed"]].sum() == pytest.approx(1.0)
    assert f"Draws of weight {line['failed']:.2g} could not be solved and count as missing it." in part.sentence
    with pytest.raises(FitError, match=r"^next_dose: no draw of the patient could be solved under any amount\. "):
        next_dose(Forecast(replace(patient, draws=theta.assign(CL=np.nan))), twice, trough, amounts=[0.1, 0.2])
    with pytest.raises(FitError, match=r"^next_dose changes amounts, and the dose of 5 mg/kg has a cap"):
        next_dose(seen, bolus((5, "mg/kg")).at_most((300, "mg")).at((24, "h")), trough)
    with pytest.raises(FitError, match=r"^one_compartment_iv has no observable 'effect'\. "):
        next_dose(seen, twice, replace(trough, observable="effect"))
    with pytest.raises(FitError, match=r"^next_dose\(probability=90\): a probability between 0 and 1\.$"):
        next_dose(seen, twice, trough, probability=90)


def test_what_a_forecast_cannot_take_is_said():
    table = rows(2)
    with pytest.raises(FitError, match=r"^A forecast takes the records of one patient, and these are of 2: 7, 8\.$"):
        forecast(prior(), pd.concat([table, table.assign(ID=8)]), units=UNITS)
    with pytest.raises(
        FitError, match=r"^The covariate 'WT' changes within the patient and a parameter has an effect of it; a forecast takes one value\. "
    ):
        forecast(prior(), table.assign(WT=[85.0, 85.0, 90.0]), units=UNITS)
    with pytest.raises(FitError, match=r"^forecast\(draws=10\): a whole number of at least 100 is needed\.$"):
        forecast(prior(), table, units=UNITS, draws=10)
    with pytest.raises(FitError, match=r"^one_compartment_iv: a value of corr_CL_V is missing\. Give a number for each of corr_CL_V\.$"):
        patient_prior(one_compartment_iv, population=prior().population, noise=prior().noise)
    with pytest.raises(FitError, match=r"^one_compartment_iv: 'omega_CL' is no value of this population\. "):
        patient_prior(one_compartment_iv, {"corr_CL_V": 0.1, "omega_CL": 0.3}, population=prior().population, noise=prior().noise)
    with pytest.raises(
        FitError, match=r"^one_compartment_iv: no parameter varies between subjects, so a patient's samples tell nothing\. "
    ):
        patient_prior(one_compartment_iv, population=Population(CL=fixed(3.0), V=fixed(20.0)), noise=prior().noise)
    with pytest.raises(FitError, match=r"^target\('peak', \.\.\.\) is read over a time: give window=\(\(0, 'h'\), \(24, 'h'\)\)\.$"):
        target("peak", "cp", (1, 2), at=(3, "h"), unit="mg/L", model=one_compartment_iv)
    with pytest.raises(
        FitError, match=r"^target\('level', 'cp', \(2, 1\)\): the lower limit is below the upper one; either may be infinite\.$"
    ):
        target("level", "cp", (2, 1), at=(3, "h"), unit="mg/L", model=one_compartment_iv)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["additive", "proportional", "lognormal"])
@pytest.mark.parametrize("cens", [False, True])
def test_the_mode_with_other_errors(kind, cens):
    found = forecast(prior(kind), rows(4, cens), units=UNITS).patient
    assert found.eta.to_numpy() == pytest.approx(mode(kind, rows(4, cens)), abs=1e-6)


@pytest.mark.slow
def test_the_mode_is_that_of_ebe():
    """Each of six subjects as a patient of its own, some with rows below the limit: both searches end within 1e-8 steps.

    The curvature here is by differences of step 0.02 standard deviations: h^4/30 of the fifth derivative, 1e-5 of it with these rows.
    """
    from pkpd import ebe

    values = {"CL": 3.2, "V": 19.0, "omega_CL": 0.35, "omega_V": 0.25, "sigma_cp": 0.17}
    problem = small.problem()
    own = ebe(problem, values)
    people = patient_prior(problem, values)
    for i in range(3):
        found = forecast(people, problem.cohort.subset([i])).patient
        assert found.eta.to_numpy() == pytest.approx(own.eta[i], abs=1e-7)
        assert found.covariance.to_numpy() == pytest.approx(own.covariance[i], rel=1e-4)


@pytest.mark.slow
def test_bands_and_doses_are_those_of_the_draws():
    """Bolus doses in closed form for every draw: levels to 1e-10, an AUC by Gauss-Legendre panels to 1e-9; the probability is a sum of weights."""
    seen = forecast(prior(), rows(3), units=UNITS)
    theta, w = seen.patient.draws, seen.patient.weights
    k = (theta["CL"] / theta["V"]).to_numpy()
    then = bolus((80, "mg")).every((12, "h"), times=2).at((24, "h"))
    runs = seen.predict([24.0, 30.0, 40.0], then)
    decay = lambda amount, since: amount / theta["V"].to_numpy() * np.exp(-k * since)  # noqa: E731
    assert runs["cp"].sel(time=40.0).to_numpy() == pytest.approx(decay(100, 40) + decay(80, 16) + decay(80, 4), rel=1e-10)
    auc = target("auc", "cp", (20, 30), window=((24, "h"), (36, "h")), unit="mg*h/L", model=one_compartment_iv)
    found = next_dose(seen, then, auc, amounts=[60, 80])
    told = (decay(100, 24) + decay(80, 0)) / k * (1 - np.exp(-12 * k))
    line = found.table.set_index("amount").loc[80.0]
    assert line["inside"] == pytest.approx(float(w[(told >= 20) & (told <= 30)].sum()), abs=1e-9)
    order = np.argsort(told)
    assert line["50%"] == pytest.approx(told[order][np.searchsorted(np.cumsum(w[order]), 0.5)], rel=1e-9)
    trough = target("trough", "cp", (0.5, np.inf), at=(36, "h"), unit="mg/L", model=one_compartment_iv)
    least = next_dose(seen, then, trough)
    need = (0.5 - decay(100, 36)) / decay(1, 12)  # mg for each draw; the amount is its 90 % quantile, found on a grid finer than 0.8 %
    exact = np.quantile(need, 0.9, weights=w, method="inverted_cdf")
    assert exact <= least.factor * 80 < exact * 1.009 and least.probability >= 0.9
    assert "lies above 0.5 mg/L with probability 0.9" in least.sentence


@pytest.mark.slow
def test_a_fit_carries_its_own_doubt():
    """The population's posterior widens the patient's; with no sample the draws are those of new subjects."""
    fit = small.fit()
    assert isinstance(fit, Fit)
    people = patient_prior(fit, draws=40)
    table = pd.DataFrame(
        {"ID": 1, "TIME": [0.0, 24.0], "AMT": [100.0, 0.0], "EVID": [1, 0], "MDV": 1, "CMT": ["iv", ""], "DVID": ["", "cp"], "DV": np.nan}
    )
    none = forecast(people, table, units=small.UNITS)
    mean = float(np.mean(np.log(people.draws["CL"])))
    sd = float(np.sqrt(np.mean(people.draws["omega_CL"] ** 2) + np.var(np.log(people.draws["CL"]))))
    got = np.log(none.patient.draws["CL"])
    assert float(none.patient.weights @ got) == pytest.approx(mean, abs=5 * sd / np.sqrt(none.patient.ess))
    one = pd.concat([table.head(1), table.tail(1).assign(TIME=4.0, MDV=0, DV=4.0)], ignore_index=True)
    seen = forecast(people, one, units=small.UNITS).patient
    got = np.log(seen.draws[["CL", "V"]].to_numpy())
    want, spread, ess = _by_brute_force(people.draws, 4.0, 4.0)
    error = spread * np.sqrt(1.0 / seen.ess + 1.0 / ess)
    assert np.all(np.abs(seen.weights @ got - want) < 5 * error)  # false alarm 6e-7 each


def _by_brute_force(draws, t: float, y: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and sd of (ln CL, ln V) of a new patient with one level: 4000 patients from the prior for each draw of the population, weighted by p(y)."""
    rng = np.random.default_rng(7)
    logs, weights = [], []
    for i in range(len(draws["CL"])):
        cl, v = (np.log(draws[n][i]) + draws[f"omega_{n}"][i] * rng.normal(size=4000) for n in ("CL", "V"))
        f = 100.0 / np.exp(v) * np.exp(-np.exp(cl - v) * t)
        logs.append(np.stack([cl, v], 1))
        weights.append(norm.pdf(y, f, draws["sigma_cp"][i] * f))
    x, w = np.concatenate(logs), np.concatenate(weights)
    w = w / w.sum()
    mean = w @ x
    return mean, np.sqrt(w @ (x - mean) ** 2), float(1 / np.sum(w**2))
