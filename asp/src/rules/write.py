"""Rules into text: the published FOLD dialect, or rules by feature name.

Both are read back by `read_rules` and `read_heads` to rules that say the same.  What the
rules were right on goes along as annotations, which other tools take for comments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal as Choice

from .exceptions import ExceptionNames, inlined
from .literal import Literal, Operator
from .position import RuleError
from .rule import Body, Rule, RuleSet
from .spelling import constant, functor, number
from .support import Support
from .values import Value, text_of

__all__ = ["Dialect", "write_heads", "write_rules"]

Dialect = Choice["fold", "names"]
"""``label(X,'p') :- odor(X,'n').`` or ``label = p :- odor = n.``"""


def write_rules(rules: RuleSet, dialect: Dialect = "fold") -> str:
    """Write decision rules.

    Parameters
    ----------
    rules
        Rules for one target.  Rules for several labels are written as FOLD-RM does, with
        a predicate per rule and the order in the conditions.
    dialect
        ``"fold"`` or ``"names"``.

    Examples
    --------
    >>> from .read import read_rules
    >>> print(write_rules(read_rules("label = p :- odor != n, not (cap =< 3.0, age > 2).")), end="")
    label(X,'p') :- not odor(X,'n'), not ab1(X,'True').
    ab1(X,'True') :- cap(X,N1), N1=<3.0, age(X,N2), N2>2.
    """
    writer = _Writer(dialect, rules.target, rules.features)
    heads = {text_of(rule.head.values[0]) for rule in rules.rules}
    if len(heads) == 1:
        for rule in rules.rules:
            writer.rule(writer.head(rule.head), rule.body, rule.support, rule.name)
        if rules.default is not None and not (heads == {"true"} and rules.default is False):
            otherwise = f"not {writer.head(rules.rules[0].head)}"
            writer.clause(writer.decision(rules.default), [otherwise], rules.default_support, "")
    else:
        writer.ranked(rules)
    return writer.text()


def write_heads(rules: Iterable[Rule], dialect: Dialect = "names") -> str:
    """Write rules with any heads, such as causal rules.

    Parameters
    ----------
    rules
        In this order.
    dialect
        ``"names"``, or ``"fold"`` for heads with = only.

    Raises
    ------
    RuleError
        If the dialect cannot say a head.

    Examples
    --------
    >>> from .read import read_heads
    >>> print(write_heads(read_heads("credit_score(X,N) :- debt(X,0), N >= 620.")), end="")
    credit_score >= 620 :- debt = 0.
    """
    listed = list(rules)
    names = [name for rule in listed for name in (rule.head.feature, *rule.features)]
    writer = _Writer(dialect, "", names)
    for rule in listed:
        writer.rule(writer.head(rule.head), rule.body, rule.support, rule.name)
    return writer.text()


class _Writer:
    def __init__(self, dialect: Dialect, target: str, features: Iterable[str]) -> None:
        if dialect not in ("fold", "names"):
            raise RuleError(f"no dialect {dialect!r}; known are 'fold' and 'names'")
        self._fold = dialect == "fold"
        self._target = target
        self._names = {*features, target}
        self._exceptions = ExceptionNames(self._names)
        self._lines: list[str] = []

    def text(self) -> str:
        while (entry := self._exceptions.take()) is not None:
            name, body = entry
            self.rule(f"{name}(X,'True')" if self._fold else name, body, None, "")
        return "".join(line + "\n" for line in self._lines)

    def head(self, literal: Literal) -> str:
        """Write a head; a truth value as ``rejected(X)`` alone in the FOLD dialect."""
        if not self._fold:
            return self._by_name(literal)
        if literal.operator is not Operator.EQ:
            raise RuleError(
                f"the FOLD dialect has no head {literal}; write rules by name", literal.position
            )
        return self.decision(literal.values[0], literal.feature)

    def decision(self, value: Value, feature: str | None = None) -> str:
        name = functor(self._target if feature is None else feature)
        if not self._fold:
            return f"{name} = {constant(value, bare=True)}"
        return f"{name}(X)" if value is True else f"{name}(X,{constant(value)})"

    def ranked(self, rules: RuleSet) -> None:
        """Write an ordered list as FOLD-RM does."""
        predicates = list[str]()
        number_ = 0
        for _ in rules.rules:
            number_ += 1
            while f"rule{number_}" in self._names:
                number_ += 1
            predicates.append(f"rule{number_}(X)" if self._fold else f"rule{number_}")
        for k, rule in enumerate(rules.rules):
            earlier = [f"not {predicate}" for predicate in predicates[:k]]
            self.clause(
                self.decision(rule.head.values[0]),
                [predicates[k], *earlier],
                rule.support,
                rule.name,
            )
        if rules.default is not None:
            earlier = [f"not {predicate}" for predicate in predicates]
            self.clause(self.decision(rules.default), earlier, rules.default_support, "")
        for predicate, rule in zip(predicates, rules.rules, strict=True):
            self.rule(predicate, rule.body, None, "")

    def rule(self, head: str, body: Body, support: Support | None, name: str) -> None:
        self.clause(head, self._goals(inlined(body)), support, name)

    def clause(self, head: str, goals: list[str], support: Support | None, name: str) -> None:
        if name:
            self._lines.append(f"%@ name {' '.join(name.split())}")
        if support is not None:
            self._lines.append(_annotation(support))
        self._lines.append(f"{head} :- {', '.join(goals)}." if goals else f"{head}.")

    def _goals(self, body: Body) -> list[str]:
        goals = list[str]()
        variables: dict[str, str] = {}
        for literal in body.literals:
            goals.extend(
                self._as_goals(literal, variables) if self._fold else [self._by_name(literal)]
            )
        for exception in body.exceptions:
            name = self._exceptions.name(exception)
            goals.append(f"not {name}(X,'True')" if self._fold else f"not {name}")
        return list(dict.fromkeys(goals))

    def _by_name(self, literal: Literal) -> str:
        operator = "=<" if literal.operator is Operator.LE else literal.operator.value
        if isinstance(literal.value, tuple):
            shown = "{" + ", ".join(constant(v, bare=True) for v in literal.value) + "}"
        else:
            shown = constant(literal.value, bare=True)
        text = f"{functor(literal.feature)} {operator} {shown}"
        return f"not {text}" if literal.negated else text

    def _as_goals(self, literal: Literal, variables: dict[str, str]) -> list[str]:
        name = functor(literal.feature)
        match literal.operator:
            case Operator.EQ:
                return [f"{name}(X,{constant(literal.values[0])})"]
            case Operator.NE | Operator.NOT_IN:
                return [f"not {name}(X,{constant(value)})" for value in literal.values]
            case Operator.IN:
                # the dialect has no sets: a member is what is not outside
                outside = tuple(
                    Literal(literal.feature, Operator.NE, value) for value in literal.values
                )
                if len(outside) == 1:
                    return [f"{name}(X,{constant(literal.values[0])})"]
                return [f"not {self._exceptions.name(Body(outside))}(X,'True')"]
            case _:
                pass
        operator = "=<" if literal.operator is Operator.LE else literal.operator.value
        threshold = literal.values[0]
        shown = number(threshold) if isinstance(threshold, (int, float)) else str(threshold)
        variable = variables.get(literal.feature)
        if literal.negated or variable is None:
            fresh = f"N{len(variables) + 1}"
            if literal.negated:
                variables[f"not {len(variables)}"] = fresh
                return [f"not({name}(X,{fresh}), {fresh}{operator}{shown})"]
            variable = variables[literal.feature] = fresh
            return [f"{name}(X,{variable})", f"{variable}{operator}{shown}"]
        return [f"{variable}{operator}{shown}"]


def _annotation(support: Support) -> str:
    return f"%@ support {_count(support.correct)} of {_count(support.covered)}"


def _count(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
