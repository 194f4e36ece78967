"""What-ifs: labelled dimensions, the same random numbers in every arm, extrapolation said, nothing without a problem."""

import jax
import numpy as np
import numpy.testing as npt
import pytest

from pkpd import Fit, FitError, bolus, what_if
from tests import small

KEY = jax.random.PRNGKey(4)
TIMES = (1.0, 6.0, 24.0)


@pytest.fixture(scope="module")
def runs():
    arms = {"once": bolus((100, "mg")), "again": bolus((100, "mg")), "double": bolus((200, "mg"))}
    return what_if(small.fit(), arms, times=TIMES, key=KEY, n_subjects=5, draws=6)


def test_dimensions_and_units(runs):
    assert runs["cp"].dims == ("arm", "draw", "subject", "time")
    assert dict(runs.sizes) == {"arm": 3, "draw": 6, "subject": 5, "time": 3}
    assert runs["cp"].attrs["unit"] == "mg/L"
    assert list(runs["time"].values) == list(TIMES)


def test_equal_arms_are_equal_to_the_last_bit(runs):
    npt.assert_array_equal(runs["cp"].sel(arm="once"), runs["cp"].sel(arm="again"))


def test_a_linear_model_doubles_with_the_dose(runs):
    """The same random numbers in both arms, so the ratio is 2 for every subject, to rounding."""
    npt.assert_allclose(runs["cp"].sel(arm="double"), 2.0 * runs["cp"].sel(arm="once"), rtol=1e-12)


def test_what_was_not_studied_is_said(runs):
    notes = " ".join(runs.attrs["extrapolation"])
    assert "double: extrapolation, its largest dose 200 mg exceeds the largest given, 100." in notes
    assert "once" not in notes


def test_posterior_subjects_are_the_cohorts_own():
    own = what_if(small.fit(), {"once": bolus((100, "mg"))}, times=TIMES, key=KEY, subjects="posterior", draws=4)
    sites = small.fit().tree["posterior"]
    chosen = np.unique(np.linspace(0, 199, 4).astype(int))
    cl, v = (sites[f"{n}_i"].values.reshape(200, 6)[chosen] for n in ("CL", "V"))
    expected = 100.0 / v[..., None] * np.exp(-(cl / v)[..., None] * np.array(TIMES))
    npt.assert_allclose(own["cp"].sel(arm="once"), expected, rtol=1e-10)  # closed form, rounding only


def test_refusals_are_sentences():
    with pytest.raises(FitError, match=r"^what_if needs at least one arm"):
        what_if(small.fit(), {}, times=TIMES, key=KEY)
    with pytest.raises(FitError, match=r"^what_if\(subjects='old'\): 'new' \(virtual subjects\) or 'posterior' \(the cohort's own\)\.$"):
        what_if(small.fit(), {"once": bolus((100, "mg"))}, times=TIMES, key=KEY, subjects="old")
    with pytest.raises(FitError, match=r"^This fit was loaded without its problem"):
        what_if(Fit(small.fit().tree), {"once": bolus((100, "mg"))}, times=TIMES, key=KEY)
