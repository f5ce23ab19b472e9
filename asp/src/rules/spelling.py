"""How names and numbers are spelled so that they are read back unchanged."""

from __future__ import annotations

import re

from .values import Value, is_missing, text_of

__all__ = ["constant", "functor", "number", "plain_atom", "quoted", "unique_names"]

_ATOM = re.compile(r"[a-z][A-Za-z0-9_]*\Z")
_RESERVED = frozenset({"not", "in", "is", "true", "false", "missing", "fail", "otherwise"})


def plain_atom(name: str) -> bool:
    """Tell whether a name needs no quotes.

    Examples
    --------
    >>> plain_atom("credit_score"), plain_atom("Age"), plain_atom("not")
    (True, False, False)
    """
    return _ATOM.match(name) is not None and name not in _RESERVED


def quoted(text: str, mark: str = "'") -> str:
    """Return a quoted name, or with ``mark='"'`` a string."""
    escaped = text.replace("\\", "\\\\").replace(mark, "\\" + mark)
    return mark + escaped.replace("\n", "\\n").replace("\t", "\\t") + mark


def functor(name: str) -> str:
    """Return a name as it stands before ``(`` or on the left of a comparison."""
    return name if plain_atom(name) else quoted(name)


def number(value: int | float) -> str:
    """Return a finite number in digits, with a point where it is no integer by type.

    Examples
    --------
    >>> number(3), number(3.0), number(1e-7), number(-2.5)
    ('3', '3.0', '1.0e-07', '-2.5')
    """
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    return (
        f"{mantissa if '.' in mantissa else mantissa + '.0'}{exponent}{power}"
        if (exponent)
        else text
    )


def constant(value: Value, *, bare: bool = False) -> str:
    """Return a value as it stands in rules.

    Parameters
    ----------
    value
        Name, number, truth value or the missing value.
    bare
        Whether names that need no quotes go without, and the missing value is
        ``missing`` instead of ``''``.
    """
    if is_missing(value):
        return "missing" if bare else "''"
    if isinstance(value, bool):
        return text_of(value)
    if isinstance(value, (int, float)):
        return number(value)
    name = str(value)
    return name if bare and plain_atom(name) else quoted(name)


def unique_names(names: list[str], taken: set[str]) -> dict[str, str]:
    """Map names to predicates that every ASP system accepts, no two alike.

    Examples
    --------
    >>> unique_names(["Capital gain", "capital-gain"], set())
    {'Capital gain': 'capital_gain', 'capital-gain': 'capital_gain_2'}
    """
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        base = re.sub(r"[^a-z0-9_]", "_", name.lower())
        base = base if _ATOM.match(base) and base not in _RESERVED else "f_" + base
        candidate, number_ = base, 2
        while candidate in used:
            candidate, number_ = f"{base}_{number_}", number_ + 1
        used.add(candidate)
        found[name] = candidate
    return found
