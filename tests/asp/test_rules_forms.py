"""Rules survive each form; evaluation row by row and by column agree."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from random_rules import NAMES, bodies, literals, rule_sets, tables, values

from whyproof.asp.rules import Body, Column, Literal, Operator, Rule, RuleError, RuleSet, Table
from whyproof.asp.rules.json_form import (
    heads_from_json,
    heads_to_json,
    rules_from_json,
    rules_to_json,
)
from whyproof.asp.rules.read import read_heads, read_rules
from whyproof.asp.rules.values import Value, text_of
from whyproof.asp.rules.write import write_heads, write_rules


@given(literals(), values)
def test_a_literal_or_its_complement_holds_never_both(literal: Literal, value: Value) -> None:
    assert literal.accepts(value) != literal.complement.accepts(value)
    assert literal.complement.complement == literal


@given(bodies(), tables())
def test_columns_and_rows_evaluate_alike(body: Body, table: Table) -> None:
    by_column = body.holds(table).tolist()
    assert by_column == [body.accepts(table.row(k)) for k in range(table.n_rows)]


@given(rule_sets(), tables())
def test_the_first_rule_that_fires_decides(rules: RuleSet, table: Table) -> None:
    firing = rules.firing(table).tolist()
    for k in range(table.n_rows):
        row = table.row(k)
        expected = next((i for i, r in enumerate(rules.rules) if r.body.accepts(row)), -1)
        assert firing[k] == expected


@settings(max_examples=80)
@given(rule_sets(), tables())
def test_fold_text_says_the_same(rules: RuleSet, table: Table) -> None:
    text = write_rules(rules, "fold")
    again = read_rules(text, features=NAMES)
    assert again.predict(table).tolist() == rules.predict(table).tolist()
    assert again.default == rules.default
    assert [rule.support for rule in again.rules] == [rule.support for rule in rules.rules]


@settings(max_examples=80)
@given(rule_sets(), tables())
def test_text_by_name_says_the_same(rules: RuleSet, table: Table) -> None:
    text = write_rules(rules, "names")
    again = read_rules(text, features=NAMES)
    assert again.predict(table).tolist() == rules.predict(table).tolist()
    assert write_rules(again, "names") == text


@given(rule_sets())
def test_json_keeps_everything(rules: RuleSet) -> None:
    text = json.dumps(rules_to_json(rules))
    assert rules_from_json(text) == rules
    assert heads_from_json(heads_to_json(rules.rules)) == rules.rules


@given(literals(), bodies(), tables())
def test_heads_by_name_are_kept(head: Literal, body: Body, table: Table) -> None:
    text = write_heads([Rule(head, body)])
    [again] = read_heads(text)
    assert again.head == head
    assert again.fires(table).tolist() == Rule(head, body).fires(table).tolist()


@given(values, values)
def test_columns_know_equal_values_by_text(left: Value, right: Value) -> None:
    column = Column.of([left, right])
    assert column.equals(left)[0] and column.equals(right)[1]
    assert bool(column.equals(left)[1]) is (text_of(left) == text_of(right))


def test_order_holds_for_numbers_only() -> None:
    column = Column.of([1, "1", None, True])
    at_most = Literal("x", Operator.LE, 5)
    assert at_most.holds(column).tolist() == [True, False, False, False]
    assert at_most.complement.holds(column).tolist() == [False, True, True, True]


def test_tables_come_from_frames_rows_and_arrays() -> None:
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    columns = {"a": [1.0, 2.0], "b": ["x", None]}
    frame = pandas.DataFrame(columns)
    rows = [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": None}]
    array = numpy.array([[1.0, "x"], [2.0, None]], dtype=object)
    for data in (columns, frame, rows):
        table = Table.of(data)
        assert [table.row(k) for k in range(2)] == rows
    assert Table.of(array, ["a", "b"]).row(1) == rows[1]
    frame["c"] = pandas.array([True, None], dtype="boolean")
    frame["d"] = pandas.Categorical(["u", None])
    frame["e"] = pandas.array([3, None], dtype="Int64")
    assert Table.of(frame).row(0) == {"a": 1.0, "b": "x", "c": True, "d": "u", "e": 3.0}
    assert Table.of(frame).row(1) == {"a": 2.0, "b": None, "c": None, "d": None, "e": None}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ("{", "no JSON"),
        ([], "document: found list"),
        ({"format": "x", "target": "t", "rules": []}, "format: found 'x'"),
        ({"format": "whyproof-rules-1", "target": 1, "rules": []}, "target: found 1"),
        ({"format": "whyproof-rules-1", "target": "t", "rules": [{}]}, r"rules\[0\] has no field"),
        (
            {
                "format": "whyproof-rules-1",
                "target": "t",
                "rules": [
                    {
                        "head": {"feature": "t", "operator": "=", "value": "p"},
                        "body": {"literals": [{"feature": "a", "operator": "~", "value": 1}]},
                    }
                ],
            },
            r"rules\[0\].body.literals\[0\].operator",
        ),
    ],
)
def test_bad_json_is_refused_by_path(document: object, path: str) -> None:
    with pytest.raises(RuleError, match=path):
        rules_from_json(document)


def test_a_rule_set_decides_one_target() -> None:
    rule = Rule(Literal("other", Operator.EQ, 1))
    with pytest.raises(RuleError, match="decide 'label'"):
        RuleSet("label", (rule,))
