"""The samplers on densities whose moments are known, compiled once."""

import io
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import FitError, Sampler
from pkpd.inference import hmc, metric, numpyro_nuts, nuts
from pkpd.inference.chain import begun, warmup_windows
from pkpd.inference.nuts import CHUNK
from pkpd.inference.problem import changed
from pkpd.inference.provenance import sampler_facts
from pkpd.inference.sample import _Bar

SD = jnp.array([1.0, 0.2, 3.0])


@pytest.mark.parametrize("common", [None, 2])
@pytest.mark.parametrize("kind", [nuts, hmc, numpyro_nuts])
def test_a_chain_finds_the_moments_of_a_normal_and_compiles_once(kind, common):
    """1000 draws of a 3-d normal: the standard error of a mean is about sd / sqrt(500) = 0.045 sd at ESS 500; 5 of them is 0.22 sd.

    False alarms: 3 means and 3 sds of three samplers with two kinds of metric at 5 standard errors, below 3e-5 in all.
    """
    begin, advance, refresh = kind.build(lambda u: -0.5 * jnp.sum((u / SD) ** 2), 0.8, 8, common)
    walk = begin(jax.random.PRNGKey(0), jnp.ones(3))
    for chunks, renew in warmup_windows(400):
        for _ in range(chunks):
            walk, _ = advance(walk, True)
        walk = refresh(walk) if renew else walk
    draws = []
    for _ in range(1000 // CHUNK):
        walk, info = advance(walk, False)
        draws.append(np.asarray(info.position))
    u = np.concatenate(draws)
    assert np.all(np.abs(u.mean(0)) < 0.22 * SD)
    assert np.all(np.abs(u.std(0) / SD - 1.0) < 0.22)
    assert advance._cache_size() == 1  # warm-up and sampling share one compilation


@pytest.mark.parametrize("kind", [nuts, hmc, numpyro_nuts])
def test_a_law_with_an_edge_stays_as_it_is_and_who_leaves_is_told(kind):
    """Exponential of rate 1 on u > 0, no density elsewhere: mean 1, sd 1. 2000 draws with autocorrelation up to 0.9 are 100: 5 errors are 0.5."""
    begin, advance, _ = kind.build(lambda u: jnp.where(u[0] > 0, -u[0], jnp.nan), 0.8, 8)
    walk = begin(jax.random.PRNGKey(1), jnp.ones(1))._replace(log_step_mean=jnp.log(0.3))
    found = []
    for _ in range(2000 // CHUNK):
        walk, info = advance(walk, False)
        found.append(info)
    u, diverging, failed = (np.concatenate([np.asarray(getattr(i, n)) for i in found]) for n in ("position", "diverging", "failed"))
    assert np.all(u > 0) and np.any(diverging)
    assert abs(u.mean() - 1.0) < 0.5 and abs(u.std() - 1.0) < 0.5
    np.testing.assert_array_equal(
        failed, diverging if kind is not numpyro_nuts else False
    )  # NumPyro does not tell where a trajectory ended


@pytest.mark.parametrize("kind", [nuts, hmc, numpyro_nuts])
def test_a_cliff_is_a_divergence_but_no_failed_solve(kind):
    begin, advance, _ = kind.build(lambda u: jnp.where(u[0] > 0, -u[0], -u[0] - 5000.0), 0.8, 8)
    _, info = advance(begin(jax.random.PRNGKey(1), jnp.ones(1))._replace(log_step_mean=jnp.log(0.3)), False)
    assert np.any(info.diverging) and not np.any(info.failed)


@pytest.mark.parametrize("kind", [nuts, hmc, numpyro_nuts])
def test_an_immense_gradient_is_a_divergence_but_no_failed_solve(kind):
    """One step of 5 ends where the density is finite and the momentum's square is not."""
    begin, advance, _ = kind.build(lambda u: jnp.where(u[0] > 0, -u[0], 1e200 * u[0]), 0.8, 1)
    _, info = advance(begin(jax.random.PRNGKey(1), jnp.ones(1))._replace(log_step_mean=jnp.log(5.0)), False)
    assert np.any(info.diverging) and not np.any(info.failed) and np.all(info.position > 0)


def test_a_trajectory_that_diverged_before_it_left_the_density_is_no_failed_solve():
    """A cliff of 5000 at 0, no density below -1: leaps of 0.3 land on the low side first, and HMC, which goes on, ends where there is none."""
    law = lambda u: jnp.where(u[0] > 0, -u[0], jnp.where(u[0] > -1, 5e4 * u[0] - 5000.0, jnp.nan))  # noqa: E731
    begin, advance, _ = hmc.build(law, 0.8, 8)
    _, info = advance(begin(jax.random.PRNGKey(1), jnp.ones(1))._replace(log_step_mean=jnp.log(0.3)), False)
    assert np.any(info.diverging) and not np.any(info.failed)


def test_a_chain_that_would_begin_without_a_density_begins_nearer_to_the_middle():
    begin, _, _ = hmc.build(lambda u: jnp.where(jnp.abs(u[0]) < 0.3, -0.5 * u[0] ** 2, jnp.nan), 0.8, 8)
    walk = begun(begin, jax.random.PRNGKey(1), jnp.full(1, 2.0))
    assert walk.state.position[0] == 0.25 and np.isfinite(walk.state.logdensity)
    here = jnp.full(1, 0.2)
    assert begun(begin, jax.random.PRNGKey(1), here).state.position[0] == 0.2
    nowhere, _, _ = hmc.build(lambda u: jnp.nan * u[0], 0.8, 8)
    with pytest.raises(
        FitError, match="A chain found no place to begin: around the mode, however near, the density or its slope is not finite"
    ):
        begun(nowhere, jax.random.PRNGKey(1), here)


@pytest.mark.parametrize("common", [None, 2])
def test_a_draw_of_numpyros_keeps_the_slope_and_density_of_where_it_is(common):
    """Whatever the metric: the state after 25 draws is what the density says there, 1e-10 of the largest slope."""
    law = lambda u: -0.5 * jnp.sum((u / SD) ** 2) - 0.1 * u[0] ** 4  # noqa: E731
    begin, advance, _ = numpyro_nuts.build(law, 0.8, 8, common)
    root = metric.root(metric.Split(jnp.array([[1.0, 0.3], [0.3, 0.5]]), jnp.array([4.0])) if common else jnp.eye(3) + 0.3)
    walk, info = advance(begin(jax.random.PRNGKey(0), jnp.ones(3))._replace(root=root), True)
    value, slope = jax.value_and_grad(law)(walk.state.position)
    np.testing.assert_allclose(walk.state.logdensity, value, rtol=1e-10)
    np.testing.assert_allclose(walk.state.logdensity_grad, slope, atol=1e-10 * float(jnp.abs(slope).max()))
    np.testing.assert_allclose(info.potential[-1], -value, rtol=1e-10)


def test_the_acceptance_goes_with_the_kernel_unless_it_is_given():
    assert Sampler().acceptance == 0.9 and Sampler(kernel="hmc").acceptance == 0.8
    tuned = Sampler(target_accept=0.95)
    assert changed(tuned, {"draws": 10}).acceptance == 0.95
    assert changed(tuned, {"kernel": "nuts"}).acceptance == 0.95
    assert changed(tuned, {"kernel": "hmc"}).acceptance == 0.8
    assert changed(tuned, {"kernel": "hmc", "target_accept": 0.85}).acceptance == 0.85
    assert sampler_facts(changed(tuned, {"kernel": "hmc"}))["target_accept"] == 0.8


def test_the_kernel_is_named_and_stored_only_where_it_is_not_nuts():
    with pytest.raises(FitError) as error:
        Sampler(kernel="hcm")
    assert str(error.value) == "Sampler(kernel='hcm') is not known. Did you mean 'hmc'? Known: hmc, numpyro_nuts, nuts."
    assert "kernel" not in sampler_facts(Sampler()) and sampler_facts(Sampler(kernel="hmc"))["kernel"] == "hmc"


def test_warmup_windows_cover_the_warm_up_and_end_without_a_refresh():
    for warmup in (50, 100, 300, 400, 1000, 2000):
        windows = warmup_windows(warmup)
        assert sum(n for n, _ in windows) * CHUNK == warmup
        assert windows[-1][1] is False
        assert all(renew for _, renew in windows[:-1])


def test_the_bar_counts_divergent_draws_and_failed_solves_apart_and_none_of_the_warm_up():
    info = lambda n, failed: SimpleNamespace(diverging=np.arange(25) < n, failed=np.arange(25) < failed)  # noqa: E731
    with _Bar(total=100, disable=False, file=io.StringIO()) as bar:
        bar.told(True, info(5, 5))
        assert (bar.diverged, bar.failed, bar.postfix) == (0, 0, "warm-up")
        bar.told(False, info(3, 0))
        assert bar.postfix == "3 diverged"
        bar.told(False, info(4, 2))
        assert bar.postfix == "5 diverged, 2 failed"
