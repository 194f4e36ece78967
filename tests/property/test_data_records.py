"""Laws of reading: what may be written in two ways is read the same, and rubbish is refused in sentences."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pkpd.data import Cohort, Field, Vocabulary, read_cohort, to_records, write_records
from pkpd.errors import DataError

WORDS = Vocabulary(
    doses=(Field("depot", "mg"),),
    states=("depot", Field("central", "mg")),
    observables=(Field("cp", "mg/L"), Field("il6", "pg/mL")),
    covariates=("WT",),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "il6": "pg/mL"}}
QUICK = settings(deadline=None)  # as many examples as tests/conftest.py says
HEADER = ["ID", "TIME", "EVID", "AMT", "RATE", "DUR", "ADDL", "II", "CMT", "DVID", "DV", "MDV", "CENS", "LIMIT", "WT", "SS", "LAG", "F"]
DOSES = ["time", "kind", "target", "amount", "shape", "duration", "rate", "ss", "ii", "lag", "bioavailability"]


@st.composite
def subjects(draw, number: int) -> pd.DataFrame:
    """A few valid rows of one subject, whole hours so that times are exact."""
    count = draw(st.integers(1, 6))
    times = np.cumsum(draw(st.lists(st.integers(0, 30), min_size=count, max_size=count)))
    rows = [draw(_row(int(time), i)) for i, time in enumerate(times)]
    weights = draw(st.one_of(st.integers(40, 120), st.lists(st.integers(40, 120), min_size=count, max_size=count)))
    return pd.DataFrame(rows).assign(ID=f"S{number}", WT=weights)


@st.composite
def _row(draw, time: int, i: int) -> dict:
    evid = draw(st.sampled_from([0, 0, 1, 1, 2, 3, 4]))
    nothing = {"AMT": 0.0, "RATE": 0.0, "DUR": 0.0, "ADDL": 0, "II": 0, "SS": 0, "CMT": "", "LAG": np.nan, "F": np.nan}
    row = {"TIME": time, "EVID": evid, **nothing, "DVID": "", "DV": np.nan, "MDV": 0, "CENS": 0, "LIMIT": np.nan}
    if evid in (1, 4):
        row |= draw(_given())
    if evid == 0:
        row |= {"DVID": draw(st.sampled_from(["cp", "il6"])), "DV": 1.0 + i, "MDV": draw(st.sampled_from([0, 0, 1]))}
        row |= draw(st.sampled_from([{}, {"CENS": 1}, {"CENS": 1, "LIMIT": 0.25}, {"CENS": -1}]))
    return row


@st.composite
def _given(draw) -> dict:
    """What a dose row says of its dose; one in eight is a constant infusion at steady state."""
    row: dict = {"CMT": draw(st.sampled_from(["depot", "central"])), "AMT": draw(st.integers(1, 500))}
    row |= {"LAG": draw(st.sampled_from([np.nan, 0, 0.3])), "F": draw(st.sampled_from([np.nan, 0.7, 2]))}
    row |= draw(st.sampled_from([{}, {}, {"DUR": 2}, {"DUR": 10}, {"RATE": 7}, {"RATE": -1}, {"RATE": -2}]))
    if draw(st.integers(0, 7)) == 0:
        return row | {"AMT": 0, "RATE": 3, "DUR": 0, "SS": 1}
    return row | {"ADDL": draw(st.integers(0, 4)), "II": draw(st.integers(1, 24)), "SS": draw(st.sampled_from([0, 0, 1, 2]))}


@st.composite
def studies(draw) -> list[pd.DataFrame]:
    return [draw(subjects(n)) for n in range(draw(st.integers(1, 3)))]


def read(table: pd.DataFrame, **units) -> Cohort:
    return read_cohort(table, WORDS, units=UNITS | units)


def readable(study: list[pd.DataFrame]) -> pd.DataFrame | None:
    table = pd.concat(study, ignore_index=True)
    return table if table["EVID"].isin([0, 1, 4]).any() else None


def assert_same(a: Cohort, b: Cohort, *, rows: bool = True, exact: bool = False) -> None:
    for name in ("doses", "observations", "covariate_records"):
        one, two = (getattr(c, name).drop(columns=[] if rows else ["row", "rank", "place"], errors="ignore") for c in (a, b))
        pd.testing.assert_frame_equal(one, two, rtol=1e-12, check_exact=exact)
    pd.testing.assert_frame_equal(a.covariates, b.covariates)
    assert a.interpolation == b.interpolation


def written_out(table: pd.DataFrame) -> pd.DataFrame:
    """ADDL by hand: each additional dose becomes a row before all rows of its time."""
    rows = []
    for _, mine in table.groupby("ID", sort=False):
        mine = mine.reset_index(drop=True)
        extra = []
        for i, row in mine.iterrows():
            for k in range(1, int(row["ADDL"]) + 1):
                time = row["TIME"] + k * row["II"]
                extra.append((time, 0, i, row.to_dict() | {"TIME": time, "EVID": 1, "ADDL": 0, "SS": 0}))
        own = [(row["TIME"], 1, i, row.to_dict() | {"ADDL": 0}) for i, row in mine.iterrows()]
        rows += [line[3] for line in sorted(own + extra, key=lambda line: line[:3])]
    return pd.DataFrame(rows)


@QUICK
@given(studies())
def test_additional_doses_are_explicit_doses(study):
    table = readable(study)
    if table is not None:
        one, two = read(table), read(written_out(table))
        columns = ["subject", *(c for c in DOSES if c != "ii")]
        pd.testing.assert_frame_equal(one.doses[columns], two.doses[columns])


@QUICK
@given(studies())
def test_units_change_nothing(study):
    table = readable(study)
    if table is not None:
        minutes = table.assign(**{name: table[name] * 60 for name in ("TIME", "II", "DUR", "LAG")})
        minutes = minutes.assign(**{name: table[name] * 1000 for name in ("AMT", "DV", "LIMIT")})
        minutes["RATE"] = table["RATE"].where(table["RATE"] < 0, table["RATE"] * 1000 / 60)
        again = read(minutes, TIME="min", AMT="ug", DV={"cp": "ug/L", "il6": "fg/mL"})
        assert_same(read(table), again)


@QUICK
@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_subjects_only_orders_subjects(study, random):
    table = readable(study)
    if table is not None:
        order = list(range(len(study)))
        random.shuffle(order)
        shuffled = read(pd.concat([study[i] for i in order], ignore_index=True))
        assert_same(read(table).subset(order), shuffled, rows=False)


@QUICK
@given(studies())
def test_a_csv_file_says_what_its_frame_says(study):
    table = readable(study)
    if table is not None:
        text = table.to_csv(index=False)
        assert_same(read(table), read(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)))


@QUICK
@given(studies())
def test_no_observation_is_lost_and_ranks_order_the_rows(study):
    table = readable(study)
    if table is not None:
        cohort = read(table)
        assert len(cohort.observations) == int((table["EVID"] == 0).sum())
        assert cohort.observations["rank"].is_monotonic_increasing
        assert_doses(cohort)


def assert_doses(cohort: Cohort) -> None:
    """Every number of a dose is there where its shape asks for it, and only there."""
    doses = cohort.doses
    assert np.isfinite(doses[["time", "amount", "ii"]].to_numpy(dtype=float)).all()
    assert (np.isfinite(doses["duration"]) == (doses["shape"] == "duration")).all()
    assert (np.isfinite(doses["rate"]) == (doses["shape"] == "rate")).all()
    assert ((doses["shape"] == "") == (doses["kind"] == "reset")).all()
    assert np.isfinite(cohort.covariate_records.to_numpy(dtype=float)).all()


@QUICK
@given(studies(), st.sampled_from(["rows", "doses_first", "observations_first"]))
def test_what_is_written_is_read_again(tmp_path_factory, study, ties):
    table = readable(study)
    if table is not None:
        cohort = read_cohort(table, WORDS, units=UNITS, ties=ties)
        assert_same(cohort, read_cohort(to_records(cohort), WORDS, ties=ties), exact=True)
        path = write_records(cohort, tmp_path_factory.getbasetemp() / "written.csv")
        again = read_cohort(path, WORDS, units=cohort.units, ties=ties)
        again = replace(again, doses=again.doses.assign(row=again.doses["row"] - 1))  # the header is line 1 of a file
        again = replace(again, observations=again.observations.assign(row=again.observations["row"] - 1))
        assert_same(cohort, again, exact=True)
        assert again.subjects == cohort.subjects
        pd.testing.assert_frame_equal(cohort.records.drop(columns="row"), again.records.drop(columns="row"))


@QUICK
@given(studies())
def test_numbers_for_nonmem_mean_the_same(tmp_path_factory, study):
    table = readable(study)
    if table is not None:
        cohort = read(table)
        path = write_records(cohort, tmp_path_factory.getbasetemp() / "numbered.csv", numbered=WORDS)
        assert pd.read_csv(path, na_values=".").dtypes.map(pd.api.types.is_numeric_dtype).all()
        assert_same(cohort, read_cohort(path, WORDS, units=cohort.units), rows=False, exact=True)


CELL = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "0",
            "1",
            "-1",
            "-2",
            "2",
            "3",
            "4",
            "1e9",
            "1e308",
            "-1e400",
            "nan",
            "inf",
            "NA",
            "cp",
            "depot",
            "1,5",
            "1_0",
            "10:30",
            "2020-1-31",
            "2020-01-31T10:30",
        ]
    ),
    st.integers(-10, 40).map(str),
    st.text(max_size=4),
)
NAMES = st.sampled_from(
    [*HEADER, "TIME [h]", "AMT [x]", "TIME_H", "ALAG1", "F2", "D", "R1", "DATE", "DAT2", "Y", "AVALU", "LLOQ", "VIAB", "", "id"]
)


def assert_cohort_or_sentences(source) -> None:
    try:
        cohort = read_cohort(source, WORDS, units=UNITS)
    except DataError as error:
        assert all(d.message and d.cure for d in error.defects)
    else:
        assert_doses(cohort)
        assert np.isfinite(cohort.observations.loc[cohort.observations["scored"], "dv"]).all()


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))))
@example(b'ID,TIME\n"1"x,2\n')
@example(b"ID,TIME\r1,2\r")
@example(b"\xef\xbb\xbfID,TIME\n1,2")
def test_bytes_of_any_kind_give_a_cohort_or_sentences(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(raw)
    assert_cohort_or_sentences(path)


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=8), st.data())
def test_cells_of_any_kind_give_a_cohort_or_sentences(tmp_path_factory, extra, data):
    header = data.draw(st.sampled_from([HEADER, extra, HEADER + extra]))
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(header), max_size=len(header)), min_size=1, max_size=4))
    table = pd.DataFrame(rows, columns=header)
    assert_cohort_or_sentences(table)
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(table.to_csv(index=False).encode("utf-8", "replace"))
    assert_cohort_or_sentences(path)


@settings(max_examples=30, deadline=None)
@given(studies(), st.data())
def test_one_wrong_cell_in_a_good_file_never_gives_a_traceback(study, data):
    table = pd.concat(study, ignore_index=True).astype(object)
    row, column = data.draw(st.integers(0, len(table) - 1)), data.draw(st.sampled_from(list(table.columns)))
    table.loc[row, column] = data.draw(
        st.one_of(CELL, st.none(), st.booleans(), st.lists(st.integers(), max_size=1).map(tuple), st.floats())
    )
    assert_cohort_or_sentences(table)
