"""Classic pharmacokinetics and pharmacodynamics."""

from .friberg_karlsson import friberg_karlsson
from .indirect_response import indirect_response_I, indirect_response_II, indirect_response_III, indirect_response_IV
from .one_compartment import one_compartment_iv, one_compartment_oral, one_compartment_oral_lag
from .three_compartment import three_compartment_iv, three_compartment_oral
from .transit import one_compartment_transit
from .two_compartment import two_compartment_iv, two_compartment_oral

__all__ = [
    "friberg_karlsson",
    "indirect_response_I",
    "indirect_response_II",
    "indirect_response_III",
    "indirect_response_IV",
    "one_compartment_iv",
    "one_compartment_oral",
    "one_compartment_oral_lag",
    "one_compartment_transit",
    "three_compartment_iv",
    "three_compartment_oral",
    "two_compartment_iv",
    "two_compartment_oral",
]
