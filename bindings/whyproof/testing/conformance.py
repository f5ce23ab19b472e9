"""What every oracle promises, as checks that raise with the reason.

A check is handed a `Subject`: a problem, a function that makes the oracle of a problem, and
points among which to look for contradictions.  Where the space is finite and small the
points are all of it, and agreement with brute force is complete; elsewhere points can only
refute.  The model that runs has the last word everywhere.

The idea of a reusable suite is scikit-learn's `parametrize_with_checks`; fixing the input and
comparing with the model's own prediction is that of gurobi-machinelearning.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import numpy as np

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import InputError, ReplayError, WhyproofError
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Points

__all__ = ["Check", "ConformanceError", "Subject", "check_oracle", "conformance_checks"]

_MOST_POINTS = 50_000
_MOST_SETS = 64


class ConformanceError(WhyproofError, AssertionError):
    """An oracle breaks a promise; the message says which, and for which free set."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is checked.

    Parameters
    ----------
    problem
        Any problem that the oracle decides.
    make_oracle
        Makes the oracle of a problem; called anew for each check.
    points
        Rows to look for contradictions among, shape ``(rows, columns)``; by default all points
        of a small finite space, else random ones and the instance's neighbours.
    complete
        Whether the oracle has to decide everything; an incomplete one may say `Unknown`.
    seed
        For the choice of free sets and points.
    """

    problem: ExplanationProblem
    make_oracle: Callable[[ExplanationProblem], Oracle]
    points: Points | None = None
    complete: bool = True
    seed: int = 0

    @cached_property
    def is_finite(self) -> bool:
        """Whether the points are all that there are."""
        return self.points is None and _count(self.problem) <= _MOST_POINTS

    @cached_property
    def rows(self) -> Points:
        """Admissible points of the region."""
        if self.points is not None:
            rows = np.asarray(self.points, dtype=np.float64)
        elif self.is_finite:
            rows = np.array(list(itertools.product(*_values(self.problem))))
        else:
            rows = _random_points(self.problem, Random(self.seed))
        return _admissible(self.problem, rows)

    @cached_property
    def moves(self) -> list[FeatureSet]:
        """What each point moves that changes the decision."""
        changed = self.rows[self.problem.changed(self.rows)] if len(self.rows) else self.rows
        return list({self.problem.space.moved(self.problem.instance, row) for row in changed})

    @cached_property
    def free_sets(self) -> list[FeatureSet]:
        """All free sets of a few features, else a random choice with both ends."""
        universe = sorted(self.problem.universe)
        if 2 ** len(universe) <= _MOST_SETS:
            return [
                frozenset(chosen)
                for size in range(len(universe) + 1)
                for chosen in itertools.combinations(universe, size)
            ]
        random = Random(self.seed)
        chosen = [
            frozenset(random.sample(universe, random.randint(1, len(universe) - 1)))
            for _ in range(_MOST_SETS - 2)
        ]
        return [frozenset(), *chosen, frozenset(universe)]

    def ask(self, free_sets: Sequence[FeatureSet], meter: Meter | None = None) -> list[Answer]:
        """Ask a new oracle."""
        return self.make_oracle(self.problem).decide(free_sets, meter or Meter())


@dataclass(frozen=True, slots=True)
class Check:
    """One promise; call it with a subject.

    Parameters
    ----------
    name
        For test reports.
    run
        Raises `ConformanceError` if the promise is broken.
    """

    name: str
    run: Callable[[Subject], None]

    def __call__(self, subject: Subject) -> None:
        """Check the promise."""
        self.run(subject)

    def __str__(self) -> str:
        return self.name


def conformance_checks() -> list[Check]:
    """Return all checks.

    Examples
    --------
    >>> from whyproof.engine.toy import toy, ToyOracle
    >>> problem, _ = toy(4, [{0, 1}, {2}])
    >>> subject = Subject(problem, lambda asked: ToyOracle(problem.classifier))
    >>> for check in conformance_checks():
    ...     check(subject)
    """
    return [
        Check("fixed inputs round trip", fixed_inputs_round_trip),
        Check("witnesses replay", witnesses_replay),
        Check("answers are monotone", answers_are_monotone),
        Check("cores suffice", cores_suffice),
        Check("points agree", points_agree),
        Check("batches agree with single questions", batches_agree),
        Check("an ended budget is never an answer", ended_budgets_are_no_answers),
        Check("immutable features stay", immutable_features_stay),
        Check("explanations are dual", explanations_are_dual),
    ]


def check_oracle(subject: Subject) -> None:
    """Run all checks.

    Raises
    ------
    ConformanceError
        For the first promise that is broken.
    """
    for check in conformance_checks():
        check(subject)


def fixed_inputs_round_trip(subject: Subject) -> None:
    """Fix every feature: the encoded model decides as the model that runs, row by row."""
    rows = subject.rows[: 2 * _MOST_SETS : 2]
    for row in rows:
        try:
            problem = replace(subject.problem, instance=row)
        except InputError:
            continue  # the question makes no sense there
        (answer,) = subject.make_oracle(problem).decide([frozenset()], Meter())
        if isinstance(answer, Counterexample) or (
            subject.complete and not isinstance(answer, Entailed)
        ):
            raise ConformanceError(
                f"with everything fixed to {row.tolist()} the model says {problem.label}, "
                f"and the oracle {_said(answer)}"
            )


def witnesses_replay(subject: Subject) -> None:
    """Replay counterexamples: they keep what is fixed, and the model that runs changes."""
    for free, answer in _asked(subject):
        if not isinstance(answer, Counterexample):
            continue
        try:
            outcome = subject.problem.replay(answer.point, free)
        except ReplayError as error:
            raise ConformanceError(f"free {sorted(free)}: {error}") from error
        moved = subject.problem.space.moved(subject.problem.instance, answer.point)
        if moved != answer.moved:
            raise ConformanceError(
                f"free {sorted(free)}: the point moves {sorted(moved)}, said was "
                f"{sorted(answer.moved)}"
            )
        if not math.isnan(answer.outcome) and answer.outcome != outcome:
            raise ConformanceError(
                f"free {sorted(free)}: the model says {outcome:g}, said was {answer.outcome:g}"
            )


def answers_are_monotone(subject: Subject) -> None:
    """Compare nested free sets: what can change still can when more is free."""
    asked = _asked(subject)
    possible = [free for free, answer in asked if isinstance(answer, Counterexample)]
    for free, answer in asked:
        if isinstance(answer, Entailed):
            inside = next((less for less in possible if less <= free), None)
            if inside is not None:
                raise ConformanceError(
                    f"free {sorted(inside)} can change the decision, more, {sorted(free)}, cannot"
                )


def cores_suffice(subject: Subject) -> None:
    """Free everything outside each core: no less is proved than was."""
    universe = subject.problem.universe
    for free, answer in _asked(subject):
        if not isinstance(answer, Entailed):
            continue
        if answer.core & free:
            raise ConformanceError(f"free {sorted(free)}: the core names free features")
        (again,) = subject.ask([universe - answer.core])
        if isinstance(again, Counterexample) or (subject.complete and isinstance(again, Unknown)):
            raise ConformanceError(
                f"free {sorted(free)}: the core {sorted(answer.core)} does not force the "
                f"decision, {_said(again)}"
            )


def points_agree(subject: Subject) -> None:
    """Look for points that contradict an answer; over a finite space there is none to miss."""
    for free, answer in _asked(subject):
        found = next((moved for moved in subject.moves if moved <= free), None)
        if isinstance(answer, Entailed) and found is not None:
            raise ConformanceError(
                f"free {sorted(free)}: said to be entailed, but moving {sorted(found)} changes it"
            )
        if isinstance(answer, Counterexample) and found is None and subject.is_finite:
            raise ConformanceError(f"free {sorted(free)}: a witness where there is no point")


def batches_agree(subject: Subject) -> None:
    """Compare many free sets at once with one at a time."""
    together = subject.ask(subject.free_sets)
    if len(together) != len(subject.free_sets):
        raise ConformanceError(
            f"{len(subject.free_sets)} free sets were asked, {len(together)} answered"
        )
    for (free, alone), answer in zip(_asked(subject), together, strict=True):
        kinds = {type(alone), type(answer)}
        if {Counterexample, Entailed} <= kinds:
            raise ConformanceError(f"free {sorted(free)}: {_said(alone)} alone, not in a batch")


def ended_budgets_are_no_answers(subject: Subject) -> None:
    """Ask with an ended budget: a right answer or `Unknown`, never a wrong one."""
    meter = Meter()
    meter.cancel()
    for free, answer in zip(subject.free_sets, subject.ask(subject.free_sets, meter), strict=True):
        found = any(moved <= free for moved in subject.moves)
        wrong = isinstance(answer, Entailed) and found
        wrong |= isinstance(answer, Counterexample) and not found and subject.is_finite
        if wrong:
            raise ConformanceError(f"free {sorted(free)}: wrong once the budget has ended")


def immutable_features_stay(subject: Subject) -> None:
    """Try to free immutable features: none of them moves."""
    everything = frozenset(range(subject.problem.space.n_features))
    (answer,) = subject.ask([everything])
    if isinstance(answer, Counterexample) and answer.moved - subject.problem.universe:
        raise ConformanceError("a counterexample moves an immutable feature")


def explanations_are_dual(subject: Subject) -> None:
    """Enumerate: AXps are the minimal hitting sets of CXps, and these those of brute force."""
    problem = subject.problem
    if len(problem.universe) > 8:
        return
    enumeration = enumerate_explanations(problem, subject.make_oracle(problem))
    found: dict[Kind, set[FeatureSet]] = {kind: set() for kind in Kind}
    for explanation in enumeration:
        if explanation.status is Status.MINIMAL:
            found[explanation.kind].add(explanation.members)
    if not enumeration.complete:
        if subject.complete:
            raise ConformanceError("the enumeration of explanations did not end")
        return
    universe = sorted(problem.universe)
    hitting = [
        frozenset(chosen)
        for size in range(len(universe) + 1)
        for chosen in itertools.combinations(universe, size)
        if all(set(chosen) & cxp for cxp in found[Kind.CXP])
    ]
    if _least(hitting) != found[Kind.AXP]:
        raise ConformanceError("the AXps are not the minimal hitting sets of the CXps")
    if subject.is_finite and _least(subject.moves) != found[Kind.CXP]:
        raise ConformanceError("the CXps are not those of brute force")


def _asked(subject: Subject) -> list[tuple[FeatureSet, Answer]]:
    oracle = subject.make_oracle(subject.problem)
    asked: list[tuple[FeatureSet, Answer]] = []
    for free in subject.free_sets:
        (answer,) = oracle.decide([free], Meter())
        if subject.complete and isinstance(answer, Unknown):
            raise ConformanceError(f"free {sorted(free)}: {_said(answer)}")
        asked.append((free, answer))
    return asked


def _said(answer: Answer) -> str:
    match answer:
        case Counterexample():
            return f"shows a counterexample, {answer.point.tolist()}"
        case Entailed():
            return "says it is entailed"
        case Unknown():
            return f"does not know ({answer.reason}{': ' * bool(answer.detail)}{answer.detail})"


def _least(sets: Sequence[FeatureSet]) -> set[FeatureSet]:
    kept: list[FeatureSet] = []
    for candidate in sorted(set(sets), key=len):
        if not any(known <= candidate for known in kept):
            kept.append(candidate)
    return set(kept)


def _values(problem: ExplanationProblem) -> list[list[float]]:
    """Return all values of each column that may move, of discrete and bounded domains."""
    listed: list[list[float]] = []
    for column, pinned in zip(problem.space.columns, problem.space.pinned, strict=True):
        if pinned:
            listed.append([float(problem.instance[len(listed)])])
            continue
        low, high = column.domain.bounds
        codes = [float(code) for code in range(int(low), int(high) + 1)]
        listed.append([*codes, *([math.nan] if column.domain.nullable else [])])
    return listed


def _count(problem: ExplanationProblem) -> float:
    count = 1.0
    for column, pinned in zip(problem.space.columns, problem.space.pinned, strict=True):
        low, high = column.domain.bounds
        if pinned:
            continue
        if not column.domain.is_discrete or not math.isfinite(high - low):
            return math.inf
        count *= high - low + 1 + column.domain.nullable
    return count


def _random_points(problem: ExplanationProblem, random: Random) -> Points:
    """Return rows that mix the instance with random values of the region's box."""
    low, high = problem.limits
    rows: list[list[float]] = [problem.instance.tolist()]
    for _ in range(512):
        row = problem.instance.tolist()
        share = random.random()
        for i, column in enumerate(problem.space.columns):
            if problem.space.pinned[i] or random.random() > share or math.isnan(low[i]):
                continue
            here = 0.0 if math.isnan(row[i]) else row[i]
            reach = 10.0 ** random.uniform(-1, 3)
            first = float(low[i]) if math.isfinite(low[i]) else here - reach
            last = float(high[i]) if math.isfinite(high[i]) else here + reach
            value = random.uniform(min(first, last), max(first, last))
            row[i] = float(round(value)) if column.domain.is_discrete else value
            if column.domain.nullable and random.random() < 0.1:
                row[i] = math.nan
        rows.append(row)
    return np.array(rows)


def _admissible(problem: ExplanationProblem, rows: Points) -> Points:
    inside = [
        problem.region.contains(problem.space, problem.instance, row)
        and bool(problem.space.admissible(row).all())
        for row in rows
    ]
    rows = rows[np.array(inside, dtype=np.bool_)]
    for constraint in problem.constraints:
        rows = rows[constraint.holds(rows)]
    return rows
