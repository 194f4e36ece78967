"""The expected Fisher information of a study design over a population model, by linearisation in the random effects.

    y_i ~ N(m, V),  V = G Omega G' + R,   I[s, t] = dm'/ds V^-1 dm/dt + tr(V^-1 dV/ds V^-1 dV/dt) / 2,   summed over subjects

with G the derivatives in the random effects. "FO" linearises at eta = 0. "FOCE" takes the linear mixed model dm = (df/d theta) d theta + G d eta at random
effects drawn from the population, and averages. The block form (`full=False`) leaves dV / d(fixed effects) out, which agrees better with simulated
standard errors. Source: Retout & Mentre 2003, J Biopharm Stat 13:209; Nyberg et al. 2015, Br J Clin Pharmacol 79:6; Lindstrom & Bates 1990, Biometrics
46:673 (the linear mixed model).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.inference.published import sobol_normals
from pkpd.simulate.sampling_slopes import SamplingGroup, Slopes, estimated, slopes_of

METHODS = ("FO", "FOCE")
ETAS = 64


@dataclass(frozen=True, eq=False)
class Approximation:
    """How the information is approximated: "FO" or "FOCE", block or full, and over how many draws of the population."""

    method: str = "FO"
    full: bool = False
    draws: int = 1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise FitError(f"There is no method '{self.method}' of expected information. {choices(self.method, METHODS)}")
        if self.full and self.method != "FO":
            raise FitError("The full matrix is that of method='FO'; leave full=True out, or take method='FO'.")


@dataclass(frozen=True, eq=False)
class ExpectedInformation:
    """Of the values `names` on their own scale: `matrices` [D, P, P], one for each draw of the population, and `values` [D, P]."""

    names: tuple[str, ...]
    matrices: np.ndarray
    values: np.ndarray

    @property
    def matrix(self) -> pd.DataFrame:
        """The mean over draws."""
        return pd.DataFrame(self.matrices.mean(0), index=list(self.names), columns=list(self.names))

    @property
    def covariance(self) -> np.ndarray:
        """Inverses [D, P, P]; infinite where the design tells nothing of a direction."""
        return np.stack([_inverse(m) for m in self.matrices])

    @property
    def table(self) -> pd.DataFrame:
        """name, value, se, rse (%): roots of the mean expected variance over draws."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2).mean(0)
        value, se = self.values.mean(0), np.sqrt(variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            return pd.DataFrame({"value": value, "se": se, "rse": 100 * se / np.abs(value)}, index=pd.Index(self.names, name="name"))

    def se_of(self, quantity: str | Callable[[Mapping[str, Any]], Any]) -> float:
        """Expected standard error of a value by name, or of a function of them (by the delta method)."""
        slope = self.slopes(quantity)
        return float(np.sqrt(np.einsum("dp,dpq,dq->d", slope, _finite(self.covariance), slope).mean()))

    def slopes(self, quantity: str | Callable[[Mapping[str, Any]], Any]) -> np.ndarray:
        """Derivatives [D, P] of a quantity in the values."""
        if callable(quantity):
            ask: Any = quantity
            one = jax.grad(lambda p: jnp.asarray(ask({n: p[i] for i, n in enumerate(self.names)}), float))
            return np.stack([np.asarray(one(jnp.asarray(v))) for v in self.values])
        if quantity not in self.names:
            raise FitError(f"'{quantity}' is no value of this population. {choices(quantity, self.names)}")
        return np.tile(np.eye(len(self.names))[self.names.index(quantity)], (len(self.values), 1))


def _finite(covariance: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(covariance), covariance, 1e150)


def _inverse(m: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.maximum(np.diagonal(m), 0.0))
    scale = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(m / np.outer(scale, scale))
    if values[0] <= 1e-13 * max(values[-1], 1e-300):
        return np.full_like(m, np.inf)
    return (vectors / values) @ vectors.T / np.outer(scale, scale)


def expected_information(
    prior: PatientPrior, groups: Sequence[SamplingGroup], *, method: str = "FO", full: bool = False, draws: int = 1
) -> ExpectedInformation:
    """The expected Fisher information of a design about the values of a population: standard errors before there are data.

    `prior` is a population with values (`patient_prior`): what has a prior is estimated, what is held as a number is known. `method` "FO" or "FOCE", `full`
    for the full matrix instead of blocks, `draws` of the population where the prior carries them (1: its central values). Returns an
    `ExpectedInformation`. Raises `FitError` for groups that do not fit the prior, and for `full` with "FOCE".
    Source: Nyberg et al. 2015, Br J Clin Pharmacol 79:6.

    >>> expected_information(prior, [sampling_group(32, bolus((70, "mg")), {"cp": [1, 24]}, model=model)]).table   # doctest: +SKIP
    """
    how = Approximation(method, full, draws)
    pieces = [Piece.of(prior, g, how) for g in groups]
    if not pieces:
        raise FitError("A design has at least one group, as in [sampling_group(32, bolus((70, 'mg')), {'cp': [1, 6, 24]}, model=model)].")
    total: Any = sum(p.information(np.arange(p.slopes.sd.shape[0])) for p in pieces)
    return ExpectedInformation(estimated(prior), total, pieces[0].values)


@dataclass(frozen=True, eq=False)
class Piece:
    """A group's slopes at its samples, and the matrices that its information is made of; samples can be picked."""

    subjects: float
    slopes: Slopes
    omega: np.ndarray
    d_omega: np.ndarray
    eta: np.ndarray
    values: np.ndarray
    fixed: np.ndarray
    how: Approximation

    @classmethod
    def of(cls, prior: PatientPrior, group: SamplingGroup, how: Approximation) -> Piece:
        """At the draws that `how` asks for; with FOCE each has `ETAS` random effects, side by side in the lanes."""
        names = estimated(prior)
        values = _values(prior, how.draws)
        d, k = len(values), len(prior.effects)
        count = ETAS if how.method == "FOCE" else 1
        omega, d_omega = _omegas(prior, names, values)
        eta = np.zeros((d, count, k))
        if count > 1:
            eta = np.einsum("dij,cj->dci", np.linalg.cholesky(omega), sobol_normals(k, count, 1))
        lanes = {n: np.repeat(values[:, i], count) for i, n in enumerate(names)}
        slopes = slopes_of(prior, group, lanes, eta.reshape(-1, k), how.full)
        fixed = np.array([not n.startswith(("omega_", "corr_")) and n not in _sigmas(prior) for n in names])
        return cls(group.subjects, slopes, omega, d_omega, eta, values, fixed, how)

    def information(self, picks: np.ndarray) -> np.ndarray:
        """[..., D, P, P] of all subjects for samples picked by index [..., n]."""
        d, count, _ = self.eta.shape
        s: list[Any] = [None if x is None else np.moveaxis(x, -1, 0).reshape(d, count, *x.shape[:-1]) for x in self.slopes]
        sd, d_mean, d_sd, effect = s[0][..., picks], s[1][..., picks], s[2][..., picks], s[3][..., picks]
        lead = picks.ndim - 1  # [d, c, (P), ..., n] -> [..., d, c, (P), n]
        front = lambda x, own: np.moveaxis(x, range(own, own + lead), range(lead))  # noqa: E731
        sd, d_mean, d_sd, effect = front(sd, 2), front(d_mean, 3), front(d_sd, 3), front(effect, 3)
        bend = None if s[4] is None else front(s[4][..., picks], 4)
        return self.subjects * _assembled(sd, d_mean, d_sd, effect, bend, self).mean(-3)


def _assembled(sd: Any, d_mean: Any, d_sd: Any, effect: Any, bend: Any, piece: Piece) -> np.ndarray:
    """[..., D, C, P, P] of one subject."""
    omega, d_omega = piece.omega[:, None], piece.d_omega[:, None]
    variance = np.einsum("...kn,...kj,...jm->...nm", effect, omega, effect) + sd[..., None] ** 2 * np.eye(sd.shape[-1])
    moved = np.einsum("...kn,...pkj,...jm->...pnm", effect, d_omega, effect)
    moved = moved + 2.0 * (sd[..., None, :] * d_sd)[..., None] * np.eye(sd.shape[-1]) * np.where(piece.fixed, 0.0, 1.0)[:, None, None]
    if piece.how.full:
        cross = np.einsum("...pkn,...kj,...jm->...pnm", bend, omega, effect)
        spread = 2.0 * (sd[..., None, :] * d_sd)[..., None] * np.eye(sd.shape[-1])
        moved = moved + (cross + np.swapaxes(cross, -1, -2) + spread) * np.where(piece.fixed, 1.0, 0.0)[:, None, None]
    factor = np.linalg.cholesky(variance)
    root = np.linalg.solve(factor, np.swapaxes(d_mean, -1, -2))
    white = np.linalg.solve(factor[..., None, :, :], moved)
    white = np.swapaxes(np.linalg.solve(factor[..., None, :, :], np.swapaxes(white, -1, -2)), -1, -2)
    return np.einsum("...np,...nq->...pq", root, root) + 0.5 * np.einsum("...pnm,...qnm->...pq", white, white)


def _sigmas(prior: PatientPrior) -> set[str]:
    return {s for o in prior.observed for s in prior.noise[o].sites(o)}


def _values(prior: PatientPrior, draws: int) -> np.ndarray:
    """[D, P]: the central values, or draws evenly spaced among the prior's."""
    names = estimated(prior)
    total = len(next(iter(prior.draws.values())))
    if draws <= 1:
        return np.array([[prior.values[n] for n in names]])
    if total < 2:
        raise FitError(f"draws={draws}: this prior holds one value of each; take patient_prior(fit), or uncertain_prior(prior, cv=0.2).")
    index = np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    return np.stack([np.asarray(prior.draws[n])[index] for n in names], -1)


def _omegas(prior: PatientPrior, names: tuple[str, ...], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Omega [D, K, K] and its derivatives [D, P, K, K]."""
    varying, specs = prior.population.varying, prior.population.parameters

    def omega(p: Any) -> Any:
        told = {n: p[i] for i, n in enumerate(names)}
        sd = jnp.stack([jnp.asarray(told.get(f"omega_{n}", specs[n].between), float) for n in varying])
        corr = jnp.eye(len(varying))
        for group in prior.population.correlation:
            for i, a in enumerate(group.names):
                for b in group.names[i + 1 :]:
                    at, other = varying.index(a), varying.index(b)
                    corr = corr.at[at, other].set(told[f"corr_{a}_{b}"]).at[other, at].set(told[f"corr_{a}_{b}"])
        return sd[:, None] * corr * sd

    slope = jax.vmap(jax.jacfwd(omega))(jnp.asarray(values))
    return np.asarray(jax.vmap(omega)(jnp.asarray(values))), np.moveaxis(np.asarray(slope), -1, 1)
