"""Events of every kind through `simulate`, against matrix exponentials: hand-written edges and random tables, each subject a table, one cohort a solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from pkpd.solve import Solver
from tests.oracle import exponential, follow, run_in
from tests.reference.edges import EDGES
from tests.reference.tables import (
    WORDS,
    agree,
    errors,
    exact,
    frame,
    predicted,
    random_parameters,
    random_records,
    random_words,
    system,
)

EXACT = 1e-9  # of a subject's largest amount; the closed form and the oracle both round at about 1e-13
ODE = {"rtol": 1e-10, "atol": 1e-12}


def random_cohort(seed: int, n: int, compartments: int, modelled: bool = False, rows: int = 12):
    """Tables and parameters of n subjects; `modelled`: lag, F, duration and rate are the subject's parameters, not columns."""
    rng = np.random.default_rng(seed)
    parameters = [random_parameters(rng, compartments) for _ in range(n)]
    words = [random_words(rng, 0.0) if modelled else None for _ in range(n)]
    subjects = [random_records(rng, compartments + 1, w, rows) for w in words]
    if modelled:
        parameters = [p | {WORDS[k]: v for k, v in w.items()} for p, w in zip(parameters, words, strict=True)]
    return subjects, parameters


def test_the_exponential_of_the_oracle_is_scipys():
    rng = np.random.default_rng(4)
    for size in (1e-3, 0.3, 2.0, 20.0):
        a = rng.uniform(-1, 1, (4, 4)) * size - np.eye(4) * size
        wanted = expm(a)
        np.testing.assert_allclose(exponential(a), wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_steady_states_of_the_oracle_are_those_of_many_doses():
    """Two ways to a steady state: a fixed point, and hundreds of doses one after another."""
    subjects, parameters = random_cohort(5, 12, 2)
    pairs = list(zip(subjects, parameters, strict=True))
    agree([follow(r, system(p), run_in) for r, p in pairs], exact(subjects, parameters), subjects, 1e-11)


@pytest.fixture(
    scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 2], ids=["one compartment", "two compartments"]
)  # test_nonmem_events has one compartment
def edges(request):
    """Each edge as one subject of one cohort: what is found, what is wanted."""
    subjects, p = list(EDGES.values()), random_parameters(np.random.default_rng(1), request.param)
    parameters = [p] * len(subjects)
    return dict(zip(EDGES, zip(predicted(subjects, parameters), exact(subjects, parameters), strict=True), strict=True))


@pytest.mark.parametrize("name", EDGES)
def test_edges(edges, name):
    found, wanted = edges[name]
    agree([found], [wanted], [EDGES[name]], EXACT)


@pytest.mark.parametrize("modelled", [False, True], ids=["columns", "parameters"])
@pytest.mark.parametrize("compartments", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_random_tables(compartments, modelled):
    subjects, parameters = random_cohort(10 * compartments + modelled, 120, compartments, modelled)
    agree(predicted(subjects, parameters, modelled), exact(subjects, parameters), subjects, EXACT)


@pytest.mark.parametrize(
    ("method", "options", "tolerance"),
    [
        ("cascade", {"mesh_first": 0.1, "mesh_growth": 0.1}, 1e-7),  # five nodes on steps below 0.1 h and rates below 3 per h
        pytest.param("tsit5", ODE, 1e-7, marks=pytest.mark.slow),  # a thousand times rtol: errors add up over the events of a table
        pytest.param("kvaerno5", ODE, 1e-7, marks=pytest.mark.slow),
        pytest.param("rosenbrock", ODE, 1e-7, marks=pytest.mark.slow),
        pytest.param("tsit5_batched", ODE, 1e-7, marks=pytest.mark.slow),  # test_batched has every kind of event
    ],
)
def test_other_solvers_on_random_tables(method, options, tolerance):
    subjects, parameters = random_cohort(77, 6, 1, modelled=True, rows=8)
    found = predicted(subjects, parameters, modelled=True, solver=Solver(method=method, **options))
    agree(found, exact(subjects, parameters), subjects, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_random_tables(seed):
    subjects, parameters = random_cohort(1000 + seed, 400, 1 + seed % 2, modelled=seed > 1, rows=16)
    agree(predicted(subjects, parameters, seed > 1), exact(subjects, parameters), subjects, EXACT)


def test_the_random_tables_hold_what_they_should():
    """Every feature, and the pairs that matter, are in the tables above many times."""
    subjects, _ = random_cohort(10, 120, 1)
    rows = [r for records in subjects for r in records]
    lagged = [r for r in rows if r.lag > 0]
    counts = {
        "resets": sum(r.evid == 3 for r in rows),
        "reset and dose": sum(r.evid == 4 for r in rows),
        "SS 2 with lag": sum(r.ss == 2 for r in lagged),
        "lag = II": sum(r.ss > 0 and r.lag == r.ii for r in lagged),
        "longer than II": sum(r.ss > 0 and r.form[2] > r.ii > 0 for r in rows),
        "modelled rate": sum(r.rate == -1 for r in rows),
        "modelled duration": sum(r.rate == -2 for r in rows),
        "ADDL": sum(r.addl > 0 for r in rows),
        "constant": sum(r.ss == 1 and r.amt == 0 for r in rows),
    }
    assert min(counts.values()) >= 5, counts
    assert len(frame(subjects)) == len(rows)
    assert (errors([np.array([[np.nan]])], [np.ones((1, 1))]) == np.inf).all()
