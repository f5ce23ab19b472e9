"""Matrix products."""

from __future__ import annotations

from torch import Tensor

from .base import LinearOperator

__all__ = ["DenseOperator"]


class DenseOperator(LinearOperator):
    """One matrix applied to each of `parts` equal parts of the vector.

    Parameters
    ----------
    weight
        Shape ``(out, in)``.
    bias
        Shape ``(out,)``.
    parts
        Number of parts.
    size
        Bound on the size of the numbers added up in each entry of `weight`, for a matrix
        that is itself a product; its absolute value otherwise.
    terms
        Most numbers added up on the way to one entry, of the product from either side; the
        larger side by default.
    bias_size
        The same as `size` for the bias.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        parts: int = 1,
        size: Tensor | None = None,
        terms: int | None = None,
        bias_size: Tensor | None = None,
    ) -> None:
        self.weight = weight
        self.parts = parts
        self.bias = bias.repeat(parts)
        self.size = weight.abs() if size is None else size
        self.terms = max(weight.shape, default=1) if terms is None else terms
        self._bias_size = self.bias.abs() if bias_size is None else bias_size

    @property
    def bias_size(self) -> Tensor:
        """Bound on the size of the numbers added up in the bias."""
        return self._bias_size

    def linear(self, *inputs: Tensor) -> Tensor:
        """Multiply."""
        (x,) = inputs
        if self.parts == 1:
            return x @ self.weight.T
        return (x.reshape(len(x), self.parts, -1) @ self.weight.T).flatten(1)

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Multiply by the absolute values."""
        (x,) = inputs
        return (x.reshape(len(x), self.parts, -1) @ self.size.T).flatten(1)

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Multiply from the left."""
        if self.parts == 1:
            return (rows @ self.weight,)
        split = rows.reshape(*rows.shape[:2], self.parts, -1)
        return ((split @ self.weight).flatten(2),)

    def rows_at(self, index: Tensor, sign: float) -> tuple[Tensor, ...]:
        """Pick rows."""
        if self.parts > 1:
            return super().rows_at(index, sign)
        return (sign * self.weight[index][None],)
