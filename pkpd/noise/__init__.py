"""Residual variation and limits of quantification."""

from pkpd.noise.measurement import Measurement
from pkpd.noise.residual import ResidualError, additive_error, combined_error, lognormal_error, proportional_error

__all__ = ["Measurement", "ResidualError", "additive_error", "combined_error", "lognormal_error", "proportional_error"]
