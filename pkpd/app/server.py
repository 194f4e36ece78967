"""The running page: inputs to a state, its answer to outputs; a state that cannot be leaves the last answer where it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pkpd.app import view
from pkpd.app.pages import page, shiny
from pkpd.app.session import Answer, Session, csv, named
from pkpd.app.state import Arm, State
from pkpd.errors import FitError, PkpdError

NO_LIMIT = pd.DataFrame({"target": [], "arm": [], "probability": []})


def app(session: Session) -> Any:
    """The Shiny app of a session."""
    return shiny().App(page(session), lambda input, output, session_: serve(session, input))


def read_state(session: Session, fields: Mapping[str, Any]) -> State:
    """Values of the page's fields as a state. Raises `FitError` for a field that holds no number."""
    begin, known = session.begin, session.studied
    arms = {}
    for name, was in begin.arms.items():
        i, said = name.lower(), f"Arm {name}"
        given = tuple(_number(f"{said}, amount", x, "200, or 50, 100, 150") for x in str(fields[f"{i}_amount"] or "").split(","))
        doses = _number(f"{said}, doses", fields[f"{i}_doses"], "3")
        if not doses.is_integer():
            raise FitError(f"{said}, doses: {doses:g} is no whole number.")
        over = _number(f"{said}, infused over", fields[f"{i}_over"], "0.5") if f"{i}_over" in fields else was.over
        arms[name] = Arm(given, int(doses), _number(f"{said}, every", fields[f"{i}_interval"], "24"), over)
    own = str(fields["observable"])
    empty = lambda name: fields.get(name) is None or str(fields[name]).strip() == ""  # noqa: E731
    set_ = {r.name: _number(r.name, fields[f"cov_{r.name}"], f"{r.low:g}") for r in known.covariates if not empty(f"cov_{r.name}")}
    return State(
        arms, own,
        None if empty("follow") else _number("Followed for", fields["follow"], "72"),
        0.0 if empty("start") else _number("Measured from", fields["start"], "0"),
        set_, str(fields["measure"]), str(fields[f"way_{own}"]),
        None if empty(f"limit_{own}") else _number("The limit", fields[f"limit_{own}"], "10"),
    )  # fmt: skip


def _number(what: str, value: Any, example: str) -> float:
    try:
        found = float(str(value).strip())
    except ValueError:
        found = math.nan
    if math.isnan(found):
        given = "is empty" if value is None or not str(value).strip() else f"holds {str(value).strip()!r}, which is no number"
        raise FitError(f"{what} {given}. Write a number, as {example}.")
    return found


def fields_of(session: Session) -> list[str]:
    """The names of the page's fields."""
    arms = [f"{a.lower()}_{part}" for a in session.begin.arms for part in ("amount", "doses", "interval")]
    lasts = [f"{a.lower()}_over" for a in session.begin.arms if session.studied.infused and not session.studied.modelled]
    limits = [f"{word}_{o}" for o in session.units for word in ("way", "limit")]
    return [*arms, *lasts, "observable", "follow", "start", "measure", *limits, *(f"cov_{r.name}" for r in session.studied.covariates)]


def serve(session: Session, input: Any) -> None:
    """Bind inputs and outputs of one browser."""
    s = shiny()
    last, wrong = s.reactive.value(None), s.reactive.value("")

    @s.reactive.effect
    def _() -> None:
        fields = {name: input[name]() for name in fields_of(session)}
        try:
            answer = session.answer(read_state(session, fields))
        except PkpdError as error:
            wrong.set(str(error))
        except Exception as error:  # a person in front of a projector sees a sentence; the terminal has the rest
            wrong.set(f"This could not be computed ({type(error).__name__}: {error}). Go back to what was asked before.")
        else:
            last.set(answer)
            wrong.set("")

    _show(s, session, last, wrong)
    _files(s, session, last)


def _show(s: Any, session: Session, last: Any, wrong: Any) -> None:
    def output(name: str, make: Callable[[Answer], str]) -> None:
        def shown() -> Any:
            answer = last()
            return s.ui.HTML("" if answer is None else make(answer))

        shown.__name__ = name
        s.render.ui(shown)

    output("picture", view.picture)
    output("exposures", view.exposures)
    output("chances", view.chances)
    output("made", lambda answer: view.made(session, answer))
    output("flags", lambda answer: view.flags(session, answer))

    @s.render.ui
    def trouble() -> Any:
        return s.ui.HTML(view.trouble(wrong()))


def _files(s: Any, session: Session, last: Any) -> None:
    """What is downloaded is what is shown."""

    def download(name: str, file: str, make: Callable[[Answer], str]) -> None:
        def written() -> Any:
            yield make(last())

        written.__name__ = name
        s.render.download_link(filename=named(session, file))(written)

    download("toml", "scenario.toml", lambda a: a.text)
    download("csv", "exposure.csv", lambda a: csv(a.exposure))
    download("targets", "targets.csv", lambda a: csv(NO_LIMIT if a.targets is None else a.targets))
