"""What a Population refuses, in words."""

import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import Correlation, Population, fixed, lognormal, tied
from pkpd.errors import FitError

CL = lognormal(dist.LogNormal(1.0, 0.5), between=0.4)
V = lognormal(dist.LogNormal(3.0, 0.5), between=0.2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Population(CL=dist.Normal(0, 1)),
            r"Population\(CL=...\) takes lognormal\(...\), logit_normal\(...\), normal\(...\), fixed\(...\) or tied",
        ),
        (
            lambda: Population(CL=CL, V=fixed(3.0), correlation=("CL", "V")),
            "correlation names 'V', which has no between-subject variability here",
        ),
        (lambda: Population(CL=CL, V=V, correlation=("CL", "W")), "correlation names 'W'.*Known: CL, V"),
        (lambda: Population(CL=CL, V=V, correlation=("CL",)), r"A correlation joins at least two parameters; got \['CL'\]"),
        (lambda: Population(CL=CL, V=V, K=V, correlation=[("CL", "V"), ("V", "K")]), "'V' stands in two correlation groups"),
        (lambda: Population(k=tied("CLL"), CL=CL), "'k' is tied to 'CLL'.*CL"),
        (lambda: Population(k=tied("k")), "'k' is tied to 'k'"),
        (lambda: Population(k=tied("j"), j=tied("CL"), CL=CL), "'k' is tied to 'j', which is not a free or fixed parameter"),
        (
            lambda: CL.effect("WT", reference=70),
            r"^The effect of WT takes power=... \(allometric\), slope=... \(exponential\) or prior=... \(categorical\), one of the three\.$",
        ),
        (lambda: CL.effect("WT", reference=70, power=1, prior=dist.Normal(0, 1)), "one of the three"),
        (lambda: CL.effect("WT", reference=70, power=1, slope=0.1), "one of the three"),
        (lambda: CL.effect("WT", reference=0, power=0.75), "The reference of a power effect must be positive; WT has 0"),
        (lambda: fixed(1.0, scale="logg"), r"fixed\(..., scale='logg'\): accepted are log, logit, identity"),
        (lambda: fixed(-1.0), r"fixed\(-1\).*log scale.*positive"),
        (lambda: fixed(1.5, scale="logit"), r"fixed\(1.5\).*logit scale.*between 0 and 1"),
        (lambda: lognormal(dist.LogNormal(0, 1), between=0.0), "between=0"),
        (lambda: lognormal(dist.LogNormal(0, 1), between=-0.3), "between=-0.3"),
        (lambda: lognormal(dist.Normal(0, 1)), r"lognormal\(prior=Normal\(...\)\): this prior reaches values that are not positive"),
        (
            lambda: lognormal(dist.LogNormal(0, 1), between=dist.Normal(0, 1)),
            r"lognormal\(between=Normal\(...\)\): a standard deviation is positive",
        ),
        (lambda: tied("CL").effect("WT", reference=70, power=0.75), "A tied parameter takes no effect of its own: it follows 'CL'"),
    ],
)
def test_refused(make, words):
    with pytest.raises(FitError, match=words):
        make()


def test_effects_meet_their_covariate():
    weighed = CL.effect("WT", reference=70, power=0.75).effects[0]
    with pytest.raises(FitError, match="A power effect of WT needs positive values; the cohort has -3"):
        weighed.columns(np.array([70.0, -3.0]))
    scored = CL.effect("HER2", reference=3, prior=dist.Normal(0, 1)).effects[0]
    with pytest.raises(FitError, match=r"The reference 3 of HER2 occurs in no subject"):
        scored.columns(np.array([2.0, 2.0]))
    assert list(scored.columns(np.array([1.0, 2.0, 3.0]))) == ["HER2_1", "HER2_2"]
    assert list(scored.columns(np.array([2.0, 3.0]))) == ["HER2"]


def test_groups_of_correlation_in_every_spelling():
    for spelling in (("CL", "V"), Correlation(("CL", "V")), [("CL", "V")], [Correlation(("CL", "V"))]):
        assert [g.names for g in Population(CL=CL, V=V, correlation=spelling).correlation] == [("CL", "V")]
