"""Defects for a reader: counted by how grave they are, and put together where the same is said of several rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pkpd.errors import Defect

SEVERITIES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
MEANING = {
    "error": "The file cannot be read before these are mended.",
    "warning": "The file is read; a mistake is likely.",
    "note": "The file is read; this is odd, and often right.",
}
MORE = re.compile(r" \(\d+ more rows? ha(?:s|ve) the same\.\)$")


class Group(NamedTuple):
    """What is said once of several rows."""

    code: str
    rows: tuple[str, ...]
    subjects: tuple[str, ...]
    column: str
    message: str
    cure: str

    def __str__(self) -> str:
        places = [_listed("row", self.rows), _listed("subject", self.subjects), f"column {self.column}" if self.column else ""]
        place = ", ".join(p for p in places if p)
        return f"{self.code} {place + ': ' if place else ''}{self.message} {self.cure}"


def grouped(defects: Iterable[Defect]) -> list[Group]:
    """Defects with the same words as one, in the order of their first.

    >>> same = [Defect("PK032", "The row has no TIME.", "Fill in TIME.", row, "7", "TIME") for row in (3, 5)]
    >>> str(grouped(same)[0])
    'PK032 rows 3, 5, subject 7, column TIME: The row has no TIME. Fill in TIME.'
    """
    together: dict[tuple, list[Defect]] = {}
    for one in defects:
        together.setdefault((one.code, one.column, one.message, MORE.sub("", one.cure)), []).append(one)
    return [_group(same) for same in together.values()]


def _group(same: list[Defect]) -> Group:
    rows = tuple(dict.fromkeys(str(d.row) for d in same if d.row is not None))
    subjects = tuple(dict.fromkeys(d.subject for d in same if d.subject is not None))
    return Group(same[0].code, rows, subjects, same[0].column or "", same[0].message, same[-1].cure)


def _listed(word: str, values: tuple[str, ...]) -> str:
    return f"{word}{'' if len(values) == 1 else 's'} {', '.join(values)}" if values else ""


def counted(defects: Iterable[Defect]) -> str:
    """How many errors, warnings and notes there are, in words.

    >>> counted((Defect("PK037", "", ""), Defect("PK134", "", "", severity="warning")))
    '1 error, 1 warning'
    """
    kinds = [d.severity for d in defects]
    return ", ".join(many(kinds.count(word), word) for word in SEVERITIES if word in kinds) or "nothing to mend"


def many(count: int, word: str) -> str:
    """A count with its word.

    >>> many(1, "dose"), many(3, "dose")
    ('1 dose', '3 doses')
    """
    return f"{count} {word}{'' if count == 1 else 's'}"
