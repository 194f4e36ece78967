"""Point estimates and the objectives that go with them, and whole posteriors approximated and weighed against the exact one."""

from pkpd.approximate.find_modes import Modes, find_modes
from pkpd.approximate.individual import IndividualEstimates
from pkpd.approximate.laplace import laplace
from pkpd.approximate.maximise import PointEstimates, maximise
from pkpd.approximate.objective import ObjectiveValue, ebe, objective
from pkpd.approximate.pathfinder import pathfinder
from pkpd.approximate.patient import PatientPosterior
from pkpd.approximate.patient_prior import PatientPrior, patient_prior
from pkpd.approximate.profile import Profile, profile
from pkpd.approximate.twins import Twins, find_twins
from pkpd.approximate.variational import variational

__all__ = [
    "IndividualEstimates",
    "Modes",
    "Twins",
    "ObjectiveValue",
    "PointEstimates",
    "ebe",
    "find_modes",
    "find_twins",
    "laplace",
    "maximise",
    "objective",
    "Profile",
    "pathfinder",
    "profile",
    "variational",
    "PatientPosterior",
    "PatientPrior",
    "patient_prior",
]
