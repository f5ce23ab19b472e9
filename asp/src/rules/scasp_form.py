"""Rules as a goal-directed program for s(CASP), with sentences for its justifications.

s(CASP) compares with ``#=<`` over the rationals and has no negated conjunctions, so a
negated comparison becomes an exception predicate.  Rows are facts, one predicate per
feature; the query names a row.  The ``#pred`` lines say in English what s(CASP)'s trees
then print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .exceptions import ExceptionNames, inlined
from .literal import Literal, Operator
from .rule import Body, RuleSet
from .spelling import number, quoted, unique_names
from .table import Table
from .values import number_of, text_of

__all__ = ["to_scasp"]

_OPERATORS = {Operator.LT: "#<", Operator.LE: "#=<", Operator.GT: "#>", Operator.GE: "#>="}


def to_scasp(
    rules: RuleSet,
    table: Table | None = None,
    violations: Sequence[tuple[str, Body]] = (),
) -> str:
    """Write a rule set for s(CASP).

    Parameters
    ----------
    rules
        What decides.
    table
        Rows to write as facts ``feature(row, value)``, numbered from 0.
    violations
        What no row may be like, by name: ``violated(X,'name')`` holds for a row that is.

    Examples
    --------
    >>> from .read import read_rules
    >>> print(to_scasp(read_rules("label = p :- odor = n, not cap =< 3.")), end="")
    #pred label(X,V) :: '@(X) has label @(V)'.
    #pred odor(X,V) :: 'odor of @(X) is @(V)'.
    #pred cap(X,V) :: 'cap of @(X) is @(V)'.
    label(X,'p') :- odor(X,'n'), not ab1(X).
    ab1(X) :- cap(X,N1), N1 #=< 3.
    """
    reserved = {"violated", *(f"rule{k + 1}" for k in range(len(rules.rules)))}
    tested = (literal.feature for _, body in violations for literal in body.all_literals())
    features = list(dict.fromkeys([*rules.features, *tested]))
    names = unique_names([rules.target, *features], reserved)
    return _Writer(rules, features, names).text(table, violations)


class _Writer:
    def __init__(self, rules: RuleSet, features: list[str], names: dict[str, str]) -> None:
        self._rules = rules
        self._features = features
        self._names = names
        self._exceptions = ExceptionNames(set(names.values()))

    def text(self, table: Table | None, violations: Sequence[tuple[str, Body]]) -> str:
        rules, target = self._rules.rules, self._names[self._rules.target]
        lines = self._templates(violations=bool(violations))
        heads = [quoted(text_of(rule.head.values[0])) for rule in rules]
        if len(set(heads)) == 1:
            lines += [
                f"{target}(X,{heads[0]}) :- {self._body(inlined(rule.body))}." for rule in rules
            ]
            if self._rules.default is not None:
                default = quoted(text_of(self._rules.default))
                lines.append(f"{target}(X,{default}) :- not {target}(X,{heads[0]}).")
        else:
            for k, head in enumerate(heads):
                earlier = [f"not rule{j + 1}(X)" for j in range(k)]
                lines.append(f"{target}(X,{head}) :- {', '.join([f'rule{k + 1}(X)', *earlier])}.")
            if self._rules.default is not None:
                none = ", ".join(f"not rule{k + 1}(X)" for k in range(len(rules)))
                default = quoted(text_of(self._rules.default))
                lines.append(f"{target}(X,{default}){' :- ' * bool(none)}{none}.")
            lines += [
                f"rule{k + 1}(X) :- {self._body(inlined(rule.body))}."
                for k, rule in enumerate(rules)
            ]
        lines += [
            f"violated(X,{quoted(name)}) :- {self._body(inlined(body))}."
            for name, body in violations
        ]
        while (entry := self._exceptions.take()) is not None:
            lines.append(f"{entry[0]}(X) :- {self._body(entry[1])}.")
        if table is not None:
            lines += self._facts(table)
        return "".join(line + "\n" for line in lines)

    def _templates(self, *, violations: bool) -> list[str]:
        target = self._rules.target
        lines = ["#pred violated(X,V) :: '@(X) violates @(V)'."] if violations else []
        lines += [f"#pred {self._names[target]}(X,V) :: '@(X) has {_plain(target)} @(V)'."]
        for feature in self._features:
            lines.append(
                f"#pred {self._names[feature]}(X,V) :: '{_plain(feature)} of @(X) is @(V)'."
            )
        return lines

    def _body(self, body: Body) -> str:
        goals = list[str]()
        variables: dict[str, str] = {}
        for literal in body.literals:
            goals.extend(self._goals(literal, variables))
        goals += [f"not {self._exceptions.name(exception)}(X)" for exception in body.exceptions]
        return ", ".join(dict.fromkeys(goals)) or "true"

    def _goals(self, literal: Literal, variables: dict[str, str]) -> list[str]:
        name = self._names[literal.feature]
        if literal.operator.is_order:
            if literal.negated:
                return [f"not {self._exceptions.of_literal(literal.complement)}(X)"]
            known = literal.feature in variables
            variable = variables.setdefault(literal.feature, f"N{len(variables) + 1}")
            threshold = literal.values[0]
            shown = number(threshold) if isinstance(threshold, (int, float)) else str(threshold)
            comparison = f"{variable} {_OPERATORS[literal.operator]} {shown}"
            return [comparison] if known else [f"{name}(X,{variable})", comparison]
        texts = [_value(value) for value in literal.values]
        if literal.operator is Operator.EQ:
            return [f"{name}(X,{texts[0]})"]
        if literal.operator is Operator.IN and len(texts) != 1:
            outside = tuple(
                Literal(literal.feature, Operator.NE, value) for value in literal.values
            )
            return [f"not {self._exceptions.name(Body(outside))}(X)"]
        if literal.operator is Operator.IN:
            return [f"{name}(X,{texts[0]})"]
        return [f"not {name}(X,{text})" for text in texts]

    def _facts(self, table: Table) -> list[str]:
        lines = list[str]()
        for feature in self._features:
            column, name = table.column(feature), self._names[feature]
            lines += [f"{name}({row},{_value(column.value(row))})." for row in range(table.n_rows)]
        return lines


def _value(value: object) -> str:
    """Return numbers as such and everything else as a quoted text."""
    found = number_of(value)
    return quoted(text_of(value)) if math.isnan(found) else text_of(value)


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("'", "").replace("@", "").split())
