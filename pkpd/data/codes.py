"""Every code a data file can earn, in one table: code -> (one line, what is wrong, what cures it).

`{value}` and its like are filled in with what the file holds. `pkpd check-data` prints these texts and the tests pin them.
"""

from __future__ import annotations

from typing import Any

from pkpd.data.quality_codes import QUALITY
from pkpd.errors import Defect

CODES: dict[str, tuple[str, str, str]] = {
    # the file
    "PK001": ("no such file", "There is no file '{value}'.", "{near}Check the path and the folder you start from."),
    "PK002": ("file cannot be opened", "'{value}' cannot be opened ({reason}).", "Give the path of a csv file you may read."),
    "PK003": (
        "not UTF-8 text",
        "Byte {value} is not UTF-8 text.",
        "Save the file again as UTF-8 csv; spreadsheets must be exported first.",
    ),
    "PK004": ("binary file", "The line holds a NUL character, so this is not a csv file.", "Export the table as UTF-8 csv."),
    "PK005": ("empty file", "The file holds no line of data and no header.", "Write a header line and one line per record."),
    "PK006": (
        "no header",
        "The first line is all numbers, so the header is missing: '{value}'.",
        "Add a first line with the column names (if it stands in a comment, remove its '#').",
    ),
    "PK007": ("wrong separator", "The header holds {value} but no comma.", "Separate the cells by commas."),
    "PK008": ("no rows", "There is a header but no row of data.", "Add one row per dose and per observation."),
    "PK009": ("ragged row", "The row has {value} cells, the header has {wanted}.", "Give every row as many cells as the header."),
    "PK010": ("broken quotes", "The quotes of this line cannot be read ({value}).", "Close every quote, and keep a record on one line."),
    "PK011": ("not a table", "A cohort is read from a csv path or a pandas DataFrame, not from {value}.", "Pass one of these two."),
    # columns
    "PK012": (
        "nameless column",
        "Column number {value} has no name.",
        "Name it or delete it (in R: write.csv(..., row.names = FALSE)).",
    ),
    "PK013": ("column given twice", "Columns {value} all mean {name}.", "Keep one, or rename the others."),
    "PK014": (
        "column missing",
        "There is no column {name}, which {why}.",
        "{near}Add it, or name yours: columns={{'{name}': 'YOUR NAME'}}.",
    ),
    "PK015": ("`columns` names no standard column", "columns= names '{value}', which is no column I know.", "{choices}"),
    "PK016": ("`columns` points nowhere", "columns= says {name} is the file's '{value}', which it does not have.", "{choices}"),
    "PK017": ("covariate column missing", "There is no column for the covariate '{name}'.", "{choices}"),
    "PK018": (
        "lag, bioavailability, duration or rate out of range",
        "{name} is {value}, but {what} {bound}.",
        "Correct it, or leave the cell empty where the model's own value counts.",
    ),
    "PK019": (
        "date cannot be read",
        "'{value}' is no date of the kind {name} holds: {format}.",
        "Write every row of {name} like that (as in {example}), or fill in what is missing.",
    ),
    # units
    "PK020": (
        "TIME without unit",
        "The unit of TIME is not declared.",
        "Write it in the header as 'TIME [h]', or pass units={{'TIME': 'h'}}.",
    ),
    "PK021": (
        "AMT without unit",
        "The unit of AMT is not declared.",
        "Write it in the header as 'AMT [{unit}]', or pass units={{'AMT': '{unit}'}}.",
    ),
    "PK022": (
        "DV without unit",
        "The unit of DV is not declared for '{name}'.",
        "Pass units={{'DV': {{'{name}': '{unit}'}}}}, or write 'DV [{unit}]' in the header.",
    ),
    "PK023": (
        "unit cannot be read",
        "The unit given for {name} cannot be read: {reason}",
        "Correct it in the header or in units=.",
    ),
    "PK024": ("unit of another kind", "{reason}", "Give {name} in a unit that measures the same thing as '{unit}'."),
    "PK025": ("unit declared twice", "The header says {name} is in '{value}', units= says '{other}'.", "Keep the one that is true."),
    "PK026": ("`units` names nothing", "units= names '{value}', which is no column or observable here.", "{choices}"),
    # cells
    "PK027": ("not a number", "'{value}' is not a number.", "Write a number; leave the cell empty or write '.' where it is missing."),
    "PK028": ("decimal comma", "'{value}' has a decimal comma.", "Write a decimal point."),
    "PK029": (
        "clock goes back",
        "The clock falls from {before} to {value} within a subject, and no column says which day it is.",
        "Add a column DATE, DAT1, DAT2 or DAT3, or write TIME as in 2020-01-31T13:30; no new day is guessed.",
    ),
    "PK030": (
        "number out of reach",
        "{value} is infinite or larger than 1e30.",
        "Correct the number, or leave the cell empty if it is missing.",
    ),
    "PK031": ("ID missing", "The row does not say whose it is.", "Fill in ID."),
    "PK032": ("TIME missing", "The row has no TIME.", "Fill in TIME."),
    "PK033": ("unknown EVID", "EVID {value} has no meaning here.", "Use 0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose."),
    "PK034": (
        "EVID missing",
        "The row has no EVID though the file has that column.",
        "Fill it in: 0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose.",
    ),
    "PK035": ("unknown MDV", "MDV {value} has no meaning here.", "Use 0 (score the DV) or 1 (predict it only)."),
    "PK036": ("unknown CENS", "CENS {value} has no meaning here.", "Use 0 measured, 1 below the DV given, -1 above the DV given."),
    "PK037": ("negative AMT", "AMT is {value}, below zero.", "Write the amount given, or correct the sign."),
    "PK038": ("negative DUR", "DUR is {value}, below zero.", "Write how long the infusion lasts; 0 or empty for a bolus."),
    "PK039": ("ADDL not a count", "ADDL is {value}, but it counts additional doses.", "Write 0, 1, 2, ..."),
    "PK040": ("negative II", "II is {value}, below zero.", "Write the time from one dose to the next."),
    # order
    "PK041": (
        "subject comes back",
        "Subject {value} comes back after other subjects.",
        "Put all rows of a subject together, or give the later ones their own ID.",
    ),
    "PK042": (
        "TIME goes back",
        "TIME falls from {before} to {value} within a subject.",
        "Sort the rows by ID and TIME; a reset (EVID 3 or 4) starts no new clock.",
    ),
    # doses
    "PK043": ("dose without AMT", "A dose row (EVID {evid}) has {value}.", "Give AMT above zero; use EVID 2 where nothing is given."),
    "PK044": (
        "AMT without dose",
        "EVID {evid} gives nothing, but AMT is {value}.",
        "Use EVID 1 for a dose, and put a measurement in a row of its own.",
    ),
    "PK045": ("reset with AMT", "EVID 3 only resets, but AMT is {value}.", "Use EVID 4 for a reset and a dose."),
    "PK046": ("dose item without dose", "{name} is {value}, but EVID {evid} gives no dose.", "Clear the cell, or make the row a dose."),
    "PK047": ("ADDL without II", "ADDL asks for {value} more doses, but II does not say how far apart.", "Give II above zero."),
    "PK048": ("ADDL too large", "ADDL asks for {value} doses; I expand at most {limit}.", "Check ADDL, or give fewer."),
    "PK049": (
        "modelled and given",
        "RATE {value} asks for a modelled {what}, but DUR is {other}.",
        "Clear DUR, or set RATE to 0 if DUR is how long the infusion lasts.",
    ),
    "PK050": (
        "negative RATE",
        "RATE is {value}, below zero.",
        "Write the rate of the infusion; 0 or empty for a bolus, -1 for a modelled rate, -2 for a modelled duration.",
    ),
    "PK051": ("RATE against DUR", "AMT/RATE lasts {value} h, but DUR says {other} h.", "Keep the one that is true."),
    "PK052": (
        "unknown SS",
        "SS {value} has no meaning here.",
        "Use 0 or empty (no steady state), 1 (the steady state replaces what is there) or 2 (it is added).",
    ),
    "PK053": ("CMT missing", "The dose does not say where it goes, and the model has {value} dose routes.", "{choices}"),
    "PK054": ("unknown CMT", "The model has no dose route or state '{value}'.", "{choices}"),
    "PK055": ("CMT out of range", "CMT {value} is no {what}: the model has {wanted}.", "Count from 1, or use names. {choices}"),
    "PK056": (
        "dose and measurement in one row",
        "The row has AMT {amount} and DV {value}, and there is no EVID to say which counts.",
        "Write two rows, one for the dose and one for the measurement.",
    ),
    "PK057": (
        "state without unit",
        "A dose goes into '{name}', whose unit the model's vocabulary does not tell, so AMT cannot be converted.",
        "Dose one of the declared routes, or give the state as Field(name, unit).",
    ),
    "PK058": (
        "fraction out of range",
        "{name} is {value}, but a fraction lies above 0 and at most at 1.",
        "Write a fraction, or declare units={{'{name}': 'percent'}}.",
    ),
    "PK059": ("infusion without end", "AMT {amount} at RATE {value} has no finite duration.", "Check RATE."),
    "PK077": (
        "compartment switched off",
        "CMT {value} (a compartment switched off) is not yet supported.",
        "Use a positive number or a name.",
    ),
    # observations
    "PK060": ("DVID column missing", "The model has {value} observables, but no column DVID says which one a row holds.", "{choices}"),
    "PK061": ("DVID missing", "The row does not say which observable it holds.", "{choices}"),
    "PK062": ("unknown DVID", "The model has no observable '{value}'.", "{choices}"),
    "PK063": ("DVID out of range", "DVID {value} is no observable: the model has {wanted}.", "Count from 1, or use names. {choices}"),
    "PK064": ("DV missing", "The observation has no DV.", "Fill it in, or set MDV to 1 to predict it only."),
    "PK065": (
        "row given twice",
        "The row repeats row {value}: same subject, time, observable and DV.",
        "Delete one; a true replicate is allowed by allow=('PK065',).",
    ),
    "PK066": (
        "limit missing",
        "CENS {cens} says the measurement is beyond DV, but DV is missing.",
        "Put the limit of quantification into DV.",
    ),
    "PK067": (
        "LIMIT not below DV",
        "LIMIT {value} is not below DV {other}.",
        "With CENS 1 the value lies between LIMIT and DV: exchange or correct them.",
    ),
    "PK068": ("DV is not the LLOQ", "CENS 1 needs DV at the limit, but DV is {value} and LLOQ is {other}.", "Put the LLOQ into DV."),
    "PK069": (
        "limit at or below zero",
        "CENS 1 says the value is below DV {value}, which nothing measured in '{unit}' can be.",
        "Put the limit of quantification into DV.",
    ),
    "PK070": ("LIMIT above a ULOQ", "CENS -1 with LIMIT {value} (an interval above DV) is not yet supported.", "Leave LIMIT empty."),
    "PK071": ("DV is not the ULOQ", "CENS -1 needs DV at the limit, but DV is {value} and ULOQ is {other}.", "Put the ULOQ into DV."),
    "PK072": ("CENS without measurement", "CENS is {value}, but EVID {evid} is no observation.", "Clear CENS, or set EVID to 0."),
    # covariates and the whole
    "PK073": (
        "covariate missing",
        "The covariate has no value.",
        "Fill it in on every row; a carried or imputed value is yours to choose. "
        "Of a subject without any value it may be kept missing: read_cohort(..., missing=[name]).",
    ),
    "PK074": (
        "covariate changes",
        "The covariate changes from {other} to {value} within the subject, but interpolation= says that it is constant.",
        "Correct the cell, or name another method in interpolation=: nocb, locf, linear or midpoint.",
    ),
    "PK075": ("covariate is text", "'{value}' is not a number.", "Code the covariate as numbers, as in 0 and 1."),
    "PK076": ("nothing to do", "No row is a dose and no row is an observation.", "Check EVID and AMT."),
    # clocks, steady state, dose items and other formats
    "PK101": (
        "year of two digits",
        "'{value}' gives the year by two digits.",
        "Write four, or say which century is meant: century=2000 or century=1900.",
    ),
    "PK102": ("TIME in two manners", "'{value}' does not fit TIME, which holds {kind} in this file.", "Write every row in that manner."),
    "PK103": (
        "clock with a unit",
        "The unit of TIME is declared as '{value}', but TIME holds {kind}, which become hours.",
        "Leave the unit of TIME out, or make it h.",
    ),
    "PK104": (
        "no hour of the day",
        "TIME is {value}, but beside a column {name} it is the hour of that day, from 0 to 24.",
        "Write the time of day; if TIME is elapsed time, delete or rename {name}.",
    ),
    "PK105": (
        "steady state without II",
        "SS {value} asks for the steady state of repeated doses, but II does not say how far apart.",
        "Give II above zero; a constant infusion at steady state has AMT 0, RATE above 0, SS 1 and II 0.",
    ),
    "PK106": (
        "steady state of nothing",
        "SS {value} with II {other} repeats a dose without an amount.",
        "Give AMT above zero; a constant infusion at steady state has AMT 0, RATE above 0, SS 1 and II 0.",
    ),
    "PK107": (
        "lag beyond II at steady state",
        "The lag of {value} h is longer than II ({other} h) in a dose at steady state, where programs disagree.",
        "Write the earlier doses out as rows (or with ADDL) and set SS to 0, or correct the lag or II.",
    ),
    "PK108": ("two values for one dose", "{name} says {value} and {second} says {other} for the same dose.", "Keep the one that is true."),
    "PK109": (
        "compartment number unknown",
        "{name} acts on doses into compartment {number}, but which number '{value}' has is not known here.",
        "Name the state or its number in CMT, or use a column {plain} for all doses.",
    ),
    "PK110": (
        "reader of SAS files missing",
        "'{value}' is a SAS transport file, which is read with the package pyreadstat, and that is not installed.",
        "Install it by pip install 'pkpd-jax[xpt]', or export the table as csv.",
    ),
    "PK111": ("SAS file cannot be read", "'{value}' cannot be read as a SAS transport file ({reason}).", "Export the table as csv."),
    "PK112": (
        "several units in one column",
        "{column_name} gives '{name}' in several units: {value}.",
        "Convert them to one, or declare the unit: units={{'DV': {{'{name}': 'mg/L'}}}}.",
    ),
}

CODES |= {code: (known.what, known.message, known.cure) for code, known in QUALITY.items()}

ALLOWABLE = ("PK065",)


class _Blank(dict):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def defect(code: str, *, row: int | None = None, subject: str | None = None, column: str | None = None, **values: Any) -> Defect:
    """The defect of one code, with its sentence filled in.

    >>> print(defect("PK037", row=3, subject="1", column="AMT", value=-5))
    PK037 row 3, subject 1, column AMT: AMT is -5, below zero. Write the amount given, or correct the sign.
    """
    _, message, cure = CODES[code]
    return Defect(code, message.format_map(_Blank(values)), cure.format_map(_Blank(values)), row, subject, column, severity_of(code))


def severity_of(code: str) -> str:
    """How grave a code is: "error", "warning" or "note".

    >>> severity_of("PK037"), severity_of("PK134")
    ('error', 'warning')
    """
    return QUALITY[code].severity if code in QUALITY else "error"
