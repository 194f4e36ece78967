"""Reads the project's source as text and syntax trees, so that the architecture tests import nothing they judge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"pkpd": ("pkpd",), "models": ("pkpd", "models"), "fits": ("fits",)}  # folder: the name its files are imported under


@dataclass(frozen=True)
class Import:
    """One imported name: `module` as written (dots resolved), `name` for `from module import name`, and where it stands."""

    module: str
    name: str | None
    line: int
    top: bool = True  # runs when the file is imported: not inside a function, not under TYPE_CHECKING


@dataclass(frozen=True)
class Source:
    """One file: its path in the project, its dotted name, its tree."""

    path: str
    module: str
    tree: ast.Module = field(repr=False, compare=False)
    lines: int = 0

    @property
    def folder(self) -> str:
        return self.path.split("/")[0]


def sources(folder: str) -> tuple[Source, ...]:
    """Every Python file below a top-level folder of the project."""
    return tuple(_read(ROOT, path) for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts)


@cache
def _read(root: Path, path: Path) -> Source:
    relative = path.relative_to(root)
    return parse(relative.as_posix(), path.read_text(encoding="utf-8"))


def parse(path: str, text: str) -> Source:
    """A `Source` from a path in the project and its text (the tests of the tests use this)."""
    parts = Path(path).with_suffix("").parts
    parts = (*PACKAGES.get(parts[0], parts[:1]), *parts[1:])
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(path, module, ast.parse(text, filename=path), text.count("\n") + 1)


def imports(source: Source) -> Iterator[Import]:
    """Every import of a file, those inside functions and those by a literal name included."""
    yield from _walk(source, source.tree, True)


def _walk(source: Source, node: ast.AST, top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, None, child.lineno, top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(source, child)
            yield from (Import(module, alias.name, child.lineno, top) for alias in child.names)
        elif isinstance(child, ast.Call) and (named := _by_name(child)):
            yield Import(named, None, child.lineno, top)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _typing_only(child)
        yield from _walk(source, child, top and not inside)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    parts = parts if source.path.endswith("__init__.py") else parts[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _by_name(call: ast.Call) -> str | None:
    """The module in `import_module("x")` or `__import__("x")`."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return first.value if called in ("import_module", "__import__") and literal else None


def _typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def bodies(source: Source) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of every function body, its docstring left out."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, node.lineno, (body[-1].end_lineno - body[0].lineno + 1) if body else 0
