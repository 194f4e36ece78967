"""The house: imports go down the floors only, without cycles; plots keep matplotlib to themselves; models and fits see the public face.

House rules 1 to 4 (CONTRIBUTING.md). This file is not edited to let a change pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.architecture.source import Import, Source, bodies, imports, parse, sources

FLOORS = {
    **dict.fromkeys(("errors", "units", "names", "arrays", "tracing", "processes"), 0),
    **dict.fromkeys(("events", "data"), 1),
    "solve": 2,
    "components": 3,
    "model": 4,
    **dict.fromkeys(("population", "noise"), 5),
    **dict.fromkeys(("inference", "approximate"), 6),
    "diagnostics": 7,
    "simulate": 8,
    **dict.fromkeys(("plots", "report"), 9),
    **dict.fromkeys(("cli", "app"), 10),
}
MAX_FILE, MAX_BODY = 400, 60
HOUSE = ("pkpd", "models", "fits")


def floor(module: str) -> int | None:
    """The floor of a module inside pkpd; None for the public face `pkpd` itself and for what is not in the house."""
    parts = module.split(".")
    return FLOORS.get(parts[1]) if parts[0] == "pkpd" and len(parts) > 1 else None


def targets(source: Source, known: set[str]) -> Iterator[tuple[Import, str]]:
    """Each import inside the house with the file it reaches: `from a import b` is a.b where that is a file, else a."""
    for found in imports(source):
        inner = f"{found.module}.{found.name}"
        module = inner if found.name and inner in known else found.module
        if module.split(".")[0] == "pkpd":
            yield found, module


def unknown_places(files: Iterable[Source]) -> list[str]:
    return [f"{s.path} stands on no floor; give its package one in FLOORS" for s in files if s.module != "pkpd" and floor(s.module) is None]


def upward(files: Iterable[Source]) -> list[str]:
    files = tuple(files)
    known = {s.module for s in files}
    found = []
    for source in files:
        here = floor(source.module)
        for seen, module in targets(source, known) if here is not None else ():
            place = f"{source.path}:{seen.line}"
            if module == "pkpd":
                found.append(f"{place} imports the public face `pkpd`; inside the house import the file that has '{seen.name}'")
            elif module.split(".")[1] == "models":
                continue  # named by outsiders()
            elif (there := floor(module)) is None or there > here:
                found.append(f"{place} (floor {here}) imports {module} (floor {there}); imports go down only")
    return found


def cycles(files: Iterable[Source]) -> list[str]:
    files = tuple(files)
    known = {s.module for s in files}
    graph = {s.module: {m for _, m in targets(s, known) if m in known and m != s.module} for s in files if s.module != "pkpd"}
    done: set[str] = set()
    found = []
    for start in graph:
        loop = _loop(start, graph, [], done)
        if loop:
            found.append(" -> ".join(loop))
            done |= set(loop)
    return found


def _loop(node: str, graph: dict[str, set[str]], path: list[str], done: set[str]) -> list[str]:
    if node in path:
        return [*path[path.index(node) :], node]
    if node in done or node not in graph:
        return []
    for after in sorted(graph[node]):
        loop = _loop(after, graph, [*path, node], done)
        if loop:
            return loop
    done.add(node)
    return []


def outsiders(files: Iterable[Source]) -> list[str]:
    """Imports of models, pkpd.models or fits from pkpd, and of fits from anywhere."""
    found = []
    for source in files:
        banned = ("fits",) if source.folder != "pkpd" else ("models", "fits", "pkpd.models")
        for seen in imports(source):
            names = {seen.module, f"{seen.module}.{seen.name}"}
            for name in banned:
                if any(n == name or n.startswith(name + ".") for n in names):
                    found.append(f"{source.path}:{seen.line} imports {name}; {source.folder}/ may not know of it")
    return sorted(set(found))


def matplotlib_leaks(files: Iterable[Source]) -> list[str]:
    found = []
    for source in files:
        for seen in imports(source):
            if seen.module.split(".")[0] not in ("matplotlib", "pylab"):
                continue
            if floor(source.module) != 9 or not source.module.startswith("pkpd.plots"):
                found.append(f"{source.path}:{seen.line} imports matplotlib; draw in pkpd/plots")
            elif seen.top:
                found.append(f"{source.path}:{seen.line} imports matplotlib when it is imported; import it inside the function")
    return found


def slow_imports(files: Iterable[Source]) -> list[str]:
    """`import pkpd` must work, and stay quick, without ArviZ."""
    return [
        f"{s.path}:{seen.line} imports {seen.module} when it is imported; import it inside the function"
        for s in files
        for seen in imports(s)
        if seen.top and seen.module.split(".")[0] in ("arviz", "arviz_base", "arviz_stats", "arviz_plots")
    ]


def private_access(files: Iterable[Source], public: set[str]) -> list[str]:
    """Models and fits import public names of `pkpd`, models their siblings too, and fits the models."""
    found = []
    for source in files:
        for seen in imports(source):
            module = "pkpd." + seen.module if seen.module.split(".")[0] == "models" else seen.module
            if module.split(".")[0] != "pkpd" or module == "pkpd.models" or module.startswith("pkpd.models."):
                continue
            allowed = seen.name is None or seen.name in public | {"models"} if module == "pkpd" else False
            if not allowed:
                what = f"{module}.{seen.name}" if seen.name else module
                found.append(f"{source.path}:{seen.line} imports {what}, which is not public; write `from pkpd import ...`")
    return found


def too_long(files: Iterable[Source]) -> list[str]:
    files = tuple(files)
    long = [f"{s.path} has {s.lines} lines, over {MAX_FILE}: a file is one concept, split it" for s in files if s.lines > MAX_FILE]
    return long + [
        f"{s.path}:{line} function {name} has {length} lines, over {MAX_BODY}: split it"
        for s in files
        for name, line, length in bodies(s)
        if length > MAX_BODY
    ]


def _files(*folders: str) -> tuple[Source, ...]:
    return tuple(s for folder in folders for s in sources(folder))


def _tell(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_every_file_of_pkpd_stands_on_a_floor():
    _tell(unknown_places(_files("pkpd")))


def test_imports_go_down():
    _tell(upward(_files("pkpd")))


def test_no_file_imports_itself_by_a_detour():
    _tell(cycles(_files("pkpd", "models")))


def test_pkpd_knows_no_models_and_nobody_imports_fits():
    _tell(outsiders(_files(*HOUSE)))


def test_matplotlib_only_inside_functions_of_plots():
    _tell(matplotlib_leaks(_files(*HOUSE)))


def test_arviz_is_imported_late():
    _tell(slow_imports(_files(*HOUSE)))


def test_models_and_fits_use_the_public_names():
    import pkpd

    _tell(private_access(_files("models", "fits"), set(getattr(pkpd, "__all__", ()))))


def test_files_and_functions_stay_short():
    _tell(too_long(_files(*HOUSE, "tests")))


# The rules above, broken on purpose: a test that cannot fail proves nothing.


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward, "pkpd/solve/a.py", "from pkpd.inference import sample"),
        (upward, "pkpd/solve/a.py", "def f():\n    from pkpd.model import compose"),
        (upward, "pkpd/solve/a.py", "from ..model import compose"),
        (upward, "pkpd/solve/a.py", "import importlib\nimportlib.import_module('pkpd.model.compose')"),
        (upward, "pkpd/solve/a.py", "from pkpd import compose"),
        (unknown_places, "pkpd/attic/a.py", ""),
        (outsiders, "pkpd/cli.py", "import pkpd.models.carm"),
        (outsiders, "pkpd/cli.py", "from models.carm import carm"),
        (outsiders, "models/a.py", "from fits import theophylline"),
        (matplotlib_leaks, "pkpd/report/a.py", "def f():\n    import matplotlib.pyplot as plt"),
        (matplotlib_leaks, "pkpd/plots/a.py", "from matplotlib.axes import Axes"),
        (slow_imports, "pkpd/diagnostics/a.py", "import arviz as az"),
        (too_long, "pkpd/data/a.py", "\n" * 400),
        (too_long, "pkpd/data/a.py", "def f():\n" + "    x = 1\n" * 61),
    ],
)
def test_a_broken_rule_is_seen(check, path, text):
    assert len(check([parse(path, text)])) == 1


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward, "pkpd/solve/a.py", "from pkpd.errors import SolveError\nfrom pkpd.data import read_cohort\nimport jax"),
        (matplotlib_leaks, "pkpd/plots/a.py", "def f():\n    import matplotlib.pyplot as plt"),
        (matplotlib_leaks, "pkpd/plots/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        (too_long, "pkpd/data/a.py", "def f():\n    '''" + "\n" * 100 + "'''\n" + "    x = 1\n" * 60),
    ],
)
def test_a_kept_rule_is_left_alone(check, path, text):
    assert check([parse(path, text)]) == []


def test_a_cycle_is_seen_through_a_function():
    a = parse("pkpd/data/a.py", "from pkpd.data.b import x")
    b = parse("pkpd/data/b.py", "def f():\n    from pkpd.data import a")
    assert cycles([a, b]) == ["pkpd.data.a -> pkpd.data.b -> pkpd.data.a"]
    assert cycles([a]) == []


@pytest.mark.parametrize(
    ("path", "text", "refused"),
    [
        ("models/carm/a.py", "from pkpd import compose\nfrom .cytokines import idr\nfrom pkpd.models.classic import one", 0),
        ("models/carm/a.py", "from pkpd import _hidden", 1),
        ("models/carm/a.py", "from pkpd.model.compose import compose", 1),
        ("fits/a.py", "from pkpd.models.carm import carm\nfrom pkpd import compose, models\nimport numpyro", 0),
        ("fits/a.py", "import pkpd.inference", 1),
    ],
)
def test_private_access_is_seen(path, text, refused):
    assert len(private_access([parse(path, text)], {"compose"})) == refused
