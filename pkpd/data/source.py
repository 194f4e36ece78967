"""A csv file or a DataFrame as cells with their row numbers: everything that can be wrong before a column is named."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from pkpd.data.codes import defect
from pkpd.data.table import shorten
from pkpd.data.xpt import read_xpt
from pkpd.errors import Defect, PkpdError, nearest

COMMENTS = ("#", "@")
BLANK = ("", " ", "\t", ",")
IGNORE: dict[str, Callable[[str], bool]] = {
    "#": lambda line: line.startswith("#"),
    "@": lambda line: line.lstrip()[:1].isalpha() or line.lstrip()[:1] == "@",
    "C": lambda line: line.startswith("C"),
}
"""Which lines are comments, by NONMEM's IGNORE signs; the header is none."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a source: `header` names as written, `frame` with columns 0, 1, ..., and the row number of each row."""

    label: str
    sha256: str
    header: tuple[str, ...] = ()
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()


def check_ignore(ignore: str | None) -> str | None:
    """The comment sign asked for; raises `PkpdError` for one there is not."""
    if ignore not in (None, *IGNORE):
        raise PkpdError(
            f"ignore={ignore!r} is no comment sign. Known: {', '.join(map(repr, IGNORE))}; None skips lines that begin with # or @."
        )
    return ignore


def read_cells(source: Any, ignore: str | None = None) -> Cells:
    """The cells of a csv or xpt path or of a DataFrame, with what is wrong with it as text; `ignore` says which lines are comments."""
    if isinstance(source, pd.DataFrame):
        return _from_frame(source, ignore)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), ignore)
    return Cells("data", "", defects=(defect("PK011", value=type(source).__name__),))


def _from_frame(frame: pd.DataFrame, ignore: str | None) -> Cells:
    header = tuple("" if c is None else str(c).strip() for c in frame.columns)
    plain = frame.set_axis(range(frame.shape[1]), axis=1).reset_index(drop=True)
    cells = Cells("DataFrame", _hash_frame(header, plain), header, plain, np.arange(1, len(plain) + 1))
    if not header:
        return replace(cells, frame=pd.DataFrame(), defects=(defect("PK005"),))
    if ignore:
        cells = _without_comments(cells, ignore)
    return cells if len(cells.frame) else replace(cells, defects=(defect("PK008"),))


def _without_comments(cells: Cells, ignore: str) -> Cells:
    """The rows of a DataFrame whose first cell does not mark them as comments."""
    kept = np.array([not IGNORE[ignore](str(cell)) for cell in cells.frame[0]], dtype=bool)
    return replace(cells, frame=cells.frame[kept].reset_index(drop=True), rows=cells.rows[kept], notes=_skipped(int((~kept).sum()), ignore))


def _hash_frame(header: tuple[str, ...], frame: pd.DataFrame) -> str:
    digest = hashlib.sha256("\x1f".join(header).encode("utf-8", "surrogatepass"))
    for _, column in frame.items():
        text = column if pd.api.types.is_numeric_dtype(column) else pd.Series([repr(cell) for cell in column], dtype=object)
        digest.update(hash_pandas_object(text, index=False).to_numpy().tobytes())  # ty: ignore[not-callable]
    return digest.hexdigest()


def _from_path(path: Path, ignore: str | None) -> Cells:
    label = path.name or str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Cells(label, "", defects=(defect("PK001", value=path, near=_near(path)),))
    except (OSError, ValueError) as error:
        return Cells(label, "", defects=(defect("PK002", value=path, reason=getattr(error, "strerror", None) or error),))
    if path.suffix.lower() == ".xpt":
        return _from_xpt(label, raw, path, ignore)
    return _from_bytes(label, raw, ignore)


def _from_xpt(label: str, raw: bytes, path: Path, ignore: str | None) -> Cells:
    frame, defects = read_xpt(path)
    sha256 = hashlib.sha256(raw).hexdigest()
    if frame is None:
        return Cells(label, sha256, defects=defects)
    return replace(_from_frame(frame, ignore), label=label, sha256=sha256, notes=("Rows of a SAS transport file count from 1.",))


def _near(path: Path) -> str:
    folder = path.parent
    near = nearest(path.name, [p.name for p in folder.iterdir()]) if folder.is_dir() else None
    return f"Did you mean '{folder / near}'? " if near else ""


def _from_bytes(label: str, raw: bytes, ignore: str | None) -> Cells:
    cells = Cells(label, hashlib.sha256(raw).hexdigest())
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        return replace(cells, defects=(defect("PK003", row=row, value=f"0x{raw[error.start]:02x}"),))
    if "\0" in text:
        return replace(cells, defects=(defect("PK004", row=text.count("\n", 0, text.index("\0")) + 1),))
    return _from_lines(cells, text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ignore)


def _from_lines(cells: Cells, lines: list[str], ignore: str | None) -> Cells:
    kept, notes = _skip(lines, ignore)
    if not kept:
        return replace(cells, defects=(defect("PK005"),))
    first, *rest = kept
    header, broken = _split(lines[first])
    wrong = _header_defects(lines[first], header, first + 1) if header else (defect("PK010", row=first + 1, value=broken),)
    if wrong:
        return replace(cells, defects=wrong)
    good, defects = _good_rows(lines, rest, len(header))
    frame = _frame([lines[i] for i in good], len(header))
    defects = defects or (() if rest else (defect("PK008"),))
    return replace(cells, header=tuple(header), frame=frame, rows=np.array(good, dtype=int) + 1, defects=tuple(defects), notes=notes)


def _skip(lines: list[str], ignore: str | None) -> tuple[list[int], tuple[str, ...]]:
    """The lines that count, the header first, and a note on the others."""
    blank = {i for i, line in enumerate(lines) if line[:1] in BLANK and not line.strip(" \t,")}
    if ignore is None:
        comments = {i for i, line in enumerate(lines) if line[:1] in COMMENTS}
    else:
        header = next((i for i, line in enumerate(lines) if i not in blank and not line.lstrip().startswith(COMMENTS)), -1)
        comments = {i for i, line in enumerate(lines) if i != header and (i < header or IGNORE[ignore](line))} - blank
    inner = sum(1 for i in blank if i < len(lines) - 1)
    notes = _skipped(len(comments), ignore) + ((f"{inner} empty lines were skipped.",) if inner else ())
    skipped = comments | blank
    return [i for i in range(len(lines)) if i not in skipped], notes


def _skipped(count: int, ignore: str | None) -> tuple[str, ...]:
    signs = {None: "starting with # or @", "#": "starting with #", "C": "starting with C", "@": "whose first character is a letter or @"}
    return (f"{count} comment lines ({signs[ignore]}) were skipped.",) if count else ()


def _header_defects(line: str, header: list[str], row: int) -> tuple[Defect, ...]:
    if "," not in line and any(mark in line for mark in ";\t|"):
        mark = next(word for sign, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if sign in line)
        return (defect("PK007", row=row, value=mark),)
    if "," not in line and len(line.split()) > 2 and "[" not in line:
        return (defect("PK007", row=row, value="blanks"),)
    if all(_numeric(cell) for cell in header):
        return (defect("PK006", row=row, value=line[:60]),)
    return ()


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip() in ("", ".")
    return True


def _split(line: str) -> tuple[list[str], str]:
    """The cells of one line, or the reason why they cannot be told apart."""
    if '"' not in line:
        return line.split(","), ""
    try:
        return next(csv.reader([line], strict=True)), ""
    except csv.Error as error:
        return [], str(error)


def _good_rows(lines: list[str], rows: list[int], width: int) -> tuple[list[int], list[Defect]]:
    """The rows that have as many cells as the header; each other row is a defect."""
    wrong = [i for i in rows if lines[i].count(",") != width - 1 or '"' in lines[i]]
    defects, poor = [], set()
    for i in wrong:
        parts, broken = _split(lines[i])
        if broken:
            defects.append(defect("PK010", row=i + 1, value=broken))
        elif len(parts) != width:
            defects.append(defect("PK009", row=i + 1, value=len(parts), wanted=width))
        else:
            continue
        poor.add(i)
    return [i for i in rows if i not in poor], shorten(defects)


def _frame(lines: list[str], width: int) -> pd.DataFrame:
    text = "\n".join(lines)
    if not lines or '"' in text:
        return pd.DataFrame([_split(line)[0] for line in lines], columns=range(width), dtype=str)
    return pd.read_csv(
        io.StringIO(text),
        header=None,
        names=range(width),
        index_col=False,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,
        quoting=csv.QUOTE_NONE,
    )
