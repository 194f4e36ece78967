"""Centring weights: what a parameter's `centred` asks for, from the information of each subject's rows on its own parameter; told and stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

DEFAULT = "mean"


def chosen(asked: Any, own: Any, omega: Any) -> Any:
    """Weights [N] in two digits: as asked, or w_i = I_i / (I_i + 1/omega^2) from the information `own` [N] ("by_subject"), or its mean over them.

    >>> chosen("by_subject", np.array([4.0, 12.0]), 0.5).tolist(), chosen(None, np.array([4.0, 12.0]), 0.5).tolist(), chosen(True, np.ones(2), 1.0).tolist()
    ([0.5, 0.75], [0.62, 0.62], [1.0, 1.0])
    """
    n = len(own)
    how = DEFAULT if asked is None else asked
    if not isinstance(how, str):
        return jnp.broadcast_to(jnp.asarray(how, float), (n,))
    info = np.asarray(own) * float(omega) ** 2
    w = info / (1.0 + info)
    return jnp.asarray(np.round(w if how == "by_subject" else np.full(n, w.mean()), 2))


def stored(weights: Mapping[str, Any]) -> dict[str, float | list[float]]:
    """As JSON takes them: one number where all subjects have the same.

    >>> stored({"CL": np.array([0.5, 0.5]), "V": np.array([0.5, 0.75])})
    {'CL': 0.5, 'V': [0.5, 0.75]}
    """
    each = {n: np.atleast_1d(np.asarray(w, float)) for n, w in weights.items()}
    return {n: float(w[0]) if np.ptp(w) == 0 else w.tolist() for n, w in each.items()}


def in_words(weights: Mapping[str, Any]) -> str:
    """The weight of each parameter; where subjects differ, their median and range.

    >>> in_words({"CL": np.array([0.5, 0.5]), "V": np.array([0.5, 0.75, 0.9])})
    'CL 0.50, V 0.75 (0.50 to 0.90)'
    """
    each = {n: np.atleast_1d(np.asarray(w, float)) for n, w in weights.items()}
    span = {n: f" ({w.min():.2f} to {w.max():.2f})" if np.ptp(w) > 0 else "" for n, w in each.items()}
    return ", ".join(f"{n} {np.median(w):.2f}{span[n]}" for n, w in each.items())
