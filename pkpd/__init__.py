"""pkpd: population PK/PD modelling of cell therapies and small molecules, composed, differentiable, Bayesian, in JAX."""

from importlib.metadata import PackageNotFoundError, version

import jax

from pkpd.cli.run import run
from pkpd.components import Component, Covariate, Dose, Flow, Param, Signal, State, flow, gain, loss, total
from pkpd.data import Cohort, check_records, read_cohort, write_records
from pkpd.diagnostics.solver_check import solver_check
from pkpd.errors import DataError, DoseError, FitError, ModelError, PkpdError, SolveError, UnitError
from pkpd.events import Regimen, body_surface, bolus, cells, constant_infusion, day, infusion, oral, sum_of
from pkpd.inference import Fit, FitProblem, Sampler, cohort_model, load_fit, sample
from pkpd.model import Description, Model, Observable, available_models, compose, describe, load_model, predict
from pkpd.noise import (
    additive_error,
    autoregressive,
    binary,
    by_group,
    by_subject,
    combined_error,
    copies_per_reaction,
    correlated,
    detection,
    last_positive,
    limits_by,
    lognormal_error,
    markov_chain,
    negative_binomial_count,
    ordinal,
    poisson_count,
    power_error,
    proportional_error,
    recist,
    student_error,
    time_to_event,
    zero_inflated,
)
from pkpd.population import Correlation, Population, boxcox, fixed, logit_normal, lognormal, normal, tied
from pkpd.simulate import Bands, simulate, stream_bands, what_if
from pkpd.solve import Solver

jax.config.update("jax_enable_x64", True)  # doses, events and likelihoods need float64: nothing is left to a setting that one forgets

try:
    __version__ = version("pkpd-jax")
except PackageNotFoundError:
    __version__ = "not installed"

__all__ = [
    "Bands",
    "Cohort",
    "Component",
    "Correlation",
    "Covariate",
    "DataError",
    "Description",
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
    "Regimen",
    "Sampler",
    "Signal",
    "SolveError",
    "Solver",
    "State",
    "UnitError",
    "additive_error",
    "autoregressive",
    "available_models",
    "binary",
    "body_surface",
    "bolus",
    "boxcox",
    "by_group",
    "by_subject",
    "cells",
    "check_records",
    "cohort_model",
    "combined_error",
    "compose",
    "constant_infusion",
    "copies_per_reaction",
    "correlated",
    "day",
    "describe",
    "detection",
    "fixed",
    "flow",
    "gain",
    "infusion",
    "last_positive",
    "limits_by",
    "load_fit",
    "load_model",
    "logit_normal",
    "lognormal",
    "lognormal_error",
    "loss",
    "markov_chain",
    "negative_binomial_count",
    "normal",
    "oral",
    "ordinal",
    "poisson_count",
    "power_error",
    "predict",
    "proportional_error",
    "read_cohort",
    "recist",
    "run",
    "sample",
    "simulate",
    "solver_check",
    "stream_bands",
    "student_error",
    "sum_of",
    "tied",
    "time_to_event",
    "total",
    "what_if",
    "write_records",
    "zero_inflated",
]
