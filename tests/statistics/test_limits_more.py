"""Observations on rows they cannot score, far from their prediction, and drawn from their own law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pkpd import (
    additive_error,
    autoregressive,
    by_group,
    by_subject,
    correlated,
    detection,
    last_positive,
    limits_by,
    lognormal_error,
    power_error,
)
from tests.statistics.test_limits import rows

NAN = np.nan
PAIR = {"dv:cq": np.array([1.0, 1.0]), "cens:cq": np.zeros(2)}


def paired(error, rho=0.5):
    return correlated(error, with_="cq", other_error=additive_error(0.1), correlation=rho)


TWO = np.array([2.0, 1.0])
CENSORED = np.array([0, 1])
LAST = "leave out the serial correlation, or drop the row."
LIMIT = "Give LLOQ in the data, or use M3, which needs it in BLQ rows only."
INTERVALS = {m: limits_by(additive_error(0.3), m) for m in ("M5", "M6", "M7")}
SENTENCES = {
    "serial, censored": (
        autoregressive(additive_error(0.3), 2.0),
        rows(TWO, CENSORED),
        [f"Row 2, subject 1: the row is censored ('y', 1), and autoregressive(...) takes observed values only; {LAST}"],
    ),
    "serial, tied": (
        autoregressive(additive_error(0.3), 2.0),
        rows(TWO, time=[4.0, 4.0]),
        ["Row 2, subject 1: 'y' is measured twice at 4 h, and autoregressive(...) needs different times; average the replicates."],
    ),
    "pairs, none": (
        paired(additive_error(0.3)),
        rows(TWO),
        ["No row of 'y' has one of 'cq' at the same time; leave out correlated(...)."],
    ),
    "pairs, censored": (
        paired(additive_error(0.3)),
        rows(TWO, np.array([1, 0]), **{**PAIR, "cens:cq": np.array([0.0, 1.0])}),
        [
            f"Row {i + 1}, subject 1: 'y' or 'cq' is censored at {i} h, and correlated(...) takes pairs of observed values only; "
            "leave out the correlation, or drop the row."
            for i in range(2)
        ],
    ),
    "M2, no limit in a row": (
        limits_by(additive_error(0.3), "M2"),
        rows(TWO, lloq=np.array([0.5, NAN])),
        [f"Row 2, subject 1: M2 needs a value in lloq, and it is empty. {LIMIT}"],
    ),
    "M2, below the limit": (
        limits_by(additive_error(0.3), "M2"),
        rows(TWO, lloq=np.array([0.5, 1.5])),
        ["Row 2, subject 1: 'y' is 1, below its LLOQ 1.5, and not marked as censored; set CENS 1."],
    ),
    "M4": (
        limits_by(additive_error(0.3), "M4"),
        rows(np.array([2.0, -1.0])),
        ["Row 2, subject 1: 'y' is -1, and M4 takes values above 0 only; use M3, which lets y be negative."],
    ),
    **{
        method: (
            error,
            rows(TWO, CENSORED, np.array([NAN, 0.2])),
            [f"Row 2, subject 1: 'y' is between 0.2 and 1, and {method} takes rows below a limit only; use M3, which takes intervals."],
        )
        for method, error in INTERVALS.items()
    },
}
DETECTIONS = {"detection": detection, "last_positive": last_positive}


@pytest.mark.parametrize("case", SENTENCES)
def test_what_a_residual_cannot_score(case):
    observation, data, told = SENTENCES[case]
    assert observation.check(data) == told


@pytest.mark.parametrize("word", DETECTIONS)
def test_what_a_detection_cannot_score(word):
    make = DETECTIONS[word]
    cure = f"Give the limit in the data, or {word}(..., lod=...)."
    known = {"lloq": np.full(2, 5.0)}
    assert make(0.3).check(rows(np.array([1.0, 2.0]), **known)) == [
        f"Row 2, subject 1: 'y' is 2, and {word} takes 1 (detected) or 0 (not detected)."
    ]
    assert make(0.3, lod=5.0).check(rows(np.array([1.0, 0.0]), CENSORED)) == [
        f"Row 2, subject 1: 'y' is marked as censored, and {word} takes CENS 0 with a DV of 1 or 0; mark a row not detected by DV 0."
    ]
    empty = rows(np.array([1.0, 0.0]), lloq=np.array([5.0, NAN]))
    assert make(0.3).check(empty) == [f"Row 2, subject 1: {word} needs a value in lloq, and it is empty. {cure}"]
    assert make(0.3).check(rows(np.array([1.0, 0.0]), lloq=np.array([5.0, 0.0]))) == [
        "Row 2, subject 1: the limit of detection is 0; it must be above 0."
    ]


Z = np.array([0.0, 0.5])
FAR = {
    "correlated": (paired(additive_error(0.1)), {**PAIR}, [0.1, 0.5]),
    "correlated, lognormal": (paired(lognormal_error(0.1)), {**PAIR}, [0.1, 0.5]),
    "by group": (by_group(lognormal_error(0.1), "G"), {"G": np.array([1.0, 2.0])}, [0.1, 0.2]),
    "by subject": (by_subject(lognormal_error(0.1), 0.5), {}, [0.1, 0.5, Z]),
    "power": (power_error(0.1, 0.7), {}, [0.1, 0.7]),
    "M2": (limits_by(additive_error(0.1), "M2"), {"lloq": np.full(2, 0.9)}, [0.1]),
}


CASES = [
    (kind, cens) for kind in FAR for cens in ((0,) if kind.startswith("correlated") else (0, 1, -1))
]  # pairs take observed values only


@pytest.mark.parametrize("sds", [-40.0, 40.0])
@pytest.mark.parametrize(("kind", "cens"), CASES)
def test_forty_standard_deviations_out_in_prediction_value_and_parameters(kind, sds, cens):
    """Value and slopes are finite, and the slopes are those of central differences (step 1e-6 of each; rtol 1e-4 for rounding of terms near 800)."""
    observation, columns, values = FAR[kind]
    logs = "lognormal" in observation.kind
    far = np.exp(0.1 * sds) if logs else 1.0 + 0.1 * sds
    far = max(far, 1e-3) if kind == "power" else far  # a spread that is a power of the prediction is that of a positive one
    data = rows(np.ones(2), np.array([cens, 0]), subject=[0, 1], **columns)
    bound = observation.bound(data)
    also = lambda name: [jnp.asarray(0.1)] if name.startswith("values:") else jnp.ones(2)  # noqa: E731

    def total(f, y, *given):
        return jnp.sum(bound.law(f * jnp.ones(2), list(given), data, also).log_prob(y * jnp.ones(2)))

    at = [jnp.asarray(x, float) for x in (far, 1.0, *values)]
    value, slopes = jax.value_and_grad(total, range(len(at)))(*at)
    assert np.isfinite(value) and all(np.isfinite(s).all() for s in slopes)
    for i, slope in enumerate(slopes):
        if at[i].ndim == 0:
            h = 1e-6 * max(1e-2, abs(float(at[i])))
            moved = [[x + k * h if j == i else x for j, x in enumerate(at)] for k in (1, -1)]
            np.testing.assert_allclose(slope, (total(*moved[0]) - total(*moved[1])) / (2 * h), rtol=1e-4, atol=1e-3)


def test_replicates_of_a_pair_have_their_own_law():
    """Kolmogorov-Smirnov of 4,000 draws of each of two rows against the normal: p > 1e-4, a false alarm twice in 10,000 seeds; the seed is fixed."""
    data = rows(np.ones(2), **PAIR)
    also = lambda name: [jnp.asarray(0.1)] if name.startswith("values:") else jnp.ones(2)  # noqa: E731
    law = paired(additive_error(0.5), 0.9).law(jnp.array([3.0, 7.0]), [0.5, 0.9], data, also)
    drawn = np.asarray(law.sample(jax.random.key(2), (4000,)))
    for i, f in enumerate((3.0, 7.0)):
        assert stats.kstest(drawn[:, i], stats.norm(f, 0.5).cdf).pvalue > 1e-4


def test_replicates_given_a_positive_value_are_truncated():
    """Kolmogorov-Smirnov of 4,000 draws of each row against the normal cut at 0: p > 1e-4, a false alarm three times in 10,000 seeds; fixed seed."""
    f = np.array([0.3, 1.0, -1.5])
    law = limits_by(additive_error(0.5), "M4").law(jnp.asarray(f), [0.5], rows(np.ones(3)), None)
    drawn = np.asarray(law.sample(jax.random.key(4), (4000,)))
    assert (drawn >= 0).all()
    for i, at in enumerate(f):
        assert stats.kstest(drawn[:, i], stats.truncnorm(-at / 0.5, np.inf, at, 0.5).cdf).pvalue > 1e-4
        grid = np.array([0.1, 0.7, 2.0])
        each = rows(grid)
        found = limits_by(additive_error(0.5), "M4").law(jnp.full(3, at), [0.5], each, None).log_prob(jnp.asarray(grid))
        np.testing.assert_allclose(found, stats.truncnorm(-at / 0.5, np.inf, at, 0.5).logpdf(grid), rtol=1e-9)


def test_replicates_of_a_disappearance_fall_where_its_law_says():
    """Chi-square of 20,000 subjects over the five places of the last positive row: p > 1e-4, a false alarm once in 10,000 seeds; the seed is fixed."""
    f = np.array([500.0, 120.0, 60.0, 20.0])
    seen = rows(np.zeros(4))
    drawn = np.asarray(last_positive(0.6, lod=50.0).law(jnp.asarray(f), [0.6], seen, None).sample(jax.random.key(5), (20_000,)))
    assert (np.diff(drawn, axis=1) <= 0).all()  # a falling signal is lost once
    counts = np.bincount(drawn.sum(1).astype(int), minlength=5)
    expected = []
    for k in range(5):
        data = rows((np.arange(4) < k).astype(float))
        terms = last_positive(0.6, lod=50.0).law(jnp.asarray(f), [0.6], data, None).log_prob(jnp.asarray(data.dv))
        expected.append(20_000 * np.exp(float(jnp.sum(terms))))
    assert sum(expected) == pytest.approx(20_000, rel=1e-12)
    enough = np.array(expected) > 5
    assert stats.chi2.sf(np.sum((counts - expected)[enough] ** 2 / np.array(expected)[enough]), enough.sum() - 1) > 1e-4


CALIBRATED = {"M4": limits_by(additive_error(0.5), "M4"), "false positives": detection(0.5, lod=1.0, false_positive=0.1)}


@pytest.mark.parametrize("kind", CALIBRATED)
def test_the_truth_is_uniform_in_its_own_posterior(kind):
    """300 studies of 12 rows, level exp(m), m ~ N(0, 0.5), posterior on a grid; KS p > 1e-3: a false alarm once in 1000 seeds; the seed is fixed.

    M4: a fifth to four fifths of all rows lie below the limit 1.
    """
    studies, n, grid = 300, 12, np.linspace(-2.5, 2.5, 201)
    observation, truth = CALIBRATED[kind], np.random.default_rng(11).normal(0.0, 0.5, studies)
    values = [jnp.asarray(p) for _, p in observation.priors]
    shared = rows(np.ones(studies * n))
    y = np.asarray(observation.law(jnp.asarray(np.repeat(np.exp(truth), n)), values, shared, None).sample(jax.random.key(8)))
    low = (y < 1.0) & (kind == "M4")
    assert kind != "M4" or 0.2 < low.mean() < 0.8
    dv, cens = (np.repeat(x.reshape(studies, 1, n), len(grid), 1).ravel() for x in (np.where(low, 1.0, y), low.astype(int)))
    f = np.tile(np.repeat(np.exp(grid), n), studies)
    terms = observation.law(jnp.asarray(f), values, rows(dv, cens), None).log_prob(jnp.asarray(dv))
    total = np.asarray(terms).reshape(studies, len(grid), n).sum(-1) + stats.norm(0, 0.5).logpdf(grid)
    weight = np.exp(total - total.max(1, keepdims=True))
    places = np.cumsum(weight, 1) - 0.5 * weight
    places = [np.interp(t, grid, p / w.sum()) for t, p, w in zip(truth, places, weight, strict=True)]
    assert stats.kstest(places, "uniform").pvalue > 1e-3
