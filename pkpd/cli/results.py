"""The folder of a fit: written beside its place, moved there whole, and never over an earlier result."""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pkpd.errors import FitError

FIT = "fit.nc"
log = logging.getLogger("pkpd")


@contextmanager
def result_folder(place: Path) -> Generator[Path]:
    """A draft folder beside `place` that becomes `place` at the end; an earlier fit there is kept as `place.earlier-TIME`.

    What is saved when something fails (the report, say) is moved as well, if it holds the fit; else nothing is left behind.
    Raises `FitError` before anything is run when `place` is a file, the folder one works in, or holds anything but a fit.
    """
    place = place.expanduser().resolve()
    check_place(place)
    draft = _draft(place)
    try:
        yield draft
    except BaseException:
        if (draft / FIT).exists():
            publish(draft, place)
            log.error("The fit itself is saved in %s; 'pkpd report %s' makes its report.", place, place)
        raise
    else:
        publish(draft, place)
    finally:
        if draft.exists() and not (draft / FIT).exists():
            shutil.rmtree(draft, ignore_errors=True)


def check_place(place: Path) -> None:
    """Refuse a place where moving a result in could cost somebody something."""
    if place.exists() and not place.is_dir():
        raise FitError(f"{place} is a file; --out needs a folder, a new one or one with an earlier fit.")
    if place in (Path.cwd().resolve(), *Path.cwd().resolve().parents):
        raise FitError(f"{place} holds the folder you work in; give the results a folder of their own, as in --out build/first.")
    if place.is_dir() and any(place.iterdir()) and not (place / FIT).exists():
        raise FitError(f"{place} holds other things and no fit ({FIT}); they are left alone. Choose another folder with --out.")


def _draft(place: Path) -> Path:
    draft = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise FitError(f"The folder {place.parent} cannot be written to ({error.strerror}). Choose another one with --out.") from error
    return draft


def publish(draft: Path, place: Path) -> Path | None:
    """Move `draft` to `place`; returns where the earlier result went, or None when there was none."""
    earlier = _aside(place) if (place / FIT).exists() else None
    try:
        if earlier:
            place.rename(earlier)
            log.info("The earlier result is kept in %s", earlier)
        elif place.exists():
            place.rmdir()
        draft.rename(place)
    except OSError as error:
        if earlier and not place.exists():
            earlier.rename(place)
        raise FitError(f"The results could not be moved to {place} ({error.strerror}). They are whole and lie in {draft}.") from error
    return earlier


def _aside(place: Path) -> Path:
    """A free name that tells when the earlier fit was written."""
    written = time.strftime("%Y%m%d-%H%M%S", time.localtime((place / FIT).stat().st_mtime))
    names = (place.with_name(f"{place.name}.earlier-{written}{extra}") for extra in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(name for name in names if not name.exists())
