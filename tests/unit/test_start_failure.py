"""A start without a density says where: rows, subjects, their parameters at a bound, or the prior."""

import numpy as np
import numpyro.distributions as dist

from pkpd import Solver, lognormal
from pkpd.components.words import Param
from pkpd.inference.space import Space
from pkpd.inference.start_failure import _priors, suspect, why_not_finite
from tests import small


def told(**changes) -> str:
    """Of a solver that may take one step."""
    space = Space(small.problem(solver=Solver("tsit5_batched", max_steps=1, native="off"), population=small.population(**changes)))
    return why_not_finite(space, space.start(space.full_weights), space.full_weights)


def test_rows_subjects_and_parameters_are_named():
    text = told()
    assert text.startswith(
        "small: at typical values the likelihood is not finite for 36 rows (subjects 1, 2, 3, 4, 5, 6; first: row 2, cp). Check that"
    )
    assert "Subject 1: the step limit was reached before the last time" in text and "Subject 4:" not in text
    assert text.endswith(
        "No parameter of subject 1 lies at a bound of its support, and none is 1000 times the model's typical value or a 1000th of it."
    )
    text = told(CL=lognormal(dist.LogNormal(20.0, 0.7), between=dist.HalfNormal(0.5)))
    assert text.endswith(" Of subject 1: CL is 4.85e+08 L/h, where the model's typical value is 2.8 L/h.")


def test_a_value_at_a_bound_and_one_that_is_no_number():
    share = Param("F", 0.5, "1", "bioavailability", source="assumption: example", support="unit")
    assert suspect(share, 1.0) == "F is 1, at a bound of its support 'unit' (between 0 and 1, both excluded)"
    assert suspect(share, np.nan) == "F is nan" and suspect(share, 0.999) == ""


def test_a_prior_without_a_density_is_named():
    site = {"type": "sample", "is_observed": False, "fn": dist.Gamma(2.0, 1.0), "value": np.array(np.inf)}
    assert _priors({"CL": site}) == "the prior density is not finite at typical values (of CL = inf); check the priors and supports."
