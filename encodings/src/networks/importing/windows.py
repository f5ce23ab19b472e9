"""Sliding windows of convolutions and pooling: strides, padding rules, window indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Indices
from .translation import View

__all__ = ["Windows", "windows_of"]


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows lie, always in two dimensions (height 1 is added to one).

    Parameters
    ----------
    extent
        Height and width of the image.
    kernel, stride, dilation
        Vertical and horizontal.
    padding
        Above, left, below, right.
    """

    extent: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]

    def indices(self, channels: int) -> Indices:
        """Return flat image positions of every window, -1 where it lies on padding.

        Returns
        -------
        Indices
            Shape ``(channels, rows, columns, window)``.
        """
        axes = []
        for axis in range(2):
            size, kernel = self.extent[axis], self.kernel[axis]
            before, after = self.padding[axis], self.padding[axis + 2]
            reach = self.dilation[axis] * (kernel - 1) + 1
            starts = np.arange(0, size + before + after - reach + 1, self.stride[axis]) - before
            place = starts[:, None] + self.dilation[axis] * np.arange(kernel)[None]
            axes.append(np.where((place >= 0) & (place < size), place, -1))
        rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
        plane = np.where((rows >= 0) & (columns >= 0), rows * self.extent[1] + columns, -1)
        flat = plane.reshape(*plane.shape[:2], -1)[None]
        offset = (np.arange(channels) * self.extent[0] * self.extent[1])[:, None, None, None]
        return np.asarray(np.where(flat >= 0, flat + offset, -1), dtype=np.intp)


def windows_of(view: View, spatial: Sequence[int], kernel: Sequence[int]) -> Windows:
    """Read strides, dilations and padding of a convolution or pooling node."""
    n = len(spatial)
    if n not in (1, 2):
        raise view.refuse(f"is supported for one or two spatial axes, found {n}")
    stride = [int(i) for i in view.attributes.get("strides", [1] * n)]
    dilation = [int(i) for i in view.attributes.get("dilations", [1] * n)]
    pads = [int(i) for i in view.attributes.get("pads", [0] * (2 * n))]
    rule = view.attributes.get("auto_pad", "NOTSET")
    rule = rule.decode() if isinstance(rule, bytes) else str(rule)
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        before, after = [], []
        for size, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
            total = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
            small, large = total // 2, total - total // 2
            before.append(small if rule == "SAME_UPPER" else large)
            after.append(large if rule == "SAME_UPPER" else small)
        pads = before + after
    elif rule not in ("NOTSET", "VALID", ""):
        raise view.refuse(f"has the unknown padding rule {rule!r}")
    if view.whole("ceil_mode", 0):
        # Padding at the end makes the last partial window whole; it counts as padding.
        for axis in range(n):
            reach = dilation[axis] * (kernel[axis] - 1) + 1
            room = spatial[axis] + pads[axis] + pads[axis + n] - reach
            count = -(-room // stride[axis]) + 1
            if (count - 1) * stride[axis] >= spatial[axis] + pads[axis]:
                count -= 1
            pads[axis + n] += max(0, (count - 1) * stride[axis] - room)
    if any(p < 0 for p in pads):
        raise view.refuse("has negative padding")
    if n == 1:
        return Windows(
            (1, spatial[0]), (1, kernel[0]), (1, stride[0]), (1, dilation[0]),
            (0, pads[0], 0, pads[1]),
        )  # fmt: skip
    return Windows(
        (spatial[0], spatial[1]), (kernel[0], kernel[1]), (stride[0], stride[1]),
        (dilation[0], dilation[1]), (pads[0], pads[1], pads[2], pads[3]),
    )  # fmt: skip
