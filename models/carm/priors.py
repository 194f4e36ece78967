"""Priors of the CAR-macrophage models, one for each parameter, used alike by the simulated studies and by the fits.

Every number is an assumption, anchored in the literature where the `source` of the parameter says so; none comes from CT-0508 data. `BETWEEN` are the
between-patient standard deviations (log or logit scale, assumptions of the design) with which the simulated studies are generated.
"""

import math

import numpyro.distributions as dist
from numpyro.distributions import constraints, transforms


def around(median: float, log_sd: float) -> dist.Distribution:
    """Lognormal with this median."""
    return dist.LogNormal(math.log(median), log_sd)


def within(low: float, high: float) -> dist.Distribution:
    """Logit-normal with 95 % of its mass between two fractions."""
    a, b = (math.log(x / (1.0 - x)) for x in (low, high))
    return dist.TransformedDistribution(dist.Normal((a + b) / 2.0, (b - a) / 3.92), transforms.SigmoidTransform())


def around_above(median: float, log_sd: float, least: float) -> dist.Distribution:
    """Lognormal cut off below `least`."""
    base = dist.TruncatedNormal(math.log(median), log_sd, low=math.log(least))
    return dist.TransformedDistribution(base, transforms.ExpTransform(domain=constraints.greater_than(math.log(least))))


PRIORS = {
    "f_L": within(0.5, 0.97),
    "k_LB": around(0.25, 0.7),
    "k_BH": around(0.05, 0.7),
    "k_BT": around(0.001, 1.2),
    "k_act": around(0.02, 1.0),
    "h2": dist.Beta(2.0, 4.0),
    "S": around(4.3e4, 1.5),
    "base_il6": around(0.71, 1.0),
    "kout_il6": around_above(2.1, 0.5, 1.0),
    "gain_il6": around(85.0, 1.5),  # a typical peak of 150 pg/mL after 5e9 infused cells
    "weight_A": around(50.0, 1.5),
    "k_Z": around(0.03, 1.0),
    "Z50": around(0.5, 1.0),
}

UNIT_INTERVAL = ("f_L", "h2")

BETWEEN = {"k_BH": 0.4, "S": 0.7, "k_BT": 0.8, "gain_il6": 0.8}

# TNF, IL-8 and IL-10 beside IL-6; assumptions but where the `source` of the parameter names one.
CYTOKINES = {
    "base_tnf": around(6.3, 1.0),
    "base_il8": around(2.8, 1.0),
    "base_il10": around(4.2, 1.0),
    "kout_tnf": around(1.4, 0.7),
    "kout_il8": around(0.69, 0.7),
    "kout_il10": around(0.8, 0.7),
    "gain_tnf": around(30.0, 1.5),  # a typical peak of about 60 pg/mL after 5e9 infused cells
    "gain_il8": around(56.0, 1.5),
    "gain_il10": around(84.0, 1.5),
}

V0_BETWEEN = 1.5
"""Tumours before treatment differ between patients, around a fixed typical V0 (SLD of 60 mm): log sd 0.5 of SLD, hence 1.5 of volume (assumption)."""

TIED = {"k_BP": ("k_BH", 0.4), "k_Ad": ("k_Td", 1.0)}

DAY = 24.0

# What the individual fit leaves out and the published outcomes may touch (tumour, T cells, response, CRS); all assumptions.
OUTCOMES = {
    "k_Ld": around(0.01, 1.0),
    "k_Bd": around(math.log(2) / 24, 0.5),
    "k_Hd": around(math.log(2) / 48, 0.6),
    "k_Td": around(0.02 / DAY, 1.0),
    "kg": around(0.007 / DAY, 0.6),
    "c_kill": around(6000.0 / DAY, 1.0),
    "gam": around(1e-4, 1.0),
    "kT": around(50.0 / DAY, 1.0),
    "V50": around(1e4, 1.0),
    "pE": around(0.2 / DAY, 0.7),
    "dE": around(0.05 / DAY, 0.7),
    "A50": around(1e-3, 1.5),
    "E_cap": around(100.0, 1.0),
    "p_new": dist.Beta(1.0, 4.0),
    "crs_il6": around(50.0, 1.5),
    "crs_gap2": dist.HalfNormal(1.5),
    "crs_gap3": dist.HalfNormal(1.5),
    "crs_slope": dist.HalfNormal(1.5),
}
