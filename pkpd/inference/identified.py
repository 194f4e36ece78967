"""What the data do not see: directions among typical values along which the posterior is as wide as the prior.

With D the prior sds of the typical values (ln of positive ones, whose priors are independent) and Q their posterior covariance, C = D^-1 Q D^-1 is the
identity where data say nothing. The posterior is sqrt(lambda) as wide as the prior along the eigenvector of lambda: lambda = 0.81 means that
the data carry less than a quarter of the information that the prior does (1 / lambda - 1 = 0.23).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg
import xarray as xr

WIDE = 0.9
"""Posterior sd over prior sd from which a direction counts as not seen. A direction whose true ratio is 0.8 is called by mistake with probability 7e-4 at an
effective sample size of 400 (standard error of ln sd ratio: sqrt(1/800 + 1/4000))."""
NOISE = 4.0
"""Posterior correlations below this many standard errors of none count as none: the largest of many sample eigenvalues is large by chance.
Of the 78 pairs of 13 unrelated parameters one is that large in 0.5 % of fits."""
CARRIED, MINOR = 0.2, 0.1
"""Least share of a parameter's posterior variance that a direction explains for the parameter to be named in it; and, where the direction is no product
of powers, least square of its step in prior sds, as a share of the largest."""
WHOLE, LARGEST, NARROW = 0.1, 3, 0.5
"""How far from whole numbers a direction may be, and the largest of them, to be read as a product of powers; and how narrow in prior sds each product
that the data are said to see must be."""
SUMMED = 0.01
"""How much of the moves of its members a sum of like quantities may move by, to be read as one that stays the same."""


@dataclass(frozen=True)
class Direction:
    """A move among parameters that the data do not see, and posterior/prior sd along it.

    `steps` are those of ln of each of `names`, of the value itself where `logs` is false. `leaves` says what they leave the same: "products" of powers,
    where they are whole numbers, a "sum" that the data see, a "part" of such a sum, or "either", a sum or a product of equal values, which no derivative tells
    apart.
    """

    names: tuple[str, ...]
    steps: tuple[float, ...]
    ratio: float
    logs: tuple[bool, ...]
    leaves: str = "products"

    @property
    def single(self) -> bool:
        """Whether one parameter alone is meant."""
        return len(self.names) == 1

    @property
    def seen(self) -> str:
        """The products that the data do see, where the steps are whole numbers, or the sum; else empty.

        >>> Direction(("V", "F"), (1.0, -1.0), 0.97, (True, True)).seen, Direction(("F", "CL", "V"), (1.0, 1.0, 1.0), 0.97, (True,) * 3).seen
        ('V·F', 'CL/F and V/F')
        """
        if self.leaves != "products":
            return " + ".join(self.names) if self.leaves == "sum" else ""
        if self.single or not all(self.logs) or any(x != round(x) for x in self.steps):
            return ""
        first, *rest = (round(x) for x in self.steps)
        return " and ".join(_product(self.names[0], -k, n, first) for n, k in zip(self.names[1:], rest, strict=True))

    @property
    def brief(self) -> str:
        """In few words, for a headline."""
        if self.single:
            return f"{self.names[0]}: prior only, {self.ratio:.2f}"
        return f"{listed(self.names)} not apart, {self.ratio:.2f}"

    @property
    def sentence(self) -> str:
        """What the data see, what they do not, and how wide the posterior is there.

        >>> Direction(("V", "F"), (1.0, -1.0), 0.97, (True, True)).sentence
        'The data see V·F, not V and F apart: along ln V - ln F the posterior is 0.97 as wide as the prior.'
        """
        wide = f"the posterior is {self.ratio:.2f} as wide as the prior"
        if self.single:
            return f"The data do not see {self.names[0]}: {wide}."
        if self.seen:
            return f"The data see {self.seen}, not {listed(self.names)} apart: along {_along(self)} {wide}."
        same = f", which leaves {' + '.join(self.names)} as it is" if self.leaves == "part" else ""
        return f"The data do not see {_along(self)}{same}: along it {wide}."

    @property
    def alone(self) -> str:
        """The move and how wide the posterior is along it, whether that is much or little.

        >>> Direction(("V", "F"), (1.0, -1.0), 0.6, (True, True)).alone
        'along ln V - ln F the posterior is 0.60 as wide as the prior'
        """
        return f"along {_along(self)} the posterior is {self.ratio:.2f} as wide as the prior"


def cures(found: Sequence[Direction]) -> tuple[str, ...]:
    """What to do about directions not seen, in a sentence for all single parameters and one for each other.

    >>> cures([Direction(("k_act",), (1.0,), 0.98, (True,))])
    ('k_act is what its prior says: fix it, give its prior a source, or measure something that depends on it.',)
    """
    alone = [d.names[0] for d in found if d.single]
    told = []
    if len(alone) == 1:
        told = [f"{alone[0]} is what its prior says: fix it, give its prior a source, or measure something that depends on it."]
    elif alone:
        told = [
            f"{listed(alone)} are what their priors say: fix them, give their priors a source, or measure something that depends on them."
        ]
    return (*told, *(_apart(d) for d in found if not d.single))


def _apart(found: Direction) -> str:
    instead = f", or sample {found.seen} instead" if found.seen else ""
    return f"Fix one of {listed(found.names)}, give one a prior with a source{instead}: what they are apart is what the priors say."


@dataclass(frozen=True, eq=False)
class Quantities:
    """Where parameters stand and in which units: what tells a sum of them from a product."""

    values: np.ndarray
    units: Sequence[str]


def directions(
    names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray, noise: float = 0.0, at: Quantities | None = None
) -> list[Direction]:
    """Directions not seen, from prior sds `width` [D] and `scaled` [D, D], the posterior covariance in units of them; correlations below `noise` are none.

    Single parameters first, and the widest first. Several directions are told in a basis where each has a parameter of its own (pivoted QR of the
    eigenvectors), so that what is one parameter is told as one. Where `at` says where the parameters stand, what leaves a sum of like quantities the same is
    told as a sum and not as a product of powers.

    >>> [d.names for d in directions(["a", "b"], [True, True], np.ones(2), np.diag([0.95, 0.2]))]
    [('a',)]
    """
    clean = _without_noise(np.asarray(scaled, float), noise)
    values, vectors = np.linalg.eigh(clean)
    unseen = vectors[:, values > WIDE**2]
    if not unseen.shape[1]:
        return []
    _, _, order = scipy.linalg.qr(unseen.T, pivoting=True)
    basis = unseen @ np.linalg.inv(unseen[order[: unseen.shape[1]]])
    found = [_direction(names, logs, np.asarray(width), clean, b / np.linalg.norm(b), at, unseen) for b in basis.T]
    return sorted((d for d in found if d.ratio >= WIDE), key=lambda d: (not d.single, -d.ratio))


def weakest(names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray, at: Quantities | None = None) -> Direction:
    """The direction along which the posterior is widest in prior sds, seen or not; arguments as of `directions`.

    >>> weakest(["a", "b"], [True, True], np.ones(2), np.diag([0.5, 0.2])).names
    ('a',)
    """
    clean = np.asarray(scaled, float)
    least = np.linalg.eigh(clean)[1][:, -1]
    return _direction(names, logs, np.asarray(width), clean, least, at, least[:, None])


def unseen(prior: Mapping[str, np.ndarray], posterior: Mapping[str, np.ndarray], ess: float = 400.0) -> list[Direction]:
    """Directions among the parameters of `posterior` (name -> draws) along which it is at least 0.9 as wide as `prior`; `ess` effective draws.

    Positive parameters are read as ln. A parameter whose prior has no spread is left out.

    >>> rng = np.random.default_rng(0)
    >>> prior = {"V": np.exp(rng.normal(size=4000)), "F": np.exp(rng.normal(size=4000))}
    >>> product, own = 0.05 * rng.normal(size=4000), np.sqrt(0.5) * rng.normal(size=4000)
    >>> found = unseen(prior, {"V": np.exp(product + own), "F": np.exp(product - own)}, ess=4000)
    >>> [(d.names, d.seen) for d in found]
    [(('V', 'F'), 'V·F')]
    """
    names = [n for n in posterior if n in prior and np.ptp(prior[n]) > 0]
    if not names:
        return []
    logs = [bool((prior[n] > 0).all() and (posterior[n] > 0).all()) for n in names]
    before, after = ([np.log(x[n]) if log else np.asarray(x[n]) for n, log in zip(names, logs, strict=True)] for x in (prior, posterior))
    width = np.array([x.std() for x in before])
    covariance = np.atleast_2d(np.cov(np.stack(after)))
    return directions(names, logs, width, covariance / np.outer(width, width), NOISE / np.sqrt(max(ess, 1.0)))


def unseen_in(posterior: xr.Dataset, prior: xr.Dataset, names: Sequence[str], summary: pd.DataFrame) -> list[Direction]:
    """`unseen` for the typical values `names` of a fit, with the smallest bulk effective sample size among them."""
    kept = [n for n in names if n in posterior and n in prior]
    sizes = summary.loc[summary["name"].isin(kept), "ess_bulk"].to_numpy(float)
    draws = ({n: data[n].to_numpy().ravel() for n in kept} for data in (prior, posterior))
    return unseen(*draws, ess=float(np.nanmin(sizes)) if np.isfinite(sizes).any() else 1.0)


def _without_noise(scaled: np.ndarray, noise: float) -> np.ndarray:
    """`scaled` with correlations below `noise` set to none."""
    sds = np.sqrt(np.diag(scaled))
    correlation = scaled / np.outer(sds, sds)
    kept = np.where(np.abs(correlation) < noise, 0.0, correlation)
    np.fill_diagonal(kept, 1.0)
    return kept * np.outer(sds, sds)


def _direction(
    names: Sequence[str],
    logs: Sequence[bool],
    width: np.ndarray,
    scaled: np.ndarray,
    b: np.ndarray,
    at: Quantities | None,
    unseen: np.ndarray,
) -> Direction:
    """The move b (unit, in prior sds), without the parameters that owe less than a fifth of their posterior variance to it."""
    variance = float(b @ scaled @ b)
    largest = b**2 == (b**2).max()
    kept = np.flatnonzero((variance * b**2 / np.diag(scaled) >= CARRIED) | largest)
    several = len(kept) > 1 and all(logs[i] for i in kept.tolist())
    leaves = _leaves(width, scaled, b, kept, at, unseen) if several and at is not None else "products"
    whole = whole_steps(width[kept] * b[kept]) if several and leaves == "products" else None
    if leaves != "products":
        step = width[kept] * b[kept]
        steps = step / (np.sign(step[0]) * np.abs(step).min())
    elif whole is None or not _narrow(np.array(whole), width[kept], scaled[np.ix_(kept, kept)]):
        kept = kept[b[kept] ** 2 >= MINOR * (b**2).max()]
        step = width[kept] * b[kept]
        steps = step / (np.sign(step[0]) * np.abs(step).min())
    else:
        steps = np.sign(whole[0]) * np.array(whole, float)
    ratio = float(np.sqrt(variance if len(kept) > 1 else scaled[kept[0], kept[0]]))
    told = tuple(names[i] for i in kept.tolist()), tuple(steps.tolist()), ratio, tuple(bool(logs[i]) for i in kept.tolist())
    return Direction(*told, leaves)


def _leaves(width: np.ndarray, scaled: np.ndarray, b: np.ndarray, kept: np.ndarray, at: Quantities, unseen: np.ndarray) -> str:
    """What the move b leaves the same of parameters that are read as ln: d(sum) is the sum of value times step. A sum is seen where no move that is not seen
    changes it."""
    values, units = np.asarray(at.values, float)[kept], {at.units[i] for i in kept.tolist()}
    moved = values * width[kept] * b[kept]
    if len(units) > 1 or abs(moved.sum()) > SUMMED * np.abs(moved).sum():
        return "products"
    if equal(values):
        return "either"
    load, own = values * width[kept], scaled[np.ix_(kept, kept)]
    narrow = load @ own @ load <= NARROW**2 * (load @ load)
    return "sum" if narrow and np.linalg.norm(load @ unseen[kept]) <= WHOLE * np.linalg.norm(load) else "part"


def equal(values: np.ndarray) -> bool:
    """Whether values are so alike that the steps of a sum of them are those of a product without powers."""
    return bool(np.ptp(values) < WHOLE * np.abs(values).max())


def _narrow(whole: np.ndarray, width: np.ndarray, scaled: np.ndarray) -> bool:
    """Whether each product that the move leaves alone (first by each other) is at most half as wide as its prior."""
    for i in range(1, len(whole)):
        product = np.zeros(len(whole))
        product[0], product[i] = -whole[i], whole[0]
        product *= width
        if product @ scaled @ product > NARROW**2 * (product @ product):
            return False
    return True


def whole_steps(steps: np.ndarray) -> list[int] | None:
    """The smallest whole numbers up to 3 that the steps are multiples of, nearly; None where there are none."""
    for largest in range(1, LARGEST + 1):
        scaled = steps * largest / np.abs(steps).max()
        near = np.round(scaled)
        if (np.abs(scaled - near) < WHOLE).all() and (near != 0).all():
            return [int(k) for k in near]
    return None


def _product(name: str, power: int, other: str, other_power: int) -> str:
    """name^power other^other_power with the second power positive, a product in this order and a ratio over what has the negative one.

    >>> _product("V", 1, "F", 1), _product("F", -1, "CL", 1), _product("V", -1, "F", -2)
    ('V·F', 'CL/F', 'V·F^2')
    """
    sign = 1 if other_power > 0 else -1
    first, second = sign * power, sign * other_power
    told = lambda n, k: n if k == 1 else f"{n}^{k}"  # noqa: E731
    return f"{told(name, first)}·{told(other, second)}" if first > 0 else f"{told(other, second)}/{told(name, -first)}"


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _along(found: Direction) -> str:
    told = []
    for i, (name, step, log) in enumerate(zip(found.names, found.steps, found.logs, strict=True)):
        size = abs(step)
        times = "" if f"{size:.2g}" == "1" else f"{size:.2g} "
        sign = ("-" if step < 0 else "") if i == 0 else (" - " if step < 0 else " + ")
        told.append(f"{sign}{times}{f'ln {name}' if log else name}")
    return "".join(told)
