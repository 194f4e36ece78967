"""What if: predictions for every record of a table, designs of virtual cohorts, bands of large ones, exposure, and arms compared."""

from pkpd.simulate.arms_of_model import simulate_arms
from pkpd.simulate.attainment import class_probabilities, target_attainment
from pkpd.simulate.bands import Bands
from pkpd.simulate.compare import arm_differences, arm_table
from pkpd.simulate.criterion import Criterion, criterion
from pkpd.simulate.dose_comparison import DoseComparison, compare_doses, pareto_front
from pkpd.simulate.dose_optimum import DoseOptimum, optimise_dose
from pkpd.simulate.dose_problem import DoseProblem, dose_problem
from pkpd.simulate.exposure import exposure, nca, nca_summary
from pkpd.simulate.forecast import Forecast, forecast
from pkpd.simulate.grid import Design, design
from pkpd.simulate.local_sensitivity import local_sensitivity
from pkpd.simulate.measure_of import exposure_of
from pkpd.simulate.next_dose import DoseChoice, next_dose
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.people import People, virtual_people
from pkpd.simulate.quantiles import quantile_bands
from pkpd.simulate.records_of_arms import write_arms, xpose_table
from pkpd.simulate.response import best_change, change_from_baseline, recist_response
from pkpd.simulate.run_many import run_many
from pkpd.simulate.sampling_design import ChosenTimes, choose_times, compare_designs, extra_sample
from pkpd.simulate.sampling_information import ExpectedInformation, expected_information
from pkpd.simulate.sampling_sizes import choose_sizes
from pkpd.simulate.sampling_slopes import SamplingGroup, sampling_group
from pkpd.simulate.scenario import Scenario, read_scenario
from pkpd.simulate.scenario.study import Looks, Study, StudyArm, read_study
from pkpd.simulate.simulate import simulate
from pkpd.simulate.sobol import sobol_indices
from pkpd.simulate.stream import stream_bands
from pkpd.simulate.study_problem import StudyProblem, study_problem
from pkpd.simulate.target import Target, target
from pkpd.simulate.trial_rules import BayesianLimit, Boin, ThreePlusThree, bayesian_limit, boin, three_plus_three
from pkpd.simulate.trials import ArmOutcomes, OperatingCharacteristics, TrialDesign, arm_outcomes, simulate_trials
from pkpd.simulate.typical import typical_profile
from pkpd.simulate.uncertain import uncertain_prior
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
    "ArmOutcomes",
    "BayesianLimit",
    "Boin",
    "ChosenTimes",
    "Criterion",
    "DoseChoice",
    "DoseComparison",
    "DoseOptimum",
    "DoseProblem",
    "ExpectedInformation",
    "Forecast",
    "OperatingCharacteristics",
    "People",
    "SamplingGroup",
    "Looks",
    "Study",
    "StudyArm",
    "StudyProblem",
    "Target",
    "ThreePlusThree",
    "TrialDesign",
    "arm_outcomes",
    "bayesian_limit",
    "boin",
    "choose_sizes",
    "choose_times",
    "compare_designs",
    "compare_doses",
    "criterion",
    "dose_problem",
    "expected_information",
    "extra_sample",
    "forecast",
    "next_dose",
    "optimise_dose",
    "pareto_front",
    "read_study",
    "run_many",
    "sampling_group",
    "simulate_trials",
    "study_problem",
    "target",
    "three_plus_three",
    "typical_profile",
    "uncertain_prior",
    "virtual_people",
]
