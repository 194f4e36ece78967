"""Summaries under normal residual errors against simulation; counts of patients listed one by one against enumeration; no term without a slope."""

from functools import cache
from itertools import combinations, product

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from pkpd import Population, lognormal
from pkpd.errors import FitError
from pkpd.events import bolus
from pkpd.inference.published import sobol_normals
from pkpd.inference.summaries import Detectable, DetectableJointly, MeanSd, PeakSummary, Responders, Seen, SummaryArm
from pkpd.inference.summary_laws import Scatter, by_patient, mean_and_sd, mean_log, moments, peak_law, poisson_binomial
from pkpd.inference.summary_model import summary_log_likelihood
from pkpd.models.classic import one_compartment_iv
from pkpd.noise import additive_error, combined_error, lognormal_error, power_error, proportional_error

LAW = Population(V=lognormal(dist.LogNormal(3.0, 0.5), between=dist.HalfNormal(0.5)))
SITES = {"V": 20.0, "omega_V": 0.4}
ARM = SummaryArm(one_compartment_iv, bolus((100, "mg")), [0.0, 5.0], 14)
ERRORS = {
    "additive": additive_error(0.8),
    "proportional": proportional_error(0.25),
    "combined 1": combined_error(0.3, 0.2, form=1),
    "combined 2": combined_error(0.3, 0.2),
    "power": power_error(0.3, 0.7),
    "lognormal": lognormal_error(0.3),
}
ALARM = 4.0  # standard errors of a simulated number; a right value lies further out in 6e-5 of cases
N = 200_000


def law_of(error, f) -> Scatter:
    return Scatter(*error.mean_sd(f, [prior for _, prior in error.priors]), error.logs)


@cache
def simulated(kind: str, visits: int = 1) -> np.ndarray:
    """Measurements [visits, N] at 0 h of subjects whose prediction is 5 exp(0.4 e)."""
    rng = np.random.default_rng(7)
    law = law_of(ERRORS[kind], 5.0 * np.exp(0.4 * rng.normal(size=N)))
    x = np.asarray(law.mean) + np.asarray(law.sd) * rng.normal(size=(visits, N))
    return np.exp(x) if law.logs else x


@cache
def predicted():
    return 5.0 * jnp.exp(0.4 * jnp.asarray(sobol_normals(1, 4096, 1)[:, 0]))


@pytest.mark.parametrize("kind", ERRORS)
def test_the_share_above_a_limit_is_the_simulated_one(kind: str) -> None:
    share = np.mean(simulated(kind) > 4.0)
    p = np.exp(summary_log_likelihood([(ARM, [Detectable("cp", 0.0, 4.0, 1, 1)])], LAW, {"cp": ERRORS[kind]}, SITES, 4096))
    assert abs(p - share) < ALARM * np.sqrt(share * (1 - share) / N)


@pytest.mark.parametrize("kind", ERRORS)
def test_moments_are_the_simulated_ones(kind: str) -> None:
    y = simulated(kind)[0]
    log_mu, *central = moments(predicted(), law_of(ERRORS[kind], predicted()))
    mu = float(jnp.exp(log_mu))
    assert abs(mu - y.mean()) < ALARM * y.std() / np.sqrt(N)
    for k, m in zip((2, 3, 4), central, strict=True):
        each = (y / mu - 1.0) ** k
        assert abs(float(m) - each.mean()) < ALARM * each.std() / np.sqrt(N)


@pytest.mark.parametrize("kind", ERRORS)
def test_the_law_of_a_peak_is_the_simulated_one_and_its_slope_the_density(kind: str) -> None:
    peaks = simulated(kind, 3).max(0)
    law = law_of(ERRORS[kind], jnp.broadcast_to(predicted(), (3, 4096)))
    for x in (3.0, 6.0, 10.0):
        share, at = np.mean(peaks < x), lambda x: float(jnp.exp(mean_log(peak_law(x, law)[0])))
        assert abs(at(x) - share) < ALARM * np.sqrt(share * (1 - share) / N)
        assert float(jnp.exp(mean_log(peak_law(x, law)[1]))) == pytest.approx((at(x + 1e-4) - at(x - 1e-4)) / 2e-4, rel=1e-6)


@pytest.mark.parametrize("n", [2, 5, 6])
def test_medians_with_additive_residuals_follow_simulated_ones(n: int) -> None:
    """The largest distance of 33000 simulated medians from their law exceeds 0.016 in 1e-7 of cases (Dvoretzky, Kiefer & Wolfowitz)."""
    medians = np.median(simulated("additive")[0][: 33000 * n].reshape(-1, n), axis=1)
    grid, law = np.linspace(-2.0, 25.0, 163), law_of(ERRORS["additive"], predicted()[None, :256])
    density = np.exp(jax.vmap(lambda m: PeakSummary("cp", median=1.0, of=n).density(m, law))(jnp.asarray(grid)))
    mass = np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))
    assert mass[-1] == pytest.approx(1.0, abs=3e-3)  # the trapezium rule's own error
    assert np.abs(mass - np.searchsorted(np.sort(medians), grid[1:]) / len(medians)).max() < 0.016 + 3e-3


@pytest.mark.parametrize("kind", ["additive", "proportional", "combined 2"])
def test_posteriors_of_simulated_means_are_calibrated(kind: str) -> None:
    """400 studies of 30 patients: the posterior share below the true value is uniform; Kolmogorov-Smirnov at 1e-3, which is the false-alarm rate."""
    rng = np.random.default_rng(3)
    truth = np.exp(rng.normal(np.log(5.0), 0.2, 400))
    law = law_of(ERRORS[kind], truth[:, None] * np.exp(0.4 * rng.normal(size=(400, 30))))
    y = np.asarray(law.mean + law.sd * rng.normal(size=(400, 30)))
    grid = jnp.exp(jnp.linspace(np.log(5.0) - 1.0, np.log(5.0) + 1.0, 201))
    shape = predicted()[:512] / 5.0
    one = lambda m, s: jax.vmap(lambda v: mean_and_sd(m, s, 30, moments(v * shape, law_of(ERRORS[kind], v * shape))))(grid)  # noqa: E731
    log_l = np.asarray(jax.vmap(one)(jnp.asarray(y.mean(1)), jnp.asarray(y.std(1, ddof=1))))
    weight = np.exp(log_l - log_l.max(1, keepdims=True)) * stats.norm(np.log(5.0), 0.2).pdf(np.log(grid))
    below = np.cumsum(weight, 1) / weight.sum(1, keepdims=True)
    ranks = [np.interp(t, grid, b) for t, b in zip(truth, below, strict=True)]
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_two_visits_sum_to_one_with_additive_residuals() -> None:
    at = lambda *terms: float(summary_log_likelihood([(ARM, terms)], LAW, {"cp": ERRORS["additive"]}, SITES))  # noqa: E731
    twice = [at(DetectableJointly("cp", (0.0, 5.0), 4.0, {p: 1})) for p in ("++", "+-")]
    assert np.logaddexp(*twice) == pytest.approx(at(Detectable("cp", 0.0, 4.0, 1, 1)), abs=1e-10)


P = np.array([0.1, 0.35, 0.5, 0.8, 0.97])


def enumerated(count: int, of: int, p: np.ndarray = P) -> float:
    """P(count of `of` say yes) by going through every choice of patients and every answer."""
    total = 0.0
    for chosen in combinations(range(len(p)), of):
        q = p[list(chosen)]
        for says in product((0, 1), repeat=of):
            total += np.prod(np.where(says, q, 1 - q)) * (sum(says) == count)
    return np.log(total / len(list(combinations(range(len(p)), of))))


@pytest.mark.parametrize(("count", "of"), [(k, n) for n in (5, 3) for k in range(n + 1)])
def test_a_count_of_listed_patients_is_the_enumerated_one(count: int, of: int) -> None:
    found = poisson_binomial(count, of, jnp.log(P), jnp.log1p(-P))
    assert float(found) == pytest.approx(enumerated(count, of), abs=1e-12)


def test_a_count_of_patients_alike_is_binomial() -> None:
    for n, of in ((14, 14), (14, 9)):
        found = [float(poisson_binomial(k, of, jnp.full(n, np.log(0.3)), jnp.full(n, np.log(0.7)))) for k in (0, 4, of)]
        assert np.allclose(found, stats.binom.logpmf([0, 4, of], of, 0.3), atol=1e-11)


@pytest.mark.parametrize(("count", "of"), [(0, 5), (2, 5), (5, 5), (0, 3), (3, 3)])
def test_the_slope_of_a_count_is_right_and_finite_at_the_floor(count: int, of: int) -> None:
    value = lambda x: poisson_binomial(count, of, jax.nn.log_sigmoid(x), jax.nn.log_sigmoid(-x))  # noqa: E731
    x = jnp.asarray(np.log(P / (1 - P)))
    slope, h = jax.grad(value)(x), 1e-5
    for i in range(5):
        up, down = (float(value(x.at[i].add(d))) for d in (h, -h))
        assert float(slope[i]) == pytest.approx((up - down) / (2 * h), abs=1e-8)
    for far in (-700.0, 700.0):
        assert np.isfinite(jax.grad(value)(jnp.full(5, far))).all()


def test_means_by_patient_are_means_of_their_own_runs() -> None:
    patient = np.arange(16) * 3 // 16
    p = np.random.default_rng(1).uniform(size=16)
    assert np.allclose(np.exp(by_patient(jnp.log(p), patient)), [p[patient == i].mean() for i in range(3)], atol=1e-12)


WEIGHTS = [50.0, 62.0, 71.0, 88.0, 120.0]


@pytest.mark.parametrize("error", ["lognormal", "additive"])
def test_listed_weights_give_each_patient_a_probability(error: str) -> None:
    """Without variability between subjects each probability is known exactly."""
    law = Population(V=lognormal(dist.LogNormal(3.0, 0.5)))
    arm = SummaryArm(one_compartment_iv, bolus((1.4, "mg/kg")), [0.0], 5, covariates={"WT": WEIGHTS})
    f = 1.4 * np.array(WEIGHTS) / 20.0
    p = stats.norm.sf((np.log(5.0) - np.log(f)) / 0.3) if error == "lognormal" else stats.norm.sf((5.0 - f) / 0.8)
    for count, of in ((0, 5), (3, 5), (2, 3)):
        found = summary_log_likelihood([(arm, [Detectable("cp", 0.0, 5.0, count, of)])], law, {"cp": ERRORS[error]}, {"V": 20.0}, 16)
        assert float(found) == pytest.approx(enumerated(count, of, p), abs=1e-9)
    with pytest.raises(FitError) as told:
        summary_log_likelihood([(arm, [Detectable("cp", 0.0, 5.0, 3, 5)])], law, {"cp": ERRORS[error]}, {"V": 20.0}, 4)
    assert str(told.value) == (
        "Arm 'arm' lists covariates of 5 patients, and there are draws=4 virtual subjects; give at least one a patient."
    )


def extremes() -> list:
    """Nobody and everybody, the lowest and the highest alone, a median without ends, certain and impossible responses."""
    steep = Responders(lambda theta, f: jnp.clip(f["cp"][0] - 5.0, 0.0, 1.0), 14, 14)
    return [
        *(Detectable("cp", 0.0, 4.0, k, 14) for k in (0, 14)),
        *(DetectableJointly("cp", (0.0, 5.0), 4.0, {p: 14}) for p in ("++", "--", "-+")),
        *(PeakSummary("cp", of=14, **{side: 5.0}) for side in ("low", "high", "median")),
        PeakSummary("cp", low=2.0, median=5.0, high=9.0, of=13),
        MeanSd("cp", 0.0, 5.6, 2.8, 14),
        steep,
        Responders(steep.probability, 0, 14),
    ]


@cache
def value_and_slope(kind: str):
    """Of all of them together, by reverse mode as the sampler takes it; nothing is left at the second visit."""
    error = {"proportional": proportional_error, "lognormal": lognormal_error}[kind](1.0)
    normals = jnp.asarray(sobol_normals(1, 32, 1)[:, 0])

    def value(volume, omega, sigma):
        f = 100.0 / (volume * jnp.exp(omega * normals)) * jnp.asarray([[1.0], [0.0]])
        seen = Seen(np.array([0.0, 5.0]), {}, {"cp": f}, {"cp": Scatter(*error.mean_sd(f, [sigma]), error.logs)})
        return sum(term.log_likelihood(seen) for term in extremes())

    return jax.jit(jax.value_and_grad(value, (0, 1, 2)))


@pytest.mark.slow  # the ends of counts and values far from the data have tests of their own, here and in test_summaries
@pytest.mark.parametrize("kind", ["proportional", "lognormal"])
def test_no_term_loses_its_value_or_slope_at_the_ends(kind: str) -> None:
    for volume, sigma in ((20.0, 0.3), (2e-6, 0.01), (2e9, 0.01), (20.0, 1e-6)):
        value, slope = value_and_slope(kind)(volume, 0.4, sigma)
        assert np.isfinite([float(value), *map(float, slope)]).all(), (volume, sigma, value, slope)
