"""Figures: labels, units, marks and the numbers drawn, never pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pkpd.diagnostics.rows import rows
from pkpd.errors import FitError
from pkpd.plots import (
    gallery,
    individual_pages,
    plot_etas,
    plot_individual_fits,
    plot_observed_predicted,
    plot_prior_posterior,
    plot_residuals,
    plot_trace,
    plot_vpc,
    plot_what_if,
    png_bytes,
    save_figure,
)
from pkpd.plots.figures import balanced, new_figure
from pkpd.plots.scales import log_ticks, plain, time_unit
from tests.fakes import SUBJECTS, fake_tree, fake_what_if


@pytest.fixture(scope="module")
def tree():
    return fake_tree()


def texts(figure) -> str:
    from matplotlib.text import Text

    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_text())


def line(ax, label):
    return next(artist for artist in ax.lines if artist.get_label() == label)


def test_individual_fits_draw_each_row_once_with_censored_rows_as_triangles(tree):
    figure = plot_individual_fits(tree, "car_dna")
    assert [ax.get_title(loc="left") for ax in figure.axes] == SUBJECTS
    table = rows(tree).query("observable == 'car_dna' and subject == 'P01'")
    ax = figure.axes[0]
    measured, below = line(ax, "measured"), line(ax, "below the limit")
    np.testing.assert_allclose(measured.get_xdata() * 24, table.query("cens == 0")["time"])
    np.testing.assert_allclose(below.get_ydata(), 50.0)
    assert (measured.get_marker(), below.get_marker()) == ("o", "v")
    assert len(below.get_xdata()) == (table["cens"] == 1).sum()
    assert ax.get_yscale() == "log"
    assert "car_dna (copies/ug)" in texts(figure) and "Time (days, √ scale)" in texts(figure)


def test_the_bar_of_a_censored_row_starts_at_its_lower_limit(tree):
    table = rows(tree).query("observable == 'car_dna' and cens == 1 and lower == 10")
    subject = table["subject"].iloc[0]
    ax = plot_individual_fits(tree, "car_dna").axes[SUBJECTS.index(subject)]
    from matplotlib.collections import LineCollection

    bars = [segment for c in ax.collections if isinstance(c, LineCollection) for segment in c.get_segments()]
    spans = {(round(float(a[1]), 6), round(float(b[1]), 6)) for a, b in bars}
    assert (10.0, 50.0) in spans


def test_individual_fits_page_by_twenty_panels(tree, monkeypatch):
    monkeypatch.setattr("pkpd.plots.individual.PER_PAGE", 4)
    assert individual_pages(tree, "il6") == 2
    second = plot_individual_fits(tree, "il6", page=2)
    assert [ax.get_title(loc="left") for ax in second.axes] == ["P05", "P06"]
    assert "Individual fits: il6 (2 of 2)" in texts(second)
    with pytest.raises(FitError, match="no page 3 of individual fits: pages go from 1 to 2"):
        plot_individual_fits(tree, "il6", page=3)


def test_observed_predicted_draws_the_median_prediction_against_the_data(tree):
    figure = plot_observed_predicted(tree, "il6")
    table = rows(tree).query("observable == 'il6' and scored and cens == 0")
    predicted = np.median(tree["posterior_predictive"]["ipred"].values.reshape(-1, 144), axis=0)[table.index]
    points = line(figure.axes[1], "measured")
    np.testing.assert_allclose(points.get_xdata(), predicted)
    np.testing.assert_allclose(points.get_ydata(), table["dv"])
    assert figure.axes[0].get_xlabel() == "population prediction (pg/mL)"


def test_residual_panels_hold_every_scored_row(tree):
    figure = plot_residuals(tree, "car_dna", against="population")
    assert len(figure.axes) == 3
    drawn = sum(len(artist.get_xdata()) for artist in figure.axes[0].lines if artist.get_marker() in ("o", "v", "^"))
    assert drawn == 75
    assert "Normalised residuals against population predictions" in texts(figure)
    assert "21 censored rows" in texts(plot_residuals(tree, "car_dna"))


def test_vpc_shows_the_fraction_below_the_limit_under_it(tree):
    figure = plot_vpc(tree, "car_dna", by="REGIMEN")
    assert len(figure.axes) == 4
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["REGIMEN = 1", "REGIMEN = 2"]
    assert "fraction below limit" in texts(figure) and "limit of quantification" in texts(figure)
    data = line(figure.axes[0], "5th, 95th percentile, data").get_ydata()
    assert np.nanmin(data) >= 50.0  # nothing is drawn below the limit


def test_vpc_without_censoring_has_one_panel(tree):
    data = tree.copy(deep=True)
    data["constant_data"]["cens"].values[...] = 0
    assert len(plot_vpc(data, "il6").axes) == 1


def test_prior_posterior_prints_the_ratio_and_tags_prior_driven(tree):
    figure = plot_prior_posterior(tree, names=("k_Bexit", "beta_s_il6_HER2"))
    first, second = (ax.get_title(loc="left") for ax in figure.axes)
    prior = np.log(tree["prior"]["k_Bexit"].values).std()
    assert first == f"k_Bexit  {np.log(tree['posterior']['k_Bexit'].values).std() / prior:.2f}"
    assert second.startswith("beta_s_il6_HER2  0.9") and [t.get_text() for t in figure.axes[1].texts] == ["prior-driven"]
    assert not figure.axes[0].texts
    assert figure.axes[0].get_xscale() == "log" and figure.axes[1].get_xscale() == "linear"
    assert line(figure.axes[0], "truth of the simulation").get_xdata()[0] == 0.06
    with pytest.raises(FitError, match=r"no prior draws of 'k_Bexi'\. Did you mean 'k_Bexit'"):
        plot_prior_posterior(tree, names=("k_Bexi",))


def test_trace_draws_one_line_a_chain_and_ticks_for_divergences(tree):
    figure = plot_trace(tree, names=("S",))
    lines = figure.axes[0].lines
    np.testing.assert_array_equal(lines[2].get_ydata(), tree["posterior"]["S"].values[2])
    assert len(line(figure.axes[0], "divergent").get_xdata()) == tree["sample_stats"]["diverging"].values.any(axis=0).sum()
    with pytest.raises(FitError, match="no population parameter 'T'"):
        plot_trace(tree, names=("T",))


def test_etas_print_shrinkage(tree):
    assert "shrinkage" in plot_etas(tree).axes[0].get_title(loc="left")


def test_what_if_draws_the_median_of_medians_and_marks_extrapolation():
    runs = fake_what_if(draws=5, subjects=7)
    figure = plot_what_if(runs, limits={"il6": 100.0})
    middle = np.median(np.median(runs["il6"].sel(arm="D1/3/5").values, axis=1), axis=0)
    np.testing.assert_allclose(line(figure.axes[1], "D1/3/5").get_ydata(), middle)
    assert "extrapolation" in texts(figure) and "simulated data" in texts(figure) and "il6 (pg/mL)" in texts(figure)
    with pytest.raises(FitError, match="these lack draw"):
        plot_what_if(runs.isel(draw=0))
    with pytest.raises(FitError, match=r"no 'il7'\. Did you mean 'il6'"):
        plot_what_if(runs, "il7")


@pytest.mark.slow
def test_every_figure_of_simulated_data_says_so_and_others_do_not(tree):
    names = [picture.name for picture in gallery(tree)]
    assert len(set(names)) == len(names)
    assert {"individual_fits_il6_1", "observed_predicted", "residuals_individual", "vpc_car_dna", "prior_posterior_1", "trace_2"} <= set(
        names
    )
    for picture in gallery(tree):
        assert "simulated" in texts(picture.draw()).lower(), picture.name
    real = fake_tree(simulated=False)
    assert "simulated data" not in texts(plot_individual_fits(real, "il6"))


def test_figures_of_a_fit_that_has_not_converged_say_so():
    assert "NOT CONVERGED: not to be used" in texts(plot_vpc(fake_tree(converged=False), "il6"))


def test_gallery_leaves_out_what_the_tree_cannot_show(tree):
    smaller = tree.copy()
    for group in ("posterior_predictive", "prior"):
        del smaller[group]
    names = {picture.name for picture in gallery(smaller)}
    assert "individual_fits_il6_1" in names and not {"observed_predicted", "vpc_il6", "prior_posterior_1"} & names


def test_own_axes_are_used_and_too_few_are_refused(tree):
    figure = new_figure(6, 3)
    axes = figure.subplots(1, 2)
    assert plot_trace(tree, names=("S",), axes=axes) is figure
    assert figure.get_suptitle() == ""
    with pytest.raises(FitError, match="needs 4 panels and was given 2"):
        plot_trace(tree, names=("S", "s_il6"), axes=axes)


def test_plots_leave_the_readers_settings_alone(tree):
    from matplotlib import rcParams

    before = dict(rcParams)
    plot_etas(tree)
    assert dict(rcParams) == before


def test_the_same_fit_gives_the_same_bytes(tree, tmp_path):
    one, two = (png_bytes(plot_residuals(tree, "il6")) for _ in range(2))
    assert one == two and one.startswith(b"\x89PNG")
    path = save_figure(plot_etas(tree), tmp_path / "plots" / "etas.png")
    assert path.read_bytes().startswith(b"\x89PNG") and [p.name for p in path.parent.iterdir()] == ["etas.png"]
    assert plot_etas(tree)._repr_png_() == path.read_bytes()


def test_a_declared_additive_error_keeps_the_axis_linear(tree):
    declared = tree.copy()
    told = json.loads(tree.attrs["report"]) | {"noise": {"il6": "additive"}}
    declared.attrs = tree.attrs | {"report": json.dumps(told)}
    assert plot_individual_fits(declared, "il6").axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(("hours", "unit"), [(24.4, "h"), (95.0, "h"), (96.0, "days"), (2688.0, "days")])
def test_time_is_read_in_days_from_96_hours(hours, unit):
    assert time_unit(np.array([0.0, hours]))[1] == unit


def test_ticks_are_few_and_round():
    assert log_ticks(16.0, 9000.0) == [30.0, 100.0, 300.0, 1000.0, 3000.0]
    assert log_ticks(2.0, 3.9) == [2.0, 3.0] or len(log_ticks(2.0, 3.9)) >= 3
    assert 3 <= len(log_ticks(1e-3, 1e9)) <= 6
    assert [plain(v) for v in (0.001, 30.0, 1e6)] == ["0.001", "30", "1e6"]
    assert [balanced(n, 4) for n in (1, 4, 5, 9)] == [1, 4, 5, 3]
