"""Sparsemax: the nearest point of the probability simplex, with exact zeros.

    sparsemax(b) = argmin over p in the simplex of ||p - b||^2 = max(b - tau, 0)

Source: Martins and Astudillo, "From Softmax to Sparsemax", ICML 2016: Algorithm 1 for the
threshold tau, Proposition 1 for the Jacobian, which is the centring matrix of the support:
a gradient is centred where the result is positive and zero elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["sparsemax", "sparsemax_backward"]


def sparsemax(values: Tensor) -> Tensor:
    """Project each row onto the probability simplex.

    Parameters
    ----------
    values
        Shape ``(rows, K)``.

    Examples
    --------
    >>> import torch
    >>> sparsemax(torch.tensor([[2.0, 1.5, 0.0], [0.0, 0.0, 0.0]]))
    tensor([[0.7500, 0.2500, 0.0000],
            [0.3333, 0.3333, 0.3333]])
    """
    import torch

    ordered = values.sort(dim=1, descending=True).values
    total = ordered.cumsum(1)
    rank = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device)
    size = (1 + rank * ordered > total).sum(1, keepdim=True)
    tau = (total.gather(1, size - 1) - 1) / size
    return (values - tau).clamp(min=0)


def sparsemax_backward(result: Tensor, slope: Tensor) -> Tensor:
    """Return the gradient for the values, given result and gradient of `sparsemax`.

    Examples
    --------
    >>> import torch
    >>> sparsemax_backward(torch.tensor([[0.75, 0.25, 0.0]]), torch.tensor([[1.0, 0.0, 9.0]]))
    tensor([[ 0.5000, -0.5000,  0.0000]])
    """
    support = (result > 0).to(slope.dtype)
    mean = (slope * support).sum(1, keepdim=True) / support.sum(1, keepdim=True)
    return support * (slope - mean)
