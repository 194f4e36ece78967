"""Schedules: who stands in which segment, ties by rank, padding."""

import numpy as np
import pandas as pd

from pkpd.events import build_schedule
from tests.oracle import Given, cohort


def schedule(doses, looks):
    made = cohort(doses, looks, "cp")
    return build_schedule(made.doses, made.observations, len(doses))


def test_a_look_at_a_dose_time_is_before_or_after_by_rank():
    s = schedule([[Given(2.0, 5.0, "x", rank=3.0)]], [[(2.0, 2.0), (2.0, 4.0)]])
    assert s.times[:, 0].tolist() == [2.0, 2.0]
    assert s.segment[:, 0].tolist() == [0, 1]
    assert s.edges[:, 0].tolist() == [2.0, 2.0, 2.0]
    assert s.amount[:, 0, 0].tolist() == [0.0, 5.0]


def test_doses_of_one_moment_share_a_segment_unless_somebody_looks_between():
    doses = [Given(0.0, 5.0, "x", rank=1.0), Given(0.0, 7.0, "y", rank=3.0)]
    assert schedule([doses], [[(1.0, 9.0)]]).amount[:, :, 0].tolist() == [[5.0, 7.0]]
    assert schedule([doses], [[(0.0, 2.0), (1.0, 9.0)]]).amount[:, :, 0].tolist() == [[5.0, 0.0], [0.0, 7.0]]
    assert schedule([doses], [[(0.0, 2.0)]]).amount[:, :, 0].tolist() == [[5.0, 0.0]]  # what follows the last look is left away


def test_the_end_of_an_infusion_comes_before_every_record_of_its_time():
    s = schedule([[Given(0.0, 6.0, "x", duration=2.0)]], [[(2.0, 0.0)]])
    assert s.rate[:, 0, 0].tolist() == [3.0, 0.0]
    assert s.segment[:, 0].tolist() == [1]


def test_overlapping_infusions_add_and_end_at_exactly_zero():
    doses = [Given(0.1 * k, 0.1 + k, "x", duration=0.3, rank=k) for k in range(4)]
    s = schedule([doses], [[(5.0, 9.0)]])
    assert s.rate[-1, 0, 0] == 0.0
    np.testing.assert_allclose(np.sum(s.rate[:, 0, 0] * np.diff(s.edges[:, 0])), sum(d.amount for d in doses), rtol=1e-14)


def test_a_reset_begins_a_segment_of_its_own_before_the_dose_of_its_row():
    s = schedule([[Given(0.0, 5.0, "x"), Given(4.0, 2.0, "x", rank=2.0, kind="reset_dose")]], [[(4.0, 1.0), (4.0, 3.0)]])
    assert s.reset[:, 0].tolist() == [0.0, 1.0]
    assert s.amount[:, 0, 0].tolist() == [5.0, 2.0]
    assert s.segment[:, 0].tolist() == [0, 1]


def test_rows_find_their_place_whatever_their_index():
    made = cohort([[Given(0.0, 5.0, "x")], []], [[(1.0, 1.0), (2.0, 2.0)], [(3.0, 1.0)]], "cp")
    rows = made.observations.iloc[[2, 1, 0]].set_index(pd.Index([40, 7, 9]))
    s = build_schedule(made.doses, rows, 2)
    assert s.times[s.row_time, s.row_lane].tolist() == [3.0, 2.0, 1.0]


def test_padding_has_no_length_and_repeats_the_last_time():
    doses = [[Given(float(k), 1.0, "x", rank=k) for k in range(4)], [Given(-1.0, 2.0, "x")]]
    s = schedule(doses, [[(5.0, 9.0)], [(1.0, 9.0), (2.0, 10.0)]])
    assert np.diff(s.edges[:, 1]).tolist() == [3.0, 0.0, 0.0, 0.0]
    assert s.amount[1:, 0, 1].tolist() == [0.0, 0.0, 0.0]
    assert s.times[:, 0].tolist() == [5.0, 5.0] and s.segment[:, 0].tolist() == [3, 3]


def test_a_subject_never_looked_at_is_padded_inside_its_last_segment():
    """A time beyond its segment would be integrated backwards when padding is solved."""
    s = schedule([[Given(0.0, 1.0, "x"), Given(9.0, 1.0, "x", rank=2.0)], [Given(0.0, 1.0, "x")]], [[], [(1.0, 9.0)]])
    assert s.times[0, 0] == 9.0 and s.segment[0, 0] == 1
