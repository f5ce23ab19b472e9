"""Many sets in columns of 64-bit words: one pass over thousands takes microseconds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .space import FeatureSet

__all__ = ["BitRows", "features_of", "mask_of"]

_Words = npt.NDArray[np.uint64]
_Rows = npt.NDArray[np.intp]

_WORD = 64
_LOW = (1 << _WORD) - 1
_ONE = np.uint64(1)


def mask_of(features: Iterable[int]) -> int:
    """Return the bit mask of a set of features.

    Examples
    --------
    >>> bin(mask_of(frozenset({0, 2})))
    '0b101'
    """
    mask = 0
    for i in features:
        mask |= 1 << i
    return mask


def features_of(mask: int) -> FeatureSet:
    """Return the features of a bit mask.

    Examples
    --------
    >>> sorted(features_of(0b101))
    [0, 2]
    """
    members: list[int] = []
    while mask:
        low = mask & -mask
        members.append(low.bit_length() - 1)
        mask ^= low
    return frozenset(members)


class BitRows:
    """A table of bit masks, one row each; the row order is the caller's business.

    Word `w` of row `r` is entry `r` of column `w`.  A removed row is overwritten by the
    last one.

    Examples
    --------
    >>> rows = BitRows([0b011, 0b110])
    >>> rows.within(0b111).tolist(), rows.apart(0b001).tolist(), bin(rows.singles(0b101))
    ([0, 1], [1], '0b101')
    """

    def __init__(self, masks: Iterable[int] = ()) -> None:
        self._count = 0
        self._columns: list[_Words] = [np.zeros(256, dtype=np.uint64)]
        for mask in masks:
            self.append(mask)

    def __len__(self) -> int:
        return self._count

    def append(self, mask: int) -> None:
        """Add a row at the end."""
        while mask.bit_length() > len(self._columns) * _WORD:
            self._columns.append(np.zeros_like(self._columns[0]))
        if self._count == len(self._columns[0]):
            self._columns = [np.concatenate([c, np.zeros_like(c)]) for c in self._columns]
        for column, part in zip(self._columns, self._parts(mask), strict=True):
            column[self._count] = part
        self._count += 1

    def replace_by_last(self, row: int) -> None:
        """Remove a row; the last one takes its place."""
        self._count -= 1
        for column in self._columns:
            column[row] = column[self._count]

    def within(self, mask: int) -> _Rows:
        """Return the rows that are subsets of `mask`."""
        return self._zeros([c & ~part for c, part in self._pairs(mask)])

    def apart(self, mask: int) -> _Rows:
        """Return the rows that are disjoint from `mask`."""
        return self._zeros([c & part for c, part in self._pairs(mask)])

    def around(self, mask: int) -> _Rows:
        """Return the rows that are supersets of `mask`."""
        if mask.bit_length() > len(self._columns) * _WORD:
            return np.zeros(0, dtype=np.intp)
        return self._zeros([~c & part for c, part in self._pairs(mask)])

    def singles(self, mask: int) -> int:
        """Return the elements of `mask` in which alone some row meets it."""
        found = 0
        for w, (_, meets) in enumerate(self._alone(mask)):
            found |= int(np.bitwise_or.reduce(meets, initial=0)) << (w * _WORD)
        return found

    def single_rows(self, mask: int, elements: Iterable[int]) -> dict[int, int]:
        """Return, for elements of `mask`, a row that meets it in that element alone.

        Elements without such a row are left out.
        """
        alone = self._alone(mask)
        found: dict[int, int] = {}
        for element in elements:
            w, bit = divmod(element, _WORD)
            if w < len(alone):
                rows, meets = alone[w]
                at = (meets == np.uint64(1 << bit)).nonzero()[0]
                if at.size:
                    found[element] = int(rows[at[-1]])
        return found

    def _alone(self, mask: int) -> list[tuple[_Rows, _Words]]:
        """Return by word the rows that meet `mask` in one bit of it only, and that bit."""
        meets = [c & part for c, part in self._pairs(mask)]
        if len(meets) == 1:
            only = meets[0]
            rows = ((only & (only - _ONE) == 0) & (only != 0)).nonzero()[0]
            return [(rows, only[rows])]
        blank = [part == 0 for part in meets]
        elsewhere = np.sum(blank, axis=0) == len(meets) - 1
        alone: list[tuple[_Rows, _Words]] = []
        for part, nothing in zip(meets, blank, strict=True):
            rows = (elsewhere & ~nothing & (part & (part - _ONE) == 0)).nonzero()[0]
            alone.append((rows, part[rows]))
        return alone

    def _pairs(self, mask: int) -> list[tuple[_Words, np.uint64]]:
        return [
            (c[: self._count], part)
            for c, part in zip(self._columns, self._parts(mask), strict=True)
        ]

    def _parts(self, mask: int) -> list[np.uint64]:
        return [np.uint64((mask >> (w * _WORD)) & _LOW) for w in range(len(self._columns))]

    @staticmethod
    def _zeros(words: list[_Words]) -> _Rows:
        total = words[0]
        for more in words[1:]:
            total = total | more
        rows: _Rows = (total == 0).nonzero()[0]
        return rows
