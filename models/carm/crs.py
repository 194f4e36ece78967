"""Grades of cytokine release syndrome from the cytokines: a proportional-odds model of the peak, or of the area, of IL-6.

    logit P(grade >= g) = b (x - c_g) ,  g = 1, 2, 3        c_1 < c_2 < c_3 ,  b > 0        x = ln peak IL-6  or  ln AUC above baseline

Weakly informed by anything published: of CT-0508 only "grade 3 or more in 0 of 14" can be used. Priors: c_1 ~ N(ln 50, 1.5), gaps half-normal(1.5), b
half-normal(1.5). Individual grades are fitted by `ordinal`; counts of grades by `Responders` with `at_least` as the probability.
"""

import itertools

import jax
import jax.numpy as jnp

from pkpd import Component, State, gain, total

from .cytokines import cytokine_turnover


def at_least(x, slope, first, *gaps):
    """P(grade >= 1), P(grade >= 2), ... stacked on the first axis: x = ln exposure, the first cutpoint and the gaps to the next ones (numbers or [M])."""
    cuts = itertools.accumulate((first, *gaps))
    return jnp.stack(jnp.broadcast_arrays(*(jax.nn.sigmoid(slope * (x - cut)) for cut in cuts)))


def of_each_grade(x, slope, first, *gaps):
    """P(grade = 0), P(grade = 1), ...: differences of `at_least`, which sum to 1."""
    more = at_least(x, slope, first, *gaps)
    edges = jnp.concatenate([jnp.ones_like(more[:1]), more, jnp.zeros_like(more[:1])])
    return edges[:-1] - edges[1:]


exposure = Component(
    "exposure",
    states=State("il6_auc", "pg*h/mL", "area of IL-6 above baseline, so far"),
    params=cytokine_turnover("il6").params[0],
    reads="il6",
    rates=lambda t, y, p, s: total(gain("il6_auc", jnp.maximum(y.il6 - p.base_il6, 0.0))),
)
