"""Cube roots over SIMD lanes against the C library's and against powers in 150 digits, at every size, zero, infinity and below zero."""

import ctypes
import subprocess
from decimal import Decimal, localcontext
from importlib.resources import files

import jax
import numpy as np
import pytest

from pkpd import tracing
from pkpd.solve.native import build
from pkpd.solve.native.translate import function

pytestmark = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")
EXPONENTS = (1 / 3, 2 / 3, -1 / 3, -2 / 3, 2 / 3 - 1 - 1, 4 / 3, 5 / 3, -5 / 3)  # the fifth as a second derivative of x^(2/3) has it
ULP = np.finfo(float).eps
SIZES = np.concatenate(
    [np.exp(np.random.default_rng(3).uniform(-110, 110, 400)), [1e-310, 5e-324, 1e-60, 1.0, 8.0, 27.0, 1e60, 2.0**-1022]]
)


@pytest.fixture(scope="module", params=(2, 4, 8))
def powers(request, tmp_path_factory):
    """x -> x to each exponent, then its cube root [1 + exponents, x], by the machine code."""
    traced = tracing.trace(lambda x: [*(x**e for e in EXPONENTS), jax.lax.cbrt(x)], 1)
    count = len(EXPONENTS) + 1
    body = function("all_of", traced, ["x"], [f"o[{i}]" for i in range(count)], "const vec x, vec *o")
    assert "vpow" not in body
    lanes = (files("pkpd.solve.native") / "cpp" / "lanes.h").read_text()
    call = f"""}}
    extern "C" void go(const double *x, double *out, long n) {{
      for (long i = 0; i < n; i++) {{ vec o[{count}]; all_of(all(x[i]), o); for (int k = 0; k < {count}; k++) out[k * n + i] = o[k][W - 1]; }}
    }}"""
    folder, tool = tmp_path_factory.mktemp("powers"), build.compiler()
    (folder / "all.cc").write_text("\n".join([lanes, body, call]))
    flags = [*build._PLAIN, *build.target(tool)[0], f"-DPKPD_LANES={request.param}"]
    subprocess.run([tool, *flags, str(folder / "all.cc"), "-o", str(folder / "all.so")], check=True)
    library = ctypes.CDLL(str(folder / "all.so"))

    def found(x):
        x = np.ascontiguousarray(x, float)
        out = np.empty((count, len(x)))
        at = lambda a: a.ctypes.data_as(ctypes.c_void_p)  # noqa: E731
        library.go(at(x), at(out), ctypes.c_long(len(x)))
        return out

    return found


def exact(x, thirds):
    with localcontext() as context:
        context.prec = 60
        return float((Decimal(float(x)).ln() * thirds / 3).exp())


def test_to_a_few_units_in_the_last_place(powers):
    """The inverse root is right to two units, a power of it to as many times its exponent; what is below the smallest normal number has fewer digits."""
    made = powers(SIZES)
    for row, exponent in zip(made, (*EXPONENTS, 1 / 3), strict=True):
        thirds = round(3 * exponent)
        true = np.array([exact(x, thirds) for x in SIZES])
        some = (true > 2.0**-1022) & np.isfinite(true)
        assert np.max(np.abs(row[some] / true[some] - 1.0)) <= 2 * abs(thirds) * ULP, exponent
        np.testing.assert_array_equal(row[np.isinf(true)], np.inf)


def test_edges_as_powers_have_them(powers):
    with np.errstate(all="ignore"):
        for row, exponent in zip(powers(np.array([0.0, -0.0, np.inf, np.nan, -2.0, -np.inf])), EXPONENTS, strict=False):
            np.testing.assert_array_equal(row[:5], np.array([0.0, 0.0, np.inf, np.nan, -2.0]) ** exponent, err_msg=str(exponent))
            assert np.isnan(row[5])  # the C library gives inf or 0, as if it were an even power: no size of a tumour
    edges = powers(np.array([0.0, -0.0, np.inf, -np.inf, np.nan]))[-1]
    np.testing.assert_array_equal(edges, [0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(np.signbit(edges[:4]), [False, True, False, True])
    np.testing.assert_allclose(powers(np.array([np.finfo(float).max]))[-1], np.cbrt(np.finfo(float).max), rtol=4 * ULP)
    np.testing.assert_allclose(powers(np.array([-8.0, 27.0]))[-1], [-2.0, 3.0], rtol=ULP)


def test_other_powers_are_powers():
    traced = tracing.trace(lambda x: [x**e for e in (0.5, 0.66, 2.0 + 1e-9, 7 / 3)], 1)
    assert function("f", traced, ["x"], ["o[0]", "o[1]", "o[2]", "o[3]"], "const vec x, vec *o").count("vpow") == 4
