"""Other verifiers: their witnesses are replayed, their failures are unknown."""

from __future__ import annotations

import itertools
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import flat_space
from whyproof.encodings.networks.vnnlib import BoxQuery, Condition, read_vnnlib
from whyproof.engine.answers import Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError, MissingExtraError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.external import (  # noqa: E402
    CommandVerifier,
    ExternalOracle,
    restricted_model,
    write_vnnlib,
)
from whyproof.encodings.networks.marabou import MarabouVerifier  # noqa: E402
from whyproof.encodings.networks.oracle import NetworkOracle  # noqa: E402

FAKE = Path(__file__).with_name("fake_verifier.py")


def problem_of(seed: int, epsilon: float = 0.4) -> ExplanationProblem:
    """A linear network of 4 inputs and 3 classes: its extremes are corners."""
    rng = np.random.default_rng(seed)
    weight = numpy_helper.from_array(rng.normal(size=(4, 3)).astype(np.float32), "w")
    bias = numpy_helper.from_array(rng.normal(size=3).astype(np.float32) * 0.1, "b")
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [weight, bias],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    space = flat_space(4, lower=0.0, upper=1.0)
    image = rng.random(4).astype(np.float32).astype(np.float64)
    return ExplanationProblem(NetworkClassifier(model), space, image, Region.ball(epsilon))


def command(mode: str) -> CommandVerifier:
    return CommandVerifier(f"{sys.executable} {FAKE} {{onnx}} {{vnnlib}} {{result}} {mode}", mode)


@pytest.mark.slow
def test_a_command_decides_like_our_own_oracle() -> None:
    agreed = set()
    for seed in range(4):
        problem = problem_of(seed)
        own = NetworkOracle(problem)
        other = ExternalOracle(problem, command("honest"), seconds=30)
        sets = [frozenset(), frozenset({0}), frozenset({1, 2}), problem.universe]
        meter = Budget().start()
        pairs = zip(own.decide(sets, meter), other.decide(sets, meter), sets, strict=True)
        for mine, theirs, free in pairs:
            assert type(mine) is type(theirs)
            agreed.add(type(theirs))
            if isinstance(theirs, Counterexample):
                assert theirs.moved <= free
                assert bool(problem.changed(theirs.point[None])[0])
    assert agreed == {Counterexample, Entailed}


@pytest.mark.slow
def test_false_witnesses_and_failures_are_unknown() -> None:
    problem = problem_of(1, epsilon=1e-4)
    assert isinstance(NetworkOracle(problem).settle(problem.universe, 5.0), Entailed)
    for mode, words in (("liar", "witness"), ("silent", "witness"), ("broken", "licence")):
        oracle = ExternalOracle(problem, command(mode), seconds=20)
        (answer,) = oracle.decide([problem.universe], Budget().start())
        assert isinstance(answer, Unknown) and words in answer.detail
    slow = ExternalOracle(problem, command("slow"), seconds=0.5)
    (answer,) = slow.decide([problem.universe], Budget().start())
    assert isinstance(answer, Unknown) and answer.reason is UnknownReason.TIME


def test_commands_that_cannot_work_are_refused() -> None:
    with pytest.raises(InputError, match="vnnlib"):
        CommandVerifier("prog {onnx}")
    oracle = ExternalOracle(problem_of(0), CommandVerifier("/no/such/tool {onnx} {vnnlib}"))
    with pytest.raises(InputError, match="cannot be run"):
        oracle.decide([frozenset({0, 1})], Budget().start())


def test_the_restricted_network_is_the_network() -> None:
    rng = np.random.default_rng(0)
    problem = problem_of(2)
    classifier = problem.classifier
    assert isinstance(classifier, NetworkClassifier)
    columns = np.array([1, 3])
    small = NetworkClassifier(restricted_model(classifier.model, columns, problem.instance))
    for _ in range(20):
        values = rng.random(2)
        point = problem.instance.copy()
        point[columns] = values
        assert np.array_equal(small.outputs(values[None]), classifier.outputs(point[None]))


def test_written_specifications_are_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        cases = tuple(
            Condition(rng.normal(size=(k, 3)) * 10.0 ** rng.integers(-9, 4), rng.normal(size=k))
            for k in (1, 2)
        )
        low = rng.normal(size=2) * 1e-7
        path = tmp_path / "q.vnnlib"
        path.write_text(write_vnnlib(BoxQuery(low, low + 1e-9, cases)))
        (query,) = read_vnnlib(path, 2, 3)
        assert np.array_equal(query.lower, low) and len(query.cases) == 2
        for found, case in zip(query.cases, cases, strict=True):
            assert np.allclose(found.rows, case.rows, rtol=1e-15)
            assert np.allclose(found.offset, case.offset, rtol=1e-15)


class FakeNetwork:
    """What ``maraboupy`` hands out, deciding by corners."""

    def __init__(self, path: str) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.entry = self.session.get_inputs()[0]
        k = self.entry.shape[1]
        self.inputVars = [np.arange(k)[None]]
        self.outputVars = [np.arange(k, k + 3)[None]]
        self.low, self.high = np.zeros(k), np.zeros(k)
        self.rows: list[tuple[list[int], list[float], float]] = []

    def setLowerBound(self, variable: int, value: float) -> None:
        self.low[variable] = value

    def setUpperBound(self, variable: int, value: float) -> None:
        self.high[variable] = value

    def addInequality(self, names: list[int], numbers: list[float], limit: float) -> None:
        self.rows.append((names, numbers, limit))

    def solve(self, options: Any, verbose: bool) -> tuple[str, dict[int, float], None]:
        if bool((self.low == self.high).any()):
            return "unsat", {}, None  # the known fault with inputs that cannot move
        for corner in itertools.product((0, 1), repeat=len(self.low)):
            x = np.where(np.array(corner) > 0, self.high, self.low).astype(np.float32)
            y = self.session.run(None, {self.entry.name: x[None]})[0].ravel()
            values = dict(enumerate([*x.tolist(), *y.tolist()]))
            if all(
                sum(values[v] * c for v, c in zip(names, numbers, strict=True)) <= limit
                for names, numbers, limit in self.rows
            ):
                return "sat", values, None
        return "unsat", {}, None


def test_marabou_is_asked_with_fixed_inputs_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = types.ModuleType("maraboupy"), types.ModuleType("maraboupy.Marabou")
    module.read_onnx = FakeNetwork  # type: ignore[attr-defined]
    module.createOptions = lambda **options: options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "maraboupy", package)
    monkeypatch.setitem(sys.modules, "maraboupy.Marabou", module)
    for seed in range(4):
        problem = problem_of(seed)
        own = NetworkOracle(problem)
        other = ExternalOracle(problem, MarabouVerifier(), seconds=30)
        sets = [frozenset({0}), frozenset({1, 2}), problem.universe]
        meter = Budget().start()
        for mine, theirs in zip(own.decide(sets, meter), other.decide(sets, meter), strict=True):
            assert type(mine) is type(theirs)


def test_without_marabou_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maraboupy.Marabou", None)
    oracle = ExternalOracle(problem_of(0), MarabouVerifier())
    with pytest.raises(MissingExtraError, match="marabou"):
        oracle.decide([frozenset({0, 1})], Budget().start())


def test_too_large_networks_are_refused_before_they_take_memory() -> None:
    from whyproof.encodings.networks.oracle import OracleOptions

    problem = problem_of(0)
    with pytest.raises(UnsupportedError, match=r"GiB.*batch"):
        NetworkOracle(problem, OracleOptions(memory=1 << 20))
    assert NetworkOracle(problem, OracleOptions(memory=4 << 30)).lanes > 0


def test_programs_agree_with_trees_on_random_questions() -> None:
    from whyproof.encodings.networks.milp import MilpOracle

    rng = np.random.default_rng(1)
    for seed in range(4):
        problem = problem_of(seed, 0.3)
        own, program = NetworkOracle(problem), MilpOracle(problem)
        sets = [frozenset(np.flatnonzero(rng.random(4) < 0.6).tolist()) for _ in range(6)]
        meter = Budget().start()
        for mine, theirs in zip(own.decide(sets, meter), program.decide(sets, meter), strict=True):
            assert type(mine) is type(theirs)


def test_gurobi_decides_like_highs_where_it_is_installed() -> None:
    pytest.importorskip("gurobipy", reason="no gurobipy")
    from whyproof.encodings.networks.milp import MilpOracle

    rng = np.random.default_rng(2)
    for seed in range(4):
        problem = problem_of(seed, 0.3)
        sets = [frozenset(np.flatnonzero(rng.random(4) < 0.6).tolist()) for _ in range(6)]
        meter = Budget().start()
        highs = MilpOracle(problem).decide(sets, meter)
        gurobi = MilpOracle(problem, solver="gurobi").decide(sets, meter)
        assert [type(a) for a in highs] == [type(a) for a in gurobi]
        for free, answer in zip(sets, gurobi, strict=True):
            if isinstance(answer, Counterexample):
                problem.replay(answer.point, free)


def test_a_program_beyond_gurobis_licence_goes_to_highs(monkeypatch: pytest.MonkeyPatch) -> None:
    from whyproof.encodings.networks import milp

    monkeypatch.setattr(milp, "checked_solver", lambda name: name)
    monkeypatch.setattr(milp, "solve_with_gurobi", lambda program, seconds: None)
    problem = problem_of(1, 0.3)
    sets = [frozenset({0, 1}), problem.universe]
    meter = Budget().start()
    theirs = milp.MilpOracle(problem, solver="gurobi").decide(sets, meter)
    ours = milp.MilpOracle(problem).decide(sets, meter)
    assert [type(a) for a in ours] == [type(a) for a in theirs]


def test_solvers_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from whyproof.encodings.networks.milp import MilpOracle

    with pytest.raises(InputError, match="highs, gurobi"):
        MilpOracle(problem_of(0), solver="cplex")
    monkeypatch.setitem(sys.modules, "gurobipy", None)
    with pytest.raises(MissingExtraError, match="gurobi"):
        MilpOracle(problem_of(0), solver="gurobi")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_gives_the_same_verdicts() -> None:
    for seed in range(4):
        problem = problem_of(seed, 0.3)
        sets = [frozenset({0}), frozenset({1, 2}), frozenset({0, 1, 3}), problem.universe]
        meter = Budget().start()
        here = NetworkOracle(problem).decide(sets, meter)
        there = NetworkOracle(problem, device="cuda").decide(sets, meter)
        assert [type(a) for a in here] == [type(a) for a in there]
