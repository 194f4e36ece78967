"""What the data do not see, on draws whose prior and likelihood are planted; the posterior of a linear model is exact."""

import numpy as np
import pytest

from pkpd.inference.identified import WIDE, Direction, cures, unseen

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
