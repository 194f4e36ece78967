"""Point estimates and the objectives that go with them: random effects at their modes, or integrated out by FO, FOCE, FOCEI, Laplace, quadrature."""

from pkpd.approximate.individual import IndividualEstimates
from pkpd.approximate.maximise import PointEstimates, maximise
from pkpd.approximate.objective import ObjectiveValue, ebe, objective
from pkpd.approximate.patient import PatientPosterior
from pkpd.approximate.patient_prior import PatientPrior, patient_prior

__all__ = [
    "IndividualEstimates",
    "ObjectiveValue",
    "PatientPosterior",
    "PatientPrior",
    "PointEstimates",
    "ebe",
    "maximise",
    "objective",
    "patient_prior",
]
