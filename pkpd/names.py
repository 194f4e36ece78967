"""Named views: values reached by name, with an error that names the nearest right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pkpd.errors import ModelError, choices


class View(Mapping[str, Any]):
    """Values by attribute or by key (`y.blood`, `y["blood"]`); what stands in it is decided by who made it.

    `resolve` is called for each name asked for, so a value may be worked out only when it is needed. `cure` ends the sentence about an
    unknown name.
    """

    __slots__ = ("_cure", "_names", "_resolve", "_what")

    def __init__(self, what: str, names: tuple[str, ...], resolve: Callable[[str], Any], cure: str = ""):
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_resolve", resolve)
        object.__setattr__(self, "_cure", cure)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise ModelError(f"{self._what} has no '{name}'. {choices(name, self._names)} {self._cure}".rstrip())
        return self._resolve(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise ModelError(f"{self._what} cannot be changed (tried to set '{name}'); rates return what changes.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def view(what: str, values: Mapping[str, Any]) -> View:
    """A view over a plain mapping."""
    return View(what, tuple(values), values.__getitem__)
