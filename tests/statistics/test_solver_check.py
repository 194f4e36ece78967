"""Draws sampled with a solver that is too loose, and with one that is not: what the certificate says, and where re-weighting moves the means."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr

from pkpd import Fit, FitError, FitProblem, Population, Solver, lognormal, proportional_error, read_cohort, simulate, solver_check
from pkpd.inference.reweigh import log_likelihoods
from pkpd.models.classic import one_compartment_iv

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
TIMES, ERROR, PROPOSED = (6.0, 12.0, 18.0, 24.0, 36.0), 0.01, 60_000
LOOSE = Solver(method="tsit5_batched", rtol=0.1, atol=0.1)
LOOSER = Solver(method="tsit5_batched", rtol=0.5, atol=1.0)
NORMAL = Solver(method="tsit5_batched")


@cache
def problem() -> FitProblem:
    """One subject of known residual error: two unknowns, and a closed form to know the truth by."""
    doses = {"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1, "DVID": ""}
    looks = [{"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0, "DVID": "cp"} for t in TIMES]
    table = pd.DataFrame([doses, *looks])
    exact = simulate(one_compartment_iv, table, {"CL": 3.0, "V": 20.0}, units=UNITS)["cp"].to_numpy()
    noisy = exact * (1 + ERROR * np.random.default_rng(0).normal(size=len(exact)))
    cohort = read_cohort(table.assign(DV=np.where(table["EVID"] == 0, noisy, np.nan)), model=one_compartment_iv, units=UNITS)
    population = Population(CL=lognormal(dist.LogNormal(1.0, 0.7)), V=lognormal(dist.LogNormal(3.0, 0.7)))
    return FitProblem(one_compartment_iv, cohort, population, {"cp": proportional_error(ERROR)})


def as_posterior(values: dict[str, np.ndarray]) -> xr.Dataset:
    return xr.Dataset({n: (("chain", "draw"), v.reshape(2, -1)) for n, v in values.items()})


@cache
def proposals() -> dict[str, np.ndarray]:
    """A box around the truth, wide enough for what the loose solvers find."""
    rng = np.random.default_rng(1)
    return {"CL": 3.0 * np.exp(0.035 * rng.uniform(-1, 1, PROPOSED)), "V": 20.0 * np.exp(0.07 * rng.uniform(-1, 1, PROPOSED))}


def density(solver: Solver) -> np.ndarray:
    """Relative posterior density of the proposals (the priors are flat over the box)."""
    value = log_likelihoods(replace(problem(), solver=solver), as_posterior(proposals()), {}, PROPOSED)
    return np.exp(value - value.max())


@cache
def fit(solver: Solver) -> Fit:
    """400 independent draws under `solver`, by rejection: what a perfect sampler would give."""
    kept = np.flatnonzero(np.random.default_rng(2).uniform(size=PROPOSED) < density(solver))[:400]
    tree = xr.DataTree.from_dict({"posterior": as_posterior({n: v[kept] for n, v in proposals().items()})})
    tree.attrs["report"] = json.dumps({"centring": {}})
    return Fit(tree, replace(problem(), solver=solver))


@cache
def truth() -> dict[str, float]:
    """Posterior means by the closed form."""
    weight = density(Solver())
    return {n: float(weight @ v / weight.sum()) for n, v in proposals().items()}


def test_a_loose_tolerance_is_flagged_and_the_means_move_to_the_exact_ones():
    found = solver_check(fit(LOOSE))
    table = found.table.set_index("name")
    assert found.status == "warning" and found.trusted and found.largest[0] == "V"
    for name, exact in truth().items():
        before, after = (abs(table.loc[name, column] - exact) / table.loc[name, "sd"] for column in ("mean", "mean_reweighted"))
        assert after < 0.15  # 400 draws know a mean to 0.05 sd, weighted ones to a little more
        assert after < 0.6 * before
    assert found.solver == "tsit5_batched (rtol 0.1)"
    assert "Use a tighter tolerance, Solver(method='tsit5_batched', rtol=0.001, atol=0.001), and sample again." in found.verdict


def test_a_tolerance_beyond_repair_has_weights_that_cannot_be_trusted():
    """The draws do not reach where the posterior is: no tail shows it, the effective number does."""
    found = solver_check(fit(LOOSER))
    assert found.pareto_k < 0.7 and found.ess < 100 and not found.trusted
    assert f"(good: below 0.7), but only {found.ess:.0f} effective draws of 400 are left. Use a tighter" in found.verdict
    assert found.verdict.endswith("The re-weighted numbers are no estimates either.")


def test_the_usual_tolerance_is_certified():
    found = solver_check(fit(NORMAL))
    assert found.status == "certified" and found.pareto_k < 0.7
    assert found.table["shift"].abs().max() < 1e-3 and found.difference < 1e-3
    assert found.draws == 400 and found.failed == 0 and found.ess == pytest.approx(400, rel=1e-3)
    assert found.checked_with == "rosenbrock (rtol 1e-8, atol 1e-10)"


def test_a_closed_form_is_exact_and_nothing_is_computed():
    found = solver_check(fit(Solver()))
    assert found.verdict == "Exact: closed_form has no tolerance, so there is nothing to re-weigh."
    assert found.draws == 0 and found.table.empty and found.pareto_k is None


def test_draws_and_tolerance_can_be_asked_for():
    found = solver_check(fit(NORMAL), rtol=1e-9, draws=100)
    assert found.draws == 100 and found.checked_with == "rosenbrock (rtol 1e-9, atol 1e-11)"


def without_compiler(monkeypatch):
    monkeypatch.setenv("PKPD_NATIVE", "wait")
    monkeypatch.setattr("pkpd.solve.native.available", lambda *_: "no C++ compiler was found")


def test_without_a_compiler_the_next_method_is_taken(monkeypatch):
    without_compiler(monkeypatch)
    assert solver_check(fit(NORMAL)).checked_with.startswith("rosenbrock (")
    monkeypatch.setattr("pkpd.inference.reweigh.OTHER", ("tolerance", ("native_rodas4",)))
    assert re.match(r"Not checked: no tighter solver can be had \(.*no C\+\+ compiler was found.*\)\.$", solver_check(fit(NORMAL)).verdict)


def test_a_fit_is_checked_with_the_solver_that_made_its_draws(monkeypatch):
    """Not with what "auto", or a problem changed since, would take today."""
    made = Fit(fit(LOOSE).tree.copy(), problem())
    made.tree.attrs["provenance"] = json.dumps({"solver": {**asdict(LOOSE), "chosen": "tsit5_batched", "reason": "asked for"}})
    assert solver_check(made).solver == "tsit5_batched (rtol 0.1)"
    made.tree.attrs["provenance"] = json.dumps({"solver": {**asdict(Solver()), "chosen": "native_tsit5"}})
    without_compiler(monkeypatch)
    with pytest.raises(
        FitError, match=r"was sampled with native_tsit5, which cannot be used here \(.*compiler.*stored with it: solver_check"
    ):
        solver_check(made)


@pytest.mark.slow
def test_machine_code_finds_the_same(monkeypatch):
    slow = solver_check(fit(LOOSE))
    monkeypatch.setenv("PKPD_NATIVE", "wait")
    fast = solver_check(fit(LOOSE))
    if fast.checked_with == slow.checked_with:
        pytest.skip("no C++ compiler here")
    assert fast.checked_with == "native_rodas4 (rtol 1e-8, atol 1e-10)"
    assert fast.pareto_k == pytest.approx(slow.pareto_k, abs=1e-3)
    assert np.allclose(fast.table["shift"], slow.table["shift"], atol=1e-4)
