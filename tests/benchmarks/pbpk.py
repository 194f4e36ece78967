"""A physiological model of a 70 kg person: thirteen organs between arterial and venous blood, a saturable liver, a depot in the gut's lumen.

Each organ is well stirred: dA/dt = Q (C_arterial - C / Kp). Stomach, gut, pancreas and spleen drain into the liver. Volumes and flows are rounded
textbook physiology (Brown et al., Toxicol Ind Health 1997;13:407); they, partition coefficients and drug parameters are assumptions.
"""

from __future__ import annotations

from typing import Any

VOLUME = {  # L; assumption
    "adipose": 14.5, "bone": 10.0, "brain": 1.4, "heart": 0.33, "kidney": 0.31, "muscle": 28.0, "skin": 2.6, "rest": 3.0,
    "stomach": 0.15, "gut": 1.2, "pancreas": 0.14, "spleen": 0.18, "liver": 1.8, "lung": 0.5, "arterial": 1.7, "venous": 3.9,
}  # fmt: skip
SHARE = {  # of the cardiac output; assumption
    "adipose": 0.05, "bone": 0.05, "brain": 0.12, "heart": 0.04, "kidney": 0.19, "muscle": 0.17, "skin": 0.05, "rest": 0.065,
    "stomach": 0.01, "gut": 0.15, "pancreas": 0.01, "spleen": 0.03, "liver": 0.065,
}  # fmt: skip
PARTITION = {  # tissue to blood; assumption
    "bone": 0.8, "brain": 1.2, "heart": 1.5, "kidney": 2.0, "muscle": 1.0, "skin": 1.4, "rest": 1.0,
    "stomach": 1.5, "gut": 1.5, "pancreas": 1.5, "spleen": 1.5, "liver": 2.5, "lung": 1.2,
}  # fmt: skip
PORTAL = ("stomach", "gut", "pancreas", "spleen")
STATES = ("depot", *VOLUME)  # the last one is venous blood
TYPICAL = {  # assumption; L/h, mg/h, mg/L, 1/h
    "cardiac_output": 350.0, "adipose_partition": 4.0, "partition_factor": 1.0, "ka": 1.2, "v_max": 30.0, "k_m": 0.5, "cl_renal": 3.0,
}  # fmt: skip


def rates(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
    """dA/dt (mg/h) of STATES; parameters as in TYPICAL."""
    given = dict(zip(TYPICAL, p, strict=True))
    amount = dict(zip(STATES, y, strict=True))
    blood = {organ: amount[organ] / VOLUME[organ] for organ in ("arterial", "venous")}
    leaving = {o: amount[o] / (VOLUME[o] * _partition(o, given)) for o in (*SHARE, "lung")}
    flow = {o: share * given["cardiac_output"] for o, share in SHARE.items()}
    change = {o: flow[o] * (blood["arterial"] - leaving[o]) for o in SHARE}
    portal = sum(flow[o] * leaving[o] for o in PORTAL)
    hepatic = flow["liver"] + sum(flow[o] for o in PORTAL)
    absorbed = given["ka"] * amount["depot"]
    change["depot"] = -absorbed
    change["gut"] = change["gut"] + absorbed
    change["kidney"] = change["kidney"] - given["cl_renal"] * leaving["kidney"]
    cleared = given["v_max"] * leaving["liver"] / (given["k_m"] + leaving["liver"])
    change["liver"] = flow["liver"] * blood["arterial"] + portal - hepatic * leaving["liver"] - cleared
    output = sum(flow.values())
    change["lung"] = output * (blood["venous"] - leaving["lung"])
    change["arterial"] = output * (leaving["lung"] - blood["arterial"])
    back = sum(flow[o] * leaving[o] for o in SHARE if o not in (*PORTAL, "liver"))
    change["venous"] = back + hepatic * leaving["liver"] - output * blood["venous"]
    return [change[name] + flowing for name, flowing in zip(STATES, r, strict=True)]


def _partition(organ: str, given: dict[str, Any]) -> Any:
    return given["adipose_partition"] if organ == "adipose" else PARTITION[organ] * given["partition_factor"]
