"""Why a decision holds: the rule that fired, or why none did.

A rule that fires rests on all its literals and on one failing literal of each exception; a
rule that does not fire rests on one failing literal or one holding exception (all of them
on request).  A later rule of the list also rests on the earlier ones not firing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whyproof.asp.rules import Body, Rule, Value
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds.world import State, World

from .reason import Reason, ReasonKind, literal_reason
from .words import and_list, body_words

__all__ = ["body_reasons", "rule_label", "sentence", "why_decision"]


def why_decision(
    world: World, values: Mapping[str, object], *, every_failure: bool = False
) -> Reason:
    """Justify the decision of the rules about a state.

    Parameters
    ----------
    world
        With decision rules.
    values
        A complete state.
    every_failure
        Whether to list all failing literals of a rule instead of the first.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('''
    ... [features.balance]
    ... type = "integers"
    ... unit = "EUR"
    ... ''').with_decisions(read_rules("label = reject :- balance < 60000."))
    >>> print(why_decision(world, {"balance": 40000}))
    - label is reject
      - rule 1 fires (label = reject if balance < 60000)
        - balance is 40000 EUR, which is below 60000
    >>> print(why_decision(world, {"balance": 70000}))
    - label is undecided, because no rule fires
      - rule 1 does not fire (label = reject if balance < 60000)
        - balance is 70000 EUR, which is not below 60000
    """
    state = world.state(values)
    rules = world.rules()
    failed: list[Reason] = []
    for number, rule in enumerate(rules.rules, start=1):
        if rule.body.accepts(dict(state)):
            fired = _fired(world, rule, number, state)
            label = rule.head.values[0]
            # an earlier rule with the same label would not have changed anything
            earlier = [
                reason
                for reason, other in zip(failed, rules.rules, strict=False)
                if text_of(other.head.values[0]) != text_of(label)
            ]
            return _root(world, label, (fired, *earlier), "")
        failed.append(_not_fired(world, rule, number, state, every_failure))
    why = ", because no rule fires"
    return _root(world, rules.default, tuple(failed), why)


def _root(world: World, label: Value, children: tuple[Reason, ...], why: str) -> Reason:
    target = world.rules().target
    shown = text_of(label) or "undecided"
    reached = world.goal.is_reached(label)
    data: dict[str, object] = {"target": target, "label": label}
    if not world.goal.is_open:
        data["goal"] = reached
    return Reason(ReasonKind.DECISION, f"{target} is {shown}{why}", True, children, data)


def _fired(world: World, rule: Rule, number: int, state: State) -> Reason:
    return Reason(
        ReasonKind.RULE,
        f"{rule_label(rule, number)} fires ({rule})",
        True,
        body_reasons(world, rule.body, state),
        _data(rule, number),
    )


def _not_fired(world: World, rule: Rule, number: int, state: State, every: bool) -> Reason:
    return Reason(
        ReasonKind.RULE,
        f"{rule_label(rule, number)} does not fire ({rule})",
        False,
        body_reasons(world, rule.body, state, every=every),
        _data(rule, number),
    )


def body_reasons(
    world: World, body: Body, state: State, *, every: bool = False
) -> tuple[Reason, ...]:
    """Return why a body holds (all its parts), or why not (one part, or every failing one)."""
    values = dict(state)
    if body.accepts(values):
        literals = [literal_reason(world, t, state[t.feature]) for t in body.literals]
        return (*literals, *(_exception(world, e, state, every) for e in body.exceptions))
    failures = [
        literal_reason(world, t, state[t.feature])
        for t in body.literals
        if not t.accepts(state[t.feature])
    ]
    failures += [_exception(world, e, state, every) for e in body.exceptions if e.accepts(values)]
    return tuple(failures if every else failures[:1])


def _exception(world: World, body: Body, state: State, every: bool) -> Reason:
    holds = body.accepts(dict(state))
    text = f"the exception {'applies' if holds else 'does not apply'} ({body_words(body)})"
    children = body_reasons(world, body, state, every=every)
    return Reason(ReasonKind.EXCEPTION, text, holds, children)


def rule_label(rule: Rule, number: int) -> str:
    """Return how a rule is called: its name, or its number."""
    return f"rule {rule.name!r}" if rule.name else f"rule {number}"


def _data(rule: Rule, number: int) -> dict[str, object]:
    data: dict[str, object] = {"rule": number, "text": str(rule)}
    if rule.name:
        data["name"] = rule.name
    if rule.position is not None:
        data["place"] = str(rule.position)
    if rule.support is not None:
        lower, upper = rule.support.interval()
        data["confidence"] = [rule.support.confidence, lower, upper]
    return data


def sentence(reason: Reason) -> str:
    """Write a justified decision as one plain sentence, every comparison included.

    Examples
    --------
    >>> leaf = Reason(ReasonKind.LITERAL, "age is 15, which is below 18")
    >>> root = Reason(ReasonKind.DECISION, "label is no", True, (leaf,))
    >>> sentence(root)
    'Label is no: age is 15, which is below 18.'
    """
    text = reason.text[0].upper() + reason.text[1:]
    clauses = _clauses(reason.children)
    return f"{text}: {and_list(clauses)}." if clauses else f"{text}."


def _clauses(reasons: Sequence[Reason]) -> list[str]:
    """Return the comparisons below some reasons, each once, in order."""
    found = [leaf.text for reason in reasons for leaf in reason.literals()]
    return list(dict.fromkeys(found))
