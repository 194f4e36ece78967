"""Default priors: what each support gets, what is fixed, that everything says where it comes from, and what is refused."""

import logging

import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import (
    Component,
    FitError,
    Observable,
    Param,
    Population,
    State,
    compose,
    default_priors,
    lognormal,
    loss,
    prior_table,
    tied,
    total,
)
from pkpd.inference.report_facts import _sampled
from tests import small


def model():
    params = (
        Param("k", 0.5, "1/h", "loss", "assumption: a test"),
        Param("f", 0.8, "1/h", "fraction", "assumption: a test", "unit"),
        Param("b", -3.0, "1/h", "real", "assumption: a test", "real"),
        Param("z", 0.0, "1/h", "nothing", "assumption: a test", "nonnegative"),
        Param("r", 2.0, "1/h", "rate", "assumption: a test", "nonnegative"),
    )
    rate = lambda t, y, p, s: total(loss("A", (p.k + p.z + p.r + p.f + p.b) * y.A))  # noqa: E731
    one = Component("one", states=State("A", "mg", "amount", 1.0), params=params, rates=rate)
    return compose("five", one, observables=[Observable("a", "mg", lambda y, p, s: y.A, "amount")])


def test_each_support_gets_its_prior(caplog):
    with caplog.at_level(logging.INFO, "pkpd"):
        population = default_priors(model(), vary=["k", "f"], spread=0.7, between=0.3)
    spec = population.parameters
    assert (spec["k"].prior.loc, spec["k"].prior.scale) == (np.log(0.5), 0.7) and spec["k"].between.scale == 0.3
    assert (spec["f"].prior.concentration1, spec["f"].prior.concentration0) == pytest.approx((3.2, 0.8)) and spec["f"].scale == "logit"
    assert (spec["b"].prior.loc, spec["b"].prior.scale) == pytest.approx((-3.0, 2.1)) and spec["b"].scale == "identity"
    assert spec["z"].value == 0.0 and spec["z"].prior is None
    assert spec["r"].prior.loc == np.log(2.0) and population.varying == ("k", "f")
    assert [r.getMessage() for r in caplog.records] == [f"{n}: {v.source}" for n, v in spec.items()]


def test_every_line_says_where_it_comes_from():
    table = prior_table(default_priors(model(), vary=["k"], fixed=["f"])).set_index("name")
    assert table["source"].to_dict() == {
        "k": "default prior: lognormal around the typical value 0.5 1/h, sd of the log 1; omega half-normal(0.5) (assumption)",
        "f": "held at the typical value 0.8 1/h (assumption: a test)",
        "b": "default prior: normal around the typical value -3 1/h, sd 3 (assumption)",
        "z": "held at the typical value 0 1/h (assumption: a test)",
        "r": "default prior: lognormal around the typical value 2 1/h, sd of the log 1 (assumption)",
    }
    assert table.loc["f", "prior"] == "fixed at 0.8" and table.loc["r", "between"] == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vary": ["kk"]}, "default_priors(vary=...) names 'kk', which five does not have. Did you mean 'k'? Known: b, f, k, r, z."),
        ({"fixed": ["x9"]}, "default_priors(fixed=...) names 'x9', which five does not have. Known: b, f, k, r, z."),
        ({"vary": ["k"], "fixed": ["k"]}, "default_priors: 'k' stands in vary and in fixed; leave it out of one."),
        (
            {"vary": ["z"]},
            "default_priors(vary=...) names 'z', whose typical value is 0; it is fixed there. Write its prior by hand: lognormal(...).",
        ),
        ({"spread": 0.0}, "default_priors(spread=0.0): a number above 0 is needed, the sd on the parameter's transformed scale."),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises(FitError) as error:
        default_priors(model(), **given)
    assert str(error.value) == words


def test_the_report_names_the_default_as_source_also_of_spreads():
    problem = small.problem(population=default_priors(small.problem().model, vary=["CL"]))
    told = {line["name"]: line["source"] for line in _sampled(problem)}
    assert (
        told["CL"] == told["omega_CL"] and told["CL"].startswith("default prior: ") and told["sigma_cp"] == "prior stated in the fit file"
    )


def test_a_table_tells_effects_ties_and_noise():
    spec = lognormal(dist.LogNormal(3.0, 0.7)).effect("WT", reference=70, power=0.75).over("OCC", 0.2)
    table = prior_table(Population(V=spec, W=lognormal(dist.LogNormal(0.0, 1.0)), k=tied("W", 0.5)))
    assert table["effects"][0] == "power WT against 70: fixed at 0.75; occasions OCC: fixed at 0.2" and table["prior"][2] == "0.5 x W"
    table = prior_table(small.problem(population=Population(CL=lognormal(dist.LogNormal(1.0, 0.7)))))
    assert table["name"].tolist() == ["CL", "V", "sigma_cp"] and table["prior"][1].startswith("fixed at ")
