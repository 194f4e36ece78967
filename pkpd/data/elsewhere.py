"""Data files that are not shipped: found by name in the folder that PKPD_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from pkpd.errors import FitError


def data_file(name: str) -> Path:
    """The file `name`, a path with forward slashes, inside the folder that the environment variable PKPD_DATA names.

    Raises `FitError` when the variable is not set, or there is no such file.

    >>> data_file("bauer2019/m3_data.csv")                                                 # doctest: +SKIP
    """
    folder = os.environ.get("PKPD_DATA", "")
    path = Path(folder).expanduser() / name
    if not folder or not path.is_file():
        where = f"PKPD_DATA names '{folder}', which does not hold it" if folder else "PKPD_DATA is not set"
        raise FitError(
            f"{name} was not found: {where}. Name the folder that holds it in the environment variable PKPD_DATA "
            "(where it comes from stands at the top of the fit file)."
        )
    return path
