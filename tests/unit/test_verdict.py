"""The verdict on draws whose faults are planted."""

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.inference.identified import Direction
from pkpd.inference.verdict import judge, summarise


def posterior(shift: float = 0.0, draws: int = 1000) -> xr.Dataset:
    x = np.random.default_rng(0).normal(size=(4, draws))
    x[0] += shift
    return xr.Dataset({"CL": (("chain", "draw"), x)})


def stats(divergent: int, draws: int = 1000) -> xr.Dataset:
    flags = np.zeros((4, draws), bool)
    flags.ravel()[:divergent] = True
    energy = np.random.default_rng(1).normal(size=(4, draws))
    return xr.Dataset({"diverging": (("chain", "draw"), flags), "energy": (("chain", "draw"), energy)})


def verdict(shift: float = 0.0, divergent: int = 0, draws: int = 1000):
    return judge(summarise(posterior(shift, draws), ["CL"]), stats(divergent, draws))


def test_good_draws_converge():
    found = verdict()
    assert found.converged
    assert found.reasons == ()
    assert found.headline.startswith("Converged: largest R-hat 1.00")


def test_a_chain_elsewhere_does_not():
    found = verdict(shift=2.0)
    assert not found.converged
    assert found.headline.startswith("NOT CONVERGED: R-hat above 1.01 for CL (")
    assert found.next_steps[0].startswith("The chains disagree: run longer")


def test_too_few_draws_do_not():
    found = verdict(draws=50)
    assert not found.converged
    assert any(r.startswith("Effective sample size below 400 for CL (") for r in found.reasons)


def test_a_few_divergences_warn_and_many_fail():
    few, many = verdict(divergent=8), verdict(divergent=41)
    assert few.converged
    assert few.headline.startswith("Converged, with a warning: ")
    assert few.headline.endswith("; 8 of 4000 draws diverged (0.20 %).")
    assert few.reasons == ("8 of 4000 draws diverged (0.20 %); more than 0.1 % is a warning, more than 1 % fails.",)
    assert not many.converged
    assert many.headline == "NOT CONVERGED: 41 of 4000 draws diverged (1.03 %); more than 0.1 % is a warning, more than 1 % fails."


def test_draws_without_a_density_are_counted_apart_from_the_divergent_ones():
    """45 of 4000 are 1.12 %, more than what fails; as 5 and 40 neither fails."""
    flags = stats(45)["diverging"]
    failed = (flags & (flags.cumsum("draw") <= 40)).rename("failed_solve")
    n = int(failed.sum())
    found = judge(summarise(posterior(), ["CL"]), stats(45).assign(failed_solve=failed), where=["They lie there."])
    assert n == 40 and found.converged and found.headline.startswith("Converged, with warnings: ")
    assert found.headline.endswith("; 5 of 4000 draws diverged (0.12 %); 40 of 4000 draws met a place without a density (1.00 %).")
    assert found.reasons[1].endswith("1 % fails. They lie there.") and "They lie" not in found.reasons[0]
    assert found.next_steps[0].startswith("Divergences: raise target_accept (--target-accept)")
    assert found.next_steps[1].startswith("No density: mostly the equations could not be solved there. Raise max_steps or")


def test_many_draws_without_a_density_fail_and_are_no_divergences():
    flags = stats(60)["diverging"]
    found = judge(summarise(posterior(), ["CL"]), stats(60).assign(failed_solve=flags.rename("failed_solve")))
    assert not found.converged and len(found.reasons) == 1
    assert found.headline.startswith("NOT CONVERGED: 60 of 4000 draws met a place without a density (1.50 %); more than 0.1 % is a warning")


def test_what_is_not_identified_stands_in_the_headline_and_fails_nothing():
    product, alone = Direction(("V", "F"), (1.0, -1.0), 0.97, (True, True)), Direction(("k_act",), (1.0,), 0.98, (True,))
    found = judge(summarise(posterior(), ["CL"]), stats(0), unseen=[alone, product])
    assert found.converged
    assert found.headline.startswith("Converged, but NOT IDENTIFIED (k_act: prior only, 0.98; V and F not apart, 0.97): largest R-hat 1.00")
    assert found.not_identified[0] == "The data do not see k_act: the posterior is 0.98 as wide as the prior."
    assert found.next_steps == (
        "k_act is what its prior says: fix it, give its prior a source, or measure something that depends on it.",
        "Fix one of V and F, give one a prior with a source, or sample V·F instead: what they are apart is what the priors say.",
    )


def test_without_convergence_it_is_a_perhaps():
    found = judge(summarise(posterior(2.0), ["CL"]), stats(0), unseen=[Direction(("k",), (1.0,), 0.98, (True,))])
    assert found.headline.startswith("NOT CONVERGED")
    assert found.next_steps[-1] == (
        "Perhaps not identified, by the draws there are: The data do not see k: the posterior is 0.98 as wide as the prior."
    )


def test_saturated_trees_warn():
    steps = np.full((4, 1000), 15)
    steps.ravel()[:60] = 255
    trees = stats(0).assign(n_steps=(("chain", "draw"), steps)).assign_attrs(max_tree_depth=8)
    found = judge(summarise(posterior(), ["CL"]), trees)
    assert found.converged
    assert found.headline.endswith("; 2 % of the draws stopped at the largest tree.")
    assert found.next_steps[0].startswith("Trees: raise max_tree_depth to 9;")
    without = judge(summarise(posterior(), ["CL"]), trees.assign_attrs(kernel="hmc"))
    assert without.headline.endswith("; 2 % of the draws stopped at the longest trajectory.") and without.next_steps[0].startswith(
        "Trajectories: "
    )
    assert judge(summarise(posterior(), ["CL"]), trees.assign_attrs(max_tree_depth=9)).reasons == ()


def test_the_summary_holds_quantiles_of_the_pooled_draws():
    data = posterior()
    row = summarise(data, ["CL"]).iloc[0]
    pooled = data["CL"].values.ravel()
    assert list(pd.Series(row)[["q5", "q50", "q95"]]) == list(np.quantile(pooled, [0.05, 0.5, 0.95]))
