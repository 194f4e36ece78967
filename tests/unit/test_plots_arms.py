"""Figures of what-ifs: the numbers drawn, labels, units and marks; never pixels."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pkpd import best_change, bolus, exposure, local_sensitivity, sobol_indices, target_attainment
from pkpd.errors import FitError
from pkpd.plots import (
    plot_differences,
    plot_dose_probability,
    plot_exposure_response,
    plot_heat_map,
    plot_pareto,
    plot_sobol,
    plot_spider,
    plot_tornado,
    plot_waterfall,
)
from pkpd.plots.exposure_response import binned

T = np.array([0.0, 24.0, 48.0, 96.0, 240.0])
ARMS = ("one", "two", "four")


@pytest.fixture(scope="module")
def runs():
    rng = np.random.default_rng(1)
    dose = np.array([1.0, 2.0, 4.0])[:, None, None, None]
    k = 0.02 * np.exp(0.2 * rng.normal(size=(1, 20, 1, 1)) + 0.3 * rng.normal(size=(1, 20, 10, 1)))
    cp = 10 * dose * np.exp(-k * T)
    il6 = 2.0 + dose * 8 * (np.exp(-0.02 * T) - np.exp(-0.3 * T)) + 0 * k
    sld = 60 * np.exp((0.002 - 0.001 * dose * 50 * k) * T)
    dims, attrs = ("arm", "draw", "subject", "time"), {"simulated": 1, "extrapolation": ["x"], "source": "prior", "converged": 1}
    data = {"cp": (dims, cp, {"unit": "mg/L"}), "il6": (dims, il6, {"unit": "pg/mL"}), "sld": (dims, sld, {"unit": "mm"})}
    return xr.Dataset(data, coords={"arm": list(ARMS), "time": T, "draw": np.arange(20), "subject": np.arange(10)}, attrs=attrs)


def texts(figure) -> str:
    from matplotlib.text import Text

    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_text())


def test_differences_are_those_of_pairs(runs):
    figure = plot_differences(runs, "one", "cp")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["two against one", "four against one"]
    curve = next(x for x in figure.axes[1].lines if len(x.get_xdata()) == len(T))
    expected = (runs["cp"].sel(arm="four") - runs["cp"].sel(arm="one")).median("subject").median("draw")
    np.testing.assert_allclose(curve.get_ydata(), expected)
    np.testing.assert_allclose(np.asarray(curve.get_xdata()) * 24, T)
    assert "cp, difference (mg/L)" in texts(figure) and "prior, nothing fitted · simulated data · extrapolation" in texts(figure)


def test_exposure_response_bins_hold_equal_numbers(runs):
    x = np.arange(40.0).reshape(2, 2, 10)
    centre, low, middle, high = binned(x, 2 * x, 4, truth=False)
    np.testing.assert_allclose(centre, [4.5, 14.5, 24.5, 34.5])
    np.testing.assert_allclose(middle, 2 * centre)  # each draw fills two bins whole
    assert (low <= middle).all() and (middle <= high).all()
    seen = exposure(runs, "cp")["auc"]
    figure = plot_exposure_response(seen, best_change(runs["sld"]).rename("change").assign_attrs(unit="%"), attrs=runs.attrs)
    assert "auc (mg/L*h)" in texts(figure) and "change (%)" in texts(figure)
    assert "share with the response" in texts(plot_exposure_response(seen, best_change(runs["sld"]) < -30))


def test_dose_probability_draws_the_table_by_dose(runs):
    table = target_attainment(exposure(runs, "cp")["cmax"], at_least=[15.0, 30.0])
    figure = plot_dose_probability(table, {"one": 1.0, "two": 2.0, "four": 4.0}, "mg", limits=[0.9])
    line = next(x for x in figure.axes[0].lines if x.get_label() == "cmax ≥ 15 mg/L")
    np.testing.assert_allclose(line.get_xdata(), [1.0, 2.0, 4.0])
    np.testing.assert_allclose(line.get_ydata(), [0.0, 1.0, 1.0])
    assert "90 %" in texts(figure) and "dose (mg)" in texts(figure)
    with pytest.raises(FitError, match=r"^doses has no dose of the arm 'four'\. Known: one, two\.$"):
        plot_dose_probability(table, {"one": 1.0, "two": 2.0})


def test_waterfall_bars_are_ranks(runs):
    figure = plot_waterfall(runs, "sld")
    heights = np.concatenate([[bar.get_height() for bar in box] for box in figure.axes[2].containers])
    expected = np.median(-np.sort(-best_change(runs["sld"]).sel(arm="four").values, axis=1), axis=0)
    np.testing.assert_allclose(np.sort(heights), np.sort(expected))
    share = (best_change(runs["sld"]).sel(arm="four").values <= -30).mean(1)
    assert f"four: {100 * np.median(share):.0f} % (" in texts(figure)


def test_who_was_not_solved_is_no_patient_without_a_response(runs):
    """Nine of ten respond in every draw and the tenth is not known: 100 % respond, not 90 %."""
    seen = runs.copy(deep=True)
    seen["sld"] = seen["sld"] * 0 + 60 * np.exp(-0.01 * seen["time"])
    for name in ("sld", "cp"):
        seen[name][:, :, 4] = np.nan
    assert "four: 100 % (100 to 100) shrink by 30 %" in texts(plot_waterfall(seen, "sld"))
    figure = plot_exposure_response(exposure(seen, "cp")["auc"], best_change(seen["sld"]) <= -30)
    line = next(x for x in figure.axes[0].lines if x.get_label() == "share")
    np.testing.assert_allclose(line.get_ydata(), 1.0)


def test_spider_has_a_thread_a_patient(runs):
    figure = plot_spider(runs, "sld", draw=3)
    threads = [path for box in figure.axes[0].collections for path in box.get_paths()]
    assert len(threads) == 10
    first = runs["sld"].sel(arm="one").isel(draw=3)
    ends = sorted(float(p.vertices[-1, 1]) for p in threads)
    np.testing.assert_allclose(ends, np.sort(np.minimum(100 * (first.isel(time=-1) / first.isel(time=0) - 1), 100.0)))


def test_heat_map_is_log2_fold_of_the_median_patient(runs):
    figure = plot_heat_map(runs, ["il6", "cp"])
    image = np.asarray(figure.axes[1].images[0].get_array())
    il6 = runs["il6"].sel(arm="two").median(("draw", "subject"))
    np.testing.assert_allclose(image[0], np.log2(il6 / 2.0), atol=1e-12)
    cp = runs["cp"].sel(arm="two")
    np.testing.assert_allclose(image[1][:2], np.log2(cp / cp.isel(time=0)).median(("draw", "subject"))[:2], atol=1e-9)
    with pytest.raises(FitError, match=r"^These what-if results have no 'il-6'\. Did you mean 'il6'\? "):
        plot_heat_map(runs, ["il-6"])
    with pytest.raises(FitError, match=r"^'cp' starts at 0, so it has no fold over its first value"):
        plot_heat_map(runs.assign(cp=runs["cp"] * 0), ["cp"])


def test_tornado_and_sobol_have_a_row_a_parameter():
    measure = lambda p: 100 / p["CL"] + p["V"]  # noqa: E731
    table = local_sensitivity(measure, {"CL": 4.0, "V": 20.0})
    figure = plot_tornado(table, "AUC (mg/L*h)")
    assert [t.get_text().split()[0] for t in figure.axes[0].get_yticklabels()] == ["V", "CL"]
    bars = {(round(b.get_x() + b.get_width(), 9)) for box in figure.axes[0].containers for b in box}
    assert bars == {round(x, 9) for x in (*table["at_low"], *table["at_high"])}
    found = sobol_indices(measure, {"CL": (2, 4), "V": (19, 21)}, n=64, key=jax.random.key(1), bootstraps=20)
    assert "share of the variance of AUC" in texts(plot_sobol(found, "AUC"))
    with pytest.raises(FitError, match=r"^This table has no column 'at_low' or no rows"):
        plot_tornado(pd.DataFrame({"parameter": ["a"], "low": [1.0], "high": [2.0]}))


def test_pareto_front_is_a_staircase_of_regimens():
    """A point a regimen at share and utility, hollow where it breaks what is allowed; other tables are refused."""
    table = pd.DataFrame({"allowed": [0.05, 0.2], "utility": [0.4, 0.6], "outside": [0.05, 0.21], "feasible": [True, False]})
    table["regimen"] = [bolus((50, "mg")), bolus((80, "mg"))]
    table.attrs |= {"limit": "peak of cp from 0 to 24 h", "unit": "of the full effect"}
    figure = plot_pareto(table)
    kept, broken = (c.get_offsets() for c in figure.axes[0].collections)
    np.testing.assert_allclose(np.asarray(kept), [[5.0, 0.4]])
    np.testing.assert_allclose(np.asarray(broken), [[21.0, 0.6]])
    for said in ("50 mg at 0 h", "peak of cp from 0 to 24 h outside its limits (% of subjects)", "expected utility (of the full effect)"):
        assert said in texts(figure)
    with pytest.raises(FitError, match=r"^plot_pareto: this table has no column 'outside'; give what pareto_front\(.*\) returns\.$"):
        plot_pareto(table.drop(columns="outside"))
    with pytest.raises(FitError, match=r"^plot_pareto: this table has no rows"):
        plot_pareto(table.head(0))
