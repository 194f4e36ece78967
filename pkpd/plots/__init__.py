"""Figures of a fit, one a file. matplotlib is imported inside the functions, so `import pkpd` works without it."""

from pkpd.plots.calibration import plot_calibration
from pkpd.plots.differences import plot_differences
from pkpd.plots.dose_probability import plot_dose_probability
from pkpd.plots.etas import plot_etas
from pkpd.plots.exposure_response import plot_exposure_response
from pkpd.plots.files import png_bytes, save_figure, write_whole
from pkpd.plots.forest import plot_forest
from pkpd.plots.gallery import Picture, gallery
from pkpd.plots.heat_map import plot_heat_map
from pkpd.plots.individual import individual_pages, plot_individual_fits
from pkpd.plots.information import plot_information
from pkpd.plots.observed_predicted import plot_observed_predicted
from pkpd.plots.pareto import plot_pareto
from pkpd.plots.prior_posterior import plot_prior_posterior
from pkpd.plots.profile import plot_profile
from pkpd.plots.residuals import plot_residuals
from pkpd.plots.spaghetti import plot_spaghetti
from pkpd.plots.tornado import plot_sobol, plot_tornado
from pkpd.plots.trace import plot_trace
from pkpd.plots.tumour import plot_spider, plot_waterfall
from pkpd.plots.typical import plot_typical
from pkpd.plots.vpc import plot_vpc
from pkpd.plots.what_if import plot_what_if

__all__ = [
    "Picture",
    "gallery",
    "individual_pages",
    "plot_calibration",
    "plot_differences",
    "plot_dose_probability",
    "plot_etas",
    "plot_exposure_response",
    "plot_forest",
    "plot_heat_map",
    "plot_individual_fits",
    "plot_information",
    "plot_observed_predicted",
    "plot_pareto",
    "plot_prior_posterior",
    "plot_profile",
    "plot_residuals",
    "plot_sobol",
    "plot_spaghetti",
    "plot_spider",
    "plot_tornado",
    "plot_trace",
    "plot_typical",
    "plot_vpc",
    "plot_waterfall",
    "plot_what_if",
    "png_bytes",
    "save_figure",
    "write_whole",
]
