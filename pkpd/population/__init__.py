"""Between-subject variability: typical values, spread, correlation, covariates."""

from pkpd.population.mixture import subpopulations
from pkpd.population.parameters import Individual, boxcox, fixed, logit_normal, lognormal, normal, tied
from pkpd.population.population import Correlation, Population
from pkpd.population.transformed import transformed

__all__ = [
    "Correlation",
    "Individual",
    "Population",
    "boxcox",
    "fixed",
    "logit_normal",
    "lognormal",
    "normal",
    "subpopulations",
    "tied",
    "transformed",
]
