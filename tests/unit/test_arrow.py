"""The information as an arrow: what few directions find is the whole matrix, and its factor that of the dense one."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitProblem, Population, by_subject, lognormal, proportional_error, read_cohort, sample
from pkpd.inference import arrow as arrows
from pkpd.inference import geometry as geometries
from pkpd.inference import metric
from pkpd.inference.arrow import Arrow, Blocks, Layout, arrow, dense, positions
from pkpd.inference.checkpoint import Checkpoint
from pkpd.inference.geometry import Geometry, _columns, _Tools, find_geometry, geometry_at
from pkpd.inference.joint import _around
from pkpd.inference.space import Space
from pkpd.models.classic import one_compartment_oral
from pkpd.population import subpopulations
from tests import small

rng = np.random.default_rng(3)
AT = Layout(np.array([2, 0, 7]), np.array([[1, 3], [6, 4], [8, 5]]))


@pytest.fixture(scope="module")
def space():
    """Correlated effects, one that stands alone, and one by occasion."""
    rows = [
        (i, t, e, a, y, occ, "oral", "cp")
        for i in (1, 2, 3)
        for t, e, a, y, occ in ((0.0, 1, 300.0, np.nan, 1), (2.0, 0, 0.0, 7.0 + i, 1), (12.0, 0, 0.0, 3.0 + i, 2))
    ]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "OCC", "CMT", "DVID"])
    cohort = read_cohort(table, one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}, covariates=["OCC"])
    each = {n: lognormal(dist.LogNormal(np.log(v), 0.5), between=dist.HalfNormal(0.5)) for n, v in (("CL", 2.8), ("V", 32.0), ("ka", 1.5))}
    each["ka"] = each["ka"].over("OCC", dist.HalfNormal(0.3))
    return Space(FitProblem(one_compartment_oral, cohort, Population(**each, correlation=("CL", "V")), {"cp": proportional_error(0.2)}))


def any_blocks():
    x = rng.normal(size=(20, AT.size))
    for i, own in enumerate(AT.own):  # no row has the coordinates of two subjects
        x[i::3, np.setdiff1d(AT.own.ravel(), own)] = 0.0
    h = x.T @ x + np.eye(AT.size)
    return h, Blocks(h[np.ix_(AT.common, AT.common)], h[AT.own][:, :, AT.common], np.stack([h[np.ix_(o, o)] for o in AT.own]))


def test_blocks_are_the_matrix():
    h, blocks = any_blocks()
    np.testing.assert_array_equal(blocks.dense(AT), h)
    np.testing.assert_array_equal(blocks.diagonal(AT), np.diag(h))


def test_the_factor_is_one_of_the_inverse_and_its_gradient_its_transpose():
    h, blocks = any_blocks()
    factor = arrow(blocks, AT)
    matrix = np.stack([np.asarray(factor @ jnp.asarray(e)) for e in np.eye(AT.size)], 1)
    np.testing.assert_allclose(matrix @ matrix.T, np.linalg.inv(h), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda u: (factor @ u)[4])(jnp.ones(AT.size)), matrix[4], rtol=1e-12, atol=1e-14)
    u = rng.normal(size=(2, 3, AT.size))
    np.testing.assert_allclose(positions(jnp.ones(AT.size), factor, u), 1.0 + u @ matrix.T, rtol=1e-12)


def test_a_system_is_solved_with_some_common_coordinates_held():
    h, blocks = any_blocks()
    free, g = np.arange(AT.size) != 0, rng.normal(size=AT.size)
    want = np.zeros(AT.size)
    want[free] = np.linalg.solve(h[np.ix_(free, free)], g[free])
    np.testing.assert_allclose(blocks.solve(g, free, AT), want, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_few_directions_find_the_whole_information(space):
    """Of rows and prior, against every coordinate's own derivative: the same sums, 1e-9."""
    tools, weights = _Tools(space), space.full_weights
    z = space.start(weights) + 0.1 * jnp.asarray(rng.normal(size=space.size))
    assert tools.layout.own.shape == (3, 5) and len(tools.layout.directions) < space.size
    (_, sd), (j_mean, j_sd) = _columns(lambda x: space.rows(x, weights), z, np.eye(space.size))
    want = (j_mean / sd**2) @ j_mean.T + 2.0 * (j_sd / sd) @ (j_sd / sd).T
    np.testing.assert_allclose(dense(Blocks(*tools.data(z, weights)), space), want, rtol=1e-9, atol=1e-9)
    hessian = jax.hessian(space.prior)(z, weights)
    np.testing.assert_allclose(dense(Blocks(*tools._prior_curvature(z, weights)), space), hessian, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [False, True])
def test_of_residual_spreads_by_subject_and_of_kinds_too(space, kinds):
    """Scores of rows that are not plain, against every coordinate's own derivative: the same sums, 1e-9."""
    mixture, old = subpopulations(dist.Beta(2, 2), CL=dist.HalfNormal(1.0)) if kinds else None, space.problem.population
    population = Population(old.correlation, mixture, **old.parameters)
    found = Space(replace(space.problem, population=population, noise={"cp": by_subject(proportional_error(0.2), 0.3)}))
    tools, weights = _Tools(found), found.full_weights
    assert tools.layout.own.shape == (3, 6)
    z = found.start(weights) + 0.1 * jnp.asarray(rng.normal(size=found.size))
    _, scores = _columns(lambda x: found.terms(x, weights), z, np.eye(found.size))
    np.testing.assert_allclose(dense(Blocks(*tools.data(z, weights)), found), scores @ scores.T, rtol=1e-9, atol=1e-9)


def test_without_own_coordinates_an_arrow_is_its_block():
    """As where nothing varies between subjects."""
    at, h = Layout(np.arange(3), np.zeros((2, 0), int)), np.diag([1.0, 4.0, 9.0])
    blocks = Blocks(h, np.zeros((2, 0, 3)), np.zeros((2, 0, 0)))
    np.testing.assert_allclose(arrow(blocks, at) @ jnp.ones(3), [1.0, 1 / 2, 1 / 3])
    np.testing.assert_allclose(blocks.solve(np.ones(3), np.array([True, False, True]), at), [1.0, 0.0, 1 / 9])
    assert arrows.clipped(blocks.own).shape == (2, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
def test_information_that_is_not_finite_or_has_no_factor_gives_no_geometry(space, monkeypatch, large):
    """A step of Gauss-Newton goes nowhere, and a pilot's place is refused; neither stops the fit."""
    tools, z, weights = _Tools.of(space), space.start(space.full_weights), space.full_weights
    monkeypatch.setattr(tools, "large", large)
    real = tools.information(z, weights)
    lost = jax.tree.map(lambda x: np.full(np.shape(x), np.nan), real)
    assert not np.any(np.isfinite(tools.solve(lost, np.ones(space.size))[~space.held]))
    for bad in (lost, jax.tree.map(np.negative, real)):
        monkeypatch.setattr(tools, "information", lambda z, weights, bad=bad: bad)
        assert geometry_at(space, z, weights, "here") is None


@pytest.mark.slow
def test_points_around_a_mode_are_found_where_a_prior_curves_the_wrong_way(space):
    """As a Student t does in its tail: of an arrow the common block is not clipped, only what is left of it."""
    tools = _Tools.of(space)
    at, free = tools.layout, np.flatnonzero(~space.held)
    own = np.tile(np.eye(at.own.shape[1]), (len(at.own), 1, 1))
    blocks = Blocks(-np.eye(len(at.common)), np.zeros((*at.own.shape, len(at.common))), own)
    found = _around(space, Geometry(space.start(space.full_weights), None, {}, 0.0, blocks))
    assert len(free) and len(found) == 5 and all(np.isfinite(v).all() for p in found for v in p.values())


@pytest.mark.slow
def test_many_coordinates_take_the_arrow_to_the_same_mode_and_are_kept(space, monkeypatch, tmp_path):
    small = find_geometry(space, lambda _: None)
    for module in (arrows, geometries):
        monkeypatch.setattr(module, "LARGE", 1)
    large = find_geometry(Space(space.problem), lambda _: None)
    assert isinstance(large.factor, Arrow) and isinstance(large.information, Blocks)
    assert large.potential == pytest.approx(small.potential, abs=1e-3)  # where Gauss-Newton stops
    matrix = positions(np.zeros(space.size), large.factor, np.eye(space.size)).T
    np.testing.assert_allclose(matrix @ matrix.T @ dense(large.information, space), np.eye(space.size), atol=1e-6)
    kept = Checkpoint(tmp_path / "fit", {"a": 1})
    kept.keep_geometry(large)
    again = kept.geometry()
    assert all(np.array_equal(a, b) for a, b in zip(large.factor + large.information, again.factor + again.information, strict=True))


@pytest.mark.slow
def test_a_fit_by_an_arrow_has_the_posterior_of_one_by_a_matrix(monkeypatch):
    """Pilot included; means and 95 % quantiles of five sites within 5 standard errors: sd / sqrt(ESS), and 2.1 times that (normal law)."""
    settings = {"seed": 1, "chains": 2, "warmup": 300, "draws": 500, "kernel": "hmc", "target_accept": 0.8, "progress": False}
    by_matrix = sample(small.problem(), **settings).summary.set_index("name")
    for module in (arrows, geometries):
        monkeypatch.setattr(module, "LARGE", 1)
    by_arrow = sample(small.problem(), **settings).summary.set_index("name")
    ess = 1 / (1 / by_matrix[["ess_bulk", "ess_tail"]].min(axis=1) + 1 / by_arrow[["ess_bulk", "ess_tail"]].min(axis=1))
    assert len(ess) == 5 and ess.min() > 50
    assert ((by_arrow["mean"] - by_matrix["mean"]).abs() < 5 * by_matrix["sd"] / np.sqrt(ess)).all()
    assert (np.log(by_arrow["q95"] / by_matrix["q95"]).abs() < 5 * (by_matrix["sd"] / by_matrix["q95"]) * 2.1 / np.sqrt(ess)).all()


def test_a_block_and_a_diagonal_are_the_matrix_they_stand_for():
    from blackjax.mcmc.metrics import gaussian_euclidean

    root = np.tril(rng.normal(size=(2, 2))) + 2 * np.eye(2)
    split = metric.Split(jnp.asarray(root @ root.T), jnp.asarray([0.5, 3.0]))
    whole = np.zeros((4, 4))
    whole[:2, :2], whole[2, 2], whole[3, 3] = split.block, 0.5, 3.0
    ours, theirs = metric.for_nuts(metric.root(split)), gaussian_euclidean(jnp.asarray(whole))
    p, q, key = jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=4)), jax.random.PRNGKey(0)
    assert ours.kinetic_energy(p) == pytest.approx(float(theirs.kinetic_energy(p)))
    assert ours.check_turning(p, q, p + q) == theirs.check_turning(p, q, p + q)
    np.testing.assert_allclose(metric.times(metric.root(split), p), np.linalg.cholesky(whole) @ p)
    np.testing.assert_allclose(metric.transposed(metric.root(split), p), np.linalg.cholesky(whole).T @ p)
    drawn = jax.vmap(lambda k: ours.sample_momentum(k, p))(jax.random.split(key, 20000))
    np.testing.assert_allclose(np.cov(drawn.T) @ whole, np.eye(4), atol=0.1)  # 4 sd of a covariance of 20000 draws, times the condition


def test_a_dense_metric_is_blackjaxs_and_its_energy_overflows_to_plus_infinity_alone():
    from blackjax.mcmc.metrics import gaussian_euclidean

    covariance = jnp.asarray([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ours, theirs = metric.for_nuts(metric.root(covariance)), gaussian_euclidean(covariance)
    p, q, key = jnp.asarray(rng.normal(size=3)), jnp.asarray(rng.normal(size=3)), jax.random.PRNGKey(1)
    assert ours.kinetic_energy(p) == pytest.approx(float(theirs.kinetic_energy(p)))
    assert ours.check_turning(p, q, p + q) == theirs.check_turning(p, q, p + q)
    np.testing.assert_allclose(ours.sample_momentum(key, p), theirs.sample_momentum(key, p), rtol=1e-12)
    star = jnp.eye(4).at[0, 1:].set(0.57).at[1:, 0].set(0.57)
    huge = 1.73e154 * jnp.asarray([-0.9, 1.0, 1.0, 1.0])  # one term of p . C p is below zero, and the first beyond what a number holds
    assert np.isneginf(gaussian_euclidean(star).kinetic_energy(huge))
    assert np.isposinf(metric.for_nuts(metric.root(star)).kinetic_energy(huge))


def test_a_window_is_shrunk_to_the_identity():
    seen = 50.0
    u = jnp.asarray(rng.normal(size=4))
    scatter = metric.outer(u, u, metric.nothing(4, 2))
    found = metric.shrunk(scatter, seen)
    np.testing.assert_allclose(found.block, metric.shrunk(jnp.outer(u[:2], u[:2]), seen))
    np.testing.assert_allclose(found.diagonal, 50 / 60 * u[2:] ** 2 / 49 + 10 / 60)
    assert jax.tree.all(jax.tree.map(np.array_equal, metric.shrunk(metric.nothing(3, None), 0.0), metric.identity(3, None)))
