"""What one replicate of simulation-based calibration runs, compiled once: every program takes the rows, the coordinates and the key as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer.util import potential_energy

from pkpd.errors import FitError, choices
from pkpd.inference.calibrate_law import replicate_model, study
from pkpd.inference.calibrate_limits import Simulated
from pkpd.inference.centring import chosen
from pkpd.inference.geometry import raw_site
from pkpd.inference.nuts import CHUNK
from pkpd.inference.problem import ACCEPTANCE, FitProblem
from pkpd.inference.sample import KINDS
from pkpd.inference.space import Space
from pkpd.noise import Measurement
from pkpd.noise.limited import Limited

QUANTITIES = ("log_likelihood", "log_posterior")


@dataclass(frozen=True)
class Replicates:
    """How each replicate is sampled: `ranks` thinned draws after `warmup`, from a chain of at most `most`; `seed` is that of the whole calibration.

    `kernel` is "nuts" or "hmc"; `target_accept` None stands for 0.9 and 0.8.
    """

    seed: int = 1
    ranks: int = 99
    warmup: int = 300
    most: int = 2000
    target_accept: float | None = None
    max_tree_depth: int = 8
    kernel: str = "nuts"

    def __post_init__(self) -> None:
        for name, least in (("ranks", 9), ("warmup", CHUNK), ("most", self.ranks)):
            if getattr(self, name) < least:
                raise FitError(f"calibrate({name}={getattr(self, name)}): at least {least} is needed.")

        if self.kernel not in KINDS:
            raise FitError(f"calibrate(kernel={self.kernel!r}) is not known. {choices(str(self.kernel), KINDS)}")

    @property
    def acceptance(self) -> float:
        return self.target_accept if self.target_accept is not None else ACCEPTANCE[self.kernel]

    def as_dict(self) -> dict[str, Any]:
        """As a folder keeps it; without the kernel where it is NUTS, as folders of before."""
        found = asdict(self) | {"target_accept": self.acceptance}
        return {k: v for k, v in found.items() if (k, v) != ("kernel", "nuts")}


class Frame(NamedTuple):
    """The coordinates of one replicate, z = centre + factor u; factor factor' is the inverse information there; centring weights by name."""

    centre: Any
    factor: Any
    weights: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Program:
    """Studies drawn from `problem`, posteriors of `posterior` sampled: the same problem, unless it is tried out whether an error would be found."""

    problem: FitProblem
    posterior: FitProblem
    settings: Replicates = Replicates()

    def __post_init__(self) -> None:
        _ = self._labels  # the coordinates are laid out now: inside a traced function they would hold its tracers

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What is ranked: every population site, then the log-likelihood and the log posterior (Modrak et al. 2023).

        Both are those of `problem`; the posterior's up to a constant, of the sites themselves with random effects non-centred. A wrong prior in the sampler
        shows in it, and so does a wrong Jacobian, which has no part in it.
        """
        return (*self.problem.population_sites, *QUANTITIES)

    @cached_property
    def space(self) -> Space:
        return Space(self.posterior)

    @cached_property
    def _labels(self) -> np.ndarray:
        return np.array(self.space.labels())

    @cached_property
    def _model(self) -> Any:
        return replicate_model(self.posterior)

    @cached_property
    def _simulated(self) -> Any:
        return replicate_model(self.problem)

    def potential(self, z: Any, weights: Mapping[str, Any], data: Simulated) -> Any:
        """-log posterior density of the rows in `data`, in unconstrained coordinates."""
        return potential_energy(self._model, (data, weights), {}, self.space.unconstrained(z))

    @cached_property
    def simulate(self) -> Any:
        """(key, weights) -> (rows, z of the truth). The study of a key is the same for any weights: a weight scales the same standard normals."""

        def made(key: Any, weights: Mapping[str, Any]) -> tuple[Simulated, Any]:
            data, sites = study(self.problem, key, weights)
            return data, self.space.flatten(sites)

        return jax.jit(made)

    @cached_property
    def information(self) -> Any:
        """(z, weights, rows) -> (of the rows, of rows and prior) [D, D], as `find_geometry` takes it at the mode; zeros in place of what is not finite."""

        def found(z: Any, weights: Mapping[str, Any], data: Simulated) -> tuple[Any, Any]:
            law = lambda x: _at(self._model, self.space.constrain(x), weights, data)["dv"]["fn"]  # noqa: E731
            rows = (_normal_information if self.posterior.plain else _score_information)(law, z, data)
            curvature = jax.hessian(self.space.prior)(z, weights)
            values, vectors = jnp.linalg.eigh(0.5 * (curvature + curvature.T))
            return rows, rows + (vectors * jnp.clip(jnp.abs(values), 0.25)) @ vectors.T

        return jax.jit(lambda *x: jax.tree.map(jnp.nan_to_num, found(*x)))

    def _built(self, frame: Frame, data: Simulated) -> Any:
        """The sampler's steps; traced within a larger program, where frame and rows stay arguments."""
        log_density = lambda u: -self.potential(frame.centre + frame.factor @ u, frame.weights, data)  # noqa: E731
        return KINDS[self.settings.kernel].build(log_density, self.settings.acceptance, self.settings.max_tree_depth)

    @cached_property
    def begin(self) -> Any:
        """(key, frame, rows) -> the chain at the frame's centre."""
        return jax.jit(lambda key, frame, data: self._built(frame, data)[0](key, jnp.zeros(frame.centre.shape)))

    @cached_property
    def advance(self) -> Any:
        """(chain, adapt, frame, rows) -> (chain, what was kept of CHUNK draws)."""
        return jax.jit(lambda walk, adapt, frame, data: self._built(frame, data)[1](walk, adapt))

    @cached_property
    def refresh(self) -> Any:
        return jax.jit(KINDS[self.settings.kernel].refresh)

    @cached_property
    def measure(self) -> Any:
        """(u [CHUNK, D], frame, rows) -> the ranked quantities [CHUNK, names]."""

        def one(u: Any, frame: Frame, data: Simulated) -> Any:
            z = frame.centre + frame.factor @ u
            trace = _at(self._simulated, self.space.constrain(z), frame.weights, data)
            sites = [trace[s]["value"] for s in self.problem.population_sites]
            terms = {n: jnp.sum(s["fn"].log_prob(s["value"])) for n, s in trace.items() if s["type"] == "sample"}
            return jnp.stack([*sites, terms["dv"], sum(terms.values()) + self._uncentred(trace, frame.weights)])

        return jax.jit(lambda u, frame, data: jax.lax.map(lambda x: one(x, frame, data), u))

    def _uncentred(self, trace: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
        """What turns the log density of the sampler's random effects into that of standard normals, sum w_i log s_i: the weights were chosen at the
        truth, and what is ranked may depend on a draw and the rows alone."""
        population = self.problem.population
        found = sum((trace[f"raw_{'_'.join(g.names)}"]["fn"].log_scale() for g in population.correlation), jnp.zeros(()))
        grouped = {n for g in population.correlation for n in g.names}
        for name in population.varying:
            if population.parameters[name].shape is None and name not in grouped:  # a bent one is non-centred always
                omega = trace[f"omega_{name}"]["value"] if f"omega_{name}" in trace else float(population.parameters[name].between)
                found = found + jnp.sum(weights[name]) * jnp.log(omega)
        return found

    def weights(self, z: Any, information: Any) -> dict[str, Any]:
        """Centring weights by the rule of a fit at its mode (no pilot), from the rows' information at z in centred coordinates."""
        diagonal, sites = np.diag(np.asarray(information)), self.space.constrain(z)
        found = {}
        for name in self.posterior.population.varying:
            spec, (site, column) = self.posterior.population.parameters[name], raw_site(self.space, name)
            own = diagonal[self._labels == site].reshape(np.shape(sites[site]))[column]
            found[name] = jnp.asarray(chosen(spec.centred, own, sites.get(f"omega_{name}", spec.between)), float)
        return found


def _at(model: Any, values: Mapping[str, Any], weights: Mapping[str, Any], data: Simulated) -> dict:
    """The trace of a model of rows at values of its sampled sites."""
    return handlers.trace(handlers.seed(handlers.substitute(model, data=dict(values)), jax.random.PRNGKey(0))).get_trace(data, weights)


def _normal_information(law: Any, z: Any, data: Simulated) -> Any:
    """J' W J, J the Jacobian of every row's mean and log sd, W the curvature of its likelihood: no second derivative of the solver."""

    def mean_sd(x: Any) -> tuple[Any, Any]:
        fn = law(x).law
        return fn.loc, fn.scale

    fn: Limited = law(z)
    own: Any = fn.law
    j_mean, j_sd = _columns(mean_sd, z)
    at = lambda m: Measurement(m, own.scale, own.logs, own.cens, own.lower)  # noqa: E731
    score = lambda m: Limited(at(m), fn.cens, fn.lower, fn.limited, fn.between).log_prob(data.dv)  # noqa: E731
    slope = lambda m: jax.jvp(score, (m,), (jnp.ones_like(m),))[1]  # noqa: E731
    curvature = jnp.maximum(-jax.jvp(slope, (own.loc,), (jnp.ones_like(own.loc),))[1], 0.0)
    j_log_sd = j_sd / own.scale
    return (j_mean * curvature) @ j_mean.T + (j_log_sd * jnp.where(data.cens == 0, 2.0, 0.0)) @ j_log_sd.T


def _score_information(law: Any, z: Any, data: Simulated) -> Any:
    """The scores' outer product where laws are not all normal, as in a fit: its expectation is the Fisher information too."""
    scores = _columns(lambda x: law(x).log_prob(data.dv), z)
    return scores @ scores.T


def _columns(function: Any, z: Any) -> Any:
    """Derivatives in every coordinate [D, rows] by forward mode, a few after another to bound memory."""
    basis = jnp.eye(len(z) + -len(z) % 8, len(z))  # whole batches: a remainder would be compiled a second time
    found = jax.lax.map(lambda v: jax.jvp(function, (z,), (v,))[1], basis, batch_size=8)
    return jax.tree.map(lambda x: x[: len(z)], found)
