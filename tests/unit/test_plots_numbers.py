"""The numbers that figures arrange, against computations by hand."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pkpd.diagnostics.bands import draw_band, subject_bands
from pkpd.diagnostics.cohort_summary import covariate_summary, observable_summary
from pkpd.diagnostics.contraction import contraction, contraction_table
from pkpd.diagnostics.density import chain_ranks, density
from pkpd.diagnostics.layout import attribute, need, pooled, population_names
from pkpd.diagnostics.residuals import (
    normal_quantile_band,
    quantile_interval,
    quantile_residuals,
    residual_table,
)
from pkpd.diagnostics.rows import is_log, known_limits, observable_rows, observables, rows, subject_ids
from pkpd.diagnostics.shrinkage import shrinkage, shrinkage_table
from pkpd.diagnostics.vpc import bin_line, order_statistic, time_bins, vpc_table
from pkpd.errors import FitError
from tests.fakes import SUBJECTS, TRUTH, fake_tree


@pytest.fixture(scope="module")
def tree():
    return fake_tree()


def test_interval_of_observed_and_censored_rows():
    simulated = np.arange(1.0, 10.0)[:, None] * np.ones((1, 4))  # nine replicates 1..9 of four rows
    dv, cens = np.array([4.5, 3.0, 3.0, 7.0]), np.array([0, 1, 1, -1])
    low, high = quantile_interval(dv, simulated, cens, np.array([np.nan, np.nan, 2.0, np.nan]))
    np.testing.assert_allclose(low, [0.4, 0.0, 0.1, 0.6])  # below: 4, -, one under LIMIT = 2, 6
    np.testing.assert_allclose(high, [0.5, 0.4, 0.4, 1.0])  # up to: 4, 3, 3, everything


def test_interval_leaves_out_failed_replicates():
    simulated = np.array([[1.0], [np.nan], [3.0]])
    low, high = quantile_interval(np.array([2.0]), simulated, np.array([0]), np.array([np.nan]))
    assert (low[0], high[0]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_residuals_of_a_right_model_are_standard_normal_with_a_third_censored():
    rng = np.random.default_rng(0)
    y, simulated = rng.standard_normal(2000), rng.standard_normal((400, 2000))
    limit = norm.ppf(1 / 3)
    cens = (y < limit).astype(int)
    found = quantile_residuals(np.where(cens == 1, limit, y), simulated, cens, np.full(2000, np.nan), jax.random.key(1))
    assert abs(found.mean()) < 4 / np.sqrt(2000)  # four standard errors of a mean
    assert abs(found.std() - 1) < 4 / np.sqrt(4000)  # and of an sd
    # each stays below its limit's normal score, -0.43, give or take five standard errors (0.065) of 400 replicates' count
    assert (found[cens == 1] < -0.43 + 5 * 0.065).all()


def test_residuals_repeat_with_the_key_and_are_nan_without_data():
    arrays = np.array([1.0, np.nan]), np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 0]), np.array([np.nan, np.nan])
    first, second = (quantile_residuals(*arrays, jax.random.key(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first[0]) and np.isnan(first[1])


def test_residual_table_has_the_scored_rows_and_the_median_prediction(tree):
    table = residual_table(tree, "population")
    assert len(table) == rows(tree)["scored"].sum() == 143
    place = table.index[5]
    pred = tree["posterior_predictive"]["pred"].values.reshape(-1, 144)
    assert table.loc[place, "prediction"] == pytest.approx(np.median(pred[:, place]))
    with pytest.raises(FitError, match=r"Residuals are taken against simulated replicates, not 'populatoin'\. Did you mean 'population'"):
        residual_table(tree, "populatoin")


def test_normal_band_is_symmetric_and_holds_the_expected_scores():
    low, high = normal_quantile_band(21)
    np.testing.assert_allclose(low, -high[::-1], atol=1e-12)
    assert low[10] < 0 < high[10]


def test_time_bins_join_thin_times_from_the_left_and_keep_to_the_most():
    assert time_bins(np.array([0.0, 1, 1, 1, 2, 2, 2]), fewest=3).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert time_bins(np.array([1.0, 1, 1, 5]), fewest=3).tolist() == [0, 0, 0, 0]  # a short rest joins the last bin
    assert time_bins(np.array([1.0, 2, 8, 9.5]), fewest=1, most=3).tolist() == [0, 0, 1, 2]  # nearest pair joins
    assert time_bins(np.array([3.0])).tolist() == [0]


def test_order_statistic_is_the_value_of_rank_ceil():
    values = np.arange(1.0, 11.0)
    assert [float(order_statistic(values, p)) for p in (5, 50, 95)] == [1.0, 5.0, 10.0]


def test_bin_line_by_hand():
    table = pd.DataFrame(
        {
            "time": [1.0, 1, 2, 2, 2],
            "dv": [5.0, 5.0, 7.0, 9.0, 8.0],
            "cens": [1, 1, 0, 0, 0],
            "lloq": 5.0,
            "uloq": np.nan,
        }
    )
    simulated = np.array([[1.0, 6, 7, 8, 9], [6.0, 7, 8, 9, 10], [1.0, 2, 3, 6, 7], [np.nan, 1, 1, 1, 1]])
    line = bin_line(table, simulated, level=1.0)
    assert (line["time"], line["start"], line["end"], line["n"], line["lloq"]) == (2.0, 1.0, 2.0, 5, 5.0)
    assert np.isnan(line["obs_5"]) and line["obs_50"] == 7.0 and line["obs_95"] == 9.0
    # medians (rank 3 of 5) of the three whole replicates: 7, 8 and one below the limit
    assert (line["sim_50_low"], line["sim_50_mid"], line["sim_50_high"]) == (-np.inf, 7.0, 8.0)
    assert line["blq_obs"] == 0.4
    assert (line["blq_low"], line["blq_mid"], line["blq_high"]) == (0.0, 0.2, 0.6)


def test_a_percentile_below_the_largest_limit_is_unknown():
    table = pd.DataFrame({"time": 1.0, "dv": [50.0, 20.0, 60.0], "cens": [1, 0, 0], "lloq": [50.0, 10.0, 10.0], "uloq": np.nan})
    line = bin_line(table, np.full((2, 3), 30.0))
    assert np.isnan(line["obs_50"])  # 20 may lie above or below the row known only to be under 50
    assert line["obs_95"] == 60.0


def test_vpc_of_the_fake_covers_all_scored_rows_and_splits_by_covariate(tree):
    assert vpc_table(tree, "car_dna")["n"].sum() == 75
    split = vpc_table(tree, "il6", by="REGIMEN")
    assert list(dict.fromkeys(split["stratum"])) == ["REGIMEN = 1", "REGIMEN = 2"]
    assert split["n"].sum() == 68
    with pytest.raises(FitError, match=r"no covariate 'REGIME'\. Did you mean 'REGIMEN'"):
        vpc_table(tree, "il6", by="REGIME")


def test_known_limits_take_the_row_then_the_subject_then_the_observable():
    table = pd.DataFrame(
        {
            "subject": ["a", "a", "b", "b", "c", "c"],
            "observable": ["y", "y", "y", "y", "y", "z"],
            "cens": [1, 0, 1, 0, 0, 0],
            "dv": [5.0, 9.0, 10.0, 8.0, 30.0, 1.0],
        }
    )
    found = known_limits(table, side=1)
    np.testing.assert_array_equal(found, [5, 5, 10, np.nan, 5, np.nan])  # 8 contradicts the limit 10; z has none


def test_shrinkage_by_hand():
    assert shrinkage(np.array([-0.5, 0.5]), 1.0) == pytest.approx(1 - np.sqrt(0.5))
    assert np.isnan(shrinkage(np.array([0.1]), 1.0))


def test_shrinkage_table_reads_posterior_means(tree):
    line = shrinkage_table(tree).set_index("name").loc["S"]
    means = tree["posterior"]["eta_S"].values.mean(axis=(0, 1))
    omega = tree["posterior"]["omega_S"].values.mean()
    assert line["shrinkage"] == pytest.approx(1 - means.std(ddof=1) / omega)
    assert line["mean_posterior_sd"] == pytest.approx(0.25, abs=0.02)


def test_contraction_is_of_logs_for_positive_typical_values_only():
    prior, posterior = np.exp(np.array([-2.0, 2.0])), np.exp(np.array([-0.5, 0.5]))
    assert contraction("k_e", prior, posterior) == ("log", 2.0, 0.5, 0.25)
    scale, before, after, ratio = contraction("omega_k_e", np.array([0.0, 2.0]), np.array([0.5, 1.0]))
    assert (scale, before, after, ratio) == ("linear", 1.0, 0.25, 0.25)
    assert np.isnan(contraction("k_e", np.ones(3), np.ones(3))[-1])


def test_only_the_covariate_effect_of_the_fake_is_prior_driven(tree):
    table = contraction_table(tree)
    assert list(table.loc[table["prior_driven"], "name"]) == ["beta_s_il6_HER2"]


def test_density_integrates_to_one_and_reflects_at_its_floor():
    values = np.abs(np.random.default_rng(1).standard_normal(1500))
    grid = np.linspace(-1, 6, 1401)
    heights = density(values, grid, floor=0.0)
    assert np.trapezoid(heights, grid) == pytest.approx(1.0, abs=0.01)  # half a grid cell at the floor
    assert (heights[grid < -1e-9] == 0).all()
    assert heights[np.argmin(np.abs(grid))] == pytest.approx(0.8, abs=0.08)  # half-normal: 0.798; kernel smoothing
    assert (density(np.ones(5), grid) == 0).all()


def test_chain_ranks_by_hand():
    assert chain_ranks(np.array([[1.0, 5, 2, 6], [3.0, 7, 4, 8]]), bins=4).tolist() == [[2, 0, 2, 0], [0, 2, 0, 2]]


def test_bands_by_hand():
    np.testing.assert_allclose(draw_band(np.arange(11.0)[:, None], level=0.8).ravel(), [1.0, 5.0, 9.0])
    assert np.isnan(draw_band(np.full((3, 1), np.nan))).all()
    values = np.arange(8.0).reshape(2, 4, 1)  # draw 0: 0..3, draw 1: 4..7
    found = subject_bands(values, percentiles=(0, 100), level=1.0)[:, :, 0]
    np.testing.assert_allclose(found, [[0, 2, 4], [3, 5, 7]])


def test_rows_join_back_by_position_and_say_what_is_there(tree):
    table = rows(tree)
    assert observables(tree) == ("car_dna", "il6")
    assert subject_ids(tree) == SUBJECTS
    assert not table["scored"].iloc[-1] and np.isnan(table["dv"].iloc[-1])
    assert (observable_rows(tree, "il6").index == np.flatnonzero(table["observable"] == "il6")).all()
    assert is_log(tree, "car_dna")
    with pytest.raises(FitError, match=r"no observable 'il-6'\. Did you mean 'il6'"):
        observable_rows(tree, "il-6")


def test_summary_counts_censored_rows(tree):
    line = observable_summary(tree).set_index("observable").loc["car_dna"]
    cens = rows(tree).query("observable == 'car_dna'")["cens"]
    assert (line["subjects"], line["rows"], line["below"]) == (6, 75, int((cens == 1).sum()))
    assert line["below_fraction"] == pytest.approx((cens == 1).mean())
    assert covariate_summary(tree)["HER2"] == "2: 2 subjects, 3: 4 subjects"


def test_layout_reads_attributes_and_names_what_is_absent(tree):
    assert attribute(tree, "provenance")["seed"] == 7
    assert set(TRUTH) <= set(population_names(tree)) and "eta_S" not in population_names(tree)
    assert pooled(tree, "predictions", "il6", "subject", "curve_time").shape == (60, 6, 97)
    with pytest.raises(FitError, match=r"no posterior/nothing; it holds posterior, prior"):
        need(tree, "posterior/nothing")


def test_bands_of_whole_tables_are_those_taken_column_by_column():
    """Without NaN all columns go at once; a NaN elsewhere sends the same columns through the slow way: the same numbers, to rounding."""
    values = np.sin(np.arange(5 * 7 * 3.0)).reshape(5, 7, 3)
    holed = np.concatenate([values, np.full((5, 7, 1), 1.0)], 2)
    holed[0, 0, 3] = np.nan
    np.testing.assert_allclose(subject_bands(holed)[..., :3], subject_bands(values), rtol=1e-13)
