"""Box proofs: follow the splits, add the best reachable leaves, compare.

Two halves of a split always cover the box that was cut, because cells either pass its test
or do not; so nothing has to be checked about splits, and only the ends of a proof count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from .cells import Column, passing
from .clash import check_clash
from .clauses import change_clauses
from .document import number
from .ground import Ground
from .landscape import Landscape
from .model import Test
from .question import Difference, Rival
from .refusal import Refused
from .span import Span
from .statement import Statement

__all__ = ["BoxChecker", "Boxes", "Knowledge"]


class Boxes(NamedTuple):
    """What a proof took: its number of boxes, and which constraints."""

    n_boxes: int
    constraints: frozenset[int]


class Knowledge(NamedTuple):
    """Constraints put to an instance, and what is needed to follow them over cells.

    Parameters
    ----------
    columns
        All columns.
    constraints
        What every admissible point satisfies.
    spans
        Values of each cell of a column, by its number.
    """

    columns: Sequence[Column]
    constraints: Sequence[Statement]
    spans: Callable[[int], Sequence[Span]]


class _Empty(NamedTuple):
    """Cells of free columns among which no point is admissible, if fixed columns fit too."""

    applies: bool
    cells: dict[int, int]
    constraints: frozenset[int]


class BoxChecker:
    """Checks the proofs of one decision.

    Parameters
    ----------
    landscape
        The model around the instance.
    rivals
        What counts as a change.
    slack
        In units of the sums.
    instance
        Where the decision was made.
    leaves
        The number of the leaf that it reaches in each tree.
    knowledge
        The constraints.
    is_kept
        Whether it is known that the instance itself is no change.
    replay
        Runs a point on the model's own library: whether the decision changes there, or
        `None` if it cannot tell.
    """

    def __init__(
        self,
        landscape: Landscape,
        rivals: Sequence[Rival],
        slack: Fraction,
        replay: Callable[[list[float]], bool | None],
        instance: list[float],
        leaves: Sequence[int],
        knowledge: Knowledge,
        *,
        is_kept: bool,
    ) -> None:
        self._land, self._rivals, self._knowledge = landscape, rivals, knowledge
        self._slack, self._replay, self._instance = slack, replay, instance
        # Points with the leaves of the instance have its outcome, which must be no change.
        sums = landscape.model.sums(leaves)
        self._home = landscape.home(instance)
        self._home_leaves = [1 << landscape.place(t, number) for t, number in enumerate(leaves)]
        self._home_settles = is_kept or all(r.surely_not(sums, slack) for r in rivals)

    def check(self, proof: object, free: set[int]) -> Boxes:
        """Check that nothing changes the decision while some columns are free.

        Parameters
        ----------
        proof
            ``{"type": "boxes", "steps": [...]}``, under constraints with ``"clashes": [...]``.
        free
            Free columns.

        Returns
        -------
        Boxes
            What it took.

        Raises
        ------
        Refused
            Saying which box fails.
        """
        if not isinstance(proof, dict) or proof.get("type") != "boxes":
            raise Refused("a proof is not of type 'boxes'")
        steps: Any = proof.get("steps")
        if not isinstance(steps, list):
            raise Refused("a proof has no steps")
        empty = self._empty(proof.get("clashes", []), free)
        used: set[int] = set()
        land = self._land
        stack = [Ground.around(land, self._around(free))]
        ends = 0
        for place, step in enumerate(steps):
            if not stack:
                raise Refused("a proof goes on after its last box")
            ground = stack.pop()
            if isinstance(step, list) and step[:1] == ["clash"]:
                ends += 1
                used |= self._excluded(step, empty, ground, ends)
                continue
            if isinstance(step, list):
                column, passes = self._split(step)
                before = ground.box[column]
                stack.append(ground.cut(column, before & ~passes))
                stack.append(ground.cut(column, before & passes))
                continue
            ends += 1
            if type(step) is not int or step not in (0, 1):
                raise Refused(f"step {place} of a proof is {step!r}")
            if not all(ground.box) or self._settled(ground):
                continue
            # All points of such a box have the leaves of the instance.
            if self._home_settles and ground.leaves == self._home_leaves:
                continue
            if step == 1 and ground.is_single:
                if self._replay(self._point(ground.box, free)) is False:
                    continue
                raise Refused(f"box {ends} lies within the slack, and no library settles it")
            raise Refused(f"box {ends} of a proof is not settled by its sums")
        if stack:
            raise Refused("a proof ends before all boxes are settled")
        return Boxes(ends, frozenset(used))

    def _empty(self, entries: object, free: set[int]) -> list[_Empty]:
        """Check which boxes hold no admissible point, and find their cells."""
        if not isinstance(entries, list):
            raise Refused("the clashes of a proof are no list")
        found: list[_Empty] = []
        for entry in entries:
            clash = check_clash(entry, self._knowledge.columns, self._knowledge.constraints)
            applies, cells = True, dict[int, int]()
            for column in clash.box:
                if column not in free:
                    here = Span.of(self._instance[column])
                    applies = applies and clash.covers(column, here)
                    continue
                spans = self._knowledge.spans(column)
                covered = (1 << i for i, span in enumerate(spans) if clash.covers(column, span))
                cells[column] = sum(covered)
            found.append(_Empty(applies, cells, clash.constraints))
        return found

    def _excluded(
        self, step: list[Any], empty: Sequence[_Empty], ground: Ground, number: int
    ) -> frozenset[int]:
        """Check that a box lies inside one without admissible points; name the constraints."""
        at = step[1] if len(step) == 2 else None
        if type(at) is not int or not 0 <= at < len(empty):
            raise Refused(f"a step of a proof is {step!r}")
        clash = empty[at]
        if not clash.applies or any(ground.box[c] & ~kept for c, kept in clash.cells.items()):
            raise Refused(f"box {number} of a proof is not excluded by its constraints")
        return clash.constraints

    def clauses(
        self, free: set[int], levels: object, only: int | None = None
    ) -> list[tuple[int, ...]]:
        """Write what a DRAT proof has to refute; as `change_clauses`."""
        if not isinstance(levels, list):
            raise Refused("a proof does not list its levels")
        box = self._around(free)
        return change_clauses(self._land, self._rivals, self._slack, box, levels, only)

    def _around(self, free: set[int]) -> list[int]:
        land = self._land
        return [land.whole[c] if c in free else self._home[c] for c in range(len(land.cells))]

    def _split(self, step: list[Any]) -> tuple[int, int]:
        land = self._land
        if len(step) not in (2, 3) or not isinstance(step[0], int) or isinstance(step[0], bool):
            raise Refused(f"a split of a proof is {step!r}")
        column, test, missing = step[0], step[1], step[2:] == [True]
        if not 0 <= column < len(land.cells) or (len(step) == 3 and not missing) or test is None:
            raise Refused(f"a split of a proof is {step!r}")
        if isinstance(test, list):
            asked = Test(column, codes=frozenset(test), missing=missing)
        else:
            asked = Test(column, number(test), missing=missing)
        return column, passing(asked, land.cells[column], "float64")

    def _settled(self, ground: Ground) -> bool:
        """Tell whether no rival can be beyond zero, even within the slack."""
        return all(
            any(self._below(difference, ground) for difference in rival.differences)
            for rival in self._rivals
        )

    def _below(self, difference: Difference, ground: Ground) -> bool:
        most = ground.most(difference.weights) + difference.constant
        return most < -self._slack or (not self._slack and most == 0 and not difference.ties)

    def _point(self, box: list[int], free: set[int]) -> list[float]:
        """Return a point of a box."""
        point = list(self._instance)
        for column in free:
            if not box[column] & self._home[column]:
                first = (box[column] & -box[column]).bit_length() - 1
                point[column] = self._land.cells[column][first]
        return point
