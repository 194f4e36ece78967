"""Doses chosen by gradient against differences, closed forms and brute force on a grid; what knowing more is worth, by hand."""

from __future__ import annotations

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import (
    FitError,
    Population,
    arm_outcomes,
    bolus,
    compare_doses,
    dose_problem,
    fixed,
    forecast,
    infusion,
    lognormal,
    optimise_dose,
    pareto_front,
    patient_prior,
    proportional_error,
    sum_of,
    target,
    uncertain_prior,
    virtual_people,
)
from pkpd.models.classic import one_compartment_iv
from pkpd.simulate.dose_freedom import Freedom, refuse_unscalable
from pkpd.simulate.dose_optimum import Search, _judged

DAY = ((0, "h"), (24, "h"))


@functools.cache
def people():
    population = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    prior = patient_prior(one_compartment_iv, population=population, noise={"cp": proportional_error(0.15)})
    return virtual_people(prior, subjects=200)


def auc():
    return target("auc", "cp", (-np.inf, np.inf), window=DAY, unit="mg*h/L", model=one_compartment_iv)


def peak(high: float = 6.0):
    return target("peak", "cp", (-np.inf, high), window=DAY, unit="mg/L", model=one_compartment_iv)


def exposure(limits=None):
    return dose_problem(people(), {"auc": auc(), "peak": peak()}, lambda v: v["auc"], unit="mg h/L", limits=limits or {})


@pytest.mark.slow
def test_measures_and_gradients_are_exact():
    """Two infusions: AUC and peak in closed form (panels of 12 Gauss-Legendre nodes: 1e-9), gradients in amount, time and duration against differences of
    fourth order (h = 1e-3: 1e-12 of the fifth derivative, rounding 1e-13 / h)."""
    twice = sum_of((infusion((100, "mg"), over=(2, "h")), infusion((50, "mg"), over=(1, "h")).at((10, "h"))))
    search = Search(exposure(), twice, Freedom((10.0, 500.0), (0.0, 20.0), (0.5, 4.0)))
    found = search.worth(search.own, people())
    cl, v = (people().theta[n] for n in ("CL", "V"))
    k = cl / v
    rest = lambda rate, on, off: rate / cl * (off - on - (1 - np.exp(-k * (off - on))) * np.exp(-k * (24 - off)) / k)  # noqa: E731
    expected = float(np.mean(rest(50.0, 0.0, 2.0) + rest(50.0, 10.0, 11.0)))
    assert float(found.by_draw[0]) == pytest.approx(expected, rel=1e-9)
    z = jnp.asarray([0.3, -0.2, -1.0, 0.4, 0.2, -0.5])
    value = jax.jit(lambda z: search.expected(z, people(), None, (12, (0.0, 0.25, 1.0)))[0])
    gradient = jax.jit(jax.grad(value))(z)
    h, at = 1e-3, lambda s, e: float(value(z + s * e))
    differences = [(8 * (at(h, e) - at(-h, e)) - at(2 * h, e) + at(-2 * h, e)) / (12 * h) for e in np.eye(6)]
    assert np.asarray(gradient) == pytest.approx(differences, rel=1e-6, abs=1e-7)


@pytest.mark.slow
def test_a_bolus_goes_to_the_edge_of_its_limit():
    """Peak D / V <= 6 in 95 % of 200 subjects: D = 6 x the eleventh smallest V. The last scaling is by steps of 2.5e-4."""
    problem = dose_problem(people(), {"auc": auc(), "peak": peak()}, lambda v: v["auc"], unit="mg h/L", limits={"peak": 0.05})
    found = optimise_dose(problem, bolus((100, "mg")), amounts=(10.0, 500.0), starts=3)
    edge = 6.0 * np.sort(people().theta["V"])[10]
    assert edge * (1 - 3e-4) < found.regimen.doses[0].amount <= edge * (1 + 1e-9)
    assert found.feasible and found.outside["peak"] <= 0.05 and "expected utility" in found.sentence


GIVEN = {
    "other units and a rate": sum_of(
        [bolus((0.05, "g")), bolus((20, "mg")), bolus((30000, "ug")).at((8, "h")), bolus((0.1, "g")).at_rate((40, "mg/h"))]
    ),
    "by weight, capped": infusion((2, "mg/kg"), over=(2, "h")).at_most((0.12, "g")),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_comes_back_is_what_was_looked_at(name):
    """The regimen given back, looked at again: the utility reported, to rounding (1e-12), in the model's unit."""
    few = replace(virtual_people(people().prior, subjects=5), covariates={"WT": 70.0})
    problem = dose_problem(few, {"auc": auc()}, lambda v: jnp.log(v["auc"]), unit="ln")
    search = Search(problem, GIVEN[name], Freedom())
    found = _judged(search, [search.own._replace(amount=1.2345678912 * search.own.amount)])
    assert {d.unit for d in found.regimen.doses} == {"mg"} and all(d.at_most is None for d in found.regimen.doses)
    again = compare_doses(problem, {"again": found.regimen}).table.loc["again", "utility"]
    assert again == pytest.approx(found.utility, rel=1e-12)
    total = sum(d.amount for d in found.regimen.doses)
    assert total == pytest.approx(float(np.sum(search.own.amount)) * 1.2345678912, rel=1e-8)


def test_bounds_are_kept_and_edges_are_told():
    """A total takes from what lies above the lower bound alone; what lies outside bounds or ends at their edge is named; the regimen given is a candidate."""
    free = Freedom((50.0, 200.0), equal=False, total=260.0)
    found = np.asarray(free.within_total(np.array([[50.0, 200.0, 110.0], [60.0, 70.0, 80.0]])))
    assert found[0].tolist() == pytest.approx([50.0, 50.0 + 150.0 * 11 / 21, 50.0 + 60.0 * 11 / 21]) and found[1].tolist() == [
        60.0,
        70.0,
        80.0,
    ]
    assert free.outside(([20.0, 60.0], [0.0, 0.0], [0.0, 0.0])) == ["amounts"] and free.outside(([200.0, 70.0], [0.0], [0.0])) == ["total"]
    assert Freedom(None, (0.0, 12.0)).at_edge({"times": [0.0, 11.99]}) == ["times at their lower bound 0", "times at their upper bound 12"]
    assert Freedom((10.0, 500.0)).at_edge({"amounts": [100.0]}) == []


@pytest.mark.slow
def test_a_regimen_at_a_bound_is_a_candidate():
    """AUC rises with the dose: the best of 10 to 100 mg is 100 mg itself, given or not, and the edge is told."""
    problem = dose_problem(virtual_people(people().prior, subjects=5), {"auc": auc()}, lambda v: v["auc"], unit="mg h/L")
    for start, said in ((0.1, False), (0.4, True)):
        found = optimise_dose(problem, bolus((start, "g")), amounts=(10.0, 100.0), starts=1)
        assert repr(found.regimen) == "Regimen(100 mg at 0 h)"
        assert "It ends at the edge of what may change (amounts at their upper bound 100): other bounds may do better." in found.sentence
        assert ("The regimen given lies outside the bounds (amounts) and was no candidate." in found.sentence) == said


def test_subjects_without_a_finite_value_are_counted_and_refused():
    """One of five subjects has NaN clearance: 20 % failed, not inside the limit, no finite utility; compared, it is refused in words."""
    whole = virtual_people(people().prior, subjects=5)
    theta = {n: np.where(np.arange(5) == 2, np.nan, x) if n == "CL" else x for n, x in whole.theta.items()}
    problem = dose_problem(replace(whole, theta=theta), {"peak": peak(100.0)}, lambda v: v["peak"], unit="mg/L", limits={"peak": 0.5})
    search = Search(problem, bolus((100, "mg")), Freedom())
    found = search.exact(type(search.own)(*(jnp.asarray(x)[None] for x in search.own)))
    assert float(found.failed[0]) == pytest.approx(0.2) and float(found.outside["peak"][0]) == pytest.approx(0.2)
    assert not np.isfinite(np.asarray(found.by_draw)).any()
    words = "20 % of the 5 subjects could not be solved or have no finite utility"
    with pytest.raises(FitError, match=rf"^compare_doses: under 'one' {words}\. Check the utility, the regimen and the solver\.$"):
        compare_doses(problem, {"one": bolus((100, "mg"))})
    with pytest.raises(FitError, match=rf"^optimise_dose: no regimen looked at has a finite utility \({words}\)\. "):
        _judged(search, [search.own])
    with pytest.raises(FitError, match=r"^arm_outcomes: under 'one' 20 % of the 5 subjects could not be solved"):
        arm_outcomes(problem.people, {"one": bolus((100, "mg"))}, problem.measures, lambda v: 0.0 * v["peak"])


def test_what_makes_no_problem_is_said():
    for words, text in (
        ({"amounts": (5.0, 5.0)}, r"amounts=\(5\.0, 5\.0\)\): two finite bounds, the lower one 0 or more and below the upper"),
        (
            {"times": (0.0, 12.0), "total": 10.0},
            r"total=10\.0\) is about amounts that may change; give amounts=\(low, high\), or leave it out",
        ),
        ({"amounts": (10.0, 20.0), "total": 8.0}, r"total=8\.0\): 1 doses of at least 10 come to 10; give more than that"),
    ):
        with pytest.raises(FitError, match=rf"^optimise_dose\({text}\.$"):
            Freedom(**words).check(1)
    with pytest.raises(
        FitError, match=r"^next_dose changes amounts, and the dose of 5 mg/kg has a cap \(at most 300\), which would no longer hold\. "
    ):
        refuse_unscalable(bolus((5, "mg/kg")).at_most((300, "mg")), "next_dose")
    with pytest.raises(
        FitError, match=r"^limits names 'auc', whose target has no finite limit; give target\(\.\.\., between=\(low, high\)\)\.$"
    ):
        exposure({"auc": 0.1})
    with pytest.raises(
        FitError,
        match=r"^optimise_dose: nothing may change\. Give amounts=\(low, high\), times=\(low, high\) or durations=\(low, high\)\.$",
    ):
        optimise_dose(exposure(), bolus((100, "mg")))
    with pytest.raises(FitError, match=r"^optimise_dose\(durations=\.\.\.\) needs doses given over a duration above 0, as in infusion"):
        optimise_dose(exposure(), bolus((100, "mg")), durations=(1.0, 2.0))


@pytest.mark.slow
def test_an_optimum_is_that_of_a_grid():
    """An interior optimum in amount and duration under a limit: 60 x 60 regimens looked at exactly. Utility is flat there: 1e-3 of it."""
    utility = lambda v: -((jnp.log(v["auc"] / 45.0)) ** 2) - 0.02 * v["late"] ** 2  # noqa: E731
    late = target("level", "cp", (-np.inf, np.inf), at=(12, "h"), unit="mg/L", model=one_compartment_iv)
    problem = dose_problem(people(), {"auc": auc(), "peak": peak(9.0), "late": late}, utility, unit="utils", limits={"peak": 0.1})
    once = infusion((100, "mg"), over=(2, "h"))
    found = optimise_dose(problem, once, amounts=(20.0, 300.0), durations=(0.5, 8.0), starts=4)
    search = Search(problem, once, Freedom((20.0, 300.0), None, (0.5, 8.0)))
    amount, lasts = (x.ravel()[:, None] for x in np.meshgrid(np.linspace(20, 300, 60), np.linspace(0.5, 8, 60)))
    told = search.exact(type(search.own)(jnp.asarray(amount), jnp.zeros_like(jnp.asarray(amount)), jnp.asarray(lasts)))
    good = np.asarray(told.outside["peak"]) <= 0.1
    best = float(np.max(np.asarray(told.by_draw)[:, 0][good]))
    assert found.feasible and found.utility >= best - 1e-3


@pytest.mark.slow
def test_knowing_is_worth_what_it_changes():
    """Two doses, utility -(ln AUC - ln 40)^2 of one known subject a draw: EVPI by hand; too close to tell, and told so."""
    one = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0))
    held = patient_prior(one_compartment_iv, population=one, noise={"cp": proportional_error(0.15)})
    assert virtual_people(held).shape == (1, 50)
    free = Population(CL=lognormal(dist.LogNormal(1.0, 1.0), between=0.05), V=fixed(20.0))
    prior = uncertain_prior(
        patient_prior(one_compartment_iv, {"CL": 3.0}, population=free, noise={"cp": proportional_error(0.15)}), 0.4, draws=30
    )
    who = virtual_people(prior, subjects=20, draws=30)
    problem = dose_problem(who, {"auc": auc()}, lambda v: -((jnp.log(v["auc"] / 40.0)) ** 2), unit="ln^2")
    found = compare_doses(problem, {"low": bolus((115, "mg")), "high": bolus((135, "mg"))})
    k = (who.theta["CL"] / who.theta["V"]).reshape(who.shape)
    area = lambda d: d / who.theta["CL"].reshape(who.shape) * (1 - np.exp(-24 * k))  # noqa: E731
    u = np.stack([-((np.log(area(d) / 40.0)) ** 2).mean(1) for d in (115.0, 135.0)], 1)
    assert found.by_draw.to_numpy() == pytest.approx(u, rel=1e-8)
    assert found.evpi == pytest.approx(u.max(1).mean() - u.mean(0).max(), rel=1e-7) and found.evpi > 0
    assert found.sentence.startswith("What is known cannot tell")


@pytest.mark.slow
def test_the_front_rises_with_what_is_allowed():
    problem = dose_problem(people(), {"auc": auc(), "peak": peak()}, lambda v: v["auc"], unit="mg h/L", limits={"peak": 0.05})
    front = pareto_front(problem, bolus((100, "mg")), "peak", (0.02, 0.1, 0.3), amounts=(10.0, 500.0), starts=2)
    edges = 6.0 * np.sort(people().theta["V"])[[4, 20, 60]]
    assert [r.doses[0].amount for r in front["regimen"]] == pytest.approx(edges, rel=4e-4)
    assert front["utility"].is_monotonic_increasing


@pytest.mark.slow
def test_one_patient_has_doses_behind_it():
    """A forecast's draws, resampled to equal weights: the AUC of what is left of 100 mg and of the new dose, in closed form."""
    population = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    prior = patient_prior(one_compartment_iv, population=population, noise={"cp": proportional_error(0.15)})
    rows = pd.DataFrame({"ID": 1, "TIME [h]": [0.0, 6.0], "AMT [mg]": [100.0, 0.0], "DV [mg/L]": [np.nan, 2.6]})
    seen = forecast(prior, rows)
    area = target("auc", "cp", (-np.inf, np.inf), window=((12, "h"), (24, "h")), unit="mg*h/L", model=one_compartment_iv)
    problem = dose_problem(seen, {"auc": area}, lambda v: v["auc"], unit="mg h/L")
    assert problem.people.shape == (1000, 1)
    found = compare_doses(problem, {"more": bolus((80, "mg")).at((12, "h"))})
    cl, v = (problem.people.theta[n] for n in ("CL", "V"))
    told = (100.0 * np.exp(-12 * cl / v) + 80.0) / cl * (1 - np.exp(-12 * cl / v))
    assert found.by_draw["more"].to_numpy() == pytest.approx(told, rel=1e-9)
    theta, weights = seen.patient.draws["CL"].to_numpy(), seen.patient.weights
    assert float(np.mean(cl)) == pytest.approx(float(weights @ theta), abs=5 * np.std(cl) / np.sqrt(seen.patient.ess))
