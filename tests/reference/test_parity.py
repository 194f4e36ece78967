"""One matrix: every backend on every shipped model says what SciPy says, in values and in slopes, or refuses in a sentence; then models made at random.

The reference integrates each model's own rates segment by segment, for all displaced parameters at once (that the rates are those of the papers is
shown elsewhere, against equations written again). Three subjects, none like another: repeated doses and an infusion, a reset that stops an infusion,
and a reset with an infusion of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pkpd import Component, Dose, Observable, Param, SolveError, Solver, State, compose, flow, gain, loss, total
from pkpd.model import Model, available_models, load_model, predictor
from pkpd.solve import native
from tests.oracle import Given, cohort, nonlinear, slope, walk

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
STEPPING = ("rosenbrock", "tsit5_batched", "native_tsit5", "native_rodas4", "kvaerno5", "tsit5")
SOLVERS = {
    **{method: Solver(method=method) for method in ("closed_form", "native_closed_form", "matrix_exponential")},
    "cascade": Solver(method="cascade", mesh_first=0.05, mesh_growth=0.05),  # five nodes on a mesh this fine: far below 1e-6
    **{method: Solver(method=method, **TIGHT) for method in STEPPING},
}
VALUE, SLOPE = (
    1e-6,
    1e-5,
)  # a thousand times rtol, of each state's peak; a slope relative to itself, or a hundredth of that to its subject's largest

APART = {"tumour_wang", "cart_stein", "cart_stein_comedication"}  # no dose, or states that hang on no parameter: held by their closed forms
MODELS = tuple(sorted(set(available_models()) - APART))
CURVED = {*(f"indirect_response_{kind}" for kind in ("I", "II", "III", "IV")), "carm_blood_il6", "cytokine_idr", "friberg_karlsson"}
KNOTTED = {
    "carm_tumour",
    "carm_pembrolizumab",
    "carm_study",
    "carm_kill_invitro",
    "macrophage_endotoxin",
    "cart_effector_memory",
    "carrgo",
    "tmdd_full",
}
KNOTTED |= {"michaelis_menten_iv", "michaelis_menten_oral", "tmdd_qss", "tumour_claret", "tumour_simeoni"}  # curved, and no cascade
KNOTTED |= {"carm_outcomes", "carm_inflammation", "carm_panel"}
CURVED |= KNOTTED | {"cytokine_panel", "cytokine_network", "cytokine_emax"}
LOOPED = {n for n in MODELS if n.startswith(("two_", "three_"))} | {"carm_recirculating", "indirect_response_II", "indirect_response_IV"}
LOOPED |= KNOTTED | {"friberg_karlsson"}
MANY = {"endotoxin_cytokines"}  # linear, in 26 states
REFUSED = {
    "closed_form": ("needs equations linear in at most 6 states", CURVED | MANY),
    "native_closed_form": ("needs equations linear in at most 6 states", CURVED | MANY),
    "matrix_exponential": ("needs equations that are linear in the states", CURVED),
    "cascade": ("needs states that follow one another", LOOPED),
    "kernel_tsit5": ("cannot be used: .*GPU", set(MODELS)),
}
EVERY_DAY = {
    ("two_compartment_oral", "closed_form"),
    ("indirect_response_II", "native_rodas4"),
    ("one_compartment_oral_lag", "tsit5_batched"),
}

compiled = pytest.mark.skipif(native.build.why_not() is not None, reason=f"no native code here: {native.build.why_not()}")


@pytest.fixture(autouse=True)
def cache(monkeypatch, root):
    """Libraries are kept in the checkout, as XLA's compiled code is."""
    monkeypatch.setenv("PKPD_CACHE", str(root / ".pytest_cache"))


# The doses of three subjects.


def dosed(first: str, last: str, amount: float) -> tuple[list[list[Given]], list[list[tuple[float, float]]]]:
    """Boluses by one route, infusions by another; looks before, during and after each event, and before those at their own time (ranks grow with time)."""
    bolus = lambda time, part=1.0: Given(time, part * amount, first, rank=time + 0.5)  # noqa: E731
    infusion = lambda time, hours, kind="dose": Given(time, amount, last, hours, time + 0.5, kind)  # noqa: E731
    doses = [
        [bolus(0.0), infusion(4.0, 3.0), *(bolus(12.0 + 6.0 * k, 0.5) for k in range(3))],
        [infusion(0.0, 6.0), Given(5.0, rank=5.5, kind="reset"), bolus(6.0, 2.0)],
        [bolus(1.0), infusion(9.0, 2.0, "reset_dose")],
    ]
    times = [(0.5, 2.0, 4.0, 5.5, 7.0, 11.0, 13.0, 25.0, 40.0), (3.0, 5.0, 5.5, 7.0, 20.0), (2.0, 6.0, 9.0, 10.0, 11.0, 30.0)]
    return doses, [[(t, t) for t in own] for own in times]


AMOUNTS = {"1e9 cells": 3.0, "ng/kg": 2.0, "cells/mL": 1e6, "1e6 cells/mL": 0.2, "1": 1.0}  # elsewhere mg or nmol


@dataclass(frozen=True, eq=False)
class Case:
    """A model with parameters theta {name: [3]}, no two subjects alike, and its doses and looks."""

    model: Model
    theta: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, model: Model, seed: int = 0) -> Case:
        """Parameters about 20 % from the typical ones; those that are nothing there are 0.02."""
        rng = np.random.default_rng(seed)
        drawn = {p.name: (p.value or 0.02) * np.exp(0.2 * rng.normal(size=3)) for p in model.params}
        return cls(model, {p.name: np.minimum(drawn[p.name], 0.95) if p.support == "unit" else drawn[p.name] for p in model.params})

    @property
    def regimen(self) -> tuple[list[list[Given]], list[list[tuple[float, float]]]]:
        first, last = self.model.doses[0], self.model.doses[-1]
        return dosed(first.name, last.name, AMOUNTS.get(first.unit or "mg", 100.0))

    @property
    def covariates(self) -> dict[str, list[float]]:
        return {name: [3.0, 2.0, 3.0] for name in self.model.covariate_names}

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """[rows, n] of a total to which every state contributes alike."""
        return np.random.default_rng(5).normal(size=self.exact.shape) / self.peak

    @functools.cached_property
    def exact(self) -> np.ndarray:
        """States [rows, n] by SciPy."""
        return np.concatenate([by_scipy(self, b, {k: v[b : b + 1] for k, v in self.theta.items()})[..., 0] for b in range(3)])

    @functools.cached_property
    def peak(self) -> np.ndarray:
        """The largest value of each state [n]; 1 for one that nothing reaches."""
        largest = np.abs(self.exact).max(0)
        return np.where(largest > 0.0, largest, 1.0)

    @functools.cached_property
    def field(self) -> Callable[..., Any]:
        """The rates of many copies, (t, y[n * copies], parameters, covariates) -> dy; compiled, for SciPy asks for them one at a time."""
        still = [0.0] * len(self.model.states)

        def field(t, y, values, q):
            change = self.model.rhs(t, list(y.reshape(len(still), -1)), values, q, still)
            return jnp.concatenate([jnp.broadcast_to(x, values[0].shape) for x in change])

        return jax.jit(field)

    @functools.cached_property
    def slopes(self) -> np.ndarray:
        """d total / d log parameter [k, 3], by extrapolated central differences of SciPy: error of order 1e-12, noise 1e-12 / 1e-3."""
        sizes = np.cumsum([len(looks) for looks in self.regimen[1]])[:-1]
        own = np.split(self.weights, sizes)
        return np.stack([slope(lambda s, b=b: self._totals(b, own[b], s), 1.0) for b in range(3)], 1)

    def _totals(self, b: int, weights: np.ndarray, s: float) -> np.ndarray:
        """The total of subject b with one parameter after another times s [k]."""
        moved = {k: np.where(np.arange(len(self.theta)) == i, s, 1.0) * v[b] for i, (k, v) in enumerate(self.theta.items())}
        return np.einsum("mn,mnc->c", weights, by_scipy(self, b, moved))


def by_scipy(case: Case, b: int, p: Mapping[str, np.ndarray]) -> np.ndarray:
    """States [looks, n, copies] of subject b under parameters {name: [copies]}; copies with the same lag share one integration."""
    lag = case.model.dose_value(case.model.doses[0].name, "lag", p, {})
    lag = _wide(0.0 if lag is None else lag, p)
    out = np.full((len(case.regimen[1][b]), len(case.model.states), len(lag)), np.nan)
    for each in np.unique(lag):
        out[..., lag == each] = _walked(case, b, {k: v[lag == each] for k, v in p.items()}, each)
    return out


def _wide(x: Any, p: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.broadcast_to(np.asarray(x, float), np.shape(next(iter(p.values()))))


def _walked(case: Case, b: int, p: Mapping[str, np.ndarray], lag: float) -> np.ndarray:
    m, (doses, looks) = case.model, case.regimen
    values, q = [p[k] for k in m.param_names], [v[b] for v in case.covariates.values()]
    stacked = lambda rows: np.stack([_wide(x, p) for x in rows]).ravel()  # noqa: E731
    field = lambda t, y: np.asarray(case.field(t, y, values, q))  # noqa: E731
    late = [Given(d.time + lag * (d.into == m.doses[0].name), d.amount, d.into, d.duration, d.rank, d.kind) for d in doses[b]]
    routes = {d.name: stacked(_shares(m, d, p)) for d in m.doses}
    return walk(nonlinear(field, "DOP853"), stacked(m.initial(p)), routes, late, looks[b]).reshape(len(looks[b]), len(m.states), -1)


def _shares(m: Model, dose: Dose, p: Mapping[str, np.ndarray]) -> list[Any]:
    """What part of a dose each state takes, F included."""
    kept = m.dose_value(dose.name, "bioavailability", p, {})
    into = dict(dose.into)
    return [m.share(into[s], p) * (1.0 if kept is None else kept) if s in into else 0.0 for s in m.state_names]


# What pkpd says.


def agree(case: Case, solver: Solver) -> None:
    """Values and slopes of every row and parameter."""
    bound = predictor(case.model, cohort(*case.regimen, case.model.observable_names[0], case.covariates), solver)
    s, weights = bound.schedule, case.weights

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def run(theta):
        solution, _ = bound.solve(theta)
        rows = solution.y[s.row_time, :, s.row_lane]
        return jnp.sum(weights * rows), (rows, solution.status)

    slopes, (rows, status) = run({k: jnp.asarray(v) for k, v in case.theta.items()})
    assert bound.chosen.name == solver.method and not np.any(status)
    np.testing.assert_allclose(rows / case.peak, case.exact / case.peak, rtol=0, atol=VALUE)
    found = np.stack([slopes[k] * v for k, v in case.theta.items()])
    for b, largest in enumerate(np.abs(case.slopes).max(0)):
        np.testing.assert_allclose(found[:, b] / largest, case.slopes[:, b] / largest, rtol=SLOPE, atol=SLOPE / 100)


@functools.cache
def shipped(name: str) -> Case:
    return Case.of(load_model(name))


def matrix():
    for name in MODELS:
        for method in SOLVERS:
            if name not in REFUSED.get(method, ("", set()))[1]:
                slow = [] if (name, method) in EVERY_DAY else [pytest.mark.slow]
                yield pytest.param(name, method, marks=slow + [compiled] * method.startswith("native"))


@pytest.mark.parametrize(("name", "method"), list(matrix()))
def test_backends_agree_with_scipy(name, method):
    agree(shipped(name), SOLVERS[method])


@pytest.mark.parametrize("method", REFUSED)
def test_a_backend_that_does_not_apply_says_why(method):
    why, names = REFUSED[method]
    for name in sorted(names):
        model = load_model(name)
        bound = predictor(model, cohort(*shipped(name).regimen, model.observable_names[0], shipped(name).covariates), Solver(method=method))
        with pytest.raises(SolveError, match=f"{why}.* Use method='auto'."):
            _ = bound.chosen


def test_two_references_agree():
    """LSODA and DOP853 share no formulas; the weights and slopes above rest on the one, this on the other."""
    case = shipped("indirect_response_II")
    m, p = case.model, {k: v[0] for k, v in case.theta.items()}
    field = lambda t, y: [float(x) for x in m.rhs(t, list(y), list(p.values()), [], [0.0] * 3)]  # noqa: E731
    doses, looks = case.regimen
    again = walk(nonlinear(field, "LSODA"), m.initial(p), {"oral": [1, 0, 0], "iv": [0, 1, 0]}, doses[0], looks[0])
    np.testing.assert_allclose(again / case.peak, case.exact[: len(again)] / case.peak, rtol=0, atol=1e-9)


# Models made at random: a few pools that exchange, with what makes rates curved or dependent on time put on top.

WHY = "assumption: a test"
_rate = functools.partial(Param, unit="1/h", meaning="a rate", source=WHY)


def built(names: str, pairs: list[tuple[str, str]], slow: str, driver: str, input_: str, seed: int) -> Case:
    """Pools that exchange along `pairs`, a loss from each; saturable loss, production by Hill's law and a rhythmic input where a pool is named."""
    extras = [saturable(slow)] * bool(slow) + [hill(driver, names[-1])] * bool(driver) + [rhythm(input_)] * bool(input_)
    seen = Observable("seen", "mg", lambda y, p, s: y.a, "the first pool")
    return Case.of(compose("made", pools(names, pairs), *extras, observables=[seen]), seed)


@st.composite
def recipes(draw) -> tuple[Any, ...]:
    """What `built` takes; two to four pools."""
    names = "abcd"[: draw(st.integers(2, 4))]
    pairs = draw(st.lists(st.permutations(names).map(lambda x: tuple(x[:2])), min_size=1, max_size=4, unique=True))
    some = st.sampled_from(["", *names])
    return names, pairs, draw(some), draw(st.sampled_from(["", *names[:-1]])), draw(some), draw(st.integers(0, 1000))


def pools(names: str, pairs: list[tuple[str, str]]) -> Component:
    def rates(t, y, p, s):
        lost = [loss(n, p[f"k_{n}"] * y[n]) for n in names]
        return total(*lost, *(flow(a, b, p[f"k_{a}{b}"] * y[a]) for a, b in pairs))

    return Component(
        "pools",
        states=[State(n, "mg", "a pool") for n in names],
        params=[*(_rate(f"k_{n}", 0.2) for n in names), *(_rate(f"k_{a}{b}", 0.5) for a, b in pairs)],
        rates=rates,
        doses=[Dose("first", into="a"), Dose("last", into=names[-1])],
    )


def saturable(n: str) -> Component:
    """Michaelis and Menten's."""
    return Component(
        "saturable",
        params=(Param("Vmax", 20.0, "mg/h", "largest loss", WHY), Param("Km", 30.0, "mg", "half of it", WHY)),
        reads=n,
        rates=lambda t, y, p, s: total(loss(n, p.Vmax * y[n] / (p.Km + y[n]))),
    )


def hill(driver: str, target: str) -> Component:
    return Component(
        "hill",
        params=(Param("most", 5.0, "mg/h", "largest production", WHY), Param("half", 20.0, "mg", "what gives half of it", WHY)),
        reads=(driver, target),
        rates=lambda t, y, p, s: total(gain(target, p.most * y[driver] ** 2 / (p.half**2 + y[driver] ** 2))),
    )


def rhythm(n: str) -> Component:
    return Component(
        "rhythm",
        params=(Param("mean", 2.0, "mg/h", "mean input", WHY), Param("pace", 0.5, "1/h", "of its rhythm", WHY)),
        reads=n,
        rates=lambda t, y, p, s: total(gain(n, p.mean * (1.0 + 0.5 * jnp.sin(p.pace * t)))),
    )


@pytest.mark.slow
@settings(max_examples=2, phases=[Phase.generate])  # each model is compiled: making a failure smaller would take minutes
@given(recipe=recipes())
def test_models_made_at_random(recipe):
    agree(built(*recipe), SOLVERS["tsit5_batched"])


@pytest.mark.slow
@pytest.mark.parametrize("method", [pytest.param(m, marks=[compiled] * m.startswith("native")) for m in STEPPING])
@settings(max_examples=8, phases=[Phase.generate])
@given(recipe=recipes())
def test_many_models_made_at_random(method, recipe):
    agree(built(*recipe), SOLVERS[method])
