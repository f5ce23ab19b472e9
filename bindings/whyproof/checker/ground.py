"""The leaves that a box reaches, and how far sums can go there, kept up to date cut by cut.

A set of leaves of a tree is an integer, one bit for each.  A cut concerns the leaves that need
one of the cells that go, and no others; and a tree that adds to one output only has its largest and
smallest leaf counted once for all rivals.  All of these are identities of integers: nothing is
rounded, and nothing is taken over from whoever made the proof.
"""

from __future__ import annotations

from collections.abc import Sequence

from .landscape import Landscape

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
        Reachable leaves of each tree, as bits.
    high, low
        Sums of the largest, the smallest leaves of all trees that add to one output only, by
        output.
    """

    __slots__ = ("box", "high", "land", "leaves", "low")

    def __init__(
        self, land: Landscape, box: list[int], leaves: list[int], high: list[int], low: list[int]
    ) -> None:
        self.land, self.box, self.leaves, self.high, self.low = land, box, leaves, high, low

    @classmethod
    def around(cls, land: Landscape, box: list[int]) -> Ground:
        """Find the leaves of a box, cells of each column."""
        leaves = [(1 << len(tree)) - 1 for tree in land.trees] if all(box) else []
        for column, kept in enumerate(box) if leaves else ():
            for needed, entries in land.needing[column]:
                if not needed & kept:
                    for tree, bits in entries:
                        leaves[tree] &= ~bits
        high = [0] * len(land.model.start)
        low = high.copy()
        for tree, reached in enumerate(leaves):
            owner = land.owners[tree]
            if owner >= 0:
                most, least = land.ends_of(tree, reached)
                high[owner] += most
                low[owner] += least
        return cls(land, box, leaves, high, low)

    def cut(self, column: int, kept: int) -> Ground:
        """Keep some cells of a column."""
        box = self.box.copy()
        box[column] = kept
        land = self.land
        if not all(box):
            return Ground(land, box, [], [], [])
        leaves, high, low = self.leaves.copy(), self.high.copy(), self.low.copy()
        gone = self.box[column] & ~kept
        owners = land.owners
        for needed, entries in land.needing[column]:
            if needed & kept or not needed & gone:
                continue  # still reached, or left out before
            for tree, bits in entries:
                before = leaves[tree]
                after = before & ~bits
                if after == before:
                    continue
                leaves[tree] = after
                owner = owners[tree]
                if owner >= 0:
                    old_most, old_least = land.ends_of(tree, before)
                    most, least = land.ends_of(tree, after)
                    high[owner] += most - old_most
                    low[owner] += least - old_least
        return Ground(land, box, leaves, high, low)

    def most(self, weights: Sequence[int]) -> int:
        """Return the largest weighed sum, each tree by itself, the start included."""
        factors = [(k, w) for k, w in enumerate(weights) if w]
        land = self.land
        start = land.model.start
        total = sum(w * (start[k] + (self.high[k] if w > 0 else self.low[k])) for k, w in factors)
        for tree in land.shared:
            total += max(
                sum(w * leaf.values[k] for k, w in factors)
                for leaf in land.members(tree, self.leaves[tree])
            )
        return total

    @property
    def is_single(self) -> bool:
        """Whether one leaf of each tree is left."""
        return all(not reached & (reached - 1) for reached in self.leaves)
