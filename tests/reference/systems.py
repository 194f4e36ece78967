"""The systems of the reference tests, written again in plain numpy: matrices, fields and dose routes, so that the model files are tested too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Params = Mapping[str, float]


def one_oral(p: Params) -> np.ndarray:
    return np.array([[-p["ka"], 0], [p["ka"], -p["CL"] / p["V"]]])


def two_oral(p: Params) -> np.ndarray:
    k10, k12, k21 = p["CL"] / p["V1"], p["Q"] / p["V1"], p["Q"] / p["V2"]
    return np.array([[-p["ka"], 0, 0], [p["ka"], -k10 - k12, k21], [0, k12, -k21]])


def indirect(kind: str, p: Params):
    """Depot, central, response of indirect response I-IV."""
    sign = -1.0 if kind in ("I", "II") else 1.0

    def field(t, y):
        c = y[1] / p["V"]
        effect = sign * p["Emax"] * c / (p["EC50"] + c)
        made, lost = (1 + effect, 1.0) if kind in ("I", "III") else (1.0, 1 + effect)
        return [-p["ka"] * y[0], p["ka"] * y[0] - p["CL"] / p["V"] * y[1], p["kout"] * (p["R0"] * made - y[2] * lost)]

    return field


def carm_blood_il6(p: Params, her2: float):
    """Lung, blood, liver, spleen, tumour, active, tolerance, IL-6 (SCIENCE.md M1 and M3)."""
    h = 1.0 if her2 == 3 else p["h2"]
    exits = p["k_BH"] + p["k_BP"] + p["k_BT"] + p["k_Bd"]

    def field(t, y):
        lung, blood, liver, spleen, tumour, active, z, c = y
        u = lung + liver + p["weight_A"] * active
        return [
            -(p["k_LB"] + p["k_Ld"]) * lung,
            p["k_LB"] * lung - exits * blood,
            p["k_BH"] * blood - p["k_Hd"] * liver,
            p["k_BP"] * blood - p["k_Pd"] * spleen,
            p["k_BT"] * blood - (p["k_act"] * h + p["k_Td"]) * tumour,
            p["k_act"] * h * tumour - p["k_Ad"] * active,
            p["k_Z"] * (u - z),
            p["kout_il6"] * (p["base_il6"] + p["gain_il6"] * u / (1 + z / p["Z50"]) - c),
        ]

    return field
