"""Large cohorts as bands: within the stated error of the quantiles of all values, whatever the chunks; who fails is said; what is refused in which words."""

from __future__ import annotations

import logging
import re

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import Population, bolus, fixed, lognormal, stream_bands
from pkpd.errors import DoseError, ModelError, SolveError
from pkpd.models.classic import one_compartment_iv
from pkpd.simulate import Bands, design
from pkpd.simulate.sketch import Sketch
from pkpd.simulate.stream import BLOCK

N, TIMES, KEY, Q = 2300, [0.5, 4.0, 24.0], jax.random.key(4), (0.0, 0.01, 0.05, 0.5, 0.777, 0.95, 1.0)
DOSE = bolus((320, "mg"))


def draw(key, n):
    first, second = jax.random.split(key)
    return {"CL": 3.0 * jnp.exp(0.4 * jax.random.normal(first, (n,))), "V": 30.0 * jnp.exp(0.3 * jax.random.normal(second, (n,)))}


def stream(parameters=draw, regimen=DOSE, model=one_compartment_iv, **settings) -> Bands:
    return stream_bands(model, regimen, parameters, **({"times": TIMES, "n_subjects": N, "key": KEY, "progress": False} | settings))


def everybody(n: int = N) -> dict[str, np.ndarray]:
    """The parameters of the same subjects."""
    blocks = [draw(jax.random.fold_in(KEY, i), BLOCK) for i in range(-(-n // BLOCK))]
    return {name: np.concatenate([b[name] for b in blocks])[:n] for name in ("CL", "V")}


@pytest.fixture(scope="module")
def concentrations() -> np.ndarray:
    """Of all subjects at once [times, N]."""
    arm = design(one_compartment_iv, DOSE, TIMES, pd.DataFrame(index=range(N)), "all at once").predictor
    return np.asarray(jax.jit(lambda theta: arm.observables(theta)[0])(everybody()))[:, 0]


@pytest.fixture(scope="module")
def whole() -> Bands:
    return stream(quantiles=Q)


def wide(n: int = 4000) -> np.ndarray:
    """Streams that are hard to count: many decades, both signs, zeros, one value only, and the ends of the number line."""
    rng = np.random.default_rng(7)
    x = np.exp(5.0 * rng.normal(size=(7, n)))
    x[1] *= np.where(rng.random(n) < 0.4, -1.0, 1.0)
    x[2, ::3] = 0.0
    x[3] = -x[3]
    x[4] = 5.0
    x[5, ::2], x[5, 1::2] = -0.0, 0.0
    x[6] = 10.0 ** rng.uniform(-307, 306, n)
    return x


def within(found, exact, share: float) -> None:
    assert (np.abs(found - exact) <= share * np.abs(exact)).all(), np.max(np.abs(found - exact))


def same(a: Bands, b: Bands) -> None:
    """As bands of the same subjects; a sum is the same up to rounding."""
    assert (a.subjects, a.failures, a.failed, a.partial) == (b.subjects, b.failures, b.failed, b.partial)
    for name in ("values", "minimum", "maximum", "mean"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12)


def test_bands_are_within_the_stated_error_of_all_values_at_once(concentrations, whole):
    within(whole["cp"], np.quantile(concentrations, Q, axis=1), whole.relative_error)
    close = stream(relative_error=0.0005, quantiles=Q)
    within(close["cp"], np.quantile(concentrations, Q, axis=1), 0.0005)
    assert whole.names == ("central", "cp") and whole.units == ("mg", "mg/L") and whole.values.shape == (len(Q), 2, 3)
    within(whole["central"], np.quantile(concentrations * everybody()["V"], Q, axis=1), whole.relative_error)


def test_count_extremes_and_mean_are_exact(concentrations, whole):
    assert (whole.subjects, whole.n_failed, whole.partial) == (N, 0, False)
    np.testing.assert_allclose(whole.minimum[1], concentrations.min(1), rtol=1e-12)
    np.testing.assert_allclose(whole.maximum[1], concentrations.max(1), rtol=1e-12)
    np.testing.assert_allclose(whole.mean[1], concentrations.mean(1), rtol=1e-12)
    np.testing.assert_array_equal(whole["cp"][[0, -1]], [whole.minimum[1], whole.maximum[1]])
    within(whole.quantile([0.25])[0, 1], np.quantile(concentrations, 0.25, axis=1), whole.relative_error)


@pytest.mark.parametrize("chunk", [300, 4096])
def test_the_size_of_a_chunk_changes_nothing_and_who_fills_up_the_last_one_is_not_counted(whole, chunk):
    same(stream(chunk=chunk, quantiles=Q), whole)


def test_a_cohort_of_one_in_a_wide_chunk_is_one(concentrations):
    one = stream(n_subjects=1, chunk=64)
    assert one.subjects == 1
    np.testing.assert_array_equal(one.minimum, one.maximum)
    np.testing.assert_allclose(one["cp"], np.tile(concentrations[:, 0], (3, 1)), rtol=1e-12)


def test_two_cohorts_together_are_one(whole):
    first, second = stream(quantiles=Q), stream(quantiles=Q, key=jax.random.key(5), n_subjects=700)
    both = first.merge(second)
    assert both.subjects == N + 700
    same(both, second.merge(first))
    np.testing.assert_array_equal(both.minimum, np.minimum(first.minimum, second.minimum))
    with pytest.raises(ModelError, match=re.escape("Bands are merged when they have the same names and the same times")):
        first.merge(stream(times=[1.0]))
    with pytest.raises(ModelError, match="count the same streams with the same relative error"):
        first.merge(stream(relative_error=0.01))


def test_the_sketch_keeps_its_word_for_signs_zeros_and_many_decades():
    x, ranks = wide(), np.array([0, 1, 40, 1333, 2000, 3100, 3998, 3999])
    exact = np.sort(x, axis=1)[:, ranks].T
    for share in (0.02, 0.005, 0.0003):
        sketch = Sketch.of(x, share)
        within(sketch.quantile(ranks / 3999), exact, share * (1 + 1e-9))
    assert not sketch.quantile(Q)[:, 5].any() and (sketch.quantile(Q)[:, 4] == 5.0).all()


def test_parts_of_a_sketch_merge_in_any_order():
    x = wide()
    whole, parts = Sketch.of(x), [Sketch.of(p) for p in np.split(x, [1, 900, 900, 2500], axis=1)]
    for order in ((0, 1, 2, 3, 4), (4, 2, 0, 3, 1), (3, 4, 1, 0, 2)):
        merged = Sketch.empty(7)
        for i in order:
            merged = merged.merge(parts[i])
        assert merged.n == whole.n
        np.testing.assert_array_equal(merged.counts, whole.counts)
        np.testing.assert_array_equal(merged.quantile(Q), whole.quantile(Q))
        np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9)
    assert np.isnan(Sketch.empty(2).quantile(Q)).all() and np.isnan(Sketch.empty(2).mean).all()


def test_memory_does_not_grow_with_the_subjects():
    few, many = (Sketch.of(np.random.default_rng(1).lognormal(size=(3, n))) for n in (2000, 200_000))
    assert len(many.counts) < 2 * len(few.counts)


def failing(key, n):
    """Every hundredth subject has no volume."""
    theta = draw(key, n)
    return theta | {"V": jnp.where(jnp.arange(n) % 100 == 7, 0.0, theta["V"])}


def test_who_fails_is_counted_named_and_left_out(caplog):
    with caplog.at_level(logging.WARNING, "pkpd"):
        found = stream(failing, quantiles=Q)
    assert (found.subjects, found.n_failed) == (N - 23, 23)
    assert [number for number, _ in found.failed] == [8, 108, 208, 308, 408, 508, 608, 708, 808, 908]
    assert np.isfinite(found.values).all()
    (told,) = (r.getMessage() for r in caplog.records)
    assert told == found.losses
    assert told.startswith("23 of 2,300 subjects failed and are left out (8, 108, 208, ") and ", ...): 23 x a state became" in told
    assert "23 failed" in repr(found)
    same(stream(failing, quantiles=Q, chunk=256), found)


def test_without_anybody_there_are_no_bands():
    with pytest.raises(
        SolveError, match=r"3 of 3 subjects failed and are left out \(1, 2, 3\): 3 x a state .* There is nobody to make bands of"
    ):
        stream(lambda key, n: {"V": np.zeros(n)}, n_subjects=3)


def test_interrupted_the_bands_are_those_of_the_subjects_so_far(caplog):
    def interrupted(key, n):
        if (jax.random.key_data(key) == jax.random.key_data(jax.random.fold_in(KEY, 2))).all():
            raise KeyboardInterrupt
        return draw(key, n)

    found = stream(interrupted, chunk=500, quantiles=Q)
    assert found.partial and found.subjects == 2000 and "partial, stopped early" in repr(found)
    assert "Interrupted: these are the bands of the first 2,000 of 2,300 subjects." in caplog.text
    np.testing.assert_array_equal(found.values, stream(n_subjects=2000, chunk=500, quantiles=Q).values)


def test_a_population_is_drawn_around_the_medians_of_its_priors():
    people = Population(CL=lognormal(dist.LogNormal(np.log(3.0), 5.0), between=0.2), V=fixed(30.0))
    found = stream(people, quantiles=(0.5,))
    exact = 320 / 30 * np.exp(-np.array(TIMES) * 3.0 / 30)
    np.testing.assert_allclose(found["cp"][0], exact, rtol=0.04)
    assert (found.maximum[1] / found.minimum[1])[-1] > 1.5


def test_covariates_hold_for_every_subject_in_doses_and_in_the_population():
    people = Population(CL=fixed(3.0).effect("WT", reference=70.0, power=0.75), V=fixed(30.0, between=0.1))
    found = stream(people, bolus((4, "mg/kg")), covariates={"WT": 80.0}, quantiles=(0.5,), n_subjects=1000)
    exact = 320 / 30 * np.exp(-np.array(TIMES) * 3.0 * (80 / 70) ** 0.75 / 30)
    np.testing.assert_allclose(found["cp"][0], exact, rtol=0.03)


def test_the_records_of_one_subject_are_a_regimen(whole):
    same(stream(regimen=DOSE.to_records(one_compartment_iv), quantiles=Q), whole)


def test_what_is_asked_for_and_how_it_reads():
    again = DOSE.every((24, "h"), times=2)
    peak, trough = (stream(regimen=again, names=["cp"], n_subjects=100, at_dose=when) for when in ("after", "before"))
    assert peak.names == ("cp",) and (peak["cp"][:, 2] > trough["cp"][:, 2]).all()
    table = peak.table("cp")
    assert list(table.columns) == ["5%", "50%", "95%", "min", "mean", "max"] and table.index.tolist() == TIMES
    assert repr(peak) == "Bands(100 subjects, 0 failed; 3 quantiles of cp at 3 times; relative error 0.005)"


@pytest.mark.parametrize(
    "error, sentence, settings",
    [
        (ModelError, "`parameters` draws the subjects: a function (key, n) that gives names", {"parameters": {"CL": 3.0}}),
        (ModelError, "There is no parameter 'Cl'. Did you mean 'CL'?", {"parameters": lambda key, n: {"Cl": np.ones(n)}}),
        (ModelError, "Parameter 'V' is -1 for subject 4; it must be", {"parameters": lambda key, n: {"V": np.where(np.arange(n) == 3, -1.0, 1.0)}}),
        (ModelError, "give one number, or one for each of the 1000 subjects", {"parameters": lambda key, n: {"V": np.ones(3)}}),
        (ModelError, "key=3: a key of JAX, as in key=jax.random.key(3).", {"key": 3}),
        (ModelError, "n_subjects=0: a whole number of subjects, at least 1.", {"n_subjects": 0}),
        (ModelError, "chunk=-1: a whole number of subjects, at least 1.", {"chunk": -1}),
        (ModelError, "quantiles=(5, 50): numbers from 0 to 1, as in (0.05, 0.5, 0.95).", {"quantiles": (5, 50)}),
        (ModelError, "relative_error=0: a share from 0.0001 to below 0.5", {"relative_error": 0}),
        (ModelError, "one_compartment_iv has no state or observable 'cpp'. Did you mean 'cp'?", {"names": ["cpp"]}),
        (ModelError, "names='cp': a sequence of states and observables, as in ['cp'].", {"names": "cp"}),
        (DoseError, "The times of a design are finite hours, each later than the one before", {"times": [2.0, 1.0]}),
    ],
)  # fmt: skip
def test_what_is_refused(error, sentence, settings):
    with pytest.raises(error, match=re.escape(sentence)):
        stream(**settings)


def test_a_name_that_is_not_there_and_a_seed_that_is_not_given(whole):
    with pytest.raises(ModelError, match=re.escape("These bands have no 'c'. Did you mean 'cp'?")):
        whole["c"]
    with pytest.raises(TypeError, match="key"):
        stream_bands(one_compartment_iv, DOSE, draw, times=TIMES, n_subjects=10)  # type: ignore[call-arg]  # a seed is never chosen in silence
