"""Bayesian inference: a fit problem, a plain numpyro model, a sampler, a fit."""

from pkpd.inference.cohort_model import cohort_model
from pkpd.inference.fit import Fit, load_fit
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.inference.run import sample
from pkpd.inference.verdict import Verdict

__all__ = ["Fit", "FitProblem", "Sampler", "Verdict", "cohort_model", "load_fit", "sample"]
