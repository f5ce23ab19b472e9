"""Oracles decide free sets and show why; cascades put cheap ones before exact ones.

    Oracle.decide(free sets) -> answers, one each, in order

A free set holds the features that may move within the region; all others keep the
instance's values.  `Recall` remembers evidence: a counterexample decides every free
set that contains what it moved, a core every free set that is disjoint from it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, cast

from .answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from .budget import Meter
from .explanation import Kind
from .facts import Facts
from .linear_rule import LinearRule
from .problem import ExplanationProblem
from .space import FeatureSet

__all__ = [
    "Cascade",
    "Counted",
    "Oracle",
    "OracleCounts",
    "Recall",
    "Replayed",
    "fewest_changes",
    "focused",
    "lanes",
    "linear_rules",
    "relevant",
    "shrinks_well",
]


class Oracle(Protocol):
    """Answers whether the decision can change when only some features are free.

    An incomplete oracle answers `Unknown(INCOMPLETE)` where it cannot show its side.
    """

    @property
    def name(self) -> str:
        """Short name for statistics."""
        ...

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set within the budget.

        Parameters
        ----------
        free_sets
            Feature indices that may move; immutable features are ignored.
        meter
            Budget of the run; when it is exhausted the rest is answered `Unknown`.
        """
        ...


def lanes(oracle: Oracle) -> int:
    """Return how many free sets an oracle decides at about the price of one.

    An oracle that gains from batches says so by an attribute `lanes`; wrappers are
    looked through, and without the attribute it is 1.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> lanes(SimpleNamespace(name="batched", inner=SimpleNamespace(lanes=64)))
    64
    """
    seen: object = oracle
    while seen is not None:
        width = getattr(seen, "lanes", None)
        if isinstance(width, int):
            return max(1, width)
        seen = getattr(seen, "inner", None)
    return 1


def relevant(oracle: Oracle, features: FeatureSet) -> FeatureSet:
    """Return those of some features that can matter to an oracle's answers at all.

    An oracle that knows features whose freeing changes nothing whatever the others do
    says so by an attribute `relevant`, the set of all others; wrappers are looked through.
    """
    inner: object = oracle
    while inner is not None:
        known: object = getattr(inner, "relevant", None)
        if isinstance(known, frozenset):
            return features & cast("FeatureSet", known)
        inner = getattr(inner, "inner", None)
    return features


def fewest_changes(oracle: Oracle, members: FeatureSet, meter: Meter) -> int:
    """Return how many of some features have to change at least for the decision to change.

    An oracle that can bound this without deciding the set has a method `fewest_changes` with
    the same parameters; wrappers are looked through, and without one it is 0.
    """
    inner: object = oracle
    while inner is not None:
        known: object = getattr(inner, "fewest_changes", None)
        if callable(known):
            return int(cast("int", known(members, meter)))
        inner = getattr(inner, "inner", None)
    return 0


def linear_rules(oracle: Oracle) -> Sequence[LinearRule]:
    """Return what an oracle knows about all free sets by linear bounds.

    An oracle that has such bounds says so by an attribute `linear_rules`; wrappers are
    looked through.  Asking may cost a bound; most oracles have none.
    """
    inner: object = oracle
    while inner is not None:
        known: object = getattr(inner, "linear_rules", None)
        if isinstance(known, tuple):
            return cast("tuple[LinearRule, ...]", known)
        inner = getattr(inner, "inner", None)
    return ()


def shrinks_well(oracle: Oracle) -> bool:
    """Tell whether shrinking to an explanation costs an oracle little more than a question.

    Explanations of one kind are then enumerated from seeds of the other: each is
    one question and one shrinking.  An oracle says so by an attribute `shrinks_well`.
    """
    inner: object = oracle
    while inner is not None:
        known: object = getattr(inner, "shrinks_well", None)
        if isinstance(known, bool):
            return known
        inner = getattr(inner, "inner", None)
    return False


@contextmanager
def focused(oracle: Oracle, kind: Kind) -> Generator[None, None, None]:
    """Tell an oracle for a while which kind of explanation its evidence is for.

    An AXp gains from small cores and not from sparse counterexamples, a CXp the other
    way round.  An oracle that can save effort so has an attribute `focus`, `None` when
    both matter; wrappers are looked through.
    """
    inner: object = oracle
    while inner is not None and not hasattr(inner, "focus"):
        inner = getattr(inner, "inner", None)
    if inner is None:
        yield
        return
    before: object = getattr(inner, "focus", None)
    setattr(inner, "focus", kind)  # noqa: B010  # known to be there only at run time
    try:
        yield
    finally:
        setattr(inner, "focus", before)  # noqa: B010


@dataclass
class OracleCounts:
    """How often an oracle was asked and what it said."""

    calls: int = 0
    rounds: int = 0
    counterexamples: int = 0
    entailed: int = 0
    unknown: int = 0

    def record(self, answers: Sequence[Answer]) -> None:
        """Add one batch."""
        self.calls += len(answers)
        self.rounds += 1
        for answer in answers:
            match answer:
                case Counterexample():
                    self.counterexamples += 1
                case Entailed():
                    self.entailed += 1
                case Unknown():
                    self.unknown += 1


class Counted:
    """An oracle that counts its questions (calls) and batches (rounds).

    It also keeps the budget of calls: of a batch that is larger than what is left, the
    rest is answered `Unknown(CALLS)` without being asked.
    """

    def __init__(self, inner: Oracle) -> None:
        self.inner = inner
        self.counts = OracleCounts()

    @property
    def name(self) -> str:
        """Name of the oracle inside."""
        return self.inner.name

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Pass the questions on that the budget allows, and count them."""
        limit = meter.budget.calls
        left = len(free_sets) if limit is None else max(0, limit - meter.calls)
        asked = free_sets[:left]
        answers = self.inner.decide(asked, meter) if asked else []
        self.counts.record(answers)
        meter.spend(len(asked))
        refused: list[Answer] = [Unknown(UnknownReason.CALLS)] * (len(free_sets) - len(asked))
        return answers + refused


@dataclass
class Cascade:
    """Oracles in order of cost: what one leaves unknown goes to the next.

    Parameters
    ----------
    oracles
        Cheapest first; the last one should be complete.
    """

    oracles: Sequence[Oracle]
    name: str = field(default="cascade")

    @property
    def lanes(self) -> int:
        """Of the oracles inside, the fewest lanes."""
        return min((lanes(oracle) for oracle in self.oracles), default=1)

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Ask each oracle what the earlier ones could not settle."""
        answers: list[Answer] = [Unknown(UnknownReason.INCOMPLETE)] * len(free_sets)
        open_positions = list(range(len(free_sets)))
        for oracle in self.oracles:
            if not open_positions:
                break
            reason = meter.exhausted()
            if reason is not None:
                for i in open_positions:
                    answers[i] = Unknown(reason)
                break
            batch = oracle.decide([free_sets[i] for i in open_positions], meter)
            for i, answer in zip(open_positions, batch, strict=True):
                answers[i] = answer
            open_positions = [i for i in open_positions if isinstance(answers[i], Unknown)]
        return answers


class Recall:
    """An oracle in front of another that answers from remembered evidence.

    A free set on which the oracle gave up although the budget of the run still lasted
    (its own time limit, its precision) is not asked again either.
    """

    def __init__(self, inner: Oracle, facts: Facts | None = None) -> None:
        self.inner = inner
        self.facts = facts if facts is not None else Facts()
        self._given_up: dict[FeatureSet, Unknown] = {}

    @property
    def name(self) -> str:
        """Name of the oracle inside."""
        return self.inner.name

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Answer from memory where possible, ask and remember otherwise."""
        answers: list[Answer | None] = [
            self.facts.recall(free) or self._given_up.get(free) for free in free_sets
        ]
        asked = [i for i, answer in enumerate(answers) if answer is None]
        if asked:
            batch = self.inner.decide([free_sets[i] for i in asked], meter)
            lasting = meter.exhausted() is None
            for i, answer in zip(asked, batch, strict=True):
                answers[i] = answer
                if not isinstance(answer, Unknown):
                    self.facts.remember(answer)
                elif lasting:
                    self._given_up[free_sets[i]] = answer
        return [answer for answer in answers if answer is not None]


class Replayed:
    """An oracle whose every counterexample is replayed on the model that runs.

    Raises `ReplayError` from `decide` when a point fails: that is a defect of the oracle
    inside, and no answer is given.
    """

    def __init__(self, inner: Oracle, problem: ExplanationProblem) -> None:
        self.inner = inner
        self.problem = problem

    @property
    def name(self) -> str:
        """Name of the oracle inside."""
        return self.inner.name

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Ask, then check each counterexample against the real model."""
        answers = self.inner.decide(free_sets, meter)
        for free, answer in zip(free_sets, answers, strict=True):
            if isinstance(answer, Counterexample):
                self.problem.replay(answer.point, free)
        return answers
