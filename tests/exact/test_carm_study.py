"""The models of a whole study: they keep their parts, one release for all cytokines, and grades of CRS."""

import math

import numpy as np
import pytest

from pkpd.models.carm import carm_panel, carm_study, carm_tumour, cytokine_panel
from pkpd.models.carm.crs import at_least, of_each_grade
from tests.courses import rates, seen


def test_the_study_model_observes_everything_and_keeps_its_parts():
    assert carm_study.observable_names[:4] == ("car_dna", "biopsy_car", "sld", "t_cells") and "il6_auc" in carm_study.observable_names
    y = {n: 0.5 for n in carm_study.state_names} | {"volume": 1e5, "il6": 3.0}
    found = rates(carm_study, y)
    assert {n: found[n] for n in carm_tumour.state_names} == pytest.approx(
        rates(carm_tumour, {n: y[n] for n in carm_tumour.state_names}), rel=1e-13
    )
    panel = {n: y[n] for n in cytokine_panel.state_names}
    assert {n: found[n] for n in ("Z", "il6", "ifng")} == pytest.approx(
        {n: rates(cytokine_panel, panel)[n] for n in ("Z", "il6", "ifng")}, rel=1e-13
    )
    assert found["il6_auc"] == pytest.approx(3.0 - carm_study.typical["base_il6"], rel=1e-13)


def test_the_panel_model_is_the_study_model_with_one_release_for_all_cytokines():
    y = {n: 0.5 for n in carm_panel.state_names} | {"volume": 1e5, "il6": 3.0, "il6_auc": 2500.0}
    plain = rates(carm_study, {n: y.get(n, 1.0) for n in carm_study.state_names})
    assert rates(carm_panel, y) == pytest.approx({n: plain[n] for n in carm_panel.state_names}, rel=1e-13)
    tripled = {f"gain_{c}": 3 * carm_panel.typical[f"gain_{c}"] for c in ("il6", "tnf", "il8", "il10")}
    assert rates(carm_panel, y, release=3.0) == pytest.approx(rates(carm_panel, y, **tripled), rel=1e-13)
    assert seen(carm_panel, y)["crs"] == pytest.approx(math.log(2.501), rel=1e-12)
    assert seen(carm_panel, y | {"il6_auc": 0.0})["crs"] == pytest.approx(math.log(0.001), rel=1e-12)


def test_grades_are_proportional_odds():
    x, slope, cuts = np.log([1.0, 50.0, 400.0]), 1.7, np.log(50.0) + np.array([0.0, 1.2, 2.0])
    more = np.asarray(at_least(x, slope, cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]))
    exact = 1 / (1 + np.exp(-slope * (x[None] - cuts[:, None])))
    np.testing.assert_allclose(more, exact, rtol=1e-12)
    each = np.asarray(of_each_grade(x, slope, cuts[0], 1.2, 0.8))
    assert each.shape == (4, 3) and (each > 0).all()
    np.testing.assert_allclose(each.sum(0), 1.0, rtol=1e-14)
    many = at_least(x, np.full(3, slope), np.full(3, cuts[0]), np.full(3, 1.2), 0.8)  # parameters of each subject
    np.testing.assert_allclose(many, more, rtol=1e-14)
