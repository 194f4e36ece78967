"""A what-if written as TOML: arms, times, patients, exposures and targets, with units, checked key by key."""

from pkpd.simulate.scenario.read import Scenario, read_scenario

__all__ = ["Scenario", "read_scenario"]
