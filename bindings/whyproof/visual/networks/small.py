"""A U-Net for small images: 0.3 million parameters, folded once, one level down.

Pixels are folded two by two into channels, so that 28 x 28 images are worked on at 14 x 14
and 7 x 7, where a bottleneck attends over all places.  Idea: Ronneberger et al. 2015 with the
residual blocks and scale-shift time of Dhariwal and Nichol 2021; ours also reads the mask.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from whyproof.engine.errors import InputError

__all__ = ["SmallUNet", "SmallUNetShape"]


@dataclass(frozen=True, slots=True)
class SmallUNetShape:
    """Sizes of a small U-Net.

    Parameters
    ----------
    channels
        Of the images.
    width
        Channels of the upper level, a multiple of 8; the lower one has twice as many.
    time_width
        Length of the embedding of the time, even.
    heads
        Of the attention.
    """

    channels: int = 1
    width: int = 32
    time_width: int = 64
    heads: int = 4

    def as_json(self) -> dict[str, int]:
        """Return the sizes by name."""
        return asdict(self)


class SmallUNet(nn.Module):
    """Predicts the direction from a clean image to the one at a step of the bridge.

    Parameters
    ----------
    shape
        Its sizes.

    Examples
    --------
    >>> net = SmallUNet()
    >>> image = torch.zeros(2, 1, 28, 28)
    >>> net(image, torch.tensor([1.0, 500.0]), image).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, shape: SmallUNetShape | None = None) -> None:
        super().__init__()
        self.shape = shape if shape is not None else SmallUNetShape()
        width, time = self.shape.width, self.shape.time_width
        folded = 4 * self.shape.channels
        self.time = nn.Sequential(
            nn.Linear(time, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU()
        )
        self.enter = nn.Conv2d(folded + 4, width, 3, padding=1)
        self.above = ResidualBlock(width, width, time)
        self.below = ResidualBlock(width, 2 * width, time)
        self.attend = Attention(2 * width, self.shape.heads)
        self.middle = ResidualBlock(2 * width, 2 * width, time)
        self.rise = ResidualBlock(4 * width, width, time)
        self.join = ResidualBlock(2 * width, width, time)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, folded, 3, padding=1)
        )

    def forward(self, images: Tensor, times: Tensor, mask: Tensor) -> Tensor:
        """Return directions of the images' shape; sides must be multiples of 4."""
        if images.shape[-1] % 4 or images.shape[-2] % 4:
            raise InputError(
                f"the small network needs sides that are multiples of 4, "
                f"found {tuple(images.shape[-2:])}; pad the images"
            )
        time = self.time(embedded(times, self.shape.time_width))
        seen = torch.cat([images, mask.expand(-1, 1, -1, -1)], 1)
        above = self.above(self.enter(functional.pixel_unshuffle(seen, 2)), time)
        below = self.attend(self.below(functional.avg_pool2d(above, 2), time))
        rising = self.rise(torch.cat([self.middle(below, time), below], 1), time)
        wide = functional.interpolate(rising, scale_factor=2.0, mode="nearest")
        joined = self.join(torch.cat([wide, above], 1), time)
        folded: Tensor = self.leave(joined)
        return functional.pixel_shuffle(folded, 2)


class ResidualBlock(nn.Module):
    """Two convolutions around a time-dependent scale and shift; starts as the identity."""

    def __init__(self, inside: int, outside: int, time: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, inside)
        self.first = nn.Conv2d(inside, outside, 3, padding=1)
        self.condition = nn.Linear(time, 2 * outside)
        self.renorm = nn.GroupNorm(8, outside)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.short = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, time: Tensor) -> Tensor:
        """Return feature maps of the same height and width."""
        hidden = self.first(functional.silu(self.norm(images)))
        scale, shift = self.condition(time)[:, :, None, None].chunk(2, 1)
        hidden = self.renorm(hidden) * (1 + scale) + shift
        found: Tensor = self.short(images) + self.second(functional.silu(hidden))
        return found


class Attention(nn.Module):
    """Every place looks at every other; starts as the identity."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.tell = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return feature maps of the same shape."""
        batch, channels, height, width = images.shape
        parts = self.ask(self.norm(images))
        parts = parts.reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = parts.transpose(3, 4).unbind(1)
        found = functional.scaled_dot_product_attention(query, key, value)
        joined = found.transpose(2, 3).reshape(batch, channels, height, width)
        told: Tensor = self.tell(joined)
        return images + told


def embedded(times: Tensor, width: int) -> Tensor:
    """Return cosines and sines of times at geometric frequencies, shape ``(batch, width)``."""
    half = width // 2
    exponent = -math.log(1e4) * torch.arange(half, dtype=times.dtype, device=times.device) / half
    angles = times[:, None] * exponent.exp()[None]
    return torch.cat([angles.cos(), angles.sin()], 1)
