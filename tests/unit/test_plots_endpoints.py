"""Endpoints that are no amounts: proportions, survival and mean counts with their bands, and nothing drawn that would be wrong."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from pkpd.diagnostics.cohort_summary import observable_summary, value_counts
from pkpd.diagnostics.rows import endpoint, is_log, left_out, numeric
from pkpd.diagnostics.vpc_classes import proportion_table
from pkpd.diagnostics.vpc_events import event_table, kaplan_meier, mean_count
from pkpd.errors import FitError
from pkpd.plots import gallery, plot_individual_fits, plot_observed_predicted, plot_residuals, plot_vpc
from pkpd.report import render_report
from tests.fakes import fake_fit, fake_tree

RATE, END = 0.05, 60.0


def graded(kind: str, levels: tuple[float, ...], like: str = ""):
    """The made-up fit with il6 cut into classes at `levels`."""
    fit = fake_fit()
    tree = fit.tree.copy(deep=True)
    mine = tree["constant_data"]["observable"].values.astype(str) == "il6"
    for group, names in (("observed_data", ("dv",)), ("posterior_predictive", ("dv", "dv_new"))):
        for name in names:
            values = tree[group][name].values
            values[..., mine] = (values[..., mine, None] > np.asarray(levels)).sum(-1)
    tree["constant_data"]["cens"].values[mine] = 0
    facts = {"kind": like or kind, "endpoint": kind, "equation": "e", "priors": ["a"], "limit": None, "rows": ["A sentence."]}
    tree.attrs = tree.attrs | {"report": json.dumps(json.loads(tree.attrs["report"]) | {"observations": {"il6": facts}})}
    fit.tree = tree
    return fit


def events(recurrent: bool = False, interval: bool = False, rate: float = RATE, n: int = 60, seed: int = 2):
    """Subjects with events at a constant rate known without error, each followed to its own time of at most 60 h."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        stop, t = rng.uniform(20, END), rng.exponential(1 / RATE)
        while recurrent and t <= stop:
            lines.append((t, i, 1.0, 0))
            t += rng.exponential(1 / RATE)
        if interval:
            seen = np.ceil(t / 10) * 10
            lines.append((seen, i, 1.0, 1) if seen <= END else (END, i, 0.0, 0))
        else:
            lines.append((t, i, 1.0, 0) if not recurrent and t <= stop else (stop, i, 0.0, 0))
    time, subject, dv, cens = (np.array(x) for x in zip(*lines, strict=True))
    ids = np.array([f"S{i}" for i in range(n)])
    obs = {k: ("obs", v) for k, v in {"time": time, "subject": ids[subject], "observable": np.full(len(time), "death")}.items()}
    obs |= {"unit": ("obs", np.full(len(time), "1")), "cens": ("obs", cens), "lower": ("obs", np.full(len(time), np.nan))}
    constant = xr.Dataset({**obs, "scored": ("obs", np.ones(len(time), bool))})
    grid = np.linspace(0.0, END, 40)
    curve = np.broadcast_to((rate * grid)[None, None, :, None], (1, 60, 40, n))
    curves = xr.Dataset({"death": (("chain", "draw", "curve_time", "subject"), curve)}, coords={"curve_time": grid, "subject": ids})
    tree = xr.DataTree.from_dict({"constant_data": constant, "observed_data": xr.Dataset({"dv": ("obs", dv)}), "predictions": curves})
    facts = {"death": {"kind": "time to event", "endpoint": "recurrent event" if recurrent else "event"}}
    tree.attrs = {"report": json.dumps({"observations": facts}), "provenance": json.dumps({"seed": 3})}
    return tree


def test_proportions_of_the_data_and_of_simulated_studies():
    fit = graded("grades", (5.0, 30.0))
    table = proportion_table(fit, "il6")
    assert list(dict.fromkeys(table["class"])) == ["≥ 1".replace("≥", ">="), ">= 2"]
    mine = fit.tree["constant_data"]["observable"].values.astype(str) == "il6"
    times, dv = fit.tree["constant_data"]["time"].values[mine], fit.tree["observed_data"]["dv"].values[mine]
    first = table.iloc[0]
    inside = (times >= first["start"]) & (times <= first["end"])
    assert (first["n"], first["obs"]) == (inside.sum(), (dv[inside] >= 1).mean())
    replicate = fit.tree["posterior_predictive"]["dv_new"].values.reshape(-1, mine.size)[:, mine][:, inside]
    shares = np.sort((replicate >= 1).mean(1))
    assert first["low"] == shares[int(np.ceil(0.05 * len(shares) - 1e-9)) - 1]
    assert (table["low"] <= table["mid"]).all() and (table["mid"] <= table["high"]).all()


@pytest.mark.parametrize(("kind", "panels"), [("binary", 1), ("grades", 2), ("states", 3)])
def test_panels_of_each_kind(kind, panels):
    fit = graded(kind, (20.0,) if kind == "binary" else (5.0, 30.0))
    figure = plot_vpc(fit, "il6")
    assert len(figure.axes) == panels
    assert [ax.get_ylim() for ax in figure.axes] == [(-0.04, 1.04)] * panels


def test_kaplan_meier_with_ties_by_hand():
    """Five subjects: events at 2 (two, and one lost at 2), 3, lost at 4: S = 3/5 then 3/5 * 1/2."""
    time, event = np.array([2.0, 2, 2, 3, 4]), np.array([True, True, False, True, False])
    np.testing.assert_allclose(kaplan_meier(time, event, np.array([1.9, 2.0, 3.0, 9.0])), [1, 0.6, 0.3, 0.3], rtol=1e-12)
    np.testing.assert_allclose(
        mean_count(np.array([1.0, 1.0, 3.0]), np.array([2.0, 4.0]), np.array([0.5, 1.0, 3.0])), [0, 1, 2], rtol=1e-12
    )


@pytest.mark.parametrize("interval", [False, True])
def test_simulated_survival_follows_the_hazard(interval):
    """300 studies of 60: the middle study lies within 0.03 of exp(-H); the sd of a median of 300 is below 1.25 * 0.065 / sqrt(300) = 0.005."""
    table = event_table(events(interval=interval), "death")
    table = table[table["time"] <= 40.0]
    steps = np.floor(table["time"] / 10 + 1e-9) * 10 if interval else table["time"]
    np.testing.assert_allclose(table["mid"], np.exp(-RATE * steps), atol=0.03)
    inside = (table["obs"] >= table["low"]) & (table["obs"] <= table["high"])
    assert inside.mean() > 0.8  # 90 % expected pointwise; a fixed seed


@pytest.mark.slow
def test_simulated_counts_follow_the_hazard():
    """The mean of 300 studies of 60 subjects: sd of a median below 1.25 sqrt(3 / 20) / sqrt(300) = 0.03, four of them allowed."""
    table = event_table(events(recurrent=True), "death")
    np.testing.assert_allclose(table["mid"], RATE * table["time"], atol=0.12)
    assert (table["at_risk"].diff().dropna() <= 0).all()


def test_a_wrong_hazard_shows():
    table = event_table(events(rate=3 * RATE), "death")
    at = table[(table["time"] > 10) & (table["time"] < 30)]
    assert (at["obs"] > at["high"]).all()


@pytest.mark.slow
def test_event_figures_say_what_they_are():
    from matplotlib.text import Text

    words = lambda f: " | ".join(t.get_text() for t in f.findobj(Text))  # noqa: E731
    single = words(plot_vpc(events(), "death"))
    assert "without death" in single and "Kaplan-Meier" in single and "subjects followed" in single and "lost to follow-up" in single
    again = words(plot_vpc(events(recurrent=True), "death"))
    assert "mean count of death" in again and "lost to follow-up" not in again
    assert "event" in words(plot_individual_fits(events(), "death"))


def test_what_is_no_amount_has_no_residuals():
    fit = graded("binary", (20.0,))
    assert numeric(fit) == ("car_dna",) and endpoint(fake_tree(), "il6") == "continuous"
    for draw in (plot_residuals, plot_observed_predicted):
        assert not any("il6" in ax.get_title(loc="left") for ax in draw(fit).axes)
        with pytest.raises(FitError) as caught:
            draw(fit, "il6")
        assert (
            str(caught.value)
            == "'il6' is no amount (binary), so it has no residuals and no difference from a prediction; look at plot_vpc."
        )
    told = "Not shown here, as its values are no amounts: il6 (binary); see the visual predictive check."
    assert left_out(fit) == told
    captions = {p.name: p.caption for p in gallery(fit)}
    assert all(captions[n].endswith(told) for n in ("observed_predicted", "residuals_individual", "residuals_population"))
    assert captions["vpc_il6"].startswith("Proportion of yes")


def test_a_fit_without_amounts_says_so():
    tree = events()
    assert {p.name.rsplit("_", 1)[0] for p in gallery(tree)} == {"individual_fits_death", "vpc"}


def test_signs_of_one_subject():
    fit = graded("binary", (20.0,), like="detection, LOD50")
    ax = plot_individual_fits(fit, "il6").axes[0]
    yes = next(line for line in ax.lines if line.get_label() == "yes")
    assert (yes.get_ydata() == 0.92).all() and yes.get_marker() == "o"
    assert is_log(fit, "il6") and ax.get_yscale() == "log"
    assert plot_individual_fits(graded("counts", (5.0, 30.0)), "il6").axes[0].get_yscale() == "linear"


def test_the_report_tells_how_rows_count(monkeypatch):
    monkeypatch.setattr("pkpd.plots.files.DPI", 20)
    monkeypatch.setattr("pkpd.report.html.draw_all", lambda fit: [])
    fit = graded("grades", (5.0, 30.0))
    page = render_report(fit)
    assert "<h3>How il6 is measured</h3>" in page and "<li>A sentence.</li>" in page and "How car_dna is measured" not in page
    counts = value_counts(fit, "il6")
    assert sum(n for _, n, _ in counts) == counts[0][2] and [v for v, _, _ in counts] == [0.0, 1.0, 2.0]
    assert "no plot of observed against predicted" not in page
    interval = events(interval=True)
    assert observable_summary(interval)[["endpoint", "below"]].to_numpy().tolist() == [["event", 0]]
    from pkpd.report.sections import data_section

    assert "How death" not in data_section(SimpleNamespace(tree=fake_tree()))
