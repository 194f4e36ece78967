"""200 files spoilt in 25 ways: each is refused in sentences with codes, by the library and by the command line; none gives a number."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

import pytest

from pkpd.cli import main
from pkpd.data import CODES, Field, Vocabulary, examine, read_cohort
from pkpd.errors import DataError

WORDS = Vocabulary(
    doses=(Field("depot", "mg"), Field("central", "mg")),
    states=("depot", Field("central", "mg")),
    observables=(Field("cp", "mg/L"), Field("pca", "percent")),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}}
HEADER = ["ID", "TIME", "EVID", "AMT", "RATE", "ADDL", "II", "CMT", "DVID", "DV", "MDV", "CENS"]
NUMERIC = ["TIME", "EVID", "AMT", "RATE", "ADDL", "II", "DV", "MDV", "CENS"]
JUNK = [
    "BLQ",
    "<0.5",
    "NA",
    "nan",
    "inf",
    "-inf",
    "1e31",
    "1e999",
    "1,5",
    "--3",
    "0x10",
    "1_000",
    "٣",
    "3 mg",
    "=A1+B2",
    "NULL",
    "#REF!",
    "é",
    "1e",
    "+",
]
SEEDS, KINDS = 8, 25
Rows = list[list[str]]
Random = random.Random


def good(seed: int) -> Rows:
    """A header and the rows of four subjects, in order."""
    rng = Random(seed)
    rows = [list(HEADER)]
    for subject in range(1, 5):
        rows.append([str(subject), "0", "1", f"{rng.uniform(50, 500):.4g}", "0", "2", "12", "depot", ".", ".", "1", "0"])
        for time in sorted(rng.sample(range(1, 60), 5)):
            what = rng.choice(["cp", "pca"])
            rows.append([str(subject), str(time), "0", ".", ".", ".", ".", ".", what, f"{rng.uniform(1, 90):.4g}", "0", "0"])
        rows.append([str(subject), "72", "1", "100", "25", ".", ".", "central", ".", ".", "1", "0"])
    return rows


def text_of(rows: Rows, mark: str = ",") -> str:
    return "".join(mark.join(row) + "\n" for row in rows)


def encoded(rows: Rows, mark: str = ",") -> bytes:
    return text_of(rows, mark).encode()


def with_cell(rng: Random, column: str, values: list[str], *, evid: str | None = None) -> bytes:
    """A good file with one cell of a column replaced, on a row of the EVID asked for."""
    rows = good(rng.randrange(1000))
    fitting = [row for row in rows[1:] if evid is None or row[2] == evid]
    rng.choice(fitting)[HEADER.index(column)] = rng.choice(values)
    return encoded(rows)


def junk(rng: Random) -> bytes:
    return with_cell(rng, rng.choice(NUMERIC), JUNK)


def several_junk(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))
    for _ in range(rng.randrange(2, 9)):
        rng.choice(rows[1:])[HEADER.index(rng.choice(NUMERIC))] = rng.choice(JUNK)
    return encoded(rows)


def column_dropped(rng: Random) -> bytes:
    drop = HEADER.index(rng.choice(["ID", "TIME", "AMT", "CMT", "DVID", "DV"]))
    return encoded([row[:drop] + row[drop + 1 :] for row in good(rng.randrange(1000))])


def column_twice(rng: Random) -> bytes:
    twice = rng.randrange(len(HEADER))
    return encoded([[*row, row[twice]] for row in good(rng.randrange(1000))])


def rows_shuffled(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))
    body = rows[1:]
    rng.shuffle(body)
    return encoded([rows[0], *body])


def rows_backwards(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))
    return encoded([rows[0], *reversed(rows[1:])])


def other_encoding(rng: Random) -> bytes:
    text = text_of(good(rng.randrange(1000))).replace("depot", "dépôt")
    return text.encode(rng.choice(["utf-16", "utf-32", "latin-1", "cp1252"]))


def other_separator(rng: Random) -> bytes:
    return encoded(good(rng.randrange(1000)), rng.choice([";", "\t", "|", " "]))


def ragged(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))
    row = rng.choice(rows[1:])
    row[:] = row[: rng.randrange(2, len(row))] if rng.random() < 0.5 else row + ["1"] * rng.randrange(1, 4)
    return encoded(rows)


def header_lost(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))[1:]
    return encoded([["1" if cell in ("depot", "central", "cp", "pca") else cell for cell in row] for row in rows])


def header_spoilt(rng: Random) -> bytes:
    rows = good(rng.randrange(1000))
    rows[0][HEADER.index(rng.choice(["II", "RATE"]))] += rng.choice(
        [" [fortnightz]", " [9**9**9**9]", " [0 mg]", " [mol/s]", " [" + "m" * 300 + "]"]
    )
    return encoded(rows)


def bytes_of_any_kind(rng: Random) -> bytes:
    start = rng.choice([b"PK\x03\x04", b"\x89PNG\r\n", b"%PDF-1.7\n", b"\x1f\x8b\x08", b"SAS\x00", b""])
    return start + bytes(rng.randrange(256) for _ in range(rng.randrange(40, 400)))


def nothing(rng: Random) -> bytes:
    return rng.choice([b"", b"\n\n", b",,,\n,,,\n", b"# only a comment\n", b"\xef\xbb\xbf", b" \t \n", b"ID,TIME,DV\n", b"ID\n"])


def something_else(rng: Random) -> bytes:
    web, script = b"<!DOCTYPE html>\n<html><body>404</body></html>\n", b"import pandas as pd\nx = (1, 2, 3)\n"
    return rng.choice([web, script, b'{"ID": [1, 2], "TIME": [0, 1]}\n', b"Dear all,\nplease find the data, as agreed, below\n"])


def cut_in_a_quote(rng: Random) -> bytes:
    raw = encoded(good(rng.randrange(1000)))
    place = raw.index(b"\n", rng.randrange(80, 300)) + 1
    return raw[:place] + b'"' + raw[place:]


def nul_inside(rng: Random) -> bytes:
    raw = encoded(good(rng.randrange(1000)))
    place = rng.randrange(len(raw))
    return raw[:place] + b"\0" + raw[place:]


SPOILT: dict[str, Callable[[Random], bytes]] = {
    "junk": junk,
    "several junk": several_junk,
    "column dropped": column_dropped,
    "column twice": column_twice,
    "rows shuffled": rows_shuffled,
    "rows backwards": rows_backwards,
    "encoding": other_encoding,
    "separator": other_separator,
    "ragged": ragged,
    "header lost": header_lost,
    "unit in header": header_spoilt,
    "binary": bytes_of_any_kind,
    "nothing": nothing,
    "something else": something_else,
    "quote": cut_in_a_quote,
    "nul": nul_inside,
    "negative amount": lambda rng: with_cell(rng, "AMT", ["-1", "-1e-9", "-500"], evid="1"),
    "no amount": lambda rng: with_cell(rng, "AMT", ["", ".", "0"], evid="1"),
    "ADDL": lambda rng: with_cell(rng, "ADDL", ["-1", "1.5", "1e9", "999999"], evid="1"),
    "EVID": lambda rng: with_cell(rng, "EVID", ["5", "-1", "0.5", "101", ""]),
    "flags": lambda rng: with_cell(rng, rng.choice(["MDV", "CENS"]), ["2", "-3", "0.5", "1e9"], evid="0"),
    "time": lambda rng: with_cell(rng, "TIME", ["", "-5", "1e30", "1e31"], evid="0"),
    "who": lambda rng: with_cell(rng, "ID", ["", ".", "stranger"], evid="0"),
    "where and what": lambda rng: with_cell(rng, *rng.choice([("CMT", ["dept", "7", "-2", "0"]), ("CMT", ["", "."])]), evid="1"),
    "observable": lambda rng: with_cell(rng, "DVID", ["cpp", "3", "", "0", "-1"], evid="0"),
}


def test_the_good_file_is_good(tmp_path):
    for seed in range(3):
        path = tmp_path / "good.csv"
        path.write_bytes(encoded(good(seed)))
        assert read_cohort(path, WORDS, units=UNITS).n_subjects == 4


def test_there_are_200_files():
    assert len(SPOILT) == KINDS and len(SPOILT) * SEEDS == 200


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_refused_in_sentences_and_gives_no_number(tmp_path, capsys, kind):
    for seed in range(SEEDS):
        path = tmp_path / f"spoilt_{seed}.csv"
        path.write_bytes(SPOILT[kind](Random(f"{kind} {seed}")))
        seen = examine(path, WORDS, units=UNITS)
        assert seen.cohort is None, f"{kind} {seed} was read"
        _sentences(seen.defects)
        if seed == 0:
            with pytest.raises(DataError) as error:
                read_cohort(path, WORDS, units=UNITS)
            assert error.value.defects == seen.defects
        _told(capsys, path)


UNFILLED = re.compile(r"<(value|name|other|choices|near|unit|reason|evid|wanted|why)>|\{(value|name|other|choices)\}")


def _sentences(defects) -> None:
    assert defects
    for one in defects:
        assert one.code in CODES and one.severity == "error"
        assert one.message and one.cure.endswith((".", ")")), one
        assert not UNFILLED.search(one.message + one.cure) and "Traceback" not in one.message, one
        assert one.row is None or one.row >= 1


def _told(capsys, path) -> None:
    """The command line says the same without a model: exit code 1, or 0 where only names of the model were wrong; never a traceback."""
    code = main(["check-data", str(path), "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == "" and code == (0 if told["clean"] else 1)
    assert told["clean"] == (told["counts"]["errors"] == 0) == (told["counts"]["subjects"] is not None)
    assert all(set(d) == {"code", "severity", "row", "subject", "column", "message", "cure"} for d in told["defects"])
