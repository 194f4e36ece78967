"""Nothing in the project names a machine: no absolute paths of somebody's disk, no package registries, no lock files."""

import re
import subprocess
from pathlib import Path

import pytest

# Written in pieces, so that this file does not accuse itself.
MACHINE = re.compile(r"(?<![\w./-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me/[a-z]", "Us" + "ers/[a-z]")) + r")(?:/|\b)")
TOOLS = re.compile(r"\.lib" + r"rary/(?:search|device|env)")
HOSTS = re.compile("|".join((r"py" + r"pi\.org", r"python" + r"hosted\.org", r"repo\.ana" + r"conda", r"index" + r"-url\s*[=h ]")))
LOCKS = re.compile(r"(?:^|/)(?:uv\.lock|pylock[^/]*\.toml|poetry\.lock|pdm\.lock|Pipfile\.lock|conda-lock\.ya?ml)$")
SKIP_FOLDERS = {".git", ".venv", ".bootstrap", "build", "dist", "_build", "generated", "__pycache__"}


def project_files(root: Path) -> list[Path]:
    """What git would commit; without git, everything outside the known build folders."""
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True, check=False
    )
    if told.returncode == 0 and told.stdout:
        paths = [root / name for name in told.stdout.split("\0") if name]
    else:
        paths = [p for p in root.rglob("*") if not SKIP_FOLDERS & set(p.relative_to(root).parts) and ".egg-info" not in str(p)]
    return [p for p in paths if p.is_file() and not p.is_symlink()]


def accusations(text: str) -> list[str]:
    return [
        f"line {number}: {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for rule, what in ((MACHINE, "a path of one machine"), (TOOLS, "a tool of one machine"), (HOSTS, "a package registry"))
        if rule.search(line)
    ]


def test_no_file_names_a_machine_or_a_registry(root):
    found = []
    for path in project_files(root):
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(root)} {accusation}" for accusation in accusations(text)]
    assert not found, "\n" + "\n".join(found)


def test_no_lock_files(root):
    found = [p.relative_to(root).as_posix() for p in project_files(root)]
    assert not [name for name in found if LOCKS.search(name)], "lock files carry registry addresses; commit constraints.txt"


@pytest.mark.parametrize("text", ["open('/" + "work/main/x')", "/ro" + "ot/.cache", "see py" + "pi.org/project", "--index" + "-url https"])
def test_an_offence_is_seen(text):
    assert len(accusations(text)) == 1


@pytest.mark.parametrize("text", ["../shared/data", "framework/rooted", "https://doi.org/10.1/wo" + "rk/root", "a/wo" + "rk/b"])
def test_ordinary_text_is_left_alone(text):
    assert accusations(text) == []
