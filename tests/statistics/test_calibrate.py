"""Simulation-based calibration: its test has the stated false-alarm rate, a wrong posterior is found, a right one is not, the law is that of a fit."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.stats import binom, kstest, norm

from pkpd import (
    Component,
    FitProblem,
    Observable,
    Param,
    Population,
    State,
    additive_error,
    calibrate,
    compose,
    loss,
    normal,
    read_cohort,
    total,
)
from pkpd.errors import FitError
from pkpd.inference.arrow import dense
from pkpd.inference.calibrate import calibration_program
from pkpd.inference.calibrate_law import study
from pkpd.inference.calibrate_limits import Simulated, limits
from pkpd.inference.calibrate_program import Frame, Program, Replicates
from pkpd.inference.calibrate_ranks import band, uniformity
from pkpd.inference.geometry import _Tools
from pkpd.inference.nuts import CHUNK
from pkpd.inference.space import Space
from tests import small


@pytest.mark.parametrize("n", [30, 200])
def test_uniform_ranks_are_called_wrong_as_often_as_stated(n):
    """4000 samples; the interval has all but 1e-4 of the binomial at exactly the stated rate, widened by the Monte Carlo error of the null (20,000)."""
    rng = np.random.default_rng(n)
    p = np.array([uniformity(rng.integers(0, 100, n), 99).p for _ in range(4000)])
    for rate in (0.01, 0.05, 0.5):
        slack = 4 * np.sqrt(rate * (1 - rate) / 20_000)
        low, high = binom.ppf([5e-5, 1 - 5e-5], 4000, [max(rate - slack, 0), rate + slack]) / 4000
        assert (n == 30 or low <= (p <= rate).mean()) and (
            p <= rate
        ).mean() <= high  # with few ranks p is discrete and errs to the safe side


def test_the_band_and_the_p_value_say_the_same():
    rng = np.random.default_rng(5)
    low, high = band(60, 19, 0.9)
    for _ in range(300):
        ranks = rng.integers(0, 20, 60)
        seen = np.cumsum(np.bincount(ranks, minlength=20))[:-1]
        assert bool(np.all((seen >= low) & (seen <= high))) == (uniformity(ranks, 19).p > 0.1)


def conjugate_ranks(n: int, prior: float, shift: float, seed: int) -> dict[str, np.ndarray]:
    """theta ~ N(0, 1), y ~ N(theta, 1); exact draws from the posterior under the prior N(shift, prior^2), ranked as `calibrate` does."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=n)
    y = theta + rng.normal(size=n)
    v = 1 / (1 / prior**2 + 1)
    draws = v * (y[:, None] + shift / prior**2) + np.sqrt(v) * rng.normal(size=(n, 99))
    likelihood = lambda t, y: norm.logpdf(y, t, 1)  # noqa: E731
    joint = lambda t, y: norm.logpdf(t, 0, 1) + likelihood(t, y)  # noqa: E731
    own, y = theta[:, None], y[:, None]
    compare = {
        "theta": (draws, own),
        "log_likelihood": (likelihood(draws, y), likelihood(own, y)),
        "log_posterior": (joint(draws, y), joint(own, y)),
    }
    return {k: (d < t).sum(1) for k, (d, t) in compare.items()}


@pytest.mark.parametrize(
    ("prior", "shift", "least", "most"), [(1.0, 0.0, 0.0, 0.03), (0.5, 0.0, 0.99, 1.0), (2.0, 0.0, 0.9, 1.0), (1.0, 0.7, 0.95, 1.0)]
)
def test_a_wrong_prior_is_found(prior, shift, least, most):
    """The fraction of 200 calibrations of 200 replicates called wrong at 1 %: of the right one at most 3 %, which a binomial at 1 % passes in 4 of 1000."""
    found = []
    for seed in range(200):
        ranks = conjugate_ranks(200, prior, shift, seed)
        found.append(min(uniformity(r, 99).p for r in ranks.values()) * len(ranks) <= 0.01)
    assert least <= np.mean(found) <= most


def test_the_words_say_which_way():
    ranks = lambda prior, shift: uniformity(conjugate_ranks(400, prior, shift, 1)["theta"], 99).words  # noqa: E731
    assert ranks(0.4, 0.0) == "ranks lie at the ends (posterior too narrow)"
    assert ranks(1.0, 1.0) == "ranks are too low (posterior too high)" and ranks(1.0, -1.0) == "ranks are too high (posterior too low)"


def conjugate(prior: float) -> FitProblem:
    """x(0) = theta ~ N(0, prior), one y of each of 4 subjects at time 0 with sd 2: the mean of y is N(theta, 1)."""
    hold = Component(
        "hold",
        states=State("x", "mg", "a value", initial="theta"),
        params=(Param("theta", 0.0, "mg", "its start", "assumption: a test", "real"), Param("k", 0.1, "1/h", "loss", "assumption: a test")),
        rates=lambda t, y, p, s: total(loss("x", p.k * y.x)),
    )
    model = compose("hold", hold, observables=[Observable("y", "mg", lambda y, p, s: y.x, "the value")])
    table = pd.DataFrame(
        {"ID": [1, 2, 3, 4], "TIME": 0.0, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0, "DVID": "y", "DV": [0.1, 0.2, 0.3, 0.4]}
    )
    cohort = read_cohort(table, model=model, units={"TIME": "h", "DV": "mg", "AMT": "mg"})
    return FitProblem(model, cohort, Population(theta=normal(dist.Normal(0.0, prior))), {"y": additive_error(2.0)}, name="conjugate")


@functools.cache
def of_conjugate() -> Program:
    """Compiled once for all tests of a process."""
    return calibration_program(conjugate(1.0), Replicates(ranks=19, warmup=50, most=200))


@functools.cache
def run_of(prior: float):
    return calibrate(conjugate(1.0), n=40, ranks=19, warmup=50, most=200, posterior=conjugate(prior))


@pytest.mark.slow
def test_the_sampler_is_calibrated_and_a_prior_too_narrow_in_it_is_found():
    """False alarm 1 % (fixed seed); the narrow one is found by exact draws in 298 of 300 runs of this size."""
    right, wrong = run_of(1.0), run_of(0.3)
    assert (
        right.calibrated
        and right.p_value > 0.01
        and right.verdict.startswith("calibrated: ranks of 3 quantities over 40 replicates are uniform")
    )
    assert not wrong.calibrated and wrong.verdict.startswith("NOT calibrated: ")
    assert "theta ranks lie at the ends (posterior too narrow), p = " in wrong.verdict


@pytest.mark.slow
def test_random_lengths_in_the_place_of_nuts_are_calibrated_too():
    """False alarm 1 % (fixed seed)."""
    assert calibrate(conjugate(1.0), n=40, ranks=19, warmup=50, most=200, kernel="hmc").calibrated


def test_a_kernel_is_named_and_told_with_its_acceptance():
    with pytest.raises(FitError, match=r"calibrate\(kernel='hcm'\) is not known. Did you mean 'hmc'\? Known: hmc, numpyro_nuts, nuts."):
        Replicates(kernel="hcm")
    assert Replicates().as_dict() == {"seed": 1, "ranks": 99, "warmup": 300, "most": 2000, "target_accept": 0.9, "max_tree_depth": 8}
    assert Replicates(kernel="hmc").as_dict()["target_accept"] == 0.8 and Replicates(kernel="hmc").as_dict()["kernel"] == "hmc"


def test_studies_come_from_the_priors_and_are_cut_at_the_limit():
    """Kolmogorov-Smirnov at 1e-4 of typical values and residuals over 2000 studies."""
    problem = small.problem()
    weights = Space(problem).full_weights

    def one(key):
        data, sites = study(problem, key, weights)
        return data, sites["CL"], sites["omega_V"], (sites["raw_V"][0] - jnp.log(sites["V"])) / sites["omega_V"]

    data, cl, omega, eta = jax.jit(jax.vmap(one))(jax.random.split(jax.random.PRNGKey(0), 2000))
    assert kstest(np.log(cl), norm(1.0, 0.7).cdf).pvalue > 1e-4
    assert kstest(np.asarray(omega) / 0.5, lambda x: 2 * norm.cdf(x) - 1).pvalue > 1e-4
    assert kstest(np.asarray(eta), norm.cdf).pvalue > 1e-4
    assert set(np.unique(data.cens)) == {0, 1} and np.all(data.dv[data.cens == 1] == 0.5) and np.all(data.dv[data.cens == 0] >= 0.5)


@pytest.mark.slow
def test_the_study_of_a_key_does_not_depend_on_the_centring_weights():
    """Only rounding differs: 1e-12 relative."""
    program = of_small()
    one, other = program.space.full_weights, {"CL": jnp.full(6, 0.3), "V": jnp.linspace(0.0, 1.0, 6)}
    (a, _), (b, _) = (program.simulate(jax.random.PRNGKey(3), w) for w in (one, other))
    np.testing.assert_allclose(a.dv, b.dv, rtol=1e-12)
    assert np.array_equal(a.cens, b.cens)


@pytest.mark.slow
def test_what_is_ranked_does_not_depend_on_the_centring_weights():
    """They are chosen at the truth: a quantity that knew them would tell the truth from the draws. Rounding of a sum of 60 terms, 1e-10."""
    program, found = of_small(), []
    for w in (program.space.full_weights, {"CL": jnp.full(6, 0.3), "V": jnp.linspace(0.0, 1.0, 6)}):
        data, z = program.simulate(jax.random.PRNGKey(3), w)
        found.append(program.measure(jnp.zeros((CHUNK, len(z))), Frame(z, jnp.eye(len(z)), w), data)[0])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


@functools.cache
def of_small() -> Program:
    problem = small.problem()
    return Program(problem, problem, Replicates())


def observed(program: Program) -> Simulated:
    return Simulated(jnp.asarray(program.problem.rows.dv), jnp.asarray(program.problem.rows.cens), jnp.asarray(program.problem.rows.lower))


@pytest.mark.slow
def test_the_density_is_that_of_a_fit_of_the_same_rows():
    """Potential and slope at one point with the observed rows: the same sums in another order, 1e-10."""
    program = of_small()
    space, data = Space(program.problem), observed(program)
    z, weights = space.start(space.full_weights) + 0.1, space.full_weights
    both = lambda x: jnp.stack([program.potential(x, weights, data), space.potential(x, weights)])  # noqa: E731
    values, slopes = jax.jit(lambda x: (both(x), jax.jacrev(both)(x)))(z)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-10)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-10, atol=1e-10)
    at = limits(program.problem)
    assert np.unique(at.lloq).tolist() == [0.5] and np.isnan(at.uloq).all() and np.isnan(at.lod).all()


@pytest.mark.slow
def test_the_metric_is_that_of_a_fit_of_the_same_rows():
    """The information of the rows, and with the prior's: the same sums in another order, 1e-8."""
    program = of_small()
    z, weights, data = program.space.start(program.space.full_weights) + 0.1, program.space.full_weights, observed(program)
    found, told = program.information(z, weights, data), _Tools(program.space)
    np.testing.assert_allclose(found[0], dense(told.data(z, weights), program.space), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found[1], told.information(z, weights), rtol=1e-8, atol=1e-8)


@pytest.mark.slow
def test_the_small_problem_is_calibrated():
    """100 studies with censored rows; false alarm 1 % (fixed seed)."""
    found = calibrate(small.problem(), n=100, ranks=49)
    assert found.calibrated, found.verdict
    assert found.table["censored"].sum() > 200 and (found.table["ess"] >= 49).mean() > 0.9


@pytest.mark.slow
def test_a_wrong_spread_of_the_small_problem_is_found():
    from pkpd import lognormal

    narrow = small.population(CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.1)))
    found = calibrate(small.problem(), n=100, ranks=49, posterior=small.problem(population=narrow))
    assert "omega_CL ranks are too high (posterior too low)" in found.verdict
