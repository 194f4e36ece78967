"""Every figure a fit can show, in the order of a report, under stable names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pkpd.diagnostics.effects import has_effects
from pkpd.diagnostics.layout import absent
from pkpd.diagnostics.rows import NUMBERS, covariates, endpoint, left_out, numeric, observables
from pkpd.diagnostics.shrinkage import shrinkage_table
from pkpd.diagnostics.vpc import FEWEST
from pkpd.plots.etas import plot_etas
from pkpd.plots.forest import plot_forest
from pkpd.plots.individual import individual_pages, plot_individual_fits
from pkpd.plots.observed_predicted import plot_observed_predicted
from pkpd.plots.prior_posterior import plot_prior_posterior, prior_posterior_pages
from pkpd.plots.residuals import plot_residuals
from pkpd.plots.trace import plot_trace, trace_pages
from pkpd.plots.vpc import plot_vpc

MOST_STRATA = 4


@dataclass(frozen=True)
class Picture:
    """One figure to come: its file name without ending, title, caption, and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]


def gallery(fit: Any) -> Iterator[Picture]:
    """The figures this fit's tree has the numbers for, none drawn yet.

    Names: individual_fits_<observable>_<page>, observed_predicted, residuals_individual, residuals_population, vpc_<observable>,
    prior_posterior_<page>, covariate_effects, random_effects, trace_<page>.
    """
    if not absent(fit, "constant_data", "observed_data"):
        yield from _individual(fit)
        yield from _predictive(fit)
    yield from _parameters(fit)


CAPTIONS = {
    "individual_fits": "Each subject's data, the median of its fitted curve with a 90 % band, and the curve of a typical subject "
    "given the same doses (dashed).",
    "individual_other": "Curve: what drives the endpoint (its observable in the model), median with a 90 % band, and that of a typical subject given the "
    "same doses (dashed). What was seen stands as signs above the curve.",
    "observed_predicted": "Left of each pair: what a typical subject would show; right: what this subject is thought to show. "
    "Points should scatter along the line; predictions beyond an axis stand at its edge.",
    "residuals_individual": "Randomised quantile residuals against each subject's own replicates. As the same data fitted the subjects, "
    "they lie a little closer to 0 than new data would. Grey: 90 % of standard normal samples.",
    "residuals_population": "Randomised quantile residuals against replicates of new subjects. Rows of one subject go together, "
    "so they stray more than the grey band suggests.",
    "vpc": "Percentiles of the data against the range of the same percentiles in simulated studies; below, the fraction under "
    "the limit of quantification. A percentile under the limit is unknown and not drawn.",
    "prior_posterior": "Where both coincide, the estimate is the assumption: the data have not spoken.",
    "covariate_effects": "What a covariate does to the typical value at the 5th and 95th percentile of the cohort, or at each level, as a ratio to the "
    "reference (shaded: 0.8 to 1.25, the limits of average bioequivalence) or as a difference. Hollow: the coefficient was fixed, not estimated.",
    "random_effects": "Effects near zero with bars as wide as the shaded part are those the data do not show.",
    "trace": "Chains that agree overlap on the left and stay near 1 on the right.",
}


VPC = {
    "binary": "Proportion of yes in time bins against the range of the same proportion in simulated studies.",
    "grades": "Proportion at or above each grade in time bins against the range of the same proportion in simulated studies.",
    "states": "Proportion in each state or class in time bins against the range of the same proportion in simulated studies.",
    "event": "Kaplan-Meier curve of the data against the range of the same curve in simulated studies; ticks: subjects lost to follow-up. "
    "Simulated subjects are followed as long as the real ones, those with an event to the end of the study.",
    "recurrent event": "Mean number of events a subject has had, against the range of the same mean in simulated studies with the same follow-up.",
}


def _individual(fit: Any) -> Iterator[Picture]:
    for observable in observables(fit):
        for page in range(1, individual_pages(fit, observable) + 1):
            draw = partial(plot_individual_fits, fit, observable, page)
            yield Picture(f"individual_fits_{observable}_{page}", f"Individual fits: {observable}", _caption(fit, observable), draw)


def _caption(fit: Any, observable: str) -> str:
    return CAPTIONS["individual_fits" if endpoint(fit, observable) in NUMBERS else "individual_other"]


def _predictive(fit: Any) -> Iterator[Picture]:
    if numeric(fit):
        yield from _against_predictions(fit)
    by = _stratum(fit)
    for observable in observables(fit):
        kind = endpoint(fit, observable)
        needs = f"predictions/{observable}" if "event" in kind else "posterior_predictive/dv_new"
        if not absent(fit, needs):
            draw = partial(plot_vpc, fit, observable, by=by)
            yield Picture(f"vpc_{observable}", f"Visual predictive check: {observable}", VPC.get(kind, CAPTIONS["vpc"]), draw)


def _against_predictions(fit: Any) -> Iterator[Picture]:
    others = f" {left_out(fit)}".rstrip()
    if not absent(fit, "posterior_predictive/pred", "posterior_predictive/ipred"):
        draw = partial(plot_observed_predicted, fit)
        yield Picture("observed_predicted", "Observed against predicted", CAPTIONS["observed_predicted"] + others, draw)
    for against, variables in (("individual", ("dv", "ipred")), ("population", ("dv_new", "pred"))):
        if not absent(fit, *(f"posterior_predictive/{name}" for name in variables)):
            name, draw = f"residuals_{against}", partial(plot_residuals, fit, against=against)
            yield Picture(name, f"Residuals against {against} predictions", CAPTIONS[name] + others, draw)


def _stratum(fit: Any) -> str | None:
    """Subjects on different regimens are not pooled: a covariate REGIMEN or ARM splits the VPC where each level has subjects enough."""
    known = covariates(fit)
    for name in ("REGIMEN", "ARM"):
        counts = known[name].value_counts() if name in known.columns else ()
        if 2 <= len(counts) <= MOST_STRATA and min(counts) >= FEWEST:
            return name
    return None


def _parameters(fit: Any) -> Iterator[Picture]:
    if not absent(fit, "prior", "posterior"):
        for page in range(1, prior_posterior_pages(fit) + 1):
            draw = partial(plot_prior_posterior, fit, page=page)
            yield Picture(f"prior_posterior_{page}", "Prior and posterior", CAPTIONS["prior_posterior"], draw)
    if absent(fit, "posterior"):
        return
    if has_effects(fit):
        yield Picture("covariate_effects", "Covariate effects", CAPTIONS["covariate_effects"], partial(plot_forest, fit))
    if len(shrinkage_table(fit)):
        yield Picture("random_effects", "Random effects of the subjects", CAPTIONS["random_effects"], partial(plot_etas, fit))
    for page in range(1, trace_pages(fit) + 1):
        yield Picture(f"trace_{page}", "Traces and ranks", CAPTIONS["trace"], partial(plot_trace, fit, page=page))
