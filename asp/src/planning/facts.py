"""A problem over cells as facts for the answer-set programs.

Features, rules and literals are numbered; sets of cells are written as ranges, so that the
text grows with the number of runs and not of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import CellBody, CellState, Conjunction, Problem, Test, bits

__all__ = ["Facts", "facts_of", "runs"]


@dataclass
class Facts:
    """Facts in the making, and what their numbers stand for.

    Parameters
    ----------
    problem
        Its causal rules have the numbers 0, 1, ..., its denials follow.
    relaxed
        Whether to let actions aim at every cell, for `loose` features.
    """

    problem: Problem
    relaxed: bool = False
    lines: list[str] = field(default_factory=list[str])
    literals: dict[Test, int] = field(default_factory=dict[Test, int])
    bodies: int = 0

    @property
    def text(self) -> str:
        """All facts."""
        return "\n".join(self.lines)

    def literal(self, test: Test) -> int:
        """Return the number of a literal."""
        known = self.literals.get(test)
        if known is None:
            known = self.literals[test] = len(self.literals)
            variable, mask = test
            self.lines += [f"in({known},{variable},{run})." for run in runs(mask)]
        return known

    def body(self, name: object, tests: Conjunction) -> None:
        """Write the literals of a body."""
        self.lines += [f"body({name},{self.literal(test)})." for test in tests]

    def rule(self, body: CellBody) -> str:
        """Write a decision body with its exceptions and return its name."""
        name = f"r{self.bodies}"
        self.bodies += 1
        self.lines.append(f"rule({name}).")
        self.body(name, body.tests)
        for exception in body.exceptions:
            self.lines.append(f"except({name},{self.rule(exception)}).")
        return name


def facts_of(
    problem: Problem,
    blocked: Iterable[CellState] = (),
    *,
    relaxed: bool = False,
    box: Sequence[int] | None = None,
) -> Facts:
    """Write a problem as facts.

    Parameters
    ----------
    problem
        The world over cells.
    blocked
        States that do not count as goals.
    relaxed
        Whether actions may aim at every cell where a feature is `loose`.
    box
        Mask of the cells that each feature may take where all states are asked for.
    """
    facts = Facts(problem, relaxed)
    lines = facts.lines
    for number, variable in enumerate(problem.variables):
        lines.append(f"feature({number}). cell({number},0..{variable.size - 1}).")
        inside = variable.everything if box is None else box[number]
        lines += [f"inside({number},{run})." for run in runs(inside)]
        if relaxed:
            lines += [f"settable({number},{run})." for run in runs(variable.targets)]
            lines += [f"movable({number},{run})." for run in runs(variable.effects)]
        targets = variable.everything if relaxed else variable.targets
        lines += [f"target({number},{run})." for run in runs(targets)]
        effects = variable.everything if relaxed else variable.effects
        lines += [f"effect({number},{run})." for run in runs(effects)]
        lines += _moves(number, problem)
    if problem.start is not None:
        lines += [f"init({f},{v})." for f, v in enumerate(problem.start)]
    for number, causal in enumerate(problem.causal):
        lines.append(f"causal({number},{causal.head}).")
        lines += [f"allowed({number},{run})." for run in runs(causal.allowed)]
        facts.body(number, causal.tests)
    for number, denial in enumerate(problem.denials, start=len(problem.causal)):
        lines.append(f"denial({number}).")
        facts.body(number, denial.tests)
    for number in sorted(problem.tolerated):
        lines.append(f"tolerated({number}).")
        lines += [f"scope({number},{f})." for f in problem.scope[number]]
    for number, pre in enumerate(problem.preconditions):
        lines.append(f"pre({number},{pre.variable}).")
        lines += [f"from({number},{run})." for run in runs(pre.source)]
        lines += [f"to({number},{run})." for run in runs(pre.target)]
        for k, way in enumerate(pre.requires):
            lines.append(f"way({number},way({number},{k})).")
            facts.body(f"way({number},{k})", way)
    for rank, decision in enumerate(problem.decisions):
        lines.append(f"rank({rank},{facts.rule(decision.body)}).")
        if decision.reached:
            lines.append(f"good({rank}).")
    lines.append(f"last({len(problem.decisions)}).")
    if problem.default_reached:
        lines.append("good_default.")
    for number, state in enumerate(blocked):
        lines.append(f"block({number}).")
        lines += [f"blocks({number},{f},{v})." for f, v in enumerate(state)]
    return facts


def _moves(number: int, problem: Problem) -> Iterator[str]:
    variable = problem.variables[number]
    match variable.feature.change:
        case Change.UP:
            yield f"up({number})."
            yield from (f"ordered({number},{run})." for run in runs(variable.ordered))
        case Change.DOWN:
            yield f"down({number})."
            yield from (f"ordered({number},{run})." for run in runs(variable.ordered))
        case Change.FROZEN:
            yield f"frozen({number})."
        case _:
            pass
    if variable.moves is not None:
        yield f"pairs({number})."
        for cell, mask in enumerate(variable.moves):
            yield from (f"move({number},{cell},{run})." for run in runs(mask))


def runs(mask: int) -> Iterator[str]:
    """Yield the set bits of a mask as ranges of clingo.

    Examples
    --------
    >>> list(runs(0b1011))
    ['0..1', '3']
    """
    first: int | None = None
    last = -2
    for bit in bits(mask):
        if bit != last + 1:
            if first is not None:
                yield str(first) if first == last else f"{first}..{last}"
            first = bit
        last = bit
    if first is not None:
        yield str(first) if first == last else f"{first}..{last}"
