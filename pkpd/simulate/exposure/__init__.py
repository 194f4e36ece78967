"""Exposure of profiles and cohorts without a compartment model: areas, peaks, terminal slope, times above a limit, with units."""

from pkpd.simulate.exposure.areas import area_above, auc, aumc
from pkpd.simulate.exposure.crossings import first_time_above, last_time_above, time_above, time_below
from pkpd.simulate.exposure.measures import exposure
from pkpd.simulate.exposure.nca import nca
from pkpd.simulate.exposure.summary import nca_summary
from pkpd.simulate.exposure.terminal import Terminal, lambda_z

__all__ = [
    "Terminal",
    "area_above",
    "auc",
    "aumc",
    "exposure",
    "first_time_above",
    "lambda_z",
    "last_time_above",
    "nca",
    "nca_summary",
    "time_above",
    "time_below",
]
