"""What is done about one row: everything, or one explanation of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np

from whyproof.encodings.constraints.core import with_constraint_core
from whyproof.engine.answers import Counterexample, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.facts import Facts
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import ReachClass
from whyproof.margins import with_margin
from whyproof.store.canonical import jsonable
from whyproof.store.restore import restore

from .row import (
    ExplainerLike,
    Fault,
    Record,
    RowDone,
    RowEvent,
    RowFailed,
    RowFound,
    RowOpened,
    RowSkipped,
    RowTask,
)

__all__ = ["moved_to", "open_row", "search_row"]

_MARGIN_STEPS = 200
"""Search steps for the margin of an AXp where there is one to a row; a tenth of the usual
number costs a tenth and mostly finds the same bound."""


def search_row(
    explainer: ExplainerLike, task: RowTask, kept: list[Explanation] | None = None
) -> Iterator[RowEvent]:
    """Yield the events of one row; errors are raised.

    Parameters
    ----------
    explainer
        Explains the model's decisions.
    task
        What to do.
    kept
        Filled with the explanations of the row, those known before included.
    """
    found = kept if kept is not None else []
    opened, problem = open_row(explainer, task)
    yield from opened
    if problem is None:
        return
    known = [restore(problem, record) for record in task.known]
    found.extend(known)
    if task.settled is not None:
        return
    find = _one_of_each if task.each else _all
    yield from find(explainer, task, problem, known, found)


def open_row(
    explainer: ExplainerLike, task: RowTask
) -> tuple[list[RowEvent], ExplanationProblem | None]:
    """Return the first events of a row, and its problem if there is something to explain."""
    instance = np.asarray(task.instance, dtype=np.float64)
    try:
        problem = explainer.problem(instance)
    except InputError as error:
        skipped = _already_there(explainer, task, instance)
        if skipped:
            return skipped, None
        values = {f"column {i}": jsonable(code) for i, code in enumerate(instance.tolist())}
        failed = RowFailed(task.row, Fault.INPUT, str(error))
        return [RowOpened(task.row, values, {"prediction": None}), failed], None
    about = {
        "prediction": jsonable(problem.label),
        "scores": jsonable(problem.classifier.scores(problem.instance[None])[0]),
        "question": problem.question.describe(problem.classifier, problem.prediction),
    }
    return [RowOpened(task.row, problem.space.decode(problem.instance), about)], problem


def moved_to(problem: ExplanationProblem, explanation: Explanation) -> Explanation:
    """Return an explanation of a decision as one of another row in the same cells.

    Fixed features stand in the same cells, so that a proof holds as it is.  What a
    counterexample moved is moved here too; the caller replays it.
    """
    evidence = explanation.evidence
    if isinstance(evidence, Counterexample):
        point = np.array(problem.instance)
        for feature in evidence.moved:
            columns = list(problem.space.features[feature].columns)
            point[columns] = evidence.point[columns]
        moved = problem.space.moved(problem.instance, point)
        evidence = Counterexample(point, moved, problem.replay(point, moved))
    return Explanation(problem, explanation.kind, explanation.members, evidence, explanation.open)


def _all(
    explainer: ExplainerLike,
    task: RowTask,
    problem: ExplanationProblem,
    known: Sequence[Explanation],
    kept: list[Explanation],
) -> Iterator[RowEvent]:
    enumeration = explainer.enumerate(
        problem.instance,
        budget=Budget(seconds=task.seconds, count=task.count, memory=task.memory),
        bias=task.bias,
        known=[explanation for explanation in known if explanation.status is Status.MINIMAL],
    )
    oracle = _oracle(explainer, problem)
    found = 0
    for explanation in enumeration:
        told = with_margin(explanation, oracle)
        kept.append(told)
        yield RowFound(task.row, cast("Record", told.as_json()))
        found += 1
        if found == task.count:
            break
    if enumeration.complete:
        reason = ""
    elif found == task.count:
        reason = "limit"
    elif enumeration.stopped_by is not None:
        reason = str(enumeration.stopped_by)
    else:
        reason = "undecided"
    yield RowDone(task.row, complete=not reason, reason=reason)


def _one_of_each(
    explainer: ExplainerLike,
    task: RowTask,
    problem: ExplanationProblem,
    known: Sequence[Explanation],
    kept: list[Explanation],
) -> Iterator[RowEvent]:
    missing = [kind for kind in Kind if all(e.kind is not kind for e in known)]
    oracle = _oracle(explainer, problem)
    if oracle is None:
        yield from _first_of_each(explainer, task, problem, missing, kept)
        return
    meter = Budget(seconds=task.seconds, memory=task.memory).start()
    facts, reason, none = Facts(), "limit", False
    shared = _shared_reason(task, problem) if Kind.AXP in missing else None
    if shared is not None:
        missing.remove(Kind.AXP)
        kept.append(shared)
        number = cast("Record", task.reason)["row"]
        yield RowFound(task.row, {**shared.as_json(), "same_reason_as": number})
        if not shared.members:
            missing = []  # it says that nothing changes the decision
            none = True
    strategy = getattr(explainer, "strategy", "witness")
    for kind in missing:
        found = minimise(problem, oracle, kind, strategy=strategy, meter=meter, facts=facts)
        if found is None:
            none = True  # a decision that nothing changes: its only AXp is the empty set
            continue
        if isinstance(found.evidence, Unknown):
            reason = str(meter.exhausted() or "undecided")
            continue
        found = with_margin(found, oracle, steps=_MARGIN_STEPS)
        pose = _poser(explainer)
        if pose is not None:
            found = with_constraint_core(found, pose, meter)
        if found.open:
            reason = str(meter.exhausted() or "undecided")
        kept.append(found)
        yield RowFound(task.row, cast("Record", found.as_json()))
    everything = none and reason == "limit"
    yield RowDone(task.row, complete=everything, reason="" if everything else reason)


def _shared_reason(task: RowTask, problem: ExplanationProblem) -> Explanation | None:
    """Return the reason that a row shares with another, if it is about the same decision."""
    if task.reason is None or task.reason["prediction"] != jsonable(problem.label):
        return None
    return moved_to(problem, restore(problem, task.reason))


def _first_of_each(
    explainer: ExplainerLike,
    task: RowTask,
    problem: ExplanationProblem,
    missing: Sequence[Kind],
    kept: list[Explanation],
) -> Iterator[RowEvent]:
    """Take the first of each kind from an enumeration, where there is no oracle to ask."""
    wanted = set(missing)
    enumeration = explainer.enumerate(
        problem.instance, budget=Budget(seconds=task.seconds), bias=task.bias, known=[]
    )
    for explanation in enumeration if wanted else ():
        if explanation.kind in wanted:
            wanted.remove(explanation.kind)
            kept.append(explanation)
            yield RowFound(task.row, cast("Record", explanation.as_json()))
        if not wanted:
            break
    reason = "limit"
    if wanted and not enumeration.complete:
        reason = str(enumeration.stopped_by or "undecided")
    complete = bool(wanted) and enumeration.complete
    yield RowDone(task.row, complete=complete, reason="" if complete else reason)


def _oracle(explainer: ExplainerLike, problem: ExplanationProblem) -> Oracle | None:
    pose = _poser(explainer)
    return None if pose is None else pose(problem)


def _poser(explainer: ExplainerLike) -> Callable[[ExplanationProblem], Oracle] | None:
    """Return what makes the oracle of a problem, if the explainer has that."""
    pose = getattr(explainer, "oracle", None)
    return cast("Callable[[ExplanationProblem], Oracle]", pose) if callable(pose) else None


def _already_there(explainer: ExplainerLike, task: RowTask, instance: np.ndarray) -> list[RowEvent]:
    """Tell of a row that is the class that the question wants to reach."""
    model, space = getattr(explainer, "model", None), getattr(explainer, "space", None)
    question = getattr(explainer, "question", None)
    if not isinstance(question, ReachClass) or model is None or space is None:
        return []
    if len(instance) != model.n_columns or int(model.predict(instance[None])[0]) != question.target:
        return []
    label = model.classes[question.target]
    return [
        RowOpened(task.row, space.decode(instance), {"prediction": jsonable(label)}),
        RowSkipped(task.row, f"the model already says {label}"),
    ]
