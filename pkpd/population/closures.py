"""Priors of a closure's size and weights: one for the whole population, none of them varies between subjects."""

from __future__ import annotations

import math

import numpyro.distributions as dist

from pkpd.components.closure import NEAL, Closure
from pkpd.population.parameters import Individual, fixed, lognormal, normal


def closure_priors(closure: Closure, *, learn_size: bool = False) -> dict[str, Individual]:
    """The priors of a closure: each output weight N(0, 1) in units of s / sqrt(H), s held at its declared size; with `learn="all"` the hidden layer too.

    Write `Population(CL=lognormal(...), **closure_priors(slowing))`. The scales of the inputs are not in it: they stay as declared. With `learn_size` s has
    a half-normal prior of that scale; few data tell it from the weights, and chains then mix slowly (docs/decisions/0022). Nothing varies between
    subjects: a curve of one's own for each subject is more than sparse data can give.

    >>> from pkpd import Param, neural_rate
    >>> seen = Param("C_seen", 10.0, "mg/L", "largest concentration of the data", source="assumption: example")
    >>> priors = closure_priors(neural_rate("slowing", seen, source="assumption: example", hidden=2))
    >>> list(priors), priors["slowing_size"].value, priors["slowing_w1"].source[:38]
    (['slowing_size', 'slowing_w1', 'slowing_w2'], 0.5, 'closure: output weight N(0, s/sqrt(2))')
    """
    n, h, s = closure.name, closure.hidden, closure.size
    if learn_size:
        size = lognormal(
            dist.HalfNormal(s), source=f"closure: s half-normal({s:g}), the sd of the logarithm of its factor; {closure.source}"
        )
    else:
        size = fixed(s, source=f"closure: s held at {s:g}, the prior sd of the logarithm of its factor; {closure.source}")
    outer = f"closure: output weight N(0, s/sqrt({h})), s = {n}_size; {NEAL}"
    made = {f"{n}_size": size} | {f"{n}_w{k}": normal(dist.Normal(0.0, 1.0), source=outer) for k in range(1, h + 1)}
    sd = 1.0 / math.sqrt(len(closure.scales))
    inner = f"closure: hidden layer N(where it was initialised, {sd:.3g}) (assumption; scaled by the number of inputs as in {NEAL})"
    rest = [p for p in closure.params if p.name not in {q.name for q in closure.scales} | set(made)]
    return made | {p.name: normal(dist.Normal(float(p.value), sd), source=inner) for p in rest}
