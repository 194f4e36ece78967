"""Chains in one program walk as each would by itself, up to rounding, and go on from where they were stopped."""

import threading
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import FitError, Sampler, Solver, sample
from pkpd.inference import chains_together
from pkpd.inference.checkpoint import Checkpoint
from pkpd.inference.geometry import find_geometry
from pkpd.inference.sample import Kernel, run_nuts
from pkpd.inference.space import Space
from tests import small

SETTINGS = Sampler(chains=2, warmup=50, draws=50, kernel="hmc")


@pytest.fixture(scope="module")
def parts():
    space = Space(small.problem())
    return Kernel(space, SETTINGS), find_geometry(space, lambda _: None)


@pytest.fixture(scope="module")
def in_one(parts):
    return run_nuts(*parts, replace(SETTINGS, together=True), 3, False)


@pytest.mark.slow
def test_they_are_the_chains_of_threads(parts, in_one):
    """Equal at first; rounding is another one, and a trajectory doubles a difference every few draws: so the first draw alone is compared, at 1e-6."""
    apart = run_nuts(*parts, replace(SETTINGS, warmup=25, draws=25, together=False), 3, False)
    alike = run_nuts(*parts, replace(SETTINGS, warmup=25, draws=25, together=True), 3, False)
    np.testing.assert_allclose(alike.z[:, 0], apart.z[:, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_draw_of_nuts_is_that_of_each_chain_by_itself(parts):
    """Trees of different depths beside each other; one draw from the same place, to rounding."""
    space, geometry = Space(small.problem()), parts[1]
    kernel, device = Kernel(space, replace(SETTINGS, kernel="nuts")), jax.local_devices()[0]
    begin, advance, _ = kernel.at(geometry, device)
    keys = jax.random.split(jax.random.PRNGKey(2), 3)
    walks = [begin(k, 0.5 * jax.random.normal(k, (space.size,))) for k in keys]
    _, alike = kernel.all_at(geometry, device)(jax.tree.map(lambda *x: jnp.stack(x), *walks), True)
    for i, walk in enumerate(walks):
        apart = advance(walk, True)[1]
        assert alike.n_steps[i, 0] == apart.n_steps[0]
        np.testing.assert_allclose(alike.position[i, 0], apart.position[0], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_stopped_and_resumed_they_end_with_the_same_draws(parts, in_one, tmp_path, monkeypatch):
    kernel, geometry = parts
    calls, whole = threading.local(), kernel.advance_all

    def until(frame, walks, adapt):
        calls.n = getattr(calls, "n", 0) + 1
        if calls.n == 4:
            raise KeyboardInterrupt
        return whole(frame, walks, adapt)

    settings = replace(SETTINGS, together=True)
    monkeypatch.setattr(kernel, "advance_all", until)
    assert in_one.z.shape == (2, 50, kernel.size) and in_one.step_size.shape == (2,) and not in_one.stopped
    first = run_nuts(kernel, geometry, settings, 3, False, Checkpoint(tmp_path / "kept", {}))
    assert first.stopped and first.z.shape[1] == 25
    monkeypatch.setattr(kernel, "advance_all", whole)
    again = run_nuts(kernel, geometry, settings, 3, False, Checkpoint(tmp_path / "kept", {}))
    np.testing.assert_array_equal(again.z, in_one.z)
    assert again.warmup_divergences == in_one.warmup_divergences and jax.tree.all(jax.tree.map(np.array_equal, again.stats, in_one.stats))


@pytest.mark.slow
def test_chains_that_a_kill_left_apart_are_brought_together(parts, in_one, tmp_path, monkeypatch):
    """Each chain has a file: the second was written two chunks later than the first, one of them of draws; numbers stay the same."""
    settings, keep, every = replace(SETTINGS, together=True), Checkpoint.keep_chain, chains_together._keep
    monkeypatch.setattr(chains_together, "EVERY", -1.0)
    monkeypatch.setattr(chains_together, "_keep", lambda *given: (every(*given), (0.0, 0.0))[1])  # after every chunk

    def kept(self, number, done, *rest):
        if done <= 1 + 2 * number:
            keep(self, number, done, *rest)

    monkeypatch.setattr(Checkpoint, "keep_chain", kept)
    run_nuts(*parts, settings, 3, False, Checkpoint(tmp_path / "kept", {}))
    monkeypatch.setattr(Checkpoint, "keep_chain", keep)
    place = Checkpoint(tmp_path / "kept", {})
    assert [place.chain(i).done for i in range(2)] == [1, 3]
    again = run_nuts(*parts, settings, 3, False, place)
    np.testing.assert_array_equal(again.z, in_one.z)
    np.testing.assert_array_equal(again.step_size, in_one.step_size)
    assert again.warmup_divergences == in_one.warmup_divergences and [place.chain(i).done for i in range(2)] == [4, 4]


def test_devices_that_share_subjects_walk_chains_in_one_program():
    with pytest.raises(FitError) as error:
        sample(small.problem(solver=Solver(devices=2)), seed=1, together=False)
    assert str(error.value) == (
        "Solver(devices=2) shares the subjects of a solve among devices, and all chains then walk in one program: Sampler(together=False) cannot be. "
        "Leave one of the two out."
    )


def test_what_it_takes():
    with pytest.raises(FitError) as error:
        Sampler(together="yes")
    assert str(error.value) == "Sampler(together='yes'): True, False or None is needed."
