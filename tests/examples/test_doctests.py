"""Every example in a docstring of `pkpd` and `pkpd.models` runs and shows what it says.

The docstrings are read from the source: the run-time type checks of the tests wrap functions, and doctest's own finder
passes over wrapped ones without a word.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import io

import pytest

from tests.architecture.source import Source, parse, sources

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def docstrings(source: Source) -> list[tuple[str, int, str]]:
    """Name, line and text of each docstring that holds an example."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and ">>>" in text:
                found.append((getattr(node, "name", "module"), getattr(node, "lineno", 1), text))
    return found


def report(source: Source, names: dict[str, object]) -> str:
    """What went wrong in the examples of a file; empty when nothing did."""
    out = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    for name, line, text in docstrings(source):
        test = doctest.DocTestParser().get_doctest(text, dict(names), f"{source.module}.{name}", source.path, line)
        runner.run(test, out=out.write)
    return out.getvalue()


@pytest.mark.parametrize("source", [s for folder in ("pkpd", "models") for s in sources(folder) if docstrings(s)], ids=lambda s: s.module)
def test_examples_in_docstrings(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example that writes a file writes it here
    names = vars(importlib.import_module(source.module))
    problems = report(source, names)
    assert not problems, problems


def test_a_wrong_example_is_seen():
    wrong = parse("pkpd/data/a.py", 'def f():\n    """Two.\n\n    >>> 1 + 1\n    3\n    """')
    assert "Expected:\n    3" in report(wrong, {})
