"""Default rules with exceptions: the FOLD-R++ loop with FOLD-SE's tail.

Idea: add the best literal until at most `ratio` negative examples per positive one are
left, then learn what sets those negatives apart as exceptions, by the same procedure with
the roles swapped (Wang and Gupta, FOLD-R++, 2022, algorithms 1 and 2).  A rule, or an
exception, is kept only if it covers at least a share `tail` of all examples: this is what
turns FOLD-R++'s dozens of rules into FOLD-SE's few.

Ours differs in that a literal must split the examples at hand, so that no literal is
idle, and that a hopeless rule is given up as soon as it has lost too many examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.rule import Body

from .examples import Candidate, Examples, Rows
from .heuristics import Heuristic
from .split import Histogram, best_literal, count

__all__ = ["Inducer", "LearntBody"]

_DEEPEST = 60
"""Deepest nesting of exceptions, far beyond what anybody reads."""


@dataclass(frozen=True, slots=True)
class LearntBody:
    """Literals in codes and exceptions.

    Parameters
    ----------
    literals
        All must hold.
    exceptions
        None may hold.
    start
        A body given by the user that must hold as well.
    """

    literals: tuple[Candidate, ...]
    exceptions: tuple[LearntBody, ...] = ()
    start: Body = field(default_factory=Body)

    def body(self, examples: Examples) -> Body:
        """Return the body in the language of rules."""
        literals = tuple(examples.features[c.feature].literal(c) for c in self.literals)
        exceptions = tuple(exception.body(examples) for exception in self.exceptions)
        return Body(
            tuple(dict.fromkeys(self.start.literals + literals)),
            tuple(dict.fromkeys(self.start.exceptions + exceptions)),
        )


@dataclass(frozen=True, slots=True)
class Inducer:
    """Learns bodies that cover positive examples and few negative ones.

    Parameters
    ----------
    examples
        The data.
    heuristic
        How literals are judged.
    ratio
        Most negative examples per positive one that exceptions may be learnt for.
    least
        Least weight of positive examples that a body must cover to be kept.
    """

    examples: Examples
    heuristic: Heuristic
    ratio: float
    least: float

    def bodies(
        self,
        positive: Rows,
        negative: Rows,
        used: frozenset[tuple[int, bool, int]] = frozenset(),
        depth: int = 0,
    ) -> list[tuple[LearntBody, Rows]]:
        """Return bodies that together cover what can be covered of the positive rows.

        Each comes with the rows it covers that no earlier one does.
        """
        found = list[tuple[LearntBody, Rows]]()
        if depth > _DEEPEST or self.examples.weight(positive) < self.least:
            return found
        of_negative = count(self.examples, negative)
        while len(positive):
            body, covered = self.body(positive, negative, used, depth, of_negative)
            if body is None:
                break
            found.append((body, covered))
            positive = np.setdiff1d(positive, covered, assume_unique=True)
        return found

    def body(
        self,
        positive: Rows,
        negative: Rows,
        used: frozenset[tuple[int, bool, int]] = frozenset(),
        depth: int = 0,
        of_negative: Histogram | None = None,
        start: Body | None = None,
    ) -> tuple[LearntBody | None, Rows]:
        """Return one body and the positive rows that it covers; `None` if it is not kept.

        Parameters
        ----------
        positive, negative
            Rows to cover and rows to leave out.
        used
            Tests that outer rules made already.
        depth
            How deep exceptions are nested around it.
        of_negative
            Histogram of the negative rows, if it is known.
        start
            A body to go on from; all rows satisfy it.
        """
        nothing = None, positive[:0]
        literals = list[Candidate]()
        counts = None if of_negative is None else (count(self.examples, positive), of_negative)
        while start is None or not self._is_pure_enough(positive, negative):
            if self.examples.weight(positive) < self.least:
                return nothing
            split = best_literal(self.examples, positive, negative, self.heuristic, used, counts)
            if split is None:
                if start is None and not literals:
                    return nothing
                return self._kept(LearntBody(tuple(literals), (), start or Body()), positive)
            chosen = split.candidate
            literals.append(chosen)
            used |= {chosen.test}
            positive = positive[self.examples.holds(chosen, positive)]
            negative = negative[self.examples.holds(chosen, negative)]
            counts = None
            if self._is_pure_enough(positive, negative):
                break
        if self.examples.weight(positive) < self.least:
            return nothing
        exceptions = self.bodies(negative, positive, used, depth + 1) if len(negative) else []
        learnt = tuple(exception for exception, _ in exceptions)
        excepted = self.covered(learnt, positive)
        found = LearntBody(tuple(literals), learnt, start or Body())
        return self._kept(found, positive[~excepted])

    def covered(self, bodies: Sequence[LearntBody], rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell for some rows whether any body covers them."""
        mask = np.zeros(len(rows), dtype=np.bool_)
        for body in bodies:
            open_rows = np.flatnonzero(~mask)
            for literal in body.literals:
                if not len(open_rows):
                    break
                open_rows = open_rows[self.examples.holds(literal, rows[open_rows])]
            if len(open_rows) and body.exceptions:
                open_rows = open_rows[~self.covered(body.exceptions, rows[open_rows])]
            mask[open_rows] = True
        return mask

    def _is_pure_enough(self, positive: Rows, negative: Rows) -> bool:
        return self.examples.weight(negative) <= self.ratio * self.examples.weight(positive)

    def _kept(self, body: LearntBody, covered: Rows) -> tuple[LearntBody | None, Rows]:
        if len(covered) and self.examples.weight(covered) >= self.least:
            return body, covered
        return None, covered[:0]
