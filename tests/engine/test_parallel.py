"""Searches in several processes: the same answers, useless calls ended, losses survived."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import InputError
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.minimal import SwiftCXp
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Oracle
from whyproof.engine.parallel.crew import Crew, Desk, Lost
from whyproof.engine.parallel.marco import enumerate_in_parallel
from whyproof.engine.parallel.oracle import ParallelOracle
from whyproof.engine.parallel.portfolio import first_answer
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet
from whyproof.engine.toy import toy

CXPS = [{0, 1}, {2}, {1, 3, 4}, {0, 5}, {4, 5}]


class Slow:
    """A toy's oracle that takes its time; it looks at the meter only if it is polite."""

    def __init__(self, inner: Oracle, seconds: float, polite: bool) -> None:
        self.inner, self.seconds, self.polite = inner, seconds, polite
        self.name = "slow"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        until = time.monotonic() + self.seconds * len(free_sets)
        while time.monotonic() < until:
            time.sleep(0.002)
            reason = meter.exhausted() if self.polite else None
            if reason is not None:
                return [Unknown(reason)] * len(free_sets)
        return self.inner.decide(free_sets, meter)


class Deadly:
    """Kills its process the first time, as a file remembers."""

    def __init__(self, inner: Oracle, mark: str, always: bool) -> None:
        self.inner, self.mark, self.always = inner, mark, always
        self.name = "deadly"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        if self.always or not os.path.exists(self.mark):
            with open(self.mark, "w"):
                pass
            os._exit(7)
        return self.inner.decide(free_sets, meter)


def slow(
    n: int, cxps: Sequence[Collection[int]], seconds: float, polite: bool
) -> tuple[ExplanationProblem, Oracle]:
    problem, oracle = toy(n, cxps)
    return problem, Slow(oracle, seconds, polite)


def deadly(mark: str, always: bool) -> tuple[ExplanationProblem, Oracle]:
    problem, oracle = toy(6, CXPS)
    return problem, Deadly(oracle, mark, always)


def sets(found: Collection[object]) -> set[tuple[str, tuple[int, ...]]]:
    return {(str(e.kind), e.indices) for e in found}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def oracle() -> Iterator[ParallelOracle]:
    with ParallelOracle(partial(toy, 6, CXPS), 2) as parallel:
        yield parallel


@given(st.lists(st.frozensets(st.integers(0, 5)), min_size=1, max_size=9))
@settings(max_examples=25)
def test_answers_are_those_of_one_process(
    oracle: ParallelOracle, free_sets: list[FeatureSet]
) -> None:
    problem, alone = toy(6, CXPS)
    expected = alone.decide(free_sets, Meter())
    for free, told, right in zip(
        free_sets, oracle.decide(free_sets, Meter()), expected, strict=True
    ):
        assert type(told) is type(right)
        if isinstance(told, Counterexample):
            assert told.moved <= free
            problem.replay(told.point, free)
        else:
            assert isinstance(told, Entailed)
            assert not told.core & free


@pytest.mark.parametrize("kind", list(Kind))
def test_swift_over_processes_is_minimal(oracle: ParallelOracle, kind: Kind) -> None:
    problem, alone = toy(6, CXPS)
    found = minimise(problem, oracle, kind, strategy=SwiftCXp(q=4))
    every = enumerate_explanations(problem, alone, kinds=[kind])
    assert found is not None
    assert found.status is Status.MINIMAL
    assert sets([found]) <= sets(list(every))


@pytest.mark.parametrize("polite", [True, False])
def test_useless_calls_are_ended(polite: bool) -> None:
    """The whole set changes it at once; its subset's slow call is then spared or not asked."""
    make = partial(slow, 4, [{0}], 0.05, polite)
    with ParallelOracle(make, 2) as parallel:
        chain = [frozenset(range(n)) for n in (1, 2, 3, 4)]
        answers = parallel.decide(chain, Meter())
        assert all(isinstance(answer, Counterexample) for answer in answers)
        assert parallel.saved >= 2
        # The processes are usable afterwards.
        assert isinstance(parallel.decide([frozenset({3})], Meter())[0], Entailed)


def test_a_budget_ends_parallel_questions() -> None:
    with ParallelOracle(partial(slow, 4, [{0}], 30.0, True), 2) as parallel:
        answers = parallel.decide([frozenset({1})], Budget(seconds=0.3).start())
        assert answers == [Unknown(UnknownReason.TIME)]


def test_a_job_that_does_not_listen_is_killed_and_replaced() -> None:
    with Crew(partial(slow, 4, [{0}], 30.0, False), 1) as crew:
        crew.give(0, _decide, (frozenset({0}),), None)
        time.sleep(0.1)
        crew.call_off(0)
        until = time.monotonic() + 60
        while not crew.idle and time.monotonic() < until:
            crew.listen(0.1)
        assert crew.idle == [0]


def _decide(desk: Desk, free: FeatureSet) -> Answer:
    return desk.oracle.decide([free], desk.meter)[0]


@given(st.lists(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=6))
@settings(max_examples=4)
@pytest.mark.slow
def test_parallel_marco_finds_what_marco_finds(cxps: list[FeatureSet]) -> None:
    problem, alone = toy(6, cxps)
    expected = sets(list(enumerate_explanations(problem, alone)))
    run = enumerate_in_parallel(problem, alone, partial(toy, 6, cxps), 3)
    found = list(run)
    assert run.complete
    assert sets(found) == expected
    assert len(found) == len(expected)
    assert all(e.status is Status.MINIMAL for e in found)


def test_parallel_marco_goes_on_from_what_is_known_and_stops_in_time() -> None:
    problem, alone = toy(6, CXPS)
    every = list(enumerate_explanations(problem, alone))
    run = enumerate_in_parallel(problem, alone, partial(toy, 6, CXPS), 2, known=every[:4])
    assert sets(list(run)) == sets(every[4:])
    assert run.complete
    make = partial(slow, 6, CXPS, 30.0, True)
    late = enumerate_in_parallel(problem, alone, make, 2, budget=Budget(seconds=0.5))
    assert not list(late)
    assert not late.complete
    assert late.stopped_by is UnknownReason.TIME


@pytest.mark.parametrize("always", [False, True])
def test_a_parallel_search_survives_the_loss_of_a_process(tmp_path: object, always: bool) -> None:
    problem, alone = toy(6, CXPS)
    make = partial(deadly, f"{tmp_path}/mark", always)
    run = enumerate_in_parallel(problem, alone, make, 1)
    if always:
        with pytest.raises(InputError, match="again and again"):
            list(run)
        return
    assert sets(list(run)) == sets(list(enumerate_explanations(problem, alone)))


def test_a_portfolio_returns_a_minimal_explanation_and_its_strategy() -> None:
    problem, _ = toy(6, CXPS)
    won = first_answer(problem, partial(toy, 6, CXPS), Kind.CXP, ["witness", "deletion"])
    assert won.strategy in ("witness", "deletion")
    assert won.explanation is not None
    assert won.explanation.status is Status.MINIMAL
    none, _ = toy(3, [])
    assert first_answer(none, partial(toy, 3, []), Kind.CXP, ["witness"]).explanation is None
    with pytest.raises(InputError, match="nobody"):
        first_answer(problem, partial(toy, 6, CXPS), Kind.CXP, ["nobody"])


def test_a_lost_question_is_unknown_not_an_answer(tmp_path: object) -> None:
    with ParallelOracle(partial(deadly, f"{tmp_path}/mark", True), 1) as parallel:
        (answer,) = parallel.decide([frozenset({0})], Meter())
    assert isinstance(answer, Unknown)
    assert "died" in answer.detail
    assert Lost("x").reason == "x"
