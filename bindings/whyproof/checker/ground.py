"""The leaves that a box reaches, and how far sums can go there, kept up to date cut by cut.

A cut of one column concerns the trees that test it and no others; and a tree that adds to one
output only has its largest and smallest leaf counted once for all rivals.  Both are identities
of integers: nothing is rounded, and nothing is taken over from whoever made the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .landscape import Landscape, Reached, reached_within

__all__ = ["Ground"]


class Ground:
    """A box and what is left of each tree in it.

    Parameters
    ----------
    land
        The model over cells.
    box
        Cells of each column.
    leaves
        Reachable leaves of each tree.
    high, low
        Sums of the largest, the smallest leaves of all trees that add to one output only, by
        output.
    """

    __slots__ = ("box", "high", "land", "leaves", "low")

    def __init__(
        self,
        land: Landscape,
        box: list[int],
        leaves: list[list[Reached]],
        high: list[int],
        low: list[int],
    ) -> None:
        self.land, self.box, self.leaves, self.high, self.low = land, box, leaves, high, low

    @classmethod
    def around(
        cls, land: Landscape, home: Sequence[Reached], box: list[int], free: Iterable[int]
    ) -> Ground:
        """Find the leaves of the box in which some columns are free and all others at home.

        Parameters
        ----------
        land
            The model over cells.
        home
            The leaf of each tree at home.
        box
            Cells of each column; one cell where a column is not free.
        free
            Free columns.
        """
        leaves = [[leaf] for leaf in home] if all(box) else []
        for tree in set().union(*(land.testing[column] for column in free)) if leaves else ():
            leaves[tree] = reached_within(box, land.trees[tree])
        high = [0] * len(land.model.start)
        low = high.copy()
        for owner, reached in zip(land.owners, leaves, strict=False):
            if owner >= 0:
                values = [leaf.values[owner] for leaf in reached]
                high[owner] += max(values)
                low[owner] += min(values)
        return cls(land, box, leaves, high, low)

    def cut(self, column: int, kept: int) -> Ground:
        """Keep some cells of a column."""
        box = self.box.copy()
        box[column] = kept
        if not all(box):
            return Ground(self.land, box, [], [], [])
        leaves, high, low = self.leaves.copy(), self.high.copy(), self.low.copy()
        for tree in self.land.testing[column]:
            before = leaves[tree]
            after = [leaf for leaf in before if leaf.needs.get(column, kept) & kept]
            if len(after) == len(before):
                continue
            leaves[tree] = after
            owner = self.land.owners[tree]
            if owner >= 0:
                old = [leaf.values[owner] for leaf in before]
                new = [leaf.values[owner] for leaf in after]
                high[owner] += max(new) - max(old)
                low[owner] += min(new) - min(old)
        return Ground(self.land, box, leaves, high, low)

    def most(self, weights: Sequence[int]) -> int:
        """Return the largest weighed sum, each tree by itself, the start included."""
        factors = [(k, w) for k, w in enumerate(weights) if w]
        start = self.land.model.start
        total = sum(w * (start[k] + (self.high[k] if w > 0 else self.low[k])) for k, w in factors)
        for tree in self.land.shared:
            total += max(sum(w * leaf.values[k] for k, w in factors) for leaf in self.leaves[tree])
        return total
