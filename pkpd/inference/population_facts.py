"""What a report says of how parameters vary, where that is more than normal random effects on a named scale."""

from __future__ import annotations

from pkpd.inference.problem import FitProblem


def population_facts(problem: FitProblem) -> list[str]:
    """One sentence for each parameter that varies on a scale of its own or across levels, or has etas of Student's t."""
    found = []
    for name, spec in problem.population.parameters.items():
        if spec.own is not None:
            found.append(
                f"{name} varies on its own scale: T(T^-1({name}) + effects + random effects), T = {spec.own.words}, values {spec.own.told}."
            )
        if spec.level is not None:
            count = len(problem.levels[f"levels:{spec.level}"])
            found.append(f"{name} varies across {spec.level} ({count} levels); population predictions are those of the typical level.")
        if spec.df is not None:
            df = f"{spec.df:g}" if isinstance(spec.df, (int, float)) else f"df_{name}"
            found.append(f"The etas of {name} follow Student's t with {df} degrees of freedom; omega_{name} is its scale, not its sd.")
    return found
