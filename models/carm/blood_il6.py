"""CAR-macrophage trafficking with IL-6: the reduced model of the first fit (blood copies and one cytokine)."""

from pkpd import compose

from . import cytokines, trafficking


def carm_cytokines(name: str, *panel: str):
    """Trafficking composed with tolerance and the turnover of each named cytokine."""
    turnover = [cytokines.cytokine_turnover(c) for c in panel]
    parts = (trafficking.trafficking, trafficking.qpcr, cytokines.driver, cytokines.tolerance, *turnover)
    return compose(
        name,
        *parts,
        observables=[trafficking.car_dna, *map(cytokines.serum, panel)],
        text=f"CAR-macrophage trafficking driving serum {', '.join(panel)}.\n\n{trafficking.__doc__}\n{cytokines.__doc__}",
        example=trafficking.TWO_WEEKS,
    )


carm_blood_il6 = carm_cytokines("carm_blood_il6", "il6")
cytokine_idr = carm_cytokines("cytokine_idr", "il6", "tnf", "il8", "il10")
cytokine_panel = carm_cytokines("cytokine_panel", "il6", "tnf", "il8", "il10", "mcp1", "ifng")
