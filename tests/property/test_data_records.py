"""Laws of reading: what may be written in two ways is read the same, and rubbish is refused in sentences."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pkpd.data import Cohort, Field, Vocabulary, read_cohort
from pkpd.errors import DataError

WORDS = Vocabulary(
    doses=(Field("depot", "mg"),),
    states=("depot", Field("central", "mg")),
    observables=(Field("cp", "mg/L"), Field("il6", "pg/mL")),
    covariates=("WT",),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "il6": "pg/mL"}}
QUICK = settings(max_examples=20, deadline=None)
HEADER = ["ID", "TIME", "EVID", "AMT", "RATE", "DUR", "ADDL", "II", "CMT", "DVID", "DV", "MDV", "CENS", "LIMIT", "WT", "SS"]


@st.composite
def subjects(draw, number: int) -> pd.DataFrame:
    """A few valid rows of one subject, whole hours so that times are exact."""
    count = draw(st.integers(1, 6))
    times = np.cumsum(draw(st.lists(st.integers(0, 30), min_size=count, max_size=count)))
    rows = [draw(_row(int(time), i)) for i, time in enumerate(times)]
    table = pd.DataFrame([row for row in rows]).assign(ID=f"S{number}", WT=draw(st.integers(40, 120)))
    return table


@st.composite
def _row(draw, time: int, i: int) -> dict:
    row = {"TIME": time, "EVID": 0, "AMT": 0.0, "DUR": 0.0, "ADDL": 0, "II": 0, "CMT": "", "DVID": "", "DV": np.nan}
    evid = draw(st.sampled_from([0, 0, 1, 1, 2, 3, 4]))
    if evid in (1, 4):
        row |= {
            "AMT": draw(st.integers(1, 500)),
            "DUR": draw(st.sampled_from([0, 0, 2, 10])),
            "CMT": draw(st.sampled_from(["depot", "central"])),
        }
        row |= {"ADDL": draw(st.integers(0, 4)), "II": draw(st.integers(1, 24))}
    if evid == 0:
        row |= {"DVID": draw(st.sampled_from(["cp", "il6"])), "DV": 1.0 + i}
    return row | {"EVID": evid}


@st.composite
def studies(draw) -> list[pd.DataFrame]:
    return [draw(subjects(n)) for n in range(draw(st.integers(1, 3)))]


def read(table: pd.DataFrame, **units) -> Cohort:
    return read_cohort(table, WORDS, units=UNITS | units)


def readable(study: list[pd.DataFrame]) -> pd.DataFrame | None:
    table = pd.concat(study, ignore_index=True)
    return table if table["EVID"].isin([0, 1, 4]).any() else None


def assert_same(a: Cohort, b: Cohort, *, rows: bool = True) -> None:
    for name in ("doses", "observations"):
        one, two = (getattr(c, name).drop(columns=[] if rows else ["row", "rank"]) for c in (a, b))
        pd.testing.assert_frame_equal(one, two, rtol=1e-12)
    pd.testing.assert_frame_equal(a.covariates, b.covariates)


def written_out(table: pd.DataFrame) -> pd.DataFrame:
    """ADDL by hand: each additional dose becomes a row before all rows of its time; a reset cancels those to come."""
    rows = []
    for _, mine in table.groupby("ID", sort=False):
        mine = mine.reset_index(drop=True)
        extra = []
        for i, row in mine.iterrows():
            resets = [j for j in range(i + 1, len(mine)) if mine["EVID"][j] in (3, 4)]
            for k in range(1, int(row["ADDL"]) + 1):
                time = row["TIME"] + k * row["II"]
                first = [j for j in resets if mine["TIME"][j] <= time]
                at = mine["TIME"][first[0]] if first else None
                seen = first and at == time and any(mine["TIME"][j] == time for j in range(first[0]))
                if not first or seen:
                    extra.append((time, 0, i, row.to_dict() | {"TIME": time, "EVID": 1, "ADDL": 0, "II": 0}))
        own = [(row["TIME"], 1, i, row.to_dict() | {"ADDL": 0, "II": 0}) for i, row in mine.iterrows()]
        rows += [line[3] for line in sorted(own + extra, key=lambda line: line[:3])]
    return pd.DataFrame(rows)


@QUICK
@given(studies())
def test_additional_doses_are_explicit_doses(study):
    table = readable(study)
    if table is not None:
        one, two = read(table), read(written_out(table))
        columns = ["subject", "time", "kind", "target", "amount", "duration"]
        pd.testing.assert_frame_equal(one.doses[columns], two.doses[columns])


@QUICK
@given(studies())
def test_units_change_nothing(study):
    table = readable(study)
    if table is not None:
        minutes = table.assign(TIME=table["TIME"] * 60, II=table["II"] * 60, DUR=table["DUR"] * 60, AMT=table["AMT"] * 1000)
        minutes["DV"] = table["DV"] * 1000
        again = read(minutes, TIME="min", AMT="ug", DV={"cp": "ug/L", "il6": "fg/mL"})
        assert_same(read(table), again)


@QUICK
@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_subjects_only_orders_subjects(study, random):
    table = readable(study)
    if table is not None:
        order = list(range(len(study)))
        random.shuffle(order)
        shuffled = read(readable([study[i] for i in order]))
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
        assert np.isfinite(cohort.doses[["time", "amount", "duration"]].to_numpy()).all()


CELL = st.one_of(
    st.sampled_from(
        ["", ".", "0", "1", "-1", "-2", "2", "3", "4", "1e9", "1e308", "-1e400", "nan", "inf", "NA", "cp", "depot", "1,5", "1_0", "10:30"]
    ),
    st.integers(-10, 40).map(str),
    st.text(max_size=4),
)
NAMES = st.sampled_from([*HEADER, "TIME [h]", "AMT [x]", "TIME_H", "ALAG1", "DATE", "LLOQ", "VIAB", "", "id"])


def assert_cohort_or_sentences(source) -> None:
    try:
        cohort = read_cohort(source, WORDS, units=UNITS)
    except DataError as error:
        assert all(d.message and d.cure for d in error.defects)
    else:
        assert np.isfinite(cohort.doses[["time", "amount", "duration"]].to_numpy(dtype=float)).all()
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
