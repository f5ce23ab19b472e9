"""VNN-LIB files are read to the letter, decided, and published explanations re-checked."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import flat_space
from whyproof.encodings.networks.vnnlib import read_vnnlib
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.oracle import NetworkOracle  # noqa: E402
from whyproof.encodings.networks.recheck import Claim, recheck  # noqa: E402
from whyproof.encodings.networks.verification import Outcome, verify  # noqa: E402

DATA = Path(os.environ.get("WHYPROOF_DATA", Path(__file__).parents[2] / "../shared/data"))
NETS = DATA / "nets"


def small_model(seed: int, n: int = 3) -> ModelProto:
    rng = np.random.default_rng(seed)
    nodes, constants, at = [], [], "x"
    for i, (wide, out) in enumerate([(n, 6), (6, 5), (5, 2)]):
        for name, value in (("w", rng.normal(size=(wide, out))), ("b", rng.normal(size=out) * 0.3)):
            constants.append(numpy_helper.from_array(value.astype(np.float32), f"{name}{i}"))
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [f"z{i}"]))
        at = f"z{i}"
        if i < 2:
            nodes.append(helper.make_node("Relu", [at], [f"h{i}"]))
            at = f"h{i}"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", n])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


HEAD = "; a comment\n" + "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "X_2"))
HEAD += "(declare-const Y_0 Real)(declare-const Y_1 Real)\n"
BOX = "".join(f"(assert (>= X_{i} -0.5)) (assert (<= X_{i} 0.5))\n" for i in range(3))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.vnnlib"
    path.write_text(text)
    return path


def test_conditions_are_read_to_the_letter(tmp_path: Path) -> None:
    text = HEAD + BOX + "(assert (or (and (<= Y_0 (+ Y_1 2)) (>= Y_1 -1)) (> (* 3 Y_0) (- 4))))"
    (query,) = read_vnnlib(write(tmp_path, text), 3, 2)
    assert query.lower.tolist() == [-0.5] * 3 and query.upper.tolist() == [0.5] * 3
    first, second = query.cases
    assert first.rows.tolist() == [[1, -1], [0, -1]] and first.offset.tolist() == [-2, -1]
    assert second.rows.tolist() == [[-3, 0]] and second.offset.tolist() == [-4]


def test_boxes_inside_a_disjunction_become_queries(tmp_path: Path) -> None:
    parts = [
        "(and " + " ".join(f"(>= X_{i} {lo}) (<= X_{i} {hi})" for i in range(3)) + " (>= Y_0 1))"
        for lo, hi in ((0, 1), (2, 3))
    ]
    path = tmp_path / "p.vnnlib.gz"
    with gzip.open(path, "wt") as file:
        file.write(HEAD + f"(assert (or {' '.join(parts)}))")
    queries = read_vnnlib(path, 3, 2)
    assert [q.lower[0] for q in queries] == [0.0, 2.0]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (HEAD + "(assert (<= X_0 1)", ModelError, "line 6: a bracket is not closed"),
        (HEAD + BOX + "(assert (<= Z_0 1))", ModelError, "unknown name 'Z_0'"),
        (HEAD + BOX + "(assert (<= (* Y_0 Y_1) 1))", UnsupportedError, "product"),
        (HEAD + BOX + "(assert (<= Y_0 X_1))", UnsupportedError, "inputs and outputs"),
        (HEAD + "(assert (<= X_0 1))", ModelError, "does not bound X_0"),
        ("(declare-const X_0 Real)", ModelError, "declares 1 inputs"),
        (HEAD + "(check-sat)", ModelError, "line 6"),
    ],
)
def test_bad_specifications_are_named(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_vnnlib(write(tmp_path, text), 3, 2)


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_agree_with_dense_sampling(tmp_path: Path, seed: int) -> None:
    classifier = NetworkClassifier(small_model(seed))
    points = np.random.default_rng(1).uniform(-0.5, 0.5, size=(50_000, 3))
    outputs = classifier.outputs(points).astype(float)
    best, worst = float((outputs[:, 0] - outputs[:, 1]).max()), float(outputs[:, 0].min())
    for shift, expected in ((-0.05, Outcome.SAT), (0.6, Outcome.UNSAT)):
        bound = best + shift
        text = HEAD + BOX + f"(assert (>= (- Y_0 Y_1) {bound}))"
        queries = read_vnnlib(write(tmp_path, text), 3, 2)
        found = verify(classifier, queries, seconds=10)
        if found.outcome is Outcome.SAT:
            assert found.witness is not None and found.outputs is not None
            assert found.outputs[0] - found.outputs[1] >= bound - 1e-6
            assert (np.abs(found.witness) <= 0.5).all()
        if shift < 0:
            assert found.outcome is expected
        elif found.outcome is Outcome.UNSAT:
            assert best < bound
        # two conditions at once
        text = HEAD + BOX + f"(assert (>= (- Y_0 Y_1) {bound}))(assert (<= Y_0 {worst - 3}))"
        both = verify(classifier, read_vnnlib(write(tmp_path, text), 3, 2), seconds=10)
        assert both.outcome is not Outcome.SAT


@pytest.mark.slow
def test_published_explanations_are_proved_refuted_or_graded() -> None:
    for seed in range(4):
        classifier = NetworkClassifier(small_model(seed, 5))
        instance = np.random.default_rng(seed).random(5)
        space = flat_space(5, lower=-1, upper=2)
        problem = ExplanationProblem(classifier, space, instance, Region.ball(0.6))
        oracle = NetworkOracle(problem)
        axp = minimise(problem, oracle, Kind.AXP)
        assert axp is not None
        found = recheck(oracle, Kind.AXP, axp.members)
        assert found.claim is Claim.PROVED and found.minimal is Claim.PROVED
        rest = sorted(problem.universe - axp.members)
        if axp.members and rest:
            larger = recheck(oracle, Kind.AXP, axp.members | {rest[0]})
            assert larger.claim is Claim.PROVED and larger.minimal is Claim.REFUTED
            smaller = recheck(oracle, Kind.AXP, axp.members - {min(axp.members)})
            assert smaller.claim is Claim.REFUTED
            assert problem.changed(smaller.answer.point[None])[0]  # type: ignore[union-attr]
        cxp = minimise(problem, oracle, Kind.CXP)
        if cxp is not None:
            again = recheck(oracle, Kind.CXP, cxp.members)
            assert again.claim is Claim.PROVED and again.minimal is Claim.PROVED
        with pytest.raises(DataError, match="index 9"):
            recheck(oracle, Kind.AXP, frozenset({9}))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not NETS.is_dir(), reason="no networks: set WHYPROOF_DATA")
def test_specifications_at_hand_are_decided_as_published() -> None:
    cases = [(f"tiny/test_{k}.onnx", f"tiny/test_{k}.vnnlib", "unsat") for k in ("small", "tiny")]
    cases += [
        ("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_1.vnnlib", "unsat"),
        ("acasxu/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/prop_4.vnnlib", "unsat"),
    ]
    for model, specification, expected in cases:
        classifier = NetworkClassifier.load(NETS / model)
        n, m = classifier.n_columns, classifier.graph.n_outputs
        found = verify(classifier, read_vnnlib(NETS / specification, n, m), seconds=20)
        assert found.outcome == expected
