"""Files that a command writes by name."""

from __future__ import annotations

from pathlib import Path

from pkpd.errors import PkpdError


def write_new(path: Path, text: str) -> None:
    """Write a new file. Raises `PkpdError` rather than replace one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PkpdError(f"{path} exists already and is left alone. Give another name, or delete it first.") from None
    except OSError as error:
        raise PkpdError(f"{path} cannot be written ({error.strerror}).") from error
