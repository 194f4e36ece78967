"""The page's controls, as Shiny builds them."""

from __future__ import annotations

import importlib
import math
from typing import Any

from pkpd.app import view
from pkpd.app.look import CSS, SLIDERS
from pkpd.app.session import Session
from pkpd.app.state import Arm, Range
from pkpd.errors import PkpdError

FILES = {"toml": "Scenario (TOML)", "csv": "Exposure (CSV)", "targets": "Probabilities (CSV)"}


def shiny() -> Any:
    """The module; raises `PkpdError` where it is not installed."""
    try:
        return importlib.import_module("shiny")
    except ImportError:
        raise PkpdError("The app is made with Shiny, which is not installed: pip install 'pkpd-jax[app]'.") from None


def page(session: Session) -> Any:
    """The whole page; its outputs are filled by the server."""
    ui = shiny().ui
    controls = ui.div(ui.div(_arms(ui, session), _patients(ui, session)), _asked(ui, session), class_="controls")
    files = ui.div(*(ui.download_link(name, words, class_="btn") for name, words in FILES.items()), class_="files")
    answer = ui.div(
        ui.output_ui("trouble"),
        ui.div(ui.output_ui("picture"), class_="panel"),
        ui.div(
            ui.div(ui.output_ui("exposures"), class_="panel"),
            ui.div(ui.h2("Probability"), ui.output_ui("chances"), class_="panel"),
            class_="lower",
        ),
        ui.div(files, class_="panel"),
        ui.output_ui("made"),
    )
    verdict = [] if session.fit.verdict.converged else ["NOT CONVERGED"]
    title = " · ".join([*verdict, session.title, *(["simulated data"] if session.problem.simulated else [])])
    head = ui.head_content(ui.tags.style(ui.HTML(CSS)), ui.tags.script(ui.HTML(SLIDERS)))
    top = ui.HTML(view.banner(session) + view.heading(session))
    return ui.page_fluid(
        head, ui.busy_indicators.use(spinners=False, pulse=True), top, ui.div(controls, answer, class_="whole"), title=title, lang="en"
    )


def _arms(ui: Any, session: Session) -> Any:
    known, arms = session.studied, session.begin.arms
    rows = [ui.span(), *(ui.span(name, class_=f"name {name.lower()}") for name in arms)]
    first, most = known.arm.amounts[0], max(known.arm.amounts)
    top = _nice(3 * first * max(known.largest / most, 1.0))
    for word, unit, make in (
        ("Amount", known.unit, lambda i, a: _moved(ui, f"{i}_amount", a, top)),
        ("Doses", "", lambda i, a: ui.input_numeric(f"{i}_doses", None, a.doses, min=1, step=1, update_on="blur")),
        ("Every", "h", lambda i, a: ui.input_numeric(f"{i}_interval", None, _whole(a.interval), min=0, update_on="blur")),
        *(
            [("Over", "h", lambda i, a: ui.input_numeric(f"{i}_over", None, _whole(a.over), min=0, update_on="blur"))]
            if _infusable(session)
            else ()
        ),
    ):
        rows.append(ui.tags.label(word, ui.tags.small(unit), class_="row-name"))
        rows += [make(name.lower(), arm) for name, arm in arms.items()]
    note = "One amount for all doses, or one a dose, separated by commas."
    return ui.div(ui.h2("Regimen"), ui.div(*rows, class_="arms"), ui.p(note, class_="note"), class_="panel")


def _infusable(session: Session) -> bool:
    return session.studied.infused and not session.studied.modelled


def _moved(ui: Any, name: str, arm: Arm, top: float) -> Any:
    """A field of amounts, two lines high where there are several, and a slider that moves the first and the others with it."""
    several, value = len(arm.amounts) > 1, amounts(arm)
    field = ui.input_text_area(name, None, value, rows=2, resize="none", update_on="blur") if several else None
    bounds = {"min": f"{top / 200:g}", "max": f"{top:g}", "step": f"{top / 200:g}", "value": f"{arm.amounts[0]:g}"}
    slide = ui.tags.input(type="range", **bounds, data_moves=name, class_=name[0], aria_label=f"Amount of arm {name[0].upper()}")
    return ui.div(field or ui.input_text(name, None, value, update_on="blur"), slide)


def _patients(ui: Any, session: Session) -> Any:
    people = [_covariate(ui, r) for r in session.studied.covariates] or [ui.p("No covariate acts in this model.", class_="note")]
    return ui.div(ui.h2("Patients"), *people, ui.output_ui("flags"), class_="panel")


def _asked(ui: Any, session: Session) -> Any:
    begin = session.begin
    fields = [
        _field(ui, "Look at", "", ui.input_select("observable", None, list(session.units), selected=begin.observable)),
        _field(ui, "Followed for", "h; empty: as the study", ui.input_numeric("follow", None, None, min=0, update_on="blur")),
        _field(ui, "Measured from", "h", ui.input_numeric("start", None, 0, min=0, update_on="blur")),
        ui.h2("How many patients", style="margin-top: 14px"),
        _field(ui, "have a", "", ui.input_select("measure", None, view.LEVELS, selected=begin.measure)),
    ]
    fields += [ui.panel_conditional(f"input.observable === '{o}'", *_limit(ui, o, u, session.limits[o])) for o, u in session.units.items()]
    return ui.div(ui.h2("Looked at"), *fields, class_="panel")


def _limit(ui: Any, name: str, unit: str, value: float) -> tuple[Any, Any]:
    number = ui.input_text(f"limit_{name}", None, f"{value:g}", update_on="blur")
    return _field(ui, "of", "", ui.input_select(f"way_{name}", None, view.WAYS)), _field(
        ui, "the limit", "" if unit == "1" else unit, number
    )


def _field(ui: Any, word: str, small: str, control: Any) -> Any:
    return ui.div(ui.tags.label(word, ui.tags.small(small)), control, class_="field")


def _covariate(ui: Any, r: Range) -> Any:
    if r.values:
        pick = ui.input_select(f"cov_{r.name}", None, {"": "as studied", **{f"{v:g}": f"{v:g}" for v in r.values}})
        return _field(ui, r.name, "", pick)
    empty = ui.input_text(f"cov_{r.name}", None, "", placeholder="as studied", update_on="blur")
    return _field(ui, r.name, f"{r.low:g} to {r.high:g} studied", empty)


def _whole(x: float) -> float | int:
    """24 in the place of 24.0."""
    return int(x) if x == int(x) else x


def amounts(arm: Arm) -> str:
    return ", ".join(f"{a:g}" for a in arm.amounts)


def _nice(x: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(x))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= x * (1 - 1e-9))
