"""Columns scaled to 0 .. 1 by the data, where densities and distances are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from whyproof.engine.errors import DataError

from .backend import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

__all__ = ["Scale"]


@dataclass(frozen=True, eq=False)
class Scale:
    """An affine map of each column.

    Parameters
    ----------
    lower, span
        What becomes 0, and how much becomes 1; shape ``(columns,)`` each, `span` positive.

    Examples
    --------
    >>> scale = Scale.of(np.array([[0.0, 5.0], [10.0, 9.0]]), ["age", "debt"])
    >>> scale.to_unit(np.array([[5.0, 9.0]])).tolist()
    [[0.5, 1.0]]
    """

    lower: Array
    span: Array

    @classmethod
    def of(cls, data: Array, names: Sequence[str]) -> Scale:
        """Let the smallest value of each column be 0 and the largest 1.

        Raises
        ------
        DataError
            For a missing value or a constant column, which it names.
        """
        if data.ndim != 2 or not len(data):
            raise DataError(f"data of shape {data.shape} hold no rows to learn from")
        bad = ~np.isfinite(data)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"column {names[column]!r} of row {row} holds {data[row, column]}; fill or drop "
                "rows with missing values first"
            )
        lower, span = data.min(axis=0), np.ptp(data, axis=0)
        constant = np.flatnonzero(span == 0)
        if len(constant):
            raise DataError(
                f"column {names[int(constant[0])]!r} has the same value in all {len(data)} rows; "
                "leave it out or give more rows"
            )
        return cls(np.asarray(lower, dtype=np.float64), np.asarray(span, dtype=np.float64))

    def to_unit(self, points: Array) -> Array:
        """Return points in units of the data scaled."""
        return (points - self.lower) / self.span

    def from_unit(self, points: Array) -> Array:
        """Return scaled points in units of the data."""
        return points * self.span + self.lower

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return `lower` and `span` as float32 tensors."""
        from .backend import tensor

        return tensor(self.lower, device), tensor(self.span, device)
