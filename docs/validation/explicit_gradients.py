"""What the gradients of each method are worth on the flagship's posterior: `python docs/validation/explicit_gradients.py` (a minute).

Draws from the normal approximation at the mode, each gradient (rtol 1e-6) beside that of diffrax Tsit5 at 1e-10. Writes explicit_gradients.csv.
"""

import importlib.util
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import Solver
from pkpd.inference.arrow import positions
from pkpd.inference.geometry import find_geometry
from pkpd.inference.space import Space

HERE = Path(__file__).resolve().parent
DRAWS, METHODS = 40, ("cascade", "native_rodas4", "native_tsit5", "tsit5_batched")


def flagship():
    spec = importlib.util.spec_from_file_location("flagship", HERE.parents[1] / "fits" / "carm_blood_il6.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problem(quick=True)


def gradients(problem, solver, weights, points):
    """[draws, D], and CPU seconds of one."""
    space = Space(replace(problem, solver=solver))
    run = jax.jit(jax.grad(lambda z: space.potential(z, weights)))
    jax.block_until_ready(run(points[0]))
    begin = time.process_time()
    found = np.array([run(z) for z in points])
    return found, (time.process_time() - begin) / len(points)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    problem = flagship()
    mesh = problem.solver.mesh_growth
    at = find_geometry(Space(replace(problem, solver=Solver(method="cascade", mesh_growth=mesh))), lambda _: None)
    points = positions(at.mode, at.factor, np.random.default_rng(0).standard_normal((DRAWS, len(at.mode))))
    exact, _ = gradients(problem, Solver(method="tsit5", rtol=1e-10, atol=1e-12), at.weights, points)
    rows = []
    for method in METHODS:
        found, cpu = gradients(problem, Solver(method=method, mesh_growth=mesh), at.weights, points)
        error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
        rows.append((method, f"{np.median(error):.1e}", f"{error.max():.1e}", int((error > 0.01).sum()), DRAWS, f"{1e3 * cpu:.2f}"))
    columns = ["method", "median error", "largest error", "off by over 1 %", "draws", "ms CPU a gradient"]
    pd.DataFrame(rows, columns=columns).to_csv(HERE / "explicit_gradients.csv", index=False)


if __name__ == "__main__":
    main()
