"""A portfolio: several strategies look for one explanation, and the first answer wins.

Which way of shrinking is fastest differs from decision to decision by factors; with a core for
each, nobody has to guess.  Every strategy keeps what it promises, so that any answer is
as good as another; which one comes depends on the race.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..answers import Unknown, UnknownReason
from ..budget import Budget
from ..errors import InputError
from ..explanation import Explanation, Kind, Status
from ..minimise import minimise, strategy_named
from ..problem import ExplanationProblem
from ..replay import Replay
from .crew import Crew, Desk, Lost, Maker

__all__ = ["Won", "first_answer"]

_LOOK = 0.1


class Won(NamedTuple):
    """What a race came to.

    Parameters
    ----------
    explanation
        As from `minimise`; `None` if it is proved that there is none.
    strategy
        Name of the strategy that came first; empty if none did.
    """

    explanation: Explanation | None
    strategy: str


def first_answer(
    problem: ExplanationProblem,
    make: Maker,
    kind: Kind,
    strategies: Sequence[str] = ("witness", "swift"),
    *,
    budget: Budget | None = None,
) -> Won:
    """Find one subset-minimal explanation by whichever strategy is fastest.

    Parameters
    ----------
    problem
        What is to be explained.
    make
        Makes the problem and its oracle in each process; it can be pickled.
    kind
        Abductive or contrastive.
    strategies
        Names; a process each.
    budget
        Limits; when they end, the best that was reached is returned with its open elements.

    Raises
    ------
    InputError
        For no or an unknown strategy, or if every process was lost.
    """
    for name in strategies:
        strategy_named(name)
    if not strategies:
        raise InputError("a portfolio needs at least one strategy")
    meter = (budget or Budget()).start()
    best: Won | None = None
    lost = ""
    with Crew(make, len(strategies)) as crew:
        for position, name in enumerate(strategies):
            crew.give(position, _minimised, (kind, name), meter.budget.seconds)
        running = len(strategies)
        while running:
            for position, over, told in crew.listen(_LOOK):
                running -= over
                if isinstance(told, Lost):
                    lost = told.reason
                    continue
                won = Won(_rebuilt(problem, told), strategies[position])
                if won.explanation is None or won.explanation.status is Status.MINIMAL:
                    return won
                if best is None or _rank(won) < _rank(best):
                    best = won
            if meter.exhausted() is UnknownReason.TIME and meter.elapsed > 2 + 2 * (
                meter.budget.seconds or 0
            ):
                break
    if best is not None:
        return best
    if lost:
        raise InputError(f"no process of the portfolio came to an end: {lost}")
    reason = Unknown(UnknownReason.TIME, "the budget ended before one was found")
    return Won(Explanation(problem, kind, problem.universe, reason, problem.universe), "")


def _minimised(desk: Desk, kind: Kind, strategy: str) -> object:
    found = minimise(desk.problem, desk.oracle, kind, strategy=strategy, meter=desk.meter)
    if found is None:
        return None
    parts = (found.kind, found.members, found.evidence, found.open, found.necessity)
    return (*parts, found.statistics)


def _rebuilt(problem: ExplanationProblem, told: object) -> Explanation | None:
    """Put a process' answer to this process' problem, and replay it."""
    if not isinstance(told, tuple):
        return None
    return Replay(problem).explanation(Explanation(problem, *told))


def _rank(won: Won) -> tuple[bool, int, int]:
    found = won.explanation
    if found is None:
        return False, 0, 0
    return isinstance(found.evidence, Unknown), len(found.open), len(found)
