"""The fitted endotoxin model beside the published one of 43 parameters: `python docs/validation/endotoxin_models.py [--fit FOLDER]`.

Typical courses of both (the fitted one at the posterior medians, the published one as published) against the curve of the 20 volunteers: root mean square of
the log of the ratio to their geometric mean from 1 h on, and squared correlation with the authors' mean. `lpd` is the mean log predictive density of the
log of a value: of the fitted model for volunteers left out (endotoxin_coverage.csv); the published one tells no spread, so it is given the fitted residual sd
(`lpd`), or the one sd of each cytokine that suits it best (`lpd_best`), which the left-out volunteers themselves tell. Then the peak of each cytokine and
its time for boluses of 1, 2 and 4 ng/kg, and for 1 ng/kg at once and 3 ng/kg over 3 h. Writes endotoxin_models.csv, and ../fits/endotoxin_cytokines.png.
Without --fit the 20 volunteers are fitted first (a minute or two).
"""

import argparse
from pathlib import Path

import endotoxin_coverage as told
import jax
import numpy as np
import pandas as pd

from pkpd import Example, bolus, data_file, infusion, load_fit, typical_profile, what_if
from pkpd.models.carm import macrophage_endotoxin
from pkpd.plots import figures, marks, style

HERE = Path(__file__).resolve().parent
OUT, PICTURE = HERE / "endotoxin_models.csv", HERE.parent / "fits" / "endotoxin_cytokines.png"
MEAN = "lps_bolus_mean.csv"
GIVEN, OTHER = "bolus of 2", "1 and 3 in 3 h"
ARMS = {
    "bolus of 1": bolus((1, "ng/kg"), into="endotoxin"),
    GIVEN: bolus((2, "ng/kg"), into="endotoxin"),
    "bolus of 4": bolus((4, "ng/kg"), into="endotoxin"),
    OTHER: bolus((1, "ng/kg"), into="endotoxin") + infusion((3, "ng/kg"), over=(3, "h"), into="endotoxin"),
}
TIMES, LOOKS = np.linspace(0.0, 10.0, 501), np.linspace(0.0, 8.0, 41)


def fitted_courses(fit) -> dict[str, pd.DataFrame]:
    """Each arm's course at the medians of a fit."""
    runs = what_if(fit, ARMS, times=TIMES, key=jax.random.PRNGKey(0), n_subjects=1, draws=1, vary=())
    return {arm: pd.DataFrame({c: runs[c].sel(arm=arm).to_numpy().ravel() for c in fit.problem.noise}, index=TIMES) for arm in ARMS}


def published_courses(names) -> dict[str, pd.DataFrame]:
    """Each arm's course by the published model, at TIMES."""
    found = {}
    for arm, regimen in ARMS.items():
        table = typical_profile(macrophage_endotoxin, Example(regimen, (TIMES[-1], "h"), arm))
        found[arm] = pd.DataFrame({c: np.interp(TIMES, table["TIME"], table[c]) for c in names}, index=TIMES)
    return found


def against_data(course: pd.DataFrame, rows: pd.DataFrame, mean: pd.DataFrame) -> dict[str, float]:
    """Log miss and squared correlation of one cytokine's course, and the density of its values under one sd of the log."""
    at = lambda t: np.interp(t, course.index, course)  # noqa: E731
    miss = np.log(rows["value"]) - np.log(at(rows["time_h"]))
    typical = miss.groupby(rows["time_h"]).mean()
    r = np.corrcoef(mean["mean_no_outliers"], at(mean["time_h"]))[0, 1]
    return {"log_miss": np.sqrt((typical[typical.index > 0] ** 2).mean()), "r_squared": r**2, "rms": np.sqrt((miss**2).mean())}


def normal_lpd(rms: float, sd: float) -> float:
    """Mean log density of misses with this root mean square under N(0, sd)."""
    return -0.5 * np.log(2 * np.pi) - np.log(sd) - 0.5 * (rms / sd) ** 2


def peaks(courses: dict[str, pd.DataFrame], c: str) -> dict[str, float]:
    """Peak (pg/mL) and its time (h) in each arm."""
    return {f"{what}, {arm}": x for arm, t in courses.items() for what, x in (("peak", t[c].max()), ("at", t[c].idxmax()))}


def table_of(courses: dict[str, dict[str, pd.DataFrame]], rows, mean, left_out, sigma) -> pd.DataFrame:
    """One line a model and cytokine."""
    found = []
    for model, of in courses.items():
        for c in sigma:
            own = against_data(of[GIVEN][c], rows[rows["analyte"] == c], mean[mean["analyte"] == c])
            rms, lpd = own.pop("rms"), left_out.loc[left_out["analyte"] == c, "lpd"].mean()
            density = (
                {"lpd": lpd, "lpd_best": lpd} if model == "fitted" else {"lpd": normal_lpd(rms, sigma[c]), "lpd_best": normal_lpd(rms, rms)}
            )
            found.append({"model": model, "cytokine": c} | own | density | peaks(of, c))
    return pd.DataFrame(found)


@style.styled
def picture(fit, courses, rows: pd.DataFrame, names: dict[str, str]):
    """New volunteers of the fit by cytokine: those of the data above, the arm that was not seen below."""
    figure, panels = figures.panels(8, columns=4, width=10.0, height=2.6, sharex=True, sharey="col")
    for i, (arm, says) in enumerate({GIVEN: "2 ng/kg at once", OTHER: "1 at once, 3 over 3 h"}.items()):
        drawn = told.predictive(fit, ARMS[arm], LOOKS, told.SEED + i)
        for ax, (label, c) in zip(panels[4 * i :], names.items(), strict=False):
            low, middle, high = np.quantile(drawn[c], (0.05, 0.5, 0.95), axis=0)
            ax.fill_between(LOOKS, low, high, color=style.BLUE, alpha=0.18, lw=0, label="90 % of new volunteers")
            ax.plot(LOOKS, middle, color=style.BLUE, label="their median")
            ax.plot(TIMES, courses["published"][arm][c], color=style.ROSE, ls="--", label="published model")
            if arm == GIVEN:
                own = rows[rows["analyte"] == c]
                ax.plot(own["time_h"], own["value"], ".", color=style.INK, ms=2.5, alpha=0.6, label="20 volunteers")
            ax.set(yscale="log", xlim=(-0.2, 8.2), xticks=range(0, 9, 2), title=f"{label}, {says}")
        panels[4 * i].set_ylabel("pg/mL")
    for ax in panels[4:]:
        ax.set_xlabel("time (h)")
    marks.legend(figure, panels[:1])
    marks.headline(figure, "Endotoxin: what the fit says of new volunteers", "above: the dose of the data; below: an arm that was not seen")
    return figure


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fit", type=Path, help="folder of a fit of fits/endotoxin_cytokines.py")
    asked = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    module = told.fit_file()
    table = pd.read_csv(data_file(module.FILE))
    named = lambda t: t.assign(analyte=t["analyte"].map(module.NAMES))  # noqa: E731
    fit = load_fit(asked.fit, module.problem(False)) if asked.fit else told.fitted(module, table, "endotoxin_all")
    median = fit.summary.set_index("name")["q50"]
    courses = {"fitted": fitted_courses(fit), "published": published_courses(module.PANEL)}
    sigma = {c: median[f"sigma_{c}"] for c in module.PANEL}
    rows = named(table)
    found = table_of(courses, rows, named(pd.read_csv(data_file(MEAN))), pd.read_csv(told.OUT), sigma)
    found.round(3).to_csv(OUT, index=False)
    picture(fit, courses, rows, module.NAMES).savefig(PICTURE, dpi=100)


if __name__ == "__main__":
    main()
