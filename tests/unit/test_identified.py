"""What the data do not see, on draws whose prior and likelihood are planted; the posterior of a linear model is exact."""

import numpy as np
import pytest

from pkpd.inference.combinations import combinations
from pkpd.inference.identified import WIDE, Direction, Quantities, cures, directions, unseen

N = 1000


def planted(widths: dict[str, float], seen: list[tuple[list[float], float]], rng, n: int = N):
    """Draws of prior and posterior of ln parameters: normal priors, and data that tell each `(combination, sd)`."""
    information = np.diag([1 / w**2 for w in widths.values()])
    for a, sd in seen:
        information += np.outer(a, a) / sd**2
    x = rng.multivariate_normal(np.zeros(len(widths)), np.linalg.inv(information), n)
    prior = {k: np.exp(w * rng.normal(size=2000)) for k, w in widths.items()}
    return prior, {k: np.exp(x[:, i]) for i, k in enumerate(widths)}


@pytest.mark.parametrize("widths", [(1.0, 1.0), (1.0, 0.3), (0.5, 1.5)])
def test_a_product_is_named_whatever_the_prior_widths(widths):
    """Each alone contracts (0.71, 0.71 or 0.29, 0.96); the direction that leaves the product alone does not."""
    prior, posterior = planted({"V": widths[0], "F": widths[1], "k": 1.0}, [([1, 1, 0], 0.05), ([0, 0, 1], 0.1)], np.random.default_rng(1))
    (found,) = unseen(prior, posterior, ess=N)
    assert (found.names, found.seen) == (("V", "F"), "V·F")
    assert abs(found.ratio - 1) < 0.08  # three standard errors of an sd from 1000 draws, and of the prior's from 2000
    assert found.sentence.startswith("The data see V·F, not V and F apart: along ln V - ln F the posterior is ")


def test_a_dose_scale_is_named_by_its_ratios():
    prior, posterior = planted({"F": 1.0, "CL": 1.0, "V": 1.0}, [([1, -1, 0], 0.05), ([0, 1, -1], 0.05)], np.random.default_rng(2))
    (found,) = unseen(prior, posterior, ess=N)
    assert found.seen == "CL/F and V/F"


def test_single_parameters_are_told_singly_and_first():
    """k2 and k3 enter as a product, k_act and h2 not at all."""
    widths = {"k1": 1.0, "k_act": 1.0, "k2": 1.0, "h2": 0.5, "k3": 1.0}
    prior, posterior = planted(widths, [([1, 0, 0, 0, 0], 0.1), ([0, 0, 1, 0, 1], 0.05)], np.random.default_rng(3))
    found = unseen(prior, posterior, ess=N)
    assert [d.names for d in found if d.single] in ([("k_act",), ("h2",)], [("h2",), ("k_act",)])
    assert [d.seen for d in found if not d.single] == ["k2·k3"]
    assert "are what their priors say" in cures(found)[0]


def test_what_is_no_product_is_told_with_its_loadings():
    found = Direction(("k_BH", "k_BP"), (1.0, -2.5), 0.95, (True, True))
    assert found.seen == ""
    assert found.sentence == "The data do not see ln k_BH - 2.5 ln k_BP: along it the posterior is 0.95 as wide as the prior."


def test_informed_parameters_are_not_called():
    """Each ratio is 0.8 and draws are 400: one of 13 is called in 13 x 7e-4 = 0.9 % of fits; 3 of 40 or more has probability 6e-3."""
    rng = np.random.default_rng(4)
    sd = 1 / np.sqrt(1 / 0.8**2 - 1)
    widths = {f"p{i}": 1.0 for i in range(13)}
    seen = [(list(np.eye(13)[i]), sd) for i in range(13)]
    called = [bool(unseen(*planted(widths, seen, rng, 400), ess=400)) for _ in range(40)]
    assert sum(called) <= 2


def test_nothing_informed_is_called_whole():
    """Ratios of 1: 0.9 lies 2.7 standard errors below, so each is missed with probability 4e-3."""
    prior, posterior = planted({f"p{i}": 1.0 for i in range(5)}, [], np.random.default_rng(5))
    found = unseen(prior, posterior, ess=N)
    assert [d.names for d in sorted(found, key=lambda d: d.names)] == [(f"p{i}",) for i in range(5)]
    assert all(d.ratio > WIDE for d in found)


def summed(values, units=("1/h", "1/h"), more=()):
    """Two rates of which the data see the sum (or a combination `more`), prior sds of 1, and a third parameter that is known."""
    v = np.asarray(values, float)
    a = np.concatenate([more if len(more) else v / v.sum(), [0.0]])
    information = np.eye(3) + 1e4 * np.outer(a, a) + 1e4 * np.diag([0.0, 0.0, 1.0])
    at = Quantities(np.array([*v, 1.0]), [*units, "1"])
    among = (("k_BP", "k_Bd", "S"), (True,) * 3, np.ones(3), np.linalg.inv(information))
    return directions(*among, at=at), combinations(*among, at=at), directions(*among)


def test_a_sum_of_rates_is_no_product_of_powers():
    """Steps of 3 and -2 nearly, so that k_BP^2 k_Bd^3 is the same to first order; the sum is what two rates of one unit are."""
    (found,), (together,), (blind,) = summed((0.02, 0.0289))
    assert blind.seen == "k_BP^2·k_Bd^3"
    assert found.seen == "k_BP + k_Bd"
    assert found.sentence.startswith("The data see k_BP + k_Bd, not k_BP and k_Bd apart: along 1.4 ln k_BP - ln k_Bd the posterior is ")
    assert cures([found])[0].startswith("Fix one of k_BP and k_Bd, give one a prior with a source, or sample k_BP + k_Bd instead: ")
    assert together.text == "k_BP + k_Bd"


def test_a_product_of_rates_stays_one():
    (found,), (together,), _ = summed((0.02, 0.0289), more=(1.0, 1.0))
    assert (found.seen, together.text) == ("k_BP·k_Bd", "k_BP·k_Bd")


def test_two_equal_rates_are_called_neither_sum_nor_product():
    (found,), (together,), _ = summed((0.03, 0.03))
    assert found.sentence.startswith("The data do not see ln k_BP - ln k_Bd: along it the posterior is ")
    assert together.text == "ln k_BP + ln k_Bd"


def test_equal_numbers_of_other_units_are_a_product():
    (found,), (together,), _ = summed((0.03, 0.03), units=("L", "1/h"))
    assert (found.seen, together.text) == ("k_BP·k_Bd", "k_BP·k_Bd")


def test_part_of_a_sum_is_told_as_what_stays_the_same():
    """Three rates in a sum leave two directions, of which neither pair's own sum is known."""
    v = np.array([0.02, 0.0289, 0.05])
    scaled = np.linalg.inv(np.eye(3) + 1e4 * np.outer(v, v) / (v @ v))
    found = directions(("a", "b", "c"), (True,) * 3, np.ones(3), scaled, at=Quantities(v, ["1/h"] * 3))
    assert [d.leaves for d in found] == ["part", "part"]
    assert found[0].sentence.startswith("The data do not see ") and ", which leaves " in found[0].sentence and "^" not in found[0].sentence


def test_what_is_hardly_better_known_than_a_member_is_not_told_as_seen_together():
    """The data see p0 with a little of thirty others: without those, whose shares are small, what is left is p0, as wide as p0 alone."""
    e = np.array([1.0, *[0.15] * 30])
    scaled = np.linalg.inv(np.eye(31) + 100 * np.outer(e, e))
    assert combinations([f"p{i}" for i in range(31)], [True] * 31, np.ones(31), scaled) == ()
