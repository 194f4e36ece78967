"""CAR-macrophages (CT-0508): trafficking after infusion, the cytokines they release, and the tumour they enter."""

from .biexponential import cell_biexp
from .blood_il6 import carm_blood_il6, carm_cytokines, cytokine_idr, cytokine_panel
from .combined import carm_pembrolizumab, carm_study, carm_tumour
from .endotoxin import endotoxin_cytokines
from .inflammation import carm_inflammation
from .killing import carm_kill_invitro
from .macrophage_endotoxin import macrophage_endotoxin
from .network import cytokine_network
from .outcomes import carm_outcomes
from .panel import carm_panel
from .perfusion import carm_mpbpk
from .saturation import cytokine_emax
from .trafficking import carm_recirculating, carm_trafficking

__all__ = [
    "carm_blood_il6",
    "carm_cytokines",
    "carm_inflammation",
    "carm_kill_invitro",
    "carm_mpbpk",
    "carm_outcomes",
    "carm_panel",
    "carm_pembrolizumab",
    "carm_recirculating",
    "carm_study",
    "carm_trafficking",
    "carm_tumour",
    "cell_biexp",
    "cytokine_emax",
    "cytokine_idr",
    "cytokine_network",
    "cytokine_panel",
    "endotoxin_cytokines",
    "macrophage_endotoxin",
]
