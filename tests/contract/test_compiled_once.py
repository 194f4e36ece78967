"""A fit compiles its programs once: a warm-up of more windows compiles nothing anew, and a pilot nothing that solves."""

from __future__ import annotations

import pytest

from pkpd import sample
from tests import small
from tests.compiled import compiled


def in_a_fit(**changes) -> int:
    """How many programs XLA compiles while the small problem is fitted."""
    return compiled(lambda: sample(small.problem(), seed=5, progress=False, chains=2, draws=50, **changes))


@pytest.mark.slow
def test_a_longer_warm_up_compiles_nothing_more_and_a_fit_few_programs():
    """21 programs when this was written, of which those that solve: value and gradient, Jacobian, three of the sampler, predictions, curves, check.

    A pilot (warm-up of 200 or more) adds two that look at its draws, of the prior only: the effects given those before, and the draws recentred.
    """
    in_a_fit(warmup=200)  # small operations that any later fit of this process finds compiled
    assert 0 < in_a_fit(warmup=400) <= 21 + 2


@pytest.mark.slow
def test_as_many_for_a_short_warm_up_as_for_a_long_one():
    in_a_fit(warmup=200)
    assert 0 < in_a_fit(warmup=200) == in_a_fit(warmup=400)
