"""A what-if written as TOML: arms, times, patients, exposures and targets, with units, checked key by key."""

from pkpd.simulate.scenario.read import Scenario, parse_scenario, read_scenario

__all__ = ["Scenario", "parse_scenario", "read_scenario"]
