"""Parameters on a scale of one's own: any one-to-one transform of the real line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.transforms import ComposeTransform, Transform

from pkpd.errors import FitError
from pkpd.population.medians import median
from pkpd.population.parameters import Individual, spread

_PROBES = np.array([-math.inf, *np.linspace(-50.0, 50.0, 201), math.inf])
_ONE_TO_ONE = "take one that only rises or only falls"
_BOUNDS = {"positive": (0.0, math.inf), "nonnegative": (0.0, math.inf), "unit": (0.0, 1.0), "real": (-math.inf, math.inf)}


@dataclass(frozen=True, eq=False, repr=False)
class OwnScale:
    """A transform T of the real line with what was found of it: `low` and `high`, the ends of its values, and its words."""

    transform: Transform
    low: float
    high: float
    words: str

    def forward(self, x: Any) -> Any:
        """T^-1: from the parameter to the real line."""
        return self.transform.inv(x)

    def back(self, x: Any) -> Any:
        return self.transform(x)

    def within(self, support: str) -> bool:
        """Whether its values lie in a model parameter's support, to rounding."""
        low, high = _BOUNDS[support]
        return self.low >= low - 1e-12 and self.high <= high + 1e-12

    @property
    def told(self) -> str:
        """Where its values lie."""
        return f"{self.low:g} to {self.high:g}"

    def __repr__(self) -> str:
        """The same in every session: it is part of a model's fingerprint."""
        return f"OwnScale({self.words})"


def transformed(
    prior: Distribution, transform: Transform, between: Any = None, *, centred: bool | float | None = None, source: str = ""
) -> Individual:
    """A parameter on any scale: theta_i = T(T^-1(theta) + sum beta x_i + omega eta_i).

    `transform` is T, a one-to-one transform of the real line from `numpyro.distributions.transforms`; `prior` is the distribution of the typical
    value in the parameter's unit and stays inside the values of T; `between` is the prior of omega (sd of T^-1(theta_i)), a number, or None.
    Raises `FitError` for a transform that is not one-to-one on the real line, and for a prior that leaves its values.

    >>> import numpyro.distributions as dist
    >>> from numpyro.distributions.transforms import AffineTransform, ComposeTransform, SigmoidTransform
    >>> bounded = ComposeTransform([SigmoidTransform(), AffineTransform(0.2, 0.6)])
    >>> transformed(dist.Uniform(0.2, 0.8), bounded, between=dist.HalfNormal(0.5)).own.told
    '0.2 to 0.8'
    """
    own = own_scale(transform)
    _check_prior(prior, own)
    if not _leads_back(own, median(prior)):
        raise FitError(f"transformed(transform={own.words}): its inverse does not lead back to the typical value; {_ONE_TO_ONE}.")
    return Individual("transformed", prior, between=spread("transformed", between), centred=centred, source=source, own=own)


def _check_prior(prior: Any, own: OwnScale) -> None:
    if any(bool(prior.support(x)) for x in _outside(own)):
        example = f", dist.Uniform({own.low:g}, {own.high:g}) for example" if math.isfinite(own.high - own.low) else ""
        raise FitError(
            f"transformed(prior={type(prior).__name__}(...)): this prior reaches values outside {own.told}, where those of {own.words} lie; "
            f"choose one that does not{example}."
        )


def own_scale(transform: Any) -> OwnScale:
    """The transform, checked: real numbers in, one value for each, and an inverse that leads back."""
    if not isinstance(transform, Transform):
        raise FitError(
            f"transformed(transform={transform!r}) takes a transform of numpyro.distributions.transforms, SigmoidTransform() for example."
        )
    words = _words(transform)
    if transform.domain is not constraints.real:
        raise FitError(f"transformed(transform={words}): random effects are real numbers, and this transform does not start from those.")
    y = np.asarray(transform(jnp.asarray(_PROBES)))
    if y.shape != _PROBES.shape or not (np.all(y[1:] >= y[:-1]) or np.all(y[1:] <= y[:-1])):
        raise FitError(f"transformed(transform={words}): this transform is not one-to-one on the real line; {_ONE_TO_ONE}.")
    low, high = (
        0.0 if abs(e) < 1e-300 else float(f"{e:.12g}") for e in sorted((float(y[0]), float(y[-1])))
    )  # a sigmoid stops one rounding short
    return OwnScale(transform, low, high, words)


def _leads_back(own: OwnScale, typical: Any) -> bool:
    """Rising or falling within 1 of the typical value on the real line, and back by the inverse to 1e-6, far above rounding there."""
    x = jnp.asarray(own.forward(typical) + np.linspace(-1.0, 1.0, 9))
    y = own.back(x)
    steps = np.diff(np.asarray(y))
    return bool((steps > 0).all() or (steps < 0).all()) and bool(jnp.allclose(own.forward(y), x, rtol=1e-6, atol=1e-6))


def _outside(own: OwnScale) -> list[float]:
    """Points beyond each finite end, near and far."""
    width = own.high - own.low if math.isfinite(own.high - own.low) else 1.0
    steps = [width * x for x in (1e-9, 1e-3, 0.1, 1.0, 10.0)]
    return [e + sign * s for e, sign in ((own.low, -1.0), (own.high, 1.0)) if math.isfinite(e) for s in steps]


def _words(transform: Transform) -> str:
    """Sigmoid then Affine(loc=0.2, scale=0.6)"""
    if isinstance(transform, ComposeTransform):
        return " then ".join(_words(t) for t in transform.parts)
    numbers = {
        k: v for k, v in vars(transform).items() if not k.startswith("_") and np.ndim(v) == 0 and isinstance(v, int | float | np.generic)
    }
    inside = ", ".join(f"{k}={v:g}" for k, v in numbers.items())
    name = type(transform).__name__.removesuffix("Transform")
    if name == "_Inverse":
        return f"inverse of {_words(transform.inv)}"
    return f"{name}({inside})" if inside else name
