"""The mesh: covers each segment once, cut at every look, fine after an event, growing away from it."""

import numpy as np
import pytest

from pkpd.events import build_schedule
from pkpd.solve.mesh import build_mesh
from tests.oracle import cohort
from tests.reference.scenario import subjects

START, GROWTH = 0.5, 0.3


@pytest.fixture(scope="module")
def laid():
    made = cohort(*subjects("x"), "cp")
    s = build_schedule(made.doses, made.observations, 6)
    mesh = build_mesh(s, START, GROWTH)
    stamps = np.concatenate([s.edges, s.times])
    left, right = (np.take_along_axis(stamps, side, 0) for side in (mesh.left, mesh.right))
    return s, mesh, left + mesh.part0 * (right - left), left + mesh.part1 * (right - left)


def test_intervals_join_without_gap_and_cover_everything(laid):
    s, _, begin, end = laid
    np.testing.assert_allclose(begin[1:], end[:-1], atol=1e-12)
    np.testing.assert_allclose(begin[0], s.edges[0], atol=0)
    np.testing.assert_allclose(end[-1], s.edges[-1], atol=1e-12)
    assert np.all(end >= begin)


def test_every_segment_has_exactly_one_first_interval(laid):
    s, mesh, begin, _ = laid
    for b in range(s.lanes):
        firsts = mesh.segment[mesh.first[:, b] == 1.0, b]
        assert firsts.tolist() == list(range(s.shape[0]))
        np.testing.assert_allclose(begin[mesh.first[:, b] == 1.0, b], s.edges[:-1, b], atol=0)


def test_no_interval_is_longer_than_allowed(laid):
    s, mesh, begin, end = laid
    since = begin - np.take_along_axis(s.edges, mesh.segment, 0)
    assert np.all(end - begin <= START + GROWTH * since + 1e-9)


def test_looks_stand_at_the_end_of_an_interval_of_their_own_segment(laid):
    s, mesh, begin, end = laid
    at = np.where(mesh.at_end > 0, np.take_along_axis(end, mesh.spot, 0), np.take_along_axis(begin, mesh.spot, 0))
    np.testing.assert_allclose(at, s.times, atol=1e-12)
    assert np.array_equal(np.take_along_axis(mesh.segment, mesh.spot, 0), s.segment)
