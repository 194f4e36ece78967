"""What a report says of each observable: its observation in words, its priors, and how its rows count."""

from __future__ import annotations

from typing import Any

from numpyro.distributions import Distribution

from pkpd.inference.problem import FitProblem
from pkpd.noise import endpoint_of


def observation_facts(problem: FitProblem) -> dict[str, dict[str, Any]]:
    """For each observable: kind, endpoint, equation, priors (in words, or the number held fixed), limit (of detection, or None) and rows
    (sentences)."""
    found = {}
    for o, observation in problem.observations.items():
        found[o] = {
            "kind": observation.kind,
            "endpoint": endpoint_of(observation),
            "equation": observation.equation,
            "priors": [_prior(problem, o, prefix, prior) for prefix, prior in observation.priors if not prefix.startswith("raw_")],
            "limit": getattr(observation, "lod", None),
            "rows": observation.told(problem.observed_rows[o]),
        }
    return found


def _prior(problem: FitProblem, observable: str, prefix: str, prior: Any) -> str:
    site = f"{prefix}_{observable}"
    if isinstance(prior, Distribution):
        return f"{site} ({problem.site_unit(site)}): {problem.prior_text(site)}"
    return f"{site} = {float(prior):g} {problem.site_unit(site)}, held fixed".replace(" 1, held", ", held")
