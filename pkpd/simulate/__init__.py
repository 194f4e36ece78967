"""What if: predictions for every record of a table, designs of virtual cohorts, and bands of large ones."""

from pkpd.simulate.bands import Bands
from pkpd.simulate.exposure import exposure, nca, nca_summary
from pkpd.simulate.grid import Design, design
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.simulate import simulate
from pkpd.simulate.stream import stream_bands
from pkpd.simulate.what_if import what_if

__all__ = ["Bands", "Design", "design", "exposure", "nca", "nca_summary", "simulate", "stream_bands", "subject_parameters", "what_if"]
