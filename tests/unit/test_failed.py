"""Solves that failed at the draws of a posterior, counted by subject."""

import numpy as np
import xarray as xr

from pkpd.inference.failed import failed_solves


def predictions(lost: int) -> xr.Dataset:
    values = {k: np.ones((2, 50, 4)) for k in ("ipred", "pred", "dv_new")}
    values["dv_new"][0, :lost, 2:] = np.nan
    return xr.Dataset({k: (("chain", "draw", "obs"), v) for k, v in values.items()})


WHO = np.array(["a", "a", "b", "b"])


def test_none_is_one_sentence():
    found = failed_solves(predictions(0), WHO)
    assert found.told == "none at the 100 draws that predictions were made of"
    assert found.warned == ()


def test_a_few_are_counted_and_many_warn():
    few, many = failed_solves(predictions(1), WHO), failed_solves(predictions(20), WHO)
    assert few.told == {"b": "a new subject like it: 1 of 100 draws"}
    assert few.warned == ()
    assert many.warned[0][:2] == (
        "10.0 % of new subjects could not be solved",
        "10.0 % of new subjects could not be solved at the draws of the posterior (designs of b): it may be cut off where the solver fails.",
    )
