"""NAME=VALUE on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from pkpd.errors import PkpdError


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """NAME=VALUE words as a mapping. Raises `PkpdError` for a word without '=', an empty side, or a name given twice.

    >>> pairs(["TIME=h", "AMT=mg"], "--units")
    {'TIME': 'h', 'AMT': 'mg'}
    """
    found: dict[str, str] = {}
    for word in given:
        name, sign, value = (part.strip() for part in word.partition("="))
        if not (name and sign and value):
            raise PkpdError(f"{option} {word}: this is not NAME=VALUE. Write one name and one value, as in {option} {_EXAMPLE[option]}.")
        if name in found:
            raise PkpdError(f"{option} names '{name}' twice, as {found[name]} and as {value}. Give it once.")
        found[name] = value
    return found


def numbers(given: Sequence[str], option: str) -> dict[str, float]:
    """NAME=NUMBER words as a mapping. Raises `PkpdError` as `pairs` does, and for a value that is no finite number.

    >>> numbers(["CL=2.8", "V=32"], "--set")
    {'CL': 2.8, 'V': 32.0}
    """
    return {name: _number(name, text, option) for name, text in pairs(given, option).items()}


_EXAMPLE = {"--units": "TIME=h", "--set": "CL=2.8"}


def _number(name: str, text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise PkpdError(f"{option} {name}={text}: '{text}' is not a number. Write it in the model's unit, as in {option} {name}=2.8.")
    return value
