"""Between-subject variability: typical values, spread, correlation, covariates."""

from pkpd.population.defaults import default_priors
from pkpd.population.parameters import Individual, boxcox, fixed, logit_normal, lognormal, normal, tied
from pkpd.population.population import Correlation, Population
from pkpd.population.table import prior_table

__all__ = [
    "Correlation",
    "Individual",
    "Population",
    "boxcox",
    "default_priors",
    "fixed",
    "logit_normal",
    "lognormal",
    "normal",
    "prior_table",
    "tied",
]
