"""Problem C, frozen: the CAR-macrophage benchmark in which solvers are compared, not the flagship model. 10 states, 12 parameters, 18 subjects, 28 days.

Cells infused into blood move to lung, liver, spleen and tumour, drive three cytokines and T cells, and slow tumour growth. The fastest rate, 77 per day,
makes it stiff over 28 days. Every second subject has three infusions of 0.02 days, the others one of 0.03 days; looks at 27 times. Times are days.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from pkpd.solve import Events

STATES = ("blood", "lung", "liver", "spleen", "tumour", "il6", "tnf", "ifng", "t_cells", "tumour_size")
TYPICAL = {
    "k_BL": 60.0, "k_LB": 3.0, "k_BH": 8.0, "k_BP": 1.5, "k_BT": 0.6, "k_d": 0.15,
    "Emax": 40.0, "EC50": 0.8, "kout_il6": 8.0, "k_kill": 0.05, "k_grow": 0.012, "k_T": 0.5,
}  # fmt: skip
SPREAD = {"k_BL": 0.4, "k_LB": 0.3, "k_BH": 0.4, "k_d": 0.4, "Emax": 0.5, "kout_il6": 0.3, "k_kill": 0.5, "k_grow": 0.4}
BLOOD = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.05, 2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 21.0, 28.0]
CYTOKINES = [0.25, 0.5, 1.0, 2.0, 3.0, 4.25, 5.0, 7.0, 10.0, 14.0, 21.0, 28.0]
LOOKS = np.unique(BLOOD + CYTOKINES)
END = 28.2


def rates(t, y, p, q, r):
    """dy/dt; r[0] is the infusion, which also stimulates a little."""
    blood, lung, liver, spleen, tumour, il6, tnf, ifng, t_cells, size = y
    k_bl, k_lb, k_bh, k_bp, k_bt, k_d, e_max, ec50, k_il6, k_kill, k_grow, k_t = p
    homing = k_bt * blood * jnp.maximum(size, 0.0)
    drive = tumour + 0.02 * (lung + blood) + 0.0005 * r[0]
    stimulus = e_max * drive / (ec50 + drive)
    return [
        r[0] - (k_bl + k_bh + k_bp + k_d) * blood - homing + k_lb * lung + 0.3 * liver + 0.4 * spleen,
        k_bl * blood - (k_lb + k_d) * lung,
        k_bh * blood - (0.3 + k_d) * liver,
        k_bp * blood - (0.4 + k_d) * spleen,
        homing - k_d * tumour,
        k_il6 * (1.0 + stimulus + 0.3 * tnf / (1.0 + 0.1 * tnf) - il6),
        40.0 * (1.0 + 0.5 * stimulus - tnf),
        6.0 * (1.0 + 0.6 * t_cells - ifng),
        k_t * tumour / (1.0 + tumour) - 0.2 * t_cells,
        k_grow * size * (1.0 - size / 5.0) - k_kill * (tumour + 0.5 * t_cells) * size,
    ]


class Given(NamedTuple):
    """The arguments of the contract's solve."""

    events: Events
    y0: np.ndarray
    p: np.ndarray
    q: np.ndarray
    times: np.ndarray


def problem(subjects: int = 18, seed: int = 2) -> Given:
    """Schedules, initial values and parameters of the subjects; the same for the same seed."""
    lanes = [_schedule(b) for b in range(subjects)]
    edges, rate = (np.stack([lane[i] for lane in lanes], -1) for i in (0, 1))
    segments, n = rate.shape[0], len(STATES)
    y0 = np.zeros((n, subjects))
    y0[5:8], y0[5], y0[9] = 1.0, 1.0 + 0.3 / 1.1, 1.0
    times = np.repeat(LOOKS[:, None], subjects, 1)
    segment = np.stack([np.searchsorted(edges[:, b], LOOKS, side="right") - 1 for b in range(subjects)], -1)
    rates_in = np.zeros((segments, n, subjects))
    rates_in[:, 0] = rate
    events = Events(edges, np.zeros_like(rates_in), rates_in, np.zeros((segments, subjects)), np.minimum(segment, segments - 1))
    return Given(events, y0, _parameters(subjects, seed), np.zeros((0, segments, subjects)), times)


def _schedule(b: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges and infusion rates between them, padded to seven edges."""
    doses = [(0.0, 3.0, 0.02), (2.0, 3.0, 0.02), (4.0, 4.0, 0.02)] if b % 2 == 0 else [(0.0, 10.0, 0.03)]
    edges = [edge for start, _, length in doses for edge in (start, start + length)] + [END]
    rate = [x for _, amount, length in doses for x in (amount / length, 0.0)]
    return np.array(edges + [END] * (7 - len(edges))), np.array(rate + [0.0] * (6 - len(rate)))


def _parameters(subjects: int, seed: int) -> np.ndarray:
    log = np.repeat(np.log(list(TYPICAL.values()))[:, None], subjects, 1)
    varied = [list(TYPICAL).index(name) for name in SPREAD]
    log[varied] += np.array(list(SPREAD.values()))[:, None] * np.random.default_rng(seed).normal(size=(len(varied), subjects))
    return np.exp(log)


def objective(y):
    """What is differentiated: every state at every look counts."""
    return jnp.sum(jnp.log(jnp.abs(y) + 0.1))
