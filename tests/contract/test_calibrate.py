"""A calibration compiles its programs once, goes on where it stopped, and gives the same lines in any order and number of processes."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest

from pkpd import calibrate
from pkpd.cli import main
from pkpd.inference.calibrate_replicate import replicate
from tests.compiled import compiled
from tests.statistics.test_calibrate import conjugate, of_conjugate

TIMES = ["seconds", "cpu_seconds"]


def test_one_compilation_serves_all_replicates():
    program = of_conjugate()
    replicate(program, 0)
    assert compiled(lambda: [replicate(program, i) for i in (1, 2, 3)]) == 0


def test_replicates_differ_and_repeat():
    one, again, other = (pd.Series(replicate(of_conjugate(), i)).drop(TIMES) for i in (1, 1, 2))
    pd.testing.assert_series_equal(one, again)
    assert not np.array_equal(one.filter(like="rank_").to_numpy(), other.filter(like="rank_").to_numpy())


def test_the_same_call_goes_on(tmp_path, monkeypatch):
    """Interrupted after two of four replicates: the lines are those of a run that was not."""
    module = importlib.import_module("pkpd.inference.calibrate")  # the package's own name for it is the function
    settings = {"n": 4, "ranks": 19, "warmup": 50, "most": 200}
    monkeypatch.setattr(module, "calibration_program", lambda *_: of_conjugate())
    whole = calibrate(conjugate(1.0), tmp_path / "whole", **settings)
    made = module.lines

    def interrupted(*given):
        for i, line in enumerate(made(*given)):
            if i == 2:
                raise KeyboardInterrupt
            yield line

    monkeypatch.setattr(module, "lines", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate(conjugate(1.0), tmp_path / "cut", **settings)
    assert len(pd.read_csv(tmp_path / "cut" / "ranks.csv")) == 2
    monkeypatch.setattr(module, "lines", made)
    resumed = calibrate(conjugate(1.0), tmp_path / "cut", **settings)
    pd.testing.assert_frame_equal(resumed.table.drop(columns=TIMES), whole.table.drop(columns=TIMES), check_dtype=False)


@pytest.mark.slow
def test_the_command_writes_and_processes_agree(tmp_path, monkeypatch, capsys):
    """Two processes give the lines of one; the folder holds what the command says."""
    from tests.cli import FIT_FILE, RECORDS

    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FIT_FILE, encoding="utf-8")
    (tmp_path / "records.csv").write_text(RECORDS, encoding="utf-8")
    line = ["calibrate", "tiny.py", "--n", "6", "--ranks", "19", "--warmup", "50"]
    codes = [main([*line, "--workers", w, "--out", f"w{w}"]) for w in ("1", "2")]
    assert codes == [0, 0] and "6 replicates find gross errors only." in capsys.readouterr().out
    one, two = (pd.read_csv(tmp_path / w / "ranks.csv").drop(columns=TIMES) for w in ("w1", "w2"))
    pd.testing.assert_frame_equal(one, two)
    assert sorted(p.name for p in (tmp_path / "w2").iterdir()) == ["facts.json", "ranks.csv", "ranks.png", "verdict.txt"]
