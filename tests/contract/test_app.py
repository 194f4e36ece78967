"""The app: a state is a scenario, its numbers are those of `pkpd simulate`, a mistake is a sentence; and once through a browser."""

import io
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pkpd import FitError, PkpdError, oral, sum_of
from pkpd.app import view
from pkpd.app.pages import amounts, shiny
from pkpd.app.server import fields_of, read_state
from pkpd.app.session import Session, csv, named
from pkpd.app.state import Arm, State, checked, follow, studied
from pkpd.app.toml import Source, times
from pkpd.cli import main
from pkpd.cli.show import free_port, open_session
from pkpd.simulate.scenario import parse_scenario
from tests import app_study, browser
from tests.architecture.source import ROOT
from tests.cli import told
from tests.compiled import compiled


def session_of(folder, converged: bool = True) -> Session:
    return Session(app_study.fit(converged), app_study.problem(), Source(app_study.FILE, folder, True, draws=6, patients=5))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a fit."""
    return app_study.fit().save(tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def session(saved):
    return session_of(saved)


FRACTIONS = Arm((50.0, 100.0, 150.0), 3, 12.0)


def asked(session: Session, **changes) -> State:
    return replace(session.begin, arms={"A": session.studied.arm, "B": FRACTIONS}, limit=5.0, **changes)


def fields(session: Session, **changes) -> dict:
    """What the page holds when it opens."""
    found = dict.fromkeys(fields_of(session), "") | {"observable": "cp", "measure": "cmax", "way_cp": "at_least", "limit_cp": "5"}
    for name, arm in session.begin.arms.items():
        i = name.lower()
        found |= {f"{i}_amount": amounts(arm), f"{i}_doses": arm.doses, f"{i}_interval": arm.interval}
    return found | changes


def test_the_page_begins_with_the_study(session):
    known = session.studied
    assert (known.route, known.unit, known.arm, known.largest, known.seen) == ("oral", "mg", Arm((200.0,), 3, 24.0), 200.0, 72.0)
    assert [(r.name, r.values) for r in known.covariates] == [("WT", ())] and not known.infused
    assert known.notes[0].startswith("Both arms begin with the study's regimen: 3 doses by 'oral', as 24 of 24 subjects had")


def test_a_study_of_infusions_by_rate_and_unequal_doses():
    """The flagship's simulated study: nine patients had three fractions, each over half an hour."""
    from pkpd.cli.fitfile import build_problem, load_problem

    known = studied(build_problem(load_problem(ROOT / "fits" / "carm_blood_il6.py"), True))
    assert known.arm.doses == len(known.arm.amounts) == 3 and (known.arm.interval, known.arm.over) == (48.0, 0.5)
    assert known.infused and known.unit == "1e9 cells" and known.route == "infusion"


def test_a_state_is_a_scenario(session):
    text = session.text(asked(session, covariates={"WT": 80.0}, start=24.0))
    read = parse_scenario(text, session.problem.model, app_study.FILE)
    fractions = sum_of(oral((a, "mg"), "oral").at((t, "h")) for a, t in ((50, 0), (100, 12), (150, 24)))
    assert dict(read.arms) == {"A": oral((200, "mg"), "oral").every((24, "h"), times=3), "B": fractions}
    assert read.population == {"subjects": 5, "draws": 6, "covariates": {"WT": 80.0}} and read.seed == 1
    assert read.exposure == ({"observable": "cp", "start": 24.0, "above": 5.0},)
    assert tomllib.loads(text)["source"] == {"file": str(app_study.FILE), "fit": str(session.source.folder), "quick": True}


def test_looks_stand_where_courses_bend_and_fit_the_room(session):
    """At and just before every dose; never more than the 128 that the program holds, so that no state compiles anew."""
    few = times(asked(session), session.studied)
    assert {0.0, 11.99, 12.0, 24.0, 47.99, 48.0} <= set(few) and few[-1] == 72.0
    many = replace(session.begin, arms={"A": Arm((1.0,), 60, 5.0), "B": Arm((1.0,), 59, 7.0)})
    assert len(times(many, session.studied)) <= 128 and len(few) > 100
    assert follow(many, session.studied) == 58 * 7.0 + 24.0  # as long after the last dose as the study looked


@pytest.mark.slow
def test_the_downloaded_scenario_gives_the_same_tables(session, tmp_path, capsys):
    """Through `pkpd simulate`; to rounding of a closed form."""
    answer = session.answer(asked(session, covariates={"WT": 80.0}))
    (tmp_path / "asked.toml").write_text(answer.text, encoding="utf-8")
    assert told(capsys, "simulate", tmp_path / "asked.toml", "--out", tmp_path / "out")[0] == 0
    for name, own in (("exposure", answer.exposure), ("targets", answer.targets)):
        again = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        (tmp_path / f"{name}.csv").write_text(csv(own), encoding="utf-8")
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{name}.csv"), again, rtol=1e-8, atol=1e-9)


def test_moving_anything_compiles_nothing(session):
    def ask(amount, doses, weight):
        arm = Arm((amount,), doses, 8.0)
        view.exposures(session.answer(replace(asked(session, covariates={"WT": weight}), arms={"A": arm, "B": arm})))

    ask(10.0, 2, 60.0)
    assert compiled(lambda: [ask(20.0, 3, 70.0), ask(300.0, 9, 90.0)]) == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"b_amount": ""}, "Arm B, amount is empty. Write a number, as 200, or 50, 100, 150."),
        ({"b_amount": "much"}, "Arm B, amount holds 'much', which is no number."),
        ({"b_amount": "-5"}, "Arm B: an amount of -5 mg cannot be given; accepted are numbers above 0."),
        ({"a_amount": "1, 2"}, "Arm A has 2 amounts and 3 doses. Give one amount for all, or one a dose."),
        ({"a_doses": 2.5}, "Arm A, doses: 2.5 is no whole number."),
        ({"a_doses": 61}, "Arm A: 61 doses; accepted are 1 to 60."),
        ({"a_doses": "inf"}, "Arm A, doses: inf is no whole number."),
        ({"a_interval": 0}, "Arm A: doses every 0 h; accepted is a number of hours above 0."),
        ({"follow": 30}, "Arm A gives its last dose at 48 h and is followed to 30 h. Follow it for longer, or give fewer doses."),
        ({"follow": -1}, "Followed for -1 h: accepted is a number of hours above 0."),
        ({"start": 72}, "Measured from 72 h: accepted is a time from 0 to below 72 h"),
        ({"limit_cp": "high"}, "The limit holds 'high', which is no number. Write a number, as 10."),
        ({"cov_WT": "heavy"}, "WT holds 'heavy', which is no number."),
        ({"cov_WT": "nan"}, "WT holds 'nan', which is no number."),
    ],
)
def test_what_cannot_be_is_a_sentence(session, changes, sentence):
    with pytest.raises(FitError, match=re.escape(sentence)):
        checked(read_state(session, fields(session, **changes)), session.studied)
    assert "Below is still the last answer." in view.trouble(sentence)


def test_fields_become_a_state(session):
    state = read_state(session, fields(session, b_amount="50, 100,150", b_interval=12, cov_WT="80", follow="90"))
    assert state == State({"A": Arm((200.0,), 3, 24.0), "B": FRACTIONS}, "cp", 90.0, 0.0, {"WT": 80.0}, "cmax", "at_least", 5.0)
    assert read_state(session, fields(session, limit_cp="")).limit is None


def test_what_is_shown(session):
    answer = session.answer(asked(session, covariates={"WT": 150.0}))
    table = view.exposures(answer)
    assert "Time above 5 mg/L" in table and "Median patient (90 % of draws)" in table
    assert "Patients whose cp has a peak of at least 5 mg/L" in view.chances(answer)
    assert "WT outside" in view.flags(session, answer)
    made = view.made(session, answer)
    for words in (
        "5 virtual ones in each of 6 posterior draws",
        "seed 1, fixed",
        "simulated data",
        "Covariate WT: extrapolation, 100 %",
        "nobody was treated",
    ):
        assert words in made
    assert view.picture(answer).count("data:image/png") == 1
    assert "Give a limit" in view.chances(replace(answer, targets=None))


def test_a_fit_that_has_not_converged_says_so_everywhere(saved):
    failed = session_of(saved, converged=False)
    assert view.banner(failed).startswith('<div class="banner bad"><strong>NOT CONVERGED: R-hat')
    assert "Nothing on this page is to be used." in view.banner(failed)
    assert failed.text(failed.begin).startswith("# NOT CONVERGED") and named(failed, "exposure.csv").startswith("NOT_CONVERGED_")
    assert 'class="banner good"' in view.banner(session_of(saved))


def test_without_shiny_a_sentence(monkeypatch, capsys, saved):
    monkeypatch.setitem(sys.modules, "shiny", None)
    assert main(["app", str(saved)]) == 1
    assert capsys.readouterr().err == "The app is made with Shiny, which is not installed: pip install 'pkpd-jax[app]'.\n"
    with pytest.raises(PkpdError, match="pkpd-jax"):
        shiny()


def test_the_fit_file_is_found_by_its_name_or_asked_for(saved, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FitError, match=r"is named 'simulated_oral_study', and its fit file is none of simulated_oral_study\.py, fits.*--fit-file FILE\.$"
    ):
        open_session(saved, None, True, 6, 5, 1)
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits" / app_study.FILE.name).write_text(app_study.FILE.read_text(encoding="utf-8"), encoding="utf-8")
    found = open_session(saved, None, True, 6, 5, 1)
    assert found.source.file == tmp_path / "fits" / app_study.FILE.name and "Fit file: fits" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            PkpdError, match=rf"^Port {port} cannot be used \(.*\)\. Give another with --port, or --port 0 for a free one\.$"
        ):
            free_port(port)
    assert free_port(0) > 0


def test_the_page_has_every_field_that_is_read(session):
    pytest.importorskip("shiny", reason="shiny is not installed: pip install 'pkpd-jax[app]'")
    from pkpd.app.pages import page

    text = str(page(session))
    assert all(f'id="{name}"' in text for name in fields_of(session))


@pytest.mark.slow
def test_end_to_end_in_a_browser(saved, tmp_path):
    """Opens, answers, keeps the answer under a mistake, follows a slider, and downloads what it shows."""
    pytest.importorskip("shiny", reason="shiny is not installed: pip install 'pkpd-jax[app]'")
    program = browser.installed()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is on the path")
    with _served(saved) as address, browser.browser(program, tmp_path / "profile") as page:
        for width, height in ((1280, 800), (820, 1180)):
            page.open(address, width, height)
            page.wait("!!document.querySelector('#picture img') && !!document.querySelector('#made dl')")
            assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), f"scrolls sideways at {width}"
        assert page.run("document.querySelector('.banner').innerText").startswith("Converged")
        before = page.run("document.querySelector('#exposures table').innerText")
        page.fill("b_amount", "-5")
        page.wait("document.querySelector('#trouble').innerText.includes('Arm B: an amount of -5 mg cannot be given')")
        assert page.run("document.querySelector('#exposures table').innerText") == before
        slide = "document.querySelector('input[type=range].b')"
        page.run(f"{slide}.value = 400; for (const e of ['input', 'change']) {slide}.dispatchEvent(new Event(e, {{bubbles: true}}))")
        page.wait(
            "document.querySelector('#trouble').innerText === '' && document.querySelector('#made').innerText.includes('400 mg into oral')"
        )
        assert page.run("document.querySelector('#exposures table').innerText") != before
        scenario = page.run("fetch(document.getElementById('toml').href).then(r => r.text())")
        table = page.run("fetch(document.getElementById('csv').href).then(r => r.text())")
    made = open_session(saved, app_study.FILE, True, 6, 5, 1)
    read = parse_scenario(scenario, made.problem.model, app_study.FILE)
    assert [d.amount for d in read.arms["B"].doses] == [400.0] * 3
    arms = {"A": made.studied.arm, "B": Arm((400.0,), 3, 24.0)}
    again = made.answer(replace(made.begin, arms=arms, limit=made.limits["cp"]))
    assert scenario == again.text
    shown = pd.read_csv(io.StringIO(table))
    np.testing.assert_allclose(shown["q50"], again.exposure["q50"], rtol=1e-8, atol=1e-9)


class _served:
    """`pkpd app` in a process of its own, until the page answers."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        line = [
            "app",
            str(folder),
            "--fit-file",
            str(app_study.FILE),
            "--quick",
            "--draws",
            "6",
            "--patients",
            "5",
            "--port",
            str(port),
            "--no-browser",
        ]
        run = "import sys; from pkpd.cli import main; sys.exit(main(sys.argv[1:]))"
        self.address = f"http://127.0.0.1:{port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-c", run, *line], cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        )

    def __enter__(self) -> str:
        end = time.monotonic() + 180
        while True:
            assert self.process.poll() is None and time.monotonic() < end, "the app did not start"
            try:
                urllib.request.urlopen(self.address, timeout=5).close()
                return self.address
            except OSError:
                time.sleep(0.3)

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(30)
