"""What the tests of the command line share: a small fit file with its records, and a way to run a line."""

from __future__ import annotations

from pkpd.cli import main

FIT_FILE = """
import numpyro.distributions as dist
from pathlib import Path
from pkpd import FitProblem, Population, Sampler, additive_error, lognormal, read_cohort
from pkpd.models.classic import one_compartment_iv

def problem(quick: bool) -> FitProblem:
    rows = Path(__file__).with_name("records.csv")
    cohort = read_cohort(rows, one_compartment_iv, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    population = Population(CL=lognormal(dist.LogNormal(1.0, 0.5)))
    noise = {"cp": additive_error(dist.HalfNormal(1.0))}
    return FitProblem(one_compartment_iv, cohort, population, noise, name="tiny", sampler=Sampler(chains=2, draws=20 if quick else 500))
"""
RECORDS = "ID,TIME,EVID,AMT,CMT,DV\n1,0,1,320,iv,.\n1,2,0,.,.,8.5\n1,8,0,.,.,5\n2,0,1,320,iv,.\n2,4,0,.,.,7.5\n"
UNITS = ["--units", "TIME=h", "--units", "AMT=mg", "--units", "DV=mg/L"]


def told(capsys, *line):
    """Exit code, stdout and stderr of `pkpd LINE`."""
    code = main([str(word) for word in line])
    return code, *capsys.readouterr()
