"""Modes sorted and named; and the two of a one-compartment model with oral absorption, which mirror each other exactly."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitError, FitProblem, Modes, Population, find_modes, lognormal, lognormal_error, read_cohort, simulate
from pkpd.approximate.distinct import differing, grouped, symmetry
from pkpd.models.classic import one_compartment_oral
from tests.small import problem

TIMES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)


def oral(seed=1, n=4):
    """Simulated with ka 1 /h and CL/V 0.1 /h, CL and V varying together; fitted with CL varying. The mirrored solution: ka 0.1 /h, V 2 L, the same CL."""
    rng = np.random.default_rng(seed)
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "oral", "MDV": 1}
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for t in TIMES]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(n) for row in (dose, *looks)])
    v = 20.0 * np.exp(0.2 * rng.normal(size=n))
    f = simulate(one_compartment_oral, table, {"ka": np.ones(n), "CL": 0.1 * v, "V": v}, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    looked = (table["EVID"] == 0).to_numpy()
    dv = np.where(looked, f * np.exp(0.1 * rng.normal(size=len(f))), np.nan)
    table = table.assign(DV=dv, DVID=np.where(looked, "cp", ""))
    cohort = read_cohort(table, model=one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    wide = lambda at: dist.LogNormal(np.log(at), 2.0)  # noqa: E731
    population = Population(ka=lognormal(wide(0.3)), CL=lognormal(wide(2.0), between=dist.HalfNormal(0.5)), V=lognormal(wide(8.0)))
    return FitProblem(one_compartment_oral, cohort, population, {"cp": lognormal_error(dist.HalfNormal(0.5))}, name="oral", simulated=True)


def test_ends_are_grouped_by_distance_in_sds():
    wide, narrow = 10 * np.eye(2), 0.1 * np.eye(2)
    ends = [np.zeros(2), np.array([3.0, 3.0]), np.array([0.01, 0.0])]
    assert grouped(ends, [1.0, 0.5, 1.0], [narrow] * 3) == [[1], [0, 2]]
    assert grouped(ends, [1.0, 0.5, 1.0], [wide] * 3) == [[1, 0, 2]]


def test_what_differs_is_named_the_farthest_first():
    one, two = {"ka": 1.0, "V": 20.0, "CL": 2.0, "beta": -0.5}, {"ka": 0.1, "V": 2.0, "CL": 2.1, "beta": 0.5}
    assert differing(one, two, {"ka": 0.1, "V": 4.0, "CL": 0.2, "beta": 0.1}) == ["ka", "V", "beta"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"ka": 0.1, "CL": 2.0, "V": 2.0}, "flip-flop: ka and CL/V change places"),
        ({"ka": 1.0, "CL": 2.0, "V": 2.0}, ""),
        ({"ka": 1.05, "CL": 2.0, "V": 20.0}, ""),
    ],
)
def test_a_flip_flop_is_recognised(other, said):
    assert symmetry({"ka": 1.0, "CL": 2.0, "V": 20.0}, other, {"ka": "1/h", "CL": "L/h", "V": "L"}) == said


def test_two_rates_of_one_unit_that_change_places():
    units = {"k1": "1/h", "k2": "1/h", "V": "L", "omega_k1": "1", "omega_k2": "1"}
    assert symmetry({"k1": 1.0, "k2": 0.1, "V": 5.0}, {"k1": 0.11, "k2": 0.95, "V": 5.0}, units) == "k1 and k2 change places"
    assert symmetry({"omega_k1": 1.0, "omega_k2": 0.1}, {"omega_k1": 0.1, "omega_k2": 1.0}, units) == ""


def test_the_verdict_in_words():
    table = pd.DataFrame(
        {"starts": [5, 2], "log_posterior": [-10.0, -12.0], "share": [0.9, 0.1], "differs": ["", "ka, V"], "note": ["", "flip-flop: x"]},
        index=[1, 2],
    )
    starts = pd.DataFrame(
        {
            "mode": [1] * 5 + [2] * 2 + [0],
            "reason": [""] * 7 + ["no density at ka 1: subject 3 (its likelihood is not finite at the start)"],
        }
    )
    starts.index += 1
    assert Modes("x", table, starts).verdict == (
        "2 modes from 8 starts. Mode 1: 90 % of the mass, 5 starts. Mode 2: 10 % of the mass, 2 starts; differs in ka, V; flip-flop: x. "
        "Start 8 found none: no density at ka 1: subject 3 (its likelihood is not finite at the start)."
    )
    assert Modes("x", table.iloc[:1], starts.iloc[:5]).verdict == "One mode: 5 of 5 starts end in it."


def test_what_it_refuses():
    with pytest.raises(FitError) as error:
        find_modes(problem(), seed=1, starts=0)
    assert str(error.value) == "find_modes(..., starts=0): a whole number of at least 1 is needed."


@pytest.mark.slow
def test_both_solutions_of_a_flip_flop_are_found_and_named():
    """The priors lie half way between: rates 1 and 0.1 /h, V 20 and 2 L, to 15 % at 10 % error and 32 samples; the same table again."""
    found = find_modes(oral(), seed=3, starts=6)
    table = found.table
    assert len(table) == 2 and table["starts"].sum() == 6 and table["share"].sum() == pytest.approx(1.0)
    assert table.loc[2, "note"] == "flip-flop: ka and CL/V change places" and set(table.loc[2, "differs"].split(", ")) >= {"ka", "V"}
    assert sorted(table["ka"]) == pytest.approx([0.1, 1.0], rel=0.15) and sorted(table["V"]) == pytest.approx([2.0, 20.0], rel=0.15)
    assert table["CL"].to_numpy() == pytest.approx(np.full(2, table["CL"].mean()), rel=0.02)
    again = find_modes(oral(), seed=3, starts=6)
    assert again.table.equals(table) and again.starts.equals(found.starts)


@pytest.mark.slow
def test_one_mode_is_said_to_be_one():
    found = find_modes(problem(), seed=1, starts=4)
    assert found.verdict == "One mode: 4 of 4 starts end in it." and str(found).startswith(found.verdict)
