"""Residual variation, limits of quantification, and other endpoints."""

from pkpd.noise.detection import detection, last_positive
from pkpd.noise.discrete import binary, copies_per_reaction, negative_binomial_count, ordinal, poisson_count, zero_inflated
from pkpd.noise.events import time_to_event
from pkpd.noise.grouped import by_group, by_subject
from pkpd.noise.joined import Joined
from pkpd.noise.law import ENDPOINTS, Observation, ObservedRows, endpoint_of, on_logs, reads_of
from pkpd.noise.markov import markov_chain
from pkpd.noise.measurement import Measurement
from pkpd.noise.methods import limits_by
from pkpd.noise.mixed import Mixed
from pkpd.noise.power import power_error, student_error
from pkpd.noise.recist import recist
from pkpd.noise.residual import ResidualError, additive_error, combined_error, lognormal_error, proportional_error
from pkpd.noise.serial import autoregressive, correlated

__all__ = [
    "ENDPOINTS",
    "Joined",
    "Measurement",
    "Mixed",
    "Observation",
    "ObservedRows",
    "ResidualError",
    "additive_error",
    "autoregressive",
    "binary",
    "by_group",
    "by_subject",
    "combined_error",
    "copies_per_reaction",
    "correlated",
    "detection",
    "endpoint_of",
    "last_positive",
    "limits_by",
    "lognormal_error",
    "markov_chain",
    "negative_binomial_count",
    "on_logs",
    "ordinal",
    "poisson_count",
    "power_error",
    "proportional_error",
    "reads_of",
    "recist",
    "student_error",
    "time_to_event",
    "zero_inflated",
]
