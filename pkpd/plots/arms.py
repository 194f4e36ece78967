"""What the figures of a what-if share: colours by arm, and the words that no reader may miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkpd.errors import FitError, choices
from pkpd.plots import marks, style


def arm_colors(arms: Any) -> dict[str, str]:
    """One colour an arm, the same in every figure of these runs."""
    return {str(arm): style.CYCLE[i % len(style.CYCLE)] for i, arm in enumerate(arms)}


def badge_runs(figure: Any, attrs: Mapping[str, Any]) -> None:
    """Not converged, simulated data, prior, extrapolation: in the upper right corner."""
    failed = not attrs.get("converged", 1)
    words = ["NOT CONVERGED: not to be used"] * failed + ["prior, nothing fitted"] * (attrs.get("source") == "prior")
    words += ["simulated data"] * bool(attrs.get("simulated")) + ["extrapolation"] * bool(attrs.get("extrapolation"))
    marks.badge(figure, words, style.ROSE if failed else style.WINE)


def profiles(runs: Any, dims: tuple[str, ...] = ("arm", "draw", "subject", "time")) -> list[str]:
    """The observables of runs. Raises `FitError` for anything that `what_if` does not give."""
    absent = [dim for dim in dims if dim not in getattr(runs, "dims", ())]
    if absent:
        raise FitError(f"What-if results have dimensions {', '.join(dims)}; these lack {', '.join(absent)}. Use what_if(fit, arms, ...).")
    return [str(name) for name, array in runs.data_vars.items() if set(array.dims) == set(dims)]


def chosen(runs: Any, observable: str | None) -> str:
    """One observable of runs, by name or because there is one only."""
    known = profiles(runs)
    if observable is None and len(known) == 1:
        return known[0]
    if observable not in known:
        word = "say which observable" if observable is None else f"these what-if results have no '{observable}'"
        raise FitError(f"{word[0].upper()}{word[1:]}. {choices(observable or '', known)}")
    return observable
