"""pkpd: population PK/PD modelling of cell therapies and small molecules, composed, differentiable, Bayesian, in JAX."""

from importlib.metadata import PackageNotFoundError, version

from pkpd.components import Component, Covariate, Dose, Flow, Param, Signal, State, flow, gain, loss, total
from pkpd.data import Cohort, check_records, read_cohort
from pkpd.errors import DataError, DoseError, FitError, ModelError, PkpdError, SolveError, UnitError
from pkpd.inference import Fit, FitProblem, Sampler, cohort_model, load_fit, sample
from pkpd.model import Model, Observable, compose, predict
from pkpd.noise import additive_error, combined_error, lognormal_error, proportional_error
from pkpd.population import Correlation, Population, fixed, logit_normal, lognormal, normal, tied
from pkpd.solve import Solver

try:
    __version__ = version("pkpd-jax")
except PackageNotFoundError:
    __version__ = "not installed"

__all__ = [
    "Cohort",
    "Component",
    "Correlation",
    "Covariate",
    "DataError",
    "Dose",
    "DoseError",
    "Fit",
    "FitError",
    "FitProblem",
    "Flow",
    "Model",
    "ModelError",
    "Observable",
    "Param",
    "PkpdError",
    "Population",
    "Sampler",
    "Signal",
    "SolveError",
    "Solver",
    "State",
    "UnitError",
    "additive_error",
    "check_records",
    "cohort_model",
    "combined_error",
    "compose",
    "fixed",
    "flow",
    "gain",
    "load_fit",
    "logit_normal",
    "lognormal",
    "lognormal_error",
    "loss",
    "normal",
    "predict",
    "proportional_error",
    "read_cohort",
    "sample",
    "tied",
    "total",
]
