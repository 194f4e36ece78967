"""What `choose` says when it picks, falls back or refuses; blocks of subjects change nothing; machine code compiled in the background; both closed forms."""

import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import SolveError, Solver
from pkpd.model import predictor
from pkpd.models.carm import endotoxin_cytokines
from pkpd.models.classic import (
    indirect_response_II,
    one_compartment_iv,
    one_compartment_oral,
    one_compartment_transit,
    three_compartment_oral,
)
from pkpd.solve import native
from pkpd.solve.blocks import in_blocks
from pkpd.solve.choose import waiting
from pkpd.solve.native import build, source
from pkpd.solve.stiffness import Stiffness
from tests.oracle import Given, cohort

needs_compiler = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")
FIRST, LATER = 1.0, 30.0


def bound(model, solver, route="iv", subjects=1):
    """A bolus, an infusion, a reset that stops it, another bolus; ranks grow with time."""
    doses = [
        Given(0.0, 100.0, route, rank=1.0),
        Given(4.0, 60.0, "iv", 3.0, rank=3.0),
        Given(6.0, rank=5.0, kind="reset"),
        Given(8.0, 80.0, route, rank=7.0),
    ]
    looks = [(FIRST, 2.0), (4.0, 2.5), (5.0, 4.0), (6.0, 4.5), (7.0, 6.0), (9.0, 8.0), (LATER, 9.0)]
    return predictor(model, cohort([doses] * subjects, [looks] * subjects, model.observable_names[0]), solver)


def chosen(model, **options):
    return bound(model, Solver(**options)).chosen


def test_a_long_cascade_is_left_to_a_stepping_method():
    """26 states take the cascade minutes to compile; asked for by name it is still there."""
    one = cohort([[Given(0.0, 2.0, "endotoxin", rank=1.0)]], [[(1.0, 2.0), (8.0, 3.0)]], "tnf")
    found = {m: predictor(endotoxin_cytokines, one, Solver(method=m, native="off")).chosen for m in ("auto", "cascade")}
    assert found["auto"].structure.cascade and {m: c.name for m, c in found.items()} == {"auto": "rosenbrock", "cascade": "cascade"}


# Sentences.


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(SolveError, match=r"There is no solver 'rosenbrok'. Did you mean 'rosenbrock'\? Known: auto, cascade, closed_form,"):
        Solver(method="rosenbrok")


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("closed_form", "closed_form needs equations linear in at most 6 states, .* along a tree; this model is not"),
        ("native_closed_form", "native_closed_form needs equations linear in at most 6 states"),
        ("matrix_exponential", "matrix_exponential needs equations that are linear in the states and free of time; this model is not"),
        ("cascade", "cascade needs states that follow one another with constant own rates; this model has a loop or a varying own rate"),
        ("kernel_tsit5", r"Solver\(method='kernel_tsit5'\) cannot be used: "),
    ],
)
def test_a_method_that_does_not_apply_is_refused_with_the_way_out(method, sentence):
    with pytest.raises(SolveError, match=f"{sentence}.*Use method='auto'."):
        chosen(indirect_response_II, method=method)


def test_machine_code_asked_for_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SolveError, match=r"method='native_tsit5'\) cannot be used: CXX names 'no-such-compiler', which is not found. Use"):
        chosen(indirect_response_II, method="native_tsit5")


@pytest.mark.parametrize("wrong", ["maybe", ""])
def test_a_wrong_word_for_machine_code_is_told_where_it_stands(monkeypatch, wrong):
    monkeypatch.setenv("PKPD_NATIVE", wrong)
    with pytest.raises(SolveError, match=f"PKPD_NATIVE={wrong}: machine code is used in the 'background', after a 'wait', or it is 'off'."):
        Solver()
    monkeypatch.delenv("PKPD_NATIVE")
    with pytest.raises(SolveError, match=r"Solver\(native='never'\): machine code"):
        Solver(native="never")


def test_the_environment_overrides_the_solver_and_waiting_leaves_off_alone(monkeypatch):
    monkeypatch.setenv("PKPD_NATIVE", "wait")
    assert Solver(native="off").when == "wait"
    assert waiting(Solver()).native == "wait" and waiting(Solver(native="off")).native == "off"


@pytest.mark.parametrize(("model", "name"), [(one_compartment_iv, "closed_form"), (indirect_response_II, "rosenbrock")])
@pytest.mark.parametrize("when", ["background", "wait"])
def test_without_a_compiler_auto_falls_back_and_says_why(monkeypatch, model, name, when):
    monkeypatch.setenv("PKPD_NATIVE", when)
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = chosen(model)
    assert found.name == name
    assert "; no native code: CXX names 'no-such-compiler', which is not found" in found.reason


def test_off_is_silent_about_machine_code(monkeypatch):
    monkeypatch.setenv("PKPD_NATIVE", "off")
    assert chosen(one_compartment_iv).reason == "linear in 1 state"


@needs_compiler
def test_what_is_still_being_compiled_is_used_the_next_time(monkeypatch):
    monkeypatch.setenv("PKPD_NATIVE", "background")
    monkeypatch.setattr(native, "begin", lambda *_: False)
    found = chosen(one_compartment_iv)
    assert found.name == "closed_form"
    assert found.reason == "linear in 1 state; machine code is being compiled for the next time"


def test_stiffness_that_is_not_known_is_taken_as_stiff():
    unknown = Stiffness(np.inf, np.inf)
    assert unknown.stiff and unknown.sentence.startswith("taken as stiff")
    assert Stiffness(1.0, np.nan).stiff and not Stiffness(1.0, 3.0).stiff


# Blocks.


@pytest.mark.parametrize("size", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_blocks_change_neither_value_nor_slope(size):
    """Seven subjects by three and by seven: to rounding (vector lengths differ), with every subject its own parameters."""
    of = bound(one_compartment_iv, Solver(method="closed_form"), subjects=7)
    inputs = captured(of, {"CL": np.linspace(1.0, 5.0, 7), "V": np.linspace(40.0, 20.0, 7)})
    weights = np.random.default_rng(1).normal(size=(inputs[-1].shape[0], 1, 7))

    def both(solve):
        values = lambda y0, p: solve(of.rhs, inputs[0], y0, p, *inputs[3:])  # noqa: E731
        return jax.jit(lambda y0, p: (values(y0, p), jax.grad(lambda *x: jnp.sum(weights * values(*x).y), (0, 1))(y0, p)))(*inputs[1:3])

    plain, blocked = both(of.chosen.solve), both(in_blocks(of.chosen.solve, size))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13), plain, blocked)


def captured(of, theta):
    """What a predictor hands to its solver: events, y0, p, q, times."""
    seen: list = []

    def spy(rhs, *given):
        seen.extend(given)
        return of.chosen.solve(rhs, *given)

    watched = replace(of)
    watched.__dict__["chosen"] = replace(of.chosen, solve=spy)
    watched.solve(theta)
    return seen


# Machine code in the background.


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A cache of one test's own."""
    monkeypatch.setenv("PKPD_CACHE", str(tmp_path / "cache"))
    return tmp_path


def decay(t, y, p, q, r):
    return [r[0] - p[0] * y[0]]


SIZES = (1, 1, 0)


def until(what, seconds=60.0):
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@needs_compiler
def test_the_first_call_begins_and_a_later_one_finds(empty):
    assert not native.begin(decay, SIZES)
    assert until(lambda: native.begin(decay, SIZES))
    made = sorted(p.suffix for p in Path(build.folder()).iterdir() if p.suffix == ".so")
    assert made == [".so", ".so"]  # the calls, and the model


@needs_compiler
def test_a_compiler_that_refuses_in_the_background_is_quoted(empty, monkeypatch):
    script = empty / "refusing-c++"
    script.write_text(f'#!/bin/sh\ncase "$*" in *-o*) echo "error: no licence" >&2; exit 1;; esac\nexec "{build.compiler()}" "$@"\n')
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setenv("PKPD_NATIVE", "background")
    assert not native.begin(decay, SIZES)
    assert until(lambda: build.failed(source.calls()) is not None)
    assert build.failed(source.calls()) == "error: no licence"
    with pytest.raises(SolveError, match=r"No native code: the compiler refused the model: error: no licence\."):
        native.begin(decay, SIZES)
    found = chosen(one_compartment_iv)
    assert found.name == "closed_form" and found.reason.endswith("; no native code: the compiler refused the model: error: no licence")


# Both closed forms.


def meeting():
    """Rates that coincide, or nearly: absorption with elimination, all of a chain with it (ktr = CL / V = 2), absorption with modes of three compartments."""
    p = three_compartment_oral.typical
    k12, k13, k21, k31 = p["Q2"] / p["V1"], p["Q3"] / p["V1"], p["Q2"] / p["V2"], p["Q3"] / p["V3"]
    modes = np.linalg.eigvals([[-p["CL"] / p["V1"] - k12 - k13, k21, k31], [k12, -k21, 0.0], [k13, 0.0, -k31]]).real
    near = {"CL": [2.8, 2.0, 2.0], "V": [32.0, 1.0, 1.0 + 1e-9]}
    yield pytest.param(one_compartment_oral, near | {"ka": [1.5, 2.0, 2.0]}, id="one compartment", marks=pytest.mark.slow)
    yield pytest.param(one_compartment_transit, near | {"mtt": [1.5, 2.0, 2.0]}, id="transit", marks=pytest.mark.slow)
    yield pytest.param(three_compartment_oral, {"ka": [1.0, *(-modes[:2])]}, id="three compartments", marks=pytest.mark.slow)


@needs_compiler
@pytest.mark.parametrize(("model", "theta"), list(meeting()))
def test_the_closed_form_as_machine_code_says_the_same(model, theta, monkeypatch, root):
    """Values to 1e-11 of each state's largest, slopes to 1e-9 of the largest: divided differences round at 1e-13, and a slope takes one more of them."""
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))
    found = []
    for method in ("closed_form", "native_closed_form"):
        of = bound(model, Solver(method=method), "oral", 3)

        def total(theta, of=of):
            y = of.solve(theta)[0].y
            return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

        full = {k: jnp.broadcast_to(jnp.asarray(v, float), 3) for k, v in (model.typical | theta).items()}
        found.append(jax.jit(jax.grad(total, has_aux=True))(full))
    (slopes, y), (again, same) = found
    peak = np.abs(y).max((0, 2))[:, None]
    np.testing.assert_allclose(same / peak, y / peak, rtol=0, atol=1e-11)
    size = max(float(np.abs(v * full[k]).max()) for k, v in slopes.items())
    for k, v in slopes.items():
        np.testing.assert_allclose(again[k] * full[k] / size, v * full[k] / size, rtol=0, atol=1e-9, err_msg=k)


def test_how_many_devices_is_a_whole_number():
    with pytest.raises(SolveError) as error:
        Solver(devices=0)
    assert str(error.value) == "Solver(devices=0): a whole number of at least 1 is needed; the first so many share the subjects."
    with pytest.raises(SolveError, match=r"^devices=64: JAX has 1 device \(cpu\) here\. Give None \(all\), a number from 1 to 1"):
        _ = bound(one_compartment_iv, Solver(method="closed_form", devices=64)).chosen
