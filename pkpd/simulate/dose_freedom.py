"""What of a regimen may change: bounds of amounts, times and durations, a bound of their sum, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.events.wording import amount_in_words


@dataclass(frozen=True, eq=False)
class Freedom:
    """What of a regimen may change, with bounds: `amounts` (model's unit), `times` and `durations` (h) of each dose; `equal` amounts; `total` at most."""

    amounts: tuple[float, float] | None = None
    times: tuple[float, float] | None = None
    durations: tuple[float, float] | None = None
    equal: bool = False
    total: float | None = None

    def within_total(self, amounts: Any) -> Any:
        """Amounts [..., n] with what each has above the lower bound made less by one factor, so that their sum is `total` at most."""
        if self.total is None or self.amounts is None:
            return amounts
        low = self.amounts[0]
        above = jnp.sum(amounts - low, -1, keepdims=True)
        room = self.total - low * amounts.shape[-1]
        return low + (amounts - low) * jnp.minimum(1.0, room / jnp.maximum(above, 1e-300))

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """The bounds that are given, by name."""
        found = {"amounts": self.amounts, "times": self.times, "durations": self.durations}
        return {n: b for n, b in found.items() if b is not None}

    def check(self, count: int) -> None:
        """Raise `FitError` for bounds that are none, with `count` doses."""
        for word, bounds in self.bounds.items():
            if np.shape(bounds) != (2,) or not 0 <= bounds[0] < bounds[1] < np.inf:
                raise FitError(f"optimise_dose({word}={bounds!r}): two finite bounds, the lower one 0 or more and below the upper.")
        if not self.bounds:
            raise FitError("optimise_dose: nothing may change. Give amounts=(low, high), times=(low, high) or durations=(low, high).")
        if self.amounts is None and (self.equal or self.total is not None):
            word = "equal=True" if self.equal else f"total={self.total!r}"
            raise FitError(f"optimise_dose({word}) is about amounts that may change; give amounts=(low, high), or leave it out.")
        if self.total is not None and self.amounts is not None and not count * self.amounts[0] < self.total < np.inf:
            raise FitError(
                f"optimise_dose(total={self.total!r}): {count} doses of at least {self.amounts[0]:g} come to {count * self.amounts[0]:g}; give more than that."
            )

    def outside(self, own: Any) -> list[str]:
        """Which values of a regimen's doses lie outside the bounds, in words."""
        values = dict(zip(("amounts", "times", "durations"), (np.asarray(x, float) for x in own), strict=True))
        odd = [n for n, (low, high) in self.bounds.items() if np.any((values[n] < low) | (values[n] > high))]
        if self.total is not None and np.sum(values["amounts"]) > self.total:
            odd.append("total")
        return [*odd, "equal"] if self.equal and np.ptp(values["amounts"]) > 0 else odd

    def at_edge(self, values: Any) -> list[str]:
        """Which chosen values lie within 1 % of a bound, in words."""
        found = []
        for (name, (low, high)), x in zip(self.bounds.items(), (np.asarray(values[n]) for n in self.bounds), strict=True):
            share = (x - low) / (high - low)
            found += [
                f"{name} at their {side} bound {b:g}"
                for side, b, near in (("lower", low, share < 0.01), ("upper", high, share > 0.99))
                if near.any()
            ]
        return found


def refuse_unscalable(regimen: Regimen, asked: str) -> None:
    """Raise `FitError` for doses whose amount is not theirs to change: capped ones, and constant infusions."""
    capped = next((d for d in regimen.doses if d.at_most is not None), None)
    if capped is not None:
        raise FitError(
            f"{asked} changes amounts, and the dose of {amount_in_words(capped)} has a cap (at most {capped.at_most:g}), which would no longer hold. Write the "
            "regimen for the body, regimen.for_body(weight=(70, 'kg')), and let the largest amount be the cap."
        )
    constant = next((d for d in regimen.doses if d.constant), None)
    if constant is not None:
        raise FitError(
            f"{asked} changes amounts, and a {amount_in_words(constant)} at steady state has none. Give an infusion with an end."
        )
