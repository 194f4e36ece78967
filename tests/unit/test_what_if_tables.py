"""What is made of runs: quantiles of quantiles, arms against a reference, targets reached, changes of a tumour, against counts by hand."""

import numpy as np
import numpy.testing as npt
import pytest
import xarray as xr

from pkpd import (
    FitError,
    arm_differences,
    arm_table,
    best_change,
    change_from_baseline,
    exposure,
    quantile_bands,
    recist_response,
    target_attainment,
)


def values(seed=1, arms=("a", "b"), draws=200, subjects=50, shift=0.0):
    """Log normal: ln x = m_d + e_i, m_d of sd 0.3 between draws, e_i of sd 0.5 between subjects; arm b is exp(shift) of arm a."""
    rng = np.random.default_rng(seed)
    x = np.exp(0.3 * rng.normal(size=(draws, 1)) + 0.5 * rng.normal(size=(draws, subjects)))
    stacked = np.stack([x * np.exp(shift * k) for k in range(len(arms))])
    return xr.DataArray(stacked, dims=("arm", "draw", "subject"), coords={"arm": list(arms)}, name="cmax", attrs={"unit": "mg/L"})


def test_quantiles_of_quantiles_by_hand():
    x = xr.DataArray(np.arange(24.0).reshape(2, 3, 4), dims=("arm", "draw", "subject"), attrs={"unit": "mg/L"})
    found = quantile_bands(x, (0.0, 0.5), level=1.0)
    assert found.dims == ("arm", "quantile", "estimate") and found.attrs["unit"] == "mg/L"
    npt.assert_array_equal(found.isel(arm=0), [[0.0, 4.0, 8.0], [1.5, 5.5, 9.5]])
    x[0, 0, 0] = np.nan
    assert float(quantile_bands(x, (0.0,), level=1.0).isel(arm=0).sel(estimate="low")[0]) == 1.0


def test_bands_separate_subjects_from_draws():
    """Population quantiles are exp(m_d + 0.5 z_q); their interval over draws has half-width 1.645 x 0.3 in logs, plus what 2000 subjects leave."""
    found = np.log(quantile_bands(values(arms=("a",), draws=2000, subjects=400), (0.05, 0.5)).isel(arm=0))
    npt.assert_allclose(
        found.sel(estimate="median"), [-1.645 * 0.5, 0.0], atol=0.06
    )  # four standard errors of medians over 2000 draws, and bias
    npt.assert_allclose(found.sel(estimate="high") - found.sel(estimate="median"), 1.645 * 0.3, atol=0.08)


def test_differences_and_ratios_pair_subjects():
    x = values(shift=np.log(1.5))
    npt.assert_allclose(arm_differences(x, "a", by="ratio"), 1.5, rtol=1e-12)
    found = arm_differences(x, "a")
    assert found.attrs == {"unit": "mg/L", "reference": "a", "by": "difference"} and list(found["arm"].values) == ["b"]
    table = arm_table(x, "a").set_index("arm")
    npt.assert_allclose(table.loc["b", ["versus", "versus_low", "versus_high"]].astype(float), 1.5, rtol=1e-12)
    assert table.loc["b", "higher"] == 1.0 and np.isnan(table.loc["a", "versus"])


def test_attainment_by_hand():
    x = xr.DataArray([[[1.0, 2.0, 3.0, np.nan], [2.0, 3.0, 4.0, 5.0]]], dims=("arm", "draw", "subject"), coords={"arm": ["a"]}, name="cmax")
    found = target_attainment(x, at_least=[2.5, 4.5])
    npt.assert_allclose(found["probability"], [(1 / 3 + 3 / 4) / 2, (0 + 1 / 4) / 2])  # the subject that was not solved is in no share
    assert list(found.columns[:2]) == ["arm", "at_least"] and found.attrs["measure"] == "cmax"
    both = target_attainment(x, at_least=2.0, at_most=3.0)
    npt.assert_allclose(both["probability"], (2 / 3 + 2 / 4) / 2)
    joint = target_attainment((x >= 2.0) & (x <= 3.0))
    npt.assert_allclose(
        joint["probability"], (2 / 4 + 2 / 4) / 2
    )  # handmade truth values know no subject that was not solved, and get a note


def test_the_spread_of_parameters_is_told_from_that_of_few_subjects():
    """p_d is 0.3 or 0.5: sd 0.1 by parameters; binomial noise of 25 subjects adds 0.095; 4000 draws leave a standard error of 0.0035."""
    rng = np.random.default_rng(2)
    p = rng.choice([0.3, 0.5], size=(4000, 1))
    found = target_attainment(xr.DataArray(rng.uniform(size=(4000, 25)) < p, dims=("draw", "subject"))).iloc[0]
    npt.assert_allclose(found["sd_parameters"], 0.1, atol=4 * 0.0035)
    npt.assert_allclose(found["sd"], np.sqrt(0.01 + 0.225 / 25), atol=4 * 0.002)
    # nobody is the same in two draws: the part by people, of 25 means with sd 0.0075 each, adds nothing but 2.3e-6 +- 4 x 0.65e-6 less 2.3e-6
    assert abs(found["mc_error"] ** 2 - found["sd"] ** 2 / 4000) < 4 * 0.65e-6


def crossed(seed, reps, draws, people, by_draw, by_person, rest):
    """Values in studies made again and again: the same people in every draw of a study."""
    rng, dims = np.random.default_rng(seed), ("study", "draw", "subject")
    parts = (
        by_draw * rng.normal(size=(reps, draws, 1)),
        by_person * rng.normal(size=(reps, 1, people)),
        rest * rng.normal(size=(reps, draws, people)),
    )
    return xr.DataArray(sum(parts), dims=dims, name="cmax")


@pytest.mark.parametrize("parts", [(0.3, 1.0, 1.0), (0.5, 0.5, 0.5)])
def test_the_monte_carlo_error_holds_the_people(parts):
    """1000 studies of 20 draws and 15 people: the variance of `probability` is the mean of `mc_error` squared, which by draws alone is 0.15 and 0.5 of it.

    A variance of 1000 values has a relative standard error of sqrt(2 / 1000) = 0.045, the mean of the squares one below 0.01; 4 of them: a false alarm in
    16 000 for each of the two.
    """
    found = target_attainment(crossed(1, 1000, 20, 15, *parts), at_least=0.5)
    assert abs(found["probability"].var() / (found["mc_error"] ** 2).mean() - 1) < 4 * np.hypot(0.045, 0.01)
    assert (found["sd"] ** 2 / 20).mean() < 0.55 * (found["mc_error"] ** 2).mean()


def test_one_draw_has_the_error_of_its_people_and_one_subject_that_of_its_draws():
    x = crossed(2, 1, 40, 1, 1.0, 1.0, 1.0).isel(study=0)
    p = float((x >= 0).mean())
    alone = target_attainment(x, at_least=0.0)["mc_error"].iloc[0]
    across = target_attainment(x.rename(draw="subject", subject="draw"), at_least=0.0)["mc_error"].iloc[0]
    npt.assert_allclose([alone, across], np.sqrt(p * (1 - p) / 39), rtol=1e-12)


def test_what_is_not_known_is_no_target_missed():
    """Of four subjects one was not solved and one has no half-life."""
    coords = {"solved": (("draw", "subject"), [[True, True, True, False]])}
    peak = xr.DataArray([[1.0, 2.0, 3.0, np.nan]], dims=("draw", "subject"), coords=coords, name="cmax")
    life = xr.DataArray([[5.0, 6.0, np.nan, np.nan]], dims=("draw", "subject"), coords=coords, name="half_life")
    joint = (peak > 1.5) & (life > 1.0)
    seen = target_attainment(joint)
    npt.assert_allclose(seen[["probability", "missing"]], [[1 / 3, 1 / 4]])  # the comparison has made the half-life a target missed
    named = target_attainment(joint, of=[peak, life])
    npt.assert_allclose(named[["probability", "missing"]], [[1 / 2, 1 / 2]])
    blind = target_attainment(joint.drop_vars("solved"))
    assert blind.attrs["notes"][0].startswith("Truth values hold no NaN: ") and not named.attrs.get("notes") and not seen.attrs.get("notes")
    with pytest.raises(FitError, match=r"^of names 'half_life', whose draws, subjects or arms are not those of the values: "):
        target_attainment(joint.assign_coords(subject=range(4)), of=life.assign_coords(subject=range(1, 5)))


def test_last_detected_at_the_end_is_a_lower_bound():
    times, c = np.array([0.0, 4.0, 8.0]), np.array([8.0, 4.0, 2.0])
    profiles = xr.DataArray(
        [[[c, c / 4]], [[4 * c, 8 * c]]], dims=("arm", "draw", "subject", "time"), coords={"arm": ["a", "b"], "time": times}
    )
    found = exposure(profiles, limit=1.5)
    note = "last_detectable: 3 of 4 profiles are still above the limit at 8 h, the end: censored, at least that."
    assert found.attrs["notes"] == [note] and found["last_detectable"].attrs["censored_at"] == 8.0
    assert arm_table(found["last_detectable"])["censored"].tolist() == [0.5, 1.0] and "censored" not in arm_table(found["auc"])
    assert target_attainment(found["last_detectable"], at_least=6.0)["probability"].tolist() == [0.5, 1.0]
    with pytest.raises(
        FitError, match=r"^'last_detectable' is censored at 8 h, where .* a target of 9 h cannot be judged\. Look at later times\.$"
    ):
        target_attainment(found["last_detectable"], at_most=9.0)
    assert "notes" not in exposure(profiles, limit=100.0).attrs


def test_tumour_sizes_by_hand():
    size = xr.DataArray(
        [[50.0, 34.0, 40.0, 41.0], [50.0, 0.0, 4.0, 6.0], [10.0, 12.0, 9.0, np.nan]],
        dims=("subject", "time"),
        coords={"time": [0.0, 1, 2, 3]},
    )
    npt.assert_allclose(best_change(size), [-32.0, -100.0, np.nan])
    npt.assert_allclose(change_from_baseline(size, baseline=1.0)[0], [100 * 16 / 34, 0.0, 100 * 6 / 34, 100 * 7 / 34])
    found = recist_response(size)
    assert found.values.tolist() == [["SD", "PR", "SD", "PD"], ["SD", "CR", "PR", "PD"], ["SD", "SD", "SD", "NE"]]
    # 40 is 17.6 % above the nadir 34 and 20 % below the baseline; 41 is 20.6 % and 7 mm above; 12 is 20 % above 10 but 2 mm only
    assert recist_response(size / 10, unit="cm").values.tolist() == found.values.tolist()


def test_refusals_are_sentences():
    x = values()
    for call, text in (
        (lambda: arm_differences(x, "c"), r"^There is no arm 'c'\. Known: a, b\.$"),
        (lambda: arm_differences(x, "a", by="quotient"), r"^by='quotient' is no comparison\. "),
        (lambda: quantile_bands(x, (5, 95)), r"^quantiles=\(5, 95\): numbers from 0 to 1, as in \(0\.05, 0\.5, 0\.95\)\.$"),
        (lambda: quantile_bands(x.isel(draw=0)), r"^'cmax' has no dimension draw\. "),
        (
            lambda: target_attainment(x),
            r"^target_attainment\(\.\.\.\): give at_least, at_most or both for a measure; none for truth values\.$",
        ),
        (lambda: arm_table(x.expand_dims("time")), r"^'cmax' has the dimension time too: take one value a subject, as exposure gives\.$"),
    ):
        with pytest.raises(FitError, match=text):
            call()
