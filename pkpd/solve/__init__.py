"""Integration: right-hand sides and arrays, no models. One contract, several solvers."""

from pkpd.solve.choose import Chosen, Solver, choose
from pkpd.solve.contract import Events, Solution, Status

__all__ = ["Chosen", "Events", "Solution", "Solver", "Status", "choose"]
