"""Stand-ins for the tests of the command line: a working folder, and a sampler that takes no time."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest

from pkpd.cli import session
from tests.cli import FIT_FILE, RECORDS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a fit file and its records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "tiny.py").write_text(FIT_FILE, encoding="utf-8")
    (tmp_path / "records.csv").write_text(RECORDS, encoding="utf-8")
    return tmp_path


class SavedFit(SimpleNamespace):
    """A fit that writes a small file where a fit writes its netCDF."""

    def save(self, folder):
        (folder / "fit.nc").write_text(f"seed {self.seed}", encoding="utf-8")


@pytest.fixture
def sampled(monkeypatch):
    """Stands in for sampling and drawing; returns what was asked of them."""
    asked = SimpleNamespace(converged=True, calls=[], runs=[])

    def sample(problem, **options):
        logging.getLogger("pkpd").info("sampling %s", problem.name)
        asked.calls.append(options)
        headline = "Converged: all." if asked.converged else "NOT CONVERGED: R-hat above 1.01 for CL (1.3)."
        reasons, steps = ((), ()) if asked.converged else (("R-hat above 1.01 for CL (1.3).",), ("Run longer.",))
        verdict = SimpleNamespace(converged=asked.converged, headline=headline, reasons=reasons, next_steps=steps)
        return SavedFit(verdict=verdict, seed=options["seed"])

    def write_report(fit, folder, *, what_if=None):
        asked.runs.append(what_if)
        (folder / "report.html").write_text("page", encoding="utf-8")

    monkeypatch.setattr(session, "sample", sample)
    monkeypatch.setattr(session, "write_report", write_report)
    return asked
