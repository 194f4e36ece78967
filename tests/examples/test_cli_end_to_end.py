"""A real fit by the command line: tiny, far too short to converge, from file to report and back."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pandas as pd
import pytest
import xarray as xr

from pkpd.cli import main
from tests.cli import FIT_FILE, RECORDS

WHAT_IF = """
import xarray as xr

def doubled(fit):
    curve = fit.tree["predictions"].to_dataset()["cp"].isel(chain=0).rename(curve_time="time")
    both = xr.concat([curve, 2 * curve], "arm")
    return xr.Dataset({"cp": both}, {"arm": ["as given", "doubled"]}, {"extrapolation": ["Doubled is too much."]})
"""
PKPD = [sys.executable, "-c", "import sys; from pkpd.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    (folder / "records.csv").write_text(RECORDS, encoding="utf-8")
    text = FIT_FILE.replace('name="tiny"', 'name="tiny", what_if=doubled')
    (folder / "short.py").write_text(text + WHAT_IF, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(folder):
    """The finished command, run in a process of its own."""
    return subprocess.run(
        [*PKPD, "fit", "short.py", "--quick", "--seed", "3", "--warmup", "50"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_fit_writes_everything_and_says_its_verdict_first(folder, done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NOT CONVERGED: ") and done.stdout.endswith("Report: build/tiny/report.html\n")
    assert re.search(r"^\[ *\d+\.\d s\] tiny: seed 3, quick$", done.stderr, re.M) and "NUTS" in done.stderr and "Warning" not in done.stderr
    found = {p.name for p in (folder / "build" / "tiny").iterdir()}
    assert found == {"fit.nc", "summary.csv", "provenance.json", "report.html", "plots", "what_if.nc"}


def test_what_is_written_is_what_the_issue_promises(folder, done):
    place = folder / "build" / "tiny"
    table = pd.read_csv(place / "summary.csv")
    assert list(table.columns) == ["name", "mean", "sd", "q5", "q50", "q95", "ess_bulk", "ess_tail", "rhat"]
    assert set(table["name"]) == {"CL", "sigma_cp"}
    told = json.loads((place / "provenance.json").read_text(encoding="utf-8"))
    assert (told["seed"], told["sampler"]["draws"], told["machine"]["x64"]) == (3, 20, True)
    assert xr.load_dataset(place / "what_if.nc", engine="h5netcdf")["cp"].sizes["arm"] == 2
    page = (place / "report.html").read_text(encoding="utf-8")
    assert page.index("NOT CONVERGED") < page.index("<h1") and list((place / "plots").glob("individual_fits_cp_*.png"))


def test_a_report_is_made_again_from_what_was_saved(folder, done, capsys):
    place = folder / "build" / "tiny"
    first = (place / "report.html").read_text(encoding="utf-8")
    (place / "report.html").unlink()
    assert main(["report", str(place)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == done.stdout.splitlines()[0]
    again = (place / "report.html").read_text(encoding="utf-8")
    pictures = re.compile(r'"data:image/png[^"]*"')
    assert pictures.sub("", again) == pictures.sub("", first)


@pytest.mark.slow
def test_interrupting_keeps_the_draws_made_so_far(folder):
    line = [*PKPD, "fit", "short.py", "--draws", "200000", "--warmup", "50", "--out", "stopped"]
    held = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would its children
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as fit:
        signal.signal(signal.SIGINT, held)
        seen = b""
        while not re.search(rb" ([2-9]\d{3}|\d{5,})/400100 ", seen):  # two chains: 100 draws of warm-up, then those to keep
            chunk = fit.stderr.read1(4096)
            assert chunk, seen.decode()
            seen += chunk
        fit.send_signal(signal.SIGINT)
        out, err = fit.communicate(timeout=240)
    assert fit.returncode == 3, err.decode()
    assert b"keeping the draws made so far" in err and b"The run was interrupted before all draws were made." in out
    draws = xr.open_datatree(folder / "stopped" / "fit.nc", engine="h5netcdf")["posterior"].sizes["draw"]
    assert 100 <= draws < 200000
