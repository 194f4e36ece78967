"""Classic pharmacokinetics and pharmacodynamics."""

from .effect_compartment import effect_compartment
from .friberg_karlsson import friberg_karlsson
from .indirect_response import indirect_response_I, indirect_response_II, indirect_response_III, indirect_response_IV
from .michaelis_menten import michaelis_menten_iv, michaelis_menten_oral
from .one_compartment import one_compartment_iv, one_compartment_oral, one_compartment_oral_lag
from .three_compartment import three_compartment_iv, three_compartment_oral
from .tmdd import tmdd_full, tmdd_qss
from .transit import one_compartment_transit
from .tumour_growth import tumour_claret, tumour_simeoni, tumour_wang
from .two_compartment import two_compartment_iv, two_compartment_oral

__all__ = [
    "effect_compartment",
    "friberg_karlsson",
    "indirect_response_I",
    "indirect_response_II",
    "indirect_response_III",
    "indirect_response_IV",
    "michaelis_menten_iv",
    "michaelis_menten_oral",
    "one_compartment_iv",
    "one_compartment_oral",
    "one_compartment_oral_lag",
    "one_compartment_transit",
    "three_compartment_iv",
    "three_compartment_oral",
    "tmdd_full",
    "tmdd_qss",
    "tumour_claret",
    "tumour_simeoni",
    "tumour_wang",
    "two_compartment_iv",
    "two_compartment_oral",
]
