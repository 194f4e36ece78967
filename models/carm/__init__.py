"""CAR-macrophages (CT-0508): trafficking after infusion and the cytokines they release."""

from .blood_il6 import carm_blood_il6, carm_cytokines, cytokine_idr
from .endotoxin import endotoxin_cytokines
from .trafficking import carm_recirculating, carm_trafficking

__all__ = ["carm_blood_il6", "carm_cytokines", "carm_recirculating", "carm_trafficking", "cytokine_idr", "endotoxin_cytokines"]
