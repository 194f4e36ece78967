"""An example of a model: what is given, and for how long one looks; what its page shows a typical subject with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pkpd import units
from pkpd.errors import DoseError, ModelError, PkpdError, choices
from pkpd.events.amounts import read_length, read_number
from pkpd.events.regimen import Regimen
from pkpd.events.wording import describe as doses_in_words


@dataclass(frozen=True)
class Example:
    """A regimen, the time until which one looks, and where both come from (a paper, a data set, or "assumption: why").

    `until` is a `(number, "unit")` pair. `covariates` sets some of the model's, the others stay at their reference. An example is shown, never
    fitted: it is no part of a model's equality or digest.

    >>> from pkpd.events import bolus
    >>> Example(bolus((320, "mg"), into="oral"), (24, "h"), "assumption: a round amount").hours
    24.0
    """

    regimen: Regimen
    until: tuple[float, str]
    source: str
    covariates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.regimen, Regimen):
            raise ModelError(f"Example({self.regimen!r}, ...): the first argument is a regimen, as in bolus((100, 'mg'), into='oral').")
        hours = read_length(self.until, "The time until which an example is looked at")
        times = [d.time for d in self.regimen.doses]
        if times and min(times) < 0:
            raise ModelError(f"In this example a dose is given at {min(times):g} h: the trial begins at 0 h. Move it with .at((0, 'h')).")
        if times and max(times) >= hours:
            raise ModelError(f"An example ends at {hours:g} h, and a dose is given at {max(times):g} h. Look for longer.")
        if not isinstance(self.source, str) or not self.source.strip():
            raise ModelError(
                f"The example {self.regimen!r} has no source. Say where it comes from: a paper, a data set, or 'assumption: ...'."
            )
        values = {name: read_number(value, f"The covariate {name} of an example") for name, value in self.covariates.items()}
        object.__setattr__(self, "covariates", values)

    @property
    def hours(self) -> float:
        """The time until which one looks (h)."""
        return units.quantity(self.until, units.CLOCK, "The time until which an example is looked at")


def check_example(model: Any) -> None:
    """An example doses routes that the model has, in units they take, and sets covariates that it reads."""
    if model.example is None:
        return
    where = f"{model.name}: its example"
    if not isinstance(model.example, Example):
        raise ModelError(f"{where} is {model.example!r}; write compose(..., example=Example(regimen, (24, 'h'), 'assumption: why')).")
    try:
        model.example.regimen.for_model(model)
    except PkpdError as error:
        raise DoseError(f"{where} does not fit the model. {error}") from None
    for name in model.example.covariates:
        if name not in model.covariate_names:
            raise ModelError(f"{where} sets the covariate '{name}', which the model does not read. {choices(name, model.covariate_names)}")


def in_words(model: Any, example: Example) -> str:
    """What is given and assumed in an example, as a sentence.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> in_words(one_compartment_iv, one_compartment_iv.example)
    "320 mg into iv at 0 h (assumption: the amount that subject 1 of R's Theoph data took by mouth)"
    """
    doses = doses_in_words(example.regimen.for_model(model).doses)
    values = {q.name: float(example.covariates.get(q.name, q.reference)) for q in model.covariates}
    said = "".join(f", {name} = {value:g}" for name, value in values.items())
    return f"{doses}{said} ({example.source})"


def example_of(model: Any, example: Any = None) -> Example:
    """The example given, or else the model's own. Raises `ModelError` where there is none."""
    found = model.example if example is None else example
    if isinstance(found, Example):
        return found
    what = "declares no example" if example is None else f"was given {example!r} for an example"
    raise ModelError(f"{model.name} {what}. Give one: Example(bolus((100, 'mg')), (24, 'h'), 'assumption: a round amount').")
