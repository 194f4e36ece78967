"""Tables of a TOML file: every key known, every value of its kind, every mistake told with its place, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pkpd.errors import FitError, PkpdError, choices

QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\s+(\S.*?)|([^\d\s.eE].*?))\s*")
"""A number, and a unit: after a space anything ("2 1e9 cells"), without one nothing that could belong to the number."""


@dataclass
class Mistakes:
    """What is wrong in a file, collected while it is read."""

    source: str
    found: list[str] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        self.found.append(f"{place or 'top level'}: {text}")

    def attempt(self, place: str, make: Callable[[], Any], otherwise: Any = None) -> Any:
        """What `make` gives; its `PkpdError` is collected."""
        try:
            return make()
        except PkpdError as error:
            self.add(place, str(error))
            return otherwise

    def end(self) -> None:
        """Raise `FitError` with everything that was collected."""
        if self.found:
            n = len(self.found)
            raise FitError("\n".join([f"{self.source}: {n} {'thing' if n == 1 else 'things'} to mend.", *(f"  {x}" for x in self.found)]))


@dataclass(frozen=True)
class Table:
    """A table of the file at `place` ("arms[2].doses[1]"), whose keys are asked for one by one."""

    values: Mapping[str, Any]
    place: str
    mistakes: Mistakes

    def known(self, *keys: str) -> Table:
        """Itself, when every key that is not one of `keys` has been told."""
        for key in self.values:
            if key not in keys:
                self.mistakes.add(self.place, f"'{key}' is no key here. {choices(key, keys)}")
        return self

    def get(self, key: str, kinds: type | tuple[type, ...], words: str, default: Any = None, required: bool = False) -> Any:
        """The value of a key, of one of `kinds` ("words" says which), or `default`."""
        if key not in self.values:
            if required:
                self.mistakes.add(self.place, f"'{key}' is missing: {words}.")
            return default
        value = self.values[key]
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            self.mistakes.add(self.place, f"{key} = {value!r}; accepted is {words}.")
            return default
        return value

    def table(self, key: str) -> Table:
        """The table under a key; an empty one where there is none."""
        return Table(self.get(key, dict, "a table", {}) or {}, f"{self.place}.{key}".lstrip("."), self.mistakes)

    def tables(self, key: str) -> list[Table]:
        """The tables of a list of tables."""
        found = self.get(key, list, f"a list of tables, as in [[{key}]]", []) or []
        made = []
        for i, value in enumerate(found):
            place = f"{self.place}.{key}[{i + 1}]".lstrip(".")
            if isinstance(value, dict):
                made.append(Table(value, place, self.mistakes))
            else:
                self.mistakes.add(place, f"{value!r} is no table.")
        return made

    def quantity(self, key: str, example: str, required: bool = False) -> tuple[float, str] | None:
        """A number with its unit, "320 mg", as a pair."""
        text = self.get(key, (str, int, float), f'a number with its unit, as in {key} = "{example}"', None, required)
        return None if text is None else self.pair(key, text, example)

    def pair(self, key: str, text: Any, example: str) -> tuple[float, str] | None:
        match = QUANTITY.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            self.mistakes.add(self.place, f'{key} = {text!r} carries no number and unit; write it as {key} = "{example}".')
            return None
        return float(match.group(1)), match.group(2) or match.group(3)
