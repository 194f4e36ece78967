"""Between-subject variability: typical values, spread, correlation, covariates."""

from pkpd.population.parameters import Individual, fixed, logit_normal, lognormal, normal, tied
from pkpd.population.population import Correlation, Population

__all__ = ["Correlation", "Individual", "Population", "fixed", "logit_normal", "lognormal", "normal", "tied"]
