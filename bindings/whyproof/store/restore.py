"""From a stored record back to an `Explanation`, so that a search goes on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.errors import StoreError
from whyproof.engine.explanation import Explanation, Kind, SearchStatistics
from whyproof.engine.problem import ExplanationProblem

__all__ = ["restore"]


def restore(problem: ExplanationProblem, record: Mapping[str, object]) -> Explanation:
    """Rebuild an explanation from its record.

    A counterexample is replayed on the model on the way: what no longer flips it is
    refused, so that a changed store or model cannot smuggle in an explanation.  The
    answers behind each member's necessity are not stored; `necessity` is empty.

    Parameters
    ----------
    problem
        The problem of the row: same model, space, instance and question.
    record
        As `StoredExplanation.record`.

    Raises
    ------
    StoreError
        If the record does not fit the problem.
    ReplayError
        If its counterexample does not change the decision.
    """
    try:
        return Explanation(
            problem,
            Kind(str(record["kind"])),
            frozenset(cast("Sequence[int]", record["indices"])),
            _evidence(problem, cast("Mapping[str, object]", record["evidence"])),
            open=problem.space.indices(cast("Sequence[str]", record["open"])),
            statistics=_statistics(cast("Mapping[str, float]", record["statistics"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"a stored explanation cannot be read back: {error}") from error


def _evidence(problem: ExplanationProblem, evidence: Mapping[str, object]) -> Answer:
    match evidence["type"]:
        case "counterexample":
            point = problem.space.encode(cast("Mapping[str, object]", evidence["point"]))
            moved = problem.space.moved(problem.instance, point)
            return Counterexample(point, moved, problem.replay(point, moved))
        case "entailed":
            margin = evidence["margin"]
            return Entailed(
                problem.space.indices(cast("Sequence[str]", evidence["core"])),
                None if margin is None else float(cast("float", margin)),
                constraints=tuple(cast("Sequence[str]", evidence.get("constraints", ()))),
            )
        case _:
            reason = UnknownReason(str(evidence["reason"]))
            return Unknown(reason, str(evidence.get("detail", "")))


def _statistics(found: Mapping[str, float]) -> SearchStatistics:
    return SearchStatistics(
        int(found["oracle_calls"]),
        int(found["rounds"]),
        float(found["seconds"]),
        float(found.get("cpu_seconds", 0.0)),
    )
