"""A whole population solve as one GPU kernel, and its gradient as one more."""

from pkpd.solve.kernel.able import available
from pkpd.solve.kernel.solve import METHODS, make_kernel

__all__ = ["METHODS", "available", "make_kernel"]
