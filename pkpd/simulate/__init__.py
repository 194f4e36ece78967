"""What if: predictions for every record of a table, designs of virtual cohorts, bands of large ones, exposure, and arms compared."""

from pkpd.simulate.arms_of_model import simulate_arms
from pkpd.simulate.attainment import class_probabilities, target_attainment
from pkpd.simulate.bands import Bands
from pkpd.simulate.compare import arm_differences, arm_table
from pkpd.simulate.exposure import exposure, nca, nca_summary
from pkpd.simulate.grid import Design, design
from pkpd.simulate.local_sensitivity import local_sensitivity
from pkpd.simulate.measure_of import exposure_of
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.quantiles import quantile_bands
from pkpd.simulate.records_of_arms import write_arms, xpose_table
from pkpd.simulate.response import best_change, change_from_baseline, recist_response
from pkpd.simulate.scenario import Scenario, read_scenario
from pkpd.simulate.simulate import simulate
from pkpd.simulate.sobol import sobol_indices
from pkpd.simulate.stream import stream_bands
from pkpd.simulate.what_if import what_if

__all__ = [
    "Bands",
    "Design",
    "Scenario",
    "arm_differences",
    "arm_table",
    "best_change",
    "change_from_baseline",
    "class_probabilities",
    "design",
    "exposure",
    "exposure_of",
    "local_sensitivity",
    "nca",
    "nca_summary",
    "quantile_bands",
    "read_scenario",
    "recist_response",
    "simulate",
    "simulate_arms",
    "sobol_indices",
    "stream_bands",
    "subject_parameters",
    "target_attainment",
    "what_if",
    "write_arms",
    "xpose_table",
]
