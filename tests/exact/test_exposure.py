"""Areas, moments, terminal slope, crossings and the parameters of a dose against closed forms, to 1e-8 where the rule is exact (rounding only)."""

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
import xarray as xr

from pkpd import FitError, exposure, nca, nca_summary, read_cohort
from pkpd.models.classic import one_compartment_iv, one_compartment_oral
from pkpd.simulate.exposure import area_above, auc, aumc, first_time_above, lambda_z, last_time_above, time_above, time_below

K, C0 = 0.31, 12.5
T = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0, 12.0, 24.0])
C = C0 * np.exp(-K * T)
EXACT = {"rtol": 1e-12}  # the rule is exact for exponential decline: rounding of some ten operations


def test_areas_and_moments_of_exponential_decline():
    npt.assert_allclose(auc(T, C), C0 / K * (1 - np.exp(-K * 24)), **EXACT)
    npt.assert_allclose(auc(T, C, start=0.7, end=11.0), C0 / K * (np.exp(-K * 0.7) - np.exp(-K * 11)), **EXACT)
    moment = C0 / K**2 * (1 - (1 + K * 24) * np.exp(-K * 24))
    npt.assert_allclose(aumc(T, C), moment, **EXACT)


def test_the_linear_rule_is_the_trapezoid():
    npt.assert_allclose(auc(T, C, method="linear"), np.trapezoid(C, T), **EXACT)
    rising = np.array([0.0, 1.0, 5.0, 7.0])
    npt.assert_allclose(auc(T[:4], rising), np.trapezoid(rising, T[:4]), **EXACT)


@pytest.mark.parametrize("fall", [1e-15, 1e-9, 1e-4, 0.4, 0.6, 30.0])
def test_moments_of_slow_and_steep_pieces_do_not_cancel(fall):
    """Against the series of mpmath-free long form: the same integral by Gauss quadrature with 60 nodes."""
    x, w = np.polynomial.legendre.leggauss(60)
    s = (x + 1) / 2
    f = np.exp(-fall * s)
    npt.assert_allclose(auc([0.0, 1.0], [1.0, np.exp(-fall)]), (w / 2 * f).sum(), rtol=1e-12)
    npt.assert_allclose(aumc([0.0, 1.0], [1.0, np.exp(-fall)]), (w / 2 * s * f).sum(), rtol=1e-11)  # exp of the falls rounds once more


def test_terminal_slope_of_a_line_takes_all_points():
    found = lambda_z(T, C, peak=True)
    npt.assert_allclose(found.lambda_z, K, **EXACT)
    npt.assert_allclose(found.predicted, C[-1], rtol=1e-10)  # exp of a line fitted to logs
    assert found.points == len(T) and found.first == 0.0 and found.last == 24.0
    npt.assert_allclose([found.r2, found.adjusted_r2], 1.0, atol=1e-12)
    assert lambda_z(T, C).points == len(T) - 1  # the peak is left out unless asked for


def test_terminal_slope_by_hand_and_by_polyfit():
    """The rule written out: every n, adjusted r2, the most points within the tolerance of the best."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        c = 5 * np.exp(-0.2 * T + 0.15 * rng.normal(size=len(T)))
        peak, lines = int(np.argmax(c)), []
        for first in range(peak + 1, len(T) - 2):
            x, y = T[first:], np.log(c[first:])
            slope, _ = np.polyfit(x, y, 1)
            r2, n = np.corrcoef(x, y)[0, 1] ** 2, len(x)
            lines += [(1 - (1 - r2) * (n - 1) / (n - 2), n, -slope, r2)] if slope < 0 else []
        best = max(x[0] for x in lines)
        adjusted, n, slope, r2 = max((x for x in lines if x[0] >= best - 1e-4), key=lambda x: x[1])
        found = lambda_z(T, c)
        npt.assert_allclose([found.adjusted_r2, found.points, found.lambda_z, found.r2], [adjusted, n, slope, r2], rtol=1e-9)


def test_no_slope_is_nan():
    found = lambda_z(T, np.stack([np.linspace(1, 2, len(T)), np.zeros(len(T)), C]), peak=True)
    assert np.isnan(found.lambda_z[:2]).all() and np.isnan(found.half_life[:2]).all()
    assert found.points.tolist() == [0, 0, len(T)]


def test_crossings_of_exponential_decline():
    limit = 3.0
    hours = np.log(C0 / limit) / K
    npt.assert_allclose(time_above(T, C, limit), hours, **EXACT)
    npt.assert_allclose(time_below(T, C, limit), 24 - hours, **EXACT)
    npt.assert_allclose(last_time_above(T, C, limit), hours, **EXACT)
    assert np.isnan(first_time_above(T, C, 13.0)) and first_time_above(T, C, 3.0) == 0.0
    npt.assert_allclose(time_above(T, C, 3.0, start=2.0, end=3.0), 1.0)


def test_area_above_a_baseline():
    """An exponential return to the baseline is exact; what lies below it does not count."""
    npt.assert_allclose(area_above(T, 4.0 + C, 4.0), auc(T, C), rtol=1e-11)
    assert area_above([0.0, 1.0, 3.0], [0.0, 2.0, -2.0], 0.0) == 2.0
    assert area_above([0.0, 1.0], [-1.0, -2.0], 0.0) == 0.0
    assert np.isnan(area_above([0.0, 1.0], [np.nan, -2.0], 0.0))


def test_exposure_of_a_dataset_keeps_dimensions_and_has_units():
    dose = {"low": (100.0, "mg"), "high": (0.2, "g")}
    c = np.stack([np.exp(-K * T) * d for d in (5.0, 10.0)])[:, None, None] * np.ones((2, 3, 2, 1))
    runs = xr.Dataset({"cp": (("arm", "draw", "subject", "time"), c, {"unit": "ug/mL"})}, coords={"arm": list(dose), "time": T})
    found = exposure(runs, to_infinity=True, dose=dose, above=1.0, limit=0.5, baseline="first", tau=12.0)
    assert dict(found.sizes) == {"arm": 2, "draw": 3, "subject": 2} and list(found["arm"].values) == ["low", "high"]
    npt.assert_allclose(found["cl_f"], 100.0 / 5.0 * K, **EXACT)
    npt.assert_allclose(found["vz_f"], 20.0, **EXACT)
    npt.assert_allclose(found["mrt"], 1 / K, rtol=1e-10)
    npt.assert_allclose(found["extrapolated"], np.exp(-K * 24), rtol=1e-10)
    npt.assert_allclose(found["accumulation"], np.exp(-K * 12), rtol=1e-9)
    npt.assert_allclose(found["last_detectable"].sel(arm="high"), np.log(20) / K, **EXACT)
    assert (found["peak_above_baseline"] == 0).all()
    units = {n: found[n].attrs["unit"] for n in ("cl_f", "vz_f", "auc", "aumc", "cmax", "tmax", "share_above")}
    assert units == {"cl_f": "L/h", "vz_f": "L", "auc": "ug/mL*h", "aumc": "ug/mL*h**2", "cmax": "ug/mL", "tmax": "h", "share_above": "1"}


def test_exposure_of_a_failed_subject_is_nan():
    c = np.stack([C, np.where(T > 3, np.nan, C)])
    found = exposure((T, c), above=1.0, baseline=0.0, to_infinity=True)
    assert [bool(np.isnan(found[n][1])) for n in ("cmax", "tmax", "auc", "time_above", "auc_above_baseline", "auc_inf")] == [True] * 6
    assert np.isfinite(found["auc"][0]) and found["solved"].values.tolist() == [True, False]


def test_the_terminal_slope_leaves_the_peak_out_unless_told():
    """A profile that bends at its peak: with it the line of most points is another one."""
    c = np.array([0.0, 6.0, 6.0 * np.exp(-0.1), *(3.0 * np.exp(-0.2 * np.arange(3)))])
    t = np.arange(6.0)
    plain, with_peak = exposure((t, c), to_infinity=True), exposure((t, c), to_infinity=True, peak=True)
    for found, peak in ((plain, False), (with_peak, True)):
        npt.assert_allclose(found["half_life"], lambda_z(t, c, peak=peak).half_life)
    short = (t[:4], c[[0, 1, 3, 4]])
    assert exposure(short, to_infinity=True)["points"] == 0 and exposure(short, to_infinity=True, peak=True)["points"] == 3
    with pytest.raises(FitError, match=r"^peak=True lets the terminal slope take the peak, so to_infinity=True is needed beside it\.$"):
        exposure((t, c), peak=True)


def test_exposure_of_a_simulated_table():
    table = pd.DataFrame({"ID": np.repeat([1, 2], len(T)), "TIME": np.tile(T, 2), "cp": np.concatenate([C, 2 * C])})
    table.attrs["units"] = {"cp": "mg/L"}
    found = exposure(table)
    assert found["auc"].dims == ("subject",) and found["auc"].attrs["unit"] == "mg/L*h"
    npt.assert_allclose(found["auc"][1], 2 * found["auc"][0])


def cohort(model, times, values, doses, cens=None, unit="mg/L", target=None, **columns):
    low = np.zeros(len(times), int) if cens is None else np.asarray(cens)
    looks = pd.DataFrame({"ID": 1, "TIME": times, "EVID": 0, "AMT": 0.0, "DV": values, "CENS": low, "MDV": 0, "RATE": 0.0})
    given = pd.DataFrame(
        {
            "ID": 1,
            "TIME": [d[0] for d in doses],
            "EVID": 1,
            "AMT": [d[1] for d in doses],
            "RATE": [d[2] for d in doses],
            "MDV": 1,
            "CENS": 0,
            **columns,
        }
    )
    rows = pd.concat([looks, given]).sort_values(["TIME", "EVID"], kind="stable").assign(DVID=lambda x: np.where(x["EVID"] == 0, "cp", ""))
    rows = rows.assign(**{c: rows[c].fillna(0.0) for c in columns})
    rows["CMT"] = np.where(rows["EVID"] == 1, target or model.vocabulary.doses[0].name, "")
    return read_cohort(rows, model, units={"TIME": "h", "AMT": "mg", "DV": unit})


def test_nca_of_a_bolus_is_the_closed_form():
    times = T[1:]
    found = nca(cohort(one_compartment_iv, times, C0 * np.exp(-K * times), [(0.0, 250.0, 0.0)]), route="bolus")
    line = found.iloc[0]
    v, cl = 250.0 / C0, 250.0 / C0 * K
    npt.assert_allclose([line["cl"], line["vz"], line["vss"], line["mrt"]], [cl, v, v, 1 / K], rtol=1e-8)
    npt.assert_allclose([line["auc_inf"], line["aumc_inf"], line["half_life"]], [C0 / K, C0 / K**2, np.log(2) / K], rtol=1e-8)
    assert line["cmax"] == C[1] and line["tmax"] == 0.5 and line["points"] == 7  # the value at time 0 is made, so no peak
    assert found.attrs["notes"] == ["value at the dose by the line through the logs of the first two samples: 1."]
    assert found.attrs["units"]["cl"] == "L/h" and found.attrs["units"]["vss"] == "L"


def test_nca_of_an_infusion_takes_half_its_duration_from_mrt():
    """The rise is not exponential, so areas are right to the grid only: 2e-3 with 0.05 h steps while it runs."""
    rate, hours, v = 125.0, 2.0, 20.0
    times = np.concatenate([np.arange(0.05, 2.01, 0.05), T[4:]])
    rise = lambda t: rate / (K * v) * (1 - np.exp(-K * np.minimum(t, hours))) * np.exp(-K * np.maximum(t - hours, 0))  # noqa: E731
    line = nca(cohort(one_compartment_iv, times, rise(times), [(0.0, 250.0, rate)]), route="infusion").iloc[0]
    npt.assert_allclose([line["cl"], line["mrt"]], [K * v, 1 / K], rtol=2e-3)


def test_nca_by_dosing_interval_at_steady_state():
    """Boluses every 12 h: accumulation by the n-th dose (1 - r^n)/(1 - r), r = exp(-K tau); area over tau follows it."""
    tau, r, v = 12.0, np.exp(-K * 12.0), 20.0
    inside = np.array([0.5, 1.0, 3.0, 8.0, 12.0])  # the last one before the dose of that time
    times = np.concatenate([k * tau + inside for k in range(3)])
    c = sum(np.where(times > k * tau, 100.0 / v * np.exp(-K * (times - k * tau)), 0.0) for k in range(3))
    found = nca(cohort(one_compartment_iv, times, c, [(k * tau, 100.0, 0.0) for k in range(3)]), route="bolus", tau=tau)
    last = found.iloc[2]
    npt.assert_allclose(found["auc_tau"], [100.0 / v / K * (1 - r**n) for n in (1, 2, 3)], rtol=1e-8)
    npt.assert_allclose(found["accumulation"].iloc[1:], [(1 - r**n) / (1 - r) for n in (2, 3)], rtol=1e-8)
    npt.assert_allclose(last["ctau"], 100.0 / v * r * (1 - r**3) / (1 - r), rtol=1e-8)
    npt.assert_allclose(last["cl_tau"], 100.0 / last["auc_tau"], rtol=1e-12)
    npt.assert_allclose(last["cavg"], last["auc_tau"] / tau, rtol=1e-12)
    assert np.isnan(last.get("cl", np.nan)) and found["dose_number"].tolist() == [1, 2, 3]


def test_accumulation_of_oral_doses_uses_the_trough_at_the_dose():
    ka, tau, v = 1.2, 12.0, 20.0
    grid = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
    times = np.concatenate([grid, 12 + grid, [24.0]])
    one = lambda t: np.where(t >= 0, 5.0 * ka / (ka - K) * (np.exp(-K * t) - np.exp(-ka * t)), 0.0)  # noqa: E731
    c = one(times) + one(times - 12)
    found = nca(cohort(one_compartment_oral, times, c, [(0.0, 100.0, 0.0), (tau, 100.0, 0.0)]), route="extravascular", tau=tau)
    areas = [auc(times[a:b] - times[a], c[a:b]) for a, b in ((0, 7), (6, 13))]
    npt.assert_allclose(found["auc_tau"], areas, rtol=1e-12)
    npt.assert_allclose(found["accumulation"].iloc[1], areas[1] / areas[0], rtol=1e-12)
    assert found["ctau"].iloc[0] == c[6] and v == 20.0


def test_a_dose_at_steady_state_has_the_interval_of_its_record():
    """A bolus every 12 h for ever: c = C0 exp(-K t) / (1 - r). The area over tau is that of a single dose to infinity; nothing is a single dose's."""
    tau, r, times = 12.0, np.exp(-K * 12.0), np.array([0.5, 1.0, 3.0, 8.0, 12.0, 20.0])
    c = C0 * np.exp(-K * times) / (1 - r)
    steady = {"SS": 1, "II": tau}
    found = nca(cohort(one_compartment_iv, times, c, [(0.0, 250.0, 0.0)], **steady), route="bolus")
    line = found.iloc[0]
    npt.assert_allclose([line["auc_tau"], line["cl_tau"], line["ctau"]], [C0 / K, 250.0 / C0 * K, c[4]], rtol=1e-8)
    assert not {"cl", "vz", "vss", "mrt", "accumulation"} & set(found.columns)
    assert "dose at steady state, its interval is II: 1." in found.attrs["notes"]
    oral = cohort(one_compartment_oral, times[:5], [4.0, 9.0, 6.0, 3.0, 2.0], [(0.0, 250.0, 0.0)], **steady)
    plain = nca(oral, route="extravascular", method="linear")
    assert plain["auc_tau"].iloc[0] == 0.5 * 3.0 + 3.25 + 15.0 + 22.5 + 10.0  # the value at the dose is the smallest, 2, and not 0
    assert "value at the dose taken as the smallest of the interval: 1." in plain.attrs["notes"]
    early = [(0.0, 250.0, 0.0), (8.0, 250.0, 0.0)]
    cut = nca(cohort(one_compartment_iv, times, c, early, SS=[1, 0], II=[tau, 0.0]), route="bolus")
    assert "dose at steady state, its interval cut short by the next dose: 1." in cut.attrs["notes"] and "accumulation" not in cut


def test_doses_that_contradict_what_is_said_are_refused():
    bolus, infused = [(0.0, 250.0, 0.0)], [(0.0, 250.0, 125.0)]
    two = [(0.0, 250.0, 0.0), (0.0, 100.0, 0.0)]
    for doses, columns, options, text in (
        (
            infused,
            {},
            {"route": "bolus"},
            r"this dose is infused \(RATE or DUR\), and route='bolus' says that it is not\. Take route='infusion'",
        ),
        (
            bolus,
            {},
            {"route": "infusion"},
            r"this dose has no RATE and no DUR, and route='infusion' says that it lasts\. Take route='bolus'",
        ),
        (
            bolus,
            {"SS": 1, "II": 12.0},
            {"tau": 24.0},
            r"this last dose is at steady state with an interval of 12 h \(II\), and tau=24 says another\.",
        ),
        (bolus, {"SS": 2, "II": 12.0}, {}, r"SS = 2 adds a steady state to what is there"),
        (
            [(0.0, 0.0, 10.0)],
            {"SS": 1, "II": 0.0},
            {},
            r"an infusion that has been running for ever \(AMT = 0, SS = 1\) has no dosing interval",
        ),
        (two, {"SS": [1, 0], "II": [12.0, 0.0]}, {}, r"a dose at steady state and another at 0 h; their amounts have no common interval\."),
    ):
        with pytest.raises(FitError, match=r"^row \d+ \(subject 1\): " + text):
            nca(cohort(one_compartment_iv, T[1:], C[1:], doses, **columns), **({"route": "bolus"} | options))


def test_blq_rules_are_what_they_say():
    times, values = [0.5, 1.0, 2.0, 4.0, 8.0, 12.0], [1.0, 8.0, 1.0, 4.0, 1.0, 1.0]
    low = cohort(one_compartment_oral, times, values, [(0.0, 100.0, 0.0)], cens=[1, 0, 1, 0, 1, 1])
    plain = nca(low, route="extravascular", method="linear")
    assert plain.attrs["notes"] == [
        "samples below the limit: 4 (before: zero, between: missing, after: missing).",
        "value at the dose taken as 0: 1.",
    ]
    assert plain["auc_last"].iloc[0] == 2.0 + 18.0  # 0.5 to 1: triangle 0.5 * 8 / 2; 1 to 4: trapezoid 8, 4
    half = nca(low, route="extravascular", method="linear", blq_before="half", blq_between="limit", blq_after="zero")
    assert half["auc_last"].iloc[0] == 0.125 + 0.5 * 8.5 / 2 + 4.5 + 5.0
    assert half["auc_all"].iloc[0] == half["auc_last"].iloc[0] + 4.0 * 4 / 2
    with pytest.raises(FitError, match=r"^blq_after='zeros' is no rule\. Did you mean 'zero'\? Known: half, limit, missing, zero\.$"):
        nca(low, route="extravascular", blq_after="zeros")


def test_baseline_before_the_dose():
    given = cohort(one_compartment_oral, [0.0, 2.0, 4.0], [3.0, 7.0, 2.0], [(1.0, 100.0, 0.0)])
    line = nca(given, route="extravascular", method="linear", baseline="predose").iloc[0]
    assert line["peak_above_baseline"] == 4.0
    # value at the dose 0: below, then up from -3 to 4 in one hour, down from 4 to -1 in two
    assert line["auc_above_baseline"] == pytest.approx(4.0**2 / (2 * 7.0) + 2 * 4.0**2 / (2 * 5.0), rel=1e-12)


def test_refusals_are_sentences():
    one = cohort(one_compartment_iv, T[1:], C[1:], [(0.0, 250.0, 0.0)])
    with pytest.raises(FitError, match=r"^route='oral' is not known\. Known: bolus, extravascular, infusion\.$"):
        nca(one, route="oral")
    with pytest.raises(
        FitError, match=r"^The interval 0 to 30 h is not within the profile, which goes from 0 to 24 h; look at more times\.$"
    ):
        auc(T, C, end=30.0)
    with pytest.raises(FitError, match=r"^method='log' is no rule for areas\. "):
        auc(T, C, method="log")
    with pytest.raises(FitError, match=r"^dose=\.\.\. gives CL/F = dose / auc_inf, so to_infinity=True is needed beside it\.$"):
        exposure((T, C), dose=(100, "mg"))
    with pytest.raises(FitError, match=r"^nca takes a Cohort, not DataFrame: "):
        nca(pd.DataFrame(), route="bolus")
    with pytest.raises(FitError, match=r"^This table has no column 'cmaxx'\. Did you mean 'cmax'\? "):
        nca_summary(nca(one, route="bolus"), measures=["cmaxx"])


def test_covariates_are_kept_to_group_by():
    looks = pd.DataFrame(
        {"ID": np.repeat([1, 2], 3), "TIME": [1.0, 2.0, 4.0] * 2, "EVID": 0, "AMT": 0.0, "DV": [4.0, 2.0, 0.5, 8.0, 4.0, 1.0]}
    )
    doses = pd.DataFrame({"ID": [1, 2], "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv"})
    rows = pd.concat([doses, looks]).sort_values(["ID", "TIME"]).assign(SITE=lambda x: 10.0 * x["ID"]).fillna({"CMT": ""})
    given = read_cohort(rows, one_compartment_iv, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"}, covariates=["SITE"])
    table = nca(given, route="bolus", keep=["SITE"])
    assert table["SITE"].tolist() == [10.0, 20.0]
    assert nca_summary(table, by="SITE", measures=["cmax"])["geometric_mean"].tolist() == pytest.approx([4.0, 8.0])
    with pytest.raises(FitError, match=r"^keep names 'SITES', which is no covariate of .*\. Did you mean 'SITE'\? "):
        nca(given, route="bolus", keep=["SITES"])


def test_summary_by_hand():
    table = pd.DataFrame({"subject": list("abcd"), "arm": [1, 1, 2, 2], "cmax": [1.0, np.e, 2.0, np.nan], "tmax": [1.0, 3.0, 2.0, 2.0]})
    table.attrs["units"] = {"cmax": "mg/L", "tmax": "h"}
    found = nca_summary(table, by="arm").set_index(["arm", "measure"])
    line = found.loc[(1, "cmax")]
    npt.assert_allclose([line["geometric_mean"], line["geometric_cv"]], [np.exp(0.5), 100 * np.sqrt(np.expm1(0.5))], rtol=1e-12)
    assert (found.loc[(2, "cmax"), "n"], found.loc[(2, "cmax"), "missing"], line["unit"]) == (1, 1, "mg/L")
    assert np.isnan(found.loc[(1, "tmax"), "geometric_mean"]) and found.loc[(1, "tmax"), "median"] == 2.0
