"""Theophylline in 12 subjects against the published summary of PKNCA's vignette, to the digits it prints."""

import os
from pathlib import Path

import pandas as pd
import pytest

from pkpd import nca, nca_summary, read_cohort
from pkpd.models.classic import one_compartment_oral

FOLDER = Path(os.environ.get("PKPD_DATA", "no such folder"))
MEASURES = {"Cmax": "cmax", "Tmax": "tmax", "half-life": "half_life", "AUCinf,obs": "auc_inf"}
COLUMNS = {
    "geometric mean [geometric CV%]": ("geometric_mean", "geometric_cv"),
    "mean [sd]": ("mean", "sd"),
    "median [min,max]": ("median", None),
}


@pytest.mark.skipif(not (FOLDER / "theophylline_nca_reference.csv").exists(), reason="set PKPD_DATA to the folder of reference data")
def test_published_summary():
    cohort = read_cohort(FOLDER / "theo_sd.csv", one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    found = nca_summary(nca(cohort, route="extravascular")).set_index("measure")
    reference = pd.read_csv(FOLDER / "theophylline_nca_reference.csv")
    assert set(reference["nca_parameter"]) >= set(MEASURES)
    for line in reference.to_dict("records"):
        if line["nca_parameter"] not in MEASURES:
            continue
        mine = found.loc[MEASURES[line["nca_parameter"]]]
        for column, wanted in zip(COLUMNS[line["summary"]], (line["center"], line["dispersion"]), strict=True):
            if column is not None:
                assert float(f"{mine[column]:.3g}") == pytest.approx(wanted), (line["nca_parameter"], column)  # three digits are printed
    assert (found.loc["tmax", "min"], found.loc["tmax", "max"]) == (0.63, 3.55)
