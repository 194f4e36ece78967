"""Codes of files that can be read and yet look wrong: warnings (a mistake is likely) and notes (odd, and often right).

code -> (severity, one line, what is seen, what to do, the rule that finds it). The rule is printed on the code's page of the docs; it is
kept narrow on purpose, since a warning that is mostly false is not read.
"""

from __future__ import annotations

from typing import NamedTuple


class Quality(NamedTuple):
    """One code of a readable file."""

    severity: str
    what: str
    message: str
    cure: str
    rule: str


LOOK = "Compare the row with its source."

QUALITY: dict[str, Quality] = {
    "PK130": Quality(
        "warning",
        "covariate that nobody has",
        "{name} is {value} {unit}; a person's is {range}.",
        "Correct it; where the column is in another unit, declare that: units={{'{name}': '{other}'}}.",
        "A column named WT, WEIGHT, BW, BWT or WGT is not above 0 kg and at most 400 kg, one named AGE is not within 0 to 120 years, or one "
        "named HT, HEIGHT or HGT is not above 0 cm and at most 300 cm. A declared unit is taken into account.",
    ),
    "PK131": Quality(
        "warning",
        "a code in place of a missing value",
        "{name} is {value}, and no other {name} is below zero: this looks like a code for a missing value.",
        "Leave the cell empty or write '.', and set MDV to 1 where it is a measurement.",
        "A covariate or a scored DV is -9, -99, -999 or -9999 (or has one more 9), and every other value of that column (for DV: of that "
        "observable) is at or above zero.",
    ),
    "PK132": Quality(
        "note",
        "gap in time",
        "{value} h without a record: {times} times the subject's usual {usual} h, and far longer than any other subject's longest pause.",
        "Look for a slip in TIME, or for rows that are missing.",
        "The gap to the row before is at least 20 times the median gap between the subject's distinct times, and more than 5 times the "
        "longest gap of nine in ten of the subjects. Asked where at least 4 subjects have 4 or more distinct times.",
    ),
    "PK133": Quality(
        "warning",
        "times in another unit",
        "The subject's times span {value} h, {times} times {side} than the {usual} h of the others: are they in {unit}?",
        "Write all times in one unit.",
        "The subject's time from first to last row and its median gap are both 24 (or 60) times longer, or shorter, than the median of all "
        "subjects, within a fifth for the span and a half for the gap, and it has at least half as many distinct times as the median "
        "subject (so that leaving a study early is no offence). Asked where at least 4 subjects have 4 or more distinct times.",
    ),
    "PK134": Quality(
        "warning",
        "DV 0 that is not censored",
        "{name} is 0 after a dose, and CENS does not say that it is below a limit.",
        "A zero in a report mostly means 'below the limit': write the limit into DV and set CENS to 1.",
        "A scored DV is exactly 0, CENS is 0, the row comes later than the subject's first dose, no LLOQ is given in that row, and at least "
        "half of all values of the observable are above zero and none is below. Zeros up to the first dose, and those of observables whose "
        "unit is known to be a pure number (scores), are left alone.",
    ),
    "PK135": Quality(
        "warning",
        "DV below the LLOQ that is not censored",
        "{name} is {value}, below the row's LLOQ of {other}, but CENS is 0: it is scored as measured.",
        "Put the LLOQ into DV and set CENS to 1, unless values below the limit are meant to count.",
        "A scored DV lies below the LLOQ of its row and CENS is 0.",
    ),
    "PK136": Quality(
        "warning",
        "negative measurement",
        "{name} is {value}, below zero.",
        "Correct the sign; a value below the limit of quantification gets CENS 1.",
        "A scored DV with CENS 0 is below zero, and either the observable's unit is an amount by volume, or at most one in ten of its values "
        "is below zero (logarithms and changes from a baseline have more). Codes for missing values (PK131) are told apart.",
    ),
    "PK137": Quality(
        "warning",
        "infusion runs into a reset",
        "This infusion would run until {value} h, but the subject is reset at {other} h, which ends it.",
        "Check DUR or RATE and the time of the reset.",
        "An infusion of known rate or duration, additional ones included, begins before a reset (EVID 3 or 4) of its subject and would end "
        "after it.",
    ),
    "PK138": Quality(
        "note",
        "dose after the last observation",
        "The dose at {value} h comes after the subject's last observation at {other} h: no measurement knows of it.",
        "Check that no observation is missing at the end.",
        "A dose row is later than the last observation row of its subject; the first such row is told. Subjects without observations have "
        "a code of their own (PK141).",
    ),
    "PK139": Quality(
        "note",
        "high value before the first dose",
        "{name} is {value} before the subject's first dose; the median of the other subjects is {other}.",
        "Look for an earlier dose that is not in the file, or for exchanged samples.",
        "A quantified value before the first dose is more than 10 times the median of the other subjects' values before their first dose, "
        "and more than a tenth of the subject's own highest value. Asked where at least 5 other subjects have such a value.",
    ),
    "PK140": Quality(
        "warning",
        "subject without doses",
        "The subject has observations but no dose, while other subjects have doses.",
        "Add its doses; a subject on placebo needs none.",
        "No row of the subject gives a dose, at least one is a scored observation, and some other subject is given a dose.",
    ),
    "PK141": Quality(
        "note",
        "subject without observations",
        "The subject has no scored observation, while other subjects have some: it tells a fit nothing.",
        "Add what was measured, or leave the subject out.",
        "No row of the subject is a scored observation, and some other subject has one.",
    ),
    "PK142": Quality(
        "warning",
        "subject given twice",
        "The subject has the same times, doses and measurements as subject {value}.",
        "Delete one of them, or correct the rows copied by mistake.",
        "Time, EVID, amount, CMT, DVID, DV and CENS agree in every row with those of an earlier subject, and at least 3 different values "
        "were measured.",
    ),
    "PK143": Quality(
        "note",
        "DV that never changes",
        "All {count} values of {name} of this subject are {value}.",
        "Check whether a value was filled down by mistake.",
        "At least 5 quantified values of one observable in one subject are the same number, not zero, and those of the other subjects "
        "are not all the same.",
    ),
    "PK144": Quality(
        "note",
        "value out of line",
        "{name} is {value}, between {before} and {after} in the samples around it.",
        LOOK + " A decimal point may have moved.",
        "A quantified value is at least 10 times above, or below, both its neighbours in time (same subject and observable, no dose in "
        "between), and its logarithm is off the line through them by more than 8 robust standard deviations of all such distances (the "
        "median absolute one, times 1.4826). Asked where at least 20 values have two such neighbours.",
    ),
    "PK145": Quality(
        "warning",
        "two values at one time",
        "{name} is {value} here and {other} in row {first}, at the same time of the same subject: both are scored.",
        "Keep the one that is right; true replicates may stay.",
        "A scored value repeats subject, time, observable and CMT of an earlier one with another DV and no dose in between, and at most one "
        "in ten samples is repeated (where more are, the replicates are meant).",
    ),
    "PK146": Quality(
        "warning",
        "measurement on a dose row",
        "DV is {value}, but EVID {evid} gives a dose: the measurement is not read.",
        "Put the measurement in a row of its own, with EVID 0.",
        "A dose row has a DV that is neither missing nor 0, though MDV is not 1.",
    ),
    "PK147": Quality(
        "note",
        "measurement set aside",
        "DV is {value}, but MDV 1 says not to score it.",
        "Set MDV to 0 if it is to count; a value below the limit of quantification is better kept with CENS 1.",
        "An observation row has MDV 1 and a DV that is neither missing nor 0.",
    ),
    "PK148": Quality(
        "warning",
        "additional doses run past the next dose row",
        "ADDL goes on until {value} h, but the subject's next dose row stands at {other} h: that dose may be counted twice.",
        "Lower ADDL so that the last additional dose comes before that row, or delete the row.",
        "Additional doses reach or pass the next later dose row of the same subject and CMT, and one of them falls within a quarter of II "
        "of it (two daily doses written as two trains stand further apart). A reset or a dose with SS 1 ends a train before.",
    ),
    "PK149": Quality(
        "warning",
        "amounts in two units",
        "The dose of {value} is {times} times {side} than {other}, the nearest of the other doses{into}: two units may be mixed.",
        "Write all amounts in one unit.",
        "Sorted by size, the amounts of all dose rows into one compartment have a step of a factor of 300 or more; told are the rows on the "
        "rarer side. A dose escalation has no such step.",
    ),
    "PK150": Quality(
        "note",
        "sample at the time of a dose",
        "The sample stands at the time of a dose and behind it, so it is read as taken after the dose.",
        "If it was taken before the dose, put its row before the dose's.",
        "A scored observation has the time of a bolus dose of its subject that acts before it (a row above, or an additional dose).",
    ),
    "PK151": Quality(
        "note",
        "values of another size",
        "The subject's values of {name} are about {value}, {times} times {side} than those of the nearest other subject.",
        "Check the unit of the subject's values.",
        "The geometric means of the subjects' quantified positive values of one observable, sorted by size, have a step of a factor of 300 "
        "or more; told are the subjects on the rarer side. Asked where at least 4 subjects have 3 or more such values.",
    ),
    "PK152": Quality(
        "note",
        "concentration too high for the dose",
        "{name} is {value} {unit}: all that was given until then would fit into {volume} L, less than 0.01 L per kg of body weight.",
        "If this is the drug that was given, check the units of AMT and DV.",
        "The model has one dose route and one observable, their units differ by a volume, and a quantified value times 0.01 L/kg (a fifth of "
        "the plasma) times WT exceeds everything given up to its time. Asked where a WT column is read.",
    ),
    "PK153": Quality(
        "note",
        "infusion outlasts the interval",
        "The infusion lasts {value} h, longer than the {other} h until the next dose into the same compartment: they overlap.",
        "Check the units of DUR, RATE and II.",
        "An infusion of known rate or duration is still running when the next dose row of the same subject and CMT begins at a later time, or "
        "lasts longer than its own II with ADDL or SS.",
    ),
}
