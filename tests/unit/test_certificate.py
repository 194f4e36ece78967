"""The certificate of a solver: what is judged, what is said, how it is kept and shown."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pkpd import FitError, Solver, solver_check
from pkpd.diagnostics.solver_check import stored_check
from pkpd.inference.assemble import _checked
from pkpd.inference.certificate import MOVED, NEGLIGIBLE, SolverCheck
from pkpd.inference.fit import Fit, load_fit
from pkpd.inference.geometry import Geometry
from pkpd.inference.predictive import over_draws, thin
from pkpd.inference.reweigh import tighter, weigh
from pkpd.inference.verdict import judge, summarise
from pkpd.report.facts import gather
from pkpd.report.solver import solver_section
from tests import small
from tests.fakes import fake_fit
from tests.unit.test_verdict import posterior, stats

BLANK = SolverCheck("cascade (mesh_growth 0.5)", "rosenbrock (rtol 1e-8, atol 1e-10)", cure="Solver(mesh_growth=0.25)")
RNG = np.random.default_rng(8)
X, Y, CUBED = RNG.normal(size=400), RNG.normal(size=400), RNG.standard_cauchy(size=400) ** 3


def check(slope: float = 0.0, tail: float = 0.0, lost: int = 0) -> SolverCheck:
    """Log ratios that lean on CL with `slope`, with a tail like the cube of Cauchy's, some not solved."""
    ratio = slope * X + tail * CUBED
    ratio[:lost] = np.nan
    return weigh(ratio, {"CL": 3.0 + 0.2 * X, "V": 20.0 + Y}, BLANK)


def test_weights_that_lean_on_a_parameter_move_its_mean():
    """exp(s x) turns N(0, 1) into N(s, 1)."""
    found = check(slope=0.3).table.set_index("name")
    assert found.loc["CL", "shift"] == pytest.approx(0.3, abs=0.03)
    assert found.loc["CL", "mean_reweighted"] == pytest.approx(3.0 + 0.2 * X.mean() + 0.06, abs=0.006)
    assert abs(found.loc["V", "shift"]) < 0.05
    assert list(found.loc["CL", ["q5", "q50", "q95"]]) == pytest.approx(list(3.06 + 0.2 * np.array([-1.645, 0.0, 1.645])), abs=0.05)


def test_equal_weights_change_nothing():
    found = check()
    assert found.ess == pytest.approx(400) and found.difference == 0.0 and found.pareto_k is None
    assert (found.table["shift"].abs() < 1e-12).all()
    assert (found.table["mean"] - found.table["mean_reweighted"]).abs().max() < 1e-12


def test_the_sentences():
    against = "against rosenbrock (rtol 1e-8, atol 1e-10), "
    assert check(slope=1e-3).verdict.startswith(f"Certified: {against}posterior means move by 0.001 sd at most (CL); Pareto-k ")
    assert check(slope=1e-3).verdict.endswith(" (good: below 0.7).")
    moved = check(slope=0.3).verdict
    assert moved.startswith(f"Not certified: {against}the mean of CL moves by +0.32 posterior sd (more than 0.1 counts); Pareto-k ")
    assert "Use a tighter tolerance, Solver(mesh_growth=0.25), and sample again. Until then the re-weighted numbers can be used." in moved
    heavy = check(tail=1e-7).verdict
    assert re.search(r"Pareto-k \d+\.\d\d \(too high: 0\.7 or more\)\. Use a tighter", heavy)
    assert heavy.endswith("The re-weighted numbers are no estimates either.")
    exact, failed = SolverCheck("closed_form"), SolverCheck("cascade", reason="no tighter solver can be had")
    assert exact.verdict == "Exact: closed_form has no tolerance, so there is nothing to re-weigh."
    assert failed.verdict == "Not checked: no tighter solver can be had."
    assert repr(exact) == f"SolverCheck(closed_form: {exact.verdict})"


def test_a_heavy_tail_of_nothing_is_certified():
    """Rounding has a heavy tail too; weights within 4 % of equal move no mean by what counts."""
    found = check(tail=1e-11)
    assert found.pareto_k > 0.7 and found.status == "certified"
    assert re.search(r"Pareto-k \d\.\d\d has no weight, since log posteriors differ by [\d.e-]+ at most\.$", found.verdict)
    assert np.expm1(2 * NEGLIGIBLE) < MOVED


def test_draws_that_cannot_be_solved_are_counted_and_said():
    few, many, most = check(slope=1e-3, lost=4), check(slope=1e-3, lost=40), check(lost=380)
    assert few.status == "certified" and few.failed == 4 and few.ess < 396.1
    assert few.verdict.endswith("; 4 of 400 draws could not be solved by it and are left out.")
    assert many.status == "warning"
    assert "Too many draws are beyond the tighter solver: raise max_steps, and check again with solver_check(fit)." in many.verdict
    assert many.brief.endswith(", 40 of 400 draws not solved")
    assert most.verdict == "Not checked: only 20 of 400 draws were solved by both solvers, and at least 25 are needed."


def test_draws_that_repeat_or_carry_everything_have_no_tail():
    assert check(tail=1.0).pareto_k is None and check(tail=1.0).status == "warning"
    found = weigh(np.repeat(RNG.normal(size=20), 20), {"CL": X}, BLANK)
    assert found.pareto_k is None and found.status == "warning"
    assert "no Pareto-k can be fitted (draws repeat, or one carries all weight)" in found.verdict


def test_which_solver_checks_which(monkeypatch):
    assert [s.method for s in tighter(Solver(), "cascade")] == ["rosenbrock"]  # the tests run with machine code off
    monkeypatch.setenv("PKPD_NATIVE", "wait")
    methods = lambda name: [s.method for s in tighter(Solver(), name)]  # noqa: E731
    assert methods("closed_form") == methods("matrix_exponential") == []
    assert methods("cascade") == methods("rosenbrock") == methods("kvaerno5") == ["native_rodas4", "rosenbrock"]
    assert methods("native_rodas4") == ["rosenbrock"]  # not machine code by machine code
    first = tighter(Solver(), "cascade")[0]
    assert (first.rtol, first.atol) == (1e-8, 1e-10)
    assert tighter(Solver(rtol=1e-8), "rosenbrock")[0].rtol == pytest.approx(1e-9)


def test_a_warning_stands_in_the_headline_and_in_the_next_steps():
    summary = summarise(posterior(), ["CL"])
    found = judge(summary, stats(0), check=check(slope=0.3))
    assert found.converged
    assert found.headline.startswith("Converged, with a warning: largest R-hat 1.00")
    assert re.search(r"; the solver is not certified \(CL moves by \+0\.32 posterior sd, Pareto-k -?0\.\d\d\)\.$", found.headline)
    assert found.reasons[0].startswith("Solver not certified: against rosenbrock")
    assert found.next_steps == ("Use a tighter tolerance, Solver(mesh_growth=0.25), and sample again.",)
    assert judge(summary, stats(8), check=check(slope=0.3)).headline.startswith("Converged, with warnings: ")
    assert judge(summary, stats(0), check=check()) == judge(summary, stats(0))


def test_without_convergence_the_warning_comes_after_the_reasons():
    found = judge(summarise(posterior(2.0), ["CL"]), stats(0), check=check(slope=0.3))
    assert found.headline.startswith("NOT CONVERGED: R-hat")
    assert found.reasons[-1].startswith("Solver not certified: ")


def test_it_is_stored_with_a_fit_and_read_back(tmp_path):
    tree, made = fake_fit().tree, check(slope=0.3, lost=3)
    tree.attrs["solver_check"] = made.to_json()
    Fit(tree).tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    back = solver_check(load_fit(tmp_path))
    assert back.to_json() == made.to_json() and back.verdict == made.verdict
    assert back.table.equals(made.table)


def test_without_problem_only_what_is_stored_is_known():
    bare = fake_fit()
    assert stored_check(bare) is None
    with pytest.raises(FitError, match=r"saved without a check of its solver.* Load it with its problem to check it now: load_fit\("):
        solver_check(bare)
    bare.tree.attrs["solver_check"] = SolverCheck("closed_form").to_json()
    assert solver_check(bare).status == "exact"
    with pytest.raises(FitError, match=r"was made at rtol 1e-08 on 400 draws; you asked for 1e-09 on 400\. Load it with its problem"):
        solver_check(bare, rtol=1e-9)


def test_a_check_that_breaks_leaves_the_fit_alone(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("pkpd.inference.assemble.reweigh", broken)
    rows = fake_fit().tree["posterior"]["S"].rename("dv").expand_dims(obs=2)
    found = _checked(small.problem(), posterior(), Geometry(None, None, {}, 0.0, None), rows)
    assert found.verdict == "Not checked: it ended in RuntimeError (out of memory)."


def shown(made: SolverCheck | None, converged: bool = True) -> str:
    fit = fake_fit(converged=converged)
    if made is not None:
        fit.tree.attrs["solver_check"] = made.to_json()
    return solver_section(gather(fit))


def test_the_report_says_it_first_then_shows_what_moves_most():
    made = replace(check(slope=0.3), solver="cascade")
    page = shown(made)
    assert page.index(f'<span class="bad-word">{made.verdict}</span>') < page.index("<table>") < page.index("Failed solves")
    assert page.index("<td>CL</td>") < page.index("<td>V</td>")
    assert '<span class="bad-word">+0.32</span>' in page and "<th>re-weighted mean</th>" in page
    assert "below 0.7 the weights can be trusted, from 0.7 on a few draws carry them all." in page
    assert "Every population parameter, as sampled by cascade and with the same 400 draws" in page
    assert '<span class="good-word">Certified: ' in shown(check(slope=1e-3))


def test_the_report_shows_no_means_without_convergence_and_no_table_without_numbers():
    withheld = shown(check(slope=0.3), converged=False)
    assert "<th>shift (posterior sd)</th>" in withheld and "mean</th>" not in withheld
    assert "<table>" not in shown(SolverCheck("closed_form"))
    assert "Not checked: this fit was saved without a check of its solver." in shown(None)


def test_draws_one_after_another_are_the_same_as_together():
    draws = {"x": np.arange(10.0)}
    keys = np.zeros((10, 2), np.uint32)
    assert np.array_equal(*(over_draws(lambda s, _: s["x"] ** 2, draws, keys, batch=b) for b in (None, 4)))
    assert thin((2, 5), 4).tolist() == [0, 4, 5, 9]
