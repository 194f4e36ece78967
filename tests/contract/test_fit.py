"""What every fit promises: repeatable draws, labelled groups, a verdict first, a file that reads back to the same numbers."""

import json

import numpy as np
import numpy.testing as npt
import pytest
import xarray as xr

from pkpd import FitError, Solver, load_fit, sample, solver_check
from pkpd.diagnostics.loo import leave_one_out
from pkpd.inference.fit import Fit, _coordinates
from pkpd.inference.reweigh import log_likelihoods, reweigh
from pkpd.solve.native import build
from tests import small

GROUPS = {"posterior", "prior", "sample_stats", "log_likelihood", "posterior_predictive", "observed_data", "constant_data", "predictions"}


def test_the_tree_has_the_promised_groups_and_dimensions():
    tree = small.fit().tree
    assert set(tree.children) >= GROUPS
    posterior = tree["posterior"]
    assert posterior["CL"].dims == ("chain", "draw")
    assert posterior["CL_i"].dims == posterior["eta_V"].dims == ("chain", "draw", "subject")
    assert list(posterior["subject"].values) == ["1", "2", "3", "4", "5", "6"]
    rows = len(small.problem().rows.dv)
    assert tree["log_likelihood"]["dv"].sizes["obs"] == tree["constant_data"]["time"].sizes["obs"] == rows == 36
    assert np.isfinite(tree["log_likelihood"]["dv"].values).all()


def test_the_summary_has_the_promised_columns_in_order():
    summary = small.fit().summary
    assert list(summary.columns) == ["name", "mean", "sd", "q5", "q50", "q95", "ess_bulk", "ess_tail", "rhat"]
    assert list(summary["name"]) == ["CL", "V", "omega_CL", "omega_V", "sigma_cp"]


def test_a_short_run_says_first_that_it_has_not_converged():
    verdict = small.fit().verdict
    assert not verdict.converged
    assert verdict.headline.startswith("NOT CONVERGED: ")
    assert verdict.next_steps


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    again = sample(small.problem(), seed=5, progress=False)
    other = sample(small.problem(), seed=6, progress=False)
    npt.assert_array_equal(again.tree["posterior"]["CL"].values, small.fit().tree["posterior"]["CL"].values)
    assert not np.array_equal(other.tree["posterior"]["CL"].values, again.tree["posterior"]["CL"].values)


def test_a_saved_fit_reads_back_to_the_same_numbers(tmp_path):
    fit = small.fit()
    fit.save(tmp_path / "out")
    back = load_fit(tmp_path / "out", problem=small.problem())
    for group in GROUPS:
        for name, values in fit.tree[group].data_vars.items():
            stored = back.tree[group][name]
            assert stored.dims == values.dims, (group, name)
            npt.assert_array_equal(stored.values, values.values)
    assert back.verdict == fit.verdict
    assert back.provenance == fit.provenance
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["fit.nc", "provenance.json", "summary.csv"]


def test_provenance_repeats_the_fit(tmp_path):
    record = small.fit().provenance
    assert record["seed"] == 5
    assert record["sampler"] == {"chains": 2, "draws": 100, "warmup": 100, "target_accept": 0.9, "max_tree_depth": 8}
    assert record["solver"]["chosen"] == "closed_form"
    assert record["machine"]["x64"] is True
    assert {"jax", "numpyro", "blackjax", "pkpd-jax", "python"} <= set(record["versions"])
    assert len(record["data"]["sha256"]) == 64
    json.dumps(record)


def test_reading_what_is_not_a_fit_says_so(tmp_path):
    with pytest.raises(FitError, match=r"There is no fit in .*: fit\.nc is missing\. Run 'pkpd fit FITFILE --out .*' first\."):
        load_fit(tmp_path)
    (tmp_path / "fit.nc").write_bytes(b"half a file")
    with pytest.raises(FitError, match=r"cannot be read as a fit .* It may be cut short; run the fit again\."):
        load_fit(tmp_path)


def test_a_fit_is_refused_with_another_model_or_data(tmp_path):
    small.fit().save(tmp_path)
    from pkpd import read_cohort
    from pkpd.models.classic import one_compartment_iv

    other = small.problem()
    changed = small.records().assign(DV=lambda t: t["DV"] * 1.01)
    object.__setattr__(other, "cohort", read_cohort(changed, model=one_compartment_iv, units=small.UNITS))
    with pytest.raises(FitError, match=r"This fit was made with another data \(.*\)\. Run the fit again, or load it without `problem`\."):
        load_fit(tmp_path, problem=other)


def test_correlated_effects_stored_in_earlier_coordinates_are_not_predicted_from():
    tree = xr.DataTree.from_dict({"/": xr.Dataset()})
    problem = small.problem(population=small.population(correlation=("CL", "V")))
    with pytest.raises(
        FitError, match=r"stored by an earlier pkpd, which kept the correlated effects of CL, V in other coordinates\..* run the fit again"
    ):
        _coordinates(Fit(tree, problem), problem)
    _coordinates(Fit(tree, problem), small.problem())
    tree.attrs["coordinates"] = small.fit().tree.attrs["coordinates"]
    _coordinates(Fit(tree, problem), problem)


def test_the_seed_is_required_and_whole():
    with pytest.raises(TypeError):
        sample(small.problem())
    with pytest.raises(
        FitError, match=r"sample\(\.\.\., seed=1\.5\): a whole number is needed; it is stored with the fit and repeats it\."
    ):
        sample(small.problem(), seed=1.5)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")  # 200 draws are few for the Pareto fit; not what is tested
def test_leave_one_out_runs_on_the_stored_rows():
    """PSIS-LOO by ArviZ from the stored log-likelihood: a finite value for each row that is not certain, and a sensible number of parameters."""
    loo, kept = leave_one_out(small.fit())
    certain = small.problem().rows.cens[~kept]
    assert (certain == 1).all()  # only rows below the limit can be certain
    assert loo.elpd_i.shape == (kept.sum(),)
    assert np.isfinite(loo.elpd_i.values).all()
    assert 0 < loo.p < 2 + 2 * 6 + 3  # typical values, random effects, spreads and residual


def test_a_fit_carries_the_certificate_of_its_solver(tmp_path):
    fit = small.fit()
    words = "Exact: closed_form has no tolerance, so there is nothing to re-weigh."
    assert solver_check(fit).verdict == solver_check(load_fit(fit.save(tmp_path))).verdict == words


def test_draws_are_reweighed_with_the_random_effects_and_centring_weights_of_the_fit():
    """The same log-likelihoods as the fit stored by row; and another solver agrees with the closed form."""
    fit = small.fit()
    stored = fit.tree["log_likelihood"]["dv"].sum("obs").to_numpy().ravel()
    posterior = fit.tree["posterior"].to_dataset()
    npt.assert_allclose(log_likelihoods(small.problem(), posterior, fit.centring), stored, rtol=0, atol=1e-9)
    found = reweigh(small.problem(solver=Solver(method="rosenbrock")), posterior, fit.centring)
    assert found.status == "certified" and found.draws == 200 and list(found.table["name"]) == list(fit.summary["name"])


@pytest.mark.slow
def test_a_fit_waits_for_machine_code_and_says_so(monkeypatch):
    """The model has no covariates: mapping over draws must do without rows of them."""
    if build.why_not():
        pytest.skip(build.why_not())
    monkeypatch.delenv("PKPD_NATIVE", raising=False)
    fit = sample(small.problem(), seed=5, progress=False)
    assert fit.provenance["solver"]["chosen"] == "native_closed_form"
    assert fit.provenance["solver"]["compiler"] == build.told() != ""
    mean, sd = (fit.summary.set_index("name")[column] for column in ("mean", "sd"))
    other = small.fit().summary.set_index("name")["mean"]
    assert np.all(
        np.abs(mean - other) < 0.5 * sd
    )  # the same seed and, to rounding, the same density: far inside what two short runs differ by


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "told"), [("hmc", "HMC (trajectories of random length)"), ("numpyro_nuts", "NUTS (NumPyro's)")])
def test_every_kernel_samples_the_same_posterior_and_says_which_it_is(kernel, told):
    """Means of seven values within five Monte Carlo errors, spreads within 20 % (400 draws or more know them to 4 %): false alarms below 1e-5 each."""
    settings = {"seed": 5, "progress": False, "warmup": 400, "draws": 600, "chains": 2}
    one, two = sample(small.problem(), **settings), sample(small.problem(), kernel=kernel, **settings)
    a, b = one.summary.set_index("name"), two.summary.set_index("name")
    error = np.sqrt(a["sd"] ** 2 / a["ess_bulk"] + b["sd"] ** 2 / b["ess_bulk"])
    assert ((a["mean"] - b["mean"]).abs() < 5 * error).all() and ((a["sd"] / b["sd"] - 1).abs() < 0.2).all()
    assert two.provenance["sampler"]["kernel"] == two.tree["sample_stats"].attrs["kernel"] == kernel
    assert "kernel" not in one.provenance["sampler"]
    assert any(t.startswith(f"{told} step sizes") for t in json.loads(two.tree.attrs["report"])["assumptions"])
