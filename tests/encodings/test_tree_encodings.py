"""Second encodings of tree ensembles: they agree with brute force and with the search."""

from __future__ import annotations

import itertools
from pathlib import Path
from unittest.mock import patch

import highspy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pysat.examples.rc2 import RC2
from pysat.formula import CNF, WCNF
from pysat.solvers import Solver
from random_ensembles import RunningModel, every_point, problems

from whyproof.encodings import pseudo_boolean
from whyproof.encodings.drat import DratProof, check_drat, refute
from whyproof.encodings.pseudo_boolean import at_most
from whyproof.encodings.trees.asp import reasons
from whyproof.encodings.trees.constraints import TreeConstraints, tree_constraints
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.encodings.trees.exchange import exchange_text
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.sat import TreeSatOracle
from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace


def free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    features = range(problem.space.n_features)
    sizes = range(problem.space.n_features + 1)
    return [frozenset(c) for size in sizes for c in itertools.combinations(features, size)]


def confirm(problem: ExplanationProblem, free: FeatureSet, answer: Answer) -> None:
    """Compare an answer and its evidence with brute force."""
    possible = bool(problem.changed(every_point(problem, free)).any())
    if isinstance(answer, Counterexample):
        assert possible
        problem.replay(answer.point, free)
    else:
        assert isinstance(answer, Entailed), answer
        assert not possible
        beyond = frozenset(range(problem.space.n_features)) - answer.core
        assert not problem.changed(every_point(problem, beyond)).any(), "the core is too small"


@given(problems(), st.data(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_clauses_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject, adders: bool
) -> None:
    few = {"_MOST_SUMS": 2 if adders else 600, "_LEVELS": 4 if adders else 256}
    with patch.multiple(pseudo_boolean, **few):
        oracle = TreeSatOracle(problem)
    for free in data.draw(st.lists(st.sampled_from(free_sets(problem)), min_size=1, max_size=4)):
        answer = oracle.decide([free], Budget().start())[0]
        confirm(problem, free, answer)
        fast = TreeOracle(problem).decide([free], Budget().start())[0]
        assert type(fast) is type(answer)
    oracle.close()


@given(problems(float32=True), st.data())
@settings(max_examples=60, deadline=None)
def test_clauses_agree_with_float32_models(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    oracle = TreeSatOracle(problem)
    for free in data.draw(st.lists(st.sampled_from(free_sets(problem)), min_size=1, max_size=3)):
        confirm(problem, free, oracle.decide([free], Budget().start())[0])
    oracle.close()


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(-2, 130),
    st.integers(1, 600),
    st.integers(1, 16),
)
@settings(max_examples=200, deadline=None)
def test_sums_as_clauses_say_what_they_mean(
    weights: list[list[int]], most: int, sums: int, levels: int
) -> None:
    counter = itertools.count(1)
    groups = [[(next(counter), weight) for weight in group] for group in weights]
    when = next(counter)
    with patch.multiple(pseudo_boolean, _MOST_SUMS=sums, _LEVELS=levels):
        clauses = at_most(groups, most, when, counter.__next__)
    with Solver(name="glucose4", bootstrap_with=clauses) as solver:
        for chosen in itertools.product(*groups):
            true = {literal for literal, _ in chosen}
            inputs = [v if v in true else -v for g in groups for v, _ in g]
            total = sum(weight for _, weight in chosen)
            assert solver.solve(assumptions=[*inputs, when]) == (total <= most)
            assert solver.solve(assumptions=[*inputs, -when])


def test_a_region_that_is_no_box_is_named() -> None:
    from whyproof.engine.region import Region

    @given(problems())
    @settings(max_examples=1, database=None)
    def ball(problem: ExplanationProblem) -> None:
        other = ExplanationProblem(
            problem.classifier,
            problem.space,
            problem.instance,
            Region.ball(1.0, "l1"),
            problem.question,
        )
        with pytest.raises(UnsupportedError, match="l1"):
            TreeSatOracle(other)

    ball()


def _bounded(problem: ExplanationProblem, fixed: FeatureSet) -> bool:
    """Tell whether the worst reachable leaves of all trees together keep the decision."""
    made = tree_constraints(problem)
    boxes, space = made.boxes, problem.space
    lower, upper = made.cells.copy(), made.cells + 1
    free = [c for f in problem.universe - fixed for c in space.features[f].columns]
    lower[free], upper[free] = made.lower[free], made.upper[free]
    reached = ((boxes.lower < upper) & (boxes.upper > lower)).all(axis=1)
    place = {variable: row for row, variable in enumerate(made.leaves)}
    for _, scores in itertools.groupby(made.inequalities, key=lambda one: one.when):
        if all(
            sum(max(w for v, w in g if reached[place[v]]) for g in one.groups) >= one.bound
            for one in scores
        ):
            return False
    return True


def _minimal(sets: list[FeatureSet]) -> set[FeatureSet]:
    return {s for s in sets if not any(other < s for other in sets)}


@given(problems())
@settings(max_examples=60, deadline=None)
def test_all_four_kinds_of_reasons(problem: ExplanationProblem) -> None:
    found = list(enumerate_explanations(problem, TreeOracle(problem)))
    for kind, name in ((Kind.AXP, "sufficient"), (Kind.CXP, "contrastive")):
        listed = list(reasons(problem, name))
        assert len(listed) == len(set(listed))
        assert set(listed) == {e.members for e in found if e.kind is kind}
    inside = [s for s in free_sets(problem) if s <= problem.universe]
    expected = _minimal([s for s in inside if _bounded(problem, s)])
    assert set(reasons(problem, "tree-specific")) == expected
    try:
        majority = set(reasons(problem, "majority"))
    except UnsupportedError:
        return
    for reason in majority:
        assert not problem.changed(every_point(problem, problem.universe - reason)).any()


def _forest(votes: list[tuple[int, float, int, int]], instance: list[float]) -> ExplanationProblem:
    """Return a voting forest of stumps: column, boundary, votes below and above."""
    trees = tuple(
        Tree(
            column=np.array([column, -1, -1], dtype=np.int32),
            boundary=np.array([boundary, np.nan, np.nan]),
            left=np.array([1, -1, -1], dtype=np.int32),
            right=np.array([2, -1, -1], dtype=np.int32),
            missing_left=np.zeros(3, dtype=np.bool_),
            values=np.array([[0.0, 0.0], np.eye(2)[below], np.eye(2)[above]]),
        )
        for column, boundary, below, above in votes
    )
    n = len(instance)
    ensemble = TreeEnsemble(n, trees, np.zeros(2), DecisionRule.ARGMAX, ("no", "yes"))
    space = FeatureSpace.of([f"x{i}" for i in range(n)])
    return ExplanationProblem(RunningModel(ensemble), space, np.array(instance))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([-1.0, 0.0, 1.0]),
            st.integers(0, 1),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.sampled_from([-2.0, -0.5, 0.5, 2.0]), min_size=4, max_size=4),
)
@settings(max_examples=80, deadline=None)
def test_majority_reasons_are_all_minimal_ones(
    votes: list[tuple[int, float, int, int]], instance: list[float]
) -> None:
    problem = _forest(votes, instance)
    kept = int(problem.prediction)

    def enough(fixed: FeatureSet) -> bool:
        agree = 0
        for column, boundary, below, above in votes:
            sides = {below if instance[column] < boundary else above}
            agree += (sides if column in fixed else {below, above}) == {kept}
        return 2 * agree > len(votes) or (kept == 0 and 2 * agree == len(votes))

    expected = _minimal([s for s in free_sets(problem) if enough(s)])
    assert set(reasons(problem, "majority")) == expected


@given(problems(), st.data())
@settings(max_examples=40, deadline=None)
def test_every_proof_of_unsatisfiability_is_accepted(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    pytest.importorskip("dratify")
    free = data.draw(st.sampled_from(free_sets(problem)))
    oracle = TreeSatOracle(problem)
    answer = oracle.decide([free], Budget().start())[0]
    fixed = oracle.constraints.selectors
    if isinstance(answer, Entailed):
        proof = refute(oracle.clauses, [fixed[i] for i in answer.core])
        assert proof is not None
        assert check_drat(proof, "dratify") == "dratify"
        if problem.universe and answer.core:
            # Without the core the clauses have a solution unless nothing changes at all.
            everything = oracle.decide([problem.universe], Budget().start())[0]
            assert (refute(oracle.clauses) is None) == isinstance(everything, Counterexample)
    oracle.close()


def test_damaged_proofs_are_refused() -> None:
    pytest.importorskip("dratify")
    holes, pigeons = range(3), range(4)
    sits = {(p, h): 1 + p * 3 + h for p in pigeons for h in holes}
    clauses = [tuple(sits[p, h] for h in holes) for p in pigeons]
    clauses += [
        (-sits[p, h], -sits[q, h]) for h in holes for p, q in itertools.combinations(pigeons, 2)
    ]
    proof = refute(clauses)
    assert proof is not None
    check_drat(proof, "dratify")
    for damaged in (
        DratProof(proof.clauses[1:], proof.lines),
        DratProof(proof.clauses, ("0",)),
        DratProof(proof.clauses, ("x 0",)),
        DratProof(proof.clauses, ()),
    ):
        with pytest.raises(InputError):
            check_drat(damaged, "dratify")
    with pytest.raises(InputError, match="known are"):
        check_drat(proof, "other")


@given(problems(), st.data())
@settings(max_examples=40, deadline=None)
def test_files_for_other_solvers_say_the_same(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    # Values that float64 rounds are not those that exact files name.
    assume(problem.classifier.structure.rule is not DecisionRule.VALUE)
    free = data.draw(st.sampled_from(free_sets(problem)))
    possible = bool(problem.changed(every_point(problem, free)).any())
    made = tree_constraints(problem)
    fixed = [v for feature, v in made.selectors.items() if feature not in free]
    with Solver(
        name="glucose4", bootstrap_with=CNF(from_string=exchange_text(problem, "cnf"))
    ) as s:
        assert s.solve(assumptions=fixed) == possible
    assert _opb_satisfiable(exchange_text(problem, "opb"), made, free) == possible
    try:
        text = exchange_text(problem, "wcnf")
    except UnsupportedError:
        assert len(made.inequalities) > 1
        return
    limit = int(
        next(line for line in text.splitlines() if "costs at most" in line)[:-1].split()[-1]
    )
    formula = WCNF()
    for line in text.splitlines():
        numbers = line.split()
        if numbers[0] == "h":
            formula.append([int(v) for v in numbers[1:-1]])
        elif numbers[0] != "c":
            formula.append([int(v) for v in numbers[1:-1]], weight=int(numbers[0]))
    for v in fixed:
        formula.append([v])
    with RC2(formula) as rc2:
        assert (rc2.compute() is not None and rc2.cost <= limit) == possible


def _opb_satisfiable(text: str, made: TreeConstraints, free: FeatureSet) -> bool:
    """Evaluate all rows, exactly, on what each combination of cells and rivals stands for."""
    rows: list[tuple[list[tuple[int, int]], str, int]] = []
    for line in text.splitlines():
        if not line.startswith("*"):
            left, sense, right = line.removesuffix(";").rpartition(">=" if ">=" in line else "=")
            terms = left.split()
            rows.append(
                (
                    [(int(w), int(v[1:])) for w, v in zip(terms[::2], terms[1::2], strict=True)],
                    sense,
                    int(right),
                )
            )
    owner, boxes = made.problem.space.owner, made.boxes
    choices = [
        range(len(column)) if int(owner[c]) in free else [int(made.cells[c])]
        for c, column in enumerate(boxes.columns)
    ]
    rivals = sorted({one.when for one in made.inequalities})
    for cells in itertools.product(*choices):
        at = np.array(cells)
        true = {v for c, column in enumerate(made.orders) for v in column[: cells[c]]}
        inside = ((boxes.lower <= at) & (at < boxes.upper)).all(axis=1)
        true |= {made.leaves[x] for x in np.flatnonzero(inside)}
        true |= {v for f, v in made.selectors.items() if f not in free}
        for rival in rivals:
            if all(
                (total == right) if sense == "=" else (total >= right)
                for terms, sense, right in rows
                for total in (sum(w for w, v in terms if v in true or v == rival),)
            ):
                return True
    return False


def test_programs_for_mixed_integer_solvers_are_read_back(tmp_path: Path) -> None:
    votes = [(0, 0.0, 1, 0), (1, 0.0, 0, 1), (0, 1.0, 1, 0)]
    problem = _forest(votes, [-0.5, 0.5])
    for ending in ("lp", "mps"):
        file = tmp_path / f"p.{ending}"
        file.write_text(exchange_text(problem, ending))
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        assert highs.readModel(str(file)) == highspy.HighsStatus.kOk
        highs.run()
        # Every tree may vote against the decision.
        assert abs(highs.getInfo().objective_function_value) == pytest.approx(3.0)
        assert "instance: 1" in file.read_text()
    with pytest.raises(InputError, match="known are"):
        exchange_text(problem, "smt")


def test_the_file_for_clingo_runs_as_it_is() -> None:
    import clingo

    problem = _forest([(0, 0.0, 1, 0), (1, 0.0, 1, 0), (2, 1.0, 1, 0)], [-0.5, -0.5, 0.5])
    control = clingo.Control(["--heuristic=Domain", "--enum-mode=domRec", "0"])
    control.add("base", [], exchange_text(problem, "asp"))
    control.ground([("base", [])])
    found: set[frozenset[int]] = set()
    with control.solve(yield_=True) as handle:
        for model in handle:
            free = (s for s in model.symbols(shown=True) if s.name == "free")
            found.add(frozenset(s.arguments[0].number for s in free))
    assert found == {frozenset(c) for c in itertools.combinations(range(3), 2)}
