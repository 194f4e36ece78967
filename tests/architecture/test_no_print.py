"""What library code never does: print, pickle, draw from numpy's random numbers, or stop into a debugger."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Source, imports, parse, sources

CALLS = {"print": "report through logging, or through the command line's echo", "breakpoint": "delete it"}
MODULES = {"pickle": "save as netCDF", "cloudpickle": "save as netCDF", "dill": "save as netCDF", "pdb": "delete it"}


def offences(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield f"{source.path}:{node.lineno} calls {node.func.id}(); {CALLS[node.func.id]}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("np.random", "numpy.random"):
            yield f"{source.path}:{node.lineno} uses numpy's random numbers; take a `key` and use jax.random"
    for seen in imports(source):
        if seen.module in MODULES:
            yield f"{source.path}:{seen.line} imports {seen.module}; {MODULES[seen.module]}"
        elif (seen.module, seen.name) == ("numpy", "random") or seen.module == "numpy.random":
            yield f"{source.path}:{seen.line} imports numpy's random numbers; take a `key` and use jax.random"


def test_the_library_keeps_quiet_and_repeatable():
    found = [line for folder in ("pkpd", "models", "fits") for s in sources(folder) for line in offences(s)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("text", ["print(1)", "import pickle", "np.random.normal()", "from numpy import random", "breakpoint()"])
def test_an_offence_is_seen(text):
    assert len(list(offences(parse("pkpd/data/a.py", text)))) == 1


def test_an_example_in_a_docstring_may_print():
    assert not list(offences(parse("pkpd/data/a.py", 'def f():\n    """>>> print(1)\n    1\n    """')))
