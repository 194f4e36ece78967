"""`pkpd app DIR`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from pkpd.app.pages import shiny
from pkpd.app.server import app as page_of
from pkpd.app.session import Session
from pkpd.app.toml import Source
from pkpd.cli.fitfile import build_problem, fit_file_of, load_problem
from pkpd.errors import PkpdError
from pkpd.inference import load_fit

HOST, MOST = "127.0.0.1", 200


def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder written by 'pkpd fit'.")],
    fit_file: Annotated[
        Path | None,
        typer.Option("--fit-file", metavar="FILE", help="The fit file; without it NAME.py is looked for here, in fits/ and beside DIR."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The problem as 'pkpd fit --quick' made it.")] = False,
    draws: Annotated[int, typer.Option("--draws", min=1, max=MOST, help="Posterior draws.")] = 100,
    patients: Annotated[int, typer.Option("--patients", min=2, max=MOST, help="Virtual patients of each draw.")] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the virtual patients.")] = 1,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port on this machine; 0 takes a free one.")] = 8000,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Show a fit as a page in the browser: move doses, schedule and patients of two arms; bands, exposure and probabilities follow.

    Scenario and tables can be downloaded; 'pkpd simulate' reads the scenario back. Only this machine can open the page. End it with Ctrl-C.
    """
    shiny()  # before anything takes time
    port = free_port(port)
    session = open_session(folder, fit_file, quick, draws, patients, seed)
    typer.echo(session.fit.verdict.headline)
    typer.echo(f"{draws} draws, {patients} virtual patients in each, seed {seed}; compiling", err=True)
    _ = session.limits
    made = page_of(session)
    typer.echo(f"Open http://{HOST}:{port} in a browser of this machine; end it with Ctrl-C.")
    shiny().run_app(made, host=HOST, port=port, launch_browser=browser, log_level="warning")


def free_port(wanted: int) -> int:
    """The port itself, or a free one for 0. Raises `PkpdError` where another program has it."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, wanted))
        except OSError as error:
            raise PkpdError(
                f"Port {wanted} cannot be used ({error.strerror}). Give another with --port, or --port 0 for a free one."
            ) from None
        return int(tried.getsockname()[1])


def open_session(folder: Path, fit_file: Path | None, quick: bool, draws: int, patients: int, seed: int) -> Session:
    """A fit with the problem of its fit file."""
    file = fit_file or fit_file_of(folder, f"pkpd app {folder} --fit-file FILE")
    problem = build_problem(load_problem(file), quick)
    fit = load_fit(folder, problem)
    return Session(fit, problem, Source(file.resolve(), folder.resolve(), quick, draws, patients, seed))
