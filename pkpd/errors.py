"""Errors that help: what is wrong, what was given, what would be accepted, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class PkpdError(Exception):
    """The parent of every error this library raises on purpose; its text is written for a person."""


class ModelError(PkpdError):
    """A model that cannot be declared or composed as written."""


class UnitError(PkpdError):
    """A unit that cannot be read, or does not fit where it is used."""


class DoseError(PkpdError):
    """A regimen that cannot be given to this model."""


class SolveError(PkpdError):
    """An integration that cannot be done, with the subject and the reason."""


class FitError(PkpdError):
    """A fit that cannot be set up, run, saved or read back."""


@dataclass(frozen=True)
class Defect:
    """One thing wrong or odd in a data file: where it is, what it is, what cures it, and how grave it is.

    `severity` is "error" (the file is not read), "warning" (it is read, and a mistake is likely) or "note" (odd, and often right).
    """

    code: str
    message: str
    cure: str
    row: int | None = None
    subject: str | None = None
    column: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        where = [
            f"row {self.row}" if self.row is not None else "",
            f"subject {self.subject}" if self.subject is not None else "",
            f"column {self.column}" if self.column is not None else "",
        ]
        place = ", ".join(w for w in where if w)
        return f"{self.code} {place + ': ' if place else ''}{self.message} {self.cure}"


class DataError(PkpdError):
    """Every error of a data file at once, each with row, subject, column and cure."""

    def __init__(self, source: str, defects: Iterable[Defect]):
        self.source = source
        self.defects = tuple(defects)
        count = len(self.defects)
        head = f"{source}: {count} {'thing' if count == 1 else 'things'} to mend."
        super().__init__("\n".join([head, *(f"  {d}" for d in self.defects)]))

    def __reduce__(self):
        return type(self), (self.source, self.defects)


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option most like `name`, or None when none is near."""
    options = list(options)
    found = difflib.get_close_matches(name, options, n=1, cutoff=0.55)
    if found:
        return found[0]
    lowered = {o.lower(): o for o in options}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.55)
    return lowered[found[0]] if found else None


def choices(name: str, options: Iterable[str]) -> str:
    """The tail of an error about an unknown name: the nearest one, then all of them."""
    options = sorted(options)
    near = nearest(name, options)
    listed = ", ".join(options) if options else "none"
    return (f"Did you mean '{near}'? " if near else "") + f"Known: {listed}."
