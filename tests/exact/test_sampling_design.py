"""Expected information against PopED's published matrices, a closed form and brute force over all designs of a small grid."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import logit

from pkpd import (
    FitError,
    Population,
    bolus,
    choose_sizes,
    choose_times,
    compare_designs,
    criterion,
    expected_information,
    extra_sample,
    fixed,
    logit_normal,
    lognormal,
    lognormal_error,
    oral,
    patient_prior,
    proportional_error,
    sampling_group,
    uncertain_prior,
)
from pkpd.models.classic import one_compartment_iv, one_compartment_oral

TIMES = (0.5, 1, 2, 6, 24, 36, 72, 120)
# Warfarin of Nyberg et al. 2015 (Br J Clin Pharmacol 79:6) as PopED's documentation of `evaluate.fim` prints it: CL, V, KA, the variances of their random
# effects, the variance of the proportional error. First the block form, then the upper rows of the full one.
BLOCK = np.zeros((7, 7))
BLOCK[:3, :3] = [[19821.28445, -21.836551, -8.62214], [-21.836551, 20.656071, -1.807099], [-8.62214, -1.807099, 51.729039]]
BLOCK[3:, 3:] = [
    [3107.768, 10.728786, 0.02613561, 521.5403],
    [10.728786, 27307.089308, 3.265608, 11214.210707],
    [0.02613561, 3.265608, 41.81083599, 71.08763902],
    [521.5403, 11214.210707, 71.08763902, 806176.95068],
]
FULL = [
    [47625.234145, -341.996566, 35.504624, -2073.844, -5899.486674, 4.49053810, -54419.72354],
    [-341.996566, 30.887205, -12.589615, -16.8628, -54.629529, -6.55031322, -1070.93366],
    [35.504624, -12.589615, 452.758773, -0.833653, -43.619195, 18.65386273, 2955.92422],
]
RSE = (4.738266, 2.756206, 13.925829, 25.627205, 30.344316, 25.777327, 11.170784)


@functools.cache
def warfarin():
    one = lognormal(dist.LogNormal(0, 1), between=dist.HalfNormal(1))
    values = {"CL": 0.15, "V": 8.0, "ka": 1.0, "omega_CL": 0.07**0.5, "omega_V": 0.02**0.5, "omega_ka": 0.6**0.5, "sigma_cp": 0.1}
    noise = {"cp": proportional_error(dist.HalfNormal(1))}
    return patient_prior(one_compartment_oral, values, population=Population(CL=one, V=one, ka=one), noise=noise)


def group(times=TIMES):
    return sampling_group(32, oral((70, "mg")), {"cp": times}, model=one_compartment_oral)


def in_variances(m: np.ndarray) -> np.ndarray:
    """Information about variances from that about standard deviations: d s^2 / d s = 2 s."""
    values = warfarin().values
    x = np.array([1, 1, 1, *(2 * values[n] for n in list(values)[3:])])
    return m / np.outer(x, x)


@pytest.mark.slow
def test_warfarin_is_that_of_poped():
    """To the digits printed (seven or more significant ones)."""
    found = expected_information(warfarin(), [group()])
    assert in_variances(found.matrices[0]) == pytest.approx(BLOCK, rel=1e-6, abs=1e-6)
    rse = found.table["rse"].to_numpy() * np.array([1, 1, 1, 2, 2, 2, 2])  # that of a variance is twice that of its root
    assert rse == pytest.approx(RSE, rel=1e-6)
    slope = found.se_of(lambda v: v["CL"] / v["V"])
    cov, own = found.covariance[0], np.array([1 / 8.0, -0.15 / 64, 0, 0, 0, 0, 0])
    assert slope == pytest.approx(np.sqrt(own @ cov @ own), rel=1e-10)


@pytest.mark.slow
def test_exchange_finds_the_best_of_all_designs():
    """70 designs of 4 times of 8, and those with 1.2 h between samples; D, Ds, A and c by brute force, score and efficiency."""
    grid, few = TIMES, group((1, 6, 24, 72))
    whole = {t: expected_information(warfarin(), [group(t)]) for t in itertools.combinations(grid, 4)}
    for by in (criterion("D"), criterion("Ds", "ka"), criterion("A", ("CL", "ka")), criterion("c", lambda v: 0.693 * v["V"] / v["CL"])):
        found = choose_times(warfarin(), [few], {"cp": grid}, by=by)
        every = {t: by.score(x) for t, x in whole.items()}
        assert tuple(found.table["time"]) == max(every, key=lambda t: every[t])
        assert found.score == pytest.approx(max(every.values()), rel=1e-10)
    spaced = choose_times(warfarin(), [few], {"cp": grid}, by="D", apart=1.2)
    allowed = {
        t: criterion("D").score(expected_information(warfarin(), [group(t)]))
        for t in itertools.combinations(grid, 4)
        if min(np.diff(t)) >= 1.2
    }
    assert tuple(spaced.table["time"]) == max(allowed, key=lambda t: allowed[t])


@pytest.mark.slow
def test_subjects_go_where_they_tell_most():
    """12 subjects over three schedules: by brute force over all 91 ways to share them."""
    groups = [group((0.5, 1)), group((6, 24, 72)), group((1, 24, 120))]
    one = np.stack([expected_information(warfarin(), [replace(g, subjects=1)]).matrices for g in groups])
    whole = expected_information(warfarin(), [group()])
    ways = [(a, b, 12 - a - b) for a in range(13) for b in range(13 - a)]
    for by in (criterion("D"), criterion("c", "ka")):
        found = choose_sizes(warfarin(), groups, 12, by=by)
        every = {way: float(by.score(whole, np.einsum("g,gdpq->dpq", way, one))) for way in ways}
        assert found.score == pytest.approx(max(every.values()), rel=1e-10)
        assert sum(g.subjects for g in found.groups) == 12 and found.efficiency >= 1.0
    with pytest.raises(FitError, match=r"^choose_sizes\(total=2\): a whole number of subjects, at least 3 for these groups\.$"):
        choose_sizes(warfarin(), groups, 2, least=1)


@pytest.mark.slow
def test_designs_are_compared_in_subjects():
    """Twice the subjects are an efficiency of 2 by every criterion; an extra sample's gain is that of the design with it."""
    twice = replace(group(), subjects=64)
    for by in ("D", criterion("Ds", ("CL",)), criterion("A"), criterion("c", "CL")):
        table = compare_designs(warfarin(), {"one": [group()], "two": [twice]}, by=by)
        assert table["efficiency"].tolist() == pytest.approx([1.0, 2.0], rel=1e-9)
    more = extra_sample(warfarin(), [group((1, 6, 24, 72))], {"cp": (0.25, 4, 110)}, "ka")
    direct = {t: expected_information(warfarin(), [group((1, 6, 24, 72, t))]).se_of("ka") for t in (0.25, 4.0, 110.0)}
    assert dict(zip(more["time"], more["se"], strict=True)) == pytest.approx(direct, rel=1e-9)
    assert more["time"].iloc[0] == 0.25 and more["se"].is_monotonic_increasing


@pytest.mark.slow
def test_draws_are_averaged():
    """ln det over draws of the population: the mean of what each draw gives alone."""
    wide = uncertain_prior(warfarin(), {"CL": 0.3, "ka": 0.3}, draws=3)
    got = criterion("D").score(expected_information(wide, [group()], draws=3))
    alone = [
        criterion("D").score(expected_information(replace(warfarin(), values={n: float(x[i]) for n, x in wide.draws.items()}), [group()]))
        for i in range(1)
    ]
    first = expected_information(wide, [group()], draws=3)
    assert np.linalg.slogdet(first.matrices[0])[1] == pytest.approx(alone[0], rel=1e-9)
    assert got == pytest.approx(np.mean(np.linalg.slogdet(first.matrices)[1]), rel=1e-12)


def test_what_cannot_be_designed_is_said():
    with pytest.raises(FitError, match=r"^There is no criterion 'E'\. "):
        criterion("E")
    with pytest.raises(FitError, match=r"^criterion\('Ds'\) needs what it is of, as in criterion\('Ds', 'CL'\)\.$"):
        criterion("Ds")
    with pytest.raises(FitError, match=r"^sampling_group\(subjects=0\): a positive number is needed\.$"):
        sampling_group(0, oral((70, "mg")), {"cp": [1]}, model=one_compartment_oral)
    with pytest.raises(
        FitError, match=r"^A group takes 8 samples of 'cp', and there are fewer candidates\. Give more times, or fewer samples\.$"
    ):
        choose_times(warfarin(), [group()], {"cp": [1, 2, 3]})
    held = patient_prior(
        one_compartment_iv, population=Population(CL=fixed(3.0, 0.3), V=fixed(20.0)), noise={"cp": proportional_error(0.1)}
    )
    with pytest.raises(
        FitError, match=r"^one_compartment_iv: every value of this population is held as a number, so a study has nothing to estimate\."
    ):
        expected_information(held, [group()])
    with pytest.raises(
        FitError, match=r"^draws=5: this prior holds one value of each; take patient_prior\(fit\), or uncertain_prior\(prior, cv=0\.2\)\.$"
    ):
        expected_information(warfarin(), [group()], draws=5)


@pytest.mark.slow
def test_the_full_matrix_is_that_of_poped():
    """PopED differentiates by differences of 1e-4 or so: four digits and more agree."""
    found = in_variances(expected_information(warfarin(), [group()], full=True).matrices[0])
    assert found[:3] == pytest.approx(np.array(FULL), rel=5e-4)
    assert found[3:, 3:] == pytest.approx(BLOCK[3:, 3:], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["FO", "FOCE"])
def test_one_lognormal_sample_in_closed_form(method):
    """ln y = ln D - ln V - eta + e at time 0: information about V is N / V^2 / (w^2 + s^2), and half of N d(w^2)^2 / (w^2 + s^2)^2 about the spreads."""
    one = lognormal(dist.LogNormal(0, 1), between=dist.HalfNormal(1))
    people = Population(CL=fixed(3.0), V=one)
    noise = {"cp": lognormal_error(dist.HalfNormal(1))}
    prior = patient_prior(one_compartment_iv, {"V": 20.0, "omega_V": 0.4, "sigma_cp": 0.2}, population=people, noise=noise)
    found = expected_information(prior, [sampling_group(10, bolus((100, "mg")), {"cp": [0.0]}, model=one_compartment_iv)], method=method)
    total = 0.4**2 + 0.2**2
    slopes = 2 * np.array([0.4, 0.2])
    expected = np.zeros((3, 3))
    expected[0, 0] = 10 / 20.0**2 / total
    expected[1:, 1:] = 0.5 * 10 * np.outer(slopes, slopes) / total**2
    assert found.matrices[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_continuous_times_are_no_worse_than_any_grid_near_them():
    """Narrowed times beat every design of a grid of 2 h around them by exhaustion in one time at a time."""
    few = group((1, 6, 24, 72))
    found = choose_times(warfarin(), [few], {"cp": np.arange(0.5, 120.5, 4.0)}, by="D", continuous=True)
    times = found.table["time"].to_numpy()
    for k in range(4):
        for step in (-0.3, 0.3):
            moved = np.array(times)
            moved[k] = np.clip(moved[k] + step, 0.5, 116.5)
            assert criterion("D").score(expected_information(warfarin(), [group(moved)])) <= found.score + 1e-4
    assert found.efficiency > 1.0


def test_uncertain_values_stay_where_they_must():
    """A fraction stays between 0 and 1, spreads positive, a coefficient changes sign freely, a correlation stays; means and sds of 4000 draws.

    Lognormal mean m (1 + cv^2)^(1/2) around the median m. Five Monte Carlo errors: false alarms 6e-7 each; the logit by its draws' logit, exact.
    """
    people = Population(
        CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(1.0)).effect("WT", reference=70.0, power=dist.Normal(0.0, 1.0)),
        V=lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(1.0)),
        correlation=("CL", "V"),
    )
    values = {"CL": 3.0, "V": 20.0, "omega_CL": 0.3, "omega_V": 0.2, "beta_CL_WT": -0.5, "corr_CL_V": 0.9, "sigma_cp": 0.1}
    prior = patient_prior(one_compartment_iv, values, population=people, noise={"cp": proportional_error(dist.HalfNormal(1.0))})
    found = uncertain_prior(prior, 0.5, draws=4000).draws
    assert np.all(found["corr_CL_V"] == 0.9) and found["omega_V"].min() > 0 and found["beta_CL_WT"].max() > 0
    assert found["beta_CL_WT"].mean() == pytest.approx(-0.5, abs=5 * 0.25 / 4000**0.5)
    assert found["beta_CL_WT"].std() == pytest.approx(0.25, rel=5 / 8000**0.5)
    assert np.log(found["CL"]).mean() == pytest.approx(np.log(3.0), abs=5 * np.log1p(0.25) ** 0.5 / 4000**0.5)
    share = replace(
        prior,
        population=Population(CL=people.parameters["CL"], V=logit_normal(dist.Beta(2.0, 2.0), between=0.2)),
        values=values | {"V": 0.9},
    )
    fraction = uncertain_prior(share, {"V": 0.5}, draws=4000).draws["V"]
    assert fraction.min() > 0 and fraction.max() < 1
    assert logit(fraction).std() == pytest.approx(0.5 / 0.1, rel=5 / 8000**0.5)  # d logit = dx / (x (1 - x))
    with pytest.raises(
        FitError,
        match=r"^uncertain_prior\(cv=\{'corr_CL_V': 0\.2\}\): a correlation has no coefficient of variation\. Leave it out: it stays at 0\.9; ",
    ):
        uncertain_prior(prior, {"corr_CL_V": 0.2})
    with pytest.raises(FitError, match=r"^uncertain_prior\(cv=-0\.1\): coefficients of variation are 0 or more\.$"):
        uncertain_prior(prior, -0.1)
    with pytest.raises(FitError, match=r"^uncertain_prior\(cv=\{'beta_CL_WT': 0\.1\}\): the value is 0, "):
        uncertain_prior(replace(prior, values=values | {"beta_CL_WT": 0.0}), {"beta_CL_WT": 0.1})
