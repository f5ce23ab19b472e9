"""The checker: accepts what is true, refuses what was tampered with, shares no code."""

from __future__ import annotations

import ast
import copy
import itertools
import json
import math
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encodings"))
from random_ensembles import every_point, problems

from whyproof.certificates import CertificateBuilder, Unproved
from whyproof.checker import Refused, check_certificate
from whyproof.checker import model as checker_model
from whyproof.checker.cells import _first
from whyproof.checker.document import digest_of
from whyproof.checker.model import Branch, Leaf, Node, TreeModel, next_above, round_to
from whyproof.encodings.trees.cells import widen
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass

CHECKER = Path(__file__).resolve().parents[2] / "bindings" / "whyproof" / "checker"
MODEL = CHECKER / "model.py"  # any file: what is read from it is replaced below


def as_read(ensemble: TreeEnsemble) -> TreeModel:
    """Return an ensemble as if the checker had read it from a file."""
    trees: list[tuple[Node, ...]] = []
    for tree in ensemble.trees:
        nodes: list[Node] = []
        for i, column in enumerate(tree.column.tolist()):
            if column < 0:
                nodes.append(Leaf(tuple(tree.values[i].tolist())))
                continue
            test = checker_model.Test(
                column,
                float(tree.boundary[i]),
                tree.categories.get(i),
                bool(tree.missing_left[i]),
                tree.zero_missing is not None and bool(tree.zero_missing[i]),
            )
            nodes.append(Branch(test, int(tree.left[i]), int(tree.right[i])))
        trees.append(tuple(nodes))
    rules = {
        DecisionRule.ARGMAX: "argmax",
        DecisionRule.POSITIVE: "positive",
        DecisionRule.VALUE: "value",
    }
    return TreeModel(
        kind="test",
        n_columns=ensemble.n_columns,
        trees=tuple(trees),
        base=tuple(ensemble.base.tolist()),
        rule=rules[ensemble.rule],  # type: ignore[arg-type]
        n_classes=len(ensemble.classes),
        divisor=ensemble.divisor,
    )


def explanations(problem: ExplanationProblem) -> list[Explanation]:
    oracle = TreeOracle(problem)
    found = (minimise(problem, oracle, kind) for kind in Kind)
    return [explanation for explanation in found if explanation is not None]


def certificate(problem: ExplanationProblem) -> dict[str, object]:
    structure = problem.classifier.structure
    assume(structure.rule is not DecisionRule.NONNEGATIVE)
    # Values that float64 rounds are not those that exact questions name.
    outcome = structure.exact_outcome(problem.instance)
    assume(structure.rule is not DecisionRule.VALUE or outcome == problem.prediction)
    builder = CertificateBuilder(MODEL, problem.classifier, problem.space)
    for explanation in explanations(problem):
        builder.add(explanation)
    return builder.content()


def check(problem: ExplanationProblem, content: object) -> None:
    """Check with the exact model in place of the one read from a file."""
    read = as_read(problem.classifier.structure)

    def predict(point: list[float]) -> int | None:
        if read.rule == "value":
            return None
        return int(problem.classifier.predict(np.array([point], dtype=np.float64))[0])

    with (
        patch("whyproof.checker.check.read_model", lambda *_: read),
        patch("whyproof.checker.check.library_of", lambda *_: ("test", predict)),
        # The random models compute exactly.
        patch.object(TreeModel, "rounding", 0),
    ):
        check_certificate(json.dumps(content), MODEL.read_bytes())


def signed(content: dict[str, object]) -> dict[str, object]:
    return {**content, "digest": digest_of(content)}


@given(problems())
@settings(max_examples=70, deadline=None)
def test_certificates_of_true_explanations_are_accepted(problem: ExplanationProblem) -> None:
    check(problem, certificate(problem))


def places(content: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """List every value inside a document by its path."""
    found = [at] if at else []
    if isinstance(content, dict):
        for key, value in content.items():
            found += places(value, (*at, key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            found += places(value, (*at, i))
    return found


def tampered(content: object, at: tuple[object, ...], how: int) -> object:
    """Return a copy with one value changed."""
    changed = copy.deepcopy(content)
    inside = changed
    for key in at[:-1]:
        inside = inside[key]  # type: ignore[index]
    old = inside[at[-1]]  # type: ignore[index]
    if isinstance(old, bool):
        new: object = not old
    elif isinstance(old, int | float):
        new = [old + 1, old - 1, -old, old * 2 + 0.25, old + 0.1, None][how % 6]
    elif isinstance(old, str):
        new = ["", old + "x", "other", "x0", "x1"][how % 5]
    elif isinstance(old, list):
        new = [[], old[1:], old[:-1], old[::-1], old + old, None][how % 6]
    elif isinstance(old, dict):
        new = [{}, dict(itertools.islice(old.items(), 1)), None, 0][how % 4]
    else:
        new = [0, 1.5, "inf", []][how % 4]
    inside[at[-1]] = new  # type: ignore[index]
    return changed


@given(problems(), st.data())
@settings(max_examples=70, deadline=None)
def test_any_change_without_a_new_digest_is_refused(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    content = certificate(problem)
    at = data.draw(st.sampled_from(places(content)))
    changed = tampered(content, at, data.draw(st.integers(0, 11)))
    if json.dumps(changed, sort_keys=True) != json.dumps(content, sort_keys=True):
        with pytest.raises(Refused):
            check(problem, changed)


@pytest.mark.slow
@given(problems(), st.data())
@settings(max_examples=300, deadline=None)
def test_what_a_forger_gets_accepted_is_still_true(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    """Change a decision or a claim, sign again: either refused, or true by brute force."""
    content = certificate(problem)
    inside = [p for p in places(content) if p[0] == "decisions"]
    changed = content
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
    for decision in changed["decisions"]:  # type: ignore[attr-defined]
        _is_true(problem, decision)


def _is_true(problem: ExplanationProblem, decision: dict) -> None:
    """Recompute by brute force what an accepted decision says."""
    numbers = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    values = [numbers[v] if v is None or isinstance(v, str) else v for v in decision["instance"]]
    region = decision["region"]
    original = problem.region
    told = {
        "epsilon": original.epsilon,
        "lower": None if original.lower is None else original.lower.tolist(),
    }
    if region["epsilon"] != told["epsilon"] or region["lower"] != told["lower"]:
        return  # another region than brute force knows here; covered by its own test
    try:
        now = ExplanationProblem(
            problem.classifier,
            problem.space,
            np.array(values, dtype=np.float64),
            problem.region,
            _question(decision["question"]),
        )
    except DataError as error:
        # Where the instance itself is what counts as a change, it is no instance; but then
        # nothing can have been proved to be free of changes.
        assert "nothing has to change" in str(error) or "lies outside" in str(error), error
        assert all(c["kind"] == "cxp" and not c["proofs"] for c in decision["claims"])
        return
    assert now.prediction == pytest.approx(decision["prediction"])
    for claim in decision["claims"]:
        members = now.space.indices(claim["features"])
        needed = members - now.space.indices(claim["open"])
        if claim["kind"] == "axp":
            free = now.universe - members
            assert not now.changed(every_point(now, free)).any()
            assert all(now.changed(every_point(now, free | {i})).any() for i in needed)
        else:
            assert now.changed(every_point(now, members)).any()
            assert not any(now.changed(every_point(now, members - {i})).any() for i in needed)


def _question(entry: dict) -> Question:
    match entry["type"]:
        case "other":
            return AnyOther()
        case "reach":
            return ReachClass(entry["class"])
        case "keep":
            return KeepMargin(entry["floor"])
        case _:
            lower = -math.inf if entry["lower"] is None else entry["lower"]
            return LeaveInterval(lower, math.inf if entry["upper"] is None else entry["upper"])


@given(problems())
@settings(max_examples=60, deadline=None)
def test_a_proof_for_a_region_serves_for_everywhere_only_if_true(
    problem: ExplanationProblem,
) -> None:
    changed = copy.deepcopy(certificate(problem))
    for decision in changed["decisions"]:  # type: ignore[attr-defined]
        decision["region"] = {"epsilon": None, "lower": None, "upper": None}
    wide = ExplanationProblem(
        problem.classifier, problem.space, problem.instance, question=problem.question
    )
    try:
        check(wide, signed(changed))
    except Refused:
        return
    for decision in changed["decisions"]:  # type: ignore[attr-defined]
        _is_true(wide, decision)


def test_the_checker_shares_no_code() -> None:
    for path in CHECKER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path
                names = [node.module or ""] if not node.level else []
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                assert not name.startswith("whyproof"), f"{path} imports {name}"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_steps_on_the_float32_grid(value: float) -> None:
    with np.errstate(over="ignore"):
        assert next_above(value, "float32") == np.nextafter(np.float32(value), np.float32(np.inf))
        assert _first(value, "float32") == widen(value, "float32")


@given(st.floats(allow_nan=False))
def test_rounding_to_float32(value: float) -> None:
    with np.errstate(over="ignore"):
        assert round_to(value, "float32") == float(np.float32(value))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "whyproof-certificate"}', "NaN", "[" * 100_000]
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        check_certificate(text, b"")


def test_nothing_unproved_is_certified() -> None:
    @given(problems())
    @settings(max_examples=20, deadline=None, database=None)
    def false_claim(problem: ExplanationProblem) -> None:
        assume(problem.classifier.structure.rule is not DecisionRule.NONNEGATIVE)
        for explanation in explanations(problem):
            if explanation.kind is Kind.AXP and explanation.members:
                nothing = Explanation(problem, Kind.AXP, frozenset(), explanation.evidence)
                builder = CertificateBuilder(MODEL, problem.classifier, problem.space)
                with pytest.raises(Unproved):
                    builder.add(nothing)

    false_claim()
