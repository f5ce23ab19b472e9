"""Certificates under constraints: true ones pass, forged ones only if what they say is true."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encodings"))
from random_constraints import Dice, telling_values
from test_checker import MODEL, check, places, signed, tampered
from test_constrained_explanations import a_finite, changing_sets
from test_constrained_oracles import tree_problem

from whyproof.certificate_json import formula_json
from whyproof.certificates import CertificateBuilder
from whyproof.checker import Refused
from whyproof.checker.statement import about_changes, at_instance, is_true, read_statement
from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.formula import fixed_at, holds
from whyproof.encodings.constraints.refutation import refute
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.trees.box_proof import BoxProof, BoxProver
from whyproof.encodings.trees.constrained import ConstrainedTreeOracle
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Integers, Real
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Column, FeatureSpace

seeds = st.integers(0, 100_000)


def is_certifiable(problem: ExplanationProblem) -> bool:
    structure = problem.classifier.structure
    if structure.rule is DecisionRule.VALUE:
        return structure.exact_outcome(problem.instance) == problem.prediction
    return structure.rule is not DecisionRule.NONNEGATIVE


def certificate(problem: ExplanationProblem) -> dict[str, object]:
    builder = CertificateBuilder(MODEL, problem.classifier, problem.space)
    oracle = ConstrainedTreeOracle(problem)
    for kind in Kind:
        explanation = minimise(problem, oracle, kind)
        if explanation is not None:
            builder.add(explanation)
    return builder.content()


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_true_claims_over_finite_spaces_are_accepted(seed: int) -> None:
    problem = a_finite(tree_problem, seed)
    assume(is_certifiable(problem))
    check(problem, certificate(problem))


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_true_claims_over_numbers_are_accepted(seed: int) -> None:
    problem = tree_problem(seed)
    assume(is_certifiable(problem))
    check(problem, certificate(problem))


@pytest.mark.slow
@given(seeds, st.data())
@settings(max_examples=110, deadline=None)
def test_what_a_forger_gets_accepted_is_still_true(seed: int, data: st.DataObject) -> None:
    """Change a claim or its proof, sign again: refused, or true by brute force."""
    problem = a_finite(tree_problem, seed)
    assume(is_certifiable(problem))
    content = certificate(problem)
    inside = [p for p in places(content) if p[0] == "decisions" and "claims" in p]
    changed: dict[str, object] = content
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(inside))
        try:
            changed = tampered(changed, at, data.draw(st.integers(0, 11)))  # type: ignore[assignment]
        except (KeyError, IndexError, TypeError):
            continue
    try:
        check(problem, signed(changed))
    except Refused:
        return
    claims = changed["decisions"][0]["claims"]  # type: ignore[index]
    is_true_by_brute_force(problem, claims)


@pytest.mark.slow
@given(seeds, st.data())
@settings(max_examples=80, deadline=None)
def test_forged_constraints_do_not_carry_a_claim_about_the_true_ones(
    seed: int, data: st.DataObject
) -> None:
    """Change the constraints themselves: what is then proved is about what then stands there."""
    problem = a_finite(tree_problem, seed)
    assume(is_certifiable(problem))
    content = certificate(problem)
    inside = [p for p in places(content) if p[:2] == ("space", "constraints") and len(p) > 2]
    at = data.draw(st.sampled_from(inside))
    try:
        changed = tampered(content, at, data.draw(st.integers(0, 11)))
    except (KeyError, IndexError, TypeError):
        return
    try:
        check(problem, signed(changed))  # type: ignore[arg-type]
    except Refused:
        return
    told = changed["space"]["constraints"]  # type: ignore[index]
    statements = [read_statement(entry["says"], problem.space.n_columns) for entry in told]
    rules = [at_instance(statement, problem.instance.tolist()) for statement in statements]
    free = replace(problem, space=replace(problem.space, constraints=()))
    weak = [
        moved
        for moved, point in changing_points(free)
        if all(is_true(rule, point.tolist()) for rule in rules)
    ]
    are_true(problem, changed["decisions"][0]["claims"], weak)  # type: ignore[index]


def changing_points(problem: ExplanationProblem) -> list[tuple[frozenset[int], np.ndarray]]:
    axes = [np.arange(-2, 4, dtype=float)] * problem.space.n_columns
    points = np.stack([g.ravel() for g in np.meshgrid(*axes)], axis=1)
    points = points[problem.changed(points)]
    return [(problem.space.moved(problem.instance, p), p) for p in points]


def is_true_by_brute_force(problem: ExplanationProblem, claims: list[dict]) -> None:
    are_true(problem, claims, changing_sets(problem))


def are_true(problem: ExplanationProblem, claims: list[dict], weak: list[frozenset[int]]) -> None:
    for claim in claims:
        members = problem.space.indices(claim["features"])
        needed = members - problem.space.indices(claim["open"])
        if claim["kind"] == "axp":
            assert all(moved & members for moved in weak)
            assert all(any(not moved & (members - {i}) for moved in weak) for i in needed)
        else:
            assert any(moved <= members for moved in weak)
            assert not any(moved <= members - {i} for moved in weak for i in needed)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_a_proof_is_found_exactly_where_no_admissible_point_changes(seed: int) -> None:
    problem = a_finite(tree_problem, seed)
    weak = changing_sets(problem)
    prover = BoxProver(problem)
    for size in range(problem.space.n_features + 1):
        free = frozenset(range(size))
        proof = prover.prove(free, Meter())
        assert isinstance(proof, BoxProof) == (not any(moved <= free for moved in weak))


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_every_clash_of_constraints_is_refuted_in_a_form_that_can_be_checked(seed: int) -> None:
    dice = Dice(seed)
    n = int(dice.rng.integers(2, 4))
    kinds = [Real(), Integers(False, -2, 3), Real(True), Real(False, -2, 3)]
    columns = tuple(Column(f"x{i}", kinds[int(dice.rng.integers(4))]) for i in range(n))
    space = FeatureSpace(columns)
    instance = np.zeros(n)
    rules = [c.at(instance) for c in dice.constraints(space, instance, 3)]
    domains = [column.domain for column in columns]
    box = {i: Values.admissible(columns[i].domain) & dice.values() for i in range(n)}
    found = Background(domains, rules).solve(box, instance, Meter())
    refuted = refute(domains, rules, range(len(rules)), box)
    assert not (isinstance(found, Found) and refuted is not None)
    if isinstance(found, Clash):
        assert refuted is not None


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_the_checker_reads_constraints_as_they_are_meant(seed: int) -> None:
    dice = Dice(seed)
    n = 3
    space = FeatureSpace(tuple(Column(f"x{i}", Real(True)) for i in range(n)))
    instance = np.array([dice.one_of([-1.0, 0.1, 0.5]) for _ in range(n)])
    rule = dice.constraints(space, instance, 1)[0]
    read = read_statement(json.loads(json.dumps(formula_json(rule.formula))), n)
    assert about_changes(read) == rule.is_transition
    values = telling_values(False, True)
    points = np.array([[dice.one_of(values) for _ in range(n)] for _ in range(60)])
    meant = holds(fixed_at(rule.formula, instance), points)
    put = at_instance(read, instance.tolist())
    assert meant.tolist() == [is_true(put, point) for point in points.tolist()]


def test_sums_are_added_in_rationals() -> None:
    rule = read_statement(
        {"sum": [[0, 0.1], [1, 0.2]], "bound": 0.3, "strict": False, "before": []}, 2
    )
    limit = Fraction(0.3) + Fraction(1e-9)
    beyond = float((limit - Fraction(0.1)) / Fraction(0.2)) + 1e-9
    assert is_true(rule, [1.0, 1.0])
    assert not is_true(rule, [1.0, beyond])


def test_a_witness_that_breaks_a_constraint_is_refused() -> None:
    for seed in range(0, 400, 7):
        problem = a_finite(tree_problem, seed)
        if not is_certifiable(problem):
            continue
        content = certificate(problem)
        allowed = {moved for moved in changing_sets(problem)}
        free = replace(problem, space=replace(problem.space, constraints=()))
        for moved, point in changing_points(free):
            if moved in allowed or any(other <= moved for other in allowed):
                continue
            changed = copy.deepcopy(content)
            names = sorted(problem.space.names[i] for i in moved)
            changes = {n: point[problem.space.index(n)] for n in names}
            claim = {"kind": "cxp", "features": names, "open": names, "witness": changes}
            changed["decisions"][0]["claims"] = [{**claim, "proofs": {}}]  # type: ignore[index]
            with pytest.raises(Refused, match="breaks the constraint"):
                check(problem, signed(changed))
            return
    raise AssertionError("no problem has a witness that constraints exclude")


def test_what_a_reason_rests_on_is_told() -> None:
    told = False
    for seed in range(40):
        problem = a_finite(tree_problem, seed)
        if problem.classifier.structure.rule is DecisionRule.NONNEGATIVE:
            continue
        why = minimise(problem, ConstrainedTreeOracle(problem), Kind.AXP)
        assert why is not None
        assert isinstance(why.evidence, Entailed)
        builder = CertificateBuilder(MODEL, problem.classifier, problem.space)
        builder.add(why)
        content = builder.content()
        proof = content["decisions"][0]["claims"][0]["proof"]  # type: ignore[index]
        told = told or bool(proof["clashes"])
        assert content["version"] == 2
    assert told


def test_drat_proofs_and_foreign_constraints_are_refused() -> None:
    problem = a_finite(tree_problem, 0)
    with pytest.raises(UnsupportedError, match="DRAT proofs know no constraints"):
        CertificateBuilder(MODEL, problem.classifier, problem.space, proofs="drat")

    class Foreign:
        name = "foreign"

        def holds(self, points: np.ndarray) -> np.ndarray:
            return np.ones(len(points), dtype=np.bool_)

    space = replace(problem.space, constraints=(Foreign(),))
    with pytest.raises(UnsupportedError, match="constraints that are formulas"):
        BoxProver(replace(problem, space=space))
