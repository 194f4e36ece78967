"""A response against an exposure, patient by patient, over all arms."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import FitError
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import arm_colors, badge_runs

POINTS, BINS = 400, 10
GOLDEN = 0.6180339887498949  # multiples of it spread evenly, so that points of one height do not hide each other


@style.styled
def plot_exposure_response(exposure: Any, response: Any, bins: int = BINS, attrs: Any = None, axes: Any = None) -> Any:
    """Response against exposure: points are patients (400 an arm, evenly chosen), the line their median in bins of equal number, the band 90 % of draws.

    `exposure` and `response` are DataArrays with dims (arm, draw, subject), from `exposure`, `best_change` or a comparison; of truth values the line is the
    share of patients with the response. Patients who could not be solved are left out. `attrs` (runs.attrs) mark simulated data and
    extrapolation. Returns the figure. Raises `FitError`.
    """
    x, y, arms = _arrays(exposure, response)
    own = axes is None
    figure, (ax,) = figures.panels(1, axes, width=7.0, height=4.2)
    truth = np.asarray(response.values).dtype == bool
    colors = arm_colors(arms)
    for i, arm in enumerate(arms):
        pick = np.linspace(0, x[i].size - 1, min(POINTS, x[i].size)).astype(int)
        shake = 0.06 * (np.arange(len(pick)) * GOLDEN % 1.0 - 0.5) if truth else 0.0
        ax.plot(x[i].ravel()[pick], y[i].ravel()[pick] + shake, "o", color=colors[arm], markersize=2.6, alpha=0.35, markeredgewidth=0)
        ax.plot([], [], "o", color=colors[arm], markersize=5, label=arm)
    centre, low, middle, high = binned(x, y, bins, truth)
    ax.fill_between(centre, low, high, color=style.INK, alpha=0.18, linewidth=0)
    ax.plot(centre, middle, color=style.INK, label="share" if truth else "median in bins")
    for axis, values in ((ax.xaxis, x), *(() if truth else ((ax.yaxis, y),))):
        some = values[np.isfinite(values)]
        scales.value_axis(axis, float(some.min()), float(some.max()), bool(some.min() > 0 and some.max() > 30 * some.min()))
    ax.set(xlabel=_label(exposure), ylabel="share with the response" if truth else _label(response))
    if own:
        marks.headline(
            figure,
            "Exposure and response",
            f"points: patients; line: {'share' if truth else 'median'} in {bins} bins of equal number, 90 % of draws",
        )
        marks.legend(figure, [ax])
    badge_runs(figure, attrs or {})
    return figure


def _arrays(exposure: Any, response: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    dims = ("arm", "draw", "subject")
    for word, array in (("exposure", exposure), ("response", response)):
        if set(getattr(array, "dims", ())) != set(dims):
            raise FitError(
                f"{word}: a DataArray with dimensions {', '.join(dims)} is needed, one value a patient, as exposure(runs, 'cp')['auc']."
            )
    if exposure.sizes != response.sizes:
        raise FitError(f"exposure has sizes {dict(exposure.sizes)} and response {dict(response.sizes)}: take both from the same runs.")
    x, y = (np.asarray(a.transpose(*dims).values, float) for a in (exposure, response))
    known = np.isfinite(x) & np.isfinite(y)
    if "solved" in response.coords:  # a truth value of who was not solved is no answer
        known &= response["solved"].transpose(*dims).values
    x, y = np.where(known, x, np.nan), np.where(known, y, np.nan)
    return x, y, [str(a) for a in exposure["arm"].values]


def binned(x: np.ndarray, y: np.ndarray, bins: int, truth: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The median exposure of each bin, and the low, middle and high (5, 50, 95 % over draws) of the response's median (or share) in it."""
    edges = np.nanquantile(x, np.linspace(0, 1, bins + 1))
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, bins - 1)
    summary = np.nanmean if truth else np.nanmedian
    centre = np.array([np.nanmedian(x[place == b]) if (place == b).any() else np.nan for b in range(bins)])
    by_draw = np.full((bins, x.shape[1]), np.nan)
    for b in range(bins):
        for d in range(x.shape[1]):
            here = y[:, d][(place[:, d] == b) & np.isfinite(y[:, d])]
            by_draw[b, d] = summary(here) if len(here) else np.nan
    seen = np.isfinite(by_draw).any(1)
    low, middle, high = np.nanquantile(by_draw[seen], [0.05, 0.5, 0.95], axis=1)
    return centre[seen], low, middle, high


def _label(array: Any) -> str:
    unit = array.attrs.get("unit", "")
    return f"{array.name or 'value'} ({unit})" if unit and unit != "1" else str(array.name or "value")
