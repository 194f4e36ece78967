"""A fit problem whose parts do not fit together is refused in one sentence each."""

import re

import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import FitError, Sampler, additive_error, fixed, logit_normal, lognormal, lognormal_error, read_cohort
from pkpd.models.classic import one_compartment_iv
from tests import small


def refused(**changes) -> str:
    with pytest.raises(FitError) as caught:
        small.problem(**changes)
    return str(caught.value)


def test_an_unknown_parameter_names_the_nearest():
    text = refused(population=small.population(Cl=lognormal(dist.LogNormal(0, 1))))
    assert text == "small: Population names 'Cl', which one_compartment_iv does not have. Did you mean 'CL'? Known: CL, V."


def test_a_scale_that_does_not_fit_the_support():
    text = refused(population=small.population(CL=logit_normal(dist.Beta(2, 2))))
    assert text == "small: 'CL' has support 'positive'; use lognormal(...), not the logit scale."


def test_a_prior_whose_median_the_parameter_may_not_have():
    text = refused(population=small.population(V=lognormal(dist.LogNormal(800.0, 0.5))))
    assert text == (
        "small: 'V' has support 'positive' (above 0); its prior (LogNormal) has the median inf. "
        "LogNormal takes the logarithm of the median: for 800 write 6.68."
    )


def test_a_covariate_the_cohort_does_not_carry():
    text = refused(population=small.population(CL=lognormal(dist.LogNormal(0, 1)).effect("WT", reference=70, power=0.75)))
    assert text == "small: 'CL' has an effect of WT, which the cohort does not carry. Known: none."


def test_a_measured_observable_without_residual_error_and_the_reverse():
    assert refused(noise={}) == "small: 'cp' is measured but has no residual error; add noise['cp'] = lognormal_error(...)."
    both = {"cp": additive_error(1.0), "cq": additive_error(1.0)}
    assert refused(noise=both) == "small: noise names 'cq', which is not measured here. Known: cp."


def test_a_lognormal_residual_cannot_score_zero():
    table = small.records()
    table.loc[table.index[3], ["DV", "CENS"]] = [0.0, 0]
    cohort = read_cohort(table, model=one_compartment_iv, units=small.UNITS)
    with pytest.raises(FitError) as caught:
        small.FitProblem(one_compartment_iv, cohort, small.population(), {"cp": lognormal_error(dist.HalfNormal(0.5))}, name="zero")
    assert str(caught.value) == (
        "zero: row 4 (subject 1) has cp = 0, which a lognormal residual cannot score; 1 rows are like it. "
        "Mark them censored (CENS=1, DV=LLOQ) or use combined_error(...)."
    )


def test_sampler_settings_are_checked():
    with pytest.raises(FitError, match=r"Sampler\(chains=0\): a whole number of at least 1 is needed\."):
        Sampler(chains=0)
    with pytest.raises(FitError, match=r"Sampler\(target_accept=1\.2\): a number between 0 and 1 is needed\."):
        Sampler(target_accept=1.2)


def test_what_is_fixed_and_what_varies_is_listed():
    problem = small.problem(population=small.population(V=fixed(20.0)))
    assert problem.population_sites == ["CL", "omega_CL", "sigma_cp"]
    assert re.fullmatch(r"LogNormal: median 2\.\d+, 90 % 0\.8\d* to 8\.\d+", problem.prior_text("CL"))  # quantiles of 4000 draws
    assert problem.site_unit("CL") == "L/h"
    assert np.isfinite(problem.rows.dv).all()


def test_a_parameter_named_like_a_site_is_refused():
    from pkpd import Component, FitProblem, Observable, Param, State, compose, loss, total

    pool = Component(
        "pool",
        states=State("central", "mg", "drug"),
        params=Param("omega_CL", 0.1, "1/h", "a rate with an unlucky name", source="assumption: test"),
        rates=lambda t, y, p, s: total(loss("central", p.omega_CL * y.central)),
    )
    model = compose("unlucky", pool, observables=[Observable("cp", "mg", lambda y, p, s: y.central * 1.0, "amount")])
    table = small.records().assign(CMT=lambda t: np.where(t["EVID"] == 1, "central", ""))
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg"})
    with pytest.raises(FitError) as caught:
        FitProblem(model, cohort, small.Population(omega_CL=lognormal(dist.LogNormal(0, 1))), {"cp": additive_error(1.0)}, name="unlucky")
    assert str(caught.value) == ("unlucky: 'omega_CL' begins like a site of the fit (omega_...); give the parameter another name.")
