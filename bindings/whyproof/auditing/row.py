"""One row is one unit of work: its task, what is reported on the way, and how it is done.

Everything here can be pickled.  Whoever runs rows, one after the other, in processes or
on a cluster, needs `explain_row` alone; only the driver of an audit writes to the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, cast

import numpy as np

from whyproof.engine.answers import UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError, ReplayError, WhyproofError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point
from whyproof.margins import with_margin
from whyproof.store.restore import restore

__all__ = [
    "EnumerationLike",
    "ExplainerLike",
    "Fault",
    "RowDone",
    "RowEvent",
    "RowFailed",
    "RowFound",
    "RowTask",
    "explain_row",
]

Record = Mapping[str, object]


class EnumerationLike(Protocol):
    """Explanations of one decision, one after the other."""

    @property
    def complete(self) -> bool:
        """Whether it is proved that there are no more."""
        ...

    @property
    def stopped_by(self) -> UnknownReason | None:
        """Which limit of the budget was reached, if one was."""
        ...

    def __iter__(self) -> Iterator[Explanation]:
        """Go on."""
        ...


class ExplainerLike(Protocol):
    """What an audit needs of `whyproof.explainer.Explainer`."""

    def problem(self, instance: Point) -> ExplanationProblem:
        """Return the problem of an instance."""
        ...

    def enumerate(
        self,
        instance: Point,
        *,
        budget: Budget = ...,
        bias: Kind = ...,
        known: Iterable[Explanation] = ...,
    ) -> EnumerationLike:
        """Find the explanations that are not known yet."""
        ...


class Fault(StrEnum):
    """Why a row failed."""

    INPUT = "input"
    """The row cannot be asked about as it is."""
    REPLAY = "replay"
    """A counterexample failed its replay: a defect of Whyproof."""
    INTERNAL = "internal"
    """Any other error: a defect."""
    LOST = "lost"
    """The process that worked on it died."""


@dataclass(frozen=True, slots=True, eq=False)
class RowTask:
    """What to do for one row.

    Parameters
    ----------
    row
        Number in the table.
    instance
        Its codes, shape ``(columns,)``.
    known
        Records of explanations that are stored already.
    count
        Most explanations to find; `None` for all.
    seconds
        Time limit; `None` for none.
    bias
        Which kind comes cheaply, as for `Explainer.enumerate`.
    """

    row: int
    instance: Point
    known: tuple[Record, ...] = ()
    count: int | None = None
    seconds: float | None = None
    bias: Kind = Kind.CXP


@dataclass(frozen=True, slots=True)
class RowFound:
    """An explanation was found; `record` is its JSON."""

    row: int
    record: Record


@dataclass(frozen=True, slots=True)
class RowDone:
    """No more comes for this row.

    Parameters
    ----------
    row
        Number in the table.
    complete
        Whether every explanation is known.
    reason
        If not: ``limit``, a budget's reason such as ``time``, or ``undecided`` when an
        oracle gave up.
    """

    row: int
    complete: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RowFailed:
    """The row could not be explained.

    Parameters
    ----------
    row
        Number in the table.
    fault
        What kind of failure.
    reason
        One line for people.
    details
        What is needed to repeat it.
    """

    row: int
    fault: Fault
    reason: str
    details: Record = field(default_factory=dict[str, object])


RowEvent: TypeAlias = RowFound | RowDone | RowFailed


def explain_row(explainer: ExplainerLike, task: RowTask) -> Iterator[RowEvent]:
    """Yield what is found for one row; the last event is `RowDone` or `RowFailed`.

    Errors become events: one bad row does not end an audit.
    """
    try:
        yield from _explain(explainer, task)
    except ReplayError as error:
        yield RowFailed(task.row, Fault.REPLAY, str(error), error.reproducer)
    except InputError as error:
        yield RowFailed(task.row, Fault.INPUT, str(error))
    except WhyproofError as error:
        yield RowFailed(task.row, Fault.INTERNAL, str(error))
    except Exception as error:
        yield RowFailed(task.row, Fault.INTERNAL, f"{type(error).__name__}: {error}")


def _explain(explainer: ExplainerLike, task: RowTask) -> Iterator[RowEvent]:
    problem = explainer.problem(np.asarray(task.instance, dtype=np.float64))
    known = [restore(problem, record) for record in task.known]
    enumeration = explainer.enumerate(
        problem.instance,
        budget=Budget(seconds=task.seconds, count=task.count),
        bias=task.bias,
        known=[explanation for explanation in known if explanation.status is Status.MINIMAL],
    )
    pose = getattr(explainer, "oracle", None)
    oracle: object = pose(problem) if callable(pose) else None
    found = 0
    for explanation in enumeration:
        told = with_margin(explanation, oracle)
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
