"""Every public name has a docstring with an example and a place in docs/api."""

import dataclasses
import enum
import inspect
import re
from pathlib import Path
from types import ModuleType

import pkpd

PUBLIC = tuple(getattr(pkpd, "__all__", ()))


def is_value(thing: object) -> bool:
    """Whether a docstring without an example is enough: a plain value, an error, an enumeration, a module or a small record."""
    if isinstance(thing, ModuleType) or not (inspect.isclass(thing) or callable(thing)):
        return True
    return inspect.isclass(thing) and (issubclass(thing, Exception | enum.Enum) or dataclasses.is_dataclass(thing))


def documentation_defect(name: str, thing: object) -> str | None:
    if isinstance(thing, str | int | float | tuple):
        return None
    text = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and (not thing.__dict__.get("__doc__") or text.startswith(f"{thing.__name__}(")):
        text = ""  # inherited, or written by @dataclass
    if not text:
        return f"pkpd.{name} has no docstring"
    if ">>>" not in text and not is_value(thing):
        return f"pkpd.{name} has a docstring without an example (>>>)"
    return None


def api_text(root: Path) -> str:
    pages = [root / "docs" / "api.md", *(root / "docs" / "api").rglob("*.md")]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages if page.exists())


def test_every_public_name_is_there():
    missing = [name for name in PUBLIC if not hasattr(pkpd, name)]
    assert not missing, f"pkpd.__all__ promises names that do not exist: {', '.join(missing)}"
    assert len(set(PUBLIC)) == len(PUBLIC), "pkpd.__all__ names something twice"
    assert not [name for name in PUBLIC if name.startswith("_") and name != "__version__"]


def test_every_public_name_has_a_docstring_with_an_example():
    found = [defect for name in PUBLIC if name != "__version__" and (defect := documentation_defect(name, getattr(pkpd, name, None)))]
    assert not found, "\n" + "\n".join(found)


def test_every_public_name_is_on_an_api_page(root):
    text = api_text(root)
    missing = [name for name in PUBLIC if name != "__version__" and not re.search(rf"(?<![\w]){re.escape(name)}(?!\w)", text)]
    assert not missing, f"not in docs/api.md: {', '.join(missing)}"


def test_a_bare_function_is_seen():
    def bare():
        pass

    def told():
        """Says what it does, shows nothing."""

    @dataclasses.dataclass
    class Record:
        x: int

    assert "no docstring" in (documentation_defect("bare", bare) or "")
    assert "without an example" in (documentation_defect("told", told) or "")
    assert "no docstring" in (documentation_defect("Record", Record) or "")
