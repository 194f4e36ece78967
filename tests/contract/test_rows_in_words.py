"""How the rows of an observable count, in words: the exact sentences of the report."""

import numpy as np
import pytest

from pkpd import (
    FitError,
    additive_error,
    binary,
    by_group,
    by_subject,
    correlated,
    detection,
    last_positive,
    limits_by,
    lognormal_error,
    markov_chain,
    ordinal,
    poisson_count,
    recist,
    student_error,
    time_to_event,
)
from pkpd.noise import endpoint_of
from tests.statistics.test_limits import rows

NAN = np.nan
DV = np.array([2.5, 0.5, 0.5, 0.1, 9.0, 1.0])
CENS = np.array([0, 1, 1, 1, -1, 1])
LOWER = np.array([NAN, NAN, NAN, NAN, NAN, 0.2])


def limited(**more):
    return rows(DV, CENS, LOWER, **more)


EXACT = "Exact: 1 row."
BELOW = "Left-censored: 3 rows, counted as P(y < limit), the M3 method; limits 0.1 (1 row), 0.5 (2 rows)."
BETWEEN = "Intervals (detected, not quantifiable): 1 row, counted as P(lower < y < limit); 0.2 to 1."
ABOVE = "Right-censored: 1 row, counted as P(y > limit); limits 9 (1 row)."


@pytest.mark.parametrize("error", [lognormal_error(0.3), student_error(lognormal_error(0.3), 4.0), by_subject(lognormal_error(0.3), 0.5)])
def test_every_kind_of_limit_is_told(error):
    assert error.told(limited()) == [EXACT, BELOW, BETWEEN, ABOVE]


def test_limits_that_the_data_give_are_told_and_split_by_assay():
    assay = np.array([1.0, 1, 1, 2, 2, 2])
    data = limited(lloq=np.array([0.5, 0.5, 0.5, 0.1, 0.1, 0.1]), ASSAY=assay)
    told = by_group(lognormal_error(0.3), "ASSAY").bound(data).told(data)
    assert told[4:] == [
        "LLOQ given in the data: 0.1 (3 rows), 0.5 (3 rows).",
        "ASSAY 1: 3 rows; censored below 0.5 (2 rows).",
        "ASSAY 2: 3 rows; censored below 0.1 (1 row), 1 (1 row).",
    ]


LIMITS = "; limits 0.1 (1 row), 0.5 (2 rows)."


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("M1", "Below the limit: 3 rows left out (M1)"),
        ("M2", "Below the limit: 3 rows left out, the others conditional on y > LLOQ (M2)"),
        ("M4", "Left-censored: 3 rows, counted as P(y < limit) given y > 0; the exact rows are conditional on y > 0 too (M4)"),
        ("M5", "Below the limit: 3 rows replaced by LLOQ/2 (M5)"),
        ("M6", "Below the limit: 1 row, the first of a run, replaced by LLOQ/2; 2 rows later in a run left out (M6)"),
        ("M7", "Below the limit: 3 rows replaced by 0 (M7)"),
    ],
)
def test_what_a_method_did_with_rows_below_the_limit(method, sentence):
    data = rows(np.array([2.5, 0.5, 0.5, 0.1]), np.array([0, 1, 1, 1]))
    assert limits_by(additive_error(0.3), method).told(data) == [EXACT, sentence + LIMITS]


def test_detection_only_rows_are_told():
    data = rows(np.array([1.0, 0, 0, 1, 1]), subject=[0, 0, 0, 1, 1], time=[0, 1, 2, 0, 1], lloq=np.array([10.0, 10, 10, 50, 50]))
    seen = "Detection only: 3 positive (DV 1), 2 negative (DV 0)."
    assert detection(0.3, kind="LOD95").told(data) == [seen, "LOD95: 10 (3 rows), 50 (2 rows)."]
    assert last_positive(0.3, lod=5.0).told(data) == [
        seen,
        "Disappearance between a last positive and a first negative row: 1 subject; always positive: 1; never positive: 0.",
        "Other rows, which count 0: 2.",
        "LOD: 5 (5 rows), the same for all rows.",
    ]


def test_events_grades_counts_and_states_are_told():
    events = rows(np.array([0.0, 1, 1, 0]), np.array([0, 0, 1, 0]), subject=[0, 0, 1, 2])
    assert time_to_event("h").told(events) == [
        "Events: 1 at exact times, 1 in the interval since the row before.",
        "Without an event: 2 rows; 1 subject had none to the last row (right-censored).",
    ]
    graded = rows(np.array([0.0, 0, 2, 1]), subject=[0, 0, 1, 1])
    assert ordinal((0.0, 1.0)).told(graded) == ["Grades: 0 (2 rows), 1 (1 row), 2 (1 row)."]
    assert poisson_count().told(rows(np.arange(14.0)))[0].endswith("11 (1 row), and 2 more.")
    assert binary().told(rows(np.array([1.0, 0, 0]))) == ["Values (1 yes, 0 no): 0 (2 rows), 1 (1 row)."]
    assert markov_chain({(0, 1): 0.1, (1, 2): 0.1}).told(graded) == [
        "States: 0 (2 rows), 1 (1 row), 2 (1 row).",
        "First of their subject, conditioned on: 2 rows.",
    ]
    assert recist(0.1, 0.1, "f0").told(rows(np.array([1.0, 3]))) == ["Classes (1 CR or PR, 2 SD, 3 PD): 1 (1 row), 3 (1 row)."]


def test_each_observation_knows_what_its_values_are():
    kinds = {
        "continuous": by_group(student_error(lognormal_error(0.3), 4.0), "ASSAY"),
        "binary": detection(0.3, lod=1.0),
        "grades": ordinal((0.0,  1.0)),
        "counts": poisson_count(),
        "states": markov_chain({(0, 1): 0.1}),
        "event": time_to_event("h"),
        "recurrent event": time_to_event("h", recurrent=True),
    }  # fmt: skip
    assert {k: endpoint_of(v) for k, v in kinds.items()} == {k: k for k in kinds}


def term(observation, data, values):
    import jax.numpy as jnp

    bound = observation.bound(data)
    return np.asarray(bound.law(jnp.full(len(data.dv), 1.3), [jnp.asarray(v) for v in values], data, None).log_prob(jnp.asarray(data.dv)))


def test_spreads_by_group_and_subject_go_around_other_residuals():
    """The nested law equals the plain law with each row's own sd, row by row; and the order of wrapping does not matter."""
    data = rows(np.full(4, 2.0), np.array([0, 0, 1, 0]), subject=[0, 0, 1, 1], ASSAY=np.array([1.0, 2, 1, 2]), lloq=np.full(4, 0.5))
    sd, z = np.array([0.3, 0.6, 0.3, 0.6]), np.array([0.5, -1.0])
    own = sd * np.exp(0.4 * z[[0, 0, 1, 1]])
    for make in (lambda e: student_error(e, 4.0), lambda e: limits_by(e, "M2"), lambda e: limits_by(e, "M4")):
        more = [p for p in (make(additive_error(0.3)).priors) if p[0] == "df"]
        plain = [term(make(additive_error(float(s))), data, [s, *(p for _, p in more)])[i] for i, s in enumerate(sd)]
        shared = [p for _, p in more]
        inside, outside = by_group(make(additive_error(0.3)), "ASSAY"), make(by_group(additive_error(0.3), "ASSAY"))
        for wrapped in (inside, outside):
            np.testing.assert_allclose(term(wrapped, data, [0.3, 0.6, *shared]), plain, rtol=1e-12)
        both = [term(make(additive_error(float(s))), data, [s, *shared])[i] for i, s in enumerate(own)]
        one = by_subject(by_group(make(additive_error(0.3)), "ASSAY"), 0.4)
        other = by_group(by_subject(make(additive_error(0.3)), 0.4), "ASSAY")
        for wrapped in (one, other):
            np.testing.assert_allclose(term(wrapped, data, [0.3, 0.6, *shared, 0.4, z]), both, rtol=1e-12)


def test_wrappers_refuse_what_they_cannot_scale():
    accepted = (
        "takes additive_error, proportional_error, combined_error, lognormal_error or power_error, or student_error, limits_by, "
        "autoregressive, correlated, by_group or by_subject of one; got Discrete."
    )
    for word, wrap in (("by_group", lambda e: by_group(e, "ASSAY")), ("by_subject", lambda e: by_subject(e, 0.5))):
        with pytest.raises(FitError) as caught:
            wrap(poisson_count())
        assert str(caught.value) == f"{word}(error=...) {accepted}"
    with pytest.raises(FitError) as caught:
        limits_by(student_error(lognormal_error(0.3), 4.0), "M4")
    assert str(caught.value) == (
        "limits_by(error=...) takes additive_error, proportional_error, combined_error, lognormal_error or power_error, "
        "or by_group or by_subject of one; got StudentError."
    )
    with pytest.raises(FitError) as caught:
        by_subject(by_group(by_subject(lognormal_error(0.3), 0.5), "ASSAY"), 0.5)
    assert str(caught.value) == "by_subject(by_subject(...)): the standard deviation varies between subjects already; take one of the two."


def test_a_wrapped_lognormal_refuses_values_that_have_no_logarithm():
    data = rows(np.array([0.0, 1.0]), ASSAY=np.ones(2), **{"dv:cq": np.ones(2), "cens:cq": np.zeros(2)})
    plain = lognormal_error(0.3)
    sentence = plain.check(data)
    assert len(sentence) == 1
    pair = correlated(plain, with_="cq", other_error=plain, correlation=0.5)
    for error in (student_error(plain, 4.0), by_group(plain, "ASSAY"), by_subject(plain, 0.5), limits_by(plain, "M5"), pair):
        assert error.bound(data).check(data) == sentence


def test_a_pair_must_name_the_residual_error_its_partner_has():
    from pkpd.inference.problem_checks import _wrong_partner

    plain = lognormal_error(0.3)
    noise = {"cp": by_group(correlated(plain, with_="cq", other_error=plain, correlation=0.5), "ASSAY"), "cq": lognormal_error(0.2)}
    assert _wrong_partner(noise, "cp") == []
    for kind, other in (("additive", additive_error(0.2)), ("lognormal by ASSAY", by_group(plain, "ASSAY"))):
        assert _wrong_partner(noise | {"cq": other}, "cp") == [
            f"noise['cp'] is correlated with 'cq' as lognormal, and noise['cq'] is {kind}; give both the same plain residual error."
        ]
