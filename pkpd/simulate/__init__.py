"""What if: predictions for every record of a table, designs of virtual cohorts, and bands of large ones."""

from pkpd.simulate.bands import Bands
from pkpd.simulate.forecast import Forecast, forecast
from pkpd.simulate.grid import Design, design
from pkpd.simulate.next_dose import DoseChoice, next_dose
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.simulate import simulate
from pkpd.simulate.stream import stream_bands
from pkpd.simulate.target import Target, target
from pkpd.simulate.what_if import what_if

__all__ = [
    "Bands",
    "Design",
    "DoseChoice",
    "Forecast",
    "Target",
    "design",
    "forecast",
    "next_dose",
    "simulate",
    "stream_bands",
    "subject_parameters",
    "target",
    "what_if",
]
