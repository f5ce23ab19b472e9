"""Statements of a world file: causal rules, case tables, denials, preconditions, effects."""

from __future__ import annotations

from collections.abc import Sequence

from whyproof.asp.rules import Body, Literal, Position, RuleError
from whyproof.engine.names import did_you_mean

from .causal import CausalRule, Denial, Effect, Precondition
from .entries import Entry
from .text import parse_bodies, parse_literals

__all__ = ["causal_of", "denials_of", "effects_of", "preconditions_of"]


def causal_of(entry: Entry, features: Sequence[str]) -> tuple[CausalRule, ...]:
    """Return the rules of ``[[causal]]`` and the cases of ``[[tables]]``."""
    rules: list[CausalRule] = []
    for item in entry.tables("causal"):
        item.keys(("if", "then", "iff", "otherwise", "name"))
        then = _heads(item, "then", features)
        otherwise = _sought(item, "otherwise", then[0].feature)
        rules.append(
            CausalRule(
                then,
                _bodies(item, "if", features),
                item.flag("iff"),
                otherwise,
                item.text("name"),
                item.position("then"),
            )
        )
    for item in entry.tables("tables"):
        rules += _cases(item, features)
    return tuple(rules)


def _cases(entry: Entry, features: Sequence[str]) -> list[CausalRule]:
    """Return a rule per case, and one for where no case applies."""
    entry.keys(("feature", "cases", "otherwise", "name"))
    feature = _feature(entry, "feature", features)
    name = entry.text("name")
    rules: list[CausalRule] = []
    conditions: list[Body] = []
    for case in entry.tables("cases"):
        case.keys(("if", "then"))
        where = entry.position("cases")
        bodies = _bodies(case, "if", features, where)
        conditions += bodies
        heads = _sought(case, "then", feature, where)
        rules.append(CausalRule(heads, bodies, name=name, position=where))
    otherwise = _sought(entry, "otherwise", feature)
    if otherwise:
        rules.append(
            CausalRule(
                otherwise,
                (Body((), tuple(conditions)),),
                name=name,
                position=entry.position("otherwise"),
            )
        )
    if not rules:
        raise entry.fail("a case table needs cases = [{if = ..., then = ...}, ...]")
    return rules


def denials_of(entry: Entry, features: Sequence[str]) -> tuple[Denial, ...]:
    """Return the denials of ``[[deny]]``."""
    found: list[Denial] = []
    for item in entry.tables("deny"):
        item.keys(("if", "name"))
        found.append(Denial(_bodies(item, "if", features), item.text("name"), item.position("if")))
    return tuple(found)


def preconditions_of(entry: Entry, features: Sequence[str]) -> tuple[Precondition, ...]:
    """Return the preconditions of ``[[preconditions]]``."""
    found: list[Precondition] = []
    for item in entry.tables("preconditions"):
        item.keys(("feature", "requires", "from", "to", "name"))
        feature = _feature(item, "feature", features)
        found.append(
            Precondition(
                feature,
                _bodies(item, "requires", features),
                _sought(item, "from", feature),
                _sought(item, "to", feature),
                item.text("name"),
                item.position("requires"),
            )
        )
    return tuple(found)


def effects_of(entry: Entry, features: Sequence[str]) -> tuple[Effect, ...]:
    """Return the arithmetic effects of ``[[effects]]``."""
    found: list[Effect] = []
    for item in entry.tables("effects"):
        item.keys(("action", "to", "feature", "add"))
        action = _feature(item, "action", features)
        add = item.number_of("add")
        if not add:
            raise item.fail("an effect needs add = NUMBER, not zero", "add")
        found.append(
            Effect(
                action,
                _feature(item, "feature", features),
                add,
                _sought(item, "to", action),
                item.position("action"),
            )
        )
    return tuple(found)


def _feature(entry: Entry, key: str, features: Sequence[str]) -> str:
    name = entry.required(key)
    if name not in features:
        raise entry.fail(f"no feature {name!r}{did_you_mean(name, features)}", name)
    return name


def _where(entry: Entry, key: str, given: Position | None = None) -> str:
    position = given or entry.position(key)
    return entry.source.name if position is None else f"{position.file}:{position.line}"


def _bodies(
    entry: Entry, key: str, features: Sequence[str], where: Position | None = None
) -> tuple[Body, ...]:
    text = entry.required(key)
    try:
        return parse_bodies(text, features, where=_where(entry, key, where))
    except RuleError as error:
        # the position inside the text counts from its start: only the message is kept
        raise _moved(error, entry, key, text) from None


def _sought(
    entry: Entry, key: str, feature: str, where: Position | None = None
) -> tuple[Literal, ...]:
    if key not in entry.content:
        return ()
    text = entry.required(key)
    try:
        return parse_literals(text, feature, where=_where(entry, key, where))
    except RuleError as error:
        raise _moved(error, entry, key, text) from None


def _heads(entry: Entry, key: str, features: Sequence[str]) -> tuple[Literal, ...]:
    text = entry.required(key)
    bodies = _bodies(entry, key, features)
    if len(bodies) != 1 or bodies[0].exceptions or not bodies[0].literals:
        raise entry.fail(f"{text!r} is no conclusion; write such as credit_score >= 620", key)
    return bodies[0].literals


def _moved(error: RuleError, entry: Entry, key: str, text: str) -> RuleError:
    message = str(error)
    if error.position is not None:
        message = message.removeprefix(f"{error.position}: ")
    return RuleError(f"{key} = {text!r}: {message}", entry.position(key))
