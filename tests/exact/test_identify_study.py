"""What a study without data tells: the information illustration of SCIENCE.md (f), V9, and subjects counted instead of repeated."""

import numpy as np
import pandas as pd
import pytest

from pkpd import Component, Observable, Param, State, bolus, compose, gain, identify, loss, sum_of, total
from pkpd.inference.design_information import design_information
from pkpd.inference.linearised import linearised
from pkpd.models.carm.trafficking import car_dna, qpcr, trafficking
from pkpd.models.classic import one_compartment_iv
from pkpd.simulate import Looks, Study, StudyArm, study_problem

CELLS = "1e9 cells"
VALUES = {
    "f_L": 0.8, "k_LB": 0.25, "k_Ld": 0.02, "k_BH": 0.3, "k_BT": 0.003, "k_Bd": 0.029, "k_Hd": 0.0144, "k_Td": 0.002, "k_act": 0.02, "S": 1.0,
    "kout": 0.69, "base": 3.0, "sH": 60.0, "sA": 4000.0, "k_Z": 0.03, "Z50": 0.5,
}  # fmt: skip
BOLUS_BLOOD = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 96.0, 168.0)
AFTER = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0)
SPLIT_BLOOD = sorted({t + x for t in (0.0, 48.0, 96.0) for x in AFTER} - {48.0, 96.0} | {144.0, 168.0})
BOLUS_SERUM = (1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 96.0, 168.0)
SPLIT_SERUM = (1.0, 2.0, 4.0, 8.0, 24.0, 49.0, 50.0, 52.0, 56.0, 72.0, 97.0, 98.0, 100.0, 104.0, 120.0, 144.0, 168.0)


def reduced():
    """M1 without a spleen, tolerance driven by lung and liver, one cytokine with slopes of its own for lung and liver and for activated cells."""
    release = Component(
        "release",
        states=(State("Z", CELLS, "tolerance"), State("C", "pg/mL", "cytokine", initial="base")),
        params=(
            Param("kout", 0.69, "1/h", "elimination", source="SCIENCE (f)"),
            Param("base", 3.0, "pg/mL", "baseline", source="SCIENCE (f)"),
            Param("sH", 60.0, "1/(1e9 cells)", "slope of lung and liver", source="SCIENCE (f)"),
            Param("sA", 4000.0, "1/(1e9 cells)", "slope of activated cells", source="SCIENCE (f)"),
            Param("k_Z", 0.03, "1/h", "tolerance", source="SCIENCE (f)"),
            Param("Z50", 0.5, CELLS, "tolerance that halves", source="SCIENCE (f)"),
        ),
        reads=("cells_lung_liver", "cells_active"),
        rates=lambda t, y, p, s: total(
            gain("Z", p.k_Z * s.cells_lung_liver),
            loss("Z", p.k_Z * y.Z),
            gain("C", p.kout * p.base * (1.0 + (p.sH * s.cells_lung_liver + p.sA * s.cells_active) / (1.0 + y.Z / p.Z50))),
            loss("C", p.kout * y.C),
        ),
    )
    looks = [
        car_dna,
        Observable("serum", "pg/mL", lambda y, p, s: y.C, "cytokine"),
        Observable("biopsy", CELLS, lambda y, p, s: y.tumour + y.active, "cells in the tumour"),
    ]
    return compose("reduced", trafficking, qpcr, release, observables=looks)


@pytest.fixture(scope="module")
def illustration():
    """Information of ln of the 16 parameters by blood, with the cytokine, with two biopsies; k_Td is also the death of activated cells."""
    model = reduced()
    once = bolus((5.0, CELLS))
    split = sum_of(bolus((d, CELLS)).at((t, "h")) for d, t in ((0.5, 0.0), (1.5, 48.0), (3.0, 96.0)))
    arms = {f"{n} {h:g}": StudyArm(r, 1, {"HER2": h}) for n, r in (("once", once), ("split", split)) for h in (3.0, 2.0)}
    at = lambda word: tuple(n for n in arms if n.startswith(word))  # noqa: E731
    looks = (
        Looks("car_dna", np.array(BOLUS_BLOOD), at("once")),
        Looks("car_dna", np.array(SPLIT_BLOOD), at("split")),
        Looks("serum", np.array(BOLUS_SERUM), at("once")),
        Looks("serum", np.array(SPLIT_SERUM), at("split")),
        Looks("biopsy", np.array([168.0, 672.0])),
    )
    errors = {"car_dna": ("lognormal", 0.5), "serum": ("lognormal", 0.4), "biopsy": ("lognormal", 0.8)}
    values = VALUES | {"h2": 0.3, "k_BP": 1e-12, "k_Pd": 1.0, "k_Ad": VALUES["k_Td"]}
    made = study_problem(model, Study("illustration", arms, looks, errors, parameters=values, fixed=("h2", "k_BP", "k_Pd")))
    here = linearised(made.problem)
    places = [made.problem.observed_names.index(o) for o in ("car_dna", "serum", "biopsy")]
    found = []
    for step in range(1, 4):
        info = design_information(here, tuple(places[:step]))
        root = pd.DataFrame(info.root, columns=list(info.names))
        root["k_Td"] += root.pop("k_Ad")
        found.append(root[list(VALUES)].to_numpy())
    return found


@pytest.mark.slow
def test_eigenvalues_above_the_prior_are_four_nine_and_eleven_of_sixteen(illustration):
    assert [int((np.linalg.svd(root, compute_uv=False) > 1.0).sum()) for root in illustration] == [4, 9, 11]


@pytest.mark.slow
def test_posterior_sds_are_those_of_the_table(illustration):
    """Prior sd of ln 1 on all; the table has two digits."""
    found = pd.DataFrame(np.transpose([posterior(root) for root in illustration]), index=list(VALUES))
    table = {
        "k_LB": (0.08, 0.08, 0.08), "f_L": (0.09, 0.09, 0.09), "S": (0.16, 0.16, 0.16), "k_BH": (0.14, 0.13, 0.13), "k_BT": (1.0, 0.82, 0.42),
        "k_Ld": (0.99, 0.98, 0.98), "k_Bd": (1.0, 0.98, 0.98), "k_Td": (1.0, 0.96, 0.45), "k_act": (1.0, 0.80, 0.80), "k_Hd": (1.0, 0.57, 0.55),
        "kout": (1.0, 0.37, 0.37), "base": (1.0, 0.62, 0.60), "sH": (1.0, 0.66, 0.64), "sA": (1.0, 0.82, 0.73), "k_Z": (1.0, 0.59, 0.58),
        "Z50": (1.0, 0.43, 0.42),
    }  # fmt: skip
    np.testing.assert_allclose(found.loc[list(table)].to_numpy(), np.array(list(table.values())), atol=0.006)  # half a digit, and 0.001


@pytest.mark.slow
def test_what_blood_tells_is_that_of_its_closed_form(illustration):
    """B(t) = [(1 - f_L) D - K] exp(-kB t) + K exp(-kL t), differentiated by complex steps."""
    names = ("f_L", "k_LB", "k_Ld", "k_BH", "k_BT", "k_Bd", "S")

    def blood(v, dose, t):
        k_l, k_b = v["k_LB"] + v["k_Ld"], v["k_BH"] + v["k_BT"] + v["k_Bd"]
        k = v["f_L"] * dose * v["k_LB"] / (k_b - k_l)
        return v["S"] * (((1 - v["f_L"]) * dose - k) * np.exp(-k_b * t) + k * np.exp(-k_l * t)) * (t >= 0)

    def curves(v):
        once = blood(v, 5.0, np.array(BOLUS_BLOOD))
        split = sum(blood(v, d, np.array(SPLIT_BLOOD) - t) for d, t in ((0.5, 0.0), (1.5, 48.0), (3.0, 96.0)))
        return np.log(np.concatenate([once, once, split, split])) / 0.5

    step = 1e-30
    root = np.stack([curves(VALUES | {n: VALUES[n] * np.exp(step * 1j)}).imag / step for n in names], 1)
    ours = illustration[0][:, [list(VALUES).index(n) for n in names]]
    np.testing.assert_allclose(
        ours.T @ ours, root.T @ root, rtol=2e-3, atol=1e-3
    )  # the mesh of a design; that of a fit is wrong by a factor of 2 here


def posterior(root):
    """Expected posterior sds of ln with prior sds of 1."""
    return np.sqrt(np.diag(np.linalg.inv(root.T @ root + np.eye(root.shape[1]))))


@pytest.mark.slow
def test_patients_are_counted_as_if_each_were_there():
    """Spread between patients included: three of one arm tell what three subjects do."""
    once = bolus((320.0, "mg"))
    looks = (Looks("cp", np.array([1.0, 4.0, 12.0])),)
    one = Study("one", {"a": StudyArm(once, 3)}, looks, {"cp": ("lognormal", 0.2)}, variability={"CL": 0.3})
    three = Study("three", {n: StudyArm(once) for n in "abc"}, looks, {"cp": ("lognormal", 0.2)}, variability={"CL": 0.3})
    counted, each = study_problem(one_compartment_iv, one), study_problem(one_compartment_iv, three)
    found, wanted = identify(counted.problem, copies=counted.copies), identify(each.problem)
    pd.testing.assert_frame_equal(found.table, wanted.table, rtol=1e-9)
    assert found.streams["rows"].tolist() == [9]


def test_arms_limits_and_counted_patients_have_the_information_of_the_closed_form():
    """ln f = ln(D / V) - CL t / V: 3 and 2 patients, CL differs between them, and the last look of the lower dose lies below the limit."""
    cl, v, omega, sigma = 2.8, 32.0, 0.3, 0.2
    times, looks = np.array([1.0, 6.0, 24.0]), (Looks("cp", np.array([1.0, 6.0, 24.0])),)
    arms = {"low": StudyArm(bolus((100.0, "mg")), 3), "high": StudyArm(bolus((400.0, "mg")), 2)}
    limit = 1.0
    study = Study(
        "closed", arms, looks, {"cp": ("lognormal", sigma)}, parameters={"CL": cl, "V": v}, priors={"CL": 0.5}, variability={"CL": omega},
        limits={"cp": limit},
    )  # fmt: skip
    made = study_problem(one_compartment_iv, study)
    found = identify(made.problem, copies=made.copies)
    fixed, spread = np.zeros((2, 2)), np.zeros((2, 2))
    for dose, n in ((100.0, 3), (400.0, 2)):
        t = times[dose / v * np.exp(-cl / v * times) >= limit]
        j = np.stack([-cl * t / v, cl * t / v - 1.0], 1)
        between, within = np.outer(omega * j[:, 0], omega * j[:, 0]), sigma**2 * np.eye(len(t))
        inverse = np.linalg.inv(between + within)
        fixed += n * j.T @ inverse @ j
        slopes = [2.0 * between, 2.0 * within]
        spread += n * 0.5 * np.array([[np.trace(inverse @ a @ inverse @ b) for b in slopes] for a in slopes])
    table = found.table.set_index("name")
    se = np.sqrt(np.concatenate([np.diag(np.linalg.inv(fixed)), np.diag(np.linalg.inv(spread))]))
    np.testing.assert_allclose(table.loc[["CL", "V", "omega_CL", "sigma_cp"], "rse"], 100 * se, rtol=1e-9)
    width = np.array([0.5, 1.0])
    ratio = np.sqrt(np.diag(np.linalg.inv(fixed + np.diag(width**-2.0)))) / width
    np.testing.assert_allclose(table.loc[["CL", "V"], "all"], ratio, rtol=1e-3)  # prior sds by 2000 quantiles
    assert (
        found.streams["rows"].tolist() == [12]
        and "cp: 3 of 15 looks lie below 1 mg/L at these values and count for nothing." in made.assumed
    )


@pytest.mark.slow
def test_patients_cost_nothing():
    """A million of them tell a thousandth of the standard error of one, in the same arrays."""
    made = study_problem(one_compartment_iv, Study("one", {"a": StudyArm(bolus((320.0, "mg")))}, (Looks("cp", np.array([1.0, 12.0])),), {}))
    one, many = (identify(made.problem, copies=(n,)).table.set_index("name")["rse"] for n in (1, 10**6))
    np.testing.assert_allclose(many, one / 1000.0, rtol=1e-9)
