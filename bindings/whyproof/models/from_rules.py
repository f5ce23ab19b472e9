"""Rules as models: decision lists, decision sets, default rules with exceptions.

What runs are the rules themselves (`whyproof.asp.rules`); what is reasoned about is their
circuit.  Rules know names, not columns: with a table, its columns are the inputs and its
words, besides those that rules mention, the values that a column may take.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules import RuleSet, read_rules
from whyproof.asp.rules.circuit_form import RuleColumn, decide, rows_of, rules_circuit
from whyproof.asp.rules.if_then import looks_like_sentences, read_sentences
from whyproof.asp.rules.json_form import rules_from_json
from whyproof.asp.rules.position import RuleError
from whyproof.asp.rules.values import Value, is_missing, number_of, text_of
from whyproof.encodings.circuits.decide import Overlap
from whyproof.engine.domain import Categories, Domain
from whyproof.engine.errors import DataError, ModelError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import Points
from whyproof.rule_tables import rule_table
from whyproof.tables import Table

from .model import Model

__all__ = [
    "OTHER",
    "RulesRuntime",
    "load_rule_set",
    "load_rules",
    "looks_like_rules",
    "rules_model",
    "with_table",
]

OTHER = "(any other)"
"""The word that stands for all that rules do not mention, where no table says more."""

_ENDINGS = (".lp", ".pl", ".rules", ".fold")


@dataclass(frozen=True, eq=False)
class RulesRuntime:
    """Rules that decide for themselves.

    Parameters
    ----------
    rules
        What runs.
    columns
        Inputs and the values of their codes.
    overlap, weights
        What decides where several rules fire.
    """

    rules: RuleSet
    columns: tuple[RuleColumn, ...]
    overlap: Overlap = "first"
    weights: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        """State what runs."""
        return "the rules themselves"

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Run the rules, shape ``(rows,)``."""
        return decide(self.rules, rows_of(points, self.columns), self.overlap, self.weights)

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the decision and 0 for other classes, shape ``(rows, classes)``."""
        n = len(self.rules.labels) + (self.rules.default is None)
        return np.eye(n)[self.predict(points)]


def rules_model(
    rules: RuleSet,
    table: Table | None = None,
    *,
    overlap: Overlap = "first",
    weights: Sequence[float] | None = None,
    categories: Collection[str] = (),
    source: str = "rules",
) -> Model:
    """Make a model of rules.

    Parameters
    ----------
    rules
        As read by `whyproof.asp.rules.read_rules`, or learnt by `FoldSE` (``rules_``).
    table
        Rows to be explained: its columns are the inputs.  Without it the inputs are the
        features that rules test.
    overlap
        ``"first"``: an ordered list, the first rule that fires decides; ``"vote"``: a
        set, each rule that fires votes for its class, ties go to the class that the rules
        name first.  The default decides where none fires.
    weights
        Votes of the rules, positive; 1 by default.
    categories
        Columns of numbers that rules know as names.
    source
        For messages.

    Raises
    ------
    DataError
        If rules test a feature that the table does not have.
    RuleError
        If weights do not fit.

    Examples
    --------
    >>> rules = read_rules("label = p :- odor = f.  label = p :- cap > 3.  label = e :- cap =< 3.")
    >>> model = rules_model(rules, Table.of({"odor": ["f", "n"], "cap": [4.0, 2.0]}))
    >>> [model.classes[k] for k in model.predict(np.array([[1.0, 4.0], [1.0, 2.0]]))]
    ['p', 'e']
    """
    if overlap not in ("first", "vote"):
        raise DataError(f"overlap is 'first' or 'vote', found {overlap!r}")
    if weights is not None and overlap == "first":
        raise RuleError("weights are votes; say overlap='vote', or leave them out")
    if table is None:
        columns = [_mentioned(rules, name) for name in rules.features] or [RuleColumn("x0")]
        shown: dict[int, tuple[object, ...]] = {i: c.values for i, c in enumerate(columns)}
    else:
        columns, shown = _columns_of(rules, table, categories)
    circuit = rules_circuit(rules, columns, overlap, weights)
    domains: Mapping[int, Domain] = {
        i: Categories(values=tuple(values)) for i, values in shown.items() if values
    }
    model = Model(
        structure=circuit,
        runtime=RulesRuntime(
            rules, tuple(columns), overlap, None if weights is None else tuple(weights)
        ),
        library="whyproof",
        names=tuple(column.name for column in columns),
        domains=domains,
        source=source,
        notes=(
            "the first rule that fires decides"
            if overlap == "first"
            else "rules that fire vote; ties go to the class that is named first",
        ),
    )
    model.verify()
    return model


def load_rules(payload: bytes, source: str, table: Table | None = None) -> Model:
    """Import a file of rules: program text, sentences, or JSON.

    In JSON two more fields may stand beside those of `rules_to_json`: ``overlap``
    (``first`` or ``vote``) and ``weights``, one for each rule.

    Raises
    ------
    ModelError
        If it is no text.
    RuleError
        With file, line and column of what is wrong.
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelError(f"{source} is not UTF-8 text; it is no file of rules") from None
    if text.lstrip().startswith("{"):
        rules, overlap, weights = _from_json(text, source)
    elif looks_like_sentences(text):
        rules, weights = read_sentences(text, file=source)
        overlap = "first" if weights is None else "vote"
    else:
        rules, overlap, weights = read_rules(text, file=source), "first", None
    return rules_model(rules, table, overlap=overlap, weights=weights, source=source)


def load_rule_set(source: object) -> Model:
    """Make a model of live rules."""
    if not isinstance(source, RuleSet):
        raise ModelError(f"a {type(source).__name__} is no set of rules")
    return rules_model(source)


def looks_like_rules(payload: bytes, name: str) -> bool:
    """Tell whether a file's content and name are those of rules."""
    if payload.lstrip().startswith(b"{"):
        return b'"whyproof-rules-1"' in payload[:4096]
    if b"\x00" in payload[:4096]:
        return False
    head = payload[:65536].decode("utf-8", "ignore")
    return name.lower().endswith(_ENDINGS) or ":-" in head or looks_like_sentences(head)


def _from_json(text: str, source: str) -> tuple[RuleSet, Overlap, list[float] | None]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source} is no JSON document: {error}") from None
    overlap, weights = document.pop("overlap", "first"), document.pop("weights", None)
    try:
        rules = rules_from_json(document)
    except RuleError as error:
        raise ModelError(f"{source}: {error}") from None
    if overlap not in ("first", "vote"):
        raise ModelError(f"{source}: overlap is first or vote, found {overlap!r}")
    if weights is not None and not (
        isinstance(weights, list)
        and len(weights) == len(rules.rules)
        and all(isinstance(w, int | float) and not isinstance(w, bool) and w > 0 for w in weights)
    ):
        raise ModelError(f"{source}: weights are positive numbers, one for each rule")
    return rules, overlap, weights


def _columns_of(
    rules: RuleSet, table: Table, categories: Collection[str]
) -> tuple[list[RuleColumn], dict[int, tuple[object, ...]]]:
    """Return the inputs, and the values of coded ones as the table shows them."""
    for name in rules.features:
        if name not in table.names:
            raise DataError(
                f"the rules test {name!r}, which {table.source} does not have"
                f"{did_you_mean(name, table.names)}"
            )
    seen = rule_table(table, categories)
    columns: list[RuleColumn] = []
    shown: dict[int, tuple[object, ...]] = {}
    for i, column in enumerate(table.columns):
        if column.numbers is not None and column.name not in categories:
            columns.append(RuleColumn(column.name))
            continue
        first: dict[object, int] = {}
        for row, cell in enumerate(column.values):
            if not is_missing(cell):
                first.setdefault(cell, row)
        values = [seen.column(column.name).value(row) for row in first.values()]
        words: list[object] = list(first)
        known = {text_of(value) for value in values}
        for value in _values_tested(rules, column.name):
            if text_of(value) not in known:
                known.add(text_of(value))
                values.append(value)
                words.append(value)
        columns.append(RuleColumn(column.name, tuple(values) or (OTHER,)))
        shown[i] = tuple(words) or (OTHER,)
    return columns, shown


def _values_tested(rules: RuleSet, name: str) -> list[Value]:
    """Return the values that equalities of rules mention, without the missing one."""
    found: dict[str, Value] = {}
    for rule in rules.rules:
        for literal in rule.body.all_literals():
            if literal.feature == name and not literal.operator.is_order:
                for value in literal.values:
                    if not is_missing(value):
                        found.setdefault(text_of(value), value)
    return list(found.values())


def _mentioned(rules: RuleSet, name: str) -> RuleColumn:
    """Return a column as rules alone show it: numbers, or the words that they mention."""
    literals = [
        literal
        for rule in rules.rules
        for literal in rule.body.all_literals()
        if literal.feature == name
    ]
    values = _values_tested(rules, name)
    numeric = any(literal.operator.is_order for literal in literals) or (
        bool(values) and all(not np.isnan(number_of(value)) for value in values)
    )
    return RuleColumn(name) if numeric else RuleColumn(name, (*values, OTHER))


def with_table(model: Model, table: Table) -> Model:
    """Return a model of rules with a table's columns as its inputs; others as they are."""
    runtime = model.runtime
    if not isinstance(runtime, RulesRuntime):
        return model
    bound = rules_model(
        runtime.rules,
        table,
        overlap=runtime.overlap,
        weights=runtime.weights,
        source=model.source,
    )
    if bound.classes == model.classes:
        return bound
    return replace(bound, structure=replace(bound.structure, classes=model.classes))
