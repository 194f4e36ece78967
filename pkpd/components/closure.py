"""A closure: a rate that no mechanism gives, learned by a small neural network as a factor on a mechanistic one.

    factor = exp(L tanh(net / L)) ,  L = ln(within)                   between 1/within and within; 1 where the weights are 0
    net    = s / sqrt(H) sum_k w_k tanh(b_k + sum_j A_kj x_j / scale_j)          H hidden units, w_k ~ N(0, 1)

so the output weights s w_k / sqrt(H) are N(0, s / sqrt(H)), which keeps the prior of the function the same for any H, and `s` is its size: the sd of
ln(factor) where the hidden units are saturated. Source of that scaling: Neal 1996, Bayesian Learning for Neural Networks (Lecture Notes in Statistics 118),
chapter 2. The sums are written out, so that a closure is solved by every method that solves the rest of the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pkpd.components.words import Param, check_name
from pkpd.errors import ModelError

NEAL = "Neal 1996, Bayesian Learning for Neural Networks, chapter 2"
LEARN = ("output", "all")
MOST = 32  # hidden units: the sums are written out


@dataclass(frozen=True)
class Closure:
    """A learned factor; made by `neural_rate`. `closure(p, x, ...)` is its value, `closure.params` belong to the component that uses it.

    `weights[k]` and `biases[k]` are of hidden unit k, for inputs divided by their scales; `size` is the scale of the prior of s, `within` the largest factor.
    """

    name: str
    scales: tuple[Param, ...]
    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, ...]
    size: float
    within: float
    source: str
    learn: Literal["output", "all"] = "output"

    @property
    def hidden(self) -> int:
        """How many hidden units."""
        return len(self.biases)

    @property
    def params(self) -> tuple[Param, ...]:
        """The parameters to declare in the component: scales (to be left fixed), the size, the weights."""
        meaning = f"size of the closure '{self.name}': sd of the logarithm of its factor, which lies between {1 / self.within:g} and {self.within:g}"
        size = Param(f"{self.name}_size", self.size, "1", meaning, source=self.source)
        return (*self.scales, size, *(self._outer(k) for k in range(self.hidden)), *self._inner())

    def _outer(self, k: int) -> Param:
        terms = " + ".join(f"{a:.6g} x/{s.name}" for a, s in zip(self.weights[k], self.scales, strict=True))
        meaning = f"closure '{self.name}', weight of tanh({terms} {self.biases[k]:+.6g}) in units of size/sqrt({self.hidden})"
        return Param(
            f"{self.name}_w{k + 1}",
            0.0,
            "1",
            meaning,
            source=f"definition: 0 is the mechanistic rate; prior N(0, 1), {NEAL}",
            support="real",
        )

    def _inner(self) -> tuple[Param, ...]:
        if self.learn == "output":
            return ()
        source = "assumption: begins where the network was initialised"
        names = [(f"{n}", v) for row, b in zip(self._inner_names, self._inner_values, strict=True) for n, v in zip(row, b, strict=True)]
        return tuple(Param(n, v, "1", f"closure '{self.name}', hidden layer", source=source, support="real") for n, v in names)

    @property
    def _inner_names(self) -> list[list[str]]:
        """Of each hidden unit: its weight of each input, then its bias."""
        units, inputs = range(1, self.hidden + 1), range(1, len(self.scales) + 1)
        return [[*(f"{self.name}_a{k}_{j}" for j in inputs), f"{self.name}_b{k}"] for k in units]

    @property
    def _inner_values(self) -> list[list[float]]:
        return [[*row, b] for row, b in zip(self.weights, self.biases, strict=True)]

    def __call__(self, p: Any, *inputs: Any) -> Any:
        """The factor at these inputs, each in the unit of its scale."""
        if len(inputs) != len(self.scales):
            raise ModelError(
                f"Closure '{self.name}' takes {len(self.scales)} inputs ({_listed(self.scales)}), and was given {len(inputs)}."
            )
        z = [x / p[s.name] for x, s in zip(inputs, self.scales, strict=True)]
        rows = self._inner_values if self.learn == "output" else [[p[n] for n in row] for row in self._inner_names]
        units = [jnp.tanh(sum((a * x for a, x in zip(row, z, strict=False)), start=row[-1])) for row in rows]
        net = sum(p[f"{self.name}_w{k + 1}"] * u for k, u in enumerate(units)) * p[f"{self.name}_size"] / math.sqrt(self.hidden)
        limit = math.log(self.within)
        return jnp.exp(limit * jnp.tanh(net / limit))


def neural_rate(
    name: str,
    scales: Param | Sequence[Param],
    *,
    source: str,
    size: float = 0.5,
    hidden: int = 4,
    within: float = 10.0,
    learn: Literal["output", "all"] = "output",
    net: eqx.nn.MLP | None = None,
) -> Closure:
    """A factor on a mechanistic rate that is learned from data: exactly 1 at the typical values, so the model is the mechanistic one until it is fitted.

    `scales`: for each input a parameter in its unit, the value that it is divided by: the largest that the data hold. `size`: scale of the half-normal prior
    of the sd of ln(factor), with its `source`. `within`: the factor lies between 1/within and within. `hidden` tanh units; for one input they are spread
    evenly over 0 to its scale, for several drawn by equinox with a fixed seed; `net` gives them instead (an `equinox.nn.MLP` of depth 1;
    its output layer is left out).
    `learn="output"` learns the weights of those units, "all" the units too (then they may change places: more modes, less of a verdict).
    Priors come from `closure_priors`. Read the guide's "When not to" first. Raises `ModelError`.

    >>> seen = Param("C_seen", 10.0, "mg/L", "largest concentration of the data", source="assumption: example")
    >>> slowing = neural_rate("slowing", seen, source="assumption: a factor of 1.6 either way", hidden=2)
    >>> [q.name for q in slowing.params]
    ['C_seen', 'slowing_size', 'slowing_w1', 'slowing_w2']
    >>> float(slowing({"C_seen": 10.0, "slowing_size": 0.5, "slowing_w1": 0.0, "slowing_w2": 0.0}, 3.0))
    1.0
    """
    check_name(name, "A closure")
    scales = (scales,) if isinstance(scales, Param) else tuple(scales)
    _check(name, scales, source, size, within, learn)
    weights, biases = _layer(name, len(scales), hidden) if net is None else _layer_of(name, len(scales), net)
    return Closure(name, scales, weights, biases, float(size), float(within), source, learn)


def _check(name: str, scales: tuple[Param, ...], source: str, size: float, within: float, learn: str) -> None:
    where = f"neural_rate('{name}', ...)"
    if not scales or not all(isinstance(s, Param) and s.support == "positive" for s in scales):
        raise ModelError(
            f"{where}: `scales` are positive parameters, one an input, as in Param('C_seen', 10.0, 'mg/L', 'largest concentration', source=...)."
        )
    if not source.strip():
        raise ModelError(f"{where} has no source for the prior of its size. Say why {size:g}: a paper, or 'assumption: ...'.")
    if not (0 < size < math.inf):
        raise ModelError(f"{where}: size={size!r}, the sd of the logarithm of the factor; give a number above 0, as 0.5.")
    if not (1 < within < math.inf):
        raise ModelError(f"{where}: within={within!r}, the largest factor; give a number above 1, as 10.")
    if learn not in LEARN:
        raise ModelError(f"{where}: learn={learn!r}; accepted: {', '.join(LEARN)}.")


def _layer(name: str, inputs: int, hidden: int) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    if isinstance(hidden, bool) or not 1 <= hidden <= MOST:
        raise ModelError(f"neural_rate('{name}', ...): hidden={hidden!r}; give 1 to {MOST} units; four are often enough.")
    if inputs > 1:
        return _layer_of(name, inputs, eqx.nn.MLP(inputs, "scalar", hidden, 1, jnp.tanh, key=jax.random.PRNGKey(0)))
    centres = (np.arange(hidden) + 0.5) / hidden
    return tuple((float(hidden),) for _ in centres), tuple(float(-hidden * c) for c in centres)


def _layer_of(name: str, inputs: int, net: Any) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Weights and biases of the hidden layer of an equinox network, whose output layer is left out: its weights begin at 0."""
    mlp = net if isinstance(net, eqx.nn.MLP) else None
    if mlp is None or mlp.depth != 1 or mlp.in_size != inputs or mlp.out_size not in ("scalar", 1) or mlp.width_size > MOST:
        sizes = ("in_size", "out_size", "width_size", "depth")
        given = repr(net) if mlp is None else f"MLP({', '.join(f'{n}={getattr(mlp, n)!r}' for n in sizes)})"
        wanted = f"equinox.nn.MLP({inputs}, 'scalar', width of at most {MOST}, depth 1, jnp.tanh, key=...)"
        raise ModelError(f"neural_rate('{name}', net={given}): accepted is {wanted}, one input for each scale.")
    at = np.linspace(-2.0, 2.0, 5)
    if not np.allclose([float(net.activation(x)) for x in jnp.asarray(at)], np.tanh(at)):
        raise ModelError(
            f"neural_rate('{name}', net=...): its activation is not tanh. Write equinox.nn.MLP(..., activation=jnp.tanh, ...)."
        )
    layer = net.layers[0]
    biases = np.zeros(net.width_size) if layer.bias is None else np.asarray(layer.bias, float)
    return tuple(tuple(float(a) for a in row) for row in np.asarray(layer.weight, float)), tuple(float(b) for b in biases)


def _listed(scales: tuple[Param, ...]) -> str:
    return ", ".join(f"divided by {s.name} [{s.unit}]" for s in scales)
