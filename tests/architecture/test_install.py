"""What a user installs: models/ ships as pkpd.models, in the editable install and in a wheel put into an empty environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

COPIED = ("pkpd", "models", "pyproject.toml", "setup.py", "README.md", "LICENSE")
# Run inside the other Python: what it found, and from where.
PROBE = "import importlib, sys; print(*[importlib.import_module(m).__file__ for m in sys.argv[1:]], sep='\\n')"


def model_packages(root: Path) -> list[str]:
    """pkpd.models and its packages, read from the folders."""
    inner = sorted(p.parent.relative_to(root / "models").as_posix() for p in (root / "models").rglob("__init__.py"))
    return ["pkpd.models" + ("" if name == "." else "." + name.replace("/", ".")) for name in inner]


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)


def probe(python: str | Path, root: Path, cwd: Path) -> list[Path]:
    told = run([str(python), "-c", PROBE, "pkpd", *model_packages(root)], cwd)
    assert told.returncode == 0, told.stderr
    return [Path(line).resolve() for line in told.stdout.split("\n") if line]


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, so that no build folder of the checkout can leak into it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    told = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"], tree)
    assert told.returncode == 0, told.stdout + told.stderr
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory) -> Path:
    """An environment with nothing in it; returns its Python."""
    folder = tmp_path_factory.mktemp("empty")
    told = run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder)
    assert told.returncode == 0, told.stderr
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_every_folder_with_code_is_a_package(root):
    bare = {p.parent.relative_to(root).as_posix() for top in ("pkpd", "models") for p in (root / top).rglob("*.py")}
    missing = [folder for folder in sorted(bare) if not (root / folder / "__init__.py").exists()]
    assert not missing, f"without __init__.py these folders are not shipped: {', '.join(missing)}"


@pytest.mark.slow
def test_the_editable_install_finds_the_models_folder(root, tmp_path):
    if run([sys.executable, "-c", "import pkpd"], tmp_path).returncode:
        pytest.skip("pkpd is not installed in this environment; `make test` installs it")
    found = probe(sys.executable, root, tmp_path)
    assert found[1] == root / "models" / "__init__.py"


def test_the_wheel_carries_the_library_and_the_models_and_nothing_else(root, wheel):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    library = {p.relative_to(root).as_posix() for p in (root / "pkpd").rglob("*.py")}
    models = {f"pkpd/{p.relative_to(root).as_posix()}" for p in (root / "models").rglob("*.py")}
    assert {n for n in names if n.endswith(".py")} == library | models
    machine = {p.relative_to(root).as_posix() for p in (root / "pkpd" / "solve" / "native" / "cpp").iterdir()}
    assert {n for n in names if n.endswith((".h", ".cc"))} == machine
    assert "pkpd/py.typed" in names
    assert not [n for n in names if not n.startswith("pkpd/")]


@pytest.mark.slow
def test_the_wheel_imports_in_an_empty_environment(root, wheel, empty_environment, tmp_path):
    """The dependencies are lent from this environment by path; the library itself can only come from the wheel."""
    told = run(
        [sys.executable, "-m", "pip", "--python", str(empty_environment), "install", "--no-deps", "--no-index", str(wheel)], tmp_path
    )
    assert told.returncode == 0, told.stdout + told.stderr
    (site,) = empty_environment.parents[1].rglob("site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")  # a plain path: its own .pth files stay unread
    found = probe(empty_environment, root, tmp_path)
    assert all(path.is_relative_to(site.resolve()) for path in found), found
    assert {f"pkpd.models.{name}" for name in ("carm", "classic") if (root / "models" / name).is_dir()} <= set(model_packages(root))


@pytest.mark.slow
def test_the_wheel_installs_with_its_dependencies_from_the_constraints(root, wheel, tmp_path):
    """The real thing: every dependency fetched, versions from constraints.txt. Needs a network, so it skips without one."""
    folder = tmp_path / "venv"
    assert run([sys.executable, "-m", "venv", str(folder)], tmp_path).returncode == 0
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    told = run([str(python), "-m", "pip", "install", "-q", str(wheel), "-c", str(root / "constraints.txt")], tmp_path)
    if told.returncode and any(sign in told.stderr for sign in ("NewConnectionError", "ConnectionError", "No matching distribution found")):
        pytest.skip(f"no package index within reach: {told.stderr.strip().splitlines()[-1]}")
    assert told.returncode == 0, told.stderr
    assert all(path.is_relative_to(folder.resolve()) for path in probe(python, root, tmp_path))
