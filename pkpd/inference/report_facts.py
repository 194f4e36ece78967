"""What a report prints besides numbers: priors in words, what was fixed, what was assumed, what was chosen."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from pkpd.inference.approximated import Approximation
from pkpd.inference.centring import in_words, stored
from pkpd.inference.effect_facts import coefficient_words, effect_facts
from pkpd.inference.failed import Failed
from pkpd.inference.geometry import Geometry
from pkpd.inference.missing_covariates import lacking
from pkpd.inference.observation_facts import observation_facts
from pkpd.inference.population_facts import population_facts
from pkpd.inference.problem import KERNELS, FitProblem
from pkpd.inference.sample import Draws
from pkpd.model import describe
from pkpd.population.defaults import DEFAULT
from pkpd.population.missing import named


def report_facts(
    problem: FitProblem, geometry: Geometry, draws: Draws, events: list[str], failed: Failed, approximation: Approximation | None = None
) -> dict[str, Any]:
    """What the report prints besides numbers: priors, fixed parameters, choices that were made."""
    chosen = problem.predictor.chosen
    return {
        "title": problem.title or problem.name,
        "simulated": problem.simulated,
        "parameters": _sampled(problem),
        "fixed": _fixed(problem),
        "effects": effect_facts(problem),
        "diagram": describe(problem.model).diagram,
        "noise": {o: e.kind for o, e in problem.noise.items()},
        "noise_equations": {o: e.equation for o, e in problem.noise.items()},
        "observations": observation_facts(problem),
        "truth": dict(problem.truth),
        "equations": problem.model.text,
        "solver": {"name": chosen.name, "reason": chosen.reason},
        "centring": stored(geometry.weights),
        "failures": {**_failures(draws, approximation), "failed solves by subject": failed.told},
        "assumptions": [
            *problem.assumptions,
            *population_facts(problem),
            *problem.cohort.notes,
            *missing_facts(problem),
            *events,
            f"Solver: {chosen.name} ({chosen.reason}).",
            *(_sampling(geometry, draws) if approximation is None else approximation.sentences),
            "Intervals are equal-tailed 90 % intervals.",
        ],
    }


def _sampling(geometry: Geometry, draws: Draws) -> list[str]:
    centring, steps = in_words(geometry.weights), ", ".join(f"{x:.2g}" for x in draws.step_size)
    return [
        f"Centring weights chosen from the data (1 centred, 0 non-centred): {centring or 'no parameter varies between subjects'}.",
        f"{KERNELS[draws.kernel]} step sizes after warm-up: {steps}; metric: Fisher information at {geometry.place}, refined in warm-up.",
    ]


def _failures(draws: Draws, approximation: Approximation | None) -> dict[str, int]:
    if approximation is not None:
        return {"draws without a finite density": approximation.failed}
    count = lambda name: int(draws.stats[name].sum())  # noqa: E731
    return {
        "warm-up divergences": draws.warmup_divergences,
        "sampling divergences": count("diverging"),
        "of these, where there is no density (as where equations cannot be solved)": count("failed_solve"),
    }


def _sampled(problem: FitProblem) -> list[dict[str, Any]]:
    """Unit, prior, meaning and source of every sampled population site."""
    stated = {n: v.source for n, v in problem.population.parameters.items()}
    stated |= {f"omega_{n}": text for n, text in stated.items() if text.startswith(DEFAULT)}
    known, effects = {p.name: p for p in problem.model.params}, coefficient_words(problem)
    rows = []
    for site in problem.population_sites:
        meaning, source = (
            (known[site].meaning, known[site].source)
            if site in known
            else (effects.get(site) or _meaning(site, stated), "prior stated in the fit file")
        )
        told = {"name": site, "unit": problem.site_unit(site), "prior": problem.prior_text(site)}
        rows.append({**told, "meaning": meaning, "source": stated.get(site) or source})
    return rows


def _meaning(site: str, parameters: Container[str]) -> str:
    kind, _, rest = site.partition("_")
    words = {"omega": "between-subject sd of", "sigma": "residual sd of", "beta": "covariate effect on", "corr": "correlation of"}
    words |= {"gamma": "between-occasion sd of", "shape": "Box-Cox shape of eta of"}
    words |= {"shrink": "global shrinkage tau of", "slab": "slab variance c^2 of"}
    if rest in parameters:
        words |= {"tau": "between-level sd of", "df": "degrees of freedom of eta of"}
    return f"{words.get(kind, '')} {rest.removeprefix('add_')}".strip()


def _fixed(problem: FitProblem) -> list[dict[str, Any]]:
    """Parameters that are not estimated: held at a value, or tied to another one."""
    specs, rows = problem.population.parameters, []
    for p in problem.model.params:
        spec = specs.get(p.name)
        if spec is not None and spec.prior is not None:
            continue
        tied = spec is not None and spec.tied_to is not None
        value = f"{spec.times:g} x {spec.tied_to}" if tied else spec.value if spec is not None and spec.value is not None else p.value
        rows.append({"name": p.name, "value": value, "unit": p.unit, "source": (spec.source if spec is not None else "") or p.source})
    return rows


def missing_facts(problem: FitProblem) -> Iterator[str]:
    """One sentence for each covariate that has a prior."""
    total = len(problem.cohort.subjects)
    for name in problem.population.missing:
        who, prior = lacking(problem.cohort, name), problem.prior_text(f"missing_{name}")
        if who:
            yield f"{name} is missing in {len(who)} of {total} subjects ({named(who)}) and a parameter of each, with the prior {prior}."
        else:
            yield f"{name} is missing in no subject: its prior was not used."
