"""What was given: the algebra of regimens, and schedules of doses and looks."""

from pkpd.events.administration import Administration
from pkpd.events.amounts import cells, day
from pkpd.events.body import body_surface
from pkpd.events.give import bolus, constant_infusion, infusion, oral, sum_of
from pkpd.events.plan import Plan, build_plan, tile
from pkpd.events.regimen import Regimen
from pkpd.events.schedule import Schedule, build_schedule

__all__ = [
    "Administration",
    "Plan",
    "Regimen",
    "Schedule",
    "body_surface",
    "bolus",
    "build_plan",
    "build_schedule",
    "cells",
    "constant_infusion",
    "day",
    "infusion",
    "oral",
    "sum_of",
    "tile",
]
