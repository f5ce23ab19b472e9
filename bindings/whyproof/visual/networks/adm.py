"""The large U-Net of published bridges at 256 pixels, under its published names.

Residual blocks with a scale and shift from the time, attention at three resolutions, and
residual blocks that shrink or enlarge.  Architecture: Dhariwal and Nichol, Diffusion Models
Beat GANs on Image Synthesis, 2021 (guided-diffusion, MIT).  Parameter names are those of the
published files, so that weights are checked name by name; the code is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from whyproof.engine.errors import InputError

from .small import embedded

__all__ = ["AdmShape", "AdmUNet"]


@dataclass(frozen=True, slots=True)
class AdmShape:
    """Sizes; the defaults are those of the published network for 256 pixels.

    Parameters
    ----------
    channels
        Of the images.
    width
        Channels of the highest level.
    multipliers
        Channels of each level as multiples of `width`.
    blocks
        Residual blocks per level.
    attention
        Factors of shrinking at which places attend to each other.
    head_width
        Channels per head of the attention.
    groups
        Of the normalisations.
    """

    channels: int = 3
    width: int = 256
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    blocks: int = 2
    attention: tuple[int, ...] = (8, 16, 32)
    head_width: int = 64
    groups: int = 32


class AdmUNet(nn.Module):
    """The published network; reads no mask.

    Parameters
    ----------
    shape
        Its sizes.

    Examples
    --------
    >>> sizes = AdmShape(3, 8, multipliers=(1, 2), blocks=1, attention=(2,), head_width=8, groups=4)
    >>> net = AdmUNet(sizes)
    >>> image = torch.zeros(1, 3, 8, 8)
    >>> net(image, torch.tensor([3.0]), image).shape
    torch.Size([1, 3, 8, 8])
    """

    def __init__(self, shape: AdmShape | None = None) -> None:
        super().__init__()
        self.shape = shape if shape is not None else AdmShape()
        size, width = self.shape, self.shape.width
        self.time_embed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width)
        )
        now, factor = size.multipliers[0] * width, 1
        self.input_blocks = nn.ModuleList([_Level([nn.Conv2d(size.channels, now, 3, padding=1)])])
        kept = [now]
        for level, multiplier in enumerate(size.multipliers):
            for _ in range(size.blocks):
                parts = [self._block(now, multiplier * width)]
                now = multiplier * width
                parts += self._attention(now, factor)
                self.input_blocks.append(_Level(parts))
                kept.append(now)
            if level + 1 < len(size.multipliers):
                self.input_blocks.append(_Level([self._block(now, now, shrink=True)]))
                kept.append(now)
                factor *= 2
        middle = [self._block(now, now), _Attention(now, size), self._block(now, now)]
        self.middle_block = _Level(middle)
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(size.multipliers))):
            for turn in range(size.blocks + 1):
                parts = [self._block(now + kept.pop(), multiplier * width)]
                now = multiplier * width
                parts += self._attention(now, factor)
                if level and turn == size.blocks:
                    parts.append(self._block(now, now, enlarge=True))
                    factor //= 2
                self.output_blocks.append(_Level(parts))
        self.out = nn.Sequential(
            nn.GroupNorm(size.groups, now), nn.SiLU(), nn.Conv2d(now, size.channels, 3, padding=1)
        )

    def _block(
        self, inside: int, outside: int, *, shrink: bool = False, enlarge: bool = False
    ) -> nn.Module:
        return _Block(inside, outside, self.shape, shrink=shrink, enlarge=enlarge)

    def _attention(self, channels: int, factor: int) -> list[nn.Module]:
        return [_Attention(channels, self.shape)] if factor in self.shape.attention else []

    def forward(self, images: Tensor, times: Tensor, mask: Tensor) -> Tensor:
        """Return directions of the images' shape."""
        least = 2 ** (len(self.shape.multipliers) - 1)
        if images.shape[-1] % least or images.shape[-2] % least:
            raise InputError(
                f"sides must be multiples of {least}, found {tuple(images.shape[-2:])}"
            )
        time: Tensor = self.time_embed(embedded(times, self.shape.width))
        kept: list[Tensor] = []
        hidden = images
        for level in self.input_blocks:
            hidden = level(hidden, time)
            kept.append(hidden)
        hidden = self.middle_block(hidden, time)
        for level in self.output_blocks:
            hidden = level(torch.cat([hidden, kept.pop()], 1), time)
        result: Tensor = self.out(hidden)
        return result


class _Level(nn.ModuleList):
    """Modules in a row, some of which want the time."""

    def __init__(self, parts: Iterable[nn.Module]) -> None:
        super().__init__(parts)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """Pass images through, and the time where it is wanted."""
        for part in self:
            hidden = part(hidden, time) if isinstance(part, _Block) else part(hidden)
        return hidden


class _Block(nn.Module):
    def __init__(
        self, inside: int, outside: int, size: AdmShape, *, shrink: bool, enlarge: bool
    ) -> None:
        super().__init__()
        self.shrink, self.enlarge = shrink, enlarge
        self.in_layers = nn.Sequential(
            nn.GroupNorm(size.groups, inside), nn.SiLU(), nn.Conv2d(inside, outside, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(4 * size.width, 2 * outside))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(size.groups, outside),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(outside, outside, 3, padding=1),
        )
        self.skip_connection = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, images: Tensor, time: Tensor) -> Tensor:
        """Return feature maps, of half or double the size where the block resizes."""
        hidden: Tensor = self.in_layers[:2](images)
        hidden, images = self._resized(hidden), self._resized(images)
        hidden = self.in_layers[2](hidden)
        scale, shift = self.emb_layers(time)[:, :, None, None].chunk(2, 1)
        hidden = self.out_layers[0](hidden) * (1 + scale) + shift
        hidden = self.out_layers[1:](hidden)
        skipped: Tensor = self.skip_connection(images)
        return skipped + hidden

    def _resized(self, images: Tensor) -> Tensor:
        if self.shrink:
            return functional.avg_pool2d(images, 2)
        if self.enlarge:
            return functional.interpolate(images, scale_factor=2.0, mode="nearest")
        return images


class _Attention(nn.Module):
    def __init__(self, channels: int, size: AdmShape) -> None:
        super().__init__()
        self.heads = channels // size.head_width
        self.norm = nn.GroupNorm(size.groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return feature maps of the same shape; each head holds its query, key and value."""
        batch, channels, height, width = images.shape
        flat = images.reshape(batch, channels, height * width)
        parts = self.qkv(self.norm(flat)).reshape(batch, self.heads, 3, -1, height * width)
        query, key, value = parts.transpose(3, 4).unbind(2)
        found = functional.scaled_dot_product_attention(query, key, value)
        joined = found.transpose(2, 3).reshape(batch, channels, height * width)
        told: Tensor = self.proj_out(joined)
        return (flat + told).reshape(images.shape)
