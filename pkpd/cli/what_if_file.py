"""what_if.nc: a what-if beside its fit, readable by any netCDF reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pkpd.errors import FitError

NAME = "what_if.nc"


def write_what_if(runs: Any, folder: Path) -> Path:
    """Save the Dataset of a what-if. Raises `FitError` for anything that is not one."""
    if not isinstance(runs, xr.Dataset):
        raise FitError(f"The problem's what_if returned a {type(runs).__name__}; return what what_if(fit, arms, ...) gives, a Dataset.")
    plain = runs.copy(deep=False)
    plain.attrs = _plain(runs.attrs)
    path = folder / NAME
    plain.to_netcdf(path, engine="h5netcdf")
    return path


def read_what_if(folder: Path) -> xr.Dataset | None:
    """The what-if of a folder, or None where there is none; lists of sentences are lists again."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        runs = xr.load_dataset(path, engine="h5netcdf")
    except Exception as error:
        raise FitError(f"{path} cannot be read ({type(error).__name__}: {error}). Delete it, or run the fit again.") from error
    runs.attrs = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in runs.attrs.items()}
    return runs


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """What netCDF can hold: truth values as 0 or 1, sequences as lists, nothing empty."""
    kept = {str(k): v for k, v in attrs.items() if v is not None and not (isinstance(v, (list, tuple)) and not v)}
    return {k: int(v) if isinstance(v, bool) else list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
