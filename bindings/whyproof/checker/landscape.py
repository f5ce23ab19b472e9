"""A model over the cells of a region: which cells each leaf holds, and what it adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cells import passing_rounded
from .model import Branch, Leaf, Test, TreeModel, round_to
from .refusal import Refused

__all__ = ["Landscape", "Reached"]


@dataclass(frozen=True, slots=True)
class Reached:
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

    Attributes
    ----------
    whole
        All cells of each column.
    trees
        Leaves of each tree.
    owners
        Output to which a tree adds, -1 if there are several; `shared` are these trees.
    needing
        By column: sets of cells, with the trees and leaves, as bits, that need one of these.
    """

    def __init__(self, model: TreeModel, cells: Sequence[Sequence[float]]) -> None:
        self.model, self.cells = model, cells
        tests: list[dict[Test, int]] = [{} for _ in cells]
        rounded = [[round_to(value, model.precision) for value in column] for column in cells]
        for tree in model.trees:
            for node in tree:
                if isinstance(node, Branch) and node.test not in tests[node.test.column]:
                    made = passing_rounded(node.test, rounded[node.test.column])
                    tests[node.test.column][node.test] = made
        self.whole = [(1 << len(column)) - 1 for column in cells]
        self._tests = tests
        self.trees = [self._leaves(number) for number in range(len(model.trees))]
        self.owners = [_only_output(leaves) for leaves in self.trees]
        self.shared = [tree for tree, owner in enumerate(self.owners) if owner < 0]
        # For each column the cells that leaves need, with the leaves, by tree and as bits.
        needs: list[dict[int, dict[int, int]]] = [{} for _ in cells]
        for place, leaves in enumerate(self.trees):
            for i, leaf in enumerate(leaves):
                for column, needed in leaf.needs.items():
                    bits = needs[column].setdefault(needed, {})
                    bits[place] = bits.get(place, 0) | 1 << i
        self.needing = [[(n, list(b.items())) for n, b in found.items()] for found in needs]
        self._ends: list[dict[int, tuple[int, int]]] = [{} for _ in self.trees]
        self._places = [{leaf.number: i for i, leaf in enumerate(t)} for t in self.trees]

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

    def place(self, tree: int, number: int) -> int:
        """Return the place of a node among the leaves of a tree."""
        return self._places[tree][number]

    def members(self, tree: int, reached: int) -> list[Reached]:
        """Return the leaves of a tree that stand for bits."""
        return [leaf for i, leaf in enumerate(self.trees[tree]) if reached >> i & 1]

    def ends_of(self, tree: int, reached: int) -> tuple[int, int]:
        """Return the largest and the smallest value of leaves of a tree with one output."""
        made = self._ends[tree]
        if reached not in made:
            owner = self.owners[tree]
            values = [leaf.values[owner] for leaf in self.members(tree, reached)]
            made[reached] = max(values), min(values)
        return made[reached]

    def _leaves(self, number: int) -> list[Reached]:
        tree, found = self.model.trees[number], list[Reached]()
        pending: list[tuple[int, dict[int, int]]] = [(0, {})]
        while pending:
            at, needs = pending.pop()
            node = tree[at]
            if isinstance(node, Leaf):
                found.append(Reached(at, needs, self.model.added[number][at]))
                continue
            column = node.test.column
            passes, before = self._tests[column][node.test], needs.get(column, self.whole[column])
            for child, kept in ((node.yes, before & passes), (node.no, before & ~passes)):
                if kept:
                    pending.append((child, {**needs, column: kept}))
        return found


def _only_output(leaves: Sequence[Reached]) -> int:
    """Return the one output that leaves add to; -1 if there are several."""
    outputs = {k for leaf in leaves for k, value in enumerate(leaf.values) if value}
    return -1 if len(outputs) > 1 else min(outputs, default=0)
