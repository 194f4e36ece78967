"""Reading a fit's tree: attributes, pooled draws and the names inside, so that nothing else needs to know the layout."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pkpd.errors import FitError

SPREADS = ("omega_", "sigma_")
INNER = ("raw_", "local_")  # what a coefficient under a horseshoe is made of: one number a draw, and no parameter


def tree_of(fit: Any) -> Any:
    """The `xarray.DataTree` of a fit, or the tree itself when that is what was given.

    >>> tree_of("a tree")
    'a tree'
    """
    return getattr(fit, "tree", fit)


def attribute(fit: Any, name: str, default: Any = None) -> Any:
    """A root attribute of the tree, decoded from JSON where it is JSON text; `default` when absent."""
    value = tree_of(fit).attrs.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def report_facts(fit: Any) -> dict[str, Any]:
    """The root attribute `report` as a dictionary (title, simulated, assumptions, solver, fixed, failures, ...)."""
    facts = attribute(fit, "report", {})
    return facts if isinstance(facts, dict) else {}


def observation(fit: Any, observable: str) -> dict[str, Any]:
    """What the fit stored of one observable's observation (kind, endpoint, equation, priors, rows); empty for a fit made before it was stored."""
    found = report_facts(fit).get("observations", {}).get(observable, {})
    return found if isinstance(found, dict) else {}


def is_simulated(fit: Any) -> bool:
    """Whether the data behind this fit were simulated, which every figure and report must then say."""
    return bool(report_facts(fit).get("simulated", False))


def is_converged(fit: Any) -> bool:
    """What the stored verdict says; a tree without a verdict has not been shown to have converged, so False."""
    verdict = attribute(fit, "verdict", {})
    return bool(verdict.get("converged", False)) if isinstance(verdict, dict) else False


def absent(fit: Any, *paths: str) -> tuple[str, ...]:
    """Those of the `group/variable` paths (or bare groups) that the tree does not hold."""
    tree = tree_of(fit)
    return tuple(path for path in paths if not _holds(tree, path))


def _holds(tree: Any, path: str) -> bool:
    group, _, name = path.partition("/")
    if group not in tree.children:
        return False
    return not name or name in tree[group].data_vars


def need(fit: Any, *paths: str) -> Any:
    """The tree, after checking that it holds every `group/variable` named.

    Raises `FitError` naming what is absent.
    """
    missing = absent(fit, *paths)
    if missing:
        held = ", ".join(tree_of(fit).children) or "no groups"
        raise FitError(f"This fit's tree has no {', '.join(missing)}; it holds {held}. Fit again, or load the whole fit.nc.")
    return tree_of(fit)


def pooled(fit: Any, group: str, name: str, *dims: str) -> np.ndarray:
    """Draws of one variable with all chains in a row: `[chain * draw, *dims]`, the dims in the order asked for.

    Raises `FitError` when the group or the variable is absent.
    """
    array = need(fit, f"{group}/{name}")[group][name].transpose("chain", "draw", *dims)
    values = np.asarray(array.values, dtype=float)
    return values.reshape(-1, *values.shape[2:])


def population_names(fit: Any) -> tuple[str, ...]:
    """Names of the population parameters: posterior variables with one number a draw, in the order stored; no sampler's own ones."""
    posterior = need(fit, "posterior")["posterior"]
    return tuple(str(name) for name, array in posterior.data_vars.items() if _told(str(name), array))


def _told(name: str, array: Any) -> bool:
    return set(array.dims) == {"chain", "draw"} and not name.startswith(INNER)


def eta_names(fit: Any) -> tuple[str, ...]:
    """Parameters that vary between subjects: every `eta_<param>` with a subject dimension, without the prefix."""
    posterior = need(fit, "posterior")["posterior"]
    named = ((str(name), array) for name, array in posterior.data_vars.items())
    return tuple(name.removeprefix("eta_") for name, array in named if name.startswith("eta_") and "subject" in array.dims)
