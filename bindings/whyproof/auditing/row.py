"""One row: its task, and what is reported about it on the way.

Everything here can be pickled.  Whoever runs rows, one after the other, in processes or
on a cluster, reports these events; only the driver of an audit writes to the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from whyproof.engine.answers import UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError, ReplayError, WhyproofError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point

__all__ = [
    "EnumerationLike",
    "ExplainerLike",
    "Fault",
    "Record",
    "RowDone",
    "RowEvent",
    "RowFailed",
    "RowFound",
    "RowOpened",
    "RowSkipped",
    "RowTask",
    "explain_row",
    "guarded",
]

Record = Mapping[str, object]
"""A record's content, JSON-ready."""


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
    """The process that worked on it died, again and again."""
    MEMORY = "memory"
    """It needed more memory than a process may take."""


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
    each
        Find one AXp and one CXp, instead of all explanations.
    memory
        Bytes that one oracle may hold; `None` for no limit.
    same_as
        Row of the same unit whose decision is the same one, cell by cell; what is
        found there is this row's too.
    settled
        The row needs no search: it is here for those that are the same.
    reason
        Record of an AXp of another row whose cells this row shares; see `reasons`.
    """

    row: int
    instance: Point
    known: tuple[Record, ...] = ()
    count: int | None = None
    seconds: float | None = None
    bias: Kind = Kind.CXP
    each: bool = False
    memory: int | None = None
    same_as: int | None = None
    settled: RowDone | None = None
    reason: Record | None = None


@dataclass(frozen=True, slots=True)
class RowOpened:
    """The row can be asked about; its values in words, and what the model says.

    Parameters
    ----------
    row
        Number in the table.
    values
        The user's values by column.
    about
        Keys ``prediction`` and, if it is known, ``scores`` and ``question``.
    """

    row: int
    values: Record
    about: Record


@dataclass(frozen=True, slots=True)
class RowSkipped:
    """The question does not arise: the row is what it wants to reach."""

    row: int
    reason: str


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
    same_as
        Row that this was taken over from.
    """

    row: int
    complete: bool
    reason: str = ""
    same_as: int | None = None


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


RowEvent: TypeAlias = RowOpened | RowFound | RowDone | RowSkipped | RowFailed
"""What is told about a row: it is opened, explanations are found, it ends."""


def explain_row(explainer: ExplainerLike, task: RowTask) -> Iterator[RowEvent]:
    """Yield what is found for one row.

    The first event is `RowOpened`, the last one `RowDone`, `RowSkipped` or `RowFailed`.
    Errors become events: one bad row does not end an audit.
    """
    from .search import search_row

    yield from guarded(task.row, search_row(explainer, task))


def guarded(row: int, events: Iterator[RowEvent]) -> Iterator[RowEvent]:
    """Pass the events of a row on; an error becomes the last one, `RowFailed`."""
    try:
        yield from events
    except ReplayError as error:
        yield RowFailed(row, Fault.REPLAY, str(error), error.reproducer)
    except InputError as error:
        yield RowFailed(row, Fault.INPUT, str(error))
    except WhyproofError as error:
        yield RowFailed(row, Fault.INTERNAL, str(error))
    except MemoryError:
        yield RowFailed(row, Fault.MEMORY, "there was not enough memory for its search")
    except Exception as error:
        yield RowFailed(row, Fault.INTERNAL, f"{type(error).__name__}: {error}")
