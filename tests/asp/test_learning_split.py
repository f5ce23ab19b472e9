"""The best literal equals the one that trying all of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.asp.learning.examples import Candidate, Examples
from whyproof.asp.learning.heuristics import heuristic_named
from whyproof.asp.learning.split import best_literal
from whyproof.asp.rules import Table, Value
from whyproof.engine.errors import InputError

VALUES: list[Value] = [*range(12), 0.5, 2.25, "a", "b", "3", None, True]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Table, np.ndarray, np.ndarray | None]:
    rows = draw(st.integers(2, 40))
    columns = {
        name: draw(st.lists(st.sampled_from(VALUES), min_size=rows, max_size=rows))
        for name in ("f", "g")
    }
    labels = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    weights = None
    if draw(st.booleans()):
        drawn = draw(st.lists(st.sampled_from([1.0, 2.0, 0.5]), min_size=rows, max_size=rows))
        weights = np.array(drawn)
    return Table.of(columns), labels, weights


def exhaustive(
    examples: Examples,
    table: Table,
    labels: np.ndarray,
    heuristic: str,
    barred: set[tuple[int, bool, int]],
) -> Candidate | None:
    """Try every literal, evaluated by the rule language itself."""
    weights = np.ones(len(labels)) if examples.weights is None else examples.weights
    total = weights.sum()
    best: tuple[float, Candidate] | None = None
    for number, feature in enumerate(examples.features):
        for is_equality, count in ((False, len(feature.numbers)), (True, len(feature.names))):
            for negated in (False, True):
                for code in range(count):
                    candidate = Candidate(number, is_equality, negated, code)
                    holds = feature.literal(candidate).holds(table[feature.name])
                    tp, fp = weights[holds & labels].sum(), weights[holds & ~labels].sum()
                    fn, tn = weights[~holds & labels].sum(), weights[~holds & ~labels].sum()
                    if is_equality and code in feature.shadowed:
                        continue
                    if candidate.test in barred or tp + tn < fp + fn:
                        continue
                    if not (tp + fp) or not (fn + tn):
                        continue
                    score = heuristic_named(heuristic).score(
                        *(np.array([float(c)]) for c in (tp, fp, fn, tn))
                    )
                    rounded = float(np.round(score / total, 9)[0])
                    if best is None or rounded > best[0]:
                        best = rounded, candidate
                    elif rounded == best[0] and candidate < best[1]:
                        best = rounded, candidate
    return None if best is None else best[1]


@pytest.mark.parametrize("heuristic", ["entropy", "gini", "power", "power(0.5)"])
@settings(max_examples=60, deadline=None)
@given(problem=problems(), bins=st.integers(1, 6), data=st.data())
def test_the_best_literal_is_the_best(
    heuristic: str,
    problem: tuple[Table, np.ndarray, np.ndarray | None],
    bins: int,
    data: st.DataObject,
) -> None:
    table, labels, weights = problem
    examples = Examples.of(table, weights, bins)
    tests = [
        (number, is_equality, code)
        for number, feature in enumerate(examples.features)
        for is_equality, count in ((False, len(feature.numbers)), (True, len(feature.names)))
        for code in range(count)
    ]
    barred = set(data.draw(st.lists(st.sampled_from(tests), max_size=4)))
    found = best_literal(
        examples,
        np.flatnonzero(labels),
        np.flatnonzero(~labels),
        heuristic_named(heuristic),
        barred,
    )
    expected = exhaustive(examples, table, labels, heuristic, barred)
    assert (None if found is None else found.candidate) == expected


@given(problem=problems(), bins=st.integers(1, 6))
def test_codes_and_rules_agree_on_every_literal(
    problem: tuple[Table, np.ndarray, np.ndarray | None], bins: int
) -> None:
    table, _, _ = problem
    examples = Examples.of(table, bins=bins)
    rows = np.arange(table.n_rows)
    for number, feature in enumerate(examples.features):
        for is_equality, count in ((False, len(feature.numbers)), (True, len(feature.names))):
            for code in range(count):
                for negated in (False, True):
                    candidate = Candidate(number, is_equality, negated, code)
                    by_rule = feature.literal(candidate).holds(table[feature.name])
                    by_code = feature.holds(candidate, rows)
                    if is_equality and code in feature.shadowed:
                        continue
                    assert by_code.tolist() == by_rule.tolist()


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4), st.sampled_from([0.3, 0.6, 1.0]))
def test_impurity_is_concave(counts: list[int], exponent: float) -> None:
    """Between two splits no split is worse than their mean: the bound relies on it."""
    a, b, c, d = (np.array([float(x)]) for x in counts)
    for heuristic in (heuristic_named(f"power({exponent})"), heuristic_named("entropy")):
        zero = np.zeros(1)
        middle = heuristic.score((a + c) / 2, (b + d) / 2, zero, zero)
        ends = (heuristic.score(a, b, zero, zero) + heuristic.score(c, d, zero, zero)) / 2
        assert middle[0] <= ends[0] + 1e-9


@pytest.mark.parametrize("name", ["power(0)", "power(1.5)", "power(x)", "magic", None, 3])
def test_unknown_heuristics_are_refused(name: object) -> None:
    with pytest.raises(InputError, match="no heuristic"):
        heuristic_named(name)
