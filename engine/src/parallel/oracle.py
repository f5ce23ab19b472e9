"""An oracle that decides several free sets at once, one process each.

The SwiftCXp paper tests the prefixes of one round in parallel and ends calls that have
become useless: if a set can change the decision, so can every larger one; if it cannot,
neither can a smaller one.  Here that is said once, for every search: each answer is remembered,
and a question that follows from it is answered so, taken from the queue, or called off in
the process that works on it.  Ours uses the evidence and not only yes and no, which makes many
more calls useless: a counterexample that moved less than it was allowed to decides sets
that do not even contain the one that was asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import cast

from ..answers import Answer, Unknown, UnknownReason
from ..budget import Meter
from ..facts import Facts
from ..space import FeatureSet
from .crew import Crew, Desk, Lost, Maker

__all__ = ["ParallelOracle"]

_LOOK = 0.05


class ParallelOracle:
    """Decides free sets of one problem in several processes; a context manager.

    Parameters
    ----------
    make
        Makes the problem and its oracle in each process; it can be pickled.
    workers
        Number of processes.

    Attributes
    ----------
    saved
        Questions answered from another's evidence, or called off.
    """

    name = "parallel"

    def __init__(self, make: Maker, workers: int) -> None:
        self._crew = Crew(make, workers).__enter__()
        self.lanes = workers
        self.saved = 0

    def __enter__(self) -> ParallelOracle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._crew.close()

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set; the order of questions decides who is asked first."""
        answers: list[Answer | None] = [None] * len(free_sets)
        facts = Facts()
        waiting = deque(range(len(free_sets)))
        asked: dict[int, int] = {}
        while waiting or asked:
            reason = meter.exhausted()
            if reason is not None:
                self._give_up(asked)
                break
            for position in self._crew.idle:
                if not waiting:
                    break
                number = waiting.popleft()
                seconds = None if meter.budget.seconds is None else max(meter.remaining, 1e-3)
                self._crew.give(position, _decided, (free_sets[number],), seconds)
                asked[position] = number
            for position, _, told in self._crew.listen(_LOOK):
                number = asked.pop(position, -1)
                if number < 0:
                    continue
                if isinstance(told, Lost):
                    answers[number] = Unknown(UnknownReason.INCOMPLETE, told.reason)
                    continue
                answers[number] = cast("Answer", told)
                facts.remember(cast("Answer", told))
            self._spare(free_sets, answers, facts, waiting, asked)
        stopped = meter.exhausted() or UnknownReason.CANCELLED
        return [Unknown(stopped) if answer is None else answer for answer in answers]

    def _spare(
        self,
        free_sets: Sequence[FeatureSet],
        answers: list[Answer | None],
        facts: Facts,
        waiting: deque[int],
        asked: dict[int, int],
    ) -> None:
        """Answer what follows from the answers so far."""
        for number in list(waiting):
            follows = facts.recall(free_sets[number])
            if follows is not None:
                answers[number] = follows
                waiting.remove(number)
                self.saved += 1
        for position, number in list(asked.items()):
            follows = facts.recall(free_sets[number])
            if follows is not None:
                answers[number] = follows
                self._crew.call_off(position)
                del asked[position]
                self.saved += 1

    def _give_up(self, asked: dict[int, int]) -> None:
        for position in asked:
            self._crew.call_off(position)
        asked.clear()


def _decided(desk: Desk, free: FeatureSet) -> Answer:
    return desk.oracle.decide([free], desk.meter)[0]
