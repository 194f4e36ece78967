"""What a function is, as text that is the same in every run: its name, what it holds, and what it closes over.

Two partials, instances or closures of one name are told apart by their contents; a function that has a name of its own is known by it, so that a mended
one goes on with the results it has. Values that are computed and kept (cached properties of a dataclass) do not count.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from pkpd.errors import PkpdError

PLAIN = (type(None), bool, int, float, complex, str, bytes)


def identity(function: Any) -> str:
    """A digest of `function` with all that it holds. Raises `PkpdError` where that cannot be read.

    >>> from functools import partial
    >>> identity(partial(round, ndigits=1)) == identity(partial(round, ndigits=2))
    False
    """
    return hashlib.sha256(_Reader().text(function).encode("utf-8", "surrogatepass")).hexdigest()


class _Reader:
    """Reads a value into text; what holds itself is told by its depth."""

    def __init__(self) -> None:
        self.inside: list[int] = []

    def text(self, x: Any) -> str:
        if type(x) in PLAIN:
            return f"{type(x).__name__}:{x!r}"
        if id(x) in self.inside:
            return f"around:{self.inside.index(id(x))}"
        self.inside.append(id(x))
        found = f"{name_of(type(x))}({self._parts(x)})"
        self.inside.pop()
        return found

    def _all(self, parts: Iterable[Any]) -> str:
        return ",".join(self.text(p) for p in parts)

    def _parts(self, x: Any) -> str:
        if isinstance(x, (tuple, list)):
            return self._all(x)
        if isinstance(x, dict):
            return ",".join(f"{self.text(k)}={self.text(v)}" for k, v in x.items())
        if isinstance(x, (set, frozenset)):
            return ",".join(sorted(map(self.text, x)))
        if isinstance(x, functools.partial):
            return self._all((x.func, x.args, dict(sorted(x.keywords.items()))))
        if isinstance(x, types.MethodType):
            return self._all((x.__self__, x.__func__))
        if isinstance(x, types.FunctionType):
            return self._function(x)
        if isinstance(x, types.CodeType):
            return self._all((x.co_code, x.co_names, x.co_varnames, x.co_consts))
        if isinstance(x, (type, types.BuiltinFunctionType, types.ModuleType)):
            return name_of(x)
        return self._held(x)

    def _function(self, f: types.FunctionType) -> str:
        """By name; one without a name of its own (a lambda, one made in a function) by what it does."""
        cells = [_content(c) for c in f.__closure__ or ()]
        code = f.__code__ if "<" in f.__qualname__ else None
        return self._all((name_of(f), code, f.__defaults__, f.__kwdefaults__, cells))

    def _held(self, x: Any) -> str:
        """The state of an instance."""
        if isinstance(x, (np.ndarray, np.generic)):
            return self._all((x.dtype.str, x.shape, x.tolist() if x.dtype == object else x.tobytes()))
        if is_dataclass(x):
            return self._all([getattr(x, f.name) for f in fields(x)])
        if hasattr(x, "__dict__") and all(
            getattr(type(x), n) is getattr(object, n) for n in ("__reduce_ex__", "__reduce__", "__getstate__")
        ):
            return self._all([{k: v for k, v in vars(x).items() if not _computed(type(x), k)}])
        try:
            made = x.__reduce_ex__(4)
        except Exception as error:  # whatever an instance raises that cannot be copied
            raise PkpdError(
                f"run_many(folder=...): what the function holds cannot be told from another ({type(x).__name__}: {error}). Give a function of a module, and "
                "put what differs into the tasks."
            ) from None
        return f"str:{made}" if isinstance(made, str) else self._all([list(p) if hasattr(p, "__next__") else p for p in made])


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None


def _computed(kind: type, name: str) -> bool:
    """Whether an attribute is one that a property keeps once it is computed."""
    found = inspect.getattr_static(kind, name, None)
    return hasattr(found, "__get__") and not hasattr(found, "__set__") and not isinstance(found, types.FunctionType)


def name_of(x: Any) -> str:
    """Where it is from; a function of the file that is run is the same in the processes that import it."""
    module = getattr(x, "__module__", "")
    return f"{'__main__' if module == '__mp_main__' else module}.{getattr(x, '__qualname__', getattr(x, '__name__', type(x).__name__))}"
