"""What point estimates refuse, and the words they do it with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import FitError, Population, ebe, lognormal, maximise, objective, proportional_error, read_cohort, student_error, subpopulations
from pkpd.approximate.bfgs import minimise
from pkpd.approximate.judge import at_boundary
from pkpd.approximate.text import columns
from pkpd.models.classic import one_compartment_iv
from tests.small import UNITS, population, problem, records

VALUES = {"CL": 3.0, "V": 20.0, "omega_CL": 0.3, "omega_V": 0.3, "sigma_cp": 0.15}


def without_limits(**changes):
    return replace(problem(**changes), cohort=read_cohort(records(2, lloq=0.0), model=one_compartment_iv, units=UNITS))


def refused(call, *args, **kw):
    with pytest.raises(FitError) as error:
        call(*args, **kw)
    return str(error.value)


def test_values_that_are_missing_unknown_or_impossible():
    p = without_limits()
    fewer = {k: v for k, v in VALUES.items() if k != "omega_V"}
    assert refused(ebe, p, fewer) == ("small: a value of omega_V is missing. Give a number for each of CL, V, omega_CL, omega_V, sigma_cp.")
    assert refused(objective, p, VALUES | {"omega_v": 1.0}) == (
        "small: 'omega_v' is no value of this population. Did you mean 'omega_V'? Known: CL, V, omega_CL, omega_V, sigma_cp."
    )
    assert refused(ebe, p, VALUES | {"omega_CL": -1.0}) == "small: omega_CL = -1 lies outside the support of its prior (HalfNormal)."
    assert refused(ebe, p, VALUES | {"CL": np.nan}) == "small: CL = nan lies outside the support of its prior (LogNormal)."


def test_correlations_that_are_none():
    specs = {n: lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(1.0)) for n in ("CL", "V")}
    p = without_limits(population=Population(**specs, correlation=("CL", "V")))
    assert refused(ebe, p, VALUES | {"corr_CL_V": 1.2}) == "small: the correlations of CL, V are not those of a positive definite matrix."


def test_methods_and_what_they_cannot_hold():
    p = without_limits()
    assert refused(objective, p, VALUES, "focei") == (
        "small: method 'focei' is not known. Did you mean 'FOCEI'? Known: FO, FOCE, FOCEI, Laplace, exact."
    )
    assert refused(objective, p, VALUES, "exact", 0) == "objective(nodes=0): a whole number of at least 1 is needed."
    limited = problem()
    n = int(np.sum(limited.rows.cens))
    first = limited.cohort.subjects[
        limited.cohort.observations["subject"].to_numpy(int)[limited.rows.index][np.argmax(limited.rows.cens != 0)]
    ]
    for method in ("FO", "FOCE", "FOCEI"):
        assert refused(objective, limited, VALUES, method) == (
            f"small: {method} linearises a normal residual, and {n} rows are censored (the first: subject {first}), each with a likelihood of its own. "
            "Use method='Laplace'."
        )
    tailed = without_limits(noise={"cp": student_error(proportional_error(dist.HalfNormal(0.5)), 4.0)})
    assert refused(maximise, tailed, "FOCE") == (
        "small: FOCE linearises independent normal residuals, and 'cp' has another law (Student t, proportional). Use method='Laplace'."
    )


def test_what_no_subject_owns_is_refused():
    kinds = without_limits(
        population=Population(**population().parameters, mixture=subpopulations(dist.Beta(2, 2), CL=dist.HalfNormal(1.0)))
    )
    assert refused(ebe, kinds, VALUES) == (
        "small: subpopulations have one mode for each kind, which the approximations do not follow. Sample the problem with pkpd.sample, which needs no "
        "approximation."
    )
    alike = without_limits(population=Population(CL=lognormal(dist.LogNormal(1.0, 1.0))))
    assert refused(ebe, alike, {"CL": 3.0, "sigma_cp": 0.1}) == (
        "small: no parameter varies between subjects, so there is no random effect to take the mode of. Give one between=...."
    )


def test_a_descent_backs_away_from_what_is_not_finite():
    """A quartic whose logarithm is missing below 0: the minimum at (1, 2) is reached from the edge."""

    def evaluate(z, carried):
        if z[0] <= 0:
            return np.nan, np.full(2, np.nan), carried
        value = (z[0] - 1 - np.log(z[0])) + (z[1] - 2) ** 4 + (z[1] - 2) ** 2
        return value, np.array([1 - 1 / z[0], 4 * (z[1] - 2) ** 3 + 2 * (z[1] - 2)]), carried + 1

    found = minimise(evaluate, np.array([0.01, 5.0]), 0, 1e-10, 200, lambda _: None)
    assert found.z == pytest.approx([1.0, 2.0], abs=1e-4)  # a gain of 1e-10 at curvatures 1 and 2 is 1.4e-5 away


def test_boundaries_are_known_by_name():
    assert at_boundary("omega_CL", 1e-4, -9.0) and at_boundary("chol_CL_V", 0.99, 8.0)
    assert not at_boundary("CL", 1e-4, -9.0) and not at_boundary("omega_CL", 0.3, -1.2)


def test_columns_line_up():
    assert columns(("", "SE"), [("CL", "0.1"), ("omega_CL", "-")]) == ["           SE", "CL        0.1", "omega_CL    -"]


def test_random_effects_of_students_t_are_refused():
    p = without_limits(population=population(CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5)).tails(5.0)))
    assert refused(objective, p, VALUES, "Laplace") == (
        "small: the random effects of 'CL' are Student's t, and the approximations are those of normal ones. "
        "Leave .tails(...) of 'CL' out, or sample the problem with pkpd.sample."
    )
