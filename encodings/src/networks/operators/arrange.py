"""Operators that scale, add, pick and join numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import LinearOperator

__all__ = ["AffineOperator", "ConcatenateOperator", "SelectOperator", "SumOperator"]

_MOST_AXES = 4
"""Axes of a grid: channels, rows and columns, and one more."""


class AffineOperator(LinearOperator):
    """``scale * x + shift``."""

    terms = 1

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        self.scale = scale
        self.bias = shift

    def linear(self, *inputs: Tensor) -> Tensor:
        """Scale."""
        return inputs[0] * self.scale

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Scale by absolute values."""
        return inputs[0] * self.scale.abs()

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Scale."""
        return (rows * self.scale,)


class SumOperator(LinearOperator):
    """Weighted sum of its inputs."""

    def __init__(self, coefficients: tuple[float, ...], like: Tensor) -> None:
        self.coefficients = coefficients
        self.bias = torch.zeros_like(like)
        self.terms = len(coefficients)

    def linear(self, *inputs: Tensor) -> Tensor:
        """Add up."""
        return _total(self.coefficients, inputs)

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Add up with absolute coefficients."""
        return _total(tuple(abs(c) for c in self.coefficients), inputs)

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Send the rows to each input."""
        return tuple(rows if c == 1.0 else c * rows for c in self.coefficients)


class SelectOperator(LinearOperator):
    """Entries picked by index, with constants where the index is -1."""

    def __init__(self, index: Tensor, fill: Tensor, size: int) -> None:
        self.index = index
        self.bias = torch.where(index < 0, fill, torch.zeros_like(fill))
        self.kept = (index >= 0).nonzero().ravel()
        self.place = index[self.kept]
        self.size = size
        self.whole = len(self.kept) == len(index)
        #: Sizes, strides and offset if the positions are a regular grid, as for pooling: a view
        #: costs a sixth of picking one by one.
        self.grid = _grid(self.place.tolist()) if self.whole else None
        # Backwards, what was picked several times adds up.
        self.terms = int(torch.bincount(self.place).max()) if len(self.place) else 1

    def _pick(self, x: Tensor) -> Tensor:
        if self.grid is not None:
            sizes, strides, first = self.grid
            near = x.contiguous()
            at = near.storage_offset() + first
            view = near.as_strided((len(x), *sizes), (near.stride(0), *strides), at)
            return view.reshape(len(x), -1)
        if self.whole:
            return x.index_select(1, self.place)
        out = x.new_zeros((len(x), len(self.index)))
        out[:, self.kept] = x[:, self.place]
        return out

    def linear(self, *inputs: Tensor) -> Tensor:
        """Pick."""
        return self._pick(inputs[0])

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Pick without the constants."""
        return self._pick(inputs[0])

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Add each coefficient to the entry that it was picked from."""
        kept = rows if self.whole else rows[..., self.kept]
        out = rows.new_zeros((*rows.shape[:2], self.size))
        return (out.index_add(2, self.place, kept),)


class ConcatenateOperator(LinearOperator):
    """Inputs one behind the other."""

    terms = 1

    def __init__(self, sizes: tuple[int, ...], like: Tensor) -> None:
        self.sizes = sizes
        self.bias = torch.zeros_like(like)

    def linear(self, *inputs: Tensor) -> Tensor:
        """Join."""
        return torch.cat(inputs, dim=1)

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Join."""
        return torch.cat(inputs, dim=1)

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Cut the rows."""
        return torch.split(rows, list(self.sizes), dim=2)


def _total(coefficients: tuple[float, ...], inputs: tuple[Tensor, ...]) -> Tensor:
    total = inputs[0] if coefficients[0] == 1.0 else coefficients[0] * inputs[0]
    for c, x in zip(coefficients[1:], inputs[1:], strict=True):
        total = torch.add(total, x, alpha=c)
    return total


def _grid(places: list[int]) -> tuple[tuple[int, ...], tuple[int, ...], int] | None:
    """Return sizes and strides of a grid whose cells in order are the places, if there is one.

    Examples
    --------
    >>> _grid([3, 5, 13, 15]), _grid([0, 1, 3])
    (((2, 2), (10, 2), 3), None)
    """
    first, sizes, strides = (places[0] if places else 0), list[int](), list[int]()
    while len(places) > 1 and len(sizes) < _MOST_AXES:
        step, n = places[1] - places[0], 1
        while n < len(places) and places[n] - places[n - 1] == step:
            n += 1
        rows = [places[i : i + n] for i in range(0, len(places), n)]
        if step < 1 or any(row != list(range(row[0], row[0] + n * step, step)) for row in rows):
            return None
        sizes.insert(0, n)
        strides.insert(0, step)
        places = [row[0] for row in rows]
    return (tuple(sizes), tuple(strides), first) if len(places) == 1 and sizes else None
