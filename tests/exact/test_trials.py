"""Dose-finding trials against exact probabilities of 3+3, closed-form boundaries of BOIN and conjugate posteriors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from pkpd import FitError, TrialDesign, bayesian_limit, boin, simulate_trials, three_plus_three
from pkpd.simulate.trial_rules import isotonic

RATES = {"a": 0.05, "b": 0.15, "c": 0.3, "d": 0.5}


def up(p: float) -> float:
    """P(a dose is passed): none of 3, or 1 of 3 and none of 3 more."""
    return binom.pmf(0, 3, p) + binom.pmf(1, 3, p) * binom.pmf(0, 3, p)


def exact(rates) -> np.ndarray:
    """P(each dose is recommended), the last for none: passed up to it, and not the next (Lin & Shih 2001, without de-escalation)."""
    p = [up(r) for r in rates] + [0.0]
    reach = np.cumprod([1.0, *p[:-1]])
    return np.array([*(reach[j + 1] * (1 - p[j + 1]) for j in range(len(rates))), 1 - p[0]])


def enumerated(rates) -> np.ndarray:
    """The same with six at the dose recommended, by following every path."""
    found, top = np.zeros(len(rates) + 1), len(rates) - 1

    def go(level: int, n: tuple, y: tuple, chance: float) -> None:
        for k in range(4):
            p = chance * float(binom.pmf(k, 3, rates[level]))
            now_n = tuple(x + 3 * (i == level) for i, x in enumerate(n))
            now_y = tuple(x + k * (i == level) for i, x in enumerate(y))
            step(level, now_n, now_y, p)

    def step(level: int, n: tuple, y: tuple, p: float) -> None:
        toxic = [i for i in range(len(n)) if y[i] >= 2]
        ceiling = (toxic[0] if toxic else len(n)) - 1
        if y[level] >= 2:
            if level == 0:
                found[-1] += p
            elif n[level - 1] == 3:
                go(level - 1, n, y, p)
            else:
                found[level - 1] += p
        elif n[level] == 3 and y[level] == 1:
            go(level, n, y, p)
        elif level < min(ceiling, top):
            go(level + 1, n, y, p)
        elif n[level] == 3:
            go(level, n, y, p)
        else:
            found[level] += p

    go(0, (0,) * len(rates), (0,) * len(rates), 1.0)
    return found


@pytest.mark.parametrize(("expand", "truth"), [(False, exact), (True, enumerated)])
def test_three_plus_three_is_its_closed_form(expand, truth):
    """8000 trials: five shares within 4.5 standard errors (false alarms: 4e-5)."""
    told = truth(list(RATES.values()))
    assert told.sum() == pytest.approx(1.0, abs=1e-12)
    found = simulate_trials(TrialDesign(three_plus_three(expand), most=24), RATES, n=8000, seed=3)
    shares = np.append(found.table["selected"], found.summary["none_selected"])
    assert np.all(np.abs(shares - told) < 4.5 * np.sqrt(told * (1 - told) / 8000) + 1e-12)
    assert found.table["se_selected"].to_numpy() == pytest.approx(np.sqrt(shares[:4] * (1 - shares[:4]) / 8000))


def test_boin_has_the_published_boundaries():
    """Liu & Yuan 2015, Table 1: targets 0.15 to 0.4, to the three digits given."""
    table = {
        0.15: (0.118, 0.179),
        0.2: (0.157, 0.238),
        0.25: (0.197, 0.298),
        0.3: (0.236, 0.358),
        0.35: (0.276, 0.419),
        0.4: (0.316, 0.479),
    }
    for target, (low, high) in table.items():
        assert (boin(target).escalate, boin(target).deescalate) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize("target", [0.1, 0.2, 0.25, 0.3, 0.4])
def test_boin_boundaries_are_where_two_rates_are_as_likely(target):
    """lambda_e: rates 0.6 t and t are equally likely there, lambda_d: t and 1.4 t; the root found by bisection to 1e-12 (Liu & Yuan 2015, equation 4)."""
    like = lambda x, p: x * np.log(p) + (1 - x) * np.log(1 - p)  # noqa: E731
    rule = boin(target)
    for found, other in ((rule.escalate, 0.6 * target), (rule.deescalate, 1.4 * target)):
        even = brentq(lambda x, p=other: like(x, target) - like(x, p), *sorted((target, other)), xtol=1e-14)
        assert found == pytest.approx(even, abs=1e-12)


def test_boin_ends_when_a_dose_that_is_kept_has_had_enough():
    """6 of `enough` = 6 and staying ends it; going up or down does not; nor do 3; at the ends of the ladder staying counts though the rate points beyond."""
    rule, n = boin(0.3, enough=6), np.array([[6, 6, 0], [6, 6, 0], [6, 6, 0], [3, 3, 0], [6, 0, 0], [6, 6, 6]])
    y = np.array([[0, 2, 0], [0, 0, 0], [0, 3, 0], [0, 1, 0], [3, 0, 0], [0, 0, 0]])
    assert rule.decide(np.array([1, 1, 1, 1, 0, 2]), n, y)[1].tolist() == [True, False, False, False, True, True]
    assert simulate_trials(TrialDesign(rule, most=60), RATES, n=200).summary["subjects"] < 30
    with pytest.raises(
        FitError, match=r"^boin\(enough=0\): a whole number of subjects, at least 1, or None to go on until the last cohort\.$"
    ):
        boin(0.3, enough=0)


def test_what_is_closed_is_no_part_of_the_isotonic_estimate():
    """3 of 24, 3 of 6, and 14 of 30 closed: alone the second is 0.5, 0.2 from the target, and the first with 0.127 is nearer; pooled with the third it would be
    0.47 and win.
    """
    n, y = np.array([[24, 6, 30]]), np.array([[3, 3, 14]])
    rule = boin(0.3)
    assert rule.eliminated(n, y).tolist() == [2]
    pooled = isotonic((y + 0.05) / (n + 0.1), n, y)[0]
    assert abs(pooled[1] - 0.3) < abs(pooled[0] - 0.3)
    assert rule.select(np.zeros(1, int), n, y, np.ones(1, bool)).tolist() == [0]


def test_three_plus_three_from_above_recommends_what_was_given():
    """From the third dose: 2 of 3 go down to a dose nobody had, with and without six at the end; every dose recommended has been given."""
    for expand in (True, False):
        rule = three_plus_three(expand)
        following, stop = rule.decide(np.array([2]), np.array([[0, 0, 3, 0]]), np.array([[0, 0, 2, 0]]))
        assert following.tolist() == [1] and not stop.any()
        found = simulate_trials(TrialDesign(rule, most=24, start=2), RATES, n=2000, seed=4).table
        assert found.loc["a", "subjects"] > 0
        assert not np.any((found["selected"] > 0) & (found["subjects"] == 0))
    own = three_plus_three(False)
    assert own.select(np.array([2]), np.array([[0, 0, 3]]), np.array([[0, 0, 2]]), np.ones(1, bool)).tolist() == [-1]


def test_boin_goes_by_its_boundaries():
    """Cohort by cohort at the middle of three doses: 0 of 3 up, 1 of 3 stays, 2 of 3 down, 3 of 3 closes it (P(p > 0.3 | 3 of 3) = 0.992)."""
    n, level = np.array([[3, 3, 0]] * 4), np.full(4, 1)
    y = np.array([[0, k, 0] for k in range(4)])
    following, stop = boin(0.3).decide(level, n, y)
    assert following.tolist() == [2, 1, 0, 0] and not stop.any()
    assert boin(0.3).eliminated(n, y).tolist() == [3, 3, 3, 1]
    assert boin(0.3).decide(np.zeros(1, int), np.array([[3, 0, 0]]), np.array([[3, 0, 0]]))[1].all()
    assert boin(0.3).select(level[:1], np.array([[6, 12, 9]]), np.array([[0, 3, 5]]), np.ones(1, bool)).tolist() == [1]


def test_isotonic_estimates_pool_what_is_out_of_order():
    """Two doses out of order share their weighted mean; those in order stay."""
    n, y = np.array([[6, 6, 6]]), np.array([[2, 1, 4]])
    rate = (y + 0.05) / (n + 0.1)
    w = (n + 0.1) ** 2 * (n + 1.1) / ((y + 0.05) * (n - y + 0.05))
    pooled = (rate * w)[0, :2].sum() / w[0, :2].sum()
    assert isotonic(rate, n, y)[0] == pytest.approx([pooled, pooled, rate[0, 2]], rel=1e-12)


def test_a_bayesian_limit_is_a_beta_tail():
    """No toxicity of 3 goes up, 3 of 3 closes the first dose; the better the true rates, the higher the dose recommended."""
    rule = bayesian_limit(0.25)
    n = np.array([[3, 0], [3, 0]])
    following, stop = rule.decide(np.zeros(2, int), n, np.array([[0, 0], [3, 0]]))
    assert following[0] == 1 and stop.tolist() == [False, True]
    safe = simulate_trials(TrialDesign(rule, most=30), {"a": 0.01, "b": 0.02}, n=500)
    harsh = simulate_trials(TrialDesign(rule, most=30), {"a": 0.6, "b": 0.8}, n=500)
    assert safe.table.loc["b", "selected"] > 0.95 and harsh.summary["none_selected"] > 0.9


def test_dropouts_are_replaced_and_counted():
    """A share of 0.2 enrols 1 / 0.8 as many, within five standard errors (false alarm 6e-7); the trials themselves are the same."""
    plain = simulate_trials(TrialDesign(boin(0.3)), RATES, n=2000, seed=5)
    some = simulate_trials(TrialDesign(boin(0.3), dropout=0.2), RATES, n=2000, seed=5)
    assert plain.trials["selected"].equals(some.trials["selected"])
    ratio = some.trials["enrolled"].sum() / some.trials["subjects"].sum()
    assert ratio == pytest.approx(1.25, abs=5 * np.sqrt(0.2 / 0.8**2 / some.trials["subjects"].sum()))
    assert some.sentence.startswith("2000 trials: '")


def test_what_makes_no_trial_is_said():
    with pytest.raises(FitError, match=r"^3\+3 treats cohorts of 3, not 4\.$"):
        TrialDesign(three_plus_three(), cohort=4)
    with pytest.raises(
        FitError, match=r"^TrialDesign\(cohort=3, most=20\): cohorts are whole, so most is a multiple of cohort: 18 or 21\.$"
    ):
        TrialDesign(boin(0.3), most=20)
    with pytest.raises(FitError, match=r"^TrialDesign\(start=-1\): a whole number, at least 0\.$"):
        TrialDesign(boin(0.3), start=-1)
    with pytest.raises(FitError, match=r"^TrialDesign\(rule=0\.3\) has no method 'check'\. A rule is three_plus_three"):
        TrialDesign(0.3)
    with pytest.raises(FitError, match=r"^boin\(target=0\.3, low=0\.18, high=0\.2\): 0 < low < target < high < 1 is needed\.$"):
        boin(0.3, high=0.2)
    with pytest.raises(FitError, match=r"^simulate_trials: true rates lie from 0 to 1, one for each dose; got \{'a': 1\.5\}\.$"):
        simulate_trials(TrialDesign(boin(0.3)), {"a": 1.5})


@pytest.mark.slow
def test_toxicity_comes_from_the_model():
    """A steep probability of the peak D / V of each subject, in closed form; each trial has one draw of the population."""
    import numpyro.distributions as dist

    from pkpd import (
        Population,
        arm_outcomes,
        bolus,
        fixed,
        lognormal,
        patient_prior,
        proportional_error,
        target,
        uncertain_prior,
        virtual_people,
    )
    from pkpd.models.classic import one_compartment_iv

    people = Population(CL=fixed(3.0), V=lognormal(dist.LogNormal(3.0, 1.0), between=0.2))
    prior = patient_prior(one_compartment_iv, {"V": 20.0}, population=people, noise={"cp": proportional_error(0.15)})
    who = virtual_people(uncertain_prior(prior, 0.3, draws=8), subjects=50, draws=8)
    peak = target("peak", "cp", (0.0, np.inf), window=((0, "h"), (24, "h")), unit="mg/L", model=one_compartment_iv)
    arms = {f"{d} mg": bolus((d, "mg")) for d in (50, 100, 200)}
    found = arm_outcomes(who, arms, {"peak": peak}, lambda v: 1.0 / (1.0 + (8.0 / v["peak"]) ** 4))
    v = who.theta["V"].reshape(who.shape)
    for j, d in enumerate((50, 100, 200)):
        assert found.toxicity[..., j] == pytest.approx(1.0 / (1.0 + (8.0 * v / d) ** 4), rel=1e-9)
    oc = simulate_trials(TrialDesign(boin(0.3)), found, n=4000, seed=2)
    assert oc.table["toxicity"].to_numpy() == pytest.approx(found.rates.to_numpy())
    treated = oc.table["toxicities"] / oc.table["subjects"]
    assert treated["50 mg"] < treated["100 mg"] < treated["200 mg"]
