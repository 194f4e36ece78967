"""SAS transport files (version 5), the form of CDISC data sets, read by the optional package pyreadstat."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd

from pkpd.data.codes import defect
from pkpd.errors import Defect


def read_xpt(path: Path) -> tuple[pd.DataFrame | None, tuple[Defect, ...]]:
    """The table of a transport file, or why there is none; the extra `pkpd-jax[xpt]` brings the reader."""
    try:
        reader = importlib.import_module("pyreadstat")
    except ImportError:
        return None, (defect("PK110", value=path),)
    try:
        frame, _ = reader.read_xport(str(path))
    except Exception as error:  # whatever a reader written in C raises about a broken file
        return None, (defect("PK111", value=path, reason=str(error).strip().rstrip(".") or type(error).__name__),)
    return frame, ()
