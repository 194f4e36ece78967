"""What every test starts from: 64-bit JAX on the CPU, types and shapes of `pkpd` checked at run time, no screen for plots."""

import gc
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault(
    "PKPD_NATIVE", "off"
)  # which solver "auto" takes must not depend on what was compiled before; tests of machine code ask for it

import jax
import pytest
from hypothesis import settings

import tests.typecheck

jax.config.update("jax_enable_x64", True)  # also when the environment said otherwise: the tolerances of the tests assume it
# Rank and dtype promotion stay at JAX's defaults: numpyro's distributions broadcast across ranks by design.
gc.set_threshold(100_000, 50, 1000)  # many small objects of tracing: looking for cycles as often as by default takes a tenth of the time
tests.typecheck.install()  # every annotation in pkpd is a claim that the tests check
for name, examples in (("every day", 12), ("all", 30)):  # the same ones each time, so more of them belong to `make test-all`
    settings.register_profile(name, deadline=None, max_examples=examples, derandomize=True)  # jit makes the first example slow, always
settings.load_profile("every day")

ROOT = Path(__file__).resolve().parents[1]

# Compiled code is kept in the checkout, so the same model is compiled once for all tests and not again by the next run.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".pytest_cache" / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_configure(config: pytest.Config) -> None:
    """More random examples where the slow tests run too."""
    settings.load_profile("every day" if config.getoption("markexpr") == "not slow" else "all")


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data that may not be shipped (environment variable PKPD_DATA); skips with the reason without it."""
    named = os.environ.get("PKPD_DATA")
    if not named:
        pytest.skip("PKPD_DATA is not set: name the folder of reference data to run this test")
    folder = Path(named).expanduser()
    if not folder.is_dir():
        pytest.skip(f"PKPD_DATA names '{named}', which is not a folder")
    return folder
