"""A fit that was cut short goes on from where it stood and ends with the draws of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pkpd import FitError, Sampler, sample
from pkpd.inference import chain, checkpoint
from pkpd.inference.checkpoint import Checkpoint, differences
from pkpd.inference.geometry import Geometry
from pkpd.inference.kept_geometry import changed
from pkpd.inference.provenance import facts, state_facts
from pkpd.inference.sample import FIELDS, _gather, no_draws_yet
from pkpd.inference.space import Space
from tests import small


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_crash_in_warm_up_or_while_drawing_changes_no_draw(tmp_path, monkeypatch):
    """Crashes come after 2 chunks (warm-up) and 6 (drawing) of 8; states are written after every chunk."""
    whole = small.fit()
    monkeypatch.setattr(chain, "EVERY", 0.0)
    place, keep = tmp_path / "unfinished", Checkpoint.keep_chain
    for crash in (2, 6):

        def kept(self, number, done, *rest, crash=crash):
            keep(self, number, done, *rest)
            if done == crash:
                raise Killed

        monkeypatch.setattr(Checkpoint, "keep_chain", kept)
        monkeypatch.setattr(
            chain.Chain, "keep", lambda self, n, at, walk, d: (self.checkpoint.keep_chain(n, at, walk, d.rows, d.divergent), (0, 0))[1]
        )
        with pytest.raises(Killed):
            sample(small.problem(), seed=5, progress=False, checkpoint=place)
    monkeypatch.setattr(Checkpoint, "keep_chain", keep)
    resumed = sample(small.problem(), seed=5, progress=False, checkpoint=place)
    for name in ("CL", "omega_V", "raw_CL", "sigma_cp"):
        np.testing.assert_array_equal(resumed.tree["posterior"][name], whole.tree["posterior"][name])
    xr.testing.assert_identical(resumed.tree["sample_stats"].to_dataset(), whole.tree["sample_stats"].to_dataset())


@pytest.mark.slow
def test_a_crash_in_or_after_the_pilot_changes_no_draw(tmp_path, monkeypatch):
    """The pilot of 200 warm-up draws has 4 chunks, what follows 4 of warm-up and 2 of draws."""
    settings = {"seed": 5, "progress": False, "warmup": 200, "draws": 50}
    whole = sample(small.problem(), **settings)
    monkeypatch.setattr(chain, "EVERY", 0.0)
    place, keep = tmp_path / "unfinished", Checkpoint.keep_chain
    for folder, crash in (("pilot", 1), ("pilot", 3), ("unfinished", 2), ("unfinished", 5)):

        def kept(self, number, done, *rest, folder=folder, crash=crash):
            keep(self, number, done, *rest)
            if done == crash and self.folder.name == folder:
                raise Killed

        monkeypatch.setattr(Checkpoint, "keep_chain", kept)
        monkeypatch.setattr(
            chain.Chain, "keep", lambda self, n, at, walk, d: (self.checkpoint.keep_chain(n, at, walk, d.rows, d.divergent), (0, 0))[1]
        )
        with pytest.raises(Killed):
            sample(small.problem(), checkpoint=place, **settings)
    monkeypatch.setattr(Checkpoint, "keep_chain", keep)
    resumed = sample(small.problem(), checkpoint=place, **settings)
    for name in ("CL", "omega_V", "raw_CL", "sigma_cp"):
        np.testing.assert_array_equal(resumed.tree["posterior"][name], whole.tree["posterior"][name])


def test_another_fit_is_set_aside_with_a_sentence(tmp_path, caplog):
    place = tmp_path / "unfinished"
    Checkpoint(place, {"seed": 1, "data": {"sha256": "a"}})
    Checkpoint(place, {"seed": 2, "data": {"sha256": "a"}})
    assert "is another one (seed 1, now 2); it is kept as unfinished.earlier-" in caplog.text
    assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["unfinished", "unfinished.earlier"]
    assert json.loads((place / checkpoint.FACTS).read_text()) == {"seed": 2, "data": {"sha256": "a"}}
    assert differences({"data": {"sha256": "a"}}, {"data": {"sha256": "b"}}) == "data sha256 a, now b"


def test_an_unfinished_fit_that_kept_another_state_cannot_go_on():
    """Same shapes may mean other things: `root` was a covariance once."""
    told = facts(small.problem(), small.problem().sampler, 1)
    assert state_facts().items() <= told.items() and "root" in told["kept of a chain"] and "failed" in told["kept of a draw"]


def test_another_density_or_number_of_unknowns_is_told(tmp_path, caplog):
    """From a start written by hand: what differs, in the words that the folder is set aside with."""
    space = Space(small.problem())
    start, weights = space.start(space.full_weights), space.full_weights
    kept = Geometry(start, np.eye(space.size), weights, float(space.potential(start, weights)), np.eye(space.size))
    assert changed(space, kept) == ""
    assert "-log density at its start nan, now " in changed(space, replace(kept, potential=np.nan))
    law = small.lognormal(small.dist.LogNormal(2.0, 0.7), between=small.dist.HalfNormal(0.5))
    words = changed(Space(small.problem(population=small.population(V=law))), kept)
    assert words.startswith(f"-log density at its start {kept.potential:.10g}, now ")
    assert words.endswith(": the model, data or priors have changed")
    fewer = Space(small.problem(population=small.population(V=small.lognormal(small.dist.LogNormal(2.0, 0.7)))))
    assert changed(fewer, kept) == "17 unknowns, now 10"
    place = Checkpoint(tmp_path / "unfinished", {})
    place.keep_geometry(kept)
    stored = place.folder / checkpoint.GEOMETRY
    with np.load(stored) as found:
        np.savez(stored, **{n: found[n] for n in found.files if n != "place"})  # as it was kept before a pilot could find another place
    assert place.geometry().place == kept.place == "the mode with spreads held"
    place.set_aside(words)
    place.set_aside(words)  # within the same second
    assert place.geometry() is None and len(list(tmp_path.iterdir())) == 3
    assert f"is another one ({words}); it is kept as unfinished.earlier-" in caplog.text


def test_an_interruption_before_there_are_draws_says_how_to_go_on(tmp_path):
    first = "Interrupted before the warm-up ended: there are no draws yet. "
    assert str(no_draws_yet(None)) == f"{first}Run again, with fewer warm-up draws if need be."
    assert (
        str(no_draws_yet(Checkpoint(tmp_path / "a", {}))) == f"{first}Run it again to go on: where it stands is kept in {tmp_path / 'a'}."
    )


@pytest.mark.slow
def test_kill_9_then_the_same_command(tmp_path):
    line = [str(Path(sys.executable).with_name("pkpd")), "fit", "fits/theophylline.py", "--quick", "--seed", "3"]
    subprocess.run([*line, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    run = subprocess.Popen([*line, "--out", str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chains = tmp_path / ".cut.unfinished" / "chain_0.npz"
    while not chains.exists() and run.poll() is None:
        time.sleep(0.2)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert chains.exists()
    done = subprocess.run([*line, "--out", str(tmp_path / "cut")], check=True, capture_output=True, text=True)
    assert "going on with the unfinished fit" in done.stderr
    one, two = (xr.open_datatree(tmp_path / n / "fit.nc", engine="h5netcdf")["posterior"].load() for n in ("whole", "cut"))
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], two[name])


def test_an_interruption_keeps_the_chains_that_are_done(caplog):
    """Two threads and four chains: the third has 25 draws and the fourth none when Ctrl-C comes; the first two lose nothing."""

    def done(n: int) -> chain.Done:
        rows = [[np.full((n, 3), float(n)), *(np.zeros(n) for _ in FIELDS)]] if n else []
        return chain.Done(rows, 0.3, 0)

    place = Geometry(np.zeros(3), np.eye(3), {}, 0.0, None)
    settings = Sampler(draws=100, warmup=50)
    kept = _gather([done(100), done(100), done(25), done(0)], place, settings, True, None)
    assert kept.z.shape == (2, 100, 3) and kept.step_size.shape == (2,) and kept.stopped
    assert "Left out of the result, since they had hardly begun: chain 3 (25 draws), chain 4 (0 draws)." in caplog.text
    assert _gather([done(100), done(75)], place, settings, True, None).z.shape == (2, 75, 3)
    with pytest.raises(FitError, match="Interrupted before the warm-up ended: there are no draws yet"):
        _gather([done(0), done(0)], place, settings, True, None)
