"""How a command sets JAX up before anything runs: float64, one CPU device a core, compiled code kept for the next run."""

from __future__ import annotations

import os
from pathlib import Path

import jax


def prepare() -> None:
    """Float64 always; the rest where JAX has not started yet. PKPD_CACHE names the cache folder, or is "off"."""
    jax.config.update("jax_enable_x64", True)
    try:
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # one CPU device runs one chain at a time
    except RuntimeError:
        return  # JAX is running already: inside a notebook or a test the caller has decided
    folder = cache_folder()
    if folder is not None and jax.config.jax_compilation_cache_dir is None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # compiled code is trusted when it is read back: nobody else may write it
        jax.config.update("jax_compilation_cache_dir", str(folder))


def cache_folder() -> Path | None:
    """Where compiled code is kept: PKPD_CACHE, else `pkpd` in the user's cache folder; None when PKPD_CACHE is "off"."""
    named = os.environ.get("PKPD_CACHE", "")
    if named.lower() == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "pkpd" / "xla"
