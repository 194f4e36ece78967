"""Libraries in the private cache: made once, found again, never half written, and a sentence where they cannot be made."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pkpd.solve.native import build

needs_compiler = pytest.mark.skipif(build.why_not() is not None, reason=f"no native code here: {build.why_not()}")
SOURCE = 'extern "C" int pkpd_answer() { return 42; }\n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PKPD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "native"


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A compiler that writes a line for each library it makes; how many there are."""
    log, script = tmp_path / "made.txt", tmp_path / "counting-c++"
    script.write_text(f'#!/bin/sh\ncase "$*" in *-o*) echo made >> "{log}"; sleep 0.3;; esac\nexec "{build.compiler()}" "$@"\n')
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


@needs_compiler
def test_a_second_call_finds_the_first_library(cache, counted):
    first, second = build.library(SOURCE), build.library(SOURCE)
    assert first == second and first.parent == cache
    assert counted() == 1
    assert build.library(SOURCE + "// other\n") != first


@needs_compiler
def test_only_the_owner_may_write_the_cache(cache):
    build.library(SOURCE)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


@pytest.mark.slow
@needs_compiler
def test_processes_that_want_the_same_library_make_it_once(cache, counted, root):
    script = f"from pkpd.solve.native import build; build.library({SOURCE!r})"
    running = [subprocess.Popen([sys.executable, "-c", script], cwd=root, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, wrong = process.communicate(timeout=120)
        assert process.returncode == 0, wrong.decode()
    assert counted() == 1
    assert [p.suffix for p in sorted(cache.iterdir())] == [".lock", ".so"]


@needs_compiler
def test_another_processor_or_compiler_is_another_library(monkeypatch):
    before = build.key(SOURCE, build.compiler())
    monkeypatch.setattr(build, "target", lambda program: (("-march=native",), "#define another 1"))
    assert build.key(SOURCE, build.compiler()) != before


@needs_compiler
def test_a_model_that_does_not_compile_leaves_nothing_behind(cache):
    with pytest.raises(build.CannotBuild, match="refused the model"):
        build.library("this is no C++\n")
    assert [p.suffix for p in cache.iterdir()] == [".lock"]


def test_without_a_compiler_the_reason_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.why_not() == "CXX names 'no-such-compiler', which is not found"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.why_not() == "no C++ compiler is installed (c++, g++ or clang++)"


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the compiler")
def test_a_compiler_that_does_not_run_is_named(monkeypatch, tmp_path):
    broken = tmp_path / "broken-c++"
    broken.write_text("#!/bin/sh\necho 'error: no licence' >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CXX", str(broken))
    assert build.why_not() == "the compiler 'broken-c++' does not run: error: no licence"


def test_the_cache_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("PKPD_CACHE", "off")
    assert build.folder() == build.folder()
    assert build.folder() != Path("off") / "native" and build.folder().is_dir()


@needs_compiler
def test_a_compiler_is_told_by_name_version_flags_and_a_number_of_all_that_decides(monkeypatch):
    told = build.told()
    assert told.startswith(f"{Path(build.compiler()).name} ") and len(told.split()[-1]) == 8 and build.told() == told
    monkeypatch.setattr(build, "target", lambda program: (("-mcpu=other",), '#define __VERSION__ "99.1 of tests"\n'))
    other = build.told()
    assert " 99.1 of tests -mcpu=other" in other and other.split()[-1] != told.split()[-1]
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.told() == ""
