"""Coefficients: an explicit Runge-Kutta method for systems whose accuracy sets the step, Rosenbrock methods for those whose stability does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Explicit:
    """k_i = f(t + c_i h, y + h sum_j a_ij k_j), y1 = y + h sum_i b_i k_i, error = h sum_i e_i k_i, which is O(h^order)."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    error: np.ndarray
    order: int

    @property
    def stages(self) -> int:
        return len(self.b)


@dataclass(frozen=True, eq=False)
class Rosenbrock:
    """(I - gamma h J) u_i = gamma (h f(t + c_i h, y + sum_j a_ij u_j) + sum_j g_ij u_j + h^2 d_i f_t), y1 = y + sum_i m_i u_i, error = u_last.

    The form without products by J (Hairer & Wanner, Solving ODEs II, IV.7), multiplied by gamma h: nothing divides by the step.
    """

    a: np.ndarray
    g: np.ndarray
    c: np.ndarray
    d: np.ndarray
    m: np.ndarray
    gamma: float
    order: int

    @property
    def stages(self) -> int:
        return len(self.m)


Tableau = Explicit | Rosenbrock


def _lower(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """A square matrix from the rows of its strictly lower triangle."""
    out = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def _stiffly_accurate(rows: Any, g: Any, c: Any, d: Any, gamma: float, order: int) -> Rosenbrock:
    """The last stages repeat the row before with a one more: so the last stage is the difference of the two embedded solutions."""
    a = [*rows]
    while len(a) < len(g):
        a.append([*a[-1], 1.0])
    c, d = ([*values, *([last] * (len(g) - len(values)))] for values, last in ((c, 1.0), (d, 0.0)))
    return Rosenbrock(_lower(a), _lower(g), np.array(c), np.array(d), np.array([*a[-1], 1.0]), gamma, order)


# Tsitouras, Computers and Mathematics with Applications 62 (2011) 770: order 5 with an embedded method of order 4; the last stage is the first of the next.
_TSIT5_B = [
    0.09646076681806523,
    0.01,
    0.4798896504144996,
    1.379008574103742,
    -3.290069515436081,
    2.324710524099774,
]
_TSIT5_A = [
    [],
    [0.161],
    [-0.008480655492356989, 0.335480655492357],
    [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
    [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
    [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383],
    _TSIT5_B,
]
_TSIT5_ERROR = [
    0.0017800110522257772,
    0.0008164344596567463,
    -0.007880878010261994,
    0.1447110071732629,
    -0.5823571654525552,
    0.45808210592918686,
    -1 / 66,
]
TSIT5 = Explicit(
    _lower(_TSIT5_A),
    np.array([*_TSIT5_B, 0.0]),
    np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0]),
    np.array(_TSIT5_ERROR),
    5,
)

# Hairer & Wanner, Solving ODEs II (1996), RODAS: order 4(3), L-stable, stiffly accurate.
RODAS4 = _stiffly_accurate(
    [
        [],
        [1.544],
        [0.9466785280815826, 0.2557011698983284],
        [3.314825187068521, 2.896124015972201, 0.9986419139977817],
        [1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950],
    ],
    [
        [],
        [-5.6688],
        [-2.430093356833875, -0.2063599157091915],
        [-0.1073529058151375, -9.594562251023355, -20.47028614809616],
        [7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160],
        [8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054],
    ],
    [0.0, 0.386, 0.21, 0.63],
    [0.25, -0.1043, 0.1035, -0.03620000000000023],
    0.25,
    4,
)

# Steinebach, BIT Numerical Mathematics 63 (2023) 27: Rodas5P, order 5(4), L-stable, stiffly accurate, small errors on parabolic problems.
RODAS5P = _stiffly_accurate(
    [
        [],
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946],
    ],
    [
        [],
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
        [30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623, -28.087943162872662],
        [
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ],
    [0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664],
    [0.21193756319429014, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734, 2.325825639765069],
    0.21193756319429014,
    5,
)
