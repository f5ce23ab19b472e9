"""The network oracle and its explanations, against brute force and a second method."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import flat_space, image_space
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks import contrastive  # noqa: E402
from whyproof.encodings.networks import oracle as oracle_module  # noqa: E402
from whyproof.encodings.networks.attack import AttackOptions  # noqa: E402
from whyproof.encodings.networks.contrastive import Grade, SharedTree, grade  # noqa: E402
from whyproof.encodings.networks.milp import MilpOracle, confirm_answer  # noqa: E402
from whyproof.encodings.networks.oracle import NetworkOracle, OracleOptions  # noqa: E402
from whyproof.encodings.networks.oracle_data import Shared  # noqa: E402
from whyproof.encodings.networks.search import NetworkSearch  # noqa: E402
from whyproof.encodings.networks.shrinking import polish, shrink  # noqa: E402


def dense_model(seed: int, sizes: tuple[int, ...], activation: str = "Relu") -> ModelProto:
    rng = np.random.default_rng(seed)
    nodes, constants, at = [], [], "x"
    for i, (wide, out) in enumerate(itertools.pairwise(sizes)):
        for name, value in (("w", rng.normal(size=(wide, out))), ("b", rng.normal(size=out) * 0.3)):
            constants.append(numpy_helper.from_array(value.astype(np.float32), f"{name}{i}"))
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [f"z{i}"]))
        at = f"z{i}"
        if i < len(sizes) - 2:
            nodes.append(helper.make_node(activation, [at], [f"h{i}"]))
            at = f"h{i}"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, sizes[0]])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def problem_of(
    seed: int,
    n: int = 5,
    epsilon: float = 0.4,
    question: Question | None = None,
    region: Region | None = None,
    activation: str = "Relu",
) -> ExplanationProblem:
    classifier = NetworkClassifier(dense_model(seed, (n, 7, 6, 3), activation))
    instance = np.random.default_rng(seed).random(n)
    space = flat_space(n, lower=-1.0, upper=2.0)
    where = region or Region.ball(epsilon)
    if question is None:
        return ExplanationProblem(classifier, space, instance, where)
    return ExplanationProblem(classifier, space, instance, where, question)


def subsets(n: int) -> list[frozenset[int]]:
    return [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]


def by_milp(problem: ExplanationProblem) -> dict[frozenset[int], bool]:
    sets = subsets(problem.space.n_features)
    answers = MilpOracle(problem).decide(sets, Meter())
    assert not any(isinstance(a, Unknown) for a in answers)
    return {s: isinstance(a, Counterexample) for s, a in zip(sets, answers, strict=True)}


def check(problem: ExplanationProblem, free: frozenset[int], answer: Answer) -> None:
    if isinstance(answer, Counterexample):
        problem.replay(answer.point, free)
        cast = answer.point.astype(np.float32).astype(np.float64)
        moved = answer.point != problem.instance
        assert (cast == answer.point)[moved].all()
    elif isinstance(answer, Entailed):
        rng = np.random.default_rng(0)
        lower, upper = problem.region.limits(problem.space, problem.instance)
        points = np.repeat(problem.instance[None], 500, axis=0)
        chosen = sorted(free)
        share = rng.random((500, len(chosen)))
        share[:250] = share[:250].round()
        points[:, chosen] = lower[chosen] + share * (upper - lower)[chosen]
        assert not problem.changed(points).any()


@pytest.mark.parametrize("seed", range(4))
def test_all_free_sets_are_decided_like_the_mixed_integer_program(seed: int) -> None:
    problem = problem_of(seed, epsilon=(0.2, 0.4, 0.8)[seed % 3])
    truth = by_milp(problem)
    answers = NetworkOracle(problem).decide(list(truth), Meter())
    for (free, changes), answer in zip(truth.items(), answers, strict=True):
        assert isinstance(answer, Counterexample if changes else Entailed)
        check(problem, free, answer)


@pytest.mark.parametrize("question", [ReachClass(0), ReachClass(1), ReachClass(2), KeepMargin(0.7)])
def test_other_questions_agree_with_the_second_method(question: Question) -> None:
    for seed in range(2):
        try:
            problem = problem_of(seed, 4, 0.8, question)
        except DataError:
            continue
        sets = subsets(4)
        first = NetworkOracle(problem).decide(sets, Meter())
        second = MilpOracle(problem).decide(sets, Meter())
        for free, a, b in zip(sets, first, second, strict=True):
            assert confirm_answer(a, b)
            assert not isinstance(a, Unknown)
            check(problem, free, a)


def test_regressors_leave_intervals() -> None:
    classifier = NetworkClassifier(dense_model(1, (3, 5, 1)))
    instance = np.array([0.2, 0.3, 0.4])
    value = float(classifier.predict(instance[None])[0])
    for width in (0.05, 0.5, 50.0):
        problem = ExplanationProblem(
            classifier,
            flat_space(3, lower=-1, upper=1),
            instance,
            Region.ball(0.3),
            LeaveInterval(value - width, value + width),
        )
        sets = subsets(3)
        first = NetworkOracle(problem).decide(sets, Meter())
        second = MilpOracle(problem).decide(sets, Meter())
        for free, a, b in zip(sets, first, second, strict=True):
            assert confirm_answer(a, b) and not isinstance(a, Unknown)
            check(problem, free, a)


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_explanations_are_minimal_sets_of_the_truth(seed: int) -> None:
    problem = problem_of(seed, epsilon=0.6)
    truth = by_milp(problem)
    everything = problem.universe
    oracle = NetworkOracle(problem)
    cxp = minimise(problem, oracle, Kind.CXP, strategy=NetworkSearch(oracle))
    assert (cxp is None) == (not truth[everything])
    if cxp is not None:
        assert cxp.status is Status.MINIMAL
        assert truth[cxp.members] and not any(truth[cxp.members - {i}] for i in cxp.members)
        graded = grade(oracle, cxp.members, 2.0)
        assert graded.smaller is None and graded.at_least <= len(cxp)
        assert all(not changes for s, changes in truth.items()
                   if s < cxp.members and len(s) < graded.at_least)  # fmt: skip
    axp = minimise(problem, oracle, Kind.AXP, strategy=NetworkSearch(oracle))
    assert axp is not None and axp.status is Status.MINIMAL
    assert not truth[everything - axp.members]
    assert all(truth[everything - axp.members | {i}] for i in axp.members)


def test_enumeration_is_complete_and_dual() -> None:
    problem = problem_of(2, epsilon=0.7)
    truth = by_milp(problem)
    everything = problem.universe
    oracle = NetworkOracle(problem)
    found = enumerate_explanations(problem, oracle, strategy=NetworkSearch(oracle))
    kinds: dict[Kind, set[frozenset[int]]] = {Kind.AXP: set(), Kind.CXP: set()}
    for explanation in found:
        kinds[explanation.kind].add(explanation.members)
    changing = {s for s, changes in truth.items() if changes}
    assert kinds[Kind.CXP] == {s for s in changing if not any(r < s for r in changing)}
    forcing = {everything - s for s, changes in truth.items() if not changes}
    assert kinds[Kind.AXP] == {s for s in forcing if not any(r < s for r in forcing)}


@pytest.mark.parametrize("seed", range(2))
def test_shared_trees_answer_every_question_they_share(seed: int) -> None:
    problem = problem_of(seed, epsilon=0.5)
    truth = by_milp(problem)
    oracle = NetworkOracle(problem)
    for free in subsets(5):
        if len(free) < 2:
            continue
        shared = oracle.obligations(free)
        for i in shared.proved:
            assert not truth[free - {i}]
        for i, witness in shared.refuted.items():
            assert truth[free - {i}] and i not in witness.moved
        assert not shared.open or shared.refuted
        rest = problem.universe - free
        if not truth[free] and rest:
            more = oracle.extensions(free, rest)
            assert not more.open
            assert more.proved == {i for i in rest if not truth[free | {i}]}
            for i, witness in more.refuted.items():
                assert witness.moved <= free | {i}
    for m in range(1, 5):
        answer = oracle.at_most(problem.universe, m)
        expected = any(changes for s, changes in truth.items() if len(s) <= m)
        if not isinstance(answer, Unknown):
            assert isinstance(answer, Counterexample) == expected


@pytest.mark.parametrize("norm", ["l1", "l2", "l0"])
def test_other_norms_answer_within_their_ball(norm: str) -> None:
    decided = 0
    for seed in range(6):
        radius = 2.0 if norm == "l0" else 0.5
        problem = problem_of(seed, region=Region(norm=norm, epsilon=radius))  # type: ignore[arg-type]
        oracle = NetworkOracle(problem)
        answers = oracle.decide([problem.universe, frozenset({0, 1})], Meter())
        for free, answer in zip([problem.universe, frozenset({0, 1})], answers, strict=True):
            decided += not isinstance(answer, Unknown)
            if isinstance(answer, Counterexample):
                problem.replay(answer.point, free)
    assert decided > 4


def test_epsilons_per_column_and_groups_move_together() -> None:
    classifier = NetworkClassifier(dense_model(4, (12, 6, 3)))
    space = image_space((1, 2, 2, 3), lower=-1.0, upper=1.0)
    instance = np.random.default_rng(0).random(12)
    epsilon = np.tile([0.0, 0.3, 0.9], 4)
    problem = ExplanationProblem(classifier, space, instance, Region.ball(epsilon))
    truth = by_milp(problem)
    oracle = NetworkOracle(problem)
    for free, answer in zip(truth, oracle.decide(list(truth), Meter()), strict=True):
        assert isinstance(answer, Counterexample) == truth[free]
        if isinstance(answer, Counterexample):
            assert (answer.point[::3] == instance[::3]).all()


def test_attacks_shrink_to_sets_that_no_attack_can_shorten() -> None:
    problem = problem_of(0, 8, 0.8)
    oracle = NetworkOracle(problem)
    (witness,) = oracle.attack(oracle.place.movable[None], AttackOptions(steps=30, restarts=3))
    assert witness is not None
    small = shrink(oracle, witness)
    assert small.moved <= witness.moved
    problem.replay(small.point, small.moved)


def test_rows_attacked_in_parts_are_those_attacked_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = problem_of(0, 5, 0.6)
    sets = subsets(5)
    oracle = NetworkOracle(problem)
    masks = oracle.place.mask(sets)
    aim = torch.arange(len(sets)) % 2
    options = AttackOptions(steps=10)
    together = oracle.attack(masks, options, aim=aim)
    monkeypatch.setattr(oracle_module, "_CACHED", 1)
    monkeypatch.setattr(oracle_module, "_FEW_ROWS", 3)
    apart = oracle.attack(masks, options, aim=aim)
    assert [a is None for a in together] == [b is None for b in apart]
    for free, witness in zip(sets, apart, strict=True):
        if witness is not None:
            problem.replay(witness.point, free)


@pytest.mark.parametrize("seed", range(4))
def test_polishing_stays_within_what_may_move_and_never_grows(seed: int) -> None:
    problem = problem_of(seed, 8, 0.8)
    oracle = NetworkOracle(problem)
    (witness,) = oracle.attack(oracle.place.movable[None], AttackOptions(steps=30, restarts=3))
    if witness is None:
        return
    small = shrink(oracle, witness)
    within = small.moved | frozenset(range(5))
    better = polish(oracle, small, within, 1.0, patience=2)
    assert better.moved <= within and len(better.moved) <= len(small.moved)
    problem.replay(better.point, better.moved)


def test_trees_that_end_at_a_glance_or_not_give_minimal_sets_of_the_truth() -> None:
    for seed in range(4):
        problem = problem_of(seed, 5, 0.6)
        truth = by_milp(problem)
        oracle = NetworkOracle(problem)
        search = SharedTree(oracle, glance=0.0)
        found = minimise(problem, oracle, Kind.CXP, strategy=search)
        if found is None:
            assert not truth[problem.universe]
            continue
        assert found.status is Status.MINIMAL and truth[found.members]
        assert not any(truth[found.members - {i}] for i in found.members)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_speak_for_more_sets_than_were_asked_about(seed: int) -> None:
    problem = problem_of(seed, epsilon=(0.05, 0.1, 0.2, 0.4)[seed % 4])
    truth = by_milp(problem)
    oracle = NetworkOracle(problem, OracleOptions(generalise=True))
    for free, changes in truth.items():
        (answer,) = oracle.decide([free], Meter())
        assert isinstance(answer, Counterexample) == changes
        if isinstance(answer, Entailed):
            assert not answer.core & free
            assert not truth[problem.universe - answer.core]
    for rule in oracle.linear_rules:
        assert rule.at_least <= min(
            (len(s) for s, changes in truth.items() if changes),
            default=problem.space.n_features + 1,
        )
        for free, changes in truth.items():
            known = rule.answer(free)
            assert known is None or not changes
            assert known is None or not truth[problem.universe - known.core]
    # Once the rules are known they answer, and enumeration with them stays complete.
    run = enumerate_explanations(problem, oracle, kinds=[Kind.CXP])
    found = {e.members for e in run}
    changing = {s for s, changes in truth.items() if changes}
    assert run.complete and found == {s for s in changing if not any(t < s for t in changing)}


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_single_precision_never_contradicts_the_program(seed: int) -> None:
    problem = problem_of(seed, epsilon=(0.2, 0.4, 0.8)[seed])
    truth = by_milp(problem)
    # What lies within the rounding error of single precision is left to the program.
    options = OracleOptions(glance=0.1, tree_seconds=2.0)
    oracle = NetworkOracle(problem, options, dtype=torch.float32)
    decided = 0
    sets = list(truth)[::3]
    for free, answer in zip(sets, oracle.decide(sets, Meter()), strict=True):
        if not isinstance(answer, Unknown):
            assert isinstance(answer, Counterexample) == truth[free]
            check(problem, free, answer)
            decided += 1
    assert decided > len(sets) / 2


def test_an_undecided_region_is_graded() -> None:
    graded = 0
    for seed in range(4):
        problem = problem_of(seed, 5, 0.3)
        truth = by_milp(problem)
        changing = [len(s) for s, changes in truth.items() if changes]
        oracle = NetworkOracle(problem)
        found = oracle.fewest_changes(problem.universe, Meter())
        assert found <= min(changing, default=len(problem.universe))
        graded += found > 1

        class Unsure:
            name = "unsure"
            inner = oracle

            def decide(self, free_sets: list[frozenset[int]], meter: Meter) -> list[Answer]:
                return [Unknown(UnknownReason.TIME)] * len(free_sets)

        answer = minimise(problem, Unsure(), Kind.CXP)
        assert answer is not None and answer.status is Status.UNKNOWN
        assert answer.at_least == found
    assert graded


def test_grades_stand_in_for_trees_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(0, 5, 0.2)
    oracle = NetworkOracle(problem)
    tree = oracle.obligations

    def endless(free: frozenset[int], seconds: float | None = None) -> Shared:
        found = tree(free, 0.0)
        return replace(found, proved=frozenset(), open=free, refuted={})

    monkeypatch.setattr(oracle, "obligations", endless)
    search = SharedTree(oracle, singles=0)
    found = minimise(problem, oracle, Kind.CXP, strategy=search)
    assert found is not None and found.status is Status.MINIMAL
    assert set(found.necessity) == set(found.members)
    truth = by_milp(problem)
    assert not any(truth[found.members - {i}] for i in found.members)
    monkeypatch.setattr(contrastive, "grade", lambda *_: Grade(2, 0.1))
    graded = minimise(problem, oracle, Kind.CXP, strategy=search, recall=False)
    assert graded is not None and len(graded) > 2 and graded.status is Status.WEAK
    assert graded.at_least == 2 and graded.as_json()["at_least"] == 2


def test_time_limits_leave_elements_open_and_never_guess() -> None:
    problem = problem_of(1, 8, 0.5)
    oracle = NetworkOracle(problem)
    cxp = minimise(problem, oracle, Kind.CXP, strategy=NetworkSearch(oracle, seconds=1e-9))
    if cxp is not None:
        assert isinstance(cxp.evidence, (Counterexample, Unknown))
        assert set(cxp.necessity) == set(cxp.members) - cxp.open


def test_bad_problems_are_refused_by_name() -> None:
    classifier = NetworkClassifier(dense_model(0, (3, 4, 3)))
    with pytest.raises(DataError, match="'x1' may move without limit"):
        bounded = flat_space(3)
        lower = np.array([-1.0, -np.inf, -1.0])
        upper = np.array([1.0, np.inf, 1.0])
        region = Region.box(lower, upper)
        NetworkOracle(ExplanationProblem(classifier, bounded, np.zeros(3), region))
    with pytest.raises(DataError, match="3 inputs"):
        ExplanationProblem(classifier, flat_space(4), np.zeros(4))
    with pytest.raises(UnsupportedError, match="piecewise linear"):
        MilpOracle(problem_of(0, activation="Tanh"))


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh"])
def test_s_shaped_networks_answer_soundly(activation: str) -> None:
    problem = problem_of(3, 3, 0.5, activation=activation)
    oracle = NetworkOracle(problem, OracleOptions(tree_seconds=0.3))
    sets = subsets(3)
    answers = oracle.decide(sets, Meter())
    for free, answer in zip(sets, answers, strict=True):
        check(problem, free, answer)


def test_the_default_search_hands_over_and_classifiers_travel() -> None:
    problem = problem_of(2, epsilon=0.7)
    oracle = NetworkOracle(problem)
    cxp = minimise(problem, oracle, Kind.CXP)
    assert cxp is not None and cxp.status is Status.MINIMAL and oracle.tally.trees >= 1
    classifier = problem.classifier
    again = pickle.loads(pickle.dumps(classifier))
    assert again.fingerprint == classifier.fingerprint
    points = np.random.default_rng(0).random((4, 5))
    assert (again.scores(points) == classifier.scores(points)).all()
