"""Box proofs: follow the splits, add the best reachable leaves, compare.

Two halves of a split always cover the box that was cut, because cells either pass its test
or do not; so nothing has to be checked about splits, and only the ends of a proof count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .cells import passing
from .document import number
from .model import Branch, Leaf, Test, TreeModel, round_to
from .question import Rival
from .refusal import Refused

__all__ = ["BoxChecker", "Landscape"]


@dataclass(frozen=True, slots=True)
class _Reached:
    """A leaf: the cells it needs by column, and what it adds."""

    number: int
    needs: Mapping[int, int]
    values: tuple[int, ...]


class Landscape:
    """A model over the cells of a region.

    Parameters
    ----------
    model
        The model.
    cells
        Cells that a free column may take, by column.
    """

    def __init__(self, model: TreeModel, cells: Sequence[Sequence[float]]) -> None:
        self.model, self.cells = model, cells
        tests: list[dict[Test, int]] = [{} for _ in cells]
        for tree in model.trees:
            for node in tree:
                if isinstance(node, Branch) and node.test not in tests[node.test.column]:
                    made = passing(node.test, cells[node.test.column], model.precision)
                    tests[node.test.column][node.test] = made
        self.whole = [(1 << len(column)) - 1 for column in cells]
        self._tests = tests
        self.trees = [self._leaves(number) for number in range(len(model.trees))]

    def home(self, instance: Sequence[float]) -> list[int]:
        """Return a cell of each column that answers every test as the instance does."""
        found: list[int] = []
        for value, tests, alike in zip(instance, self._tests, self.whole, strict=True):
            rounded = round_to(value, self.model.precision)
            for test, passes in tests.items():
                alike &= passes if test.passes(rounded) else ~passes
            if not alike:
                raise Refused("the instance lies in no cell of the region")
            found.append(alike & -alike)
        return found

    def _leaves(self, number: int) -> list[_Reached]:
        tree, found = self.model.trees[number], list[_Reached]()
        pending: list[tuple[int, dict[int, int]]] = [(0, {})]
        while pending:
            at, needs = pending.pop()
            node = tree[at]
            if isinstance(node, Leaf):
                found.append(_Reached(at, needs, self.model.added[number][at]))
                continue
            column = node.test.column
            passes, before = self._tests[column][node.test], needs.get(column, self.whole[column])
            for child, kept in ((node.yes, before & passes), (node.no, before & ~passes)):
                if kept:
                    pending.append((child, {**needs, column: kept}))
        return found


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
        self._home_leaves = [
            [leaf.number for leaf in _within(self._home, t)] for t in landscape.trees
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
        box = [land.whole[c] if c in free else self._home[c] for c in range(len(land.cells))]
        trees = [_within(box, leaves) for leaves in land.trees]
        stack = [(box, trees)]
        ends = 0
        for place, step in enumerate(steps):
            if not stack:
                raise Refused("a proof goes on after its last box")
            box, trees = stack.pop()
            if isinstance(step, list):
                column, passes = self._split(step)
                for kept in (box[column] & ~passes, box[column] & passes):
                    half = box.copy()
                    half[column] = kept
                    left = [
                        [leaf for leaf in t if leaf.needs.get(column, kept) & kept] for t in trees
                    ]
                    stack.append((half, left))
                continue
            ends += 1
            if type(step) is not int or step not in (0, 1):
                raise Refused(f"step {place} of a proof is {step!r}")
            if not all(box) or self._settled(trees):
                continue
            if self._home_settles and self._at_home(trees):
                continue
            if step == 1 and all(len(t) == 1 for t in trees):
                if self._replay(self._point(box, free)) is False:
                    continue
                raise Refused(f"box {ends} lies within the slack, and no library settles it")
            raise Refused(f"box {ends} of a proof is not settled by its sums")
        if stack:
            raise Refused("a proof ends before all boxes are settled")
        return ends

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

    def _at_home(self, trees: list[list[_Reached]]) -> bool:
        """Tell whether all points of a box have the leaves of the instance."""
        return [[leaf.number for leaf in t] for t in trees] == self._home_leaves

    def _settled(self, trees: list[list[_Reached]]) -> bool:
        """Tell whether no rival can be beyond zero, even within the slack."""
        return all(
            any(self._below(d.weights, d.constant, d.ties, trees) for d in rival.differences)
            for rival in self._rivals
        )

    def _below(
        self, weights: tuple[int, ...], constant: Fraction, ties: bool, trees: list[list[_Reached]]
    ) -> bool:
        total = sum(w * b for w, b in zip(weights, self._land.model.start, strict=True))
        factors = [(k, w) for k, w in enumerate(weights) if w]
        if len(factors) == 1:
            ((k, w),) = factors
            total += sum(max(w * leaf.values[k] for leaf in t) for t in trees)
        else:
            for leaves in trees:
                total += max(sum(w * leaf.values[k] for k, w in factors) for leaf in leaves)
        most = total + constant
        return most < -self._slack or (not self._slack and most == 0 and not ties)

    def _point(self, box: list[int], free: set[int]) -> list[float]:
        """Return a point of a box."""
        point = list(self._instance)
        for column in free:
            if not box[column] & self._home[column]:
                first = (box[column] & -box[column]).bit_length() - 1
                point[column] = self._land.cells[column][first]
        return point


def _within(box: Sequence[int], leaves: Sequence[_Reached]) -> list[_Reached]:
    """Return the leaves that some point of a box reaches."""
    return [leaf for leaf in leaves if all(box[c] & m for c, m in leaf.needs.items())]
