"""What the data do not see, right under the verdict."""

from __future__ import annotations

from typing import Any

from pkpd.diagnostics.identified import not_identified
from pkpd.diagnostics.layout import absent
from pkpd.inference.identified import WIDE
from pkpd.report.facts import Facts
from pkpd.report.tags import Markup, bullets, element

NONE = f"Every typical value, and every combination of them, is narrower than {WIDE:g} times its prior."
PERHAPS = "By the draws there are, which have not converged:"


def identified_box(fit: Any, facts: Facts) -> Markup:
    """A sentence for each direction that the data do not see; one sentence where there is none; nothing for a fit without prior draws."""
    if absent(fit, "prior", "posterior"):
        return Markup("")
    found = not_identified(fit)
    if not found:
        return element("p", NONE, class_="note") if facts.converged else Markup("")
    first = [] if facts.converged else [element("p", PERHAPS)]
    return element("div", element("strong", "NOT IDENTIFIED"), *first, bullets([d.sentence for d in found]), class_="warn-word unseen")
