"""A region that follows the walk: cells that hardly change are given back step by step.

The area falls evenly from the whole region to the one that is wished for; at each step the
cells stay that differ most from the original.  Regions only shrink, so whatever holds of the
region that was asked for holds of the one that is left.  The idea of masks that follow the
sampler is of MaskDiME (arXiv 2602.18792); nesting and the rule are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Narrowing"]


@dataclass
class Narrowing:
    """Shrinking regions of one walk; made by `Narrowing.of`."""

    region: Tensor
    area: float
    cell: int
    steps: int
    _begin: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._begin = self.region.float().mean(dim=(1, 2, 3))

    @classmethod
    def of(cls, region: Tensor, area: float | None, cell: int, steps: int) -> Narrowing | None:
        """Start with a region; `None` if it is to stay as it is."""
        return None if area is None else cls(region, area, cell, steps)

    def after(self, turn: int, current: Tensor, original: Tensor) -> Tensor:
        """Return the region after a step, a part of the one before.

        Parameters
        ----------
        turn
            Number of the step, from 0.
        current, original
            Images, shape ``(batch, channels, height, width)``.
        """
        height, width = original.shape[-2:]
        share = min(1.0, (turn + 1) / max(1, self.steps - 1))
        wished = self._begin + (self.area - self._begin).clamp(max=0) * share
        change = (current - original).abs().sum(1, keepdim=True) * self.region
        sums = functional.avg_pool2d(change, self.cell, ceil_mode=True, count_include_pad=False)
        rows, columns = sums.shape[-2:]
        ranked = sums.flatten(1).argsort(dim=1, descending=True)
        keep = (wished * rows * columns + 1e-6).floor().clamp(min=1).long()
        place = torch.arange(rows * columns, device=original.device)[None]
        chosen = torch.zeros_like(ranked, dtype=torch.bool)
        chosen.scatter_(1, ranked, (place < keep[:, None]).expand_as(ranked))
        cells = chosen.view(-1, 1, rows, columns)
        spread = cells.repeat_interleave(self.cell, 2).repeat_interleave(self.cell, 3)
        self.region = self.region & spread[..., :height, :width]
        return self.region
