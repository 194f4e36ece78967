"""The page of data-file codes, written from the library and from the files of its tests when the docs are built.

Each code has a section with an anchor: how grave it is, what is said, the rule of a warning or note, and a file that earns it.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from model_pages import OUT, _write, table

from pkpd.data import CODES
from pkpd.data.codes import severity_of
from pkpd.data.quality_codes import QUALITY

FILES = Path(__file__).resolve().parents[1] / "tests" / "unit"
WITHOUT_FILE = {
    "PK001": "A path that does not exist.",
    "PK002": "A folder in place of a file, or a file you may not read.",
    "PK003": "A spreadsheet, or text saved as Latin-1 or UTF-16.",
    "PK004": "A file in a binary format.",
    "PK110": "A file `study.xpt` where pyreadstat is not installed.",
    "PK111": "A file `study.xpt` that is no SAS transport file.",
    "PK011": "`read_cohort([1, 2], model)`.",
}
LEAD = """# Codes of data files

Every code that a data file can earn. **Errors** stop a file from being read. **Warnings** (a mistake is likely) and **notes** (odd, and
often right) do not; they are looked for once a file has no errors. Words in *italics* stand for what the file holds.
[How to check a file](../guide/check_data.md).

The examples are files of the library's tests, with exactly what is said of them. Those of errors are read for a model with the dose routes
`depot` (mg) and `cells` (1e9 cells), the states `depot`, `central` and `gut`, and the observables `cp` (mg/L) and `il6` (pg/mL); those of
warnings and notes for one with `depot`, and with `cp` and `lnc`, a logarithm. TIME is in h, AMT in mg and DV in mg/L where no unit is given.
"""


def write_codes() -> None:
    """The page of all codes, and the table of them that the guide includes."""
    OUT.mkdir(parents=True, exist_ok=True)
    shown = examples()
    parts = [LEAD, *(f"({code.lower()})=\n{section(code, shown.get(code, ()))}" for code in sorted(CODES))]
    _write(OUT / "codes.md", "\n".join(parts))
    rows = [(f"[{code}](#{code.lower()})", severity_of(code), _told(*CODES[code])[0]) for code in sorted(CODES)]
    _write(OUT / "codes.txt", table(("code", "severity", "what"), rows))


def section(code: str, shown: tuple[str, ...]) -> str:
    """One code: its anchor, severity, sentence, rule and example."""
    what, says = _told(*CODES[code])
    parts = [f"## {code}: {what}", f"**{severity_of(code).capitalize()}.** {says}"]
    parts += [f"**Rule.** {QUALITY[code].rule}"] if code in QUALITY else []
    parts += [f"**Example.** {WITHOUT_FILE[code]}"] if code in WITHOUT_FILE else []
    parts += [f"```text\n{text}\n```" for text in shown[:1]]
    return "\n\n".join(parts) + "\n"


def examples() -> dict[str, tuple[str, ...]]:
    """For each code the blocks of the tests' files that earn it, those that earn nothing else first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for path in (FILES / "data_malformed.txt", FILES / "data_quality.txt"):
        for block in re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            _, *lines = block.rstrip("\n").split("\n")
            codes = dict.fromkeys(re.findall(r"^>> (?:\w+: )?(PK\d{3})", block, flags=re.M))
            for code in codes:
                found.setdefault(code, []).append((len(codes), _shown(lines)))
    return {code: tuple(text for _, text in sorted(blocks, key=lambda b: b[0])) for code, blocks in found.items()}


def _shown(lines: list[str]) -> str:
    """A block as a reader sees it: the file, the options, what is said."""
    file = [line for line in lines if not line.startswith(("-- ", ">> "))]
    options = [f"read with {line[3:]}" for line in lines if line.startswith("-- ")]
    said = [textwrap.fill(line[3:], 92, subsequent_indent="    ") for line in lines if line.startswith(">> ")]
    return "\n".join([*file, *(["", *options] if options else []), "", *said])


def _told(what: str, message: str, cure: str) -> tuple[str, str]:
    """A code's texts, with a word in italics where the file's own values will stand."""
    filled = [text.replace("*", "\\*").format_map(_Words()).replace("<", "&lt;").strip() for text in (what, message, cure)]
    return filled[0], " ".join(filled[1:])


class _Words(dict):
    def __missing__(self, key: str) -> str:
        return {"near": "", "into": " into *name*", "choices": "(The nearest right name, or all.)"}.get(key, f"*{key}*")


if __name__ == "__main__":
    write_codes()
