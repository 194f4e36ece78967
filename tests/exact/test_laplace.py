"""`laplace` where the posterior is known: the density it weighs by, the linear normal model, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import FitError, FitProblem, Population, Solver, bolus, fixed, laplace, load_fit, lognormal, lognormal_error, read_cohort, what_if
from pkpd.approximate.as_fit import opened
from pkpd.approximate.importance import importance_weights
from pkpd.approximate.laplace import descend, root_of, surface_of
from pkpd.approximate.laws import Law
from pkpd.approximate.nested import Nested
from pkpd.approximate.posterior_surface import log_prior
from pkpd.models.classic import one_compartment_iv
from pkpd.report import render_report
from tests.exact.test_linear_mixed import OMEGA, SIGMA, by_subject, cohort_of
from tests.small import UNITS, problem, records

PRIOR = (3.0, 0.5)


def linear(counts=(1, 4, 2, 6, 3), **changes):
    """log y_ij = log 100 - log V - eta_i + e_ij with both spreads known: (log V, eta) is normal."""
    spec = {"V": lognormal(dist.LogNormal(*PRIOR), between=OMEGA), "CL": fixed(1e-12)}
    noise, solver = {"cp": lognormal_error(SIGMA)}, Solver(method="closed_form", native="off")
    return FitProblem(one_compartment_iv, cohort_of(counts), Population(**(spec | changes)), noise, name="linear", solver=solver)


def known(p):
    """Posterior mean and covariance of (log V, eta_1..N), eta of V itself: phi_i = log V + eta_i, log y = log 100 - phi_i + e."""
    rows, n = by_subject(p), len(p.cohort.subjects)
    design = np.concatenate([np.tile(np.r_[-1.0, -np.eye(n)[i]], (len(x), 1)) for i, x in enumerate(rows)])
    precision = np.diag(np.r_[1 / PRIOR[1] ** 2, np.full(n, OMEGA**-2.0)]) + design.T @ design / SIGMA**2
    right = np.r_[PRIOR[0] / PRIOR[1] ** 2, np.zeros(n)] + design.T @ (np.concatenate(rows) - np.log(100)) / SIGMA**2
    return np.linalg.solve(precision, right), np.linalg.inv(precision)


@pytest.mark.slow
def test_marginal_mode_curvature_and_effects_of_the_linear_model_are_exact():
    """Mode and sd of log V to the descent's own tolerance (1e-4 in -2 log density is 0.01 sd; the curvature is by differences of 1e-3). Weights of the
    pilot draws are those of a normal law under a t with 5 degrees of freedom; and given log V each effect is exactly normal, so u is right for any M.
    4.5 standard errors of 8 means: false-alarm rate 6e-5.
    """
    p = linear()
    mean, covariance = known(p)
    surface = surface_of(p)
    at = descend(surface)
    root = root_of(surface.curvature(at.z, at.carried))
    sd = covariance[0, 0] ** 0.5
    assert at.z[0] == pytest.approx(mean[0], abs=0.01 * sd) and abs(root[0, 0]) == pytest.approx(sd, rel=1e-4)
    drawn = Nested(surface.marginal, (Law(at.z, root),), at.carried, 8).draw(1000, jax.random.PRNGKey(3))
    w = importance_weights(drawn.log_ratio)
    assert w.pareto_k < 0.5 and w.ess > 800
    found = np.c_[drawn.z[:, 0], OMEGA * drawn.u[:, :, 0]]
    se = np.sqrt(np.diag(covariance) / w.ess)
    assert np.all(np.abs(w.weight @ found - mean) < 4.5 * se), (w.weight @ found, mean, se)
    spread = np.sqrt(w.weight @ (found - mean) ** 2)
    assert spread == pytest.approx(np.sqrt(np.diag(covariance)), rel=4.5 / np.sqrt(2 * w.ess))


@pytest.mark.slow
def test_what_it_weighs_by_is_the_samplers_density():
    """log p(z) + log p(y | u) + log N(u) against the potential of NUTS, correlation and censored rows included, up to one constant; rounding of a sum of
    hundreds is 1e-9.
    """
    joined = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5)),
        V=lognormal(dist.LogNormal(3.0, 0.7), between=dist.HalfNormal(0.5)),
        correlation=("CL", "V"),
    )
    p = replace(problem(population=joined), cohort=read_cohort(records(3, lloq=0.6), model=one_compartment_iv, units=UNITS))
    assert surface_of(p).marginal.method == "FOCEI with M3"
    rows, space = surface_of(p).marginal.rows, opened(p)
    zero = {n: jnp.zeros(3) for n in ("CL", "V")}
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(3):
        z, u = (
            jnp.asarray(np.asarray(rows.values.flat(rows.values.medians)) + 0.3 * rng.normal(size=6)),
            jnp.asarray(rng.normal(size=(3, 2))),
        )
        sites = rows.values.constrained(z)
        own = log_prior(rows.values, z) + jnp.sum(rows.log_likelihood(sites, u)) - 0.5 * jnp.sum(u**2)
        own = own - 3 * np.linalg.slogdet(sites["chol_CL_V"])[1]  # the sampler's own effects are chol u of each of three subjects
        sides.append((float(own), -float(space.potential(space.flatten({**sites, **rows.values.effects.raws(sites, u)}), zero))))
    differences = np.array([a - b for a, b in sides])
    assert np.ptp([a for a, _ in sides]) > 1 and np.ptp(differences) < 1e-9


@pytest.fixture(scope="module")
def fitted():
    return laplace(linear(), seed=2, draws=1000, inner=4)


@pytest.mark.slow
def test_the_fit_is_the_known_posterior(fitted):
    """Log V and every eta by mean and sd, 4.5 standard errors at 540 effective draws (12 numbers: false-alarm rate 8e-5); k of a bounded ratio."""
    mean, covariance = known(linear())
    assert fitted.verdict.converged and fitted.verdict.headline.startswith(
        "Approximation (Laplace), re-weighted to the exact posterior: Pareto-k "
    )
    post = fitted.tree["posterior"]
    found = np.c_[np.log(post["V"].to_numpy()[0]), post["eta_V"].to_numpy()[0]]
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(found.mean(0) - mean) < 4.5 * sd / np.sqrt(540))
    assert found.std(0) == pytest.approx(sd, rel=4.5 / np.sqrt(2 * 540))
    assert fitted.provenance["sampler"] == {"method": "Laplace", "draws": 1000, "inner": 4}
    assert fitted.summary["rhat"].isna().all() and (fitted.summary["ess_bulk"] > 400).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws(fitted):
    again, other = laplace(linear(), seed=2, draws=1000, inner=4), laplace(linear(), seed=3, draws=1000, inner=4)
    assert np.array_equal(again.tree["posterior"]["V"], fitted.tree["posterior"]["V"])
    assert not np.array_equal(other.tree["posterior"]["V"], fitted.tree["posterior"]["V"])


@pytest.mark.slow
def test_it_is_saved_read_reported_and_asked_what_if(fitted, tmp_path):
    back = load_fit(fitted.save(tmp_path), linear())
    assert back.verdict == fitted.verdict and back.summary.equals(fitted.summary)
    page = render_report(back)
    assert "This fit is an approximation by Laplace, not a run of NUTS." in page and "NUTS step sizes" not in page
    assert "banner warn" in page
    runs = what_if(back, {"twice": bolus((200.0, "mg"), into="iv")}, times=np.arange(6.0), key=jax.random.key(0), n_subjects=4, draws=10)
    assert runs.attrs["converged"] == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"seed": 1.5}, "laplace(..., seed=1.5): a whole number is needed; it is stored with the fit and repeats it."),
        ({"seed": 1, "draws": 0}, "laplace(..., draws=0): a whole number of at least 1 is needed."),
        ({"seed": 1, "inner": True}, "laplace(..., inner=True): a whole number of at least 1 is needed."),
    ],
)
def test_what_it_refuses(asked, told):
    with pytest.raises(FitError) as error:
        laplace(linear(), **asked)
    assert str(error.value) == told


def test_without_random_effects_it_says_what_is_missing():
    with pytest.raises(FitError, match="no parameter varies between subjects"):
        laplace(linear(V=lognormal(dist.LogNormal(*PRIOR))), seed=1)
