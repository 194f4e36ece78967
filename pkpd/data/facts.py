"""Published facts of a trial, read from a table: counts, numbers, ranges and sentences, each with its status and source, and what is unknown."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pkpd.errors import FitError, choices

COLUMNS = ("fact", "kind", "value", "low", "high", "n", "unit", "status", "source", "reference", "note")
KINDS = ("count", "interval", "number", "text", "unknown")
STATUSES = {
    "PUB": "published; the sentence, table or file was read",
    "PUB2": "published, read only in a secondary compilation",
    "DER": "derived from published numbers",
    "ASM": "an assumption",
}


@dataclass(frozen=True)
class Fact:
    """One row: a `count` of `n` patients, a `number` (with a range from `low` to `high`, if reported), an `interval`, a `text`, or `unknown`.

    `status` is PUB, PUB2, DER or ASM, "" for what is unknown; `reference` the number that the source itself gives, "" if none.
    """

    name: str
    kind: str
    value: float | str | None
    low: float | None
    high: float | None
    n: int | None
    unit: str
    status: str
    source: tuple[str, ...]
    reference: str
    note: str

    @property
    def known(self) -> bool:
        return self.kind != "unknown"

    @property
    def count(self) -> int:
        """The k of k of n patients; raises `FitError` for a fact that counts none."""
        if self.kind != "count" or not isinstance(self.value, float):
            raise FitError(f"The fact '{self.name}' is of kind {self.kind}, not count; read `value`, `low`, `high` or `note` of it.")
        return int(self.value)

    def interval95(self) -> tuple[float, float]:
        """The exact two-sided 95 % interval of the probability behind a count (Clopper & Pearson 1934)."""
        return exact_interval(self.count, self.n or 0)


def exact_interval(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson: quantiles (1 - level)/2 of Beta(k, n - k + 1) and (1 + level)/2 of Beta(k + 1, n - k)."""
    from scipy.stats import beta

    tail = (1.0 - level) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(beta.ppf(1 - tail, count + 1, n - count))
    return low, high


class Facts(Mapping[str, Fact]):
    """Facts by name, in the order of the file; made by `read_facts`. A name that is not there is refused with the nearest one.

    >>> facts = read_facts("data/ct0508/published.csv")                                    # doctest: +SKIP
    >>> facts.unknown["blood_peak"]                                                        # doctest: +SKIP
    'peak in blood'
    """

    def __init__(self, facts: Mapping[str, Fact], source: str):
        self._facts, self.source = dict(facts), source

    def __getitem__(self, name: str) -> Fact:
        if name not in self._facts:
            raise FitError(f"{self.source} has no fact '{name}'. {choices(name, self._facts)}")
        return self._facts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def unknown(self) -> dict[str, str]:
        """What is not published: name and meaning."""
        return {f.name: f.note for f in self.values() if not f.known}


def read_facts(path: str | Path) -> Facts:
    """Published facts from a csv file with the columns fact, kind, value, low, high, n, unit, status, source, reference, note.

    `source` lists letters or names separated by ";". Raises `FitError` with the row for a fact that cannot stand as written.

    >>> facts = read_facts("data/ct0508/published.csv")                                    # doctest: +SKIP
    >>> facts["sd_her2_3plus"].count, facts["sd_her2_3plus"].n                             # doctest: +SKIP
    (4, 9)
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = [c for c in COLUMNS if c not in (rows.fieldnames or ())]
        if missing:
            raise FitError(f"{path.name} has no column '{missing[0]}'; facts need the columns {', '.join(COLUMNS)}.")
        found: dict[str, Fact] = {}
        for number, row in enumerate(rows, start=2):
            fact = _fact(row, f"{path.name}, row {number}")
            if fact.name in found:
                raise FitError(f"{path.name}, row {number}: the fact '{fact.name}' stands in the file twice; keep one row.")
            found[fact.name] = fact
    _check_intervals(found, path.name)
    return Facts(found, path.name)


def _fact(row: Mapping[str, str], where: str) -> Fact:
    where = f"{where} ('{row['fact']}')"
    kind, status = row["kind"], row["status"]
    if kind not in KINDS:
        raise FitError(f"{where}: kind={kind!r}. {choices(kind, KINDS)}")
    if status not in (STATUSES if kind != "unknown" else ("",)):
        wanted = "left empty for what is unknown" if kind == "unknown" else "; ".join(f"{k}: {v}" for k, v in STATUSES.items())
        raise FitError(f"{where}: status={status!r}; it is {wanted}.")
    number = kind in ("count", "number")
    value = _number(row["value"], "value", where) if number else row["value"] or None
    low, high, n = (_number(row[c], c, where) if row[c] else None for c in ("low", "high", "n"))
    fact = Fact(
        row["fact"], kind, value, low, high, None if n is None else int(n), row["unit"], status,
        tuple(s for s in row["source"].split(";") if s), row["reference"], row["note"],
    )  # fmt: skip
    _check(fact, where)
    return fact


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FitError(f"{where}: {column}={text!r}; give a finite number.")
    return value


def _check(fact: Fact, where: str) -> None:
    value = fact.value if isinstance(fact.value, float) else 0.0
    if fact.kind == "count" and (fact.n is None or not 0 <= value <= fact.n or value != int(value)):
        raise FitError(f"{where}: a count of {value:g} of n={fact.n}; give whole numbers with 0 <= count <= n.")
    if fact.kind == "unknown" and (fact.value or not fact.note):
        raise FitError(f"{where}: what is unknown has no value and a note that says what it is.")
    if fact.kind == "interval" and (fact.low is None or fact.high is None or fact.low >= fact.high):
        raise FitError(f"{where}: an interval needs low < high; got low={fact.low}, high={fact.high}.")
    if fact.status in ("PUB", "PUB2") and not fact.source:
        raise FitError(f"{where}: a published fact needs its source.")


def _check_intervals(found: Mapping[str, Fact], file: str) -> None:
    """An interval names, as its value, the count it belongs to."""
    for fact in (f for f in found.values() if f.kind == "interval"):
        if fact.value not in found or found[str(fact.value)].kind != "count":
            raise FitError(f"{file}: the interval '{fact.name}' belongs to '{fact.value}', which is no count of this file.")
