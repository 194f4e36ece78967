"""The ladder of a fit: what each rung asks for, and that a final fit goes on until it has it."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pkpd import FitError, Sampler, Solver, pathfinder, sample, sample_summaries, variational
from pkpd.approximate.laplace import root_of
from pkpd.cli.session import _tidy
from pkpd.inference import quality
from pkpd.inference.approximated import Approximation
from pkpd.inference.provenance import provenance
from pkpd.inference.quality import finer, raised, until_enough, worst
from pkpd.inference.verdict import judge, summarise
from tests.cli import told
from tests.exact.test_laplace import linear
from tests.small import problem
from tests.statistics.test_summaries_in_a_fit import ARM, TERMS, joint


@dataclass
class Drawn:
    z: np.ndarray
    stopped: bool = False


def chains(draws, rho):
    """Two chains of three coordinates with autocorrelation rho."""
    rng = np.random.default_rng(1)
    z = np.zeros((2, draws, 3))
    for i in range(1, draws):
        z[:, i] = rho * z[:, i - 1] + np.sqrt(1 - rho**2) * rng.normal(size=(2, 3))
    return z


def first_two(draws):
    """What `worst` says of the first two coordinates."""
    return worst(summarise(xr.Dataset({n: (("chain", "draw"), draws.z[..., i]) for i, n in enumerate("ab")}), ["a", "b"]))


def drawn(rho, stopped=False):
    asked = []

    def run(sampler, place):
        asked.append((sampler.draws, place))
        return Drawn(chains(sampler.draws, rho), stopped)

    found, settings = until_enough(run, Sampler(draws=1000), first_two, "kept", Path, lambda *_: None)
    return asked, found, settings


def test_a_final_fit_stops_where_it_has_enough():
    asked, found, settings = drawn(0.0)
    assert asked == [(1000, "kept")] and settings.draws == 1000 and found.z.shape == (2, 1000, 3)


def test_it_doubles_its_draws_and_ends_after_four_times_as_many():
    """Autocorrelation 0.95 leaves a 39th of the draws."""
    asked, _, settings = drawn(0.95)
    assert [n for n, _ in asked] == [1000, 2000, 4000] and settings.draws == 4000


def test_an_interruption_ends_it():
    assert len(drawn(0.95, stopped=True)[0]) == 1


def test_without_a_checkpoint_chains_go_on_from_a_temporary_one():
    places = []
    run = lambda sampler, place: places.append(place) or Drawn(chains(sampler.draws, 0.95))  # noqa: E731
    until_enough(run, Sampler(draws=100), first_two, None, lambda path: path, lambda *_: None)
    assert len(places) == 3 and len(set(places)) == 1 and not places[0].parent.exists()


def test_mixing_is_judged_in_the_parameters_own_units():
    """The folded R-hat of exp(3 z) is another one than that of z: two chains of the same median, the second with half the spread."""
    z = chains(1000, 0.0) * np.array([1.0, 0.5])[:, None, None]
    scale = lambda f: worst(summarise(xr.Dataset({"a": (("chain", "draw"), f(z[..., 0]))}), ["a"]))  # noqa: E731
    assert scale(lambda x: x)[1] > 1.02 and abs(scale(lambda x: x)[1] - scale(lambda x: np.exp(3 * x))[1]) > 0.005


def test_a_single_chain_is_not_converged_and_cannot_be_final():
    with pytest.raises(FitError, match=r"quality='final' with chains=1: .*Ask for at least 2 chains"):
        raised(Sampler(chains=1))
    summary = pd.DataFrame({"name": ["CL"], "ess_bulk": [900.0], "ess_tail": [900.0], "rhat": [np.nan]})
    stats = xr.Dataset(
        {"diverging": (("chain", "draw"), np.zeros((1, 50), bool)), "energy": (("chain", "draw"), chains(50, 0.0)[:1, :, 0])}
    )
    found = judge(summary, stats)
    assert (
        found.headline.startswith("NOT CONVERGED: A single chain has no R-hat")
        and "Run at least 2 chains (4 are usual)." in found.next_steps
    )


def test_final_settings_are_never_below_the_problems_own():
    assert raised(Sampler()) == Sampler(draws=2000, warmup=1500, target_accept=0.95, max_tree_depth=10)
    assert raised(Sampler(draws=9000, target_accept=0.99, chains=2)) == Sampler(2, 9000, 1500, 0.99, 10)


def test_a_final_fit_has_a_finer_solver():
    assert finer(Solver()) == Solver(rtol=1e-8, atol=1e-10, mesh_growth=0.175, max_steps=4 * Solver().max_steps)
    assert (finer(Solver(rtol=1e-13)).rtol, finer(Solver(atol=1e-15)).atol) == (1e-13, 1e-15)  # never coarser
    assert finer(Solver(rtol=1e-11, mesh_first=0.2)).rtol == 1e-12 and finer(Solver(mesh_first=0.2)).mesh_first == 0.1


def test_a_quality_that_is_not_known():
    with pytest.raises(FitError) as error:
        Sampler(quality="finale")
    assert str(error.value) == "quality='finale' is not known. Did you mean 'final'? Known: draft, final, standard."


def test_a_draft_does_not_take_published_summaries():
    with pytest.raises(FitError) as error:
        sample(joint(), seed=1, quality="draft")
    told = "small: a draft does not take published summaries. Give quality='standard', or leave the summaries out for a first look."
    assert str(error.value) == told
    for verb in (pathfinder, variational):
        with pytest.raises(FitError) as error:
            verb(joint(), seed=1)
        assert str(error.value) == f"small: {verb.__name__} does not take published summaries. Sample the problem with pkpd.sample."


def test_summaries_alone_have_no_other_rung():
    with pytest.raises(FitError) as error:
        sample_summaries([(ARM, TERMS)], problem().population, problem().noise, seed=1, quality="draft")
    assert str(error.value) == "sample_summaries(quality='draft'): summaries alone are sampled by NUTS. Give quality='standard'."


def test_a_record_names_the_quality_only_where_it_is_not_the_usual_one():
    p = problem()
    assert "quality" not in provenance(p, Sampler(), 1)["sampler"]
    assert provenance(p, Sampler(quality="final"), 1)["sampler"]["quality"] == "final"


def test_the_command_line_hands_it_on(here, sampled, capsys):
    assert told(capsys, "fit", "tiny.py", "--quality", "draft")[0] == 0
    assert sampled.calls[-1]["quality"] == "draft"


@pytest.mark.slow
def test_a_draft_is_laplace_and_says_so():
    fit = sample(linear(), seed=2, quality="draft", draws=10)
    assert fit.verdict.headline.startswith("Approximation (Laplace)") and fit.tree["posterior"].sizes["draw"] == 1000
    assert quality.MEANING["draft"] in json.loads(fit.tree.attrs["report"])["assumptions"]


@pytest.mark.slow
def test_a_final_fit_goes_on_and_is_judged_by_what_it_asks_for(monkeypatch):
    """Two chains of 50 draws cannot hold 1000 effective ones: they are doubled twice, and the verdict asks for 1000."""
    monkeypatch.setattr(quality, "FINAL", {"draws": 50, "warmup": 100})
    fit = sample(problem(), seed=5, progress=False, quality="final", draws=50, warmup=100)
    assert fit.tree["posterior"].sizes["draw"] == 200 and fit.provenance["sampler"]["draws"] == 200
    assert fit.provenance["solver"]["rtol"] == 1e-8
    assert any("Effective sample size below 1000 for" in r for r in fit.verdict.reasons)
    assert quality.MEANING["final"] in json.loads(fit.tree.attrs["report"])["assumptions"]


def test_a_draft_leaves_the_unfinished_fit_of_its_folder_alone(tmp_path, caplog):
    place = tmp_path / ".out.unfinished"
    place.mkdir()
    done = SimpleNamespace(tree=SimpleNamespace(attrs={"approximation": "{}"}), verdict=SimpleNamespace(converged=True))
    with caplog.at_level("INFO", "pkpd"):
        _tidy(place, done, logging.getLogger("pkpd"))
    assert place.is_dir() and "the command without --quality draft goes on from there" in caplog.text
    done.tree.attrs.clear()
    _tidy(place, done, logging.getLogger("pkpd"))
    assert not place.exists()


def test_what_a_draft_does_not_use_is_told(caplog, monkeypatch):
    with caplog.at_level("INFO", "pkpd"), pytest.raises(ZeroDivisionError):
        monkeypatch.setattr(sys.modules["pkpd.approximate.laplace"], "integrated", lambda problem: 1 / 0)
        sample(problem(), seed=1, quality="draft", chains=2, checkpoint="here", draws=100)
    assert "a draft is no run of NUTS: chains, checkpoint are not used" in caplog.text


def test_too_few_steps_and_a_curvature_that_is_not_finite_are_refused():
    with pytest.raises(FitError, match=r"variational\(\.\.\., steps=7\): at least 8 are needed"):
        variational(problem(), seed=1, steps=7)
    with pytest.raises(FitError, match="curvature of the posterior at its marginal mode is not finite"):
        root_of(np.array([[1.0, np.nan], [np.nan, 1.0]]))


def test_the_pareto_k_that_can_be_trusted_falls_with_fewer_draws():
    k = lambda s: Approximation("Laplace", s, 10, 0, 0.6, 500.0).good_k  # noqa: E731
    assert k(2000) == pytest.approx(0.697, abs=1e-3) and k(100) == 0.5 and k(10**6) == 0.7
    assert Approximation("Laplace", 2000, 10, 0, 0.6, 500.0).usable and not Approximation("Laplace", 100, 10, 0, 0.6, 500.0).usable
