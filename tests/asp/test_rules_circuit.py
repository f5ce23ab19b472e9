"""Rules as circuits, and rules as sentences: the same decisions as running the rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import NAMES, NUMBERS, WORDS, rule_sets

from whyproof.asp.rules import RuleError, RuleSet, Table, read_rules
from whyproof.asp.rules.circuit_form import (
    UNDECIDED,
    RuleColumn,
    decide,
    labels_of,
    rows_of,
    rules_circuit,
)
from whyproof.asp.rules.if_then import looks_like_sentences, read_sentences

WORDY = (*WORDS, 3, 2.5, True, 1)
COLUMNS = [RuleColumn(name, WORDY if k % 2 else ()) for k, name in enumerate(NAMES)]


def _points(random: np.random.Generator) -> np.ndarray:
    edges = [math.nextafter(n, s) for n in NUMBERS for s in (-math.inf, math.inf)]
    numbers = np.array([*NUMBERS, *edges, math.nan, 7.0])
    columns = [
        random.choice(np.append(np.arange(len(c.values)), math.nan), 40)
        if c.values
        else random.choice(numbers, 40)
        for c in COLUMNS
    ]
    return np.column_stack(columns).astype(float)


@pytest.mark.slow
@given(rule_sets(), st.integers(0, 99), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_circuit_decides_as_its_rules(
    rules: RuleSet, seed: int, vote: bool, silent: bool
) -> None:
    if silent:
        rules = RuleSet(rules.target, rules.rules, None)
    overlap = "vote" if vote else "first"
    random = np.random.default_rng(seed)
    weights = random.choice([0.5, 1.0, 2.0], len(rules.rules)).tolist() if vote else None
    circuit = rules_circuit(rules, COLUMNS, overlap, weights)
    points = _points(random)
    table = rows_of(points, COLUMNS)
    expected = decide(rules, table, overlap, weights)
    assert (circuit.sums(points).sum(axis=1) == 1).all(), "exactly one class wins"
    assert (circuit.predict(points) == expected).all()
    if not vote:
        words = rules.predict(table)
        labels = [None if label == UNDECIDED else label for label in labels_of(rules)]
        assert [labels[k] for k in expected] == words.tolist()


def test_ties_of_a_vote_go_to_the_class_that_is_named_first() -> None:
    rules = read_rules("y = b :- x > 0.  y = a :- x > 1.")
    circuit = rules_circuit(rules, [RuleColumn("x")], "vote")
    labels = labels_of(rules)
    found = [labels[k] for k in circuit.predict(np.array([[0.0], [0.5], [2.0]]))]
    assert found == [UNDECIDED, "b", "b"]


def test_weights_have_to_fit() -> None:
    rules = read_rules("y = b :- x > 0.  y = a :- x > 1.")
    with pytest.raises(RuleError, match="2 rules"):
        rules_circuit(rules, [RuleColumn("x")], "vote", [1.0])
    with pytest.raises(RuleError, match="positive"):
        rules_circuit(rules, [RuleColumn("x")], "vote", [1.0, 0.0])
    with pytest.raises(RuleError, match="no input"):
        rules_circuit(rules, [RuleColumn("z")])


def test_sentences_of_learners() -> None:
    text = """
    # CN2 prints
    IF petal length<=1.9 THEN iris=setosa
    ELSE IF 'petal width' > 1.7 and color in {red, "3"} THEN iris=virginica
    IF TRUE THEN iris=versicolor
    """
    assert looks_like_sentences(text)
    rules, weights = read_sentences(text)
    assert weights is None
    assert [str(rule) for rule in rules.rules] == [
        "iris = setosa if petal length <= 1.9",
        "iris = virginica if petal width > 1.7 and color in {3, red}",
    ]
    assert rules.default == "versicolor"
    table = Table.of({"petal length": [1.0, 5, 5], "petal width": [2.0] * 3, "color": [3, 3, "x"]})
    assert rules.predict(table).tolist() == ["setosa", "virginica", "versicolor"]


def test_sentences_with_votes() -> None:
    rules, weights = read_sentences(
        "IF a = 1 THEN y = 1 WEIGHT 0.7\nIF b = 1 THEN y = 0\nDEFAULT y = 0"
    )
    assert weights == [0.7, 1.0]
    assert rules.labels == (1, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IF a = 1 THEN y = 1\nmaybe", "f:2:1: expected IF"),
        ("IF a THEN y = 1", "f:1:1: 'a' is no test"),
        ("IF a = 1 THEN y > 1", "concludes target = value"),
        ("IF a = 1 THEN y = 1\nIF a = 1 THEN z = 1", "decide 'y'"),
        ("ELSE y = 1\nIF a = 1 THEN y = 0", "f:2:1: nothing may follow"),
        ("IF a = 1 THEN y = 1 WEIGHT -2", "positive number"),
        ("IF a < b THEN y = 1", "not a finite number"),
        ("# nothing", "holds no rules"),
    ],
)
def test_bad_sentences_are_named(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        read_sentences(text, file="f")
