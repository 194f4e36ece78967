"""What methods for values below the limit of quantification do to estimates: `python docs/validation/blq_methods.py --hours 1 --replicates 200`.

Simulated: CAR cells in the blood of 20 subjects after one intravenous dose, f = (dose / V) exp(-k t), nine looks in two weeks; k and V vary lognormally,
the residual is lognormal. The same values are cut at three limits, so that about 30, 50 and 70 % of them lie below, and each cut is fitted by
M1 (left out), M3 (the likelihood of being below; what a residual error does by itself), M5 (half the limit) and M6 (half the limit once, the rest left
out); "all" is the fit to the values before they were cut. Predictions and laws of the rows are the library's own. Estimates are maximum
likelihood, without priors: the random effects are integrated by adaptive Gauss-Hermite quadrature, 7 x 7 nodes at each subject's mode (Pinheiro &
Bates 1995), intervals are log estimate +- 1.645 se from the observed information. Values, limit and method are arguments of one compiled
program over many replicates. A line a replicate, method and quantity is appended to the file named by --work, so an interrupted run continues;
the table goes to blq_methods.csv.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
from jax.scipy.optimize import minimize

from pkpd import (
    Component,
    Dose,
    FitProblem,
    Observable,
    Param,
    Population,
    Solver,
    State,
    compose,
    limits_by,
    lognormal,
    lognormal_error,
    loss,
    read_cohort,
    total,
)
from pkpd.noise import ObservedRows

HERE = Path(__file__).resolve().parent
SUBJECTS, TIMES, FIRST_SEED = 20, (2.0, 12.0, 24.0, 48.0, 72.0, 120.0, 168.0, 240.0, 336.0), 70_000
TRUTH = {"k": 0.02, "V": 5.0, "omega_k": 0.4, "omega_V": 0.4, "sigma_cells": 0.3}
LEVELS = {30: 0.30, 50: 0.50, 70: 0.70}
METHODS = ("M1", "M3", "M5", "M6")
BATCH, NODES, SLOPE = 10, 7, 1e-2  # replicates in one call; nodes a random effect; slope of -log likelihood at an estimate
ASSUMED = "assumption: made up for this study"

blood = Component(
    "blood",
    states=State("blood", "1e9 cells", "CAR cells in the blood"),
    params=(Param("k", 0.02, "1/h", "loss from the blood", source=ASSUMED), Param("V", 5.0, "L", "volume of distribution", source=ASSUMED)),
    rates=lambda t, y, p, s: total(loss("blood", p.k * y.blood)),
    doses=Dose("iv", into="blood"),
)
decline = compose("blood_decline", blood, observables=Observable("cells", "1e9 cells/L", lambda y, p, s: y.blood / p.V, "cells in blood"))


def simulated(seed: int) -> np.ndarray:
    """Values [subjects, times] before any limit."""
    rng = np.random.default_rng(seed)
    k, v = (TRUTH[n] * np.exp(TRUTH[f"omega_{n}"] * rng.normal(size=(SUBJECTS, 1))) for n in ("k", "V"))
    return np.exp(-k * np.asarray(TIMES)) / v * np.exp(TRUTH["sigma_cells"] * rng.normal(size=(SUBJECTS, len(TIMES))))


@cache
def limits() -> dict[int, float]:
    """The limit below which so many of all values lie, from 2000 studies."""
    values = np.concatenate([simulated(s).ravel() for s in range(2000)])
    return {level: float(np.quantile(values, part)) for level, part in LEVELS.items()}


def records(values: np.ndarray, limit: float = 0.0) -> pd.DataFrame:
    """NONMEM-style rows of one study; a value below the limit is the limit with CENS 1."""
    rows = []
    for i, own in enumerate(values, 1):
        rows.append({"ID": i, "TIME": 0.0, "EVID": 1, "AMT": 1.0, "CMT": "iv", "DV": np.nan, "MDV": 1, "CENS": 0})
        for t, y in zip(TIMES, own, strict=True):
            rows.append({"ID": i, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DV": max(y, limit), "MDV": 0, "CENS": int(y < limit)})
    return pd.DataFrame(rows)


def fit_problem(table: pd.DataFrame) -> FitProblem:
    """Priors so wide (a factor of 2.7 for one sd) that 20 subjects outweigh them."""
    return FitProblem(
        decline,
        read_cohort(table, model=decline, units={"TIME": "h", "AMT": "1e9 cells", "DV": "1e9 cells/L"}),
        Population(
            k=lognormal(dist.LogNormal(np.log(0.02), 1.0), between=dist.HalfNormal(1.0)),
            V=lognormal(dist.LogNormal(np.log(5.0), 1.0), between=dist.HalfNormal(1.0)),
        ),
        noise={"cells": lognormal_error(dist.HalfNormal(1.0))},
        name="blq",
        simulated=True,
        solver=Solver(method="closed_form", native="off"),
    )


def terms_of(problem: FitProblem) -> Callable[..., Any]:
    """The rows' log-likelihood [subjects, times] under log parameters [5] and standard normal effects [subjects, 2], values and method as arguments."""
    error, n = problem.noise["cells"], len(problem.rows.dv)
    rows = {cens: _rows(n, cens) for cens in (0, 1)}
    half = limits_by(error, "M5")

    def terms(place: Any, eta: Any, dv: Any, below: Any, first: Any, limit: Any, method: Any) -> Any:
        k, v, spread_k, spread_v, sigma = jnp.exp(place)
        f = problem.predictor({"k": k * jnp.exp(spread_k * eta[:, 0]), "V": v * jnp.exp(spread_v * eta[:, 1])})[problem.rows.index]
        term = lambda law, cens, y: law.law(f, [sigma], rows[cens], None).log_prob(y)  # noqa: E731
        at = jnp.full(n, limit)
        replaced = term(half, 1, at)
        unseen = jnp.stack([jnp.zeros(n), term(error, 1, at), replaced, first * replaced])  # in the order of METHODS
        return jnp.where(below, unseen[method], term(error, 0, dv)).reshape(SUBJECTS, -1)

    return terms


def _rows(n: int, cens: int) -> ObservedRows:
    nan = np.full(n, np.nan)
    subject = np.repeat(np.arange(SUBJECTS), len(TIMES))
    names = tuple(str(i + 1) for i in range(SUBJECTS))
    return ObservedRows("cells", np.ones(n), np.full(n, cens), nan, np.tile(TIMES, SUBJECTS), subject, np.arange(n), names, {"lloq": nan})


def cut(values: np.ndarray, level: int, method: str) -> tuple[np.ndarray, ...]:
    """Arguments of the model; level 0 cuts nothing, whatever the method."""
    limit = limits()[level] if level else 1e-12
    low = values < limit
    first = low & ~np.pad(low, ((0, 0), (1, 0)))[:, :-1]
    which = METHODS.index(method) if level else 0
    return np.where(low, limit, values).ravel(), low.ravel(), first.ravel().astype(float), np.asarray(limit), np.asarray(which)


def marginal(terms: Callable[..., Any]) -> Callable[..., Any]:
    """-log likelihood of log parameters [5] with the effects integrated out."""
    x, w = np.polynomial.hermite_e.hermegauss(NODES)
    nodes = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    log_weight = np.log(np.outer(w, w)).ravel() + 0.5 * (nodes**2).sum(1)

    def joint(place: Any, eta: Any, *data: Any) -> Any:
        """log p(rows, effects) of each subject, up to the constant log 2 pi."""
        return terms(place, eta, *data).sum(1) - 0.5 * (eta**2).sum(1)

    def curvature(place: Any, eta: Any, *data: Any) -> tuple[Any, Any]:
        """Slope [subjects, 2] and Hessian [subjects, 2, 2] in each subject's own effects."""
        slope = jax.grad(lambda e: joint(place, e, *data).sum())
        columns = [jax.jvp(slope, (eta,), (jnp.broadcast_to(d, eta.shape),))[1] for d in jnp.eye(2)]
        return slope(eta), jnp.stack(columns, -1)

    def step(eta: Any, place: Any, *data: Any) -> Any:
        """A Newton step, no longer than 1, on a curvature of at least that of the prior."""
        slope, hessian = curvature(place, eta, *data)
        values, vectors = jnp.linalg.eigh(-hessian)
        move = jnp.einsum("sij,sj,skj,sk->si", vectors, 1.0 / jnp.maximum(values, 1.0), vectors, slope)
        return eta + move / jnp.maximum(1.0, jnp.linalg.norm(move, axis=1, keepdims=True))

    def negative(place: Any, *data: Any) -> Any:
        held = jax.lax.stop_gradient(place)  # where the nodes stand does not change the integral
        eta = jax.lax.fori_loop(0, 12, lambda _, e: step(e, held, *data), jnp.zeros((SUBJECTS, 2)))
        lower = jnp.linalg.cholesky(-curvature(held, eta, *data)[1])
        root = jax.lax.stop_gradient(jnp.linalg.inv(lower).swapaxes(-1, -2))
        at = jax.lax.stop_gradient(eta) + jnp.einsum("sij,qj->qsi", root, nodes)
        logs = jax.vmap(lambda e: joint(place, e, *data))(at) + log_weight[:, None]
        size = jnp.log(jnp.abs(jnp.linalg.det(root)))
        return -(jax.scipy.special.logsumexp(logs, 0) + size - np.log(2 * np.pi)).sum()

    return negative


@cache
def program() -> Callable[..., Any]:
    """Maximum likelihood of many lanes, each with its start and data: (start, *data) -> log estimates [lanes, 5], their se, the largest slope [lanes]."""
    negative = marginal(terms_of(fit_problem(records(simulated(FIRST_SEED)))))

    def one(start: Any, *data: Any) -> tuple[Any, Any, Any]:
        target = lambda p: negative(p, *data)  # noqa: E731
        place = minimize(target, start, method="BFGS", options={"maxiter": 60}).x
        variance = jnp.linalg.inv(jax.hessian(target)(place))
        return place, jnp.sqrt(jnp.diag(variance)), jnp.abs(jax.grad(target)(place)).max()

    return jax.jit(jax.vmap(one))


def batch(seeds: Sequence[int], method: str, level: int, start: np.ndarray | None = None) -> pd.DataFrame:
    """A line a replicate and quantity: estimate, 90 % interval, slope left at the estimate; from the truth, or from `start` [replicates, 5]."""
    start = np.tile(list(TRUTH.values()), (len(seeds), 1)) if start is None else start
    data = [cut(simulated(seed), level, method) for seed in seeds]
    place, se, slope = map(np.asarray, program()(jnp.log(start), *(jnp.stack(x) for x in zip(*data, strict=True))))
    lines = [
        (
            seed,
            level,
            method,
            name,
            truth,
            *np.exp(np.minimum(place[i, j] + 1.645 * se[i, j] * np.array([0, -1, 1]), 99.0)),
            slope[i],
            data[i][1].mean(),
        )
        for i, seed in enumerate(seeds)
        for j, (name, truth) in enumerate(TRUTH.items())
    ]
    return pd.DataFrame(lines, columns=["seed", "level", "method", "name", "truth", "estimate", "q5", "q95", "slope", "below"])


def again(table: pd.DataFrame, rounds: int = 3) -> pd.DataFrame:
    """The table with the fits that stopped before an optimum continued, each from near where it stopped (a random step of 10 %)."""
    rng = np.random.default_rng(FIRST_SEED)
    for _ in range(rounds):
        poor = table[~(table["slope"] < SLOPE)]
        for (level, method), own in poor.groupby(["level", "method"], sort=False):
            places = own.pivot(index="seed", columns="name", values="estimate")[list(TRUTH)]
            for i in range(0, len(places), BATCH):
                part = places.iloc[i : i + BATCH]
                full = part.where(part > 1e-3).fillna(TRUTH).iloc[np.arange(BATCH) % len(part)]  # the compiled program takes whole batches
                found = batch(list(full.index), method, level, full.to_numpy() * np.exp(0.1 * rng.normal(size=full.shape)))
                found = found.drop_duplicates(["seed", "name"])
                stale = (table["level"] == level) & (table["method"] == method) & table["seed"].isin(part.index)
                table = pd.concat([table[~stale], found], ignore_index=True)
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """By level, method and quantity: mean relative bias with its Monte Carlo error, the same paired with "all", RMSE, coverage.

    Fits that did not converge are counted and left out.
    """
    poor = ~(table["slope"] < SLOPE)
    stuck = poor.groupby([table["level"], table["method"], table["name"]]).sum()
    table = table[~poor]
    finite = table["q95"] < 100 * table["truth"]  # a spread estimated as none has no interval
    inside = finite & (table["q5"] <= table["truth"]) & (table["truth"] <= table["q95"])
    table = table.assign(error=table["estimate"] / table["truth"] - 1, inside=inside)
    whole = table[table["method"] == "all"].set_index(["seed", "name"])["error"]
    table["more"] = table["error"] - whole.reindex(pd.MultiIndex.from_frame(table[["seed", "name"]])).to_numpy()
    lines = []
    for (level, method, name), x in table.groupby(["level", "method", "name"], sort=False):
        n = len(x)
        lines.append(
            {
                "below": f"{100 * x['below'].mean():.0f} %",
                "method": method,
                "quantity": name,
                "bias %": 100 * x["error"].mean(),
                "bias se": 100 * x["error"].std() / n**0.5,
                "bias beyond all %": 100 * x["more"].mean(),
                "beyond se": 100 * x["more"].std() / n**0.5,
                "RMSE %": 100 * (x["error"] ** 2).mean() ** 0.5,
                "coverage of 90 %": x["inside"].mean(),
                "left out": int(stuck[level, method, name]),
                "replicates": n,
                "level": level,
                "place": list(TRUTH).index(name),
            }
        )
    return pd.DataFrame(lines).sort_values(["level", "place", "method"], kind="stable").drop(columns=["level", "place"]).round(3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--replicates", type=int, default=200)
    options.add_argument("--work", type=Path, default=HERE / "blq_replicates.csv")
    args = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    done = set(pd.read_csv(args.work)[["seed", "level", "method"]].itertuples(index=False, name=None)) if args.work.exists() else set()
    cases = [(0, "all"), *((level, method) for method in ("M3", "M5", "M1", "M6") for level in LEVELS)]
    end = time.time() + 3600 * args.hours
    for first in range(FIRST_SEED, FIRST_SEED + args.replicates, BATCH):
        for level, method in cases:
            if (first, level, method) in done or time.time() > end:
                continue
            started, seeds = time.time(), range(first, first + BATCH)
            batch(seeds, method, level).round(6).to_csv(args.work, mode="a", header=not args.work.exists(), index=False)
            sys.stderr.write(
                f"replicates {first - FIRST_SEED} to {first - FIRST_SEED + BATCH - 1}, {method} {level} %: {time.time() - started:.0f} s\n"
            )
    table = again(pd.read_csv(args.work))
    table.round(6).to_csv(args.work, index=False)
    summary(table).to_csv(HERE / "blq_methods.csv", index=False)


if __name__ == "__main__":
    main()
