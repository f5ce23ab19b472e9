"""Box proofs: follow the splits, add the best reachable leaves, compare.

Two halves of a split always cover the box that was cut, because cells either pass its test
or do not; so nothing has to be checked about splits, and only the ends of a proof count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from .cells import passing
from .clauses import change_clauses
from .document import number
from .ground import Ground
from .landscape import Landscape, Reached
from .model import Test
from .question import Difference, Rival
from .refusal import Refused

__all__ = ["BoxChecker"]


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
        *,
        is_kept: bool,
    ) -> None:
        self._land, self._rivals = landscape, rivals
        self._slack, self._replay, self._instance = slack, replay, instance
        # Points with the leaves of the instance have its outcome, which must be no change.
        sums = landscape.model.sums(instance)
        self._home = landscape.home(instance)
        numbers = landscape.model.leaves(instance)
        self._home_leaves = [[number] for number in numbers]
        self._home_reached = [
            next(leaf for leaf in leaves if leaf.number == number)
            for leaves, number in zip(landscape.trees, numbers, strict=True)
        ]
        self._home_settles = is_kept or all(r.surely_not(sums, slack) for r in rivals)

    def check(self, proof: object, free: set[int]) -> int:
        """Check that nothing changes the decision while some columns are free.

        Parameters
        ----------
        proof
            ``{"type": "boxes", "steps": [...]}``.
        free
            Free columns.

        Returns
        -------
        int
            Number of boxes.

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
        land = self._land
        stack = [Ground.around(land, self._home_reached, self._around(free), free)]
        ends = 0
        for place, step in enumerate(steps):
            if not stack:
                raise Refused("a proof goes on after its last box")
            ground = stack.pop()
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
            if self._home_settles and self._at_home(ground.leaves):
                continue
            if step == 1 and all(len(t) == 1 for t in ground.leaves):
                if self._replay(self._point(ground.box, free)) is False:
                    continue
                raise Refused(f"box {ends} lies within the slack, and no library settles it")
            raise Refused(f"box {ends} of a proof is not settled by its sums")
        if stack:
            raise Refused("a proof ends before all boxes are settled")
        return ends

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

    def _at_home(self, trees: list[list[Reached]]) -> bool:
        """Tell whether all points of a box have the leaves of the instance."""
        return [[leaf.number for leaf in t] for t in trees] == self._home_leaves

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
