"""What was measured: NONMEM-style records become a validated cohort, or a list of everything to mend."""

from pkpd.data.codes import CODES
from pkpd.data.cohort import Cohort
from pkpd.data.elsewhere import data_file
from pkpd.data.expand import expand_doses
from pkpd.data.facts import Fact, Facts, read_facts
from pkpd.data.read import Examined, check_records, examine, read_cohort
from pkpd.data.vocabulary import Field, Vocabulary, vocabulary_of
from pkpd.data.write import to_records, write_records

__all__ = [
    "CODES",
    "Cohort",
    "Examined",
    "Fact",
    "Facts",
    "Field",
    "Vocabulary",
    "check_records",
    "data_file",
    "examine",
    "expand_doses",
    "read_cohort",
    "read_facts",
    "to_records",
    "vocabulary_of",
    "write_records",
]
