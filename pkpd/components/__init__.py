"""Words: states, parameters, components and how mass moves."""

from pkpd.components.closure import Closure, neural_rate
from pkpd.components.component import Component
from pkpd.components.dose import Dose
from pkpd.components.flows import Flow, flow, gain, loss, total
from pkpd.components.words import Covariate, Param, Signal, State

__all__ = ["Closure", "Component", "Covariate", "Dose", "Flow", "Param", "Signal", "State", "flow", "gain", "loss", "neural_rate", "total"]
