"""Convolutions, without ever writing out their matrix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..graph import Convolution
from .base import LinearOperator

__all__ = ["ConvolutionOperator"]


class ConvolutionOperator(LinearOperator):
    """Two-dimensional cross-correlation; its transpose is the transposed convolution."""

    def __init__(self, node: Convolution, weight: Tensor, bias: Tensor) -> None:
        self.node = node
        self.weight = weight
        self.size = weight.abs()
        pixels = node.output[1] * node.output[2]
        self.bias = bias.repeat_interleave(pixels)
        # Forward over the channels read, backward over the channels written.
        self.terms = int(weight[0, 0].numel()) * max(weight.shape[:2])
        top, left, below, right = node.padding
        self._pad = (left, right, top, below)
        padded = (node.image[1] + top + below, node.image[2] + left + right)
        # What the stride leaves over at the far edge: the transpose has to reach it.
        self._rest = tuple(
            whole - ((out - 1) * stride + dilation * (kernel - 1) + 1)
            for whole, out, stride, dilation, kernel in zip(
                padded, node.output[1:], node.stride, node.dilation, weight.shape[2:], strict=True
            )
        )

    def _apply(self, x: Tensor, weight: Tensor) -> Tensor:
        image = x.reshape(-1, *self.node.image)
        if any(self._pad):
            image = functional.pad(image, self._pad)
        result = functional.conv2d(
            image,
            weight,
            None,
            stride=self.node.stride,
            dilation=self.node.dilation,
            groups=self.node.groups,
        )
        return result.flatten(1)

    def linear(self, *inputs: Tensor) -> Tensor:
        """Convolve."""
        return self._apply(inputs[0], self.weight)

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Convolve with absolute values."""
        return self._apply(inputs[0], self.size)

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Apply the transposed convolution to each row."""
        batch, count = rows.shape[:2]
        node = self.node
        image = functional.conv_transpose2d(
            rows.reshape(batch * count, *node.output),
            self.weight,
            stride=node.stride,
            dilation=node.dilation,
            groups=node.groups,
        )
        if any(self._rest):
            image = functional.pad(image, (0, self._rest[1], 0, self._rest[0]))
        top, left, _, _ = node.padding
        image = image[:, :, top : top + node.image[1], left : left + node.image[2]]
        return (torch.flatten(image, 1).reshape(batch, count, -1),)
