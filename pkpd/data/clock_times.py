"""TIME written as a time of day, with or without a column of dates, or as an ISO date-time: hours from each subject's first row.

The date columns are NONMEM's: DATE month-day-year, DAT1 day-month-year, DAT2 year-month-day, DAT3 year-day-month, with any sign between the
parts, or a day number alone. Beside a date, TIME may also be a number: the hour of that day.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.data.aliases import DATES
from pkpd.data.columns import Columns
from pkpd.data.numeric import distinct_cells, numbers
from pkpd.data.source import Cells

ORDER = {"DATE": "mdy", "DAT1": "dmy", "DAT2": "ymd", "DAT3": "ydm"}
WORDS = {"m": "month", "d": "day", "y": "year"}
KINDS = {"clock": "times of day", "iso": "dates with times"}
EXAMPLES = {"clock": "13:30 or 13:30:15", "iso": "2020-01-31T13:30"}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)")
_LOOSE = {"iso": re.compile(r"\d{4}-\d{1,2}-\d{1,2}[T ].*"), "clock": re.compile(r"\d{1,2}:\d.*")}
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}( 00:00:00)?")
_DAY_NUMBER = re.compile(r"[+-]?\d{1,5}(\.0)?")


@dataclass(frozen=True, eq=False)
class Wrong:
    """Cells that cannot be read: the code they earn, the rows, and what fills its sentence."""

    code: str
    column: str
    rows: np.ndarray
    values: dict[str, object]


@dataclass(frozen=True, eq=False)
class Clock:
    """TIME in hours, the rows that could not be read, what was wrong, the `kind` ("clock", "date" or "iso") and the note on it."""

    hours: np.ndarray
    bad: np.ndarray
    wrong: tuple[Wrong, ...]
    kind: str
    note: str


def read_clock(cells: Cells, columns: Columns, wrong: np.ndarray, subject: np.ndarray, century: int | None) -> Clock | None:
    """TIME as a clock, or None where it is elapsed time; `wrong` are the rows whose TIME is no number, `subject` numbers the subjects."""
    day = next((name for name in DATES if name in columns.at), None)
    if "TIME" not in columns.at or (day is None and not wrong.any()):
        return None
    own, code = distinct_cells(cells.frame[columns.at["TIME"]])
    odd = [str(cell) for cell in own[np.unique(code[wrong])]]
    kind = next((k for k, loose in _LOOSE.items() if any(loose.fullmatch(cell) for cell in odd)), None)
    if kind == "iso":
        seconds = _iso(own)
        return _since_first(seconds[code], (_manner(own, code, seconds, kind),), subject, kind, "TIME holds dates with times:")
    if kind is None and day is None:
        return None
    seconds = _of_day(own, numbers_too=day is not None)
    strange = _manner(own, code, seconds, "clock")
    if day is not None:
        return _dated(cells, columns, day, (own, code, seconds), strange, subject, century)
    back = _falls(seconds[code], subject, own[code])
    return _since_first(seconds[code], (strange, back), subject, "clock", "TIME holds times of day:")


def _dated(cells: Cells, columns: Columns, day: str, time: tuple, strange: Wrong, subject: np.ndarray, century: int | None) -> Clock:
    own, code, seconds = time
    outside = (seconds < 0) | (seconds > 86400)
    late = Wrong("PK104", "TIME", outside[code], {"value": own[code], "name": day})
    dates, where = distinct_cells(cells.frame[columns.at[day]])
    days, kind, unreadable = _days(dates, day, century)
    parts = tuple(Wrong(w.code, day, w.rows[where], w.values | {"value": _shown(dates)[where]}) for w in unreadable)
    what = f"TIME is the time of day and {day} {kind}:"
    return _since_first(days[where] * 86400.0 + seconds[code], (strange, late, *parts), subject, "date", what)


def _shown(cells: np.ndarray) -> np.ndarray:
    return np.array([cell or "(empty)" for cell in cells], dtype=object)


def _since_first(seconds: np.ndarray, wrong: tuple[Wrong, ...], subject: np.ndarray, kind: str, what: str) -> Clock:
    """Hours from the first time of each subject that can be read."""
    start = pd.Series(seconds).groupby(subject, sort=False).transform("first").to_numpy()
    bad = np.logical_or.reduce([w.rows for w in wrong if w.code != "PK029"])
    return Clock((seconds - start) / 3600.0, bad, wrong, kind, f"{what} counted in hours from each subject's first row.")


def _manner(own: np.ndarray, code: np.ndarray, seconds: np.ndarray, kind: str) -> Wrong:
    odd = np.isnan(seconds) & ~np.isin(own, ["", "."])
    return Wrong("PK102", "TIME", odd[code], {"value": own[code], "kind": f"{KINDS[kind]} ({EXAMPLES[kind]})"})


def _falls(seconds: np.ndarray, subject: np.ndarray, written: np.ndarray) -> Wrong:
    back = np.zeros(len(seconds), bool)
    back[1:] = (subject[1:] == subject[:-1]) & (seconds[1:] < seconds[:-1])
    return Wrong("PK029", "TIME", back, {"value": written, "before": np.concatenate([written[:1], written[:-1]])})


def _seconds(text: str) -> float:
    """Seconds since midnight of a 24-hour time of day; NaN for anything else."""
    found = _CLOCK.fullmatch(text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or float(found[3] or 0) >= 60:
        return np.nan
    return int(found[1]) * 3600.0 + int(found[2]) * 60.0 + float(found[3] or 0)


def _of_day(own: np.ndarray, *, numbers_too: bool) -> np.ndarray:
    seconds = np.array([_seconds(str(cell)) for cell in own])
    if not numbers_too:
        return seconds
    hours, _ = numbers(pd.Series(own, dtype=object))
    return np.where(np.isnan(seconds), hours * 3600.0, seconds)


def _iso(own: np.ndarray) -> np.ndarray:
    """Seconds from midnight of the earliest day in the file."""
    parts = [_ISO.fullmatch(str(cell)) for cell in own]
    days = np.array([_ordinal(int(m[1]), int(m[2]), int(m[3])) if m else np.nan for m in parts])
    first = np.nanmin(days) if np.isfinite(days).any() else 0.0
    return (days - first) * 86400.0 + np.array([_seconds(m[4]) if m else np.nan for m in parts])


def _ordinal(year: int, month: int, day: int) -> float:
    try:
        return float(datetime.date(year, month, day).toordinal())
    except ValueError:
        return np.nan


def _days(dates: np.ndarray, name: str, century: int | None) -> tuple[np.ndarray, str, tuple[Wrong, Wrong]]:
    """Day numbers of the distinct dates, what kind of date they are, and which cannot be read."""
    filled = [str(d) for d in dates if d not in ("", ".")]
    if filled and all(_DAY_NUMBER.fullmatch(d) for d in filled):
        days, two, kind, example = numbers(pd.Series(dates, dtype=object))[0], np.zeros(len(dates), bool), "the number of the day", "1"
    else:
        iso = name in ("DATE", "DAT1") and bool(filled) and all(_ISO_DAY.fullmatch(d) for d in filled)
        order = "ymd" if iso else ORDER[name]
        read = [_calendar(str(d), order, century) for d in dates]
        days, two = np.array([d for d, _ in read]), np.array([t for _, t in read])
        kind = f"the date ({'-'.join(WORDS[x] for x in order)})"
        example = "-".join({"m": "01", "d": "31", "y": "2020"}[x] for x in order)
    first = np.nanmin(days) if np.isfinite(days).any() else 0.0
    values: dict[str, object] = {"name": name, "format": kind.removeprefix("the date ").strip("()"), "example": example}
    return days - first, kind, (Wrong("PK019", name, np.isnan(days) & ~two, values), Wrong("PK101", name, two, {}))


def _calendar(text: str, order: str, century: int | None) -> tuple[float, bool]:
    """The day number of one date, and whether its year has two digits and no century was given."""
    parts = re.split(r"[^0-9]", text.removesuffix(" 00:00:00"))
    if len(parts) != 3 or not all(parts):
        return np.nan, False
    part = dict(zip(order, parts, strict=True))
    year = int(part["y"])
    if len(part["y"]) == 2:
        if century is None:
            return np.nan, not np.isnan(_ordinal(2000 + year, int(part["m"]), int(part["d"])))
        year += century
    elif len(part["y"]) != 4:
        return np.nan, False
    return _ordinal(year, int(part["m"]), int(part["d"])), False
