"""A small made-up fit that obeys the layout of `fit.tree`: two observables, six subjects, two regimens, known truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

SUBJECTS = [f"P{i:02d}" for i in range(1, 7)]
REGIMEN = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
HER2 = np.array([3.0, 3.0, 2.0, 3.0, 2.0, 3.0])
DOSES = {1.0: [(0.0, 5.0)], 2.0: [(0.0, 0.5), (48.0, 1.5), (96.0, 3.0)]}
TRUTH = {"k_Bexit": 0.06, "S": 400.0, "s_il6": 30.0, "base_il6": 2.0}
OMEGA = {"omega_k_Bexit": 0.35, "omega_S": 0.6, "omega_s_il6": 0.7}
SIGMA = {"sigma_car_dna": 0.5, "sigma_il6": 0.4}
LLOQ = {"car_dna": 50.0, "il6": 1.0}
UNITS = {"car_dna": "copies/ug", "il6": "pg/mL"}
DIAGRAM = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='240' height='60'>"
    "<rect x='5' y='10' width='90' height='40' fill='#dde7f0'/><rect x='140' y='10' width='90' height='40' fill='#dde7f0'/>"
    "<path d='M95 30 H138' stroke='#333'/></svg>"
)
TIMES = {
    1.0: [0.5, 1, 2, 4, 8, 24, 48, 72, 96, 168, 312],
    2.0: [0.5, 2, 8, 24, 48.5, 50, 56, 72, 96.5, 98, 104, 120, 168, 312],
}


def curve(observable: str, times: np.ndarray, regimen: float, p: dict[str, Any]) -> np.ndarray:
    """The made-up kinetics: release and decay of cells, and a cytokine that follows them."""
    fast = 0.9 if observable == "car_dna" else 0.25
    cells = sum(
        dose * np.where(times >= at, np.exp(-p["k_Bexit"] * np.maximum(times - at, 0)) - np.exp(-fast * np.maximum(times - at, 0)), 0.0)
        for at, dose in DOSES[regimen]
    )
    return p["S"] * cells + 1e-3 if observable == "car_dna" else p["base_il6"] + p["s_il6"] * cells


def _design() -> pd.DataFrame:
    lines = [
        (float(t), SUBJECTS[i], i, name, UNITS[name])
        for i in range(len(SUBJECTS))
        for name in UNITS
        for t in TIMES[REGIMEN[i]]
        if name == "car_dna" or t <= 168
    ]
    return pd.DataFrame(lines, columns=["time", "subject", "subject_index", "observable", "unit"])


def _posterior(rng: np.random.Generator, chains: int, draws: int, stuck: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    shape = (chains, draws)
    drift = np.where(np.arange(chains) == 0, 0.6, 0.0)[:, None] if stuck else 0.0
    found = {k: v * np.exp(0.15 * rng.standard_normal(shape) + drift) for k, v in (TRUTH | OMEGA | SIGMA).items()}
    found["beta_s_il6_HER2"] = 0.4 + 0.45 * rng.standard_normal(shape)
    effects = {}
    for name in ("k_Bexit", "S", "s_il6"):
        centre = OMEGA[f"omega_{name}"] * 0.8 * np.resize([-1.2, 0.3, 0.9, -0.4, 1.3, -0.7], len(SUBJECTS))
        effects[name] = centre + 0.25 * rng.standard_normal((*shape, len(SUBJECTS)))
    return found, effects


def _prior(rng: np.random.Generator) -> dict[str, np.ndarray]:
    draws = {k: v * np.exp(0.9 * rng.standard_normal(500)) for k, v in TRUTH.items()}
    draws |= {k: np.abs(0.7 * rng.standard_normal(500)) for k in (*OMEGA, *SIGMA)}
    draws["beta_s_il6_HER2"] = 0.5 * rng.standard_normal(500)
    return draws


def _subject_parameters(found: dict[str, np.ndarray], effects: dict[str, np.ndarray], pick: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Per draw picked: typical values and effects, flattened over chains."""
    flat = {k: v.reshape(-1, *v.shape[2:])[pick] for k, v in (found | {f"eta_{k}": v for k, v in effects.items()}).items()}
    return [{k: v[s] for k, v in flat.items()} for s in range(len(pick))]


def _individual(p: dict[str, Any], i: int | None, etas: np.ndarray | None = None) -> dict[str, float]:
    out = dict(p)
    for j, name in enumerate(("k_Bexit", "S", "s_il6")):
        effect = 0.0 if i is None else p[f"eta_{name}"][i]
        out[name] = p[name] * np.exp(effect if etas is None else p[f"omega_{name}"] * etas[j])
    return out


def _predict(design: pd.DataFrame, p: dict[str, Any], rng: np.random.Generator, how: str) -> np.ndarray:
    out = np.empty(len(design))
    for (i, name), part in design.groupby(["subject_index", "observable"]):
        etas = rng.standard_normal(3) if how == "new" else None
        theta = _individual(p, None if how == "pop" else i, etas)
        out[part.index] = curve(name, part["time"].to_numpy(), REGIMEN[i], theta)
    return out


def _noisy(values: np.ndarray, design: pd.DataFrame, p: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    sigma = np.array([p[f"sigma_{name}"] for name in design["observable"]])
    return values * np.exp(sigma * rng.standard_normal(len(values)))


def _data(design: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    effects = {
        f"eta_{k}": OMEGA[f"omega_{k}"] * np.resize([-1.0, 0.2, 0.8, -0.3, 1.1, -0.6], len(SUBJECTS)) for k in ("k_Bexit", "S", "s_il6")
    }
    truth = TRUTH | OMEGA | SIGMA | effects
    dv = _noisy(_predict(design, truth, rng, "own"), design, truth, rng)
    limit = design["observable"].map(LLOQ).to_numpy()
    cens = (dv < limit).astype(int)
    detected = (cens == 1) & (design["observable"] == "car_dna") & (dv > 10.0)
    scored = np.ones(len(dv), dtype=bool)
    scored[-1] = False
    out = design.assign(dv=np.where(cens == 1, limit, dv), cens=cens, lower=np.where(detected, 10.0, np.nan), scored=scored)
    out.loc[out.index[-1], ["dv", "cens"]] = [np.nan, 0]
    return out


def _predictions(parameters: list[dict[str, Any]]) -> xr.Dataset:
    grid = np.unique(np.concatenate([np.geomspace(0.25, 312, 60), np.arange(48, 120, 2.0), [0.0]]))
    out = {}
    for name in UNITS:
        own = np.array([[curve(name, grid, REGIMEN[i], _individual(p, i)) for i in range(len(SUBJECTS))] for p in parameters])
        typical = np.array([[curve(name, grid, REGIMEN[i], _individual(p, None)) for i in range(len(SUBJECTS))] for p in parameters])
        for label, values in ((name, own), (f"{name}_pop", typical)):
            out[label] = (("chain", "draw", "curve_time", "subject"), values.transpose(0, 2, 1)[None], {"unit": UNITS[name]})
    return xr.Dataset(out, coords={"curve_time": grid, "subject": SUBJECTS})


def _dataset(arrays: dict[str, np.ndarray], last: str | None = None, **coords: Any) -> xr.Dataset:
    return xr.Dataset({k: (("chain", "draw", *((last,) if last else ())), v) for k, v in arrays.items()}, coords=coords)


def _attrs(converged: bool, simulated: bool) -> dict[str, str]:
    report = {
        "title": "CAR-M first fit <made up>",
        "simulated": simulated,
        "assumptions": ["kL > kB, the order of the two exits, is assumed.", "Units of TIME were declared in hours."],
        "solver": {"backend": "closed_form", "rtol": 1e-4, "atol": 1e-6, "Pareto k": 0.21},
        "fixed": [{"name": "k_Ld", "value": 0.02, "unit": "1/h", "source": "assumption"}],
        "failures": {"warm-up": 37, "sampling": 0, "subjects": {"P03": "steps exhausted (37)"}},
        "truth": TRUTH | OMEGA | SIGMA,
        "parameters": [
            {"name": "k_Bexit", "unit": "1/h", "prior": "LogNormal(-2.8, 0.9)", "source": "SCIENCE (c)", "meaning": "exit from blood"},
            {
                "name": "S",
                "unit": "copies/ug per 1e9 cells",
                "prior": "LogNormal(6, 0.9)",
                "source": "assumption",
                "meaning": "assay scale",
            },
            {"name": "base_il6", "unit": "pg/mL", "prior": "LogNormal(0.7, 0.9)", "source": "assumption", "meaning": "baseline of IL-6"},
        ],
        "diagram": DIAGRAM,
    }
    verdict = {
        "converged": converged,
        "headline": "Converged." if converged else "NOT CONVERGED: 3 of 10 parameters.",
        "reasons": ["R-hat of k_Bexit is 1.31 (limit 1.01)."] if not converged else ["Largest R-hat 1.00, smallest ESS 512."],
    }
    provenance = {"seed": 7, "pkpd": "0.1.0", "jax": "0.11.2", "data_sha256": "ab" * 32, "model_hash": "cd" * 8}
    return {k: json.dumps(v) for k, v in {"report": report, "verdict": verdict, "provenance": provenance}.items()}


def fake_tree(*, converged: bool = True, simulated: bool = True, chains: int = 4, draws: int = 150, seed: int = 3) -> xr.DataTree:
    """A tree with every group of the layout; the first chain sits elsewhere when it has not converged."""
    rng = np.random.default_rng(seed)
    data = _data(_design(), rng)
    found, effects = _posterior(rng, chains, draws, stuck=not converged)
    parameters = _subject_parameters(found, effects, rng.integers(0, chains * draws, 120))
    predictive = {how: np.array([_predict(data, p, rng, how) for p in parameters]) for how in ("own", "pop", "new")}
    replicate = {
        how: np.array([_noisy(v, data, p, rng) for v, p in zip(predictive[how], parameters, strict=True)]) for how in ("own", "new")
    }
    posterior = _dataset(found).merge(_dataset({f"eta_{k}": v for k, v in effects.items()}, "subject", subject=SUBJECTS))
    arrays = {"dv": replicate["own"], "dv_new": replicate["new"], "ipred": predictive["own"], "pred": predictive["pop"]}
    columns = ("time", "subject", "subject_index", "observable", "unit", "cens", "lower", "scored")
    constant = xr.Dataset({k: ("obs", data[k].to_numpy()) for k in columns if k != "subject"})
    constant = constant.assign(row=("obs", np.arange(2, len(data) + 2)), subject=("obs", data["subject"].to_numpy().astype(str)))
    constant = constant.assign(covariate_HER2=("subject_id", HER2), covariate_REGIMEN=("subject_id", REGIMEN))
    groups = {
        "/": xr.Dataset(attrs=_attrs(converged, simulated)),
        "posterior": posterior,
        "prior": _dataset({k: v[None] for k, v in _prior(rng).items()}),
        "sample_stats": _dataset({"diverging": rng.random((chains, draws)) < 0.004, "acceptance_rate": rng.beta(9, 1, (chains, draws))}),
        "posterior_predictive": _dataset({k: v[None] for k, v in arrays.items()}, "obs"),
        "observed_data": xr.Dataset({"dv": ("obs", data["dv"].to_numpy())}),
        "constant_data": constant,
        "predictions": _predictions(parameters[:60]),
    }
    return xr.DataTree.from_dict(groups)


def fake_what_if(draws: int = 20, subjects: int = 40, seed: int = 5) -> xr.Dataset:
    """A made-up what-if: three arms, new subjects, both observables."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0, 240, 121)
    doses = {"D1": [(0.0, 5.0)], "D1/3/5": [(0.0, 0.5), (48.0, 1.5), (96.0, 3.0)], "D1 double": [(0.0, 10.0)]}
    out = {name: np.empty((len(doses), draws, subjects, len(grid))) for name in UNITS}
    for s in range(draws):
        typical = {k: v * np.exp(0.15 * rng.standard_normal()) for k, v in TRUTH.items()}
        for i in range(subjects):
            etas = 0.5 * rng.standard_normal(2)
            p = typical | {"S": typical["S"] * np.exp(etas[0]), "s_il6": typical["s_il6"] * np.exp(etas[1])}
            for a, regimen in enumerate(doses.values()):
                DOSES[-1.0] = regimen
                for name in UNITS:
                    out[name][a, s, i] = curve(name, grid, -1.0, p)
    DOSES.pop(-1.0)
    data = {name: (("arm", "draw", "subject", "time"), values, {"unit": UNITS[name]}) for name, values in out.items()}
    attrs = {"extrapolation": ["D1 double: 10e9 cells lies above the largest dose studied (5e9)."], "simulated": True}
    return xr.Dataset(data, coords={"arm": list(doses), "time": grid}, attrs=attrs)


@dataclass
class Verdict:
    """A verdict as a fit carries it."""

    converged: bool
    headline: str
    reasons: tuple[str, ...]


@dataclass
class FakeFit:
    """A fit as reports see one: tree, summary, verdict, provenance."""

    tree: xr.DataTree
    summary: pd.DataFrame
    verdict: Verdict
    provenance: dict[str, Any] = field(default_factory=dict)


def fake_summary(tree: xr.DataTree, rhat: float) -> pd.DataFrame:
    """The summary table of a tree's population parameters, with made-up convergence numbers."""
    lines = []
    for name, array in tree["posterior"].data_vars.items():
        if array.ndim == 2:
            v = array.values
            lines.append((name, v.mean(), v.std(), *np.quantile(v, [0.05, 0.5, 0.95]), 812.0, 640.0, rhat))
    return pd.DataFrame(lines, columns=["name", "mean", "sd", "q5", "q50", "q95", "ess_bulk", "ess_tail", "rhat"])


def fake_fit(**options: Any) -> FakeFit:
    """A fit around `fake_tree(**options)`."""
    tree = fake_tree(**options)
    told = json.loads(tree.attrs["verdict"])
    verdict = Verdict(told["converged"], told["headline"], tuple(told["reasons"]))
    return FakeFit(tree, fake_summary(tree, 1.003 if verdict.converged else 1.31), verdict, json.loads(tree.attrs["provenance"]))
