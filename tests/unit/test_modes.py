"""Chains in separate places, planted."""

import numpy as np
import xarray as xr

from pkpd.inference.modes import separate_modes
from pkpd.inference.verdict import judge, summarise
from tests.unit.test_verdict import stats


def draws(*at: tuple[float, float]) -> xr.Dataset:
    """ka and ke of each chain, lognormal with sd 0.1; V the same everywhere."""
    rng = np.random.default_rng(0)
    noise = lambda: np.exp(0.1 * rng.normal(size=(len(at), 1000)))  # noqa: E731
    ka, ke = (np.array([x[i] for x in at])[:, None] * noise() for i in (0, 1))
    return xr.Dataset({n: (("chain", "draw"), v) for n, v in {"ka": ka, "ke": ke, "V": 10.0 * noise()}.items()})


def test_a_flip_flop_pair_is_told_as_two_modes():
    told = separate_modes(draws((1.0, 0.1), (0.1, 1.0), (1.0, 0.1), (0.1, 1.0)), ["ka", "ke", "V"])
    assert told.startswith("Chains 2 and 4 and chains 1 and 3 sit in separate places: ka near 0.1 and ")
    assert "ke near 1 and 0.1" in told
    assert "V" not in told


def test_overlapping_chains_are_not():
    """Means a whole sd apart: slow mixing."""
    assert separate_modes(draws((1.0, 0.1), (1.1, 0.1), (1.0, 0.1), (1.1, 0.1)), ["ka", "ke", "V"]) == ""


def test_the_verdict_says_it_instead_of_asking_for_more_draws():
    data = draws((1.0, 0.1), (0.1, 1.0), (1.0, 0.1), (0.1, 1.0))
    told = separate_modes(data, ["ka", "ke"])
    found = judge(summarise(data, ["ka", "ke"]), stats(0), modes=told)
    assert found.headline.startswith("NOT CONVERGED: R-hat above 1.01 for ")
    assert found.next_steps[0] == (
        f"{told} More draws will not join them: say which is meant by a prior or an order of the parameters (for a flip-flop pair, ka > CL / V)."
    )
