"""Cytokines of volunteers given endotoxin: the chain against its closed form, areas and doses in proportion."""

import math

import numpy as np
import pytest

from pkpd.models.carm import endotoxin_cytokines
from tests.courses import course


@pytest.fixture(scope="module")
def given_two():
    times = np.linspace(0.0, 150.0, 15001)
    return times, course(endotoxin_cytokines, times, {"A1": 2.0})


def test_endotoxin_is_delayed_by_an_erlang_law(given_two):
    """Stage n of equal rates holds D (k t)^(n-1) exp(-k t) / (n-1)!; one of activation that lasts gains what stage 18 passes on."""
    times, found = given_two
    p, early = endotoxin_cytokines.typical, slice(1, 1000)
    x = p["k_A"] * times[early]
    for n in (1, 12, 18, 21):
        law = 2.0 * np.exp((n - 1) * np.log(x) - x - math.lgamma(n))
        assert found[f"A{n}"][early] == pytest.approx(law, rel=0, abs=1e-8)
    gained = np.trapezoid(p["k_A"] * found["A18"] - p["k_S"] * found["lasting"], times)
    assert gained == pytest.approx(found["lasting"][-1], abs=1e-6)


def test_a_gain_is_the_area_under_the_rise_per_dose(given_two):
    """All endotoxin passes each stage; what lasts adds tail/k_S of it, and IL-10 has its share of the early drive besides."""
    times, found = given_two
    p = endotoxin_cytokines.typical
    lasts = p["tail"] / p["k_S"]
    parts = {"tnf": 1 + lasts, "il6": 1.0, "il8": 1 + lasts, "il10": 1 + p["early_il10"] + lasts}
    for c, part in parts.items():  # exp(-k_S 150 h) = 3e-7 of what lasts is left
        area = np.trapezoid(found[c] - p[f"base_{c}"], times)
        assert area == pytest.approx(2.0 * p[f"gain_{c}"] * part, rel=1e-5), c


def test_a_doubled_dose_doubles_every_rise(given_two):
    times, found = given_two
    p, doubled = endotoxin_cytokines.typical, course(endotoxin_cytokines, times[:1001], {"A1": 4.0})
    for c in ("tnf", "il6", "il8", "il10"):
        base = p[f"base_{c}"]
        assert doubled[c] - base == pytest.approx(2 * (found[c][:1001] - base), rel=1e-6, abs=1e-6)
