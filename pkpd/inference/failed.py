"""Solves that failed at the draws of a posterior, by subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

OFTEN = 0.01
"""Share of the simulated subjects that may fail before the verdict warns."""
KINDS = {"ipred": "itself", "pred": "a typical subject like it", "dv_new": "a new subject like it"}


@dataclass(frozen=True)
class Failed:
    """Failed solves among `draws` draws: by subject, how many of each of `KINDS`; and the share of new subjects that failed."""

    draws: int
    by_subject: dict[str, dict[str, int]]
    share: float

    @property
    def told(self) -> dict[str, str] | str:
        """By subject in words; one sentence where none failed."""
        if not self.by_subject:
            return f"none at the {self.draws} draws that predictions were made of"
        return {s: ", ".join(f"{KINDS[k]}: {n} of {self.draws} draws" for k, n in counts.items()) for s, counts in self.by_subject.items()}

    @property
    def warned(self) -> tuple[tuple[str, str, str], ...]:
        """A warning for the verdict (in few words, in full, what to do) where more than 1 % of new subjects could not be solved."""
        if self.share <= OFTEN:
            return ()
        brief = f"{100 * self.share:.1f} % of new subjects could not be solved"
        who = ", ".join(list(self.by_subject)[:3]) + (f" and {len(self.by_subject) - 3} more" if len(self.by_subject) > 3 else "")
        told = f"{brief} at the draws of the posterior (designs of {who}): it may be cut off where the solver fails."
        return (
            (
                brief,
                told,
                "Failed solves: raise max_steps, try another method in Solver(...), or bound the parameters that make the equations fail.",
            ),
        )


def failed_solves(predictive: xr.Dataset, subjects: np.ndarray) -> Failed:
    """From predictions [chain, draw, obs] of own, typical and new subjects, nan where the solve failed; `subjects` [obs] names each row's subject.

    >>> values = xr.Dataset({"ipred": (("chain", "draw", "obs"), np.array([[[1.0, 2.0], [1.0, np.nan]]]))})
    >>> failed_solves(values, np.array(["a", "b"])).told
    {'b': 'itself: 1 of 2 draws'}
    """
    found: dict[str, dict[str, int]] = {}
    names, draws, share = list(dict.fromkeys(subjects.tolist())), predictive.sizes["chain"] * predictive.sizes["draw"], 0.0
    for kind in KINDS:
        if kind not in predictive or not len(names):
            continue
        bad = np.isnan(predictive[kind].to_numpy()).reshape(draws, -1)
        counts = {s: int(bad[:, subjects == s].any(1).sum()) for s in names}
        share = sum(counts.values()) / (draws * len(names)) if kind == "dv_new" else share
        for s, n in counts.items():
            if n:
                found.setdefault(str(s), {})[kind] = n
    return Failed(draws, found, share)
