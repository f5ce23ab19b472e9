"""Rules as plain JSON values and back, without loss.

The shape is checked by hand on the way in: a wrong field is named by its path, such as
``rules[2].body.literals[0].operator``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn, cast

from .literal import Literal, Operator
from .position import RuleError
from .rule import Body, Rule, RuleSet
from .support import Support
from .values import Value

__all__ = [
    "bodies_to_json",
    "heads_from_json",
    "heads_to_json",
    "literals_to_json",
    "rules_from_json",
    "rules_to_json",
]

_FORMAT = "whyproof-rules-1"
_DEEPEST = 100


def rules_to_json(rules: RuleSet) -> dict[str, object]:
    """Return a rule set as JSON-ready values.

    Examples
    --------
    >>> from .read import read_rules
    >>> rules = read_rules("label(X,'p') :- odor(X,'n').")
    >>> rules_from_json(rules_to_json(rules)) == rules
    True
    """
    return {
        "format": _FORMAT,
        "target": rules.target,
        "rules": heads_to_json(rules.rules),
        "default": rules.default,
        "default_support": _support_to_json(rules.default_support),
    }


def rules_from_json(document: object) -> RuleSet:
    """Read a rule set from JSON values or text.

    Raises
    ------
    RuleError
        If the document is not a rule set; the message names the path.
    """
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise RuleError(f"the rules are no JSON document: {error}") from None
    fields = _fields(document, "", ("format", "target", "rules"), ("default", "default_support"))
    if fields["format"] != _FORMAT:
        _refuse("format", f"{_FORMAT!r}", fields["format"])
    return RuleSet(
        _text(fields["target"], "target"),
        heads_from_json(fields["rules"]),
        _value(fields.get("default"), "default"),
        _support(fields.get("default_support"), "default_support"),
    )


def heads_to_json(rules: Iterable[Rule]) -> list[dict[str, object]]:
    """Return rules with any heads as JSON-ready values."""
    return [
        {
            "name": rule.name,
            "head": _literal_to_json(rule.head),
            "body": _body_to_json(rule.body),
            "support": _support_to_json(rule.support),
        }
        for rule in rules
    ]


def heads_from_json(document: object) -> tuple[Rule, ...]:
    """Read rules with any heads from JSON values.

    Raises
    ------
    RuleError
        If something else is found; the message names the path.
    """
    rules = list[Rule]()
    for k, entry in enumerate(_list(document, "rules")):
        path = f"rules[{k}]"
        fields = _fields(entry, path, ("head", "body"), ("name", "support"))
        rules.append(
            Rule(
                _literal(fields["head"], f"{path}.head"),
                _body(fields["body"], f"{path}.body", 0),
                _support(fields.get("support"), f"{path}.support"),
                _text(fields.get("name", ""), f"{path}.name"),
            )
        )
    return tuple(rules)


def literals_to_json(literals: Iterable[Literal]) -> list[dict[str, object]]:
    """Return literals as JSON-ready values."""
    return [_literal_to_json(literal) for literal in literals]


def bodies_to_json(bodies: Iterable[Body]) -> list[dict[str, object]]:
    """Return bodies as JSON-ready values."""
    return [_body_to_json(body) for body in bodies]


def _literal_to_json(literal: Literal) -> dict[str, object]:
    value = list(literal.value) if isinstance(literal.value, tuple) else literal.value
    found: dict[str, object] = {
        "feature": literal.feature,
        "operator": literal.operator.value,
        "value": value,
    }
    return {**found, "negated": True} if literal.negated else found


def _body_to_json(body: Body) -> dict[str, object]:
    return {
        "literals": literals_to_json(body.literals),
        "exceptions": bodies_to_json(body.exceptions),
    }


def _support_to_json(support: Support | None) -> dict[str, object] | None:
    if support is None:
        return None
    lower, upper = support.interval()
    return {
        "correct": support.correct,
        "covered": support.covered,
        "confidence": support.confidence,
        "interval": [lower, upper],
    }


def _literal(document: object, path: str) -> Literal:
    fields = _fields(document, path, ("feature", "operator", "value"), ("negated",))
    name = _text(fields["operator"], f"{path}.operator")
    known = [operator.value for operator in Operator]
    if name not in known:
        _refuse(f"{path}.operator", f"one of {', '.join(known)}", name)
    operator = Operator(name)
    given = fields["value"]
    value: Value | tuple[Value, ...]
    if operator.is_set:
        members = _list(given, f"{path}.value")
        value = tuple(_value(v, f"{path}.value[{k}]") for k, v in enumerate(members))
    else:
        value = _value(given, f"{path}.value")
    negated = fields.get("negated", False)
    if not isinstance(negated, bool):
        _refuse(f"{path}.negated", "true or false", negated)
    try:
        return Literal(_text(fields["feature"], f"{path}.feature"), operator, value, negated)
    except RuleError as error:
        raise RuleError(f"{path}: {error}") from None


def _body(document: object, path: str, depth: int) -> Body:
    if depth > _DEEPEST:
        raise RuleError(f"{path}: exceptions are nested deeper than {_DEEPEST}")
    fields = _fields(document, path, ("literals",), ("exceptions",))
    return Body(
        tuple(
            _literal(entry, f"{path}.literals[{k}]")
            for k, entry in enumerate(_list(fields["literals"], f"{path}.literals"))
        ),
        tuple(
            _body(entry, f"{path}.exceptions[{k}]", depth + 1)
            for k, entry in enumerate(_list(fields.get("exceptions", []), f"{path}.exceptions"))
        ),
    )


def _support(document: object, path: str) -> Support | None:
    if document is None:
        return None
    fields = _fields(document, path, ("correct", "covered"), ("confidence", "interval"))
    counts = list[float]()
    for key in ("correct", "covered"):
        count = fields[key]
        if isinstance(count, bool) or not isinstance(count, (int, float)):
            _refuse(f"{path}.{key}", "a number", count)
        counts.append(count)
    return Support(*counts)


def _fields(
    document: object, path: str, needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(document, dict):
        _refuse(path or "document", "an object", document)
    fields = cast("dict[str, Any]", document)
    missing = [key for key in needed if key not in fields]
    if missing:
        raise RuleError(f"{path or 'the document'} has no field {missing[0]!r}")
    unknown = [key for key in fields if key not in needed + optional]
    if unknown:
        raise RuleError(
            f"{path or 'the document'} has a field {unknown[0]!r}; known are "
            f"{', '.join(needed + optional)}"
        )
    return fields


def _list(document: object, path: str) -> list[object]:
    if not isinstance(document, list):
        _refuse(path, "a list", document)
    return cast("list[object]", document)


def _text(document: object, path: str) -> str:
    if not isinstance(document, str):
        _refuse(path, "a string", document)
    return document


def _value(document: object, path: str) -> Value:
    if document is None or isinstance(document, (str, bool, int)):
        return document
    if isinstance(document, float) and math.isfinite(document):
        return document
    _refuse(path, "a string, a finite number, true, false or null", document)


def _refuse(path: str, expected: str, found: object) -> NoReturn:
    shown = type(found).__name__ if isinstance(found, (dict, list)) else repr(found)
    raise RuleError(f"{path}: found {shown}; expected {expected}")
