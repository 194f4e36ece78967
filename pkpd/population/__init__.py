"""Between-subject variability: typical values, spread, correlation, covariates."""

from pkpd.population.closures import closure_priors
from pkpd.population.defaults import default_priors
from pkpd.population.mixture import subpopulations
from pkpd.population.parameters import Individual, boxcox, fixed, logit_normal, lognormal, normal, tied
from pkpd.population.population import Correlation, Population
from pkpd.population.shrink import horseshoe, horseshoe_scale
from pkpd.population.table import prior_table
from pkpd.population.transformed import transformed

__all__ = [
    "Correlation",
    "Individual",
    "Population",
    "boxcox",
    "closure_priors",
    "default_priors",
    "fixed",
    "horseshoe",
    "horseshoe_scale",
    "logit_normal",
    "lognormal",
    "normal",
    "prior_table",
    "subpopulations",
    "tied",
    "transformed",
]
