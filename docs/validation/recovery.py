"""Every model of the library fitted to data it simulated: `python docs/validation/recovery.py [MODEL ...]`.

Two subjects: the model's example, and a fifth of its amounts (HER2 2+, PEMBRO 1 where the model reads them); 24 looks at every observable. A look is
measured with an sd of 5 % of its value and 0.5 % of the observable's largest. Every parameter (of ln, of the logit where it is a share) has a normal
prior around its typical value with sd 0.3, the truth is drawn from that prior, and the posterior mode and its curvature are found by Gauss-Newton from
the typical values. A parameter that is 0 is held. Twice the log ratio of the posterior's density at the mode to that at the truth is about chi-square with a
degree a parameter if all is right, whether data or prior speak, and however parameters bend: `p` below 0.001 is no recovery. `told` lists what the data
narrow to less than half of its prior, `prior_only` what they leave at 0.9 of it or more: not identified by this design. One line a model is appended to
recovery.csv; models that stand there are not run again.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import chi2

from pkpd import PkpdError, Solver, available_models, load_model
from pkpd.simulate.grid import design

OUT = Path(__file__).resolve().with_suffix(".csv")
LOOKS, PRIOR, STEP = 24, 0.3, 1e-4
PROPORTIONAL, FLOOR = 0.05, 0.005
UNTUNED = {"xla_backend_optimization_level": 0}  # each model is run a few times only
SOLVERS = (Solver(method="tsit5_batched", rtol=1e-9, atol=1e-11, max_steps=2**12), Solver(native="off", rtol=1e-9, atol=1e-11))
SECOND = {"HER2": 2.0, "PEMBRO": 1.0}


class Copies:
    """Observables of both subjects under many parameter values at once, [copies, values]; `x` holds ln or logit of the free parameters."""

    def __init__(self, model, solver: Solver):
        self.free = [p for p in model.params if p.value != 0]
        self.typical = np.array([np.log(p.value / (1 - p.value)) if p.support == "unit" else np.log(abs(p.value)) for p in self.free])
        self.n = 2 * len(self.free) + 1
        chosen = model.example
        times = chosen.hours * np.linspace(0.0, 1.0, LOOKS + 1)[1:] ** 2
        arms = [(chosen.regimen, chosen.covariates), (chosen.regimen.scaled(0.2) if chosen.regimen.doses else chosen.regimen, SECOND)]
        self.runs = [self._run(model, regimen, times, covariates, solver) for regimen, covariates in arms]

    def _run(self, model, regimen, times, covariates, solver):
        table = pd.DataFrame({q.name: [covariates.get(q.name, q.reference)] * self.n for q in model.covariates}, index=range(self.n))
        bound = design(model, regimen, times, table, "recovery", solver=solver).predictor
        _ = bound.chosen  # picked with plain numbers
        return jax.jit(lambda theta: bound.observables(theta)[0], compiler_options=UNTUNED)

    def theta(self, x: np.ndarray) -> dict[str, jnp.ndarray]:
        value = lambda p, v: 1 / (1 + np.exp(-v)) if p.support == "unit" else np.sign(p.value) * np.exp(v)  # noqa: E731
        return {p.name: jnp.asarray(value(p, x[:, i])) for i, p in enumerate(self.free)}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[copies, subjects, looks, observables]"""
        found = [np.moveaxis(np.asarray(run(self.theta(x))), -1, 0) for run in self.runs]
        return np.stack(found, 1)

    def with_slopes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values [m] at x and their slopes [m, P] by central differences, whose error is of the order STEP^2 = 1e-8."""
        shifts = STEP * np.concatenate([np.zeros((1, len(x))), np.eye(len(x)), -np.eye(len(x))])
        values = self(x + shifts).reshape(self.n, -1)
        return values[0], ((values[1 : len(x) + 1] - values[len(x) + 1 :]) / (2 * STEP)).T


def misfit(copies: Copies, residual: np.ndarray, sd: np.ndarray, x: np.ndarray) -> float:
    """-2 log posterior density at x, up to a constant."""
    return float(np.sum((residual / sd) ** 2) + np.sum(((x - copies.typical) / PRIOR) ** 2))


def mode(copies: Copies, y: np.ndarray, sd: np.ndarray, steps: int = 40) -> tuple[np.ndarray, np.ndarray, bool]:
    """Posterior mode, covariance there, and whether Gauss-Newton with halved steps has settled."""
    score = lambda v, x: misfit(copies, y - v, sd, x)  # noqa: E731
    x = copies.typical.copy()
    v, slopes = copies.with_slopes(x)
    for _ in range(steps):
        j = slopes / sd[:, None]
        information = j.T @ j + np.eye(len(x)) / PRIOR**2
        move = np.linalg.solve(information, j.T @ ((y - v) / sd) - (x - copies.typical) / PRIOR**2)
        if move @ information @ move < 1e-4:  # the mode is nearer than a hundredth of a posterior sd
            return x, np.linalg.inv(information), True
        for part in 0.5 ** np.arange(12):
            near_v, near_slopes = copies.with_slopes(x + part * move)
            if np.isfinite(near_slopes).all() and score(near_v, x + part * move) < score(v, x):
                break
        else:
            return x, np.linalg.inv(information), False
        x, v, slopes = x + part * move, near_v, near_slopes
    return x, np.linalg.inv(information), False


def recovered(name: str, seed: int = 1) -> dict:
    """One line of the table."""
    began, model = time.process_time(), load_model(name)
    key, noise = jax.random.split(jax.random.PRNGKey(seed))
    for solver in SOLVERS:
        copies = Copies(model, solver)
        truth = copies.typical + PRIOR * np.asarray(jax.random.normal(key, copies.typical.shape))
        exact = copies(np.tile(truth, (copies.n, 1)))[0]
        if np.isfinite(exact).all():
            break
    sd = (PROPORTIONAL * np.abs(exact) + FLOOR * np.abs(exact).max(axis=(0, 1), keepdims=True)).ravel()
    sd = np.where(sd > 0, sd, 1.0)  # an observable that is 0 throughout tells nothing
    errors = sd * np.asarray(jax.random.normal(noise, sd.shape))
    x, covariance, settled = mode(copies, exact.ravel() + errors, sd)
    left = exact.ravel() + errors - copies(np.tile(x, (copies.n, 1)))[0].ravel()
    ratio = np.sqrt(np.diag(covariance)) / PRIOR
    directions = np.linalg.eigvalsh(covariance) / PRIOR**2
    names = np.array([p.name for p in copies.free])
    p = chi2.sf(misfit(copies, errors, sd, truth) - misfit(copies, left, sd, x), len(x)) if settled else np.nan
    return {
        "model": name,
        "parameters": len(x),
        "directions_told": int((directions < 0.25).sum()),
        "p": float(f"{p:.3g}"),
        "settled": settled,
        "told": " ".join(names[ratio < 0.5]),
        "prior_only": " ".join(names[ratio >= 0.9]),
        "cpu_seconds": round(time.process_time() - began),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", help="names; all of the library where none is given")
    asked = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    done = set(pd.read_csv(OUT)["model"]) if OUT.exists() else set()
    for name in asked.models or sorted(available_models()):
        if name in done:
            continue
        try:
            line = recovered(name)
        except PkpdError as error:
            sys.stderr.write(f"{name}: {error}\n")
            continue
        pd.DataFrame([line]).to_csv(OUT, mode="a", header=not OUT.exists(), index=False)
        sys.stderr.write(f"{name}: p {line['p']}, {line['directions_told']} of {line['parameters']} directions, {line['cpu_seconds']} s\n")
        jax.clear_caches()


if __name__ == "__main__":
    main()
