"""Figures of a fit, one a file. matplotlib is imported inside the functions, so `import pkpd` works without it."""

from pkpd.plots.calibration import plot_calibration
from pkpd.plots.etas import plot_etas
from pkpd.plots.files import png_bytes, save_figure, write_whole
from pkpd.plots.forest import plot_forest
from pkpd.plots.gallery import Picture, gallery
from pkpd.plots.individual import individual_pages, plot_individual_fits
from pkpd.plots.observed_predicted import plot_observed_predicted
from pkpd.plots.prior_posterior import plot_prior_posterior
from pkpd.plots.residuals import plot_residuals
from pkpd.plots.spaghetti import plot_spaghetti
from pkpd.plots.trace import plot_trace
from pkpd.plots.vpc import plot_vpc
from pkpd.plots.what_if import plot_what_if

__all__ = [
    "Picture",
    "gallery",
    "individual_pages",
    "plot_calibration",
    "plot_etas",
    "plot_forest",
    "plot_individual_fits",
    "plot_observed_predicted",
    "plot_prior_posterior",
    "plot_residuals",
    "plot_spaghetti",
    "plot_trace",
    "plot_vpc",
    "plot_what_if",
    "png_bytes",
    "save_figure",
    "write_whole",
]
