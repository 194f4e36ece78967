"""Bayesian inference: a fit problem, a plain numpyro model, a sampler, a fit."""

from pkpd.inference.calibrate import Calibration, calibrate, load_calibration
from pkpd.inference.cohort_model import cohort_model
from pkpd.inference.fit import Fit, load_fit
from pkpd.inference.identify import Identifiability, identify
from pkpd.inference.prior_check import prior_check
from pkpd.inference.prior_findings import PriorCheck
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.inference.run import sample
from pkpd.inference.sample_summaries import sample_summaries
from pkpd.inference.summaries import Classes, Detectable, DetectableJointly, MeanSd, PeakSummary, Responders, SummaryArm
from pkpd.inference.summary_influence import SummaryInfluence, summary_influence
from pkpd.inference.summary_model import enough_draws, summary_error, summary_log_likelihood, summary_model
from pkpd.inference.verdict import Verdict

__all__ = [
    "Calibration",
    "Classes",
    "Detectable",
    "DetectableJointly",
    "Fit",
    "FitProblem",
    "Identifiability",
    "MeanSd",
    "PeakSummary",
    "PriorCheck",
    "Responders",
    "Sampler",
    "SummaryArm",
    "SummaryInfluence",
    "Verdict",
    "calibrate",
    "cohort_model",
    "enough_draws",
    "identify",
    "load_calibration",
    "load_fit",
    "prior_check",
    "sample",
    "sample_summaries",
    "summary_error",
    "summary_influence",
    "summary_log_likelihood",
    "summary_model",
]
