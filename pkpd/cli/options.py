"""The options of a fit, the same for `pkpd fit FITFILE` and for a fit file run by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_SEED = 1

Quick = Annotated[bool, typer.Option("--quick", help="The problem's quick form: a first look; exit code 0 even if not converged.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder of the results, else build/NAME; what is there is kept as DIR.earlier-TIME."),
]
Seed = Annotated[int | None, typer.Option("--seed", help=f"Whole number that repeats the fit, else {DEFAULT_SEED}.", show_default=False)]
Chains = Annotated[int | None, typer.Option("--chains", help="Chains, instead of the problem's own number.")]
DrawsEach = Annotated[int | None, typer.Option("--draws", help="Draws of each chain, instead of the problem's own number.")]
Warmup = Annotated[int | None, typer.Option("--warmup", help="Warm-up draws of each chain, instead of the problem's own number.")]

Quality = Annotated[
    str | None,
    typer.Option(
        "--quality",
        help="draft (an approximation), standard (NUTS), final (finer, longer), instead of the problem's own.",
        show_default=False,
    ),
]

Kernel = Annotated[
    str | None,
    typer.Option(
        "--kernel", help="nuts, hmc (trajectories of random length) or numpyro_nuts, instead of the problem's own.", show_default=False
    ),
]


TargetAccept = Annotated[
    float | None,
    typer.Option(
        "--target-accept",
        help="Acceptance that the step is tuned to, instead of the problem's own; nearer to 1 for fewer divergences.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Settings:
    """What the line said about a fit; None where it said nothing."""

    quick: bool = False
    out: Path | None = None
    seed: int | None = None
    chains: int | None = None
    draws: int | None = None
    warmup: int | None = None
    quality: str | None = None
    kernel: str | None = None
    target_accept: float | None = None

    @property
    def sampler(self) -> dict[str, Any]:
        """The sampler's fields that the line changes."""
        names = ("chains", "draws", "warmup", "quality", "kernel", "target_accept")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
