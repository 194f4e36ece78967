"""Scripts that compare endotoxin models: their own equations are the library's, and what they count is counted right."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pkpd.models.carm import endotoxin_cytokines
from tests.courses import course
from tests.scripts import loaded


@pytest.fixture(scope="module")
def forms(root):
    return loaded(root / "docs" / "validation" / "endotoxin_forms.py")


@pytest.fixture
def models(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "docs" / "validation")
    return loaded(root / "docs" / "validation" / "endotoxin_models.py")


def test_chain_18_that_lasts_is_the_library_model(forms):
    """Runge and Kutta's method at 0.02 h and rates below 10/h: an error near (0.2)^5/120 a step."""
    p, panel = endotoxin_cytokines.typical, ("tnf", "il6", "il8", "il10")
    own = {f"{x}{i}": p[f"{x}_{c}"] for i, c in enumerate(panel) for x in ("kout", "gain")} | {
        n: p[n] for n in ("k_A", "tail", "early_il10")
    }
    base = jnp.array([p[f"base_{c}"] for c in panel])
    found = np.asarray(forms.course(forms.FORMS["chain 18, lasts"], own, base, forms.ARMS["2"], 6.0))
    exact = course(endotoxin_cytokines, np.linspace(0.0, 6.0, len(found)), {"A1": 2.0})
    assert p["k_S"] == forms.K_S and max(forms.FORMS["chain 18, lasts"].stages) == 21
    assert found == pytest.approx(np.stack([exact[c] for c in panel], 1), rel=1e-4)


def test_misses_and_densities_are_counted_by_their_definition(models):
    """Two volunteers at 1 and 2 h, a factor of e^0.1 above and e^0.3 below a course of 10, and twice as much at 2 h."""
    rows = pd.DataFrame({"time_h": [0.0, 1.0, 1.0, 2.0, 2.0], "value": 10 * np.exp([5.0, 0.1, -0.3, 0.1, -0.3]) * [1, 1, 1, 2, 2]})
    straight = pd.Series([10.0, 10.0, 20.0], index=[0.0, 1.0, 2.0])
    mean = pd.DataFrame({"time_h": [0.0, 1.0, 2.0], "mean_no_outliers": [1.0, 1.0, 3.0]})
    told = models.against_data(straight, rows[1:], mean)
    assert told["log_miss"] == pytest.approx(0.1) and told["r_squared"] == pytest.approx(1.0)
    assert models.against_data(straight, rows, mean)["log_miss"] == pytest.approx(0.1)  # the look before the dose is no miss
    density = norm(0.0, 0.4).logpdf([0.1, -0.3, 0.1, -0.3]).mean()
    assert models.normal_lpd(told["rms"], 0.4) == pytest.approx(density)
    assert models.peaks({"arm": pd.DataFrame({"tnf": straight})}, "tnf") == {"peak, arm": 20.0, "at, arm": 2.0}
