"""What a paper reports of a patient, as probabilities: stable disease at a visit, and a severe cytokine release syndrome.

    r       = ln(SLD/SLD0) = ln(V/V0)/3 ,  measured with sd sigma_r = sqrt(2) sigma_sld
    P(SD)   = (1 - p_new) [Phi((ln 1.2 - r)/sigma_r) - Phi((ln 0.7 - r)/sigma_r)]        target lesions, RECIST 1.1
    P(PR)   = (1 - p_new) Phi((ln 0.7 - r)/sigma_r)
    P(PD)   = p_new + (1 - p_new) Phi((r - ln 1.2)/sigma_r)                              p_new: new lesions or clinical progression
    P(CRS of grade 3 or more) = logistic(b (ln(IL-6/crs_il6) - gap_2 - gap_3))  at the peak of IL-6: the largest over time

Cells, IL-6, tumour and T cells as in `carm_study`, without what no summary reports. Untreated growth alone leaves much stable disease at 8 weeks: P(SD)
without new lesions is 70 % at the typical kg and 61 % on average over its prior; with patients that differ (half-normal(0.5)) and new lesions (p_new,
mean 0.2) it is 48 %. So growth and `p_new` carry much of any statement on response. The absolute rule of RECIST (5 mm over nadir) is left out: it
matters below 25 mm only.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from pkpd import Component, Observable, Param, compose

from . import cytokines
from .combined import in_tumour
from .gate import her2_gate
from .trafficking import TWELVE_WEEKS
from .tumour import relative, t_cells, tumour

grading = Component(
    "grading",
    params=(
        Param(
            "crs_il6",
            50.0,
            "pg/mL",
            "IL-6 at which half of the patients have grade 1 or more",
            source="assumption: exp(c_1), c_1 ~ N(ln 50, 1.5)",
        ),
        Param("crs_gap2", 1.0, "1", "from grade 1 to grade 2", source="assumption: half-normal(1.5)"),
        Param("crs_gap3", 1.0, "1", "from grade 2 to grade 3", source="assumption: half-normal(1.5)"),
        Param("crs_slope", 1.0, "1", "log odds of a grade for each e-fold of IL-6", source="assumption: half-normal(1.5)"),
    ),
)

response = Component(
    "response",
    params=(
        Param("p_new", 0.2, "1", "progression that target lesions do not show", source="assumption: Beta(1, 4)", support="unit"),
        Param("sigma_sld", 0.07, "1", "sd of ln SLD", source="assumption: 0.05-0.10"),
    ),
)


def change(y, p):
    """ln(SLD/SLD0) and the sd with which it is measured."""
    return jnp.log(relative(y, p)) / 3.0, math.sqrt(2.0) * p.sigma_sld


def stable(y, p, s):
    r, sd = change(y, p)
    return (1.0 - p.p_new) * (norm.cdf((math.log(1.2) - r) / sd) - norm.cdf((math.log(0.7) - r) / sd))


def partial(y, p, s):
    r, sd = change(y, p)
    return (1.0 - p.p_new) * norm.cdf((math.log(0.7) - r) / sd)


def progressive(y, p, s):
    r, sd = change(y, p)
    return p.p_new + (1.0 - p.p_new) * norm.cdf((r - math.log(1.2)) / sd)


def severe(y, p, s):
    return jax.nn.sigmoid(p.crs_slope * (jnp.log(y.il6 / p.crs_il6) - p.crs_gap2 - p.crs_gap3))


carm_outcomes = compose(
    "carm_outcomes",
    in_tumour,
    her2_gate,
    cytokines.driver,
    cytokines.tolerance,
    cytokines.cytokine_turnover("il6"),
    tumour(),
    t_cells(),
    grading,
    response,
    observables=[
        cytokines.serum("il6"),
        Observable("p_sd", "1", stable, "probability of stable disease, measured now"),
        Observable("p_pr", "1", partial, "probability of a response, measured now"),
        Observable("p_pd", "1", progressive, "probability of progressive disease, measured now"),
        Observable("p_crs3", "1", severe, "probability of CRS of grade 3 or more, were this IL-6 the peak"),
    ],
    text=__doc__,
    example=TWELVE_WEEKS,
)
