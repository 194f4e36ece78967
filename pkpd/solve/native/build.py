"""Compile a source once into the user's private cache, and load it: atomic, and safe when several processes want the same at once."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path

import jax
import jaxlib

NAMES = ("solve", "record", "pull", "push")
# -O2: the lanes are written out, and GCC's vectoriser at -O3 takes straight-line code apart again (the stiff method took 1.6 times as long).
_PLAIN = ("-std=c++17", "-O2", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-w", "-x", "c++")
_MACHINE = (("-march=native",), ("-mcpu=native",), ())
RETRY = 3600.0  # seconds after which what failed in the background is tried again


class CannotBuild(Exception):
    """The sentence that says why no code could be compiled."""


def compiler() -> str:
    """The C++ compiler: CXX, else c++, g++ or clang++ on the path."""
    named = os.environ.get("CXX")
    for name in (named,) if named else ("c++", "g++", "clang++"):
        found = shutil.which(name.split()[0]) if name.split() else None
        if found:
            return found
    raise CannotBuild(f"CXX names '{named}', which is not found" if named else "no C++ compiler is installed (c++, g++ or clang++)")


@lru_cache(maxsize=4)
def target(program: str) -> tuple[tuple[str, ...], str]:
    """Flags for this machine's processor, and everything the compiler predefines under them (its version, the vector units it may use)."""
    for flags in _MACHINE:
        seen = subprocess.run([program, *flags, "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, text=True)
        if seen.returncode == 0:
            return flags, seen.stdout
    raise CannotBuild(f"the compiler '{Path(program).name}' does not run: {_first_line(seen.stderr)}")


def key(source: str, program: str) -> str:
    """What decides the machine code: the source, the flags, the compiler and processor, and JAX's headers."""
    flags, defined = target(program)
    text = "\0".join([source, *_PLAIN, *flags, *_lanes(), defined, jaxlib.__version__])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _lanes() -> tuple[str, ...]:
    """PKPD_LANES; else whether 512 bits are taken in two halves, as by AMD's family 25 (Zen 4), which compilers older than it (GCC 12) do not say."""
    asked = os.environ.get("PKPD_LANES")
    return (f"-DPKPD_LANES={int(asked)}",) if asked else ("-DPKPD_HALVES",) if _family() == ("AuthenticAMD", "25") else ()


@lru_cache(maxsize=1)
def _family() -> tuple[str, str]:
    """Vendor and family of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return "", ""
    told = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return told.get("vendor_id", ""), told.get("cpu family", "")


def told() -> str:
    """What makes machine code here: compiler, version, flags, and a number for all that decides the code besides its source; empty where nothing does.

    The number differs between processors too, so a result that names it says on which kind of machine the same code comes again.
    """
    if why_not() is not None:
        return ""
    program = compiler()
    flags, defined = target(program)
    version = re.search(r'#define __VERSION__ "(.*)"', defined)
    return " ".join((Path(program).name, version[1] if version else "of unknown version", *flags, *_lanes(), key("", program)[:8]))


def folder() -> Path:
    """Where libraries are kept: PKPD_CACHE, else `pkpd` in the user's cache folder, each with `native` below; only its owner may write there.

    With PKPD_CACHE=off, or where the folder is not the user's own, a folder of this process alone.
    """
    named = os.environ.get("PKPD_CACHE", "")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pkpd"
    if named.lower() == "off":
        return _own_folder()
    place = base / "native"
    try:
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)  # code is trusted when it is loaded: nobody else may write it
        return place if place.stat().st_uid == os.getuid() else _own_folder()
    except OSError:
        return _own_folder()


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="pkpd-native-"))


def why_not() -> str | None:
    """Why nothing can be compiled here, as a sentence; None where it can."""
    if sys.platform == "win32":
        return "native code is not built on Windows"
    try:
        target(compiler())
    except CannotBuild as refusal:
        return str(refusal)
    return None


def ready(source: str) -> bool:
    """Whether the library of a source is in the cache."""
    return _place(source).exists()


def _place(source: str) -> Path:
    return folder() / f"{key(source, compiler())}.so"


def library(source: str) -> Path:
    """The compiled library of a source, from the cache or made now (or waited for, where somebody is making it)."""
    program, place = compiler(), _place(source)
    if place.exists():
        return place
    with _alone(place.with_suffix(".lock")):
        if not place.exists():
            _compile(source, program, place)
    return place


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Only one process or thread at a time; the system lets go when a holder dies."""
    import fcntl

    with open(path, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def start(source: str) -> None:
    """Make the library of a source in a process of its own, which outlives this one; nothing where it is there or being made.

    The child inherits the lock, so whoever wants the library in the meantime waits for it in `library`.
    """
    import fcntl

    program, place = compiler(), _place(source)
    with open(place.with_suffix(".lock"), "w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if place.exists():
            return
        spare = Path(tempfile.mkdtemp(dir=place.parent))
        command, made = _command(source, program, spare)
        quoted = {"spare": spare, "made": made, "place": place, "failed": place.with_suffix(".failed"), "said": spare / "said"}
        q = {name: shlex.quote(str(path)) for name, path in quoted.items()}
        line = f"{shlex.join(command)} >/dev/null 2>{q['said']} && mv {q['made']} {q['place']} || mv {q['said']} {q['failed']}; rm -rf {q['spare']}"
        # The shell returns at once, its child belongs to nobody here, and no pipe of the caller's stays open while it compiles.
        away = f"nice sh -c {shlex.quote(line)} </dev/null >/dev/null 2>&1 &"
        subprocess.run(["sh", "-c", away], pass_fds=(held.fileno(),), start_new_session=True, check=False)


def failed(source: str) -> str | None:
    """What the compiler said when it refused a source in the background, within the last hour; None where it did not. (It may have run out of memory.)"""
    said = _place(source).with_suffix(".failed")
    try:
        recent = time.time() - said.stat().st_mtime < RETRY
        return _first_line(said.read_text(errors="replace")) or "it said nothing" if recent else None
    except FileNotFoundError:
        return None


def _compile(source: str, program: str, place: Path) -> None:
    """Into a file of its own, then under its name in one move: nobody ever sees half a library."""
    with tempfile.TemporaryDirectory(dir=place.parent) as spare:
        command, made = _command(source, program, Path(spare))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CannotBuild(f"the compiler '{Path(program).name}' refused the model: {_first_line(done.stderr)}")
        os.replace(made, place)


def _command(source: str, program: str, spare: Path) -> tuple[list[str], Path]:
    """The compiler's command line for a source, written to `spare`, and where it puts the library."""
    text, made = spare / "model.cc", spare / "model.so"
    text.write_text(source)
    flags, _ = target(program)
    return [program, *_PLAIN, *flags, *_lanes(), "-isystem", jax.ffi.include_dir(), str(text), "-o", str(made)], made


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if "error" in line), text.strip()[:200])


_loaded: dict[
    str, ctypes.CDLL
] = {}  # by name, whatever the folder; never unloaded: compiled functions may call them for as long as the process lives


def load(calls: Path, path: Path) -> tuple[str, str]:
    """Load a model's library and make it known to the one that XLA calls: (what its entry points begin with, the model's name)."""
    if path.stem not in _loaded:
        model = _opened(path)
        where = ctypes.addressof(ctypes.c_char.in_dll(model, "pkpd_model"))
        _entries(calls).pkpd_know(path.stem.encode(), ctypes.c_void_p(where))
        _loaded[path.stem] = model
    return _begin(calls), path.stem


def _opened(path: Path) -> ctypes.CDLL:
    """A library; one that cannot be loaded is thrown away, so that the next process makes it anew."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CannotBuild(f"the compiled library could not be loaded ({error})") from error


def _entries(calls: Path) -> ctypes.CDLL:
    """The library that XLA calls, known to XLA."""
    if calls.stem not in _loaded:
        loaded = _opened(calls)
        for part in NAMES:
            jax.ffi.register_ffi_target(f"{_begin(calls)}_{part}", jax.ffi.pycapsule(getattr(loaded, f"pkpd_{part}")), platform="cpu")
        _loaded[calls.stem] = loaded
    return _loaded[calls.stem]


def _begin(calls: Path) -> str:
    return f"pkpd_{calls.stem}"
