"""Where divergent draws lie, on draws where it is planted."""

import numpy as np
import xarray as xr

from pkpd.inference.divergent import located


def draws(seed: int):
    rng = np.random.default_rng(seed)
    sites = {"CL": np.exp(rng.normal(size=(4, 500))), "omega_V": np.abs(rng.normal(size=(4, 500)))}
    eta = rng.normal(size=(4, 500, 6))
    data = xr.Dataset({n: (("chain", "draw"), v) for n, v in sites.items()}).assign(eta_V=(("chain", "draw", "subject"), eta))
    return data.assign_coords(subject=[f"P{i}" for i in range(6)]), rng


def flags(where: np.ndarray) -> xr.DataArray:
    return xr.DataArray(where, dims=("chain", "draw"))


def test_the_neck_of_a_funnel_and_the_subject_are_named():
    data, rng = draws(0)
    odd = (data["omega_V"].values < 0.15) & (data["eta_V"].values[..., 3] > 0.5) & (rng.random((4, 500)) < 0.8)
    first, second = located(data, flags(odd), ["CL", "omega_V"])
    assert first.startswith("They concentrate at low omega_V (")
    assert second.startswith("They concentrate at high eta_V of subject P3 (")
    assert "CL" not in first


def test_scattered_divergences_name_nothing():
    """At most 1 % of such runs name anything: of 60, 4 or more would have probability 3e-3."""
    named = 0
    for seed in range(60):
        data, rng = draws(seed + 1)
        told = located(data, flags(rng.random((4, 500)) < 0.02), ["CL", "omega_V"])
        named += told != ("They lie where the other draws do: no parameter and no subject stands out.",)
    assert named <= 3


def test_too_few_say_nothing():
    data, _ = draws(0)
    odd = np.zeros((4, 500), bool)
    odd[0, :4] = True
    assert located(data, flags(odd), ["CL"]) == ()
