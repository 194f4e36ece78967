"""One device or eight: the same numbers, whatever does not divide by them."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest

from pkpd import SolveError, Solver, bolus, oral, stream_bands
from pkpd.models.classic import one_compartment_iv, one_compartment_oral
from pkpd.simulate import design
from pkpd.solve import native
from pkpd.solve.devices import checked_devices, useful
from tests.on_devices import TIMES, numbers

CLOSED, MACHINE = "closed_form", "native_closed_form"
ROUNDING = (
    1e-12  # a closed form takes some 1e2 operations of 1e-16 each; exponents up to 10 make ten times that of a difference of rounding
)
STEPS = 1e-9  # some 1e2 steps of 1e3 operations, 1e-11; a step that is taken or not within rounding would differ by the solver's 1e-6


def check(root, folder, tolerances):
    """What a process with eight devices computes, beside what this one, which has one, computes."""
    out = folder / "numbers.npz"
    cache = {"JAX_COMPILATION_CACHE_DIR": str(root / ".pytest_cache" / "xla"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2"}
    command = [sys.executable, "-m", "tests.on_devices", str(out), *tolerances]
    told = subprocess.run(command, cwd=root, env=os.environ | cache, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr[-3000:]
    found = dict(np.load(out))
    for what, rtol in tolerances.items():
        for name, here in numbers(what, 1).items():
            there = found[f"{what} {name}"]
            if name == "devices":  # 18 pairs of draws: six devices take as many turns as eight
                assert (str(there), str(here)) == ("6 cpu", "1 cpu")
            else:
                npt.assert_allclose(there, here, rtol=rtol, err_msg=f"{what} {name}")


def refusal():
    return native.available(one_compartment_iv.rhs, (1, 2, 0), CLOSED)


@pytest.mark.slow
def test_the_numbers_of_one_device(root, tmp_path):
    """To rounding where XLA compiles the solve; six subjects shared by eight devices in a posterior."""
    check(root, tmp_path, {f"predicted:{CLOSED}": ROUNDING, f"streamed:{CLOSED}": ROUNDING, f"density:{CLOSED}": ROUNDING})


@pytest.mark.slow
def test_the_bits_of_one_device(root, tmp_path):
    if refusal():
        pytest.skip(refusal())
    check(root, tmp_path, {f"predicted:{MACHINE}": 0.0, f"streamed:{MACHINE}": 0.0})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rosenbrock", "tsit5_batched", "cascade"])
def test_the_numbers_of_one_device_by_steps(root, tmp_path, method):
    check(root, tmp_path, {f"predicted:{method}": STEPS, f"streamed:{method}": STEPS})


@pytest.mark.slow
def test_a_posterior_whose_subjects_are_shared(root, tmp_path):
    """By every solver, value and slope; the cascade's intervals are cut for each subject and go with it."""
    methods = ["cascade", "tsit5_batched", "rosenbrock", *([] if refusal() else [MACHINE])]
    check(root, tmp_path, {f"density:{m}": STEPS for m in methods})


@pytest.mark.slow
def test_chains_shared_by_devices_and_subjects_shared_by_devices(root, tmp_path):
    """The first draw of each chain, some ten gradients from its start: 1e-9."""
    check(root, tmp_path, {f"drawn:{kind}/{CLOSED}": 1e-9 for kind in ("chains", "subjects")})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tsit5_batched", "rosenbrock"])
def test_who_is_beside_a_subject_changes_no_bit(method):
    """All lanes step in one loop; a lane that has ended, or rejects a step, keeps what it has."""
    n, order = 24, np.random.default_rng(1).permutation(24)
    bound = design(
        one_compartment_oral, oral((320, "mg")), [1.0, 8.0, 24.0], pd.DataFrame(index=range(n)), "x", solver=Solver(method=method)
    )
    run = jax.jit(lambda theta: bound.predictor.observables(theta)[0])
    ka = np.geomspace(0.05, 50.0, n)  # from few steps to many
    npt.assert_array_equal(np.asarray(run({"ka": ka}))[..., order], run({"ka": ka[order]}))


def test_devices_that_have_nothing_to_do_are_left_out():
    """Turns are as many as with all; machine code that takes all cores needs one device."""
    count = lambda parts, method="rosenbrock", threads=1: len(useful("abcdefgh", parts, method, threads))  # noqa: E731
    assert [count(parts) for parts in (1, 3, 8, 9, 16, 18)] == [1, 3, 8, 5, 8, 6]
    assert count(16, "native_rodas4", 0) == 1 and count(16, "native_rodas4") == 8 and count(16, "rosenbrock", 0) == 8


def test_devices_that_are_not_there_are_said():
    assert checked_devices(None) == tuple(jax.local_devices()) and checked_devices(jax.devices()[:1]) == (jax.devices()[0],)
    with jax.default_device(jax.devices()[0]):
        assert checked_devices(None) == (jax.devices()[0],)
    with pytest.raises(
        SolveError, match=r"^devices=99: JAX has \d+ devices? \(cpu\) here\. Give None \(all\), a number from 1 to \d+, or some of "
    ):
        numbers(f"predicted:{CLOSED}", 99)
    for wrong in ("cpu", [], True, 0.5, jax.devices()[:1] * 2):
        with pytest.raises(
            SolveError, match=r"^devices=.*: None \(all\), a number, or some of jax\.devices\(\), different ones of one kind\.$"
        ):
            stream_bands(
                one_compartment_iv, bolus((1, "mg")), lambda key, n: {}, times=TIMES, n_subjects=1, key=jax.random.key(1), devices=wrong
            )
