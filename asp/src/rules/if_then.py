"""Rules as sentences: ``IF odor = foul AND cap <= 3 THEN class = p``, as rule learners print.

One rule a line, as CN2 prints its lists and IMLI its sets::

    # comments, and blank lines
    IF petal length <= 1.9 THEN iris = setosa
    ELSE IF petal width > 1.7 AND petal length > 4.8 THEN iris = virginica
    ELSE iris = versicolor

``ELSE`` before ``IF`` is optional.  A default is ``ELSE target = value`` or
``IF TRUE THEN target = value``.  Feature names may hold spaces; values may be quoted, and
then are names, never numbers.  ``WEIGHT 0.7`` at the end of a rule is its vote in a set.
"""

from __future__ import annotations

import re

from .literal import Literal, Operator
from .position import Position, RuleError
from .rule import Body, Rule, RuleSet
from .values import Value

__all__ = ["looks_like_sentences", "read_sentences"]

_LINE = re.compile(
    r"\s*(?:else\s+)?if\s+(?P<body>.+?)\s+then\s+(?P<head>.+?)(?:\s+weight\s+(?P<weight>\S+))?\s*\Z",
    re.IGNORECASE,
)
_DEFAULT = re.compile(r"\s*(?:else|default)\s+(?P<head>.+?)\s*\Z", re.IGNORECASE)
_TEST = re.compile(
    r"\s*(?P<feature>.+?)\s*(?P<operator><=|>=|!=|==|=<|=|<|>|\bnot in\b|\bin\b)"
    r"\s*(?P<value>.+?)\s*\Z",
    re.IGNORECASE,
)
_OPERATORS = {"==": "=", "=<": "<="}
_ALWAYS = ("true", "always")


def looks_like_sentences(text: str) -> bool:
    r"""Tell whether a text's first line that is no comment is such a rule.

    Examples
    --------
    >>> looks_like_sentences("# a list\nIF a = 1 THEN y = 2"), looks_like_sentences("y :- a.")
    (True, False)
    """
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return _LINE.match(line) is not None
    return False


def read_sentences(text: str, *, file: str = "<text>") -> tuple[RuleSet, list[float] | None]:
    r"""Read rules that are written as sentences.

    Returns
    -------
    rules, weights
        Weights are `None` where no rule has one, else 1 for those without.

    Raises
    ------
    RuleError
        With file, line and column of what is wrong.

    Examples
    --------
    >>> rules, _ = read_sentences("IF odor == f AND cap<=3 THEN class=p\nELSE class=e")
    >>> str(rules.rules[0]), rules.default
    ('class = p if odor = f and cap <= 3', 'e')
    """
    rules: list[Rule] = []
    weights: list[float | None] = []
    target, default = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        here = Position(file, number, 1)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if default is not None:
            raise RuleError("nothing may follow the default; it is the last line", here)
        found = _LINE.match(line)
        last = None if found else _DEFAULT.match(line)
        if found is None and last is None:
            raise RuleError("expected IF ... THEN target = value, or ELSE target = value", here)
        head = _test((found or last)["head"], here)  # type: ignore[index]
        if head.operator is not Operator.EQ:
            raise RuleError(f"a rule concludes target = value, found {head}", here)
        if target and head.feature != target:
            raise RuleError(f"the rules decide {target!r}, this one {head.feature!r}", here)
        target = head.feature
        if found is None or found["body"].strip().lower() in _ALWAYS:
            default = head.values[0]
            continue
        parts = re.split(r"\s+(?:and|&)\s+", found["body"], flags=re.IGNORECASE)
        body = Body(tuple(_test(part, here) for part in parts))
        rules.append(Rule(head, body, position=here))
        weights.append(_weight(found["weight"], here))
    if not target:
        raise RuleError(f"{file} holds no rules")
    given = (
        [1.0 if w is None else w for w in weights] if any(w is not None for w in weights) else None
    )
    return RuleSet(target, tuple(rules), default), given


def _test(text: str, here: Position) -> Literal:
    found = _TEST.match(text)
    if found is None:
        raise RuleError(f"{text.strip()!r} is no test; write feature <= value", here)
    name = found["operator"].lower()
    operator = Operator(_OPERATORS.get(name, name))
    value: Value | tuple[Value, ...] = _value(found["value"])
    if operator.is_set:
        members = found["value"].strip().removeprefix("{").removesuffix("}")
        value = tuple(_value(part) for part in members.split(","))
    return Literal(_unquoted(found["feature"])[0], operator, value, position=here)


def _value(text: str) -> Value:
    plain, quoted = _unquoted(text)
    if quoted:
        return plain
    try:
        number = float(plain)
    except ValueError:
        return None if plain.lower() == "missing" else plain
    return int(number) if number == int(number) and "e" not in plain.lower() else number


def _unquoted(text: str) -> tuple[str, bool]:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1], True
    return text, False


def _weight(text: str | None, here: Position) -> float | None:
    if text is None:
        return None
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise RuleError(f"the weight {text!r} is no positive number", here)
    return weight
