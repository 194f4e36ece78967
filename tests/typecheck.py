"""The type checker of the tests: beartype, with an int accepted where a float is asked for (as Python itself says).

jaxtyping's own wrapper binds each call to its signature and checks the parameters twice: that took a third of the time of
the suite. `checked` asks the same of each call in one pass. A function is prepared when it is first called, not when it is
imported, and a memory of axis sizes is opened only where an annotation has a shape.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception

SIZES = jaxtyping.jaxtyped("context")  # a memory of axis sizes, new each time it is entered
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(thing: Any) -> Any:
    """`thing` with its annotations checked at each call; left as it is when one is a Protocol that cannot be checked at run time."""
    try:
        return _beartype(thing)
    except BeartypeDecorHintPep3119Exception:
        return thing


def install() -> None:
    """Each function of pkpd is checked from now on. jaxtyping's hook decorates it with `jaxtyping.jaxtyped`, which becomes `checked` here."""
    own = jaxtyping.jaxtyped

    def jaxtyped(*args: Any, typechecker: Any = None, **more: Any) -> Any:
        ours = not args and inspect.isfunction(typechecker) and typechecker in jaxtyping._import_hook.Typechecker.lookup.values()
        return checked if ours else own(*args, typechecker=typechecker, **more)

    jaxtyping.jaxtyped = jaxtyped
    jaxtyping.install_import_hook("pkpd", "tests.typecheck.check")


def checked(thing: Any) -> Any:
    """`thing`, a function or a class whose `__init__` a dataclass wrote, with its annotations checked at each call."""
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "prepared"):
            thing.__init__ = checked(thing.__init__)
        return thing
    if not inspect.isfunction(thing) or not thing.__annotations__:
        return thing
    prepared: list[Callable] = []

    @functools.wraps(thing)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not prepared:
            prepared.append(_prepare(thing))
        return prepared[0](*args, **kwargs)

    call.prepared = prepared
    return call


def _prepare(f: types.FunctionType) -> Callable:
    """`f` through beartype, its annotations evaluated; within a memory of axis sizes where one of them is an array's."""
    hints, shaped = _hints(f)
    copy = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    copy.__kwdefaults__, copy.__qualname__, copy.__module__, copy.__annotations__ = f.__kwdefaults__, f.__qualname__, f.__module__, hints
    inner = check(copy)
    if not shaped:
        return inner

    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with SIZES:
            return inner(*args, **kwargs)

    return call


def _hints(f: types.FunctionType) -> tuple[dict[str, Any], bool]:
    """The annotations of `f` as objects, and whether one has a shape. What cannot be evaluated (a name of a function's inside) is Any."""
    hints = {name: _evaluated(hint, f.__globals__) for name, hint in f.__annotations__.items()}
    return hints, any(map(_has_shape, hints.values()))


_known: dict[tuple[str, int], Any] = {}


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    if not isinstance(hint, str):
        return hint
    key = hint, id(names)  # a module's names live as long as the tests
    if key not in _known:
        try:
            holder = types.SimpleNamespace(__annotations__={"value": hint})
            _known[key] = typing.get_type_hints(holder, names, include_extras=True)["value"]
        except Exception:
            return Any
    return _known[key]


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, typing.TypeAliasType):
        return _has_shape(hint.__value__)
    if isinstance(hint, list | tuple):  # the arguments of a Callable
        return any(map(_has_shape, hint))
    return getattr(hint, "__module__", "").startswith("jaxtyping") or any(map(_has_shape, typing.get_args(hint)))
