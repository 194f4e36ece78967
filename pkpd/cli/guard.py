"""How a command ends: with an exit code, and an error as a sentence unless --debug asks for the traceback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from pkpd.cli.runtime import prepare
from pkpd.errors import PkpdError

DONE, FAILED, NOT_CONVERGED, INTERRUPTED = 0, 1, 3, 130
DEBUG = "--debug"
AGAIN = f"Run again with {DEBUG} to see where."


def guarded(app: Callable[..., Any], argv: Sequence[str], program: str) -> int:
    """Call a typer app on `argv` in float64 and return the exit code; `--debug` may stand anywhere and lets errors through."""
    prepare()
    line = [word for word in argv if word != DEBUG]
    try:
        app(line, prog_name=program)
    except SystemExit as end:
        return _code(end)
    except Exception as error:
        if len(line) < len(argv):
            raise
        typer.echo(sentence(error), err=True)
        return FAILED
    return DONE


def sentence(error: BaseException) -> str:
    """An error for a person: the text of our own, one sentence with the name of any other.

    >>> sentence(KeyError("ka"))
    "KeyError: 'ka'. Run again with --debug to see where."
    """
    if isinstance(error, PkpdError):
        return str(error)
    return f"{named(error)} {AGAIN}"


def named(error: BaseException) -> str:
    """The name of an exception and the first line of its text.

    >>> named(ValueError("no\\nmore"))
    'ValueError: no.'
    """
    text = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {text}." if text else f"{type(error).__name__}."


def _code(end: SystemExit) -> int:
    if end.code == INTERRUPTED:
        typer.echo("Interrupted.", err=True)
    return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
