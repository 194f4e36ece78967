"""What was given: the algebra of regimens, and schedules of doses and looks."""

from pkpd.events.administration import Administration
from pkpd.events.amounts import cells, day
from pkpd.events.regimen import Regimen, bolus, infusion, oral, sum_of
from pkpd.events.schedule import Schedule, build_schedule, tile

__all__ = ["Administration", "Regimen", "Schedule", "bolus", "build_schedule", "cells", "day", "infusion", "oral", "sum_of", "tile"]
