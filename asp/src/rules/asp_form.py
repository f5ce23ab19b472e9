"""Rules as an answer-set program for clingo, and rows as its facts.

The program decides every row that the facts describe: ``label(X,"p")`` is in the one
answer set exactly when the rules decide ``p`` for row ``X``.  Names go by their text in
quotes, ``odor(X,"n")``; numbers that rules compare by size go by exact integers (`scales`)
in a predicate of their own where a feature is tested in both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .exceptions import ExceptionNames, inlined
from .literal import Literal, Operator
from .rule import Body, RuleSet
from .scales import Scale, scale_for
from .spelling import quoted, unique_names
from .table import Table
from .values import number_of, text_of

__all__ = ["AspProgram", "to_asp"]

_OPERATORS = {Operator.LT: "<", Operator.LE: "<=", Operator.GT: ">", Operator.GE: ">="}


@dataclass(frozen=True)
class AspProgram:
    """A program and what is needed to give it rows.

    Parameters
    ----------
    text
        The program, without facts.
    target
        Predicate of the decisions.
    names
        Predicate for equality with a name, by feature; only features tested that way.
    sizes
        Predicate for comparison by size, by feature; only features tested that way.
    scales
        How numbers become integers, by feature of `sizes`.
    """

    text: str
    target: str
    names: dict[str, str]
    sizes: dict[str, str]
    scales: dict[str, Scale]

    def facts(self, table: Table) -> str:
        """Return the facts for the rows of a table, numbered from 0.

        Raises
        ------
        ValueError
            If a number does not fit its scale; give the table to `to_asp` as well.
        """
        lines = [f"row(0..{table.n_rows - 1})."] if table.n_rows else []
        for feature, predicate in self.names.items():
            column = table.column(feature)
            lines.extend(
                f"{predicate}({row},{quoted(column.texts[code], chr(34))})."
                for row, code in enumerate(column.codes.tolist())
            )
        for feature, predicate in self.sizes.items():
            scale, numbers = self.scales[feature], table.column(feature).numbers
            lines.extend(
                f"{predicate}({row},{scale.integer(number)})."
                for row, number in enumerate(numbers.tolist())
                if not np.isnan(number)
            )
        return "".join(line + "\n" for line in lines)


def to_asp(
    rules: RuleSet,
    table: Table | None = None,
    violations: Sequence[tuple[str, Body]] = (),
) -> AspProgram:
    """Write a rule set for clingo.

    Parameters
    ----------
    rules
        What decides.
    table
        Rows that will be given as facts: their numbers have a say in the scales.
    violations
        What no row may be like, by name: ``violated(X,"name")`` holds for a row that is.

    Examples
    --------
    >>> from .read import read_rules
    >>> program = to_asp(read_rules("label = p :- odor = n, not cap =< 3, not (a = b, c = d)."))
    >>> print(program.text, end="")
    label(X,"p") :- rule1(X).
    rule1(X) :- row(X), odor(X,"n"), not ab1(X), not ab2(X).
    ab1(X) :- row(X), cap(X,N1), N1 <= 3.
    ab2(X) :- row(X), a(X,"b"), c(X,"d").
    #show label/2.
    """
    bodies = [*(rule.body for rule in rules.rules), *(body for _, body in violations)]
    literals = [literal for body in bodies for literal in inlined(body).all_literals()]
    ordered = list(dict.fromkeys(test.feature for test in literals if test.operator.is_order))
    named = list(dict.fromkeys(test.feature for test in literals if not test.operator.is_order))
    reserved = {"row", "violated", *(f"rule{k + 1}" for k in range(len(rules.rules)))}
    target = unique_names([rules.target], reserved)[rules.target]
    taken = {*reserved, target}
    names = unique_names(named, taken)
    sizes = unique_names(
        [f"{f} number" if f in names else f for f in ordered], {*taken, *names.values()}
    )
    by_feature = {f: sizes[f"{f} number" if f in names else f] for f in ordered}
    scales = {
        feature: scale_for(
            (
                number_of(test.value)
                for test in literals
                if test.feature == feature and test.operator.is_order
            ),
            () if table is None else _finite(table.column(feature).numbers),
        )
        for feature in ordered
    }
    program = AspProgram("", target, names, by_feature, scales)
    writer = _Writer(program)
    return AspProgram(writer.text(rules, violations), target, names, by_feature, scales)


class _Writer:
    def __init__(self, program: AspProgram) -> None:
        self._program = program
        taken = {program.target, *program.names.values(), *program.sizes.values()}
        self._exceptions = ExceptionNames(taken)

    def text(self, rules: RuleSet, violations: Sequence[tuple[str, Body]]) -> str:
        lines = list(self._legend())
        target = self._program.target
        for k, rule in enumerate(rules.rules):
            earlier = [
                f"not rule{j + 1}(X)"
                for j, other in enumerate(rules.rules[:k])
                if other.head != rule.head
            ]
            label = quoted(text_of(rule.head.values[0]), '"')
            lines.append(f"{target}(X,{label}) :- {', '.join([f'rule{k + 1}(X)', *earlier])}.")
        if rules.default is not None:
            none = [f"not rule{k + 1}(X)" for k in range(len(rules.rules))]
            label = quoted(text_of(rules.default), '"')
            lines.append(f"{target}(X,{label}) :- {', '.join(['row(X)', *none])}.")
        for k, rule in enumerate(rules.rules):
            lines.append(self._clause(f"rule{k + 1}(X)", inlined(rule.body)))
        for name, body in violations:
            lines.append(self._clause(f"violated(X,{quoted(name, chr(34))})", inlined(body)))
        while (entry := self._exceptions.take()) is not None:
            lines.append(self._clause(f"{entry[0]}(X)", entry[1]))
        lines.append(f"#show {target}/2.")
        if violations:
            lines.append("#show violated/2.")
        return "".join(line + "\n" for line in lines)

    def _legend(self) -> Iterable[str]:
        program = self._program
        for predicates in (program.names, program.sizes):
            for feature, predicate in predicates.items():
                meaning = program.scales[feature].describe() if predicates is program.sizes else ""
                if predicate != feature or meaning:
                    shown = " ".join(feature.split())
                    yield f"% {predicate}(X,V): {shown}{', ' * bool(meaning)}{meaning}"

    def _clause(self, head: str, body: Body) -> str:
        goals = ["row(X)"]
        variables: dict[str, str] = {}
        for literal in body.literals:
            goals.extend(self._goals(literal, variables))
        goals += [f"not {self._exceptions.name(exception)}(X)" for exception in body.exceptions]
        return f"{head} :- {', '.join(dict.fromkeys(goals))}."

    def _goals(self, literal: Literal, variables: dict[str, str]) -> list[str]:
        if literal.operator.is_order:
            if literal.negated:
                return [f"not {self._exceptions.of_literal(literal.complement)}(X)"]
            known = literal.feature in variables
            variable = variables.setdefault(literal.feature, f"N{len(variables) + 1}")
            threshold = self._program.scales[literal.feature].integer(number_of(literal.value))
            comparison = f"{variable} {_OPERATORS[literal.operator]} {threshold}"
            predicate = self._program.sizes[literal.feature]
            return [comparison] if known else [f"{predicate}(X,{variable})", comparison]
        predicate = self._program.names[literal.feature]
        texts = [quoted(text_of(value), '"') for value in literal.values]
        if literal.operator is Operator.EQ:
            return [f"{predicate}(X,{texts[0]})"]
        if literal.operator is Operator.IN:
            if not texts:
                return ["#false"]
            return [f"{predicate}(X,({';'.join(texts)}))"]
        return [f"not {predicate}(X,{text})" for text in texts]


def _finite(numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    found: list[float] = np.unique(numbers[np.isfinite(numbers)]).tolist()
    return found
