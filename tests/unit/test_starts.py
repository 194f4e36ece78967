"""Several starts: both of a flip-flop pair are found, one mode is said to be one, and other starts change no draw of a fit with one mode."""

from types import SimpleNamespace

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitProblem, Population, lognormal, proportional_error, read_cohort, simulate
from pkpd.errors import FitError
from pkpd.inference import starts as module
from pkpd.inference.geometry import find_geometry
from pkpd.inference.space import Space
from pkpd.inference.starts import best_geometry, scattered, warned
from pkpd.models.classic import one_compartment_oral
from tests import small


def silent(_: str) -> None:
    """Told to nobody."""


def flip_flop(ka: float = 1.0) -> FitProblem:
    """One subject, one oral dose: ka and CL / V change places, V by the same factor, and the curve stays; the priors know no order."""
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
    dose = {"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "oral", "MDV": 1, "DV": np.nan, "DVID": ""}
    looks = [{"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0, "DVID": "cp"} for t in times]
    table = pd.DataFrame([dose, *looks])
    units = {"TIME": "h", "AMT": "mg"}
    f = simulate(one_compartment_oral, table, {"ka": 1.0, "CL": 2.0, "V": 20.0}, units=units)["cp"].to_numpy()
    table.loc[table["EVID"] == 0, "DV"] = f[-len(times) :] * (1 + 0.05 * np.random.default_rng(0).normal(size=len(times)))
    cohort = read_cohort(table, model=one_compartment_oral, units=units | {"DV": "mg/L"})
    population = Population(
        ka=lognormal(dist.LogNormal(np.log(ka), 1.5)),
        CL=lognormal(dist.LogNormal(np.log(2.0), 1.0)),
        V=lognormal(dist.LogNormal(np.log(8.0), 1.5)),
    )
    return FitProblem(
        one_compartment_oral, cohort, population, {"cp": proportional_error(dist.HalfNormal(0.1))}, name="flip_flop", simulated=True
    )


@pytest.mark.slow
def test_both_of_a_flip_flop_pair_are_found_and_told():
    """CL / V is 0.1 and ka 1, or the other way round with V a tenth; CL is the same in both."""
    space = Space(flip_flop())
    told: list[str] = []
    found = best_geometry(space, told.append, starts=6, seed=1)
    assert found.modes.startswith("another lies at ") and found.modes.endswith("% of the mass by its normal law")
    far = dict(
        part.rsplit(" for ", 1)[0].split(" ", 1) for part in found.modes.removeprefix("another lies at ").split(", with ")[0].split(", ")
    )
    here = {name: float(np.ravel(value)[0]) for name, value in space.constrain(found.mode).items()}
    assert float(far["ka"]) == pytest.approx(here["CL"] / here["V"], rel=0.2)
    assert here["ka"] == pytest.approx(here["CL"] / float(far["V"]), rel=0.2)
    assert any("of 6 end in one mode; another lies at" in line for line in told)
    (brief, full, step) = warned(found.modes)[0]
    assert brief == "the posterior has another mode"
    assert found.modes in full and "pkpd.find_modes" in step


def test_one_mode_is_said_to_be_one_and_other_starts_move_nothing():
    space = Space(small.problem())
    told: list[str] = []
    four, one = best_geometry(space, told.append, starts=4, seed=1), find_geometry(space, silent)
    assert "starts: 4 of 4 end in one mode" in told
    assert four.modes == "" and warned(four.modes) == ()
    np.testing.assert_array_equal(four.mode, one.mode)
    assert four.potential == one.potential


def test_starts_lie_within_a_factor_of_the_prior_medians_with_effects_at_their_place():
    space = Space(small.problem())
    typical, *others = scattered(space, space.full_weights, 5, seed=2)
    sites = [space.constrain(z) for z in (typical, *others)]
    for name in ("CL", "V"):
        values = np.array([float(s[name]) for s in sites])
        assert len(set(values)) == 5
        assert np.all(np.abs(np.log(values / values[0])) <= 2.0 + 1e-9)
        for s, value in zip(sites, values, strict=True):
            np.testing.assert_allclose(s[f"raw_{name}"], np.log(value), rtol=1e-6)
        assert len({float(s[f"omega_{name}"]) for s in sites}) == 1
    again = scattered(space, space.full_weights, 5, seed=2)
    np.testing.assert_array_equal(np.stack(others), np.stack(again[1:]))


def test_a_typical_start_without_a_density_is_no_end(monkeypatch):
    """The first descent fails, the others find the mode; where all fail, the error of the typical start is raised."""
    space = Space(small.problem())
    expected, calls = find_geometry(space, silent), []
    real = module._ended

    def ended(*args):
        calls.append(1)
        if len(calls) == 1:
            raise FitError("no density at typical values")
        return real(*args)

    monkeypatch.setattr(module, "_ended", ended)
    told: list[str] = []
    found = best_geometry(space, told.append, starts=3, seed=1)
    assert "start 1 of 3 finds no mode: no density at typical values" in told and "starts: 2 of 3 end in one mode" in told
    assert found.potential == pytest.approx(expected.potential, abs=1e-3)
    monkeypatch.setattr(module, "_ended", lambda *a: (_ for _ in ()).throw(FitError("nowhere")))
    with pytest.raises(FitError, match="nowhere"):
        best_geometry(space, silent, starts=2, seed=1)


def test_unfinished_ends_and_ends_with_no_rise_between_are_one_mode():
    """Four sds apart: one mode where the density between them is level, two with a ridge of 5 between, or with no density there."""

    def tools(value):
        made = object.__new__(module._Tools)
        made.layout, made.held, made.value_grad = (
            SimpleNamespace(common=np.array([0])),
            np.array([False]),
            lambda z, w: (value(float(z[0])), z),
        )
        return made

    factor = np.eye(1)
    a, b, open_ = (module.End(np.array([x]), 0.0, 0.0, factor, settled) for x, settled in ((0.0, True), (4.0, True), (4.0, False)))
    flat = tools(lambda x: 0.0)
    ridge = tools(lambda x: 5.0 * np.sin(np.pi * x / 4.0))
    nowhere = tools(lambda x: np.nan)
    assert module._joined(flat, {}, a, b) and module._joined(ridge, {}, a, open_) and not module._joined(ridge, {}, a, b)
    assert not module._joined(nowhere, {}, a, b)
    assert module._unsettled([a, b]) == "" and module._unsettled([a, open_]) == " (1 not finished: the posterior bends there)"


def test_masses_are_those_of_normal_laws():
    """Of a normal density the mass found is the constant itself."""
    space = Space(flip_flop())
    z = space.start(space.full_weights)
    end = module._ended(module._Tools.of(space), z, space.full_weights, silent)
    root = np.asarray(end.factor)
    assert end.mass == pytest.approx(np.linalg.slogdet(root)[1] - end.value, rel=1e-12)
    assert jax.numpy.isfinite(end.mass)
