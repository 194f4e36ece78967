"""Calibration of all that one study may measure: what is simulated is what a fit of the same rows would score, and wrong laws are found."""

from __future__ import annotations

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

from pkpd import (
    Component,
    FitError,
    FitProblem,
    Observable,
    Param,
    Population,
    State,
    autoregressive,
    binary,
    by_group,
    by_subject,
    calibrate,
    compose,
    detection,
    limits_by,
    lognormal,
    lognormal_error,
    loss,
    ordinal,
    poisson_count,
    proportional_error,
    read_cohort,
    recist,
    student_error,
    total,
)
from pkpd.inference.arrow import dense
from pkpd.inference.calibrate_law import exact_law, refuse, replicate_model, study
from pkpd.inference.calibrate_limits import Limits, Simulated, cut, limits
from pkpd.inference.calibrate_program import Program, Replicates
from pkpd.inference.cohort_model import parameters
from pkpd.inference.geometry import _Tools
from pkpd.inference.space import Space
from pkpd.noise import Measurement
from pkpd.noise.limited import Limited
from pkpd.noise.power import StudentMeasurement
from tests import small

UNITS = {"TIME": "h", "AMT": "mg", "DV": dict.fromkeys(("copies", "heavy", "seen", "grade", "count"), "1")}
TIMES = (0.0, 4.0, 9.0)
WATCHED = {  # observable -> the columns of its rows
    "copies": {"DV": 4.0, "LLOQ": 2.5, "ULOQ": 9.0},
    "heavy": {"DV": 4.0, "LLOQ": 1.5, "ULOQ": np.nan},
    "seen": {"DV": 1.0, "LLOQ": 3.0, "ULOQ": np.nan},
    "grade": {"DV": 1.0, "LLOQ": np.nan, "ULOQ": np.nan},
    "count": {"DV": 3.0, "LLOQ": np.nan, "ULOQ": np.nan},
}


def records(n: int = 8) -> pd.DataFrame:
    """Every observable at every time; of `copies` one row lies between two limits, one below both, one above."""
    rows = [{"ID": i + 1, "TIME": t, "DVID": o, **c} for i in range(n) for t in TIMES for o, c in WATCHED.items()]
    table = pd.DataFrame(rows).assign(EVID=0, AMT=0.0, CMT="", MDV=0, CENS=0, LIMIT=np.nan)
    copies = table.index[table["DVID"] == "copies"]
    table.loc[copies[0], ["DV", "CENS", "LIMIT"]] = [2.5, 1, 1.0]
    table.loc[copies[1], ["DV", "CENS", "LLOQ"]] = [1.0, 1, 1.0]
    table.loc[copies[2], ["DV", "CENS"]] = [9.0, -1]
    return table


@functools.cache
def model():
    hold = Component(
        "hold",
        states=State("x", "1", "a value", initial="theta"),
        params=(Param("theta", 4.0, "1", "its start", "assumption: a test"), Param("k", 0.1, "1/h", "loss", "assumption: a test")),
        rates=lambda t, y, p, s: total(loss("x", p.k * y.x)),
    )
    seen = [Observable(o, "1", lambda y, p, s: y.x, "the value") for o in ("copies", "heavy", "seen")]
    whole = [Observable("grade", "1", lambda y, p, s: jnp.log(y.x), "its log"), Observable("count", "1", lambda y, p, s: y.x, "a mean")]
    return compose("hold", hold, observables=[*seen, *whole])


def noise(**changes) -> dict:
    spec = {
        "copies": lognormal_error(dist.HalfNormal(0.5)),
        "heavy": student_error(proportional_error(0.3), 4.0),
        "seen": detection(dist.HalfNormal(0.5)),
        "grade": ordinal((dist.Normal(0.5, 0.5), dist.HalfNormal(1.0)), slope=2.0),
        "count": poisson_count(),
    }
    return spec | changes


def problem(table: pd.DataFrame | None = None, **changes) -> FitProblem:
    cohort = read_cohort(records() if table is None else table, model=model(), units=UNITS)
    population = Population(theta=lognormal(dist.LogNormal(1.2, 0.5), between=dist.HalfNormal(0.4)), k=lognormal(dist.LogNormal(-2.0, 0.4)))
    return FitProblem(model(), cohort, population, noise(**changes), name="several")


def reported(data: Simulated) -> pd.DataFrame:
    """The records that a study would be written as."""
    table, dv, cens = records(), np.asarray(data.dv), np.asarray(data.cens)
    lloq = np.where((cens == 1) & ~np.isfinite(data.lower), dv, table["LLOQ"].mask(table["LLOQ"] == 1.0, 2.5))
    return table.assign(DV=dv, CENS=cens, LIMIT=np.asarray(data.lower), LLOQ=lloq)


@functools.cache
def study_and_its_records():
    """A program, its study and the truth's coordinates; and the coordinates of a problem that read the study as records."""
    one = problem()
    program = Program(one, one, Replicates())
    data, z = program.simulate(jax.random.PRNGKey(2), program.space.full_weights)
    other = Space(problem(reported(data)))
    other.labels()  # laid out before anything is traced
    return program, data, z + 0.1, other


@pytest.mark.slow
def test_a_simulated_study_is_scored_as_a_fit_of_its_records_scores_it():
    """Density and slope of the study as arguments, and of a problem that read its records: the same sums in another order, 1e-10."""
    program, data, z, other = study_and_its_records()
    between = np.isfinite(data.lower)
    assert set(np.where(between, 2, data.cens).tolist()) == {-1, 0, 1, 2}, "below, above, between two limits, and exact"
    assert other.problem.rows.lower[between].tolist() == [1.0] * int(between.sum())
    weights = program.space.full_weights
    both = lambda x: jnp.stack([program.potential(x, weights, data), other.potential(x, weights)])  # noqa: E731
    values, slopes = jax.jit(lambda x: (both(x), jax.jacrev(both)(x)))(z)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-10)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_the_metric_is_that_of_a_fit_of_its_records():
    """The same sums in another order, 1e-8."""
    program, data, z, other = study_and_its_records()
    found = program.information(z, other.full_weights, data)[0]
    np.testing.assert_allclose(found, dense(_Tools(other).data(z, other.full_weights), other), rtol=1e-8, atol=1e-8)


@pytest.mark.slow
def test_a_study_is_one_that_a_fit_accepts_and_its_classes_are_as_frequent_as_their_laws_say():
    """200 studies: the number of rows of each kind within 4.5 binomial sds of the sum of their probabilities (six kinds, false alarm 4e-5); the first
    study is read as records and fits a problem."""
    one, at, weights = problem(), limits(problem()), Space(problem()).full_weights
    is_of = {o: one.rows.observable == i for i, o in enumerate(one.observed_names)}

    def single(key):
        data, sites = study(one, key, weights)
        with handlers.seed(rng_seed=0), handlers.substitute(data=sites):
            law = exact_law(one, *parameters(one, weights))
        copies, seen, grade = (law.laws[one.observed_names.index(o)] for o in ("copies", "seen", "grade"))
        below = lambda y: jnp.exp(copies.log_below(copies.standardised(jnp.full(24, y))))  # noqa: E731
        expected = jnp.stack(
            [
                below(1.0),
                below(2.5) - below(1.0),
                1 - below(9.0),
                jnp.exp(seen.log_prob(jnp.ones(24))),
                *(jnp.exp(grade.log_prob(jnp.full(24, g))) for g in (1.0, 2.0)),
            ]
        )
        of = lambda o: (data.dv[is_of[o]], data.cens[is_of[o]], data.lower[is_of[o]])  # noqa: E731
        (dv, cens, lower), (yes, *_), (g, *_) = of("copies"), of("seen"), of("grade")
        between = jnp.isfinite(lower)
        found = jnp.stack(
            [(cens == 1) & ~between & (dv == 1.0), between & (dv == 2.5), (cens == -1) & (dv == 9.0), yes == 1, g == 1, g == 2]
        )
        return data, found, expected

    data, found, expected = jax.jit(jax.vmap(single))(jax.random.split(jax.random.PRNGKey(1), 200))
    p, seen = np.asarray(expected), np.asarray(found)
    sd = np.sqrt((p * (1 - p)).sum((0, 2)))
    assert np.all(np.abs(seen.sum((0, 2)) - p.sum((0, 2))) < 4.5 * sd)
    assert problem(reported(jax.tree.map(lambda x: x[0], data))).rows.dv.shape == at.lod.shape


@pytest.mark.parametrize("student", [False, True])
def test_rows_with_limits_as_arguments_are_those_of_the_law_with_limits_fixed(student):
    """Value and slope of exact rows, rows below, above and between limits, on the log scale; the same formulas, so 1e-12."""
    rng = np.random.default_rng(0)
    loc, scale, y = rng.normal(size=8), np.exp(rng.normal(size=8)), np.exp(rng.normal(size=8))
    cens, lower = np.array([1, 1, 0, 0, -1, -1, 1, 1]), np.where(np.arange(8) > 5, 0.4 * y, np.nan)
    logs = True if student else np.full(8, True)
    make = lambda m, c, low: StudentMeasurement(m, scale, 5.0, logs, c, low) if student else Measurement(m, scale, logs, c, low)  # noqa: E731
    every = np.ones(8, bool)
    fixed = lambda m: make(m, cens, lower).log_prob(y)  # noqa: E731
    traced = lambda m, c, low: Limited(make(m, np.zeros(8, int), np.full(8, np.nan)), c, low, every, every).log_prob(y)  # noqa: E731
    np.testing.assert_allclose(jax.jit(traced)(loc, cens, lower), fixed(loc), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.jacobian(traced))(loc, cens, lower), jax.jacobian(fixed)(loc), rtol=1e-12)


def test_an_assay_with_two_limits_has_them_in_every_row_and_a_yes_or_no_is_never_cut():
    one = problem()
    at = limits(one)
    of = {o: [x[one.rows.observable == i] for x in at] for i, o in enumerate(one.observed_names)}
    assert all(np.all(x == v) for x, v in zip(of["copies"], (1.0, 2.5, 9.0), strict=True))
    assert np.isnan(of["heavy"][0]).all() and np.all(of["heavy"][1] == 1.5) and np.isnan(of["heavy"][2]).all()
    assert all(np.isnan(x).all() for o in ("seen", "grade", "count") for x in of[o])


def test_two_kinds_of_intervals_stay_with_their_own_rows():
    table = records()
    copies = table.index[table["DVID"] == "copies"]
    table.loc[copies[5], ["DV", "CENS", "LIMIT"]] = [2.5, 1, 0.5]
    one = problem(table)
    lod = limits(one).lod[one.rows.observable == one.observed_names.index("copies")]
    assert lod[[0, 5]].tolist() == [1.0, 0.5] and np.isnan(np.delete(lod, [0, 5])).all()


def test_values_are_cut_where_the_assay_cuts_them():
    nan = np.nan
    at = Limits(
        np.array([1.0, 1.0, 1.0, nan, nan, nan, 0.0]), np.array([2.0, 2.0, 2.0, 2.0, nan, nan, 2.0]), np.array([9.0, 9, 9, 9, 9, nan, nan])
    )
    data = cut(jnp.array([0.5, 1.5, 9.5, 1.5, -3.0, 99.0, -1.0]), at)
    assert data.dv.tolist() == [1.0, 2.0, 9.0, 2.0, -3.0, 99.0, 0.0] and data.cens.tolist() == [1, 1, -1, 1, 0, 0, 1]
    np.testing.assert_array_equal(data.lower, [nan, 1.0, nan, nan, nan, nan, nan])


@pytest.mark.parametrize(
    ("observable", "law"),
    [
        ("heavy", by_subject(student_error(lognormal_error(0.3), 4.0), dist.HalfNormal(0.5))),
        ("heavy", autoregressive(proportional_error(0.2), 5.0)),
        ("heavy", by_group(proportional_error(dist.HalfNormal(0.5)), "ARM")),
        ("seen", recist(0.1, dist.Beta(1, 9), baseline="heavy")),
        ("grade", binary()),
    ],
)
@pytest.mark.slow
def test_laws_that_hold_by_design_read_nothing_that_was_observed(observable, law):
    """The law of blank rows scores a study finitely; a law that read an observed value would show NaN."""
    table = records().assign(ARM=lambda t: 1 + t["ID"] % 2)
    cohort = read_cohort(table, model=model(), units=UNITS, covariates=["ARM"])
    one = replace(problem(), cohort=cohort, noise=noise(**{observable: law}))
    refuse(one)
    weights = Space(one).full_weights
    data, sites = study(one, jax.random.PRNGKey(4), weights)
    value, _ = log_density(replicate_model(one), (data, weights), {}, sites)
    assert np.all(np.isfinite(data.dv)) and np.isfinite(value)


def test_a_law_that_needs_the_observed_values_is_refused_in_words():
    error = limits_by(proportional_error(dist.HalfNormal(0.5)), "M1")
    with pytest.raises(FitError) as told:
        refuse(small.problem(noise={"cp": error}))
    assert str(told.value) == (
        "small: the law of noise['cp'], proportional, M1, depends on the values that were observed, and calibration simulates new ones. Accepted are "
        "residual errors (plain, student_error, autoregressive, by_group, by_subject), detection, ordinal, recist, binary, counts and "
        "copies_per_reaction; leave that observable out, or write its law so that by_design holds."
    )


@pytest.mark.slow
def test_all_kinds_together_are_calibrated():
    """100 studies with every kind of row; false alarm 1 % (fixed seed)."""
    found = calibrate(problem(), n=100, ranks=49)
    assert found.calibrated, found.verdict
    assert found.table["censored"].sum() > 500 and (found.table["ess"] >= 49).mean() > 0.9


@pytest.mark.slow
def test_a_limit_of_detection_taken_for_another_kind_is_found():
    """LOD50 simulated, LOD95 fitted: the limit moves by 1.6 sd of the assay."""
    found = calibrate(problem(), n=100, ranks=49, posterior=problem(seen=detection(dist.HalfNormal(0.5), kind="LOD95")))
    assert not found.calibrated and "sigma_seen ranks are too" in found.verdict
