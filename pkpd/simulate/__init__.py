"""What if: predictions for every record of a table, and designs of virtual cohorts."""

from pkpd.simulate.grid import Design, design
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.simulate import simulate
from pkpd.simulate.what_if import what_if

__all__ = ["Design", "design", "simulate", "subject_parameters", "what_if"]
