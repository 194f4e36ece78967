"""Global sensitivities: the share of a measure's variance that each parameter makes, alone and with all others (Sobol indices)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpyro.distributions import Distribution
from scipy.stats import qmc

from pkpd.errors import FitError

BOOTSTRAPS, BITS = 1000, 30


def sobol_indices(
    measure: Callable[[Mapping[str, Any]], Any],
    laws: Mapping[str, Any],
    *,
    n: int = 1024,
    key: Any,
    level: float = 0.9,
    bootstraps: int = BOOTSTRAPS,
) -> pd.DataFrame:
    """First-order and total Sobol indices of independent parameters, with bootstrap intervals; the largest total first.

    S_i = V(E(y given x_i)) / V(y) and T_i = E(V(y given all but x_i)) / V(y), from two samples A and B of `n` sets and AB_i, which is A with column i of B:
    S_i = mean f(B) (f(AB_i) - f(A)) / V (Saltelli), T_i = mean (f(A) - f(AB_i))^2 / 2V (Jansen). The measure is taken n (k + 2) times for k parameters.

    `measure` takes {name: [K]} and gives [K] (`exposure_of` makes one); `laws` maps parameters to (low, high) of a uniform law or to a numpyro
    distribution with quantiles; n is a power of two (a Sobol sequence under a random digital shift by `key`). Parameters that go together (a posterior)
    are not independent: their indices are those of the margins. Columns: parameter, first, first_low, first_high, total, total_low, total_high; `attrs`
    has mean, variance and evaluations. Raises `FitError`. Source: Saltelli et al. 2010, Comput Phys Commun 181:259; Jansen 1999, Comput Phys Commun
    117:35.

    >>> found = sobol_indices(lambda p: 2 * p["a"] + p["b"], {"a": (0, 1), "b": (0, 1)}, n=1024, key=jax.random.key(1))
    >>> found[["parameter", "first", "total"]].round(2)
      parameter  first  total
    0         a    0.8    0.8
    1         b    0.2    0.2
    """
    names = list(laws)
    _check(names, n)
    k = len(names)
    shift, again = jax.random.split(key)
    u = _shifted(2 * k, n, shift)
    a, b = (_values(laws, u[:, i * k : (i + 1) * k]) for i in (0, 1))
    mixed = [{**a, name: b[name]} for name in names]
    joined = {name: np.concatenate([part[name] for part in (a, b, *mixed)]) for name in names}
    found = np.asarray(measure(joined), float)
    if found.shape != ((k + 2) * n,) or not np.isfinite(found).all():
        raise FitError(
            f"The measure of {(k + 2) * n} sets of parameters has shape {found.shape} or values that are no numbers; it gives one number a set."
        )
    f = found.reshape(k + 2, n)
    if np.ptp(f[:2]) == 0:
        raise FitError("The measure is the same for all sets of parameters, so there is no variance to share.")
    table = _table(names, f, jax.random.split(again, bootstraps), level)
    table.attrs = {"mean": float(f[:2].mean()), "variance": float(f[:2].var()), "evaluations": (k + 2) * n, "level": level}
    return table


def _check(names: list[str], n: int) -> None:
    if not names:
        raise FitError("sobol_indices needs a law for each parameter that varies, as in {'CL': (2.0, 4.0)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 64 or n & (n - 1):
        raise FitError(f"n={n!r}: a power of two, at least 64.")


def _shifted(dimensions: int, n: int, key: Any) -> np.ndarray:
    """[n, dimensions] in (0, 1): the first points of the Sobol sequence, the digits of each dimension turned by a random number of its own."""
    points = (qmc.Sobol(dimensions, scramble=False, bits=BITS).random(n) * 2**BITS).astype(np.int64)
    turn = np.asarray(jax.random.randint(key, (dimensions,), 0, 2**BITS), np.int64)
    return ((points ^ turn) + 0.5) / 2**BITS


def _values(laws: Mapping[str, Any], u: np.ndarray) -> dict[str, np.ndarray]:
    return {name: _quantile(name, law, u[:, i]) for i, (name, law) in enumerate(laws.items())}


def _quantile(name: str, law: Any, u: np.ndarray) -> np.ndarray:
    if isinstance(law, Distribution):
        try:
            return np.asarray(law.icdf(u), float)
        except NotImplementedError:
            raise FitError(f"The law of '{name}', {type(law).__name__}, has no quantiles; give (low, high), or a law that has.") from None
    if not (isinstance(law, tuple | list) and len(law) == 2 and law[0] < law[1]):
        raise FitError(f"The law of '{name}' is {law!r}; accepted are (low, high) of a uniform law, or a numpyro distribution.")
    return float(law[0]) + u * (float(law[1]) - float(law[0]))


def _indices(f: np.ndarray) -> np.ndarray:
    """[first and total, parameters] of f [k + 2, n]."""
    variance, middle = f[:2].var(), f[:2].mean()  # the middle taken off: a product of large numbers would hide small indices
    first = ((f[1] - middle) * (f[2:] - f[0])).mean(-1) / variance
    return np.stack([first, ((f[0] - f[2:]) ** 2).mean(-1) / (2 * variance)])


def _table(names: list[str], f: np.ndarray, keys: Any, level: float) -> pd.DataFrame:
    n = f.shape[1]
    again = np.stack([_indices(f[:, np.asarray(jax.random.randint(k, (n,), 0, n))]) for k in keys])
    tail = (1 - level) / 2
    low, high = np.quantile(again, [tail, 1 - tail], axis=0)
    first, total = _indices(f)
    columns = {"parameter": names, "first": first, "first_low": low[0], "first_high": high[0]}
    columns |= {"total": total, "total_low": low[1], "total_high": high[1]}
    return pd.DataFrame(columns).sort_values("total", ascending=False, ignore_index=True)
