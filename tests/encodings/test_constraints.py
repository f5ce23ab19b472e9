"""Formulas, values, the exact solver and the rows, each against brute force."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_constraints import CUTS, formulas, telling_values, values

from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.constraint import (
    Constraint,
    allowed,
    at_most_one,
    forbidden,
    forbidden_transition,
    implies,
    linear,
    one_hot,
)
from whyproof.encodings.constraints.formula import Formula, compared, holds, negated
from whyproof.encodings.constraints.rows import Rows, rows_of
from whyproof.encodings.constraints.simplex import Inequality, solve_inequalities
from whyproof.encodings.constraints.values import Values
from whyproof.engine.answers import Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Categories, Integers, Real
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.space import FeatureSpace

PROBES = np.array(
    [*[v for cut in CUTS for v in (cut, math.nextafter(cut, 9), cut - 0.3)], math.nan]
)


@given(values(), values())
def test_sets_of_values_behave_as_sets(a: Values, b: Values) -> None:
    x, y = a.holds(PROBES), b.holds(PROBES)
    assert ((a & b).holds(PROBES) == (x & y)).all()
    assert ((a | b).holds(PROBES) == (x | y)).all()
    assert ((~a).holds(PROBES) == ~x).all()
    assert (a <= b) == (a & ~b).is_empty


@given(formulas(3), st.data())
def test_the_negation_holds_exactly_where_the_formula_does_not(
    formula: Formula, data: st.DataObject
) -> None:
    numbers = st.sampled_from([*CUTS, 0.3, math.nan])
    points = np.array([[data.draw(numbers) for _ in range(3)] for _ in range(8)])
    assert (holds(formula, points) == ~holds(negated(formula), points)).all()


@given(
    st.sampled_from([-3.0, -0.1, 0.1, 0.3, 7.0]),
    st.sampled_from(["<=", "<", ">=", ">"]),
    st.sampled_from([-1.0, 0.0, 0.3, 1e300]),
)
def test_a_comparison_of_one_column_is_exact(factor: float, relation: str, bound: float) -> None:
    formula = compared({0: factor}, relation, bound)
    edge = bound / factor
    for x in (edge, math.nextafter(edge, math.inf), math.nextafter(edge, -math.inf)):
        left, right = Fraction(factor) * Fraction(x), Fraction(bound)
        wanted = {"<=": left <= right, "<": left < right, ">=": left >= right, ">": left > right}
        assert bool(holds(formula, np.array([[x]]))[0]) == wanted[relation]


def test_sums_count_up_to_their_tolerance() -> None:
    space = FeatureSpace.of("abc")
    rule = linear(space, {"a": 1, "b": 1, "c": 1}, "=", 0.6)
    points = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.31], [np.nan, 5.0, 5.0]])
    assert rule.holds(points).tolist() == [True, False, True]


@settings(max_examples=150)
@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 4), min_size=1, max_size=5), st.booleans())
def test_the_simplex_is_right_about_small_systems(
    rows: list[tuple[int, ...]], bounded: bool
) -> None:
    made = [
        Inequality(tuple((v, Fraction(f)) for v, f in enumerate(row[:3]) if f), Fraction(row[3]))
        for row in rows
    ]
    limits = {v: (Fraction(-2), Fraction(2)) if bounded else (None, None) for v in range(3)}
    solved = solve_inequalities(limits, made, {})
    if isinstance(solved, dict):
        for row in made:
            assert sum(f * solved[v] for v, f in row.terms) <= row.limit
        assert not bounded or all(-2 <= solved[v] <= 2 for v in range(3))
        return
    # Only the named bounds: a linear program agrees that they exclude each other.
    program = highspy.Highs()
    program.setOptionValue("output_flag", False)
    for v in range(3):
        low = -2.0 if ("lower", v) in solved else -highspy.kHighsInf
        high = 2.0 if ("upper", v) in solved else highspy.kHighsInf
        program.addVar(low, high)
    for number, row in enumerate(made):
        if ("row", number) in solved:
            columns = [v for v, _ in row.terms]
            factors = [float(f) for _, f in row.terms]
            program.addRow(-highspy.kHighsInf, float(row.limit), len(columns), columns, factors)
    program.run()
    assert program.getModelStatus() == highspy.HighsModelStatus.kInfeasible


@settings(max_examples=300)
@given(st.data())
def test_the_background_finds_a_point_exactly_if_there_is_one(data: st.DataObject) -> None:
    domains = [
        data.draw(
            st.sampled_from([Real(), Real(True), Integers(False, -2, 3), Integers(True, 0, 2)])
        )
        for _ in range(3)
    ]
    rules = [
        Constraint(f"c{k}", data.draw(formulas(3))) for k in range(data.draw(st.integers(1, 3)))
    ]
    box = {
        c: data.draw(
            st.sampled_from([Values.at_least(0.0), Values.of([1.0]), Values.of([0.0, 2.0])])
        )
        for c in data.draw(st.sets(st.integers(0, 2)))
    }
    solver = Background(domains, rules)
    near = np.array([data.draw(st.sampled_from([0.0, 1.0, -1.0])) for _ in range(3)])
    answer = solver.solve(box, near, Meter())
    if isinstance(answer, Found):
        point = answer.put(near)
        used = solver.columns
        assert all(domains[c].contains(point[c]) for c in used)
        assert all(point[c] in box[c] for c in box if c in used)
        assert all(bool(rule.holds(point[None])[0]) for rule in rules)
        return
    assert not isinstance(answer, Unknown)
    grid = [
        [v for v in telling_values(d.is_discrete, d.nullable) if d.contains(v)] for d in domains
    ]
    points = np.array(list(itertools.product(*grid)))
    # The named sides and constraints alone exclude every point, and none of them is idle.
    inside = np.ones(len(points), dtype=bool)
    for side, column in answer.edges:
        values = box[column]
        if side == "lower":
            inside &= points[:, column] >= values.intervals[0][0]
        elif side == "upper":
            inside &= ~np.isnan(points[:, column]) & (points[:, column] <= values.intervals[0][1])
        else:
            inside &= values.holds(points[:, column])
    for number in answer.constraints:
        inside &= rules[number].holds(points)
    assert not inside.any()
    for number in answer.constraints:
        rest = [rules[k] for k in answer.constraints if k != number]
        kept = {c: box[c] for _, c in answer.edges}
        assert isinstance(Background(domains, rest).solve(kept, near, Meter()), Found)


def test_whole_numbers_are_split() -> None:
    space = FeatureSpace.of("ab", {"a": Integers(False, 0, 9), "b": Integers(False, 0, 9)})
    odd = linear(space, {"a": 2, "b": -2}, "=", 1)
    solver = Background([c.domain for c in space.columns], [odd])
    assert isinstance(solver.solve({}, np.zeros(2), Meter()), Clash)
    third = linear(space, {"a": 3, "b": 2}, "=", 19)
    found = Background([c.domain for c in space.columns], [third]).solve({}, np.zeros(2), Meter())
    assert isinstance(found, Found)
    assert 3 * found.values[0] + 2 * found.values[1] == 19


def test_the_usual_constraints_say_what_they_should() -> None:
    space = FeatureSpace.of(
        ["make", "model", "age"],
        {"make": Categories(values=("vw", "fiat")), "model": Categories(values=("golf", "panda"))},
    )
    pairs = allowed(space, ["make", "model"], [("vw", "golf"), ("fiat", "panda")])
    points = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert pairs.holds(points).tolist() == [True, False]
    never = forbidden(space, {"make": "vw", "model": "panda"})
    assert never.holds(points).tolist() == [True, False]
    rule = implies(space, {"make": "vw"}, {"model": "golf"})
    assert rule.holds(points).tolist() == [True, False]
    step = forbidden_transition(space, "make", "vw", "fiat")
    assert step.holds(np.array([[1.0, 0.0, 1.0]])).all()
    assert step.at(points[0]).holds(np.array([[0.0, 0, 0], [1.0, 0, 0]])).tolist() == [True, False]
    one = at_most_one(FeatureSpace.of("ab"), "ab")
    assert one.holds(np.array([[0.0, 0.0], [1.0, 1.0]])).tolist() == [True, False]


def test_unknown_columns_and_values_are_refused_with_a_hint() -> None:
    space = FeatureSpace.of(["income", "job"], {"job": Categories(values=("cook",))})
    with pytest.raises(DataError, match="did you mean 'income'"):
        linear(space, {"incme": 1.0}, "<=", 0)
    with pytest.raises(DataError, match="column 'job'"):
        forbidden(space, {"job": "clerk"})
    with pytest.raises(DataError, match="no relation"):
        linear(space, {"income": 1.0}, "=<", 0)
    with pytest.raises(DataError, match="2 values"):
        allowed(space, ["job"], [("cook", 3)])
    with pytest.raises(DataError, match="each once"):
        one_hot(space, ["income", "income"])


@settings(max_examples=150)
@given(st.data())
def test_rows_allow_exactly_the_points_that_constraints_allow(data: st.DataObject) -> None:
    rules = [Constraint(f"c{k}", data.draw(formulas(2))) for k in range(2)]
    cells = [[(float(v), float(v)) for v in range(-2, 4)]] * 2
    try:
        made = rows_of(rules, cells, discrete=[0, 1])
    except UnsupportedError:
        return
    grid = np.array(list(itertools.product(range(-2, 4), repeat=2)), dtype=float)
    wanted = np.logical_and.reduce([rule.holds(grid) for rule in rules])
    found = [_feasible(made, point) for point in grid]
    assert found == wanted.tolist()


def _feasible(made: Rows, point: np.ndarray) -> bool:
    """Fix the cells of a point and ask whether truths can be chosen."""
    program = highspy.Highs()
    program.setOptionValue("output_flag", False)
    known: dict[object, float] = {}
    for column, value in enumerate(point):
        for k in range(1, 6):
            known["order", column, k] = float(value >= k - 2)
        known["value", column] = float(value)
    for _ in range(made.truths):
        program.addVar(0.0, 1.0)
    if made.truths:
        kinds = [highspy.HighsVarType.kInteger] * made.truths
        program.changeColsIntegrality(made.truths, np.arange(made.truths, dtype=np.int32), kinds)
    for row in made.rows:
        offset = sum(f * known[v] for v, f in row.terms.items() if v[0] != "truth")
        columns = [v[1] for v in row.terms if v[0] == "truth"]
        factors = [f for v, f in row.terms.items() if v[0] == "truth"]
        if not columns:
            if not row.lower - 1e-9 <= offset <= row.upper + 1e-9:
                return False
            continue
        program.addRow(row.lower - offset, row.upper - offset, len(columns), columns, factors)
    if not made.truths:
        return True
    program.run()
    return program.getModelStatus() == highspy.HighsModelStatus.kOptimal
