"""What was given: schedules of doses and looks, and the algebra of regimens."""

from pkpd.events.schedule import Schedule, build_schedule

__all__ = ["Schedule", "build_schedule"]
