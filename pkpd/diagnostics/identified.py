"""What the data of a fit do not see: directions among typical values along which the posterior is as wide as the prior."""

from __future__ import annotations

from typing import Any

from pkpd.diagnostics.layout import absent, need, population_names
from pkpd.inference.identified import Direction, unseen_in
from pkpd.inference.problem_checks import RESERVED


def not_identified(fit: Any) -> list[Direction]:
    """Directions among the typical values of a fit that its data do not see, single parameters first; empty where everything is informed.

    Each has `names`, the `steps` of ln of them that change nothing, posterior/prior sd along it (`ratio`, at least 0.9), what the data do `seen`
    (a product or ratio, where it is one), and a `sentence`. Judged from the draws, so that fits made before the verdict said it can be asked too.
    Raises `FitError` for a tree without prior or posterior draws.

    >>> [d.sentence for d in not_identified(fit)]                                          # doctest: +SKIP
    ['The data see F/V, not V and F apart: along ln V + ln F the posterior is 0.97 as wide as the prior.']
    """
    tree = need(fit, "prior", "posterior")
    names = [n for n in population_names(fit) if not n.startswith(RESERVED) and not absent(fit, f"prior/{n}")]
    return unseen_in(tree["posterior"].to_dataset(), tree["prior"].to_dataset(), names, fit.summary)
