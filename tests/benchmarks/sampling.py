"""Effective draws a CPU second: four chains of 1000 draws after 1000 of warm-up beside Stan's NUTS and a plain numpyro model, on the same posteriors.

The number is the least bulk ESS of the population parameters over the CPU seconds of start, warm-up and sampling; compilation is left out on all sides
and printed. All on one core, chains one after another. Stan samples with its defaults (diagonal metric, target acceptance 0.8); each side's steps a draw
and divergences stand in the notes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import xarray as xr
from numpyro.infer import MCMC, NUTS, init_to_median

from pkpd import FitProblem, Sampler
from pkpd.inference.assemble import population_summary
from pkpd.inference.geometry import find_geometry
from pkpd.inference.pilot import parts, run_pilot
from pkpd.inference.sample import Kernel, run_nuts
from pkpd.inference.space import Space
from pkpd.inference.verdict import summarise
from tests.benchmarks import stan_build, theophylline
from tests.benchmarks.stan import METHODS, TOLERANCE, stan_data_of_theophylline
from tests.benchmarks.stan_build import Unavailable
from tests.benchmarks.table import Row, row, skipped

CHAINS, WARMUP, DRAWS = 4, 1000, 1000


class Cost(NamedTuple):
    """Least bulk ESS and largest R-hat of the population parameters, CPU seconds, what stands beside them, and the means and sds."""

    ess: float
    rhat: float
    seconds: float
    note: str
    means: dict[str, float]
    sds: dict[str, float]

    @property
    def rate(self) -> float:
        return self.ess / self.seconds


def cost(summary: Any, seconds: float, note: str) -> Cost:
    table = summary.set_index("name")
    worst = table["ess_bulk"].min()
    told = f"ESS {worst:.0f} in {seconds:.2f} s, R-hat {table['rhat'].max():.3f}, {note}"
    return Cost(float(worst), float(table["rhat"].max()), seconds, told, dict(table["mean"]), dict(table["sd"]))


def quiet(_: str) -> None:
    """No report."""


def ours(problem: FitProblem, kernel: str = "nuts", seed: int = 1) -> Cost:
    """Start, metric, pilot and chains as `sample` makes them, NUTS at the problem's target acceptance, HMC at 0.8; a first run compiles everything."""
    target = problem.sampler.target_accept if kernel == "nuts" else 0.8
    settings = Sampler(chains=CHAINS, warmup=WARMUP, draws=DRAWS, target_accept=target, kernel=kernel)
    space = Space(problem)
    walker = Kernel(space, settings)
    pilot, rest = parts(problem, settings)

    def run(pilot: Sampler | None, rest: Sampler, seed: int) -> tuple[Any, Any]:
        geometry = find_geometry(space, quiet)
        if pilot is not None:
            geometry = run_pilot(walker, geometry, pilot, seed, False, None, quiet)
        return geometry, run_nuts(walker, geometry, rest, seed, False)

    began = time.process_time()
    run(pilot, rest, seed + 100)
    first = time.process_time() - began
    began = time.process_time()
    geometry, draws = run(pilot, rest, seed)
    seconds = time.process_time() - began
    note = f"{draws.stats['n_steps'].mean():.1f} steps a draw, {int(draws.stats['diverging'].sum())} diverged, compiled in {first - seconds:.0f} s"
    return cost(population_summary(space, geometry, draws), seconds, note)


def medians(problem: FitProblem, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Where peers begin, and we too: prior medians, every subject typical. From their own default, uniform(-2, 2), chains of theophylline end in the other
    mode (ka and CL / V exchanged): R-hat 1.7 for both peers."""
    space = Space(problem)
    return {n: np.asarray(v).tolist() for n, v in space.constrain(space.start(weights)).items()}


def stans(made: Any, data: Mapping[str, Any], start: Mapping[str, Any], names: Sequence[str], delta: float, chains: int = CHAINS) -> Cost:
    found = stan_build.sampled(made, data, start, names, warmup=WARMUP, draws=DRAWS, delta=delta, seed=1, chains=chains)
    draws = xr.Dataset({n: (("chain", "draw"), v) for n, v in found.draws.items()})
    return cost(summarise(draws, names), found.seconds, f"{found.steps.mean():.1f} steps a draw at target {delta:g}")


def naive(problem: FitProblem) -> Cost:
    """Theophylline as a new user of numpyro writes it: non-centred, NUTS with its defaults, one chain after another; the exact curve, not even an ODE."""
    table = problem.cohort.observations.reset_index(drop=True)
    subject, hours, seen = (jnp.asarray(table[c].to_numpy()) for c in ("subject", "time", "dv"))
    amount = jnp.asarray(problem.cohort.doses.set_index("subject")["amount"].sort_index().to_numpy())
    names = {"CL": (1.0, 1.0), "V": (3.5, 1.0), "ka": (0.4, 1.0)}
    held = (hours >= 0).astype(float)

    def model() -> None:
        each = {}
        for name, prior in names.items():
            typical = numpyro.sample(name, dist.LogNormal(*prior))
            spread = numpyro.sample(f"omega_{name}", dist.HalfNormal(1.0))
            with numpyro.plate(f"subjects_{name}", problem.cohort.n_subjects):
                each[name] = typical * jnp.exp(spread * numpyro.sample(f"eta_{name}", dist.Normal()))
        sigma = numpyro.sample("sigma_cp", dist.HalfNormal(2.0))
        k, ke, given = each["ka"], each["CL"] / each["V"], amount / each["V"]
        mean = (given * k / (k - ke))[subject] * (jnp.exp(-ke[subject] * hours) - jnp.exp(-k[subject] * hours)) * held
        numpyro.sample("cp", dist.Normal(mean, sigma), obs=seen)

    mcmc = MCMC(
        NUTS(model, init_strategy=init_to_median),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    spent = []
    for seed in (2, 1):  # the first compiles
        began = time.process_time()
        mcmc.run(jax.random.PRNGKey(seed), extra_fields=("num_steps", "diverging"))
        jax.block_until_ready(mcmc.get_samples())
        spent.append(time.process_time() - began)
    samples, fields = mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields()
    keys = (*names, *(f"omega_{n}" for n in names), "sigma_cp")
    draws = xr.Dataset({n: (("chain", "draw"), np.asarray(samples[n])) for n in keys})
    note = f"{np.mean(fields['num_steps']):.1f} steps a draw, {int(np.sum(fields['diverging']))} diverged"
    return cost(summarise(draws, keys), spent[-1], note)


def compared(work: str, peer: str, mine: Cost, theirs: Cost, target: float | None) -> Row:
    """CPU milliseconds of an effective draw; the posteriors must be the same: means within five Monte Carlo errors."""
    apart = max(abs(mine.means[n] - theirs.means[n]) / mine.sds[n] / np.sqrt(1 / mine.ess + 1 / theirs.ess) for n in mine.means)
    notes = f"ours {mine.note}; {peer} {theirs.note}; means differ by {apart:.1f} Monte Carlo errors at most"
    return row(work, peer, 1 / mine.rate, 1 / theirs.rate, "ms CPU an effective draw", target, notes)


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    problem, centred, _ = theophylline.given()
    mine = {kernel: ours(problem, kernel) for kernel in ("nuts", "hmc")}
    for kernel, found in mine.items():
        say(f"theophylline, ours by {kernel}: {found.note}; {found.rate:.0f} effective draws a second")
    plain = naive(problem)
    for kernel, found in mine.items():
        yield compared(f"theophylline, 4 x (1000 + 1000), {kernel}", "numpyro, written by hand", found, plain, 30.0)
    try:
        say("Stan's compiler and headers")
        program = stan_build.program("theophylline", "sample")
    except Unavailable as reason:
        yield skipped("Stan", f"{reason}.")
        return
    data = stan_data_of_theophylline(problem) | {"tolerance": TOLERANCE}
    names = list(mine["nuts"].means)
    for method, target in (("closed form", 10.0), ("closed form row by row", None)):
        theirs = stans(program, data | {"method": METHODS[method]}, medians(problem, centred), names, 0.8)
        for kernel, found in mine.items():
            yield compared(f"theophylline, 4 x (1000 + 1000), {kernel}", f"Stan, {method}", found, theirs, target)
