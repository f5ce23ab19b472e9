"""Feature spaces for images: pixels, cells, and per-channel units.

A pixel is one feature whatever its number of channels; a cell is a block of pixels that
is freed and fixed as one.  Columns stay in the order of the model's input, channels first
or channels last, and a nearness in user's units becomes one epsilon per column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Real
from whyproof.engine.errors import DataError
from whyproof.engine.space import Column, Feature, FeatureSpace

__all__ = ["ImageLayout", "flat_space", "image_space"]

Order = Literal["channels first", "channels last"]


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """How an image lies in the flat input of a model.

    Parameters
    ----------
    height, width, channels
        Size of the image.
    order
        Where the channel axis stands.
    """

    height: int
    width: int
    channels: int
    order: Order

    @classmethod
    def of(cls, shape: Sequence[int], order: Order | None = None) -> ImageLayout:
        """Read the layout from a model's input shape.

        Three or four axes (a leading 1 is the batch); if the order is not given, the axis
        of length 1 or 3 is taken as the channels.  Two axes are a grey image, and a
        vector of a square number of entries is a square grey image.

        Raises
        ------
        DataError
            If the shape is no image, or the order cannot be told.

        Examples
        --------
        >>> ImageLayout.of((1, 32, 32, 3)).order
        'channels last'
        """
        axes = list(shape)
        while len(axes) > 1 and axes[0] == 1 and len(axes) != 3:
            axes.pop(0)
        if len(axes) == 3 and axes[0] == 1 and axes[2] == 1:
            axes = [axes[1]]
        elif len(axes) == 2 and axes[1] == 1:
            axes = axes[:1]
        if len(axes) == 1:
            side = int(np.sqrt(axes[0]))
            if side * side != axes[0]:
                raise DataError(f"an input of {axes[0]} numbers is not a square image; give groups")
            return cls(side, side, 1, order or "channels first")
        if len(axes) == 2:
            return cls(axes[0], axes[1], 1, order or "channels first")
        if len(axes) != 3:
            raise DataError(f"an input of shape {tuple(shape)} is not an image")
        if order is None:
            first, last = axes[0] in (1, 3), axes[2] in (1, 3)
            if first == last:
                raise DataError(
                    f"the channel axis of shape {tuple(shape)} cannot be told; give the order"
                )
            order = "channels first" if first else "channels last"
        if order == "channels first":
            return cls(axes[1], axes[2], axes[0], order)
        return cls(axes[0], axes[1], axes[2], order)

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.height * self.width * self.channels

    @property
    def columns(self) -> npt.NDArray[np.intp]:
        """Column of each pixel and channel, shape ``(height, width, channels)``."""
        flat = np.arange(self.n_columns, dtype=np.intp)
        if self.order == "channels last":
            return flat.reshape(self.height, self.width, self.channels)
        return flat.reshape(self.channels, self.height, self.width).transpose(1, 2, 0)

    def spread(self, per_channel: Sequence[float] | float) -> npt.NDArray[np.float64]:
        """Return one value per column from one value per channel.

        Examples
        --------
        >>> ImageLayout(1, 1, 3, "channels last").spread([0.1, 0.2, 0.3])
        array([0.1, 0.2, 0.3])
        """
        values = np.broadcast_to(np.asarray(per_channel, dtype=np.float64), (self.channels,))
        result = np.empty(self.n_columns)
        result[self.columns] = values
        return result


def image_space(
    shape: Sequence[int],
    *,
    order: Order | None = None,
    cell: int = 1,
    channels: Literal["together", "apart"] = "together",
    groups: Mapping[str, Sequence[int]] | None = None,
    lower: Sequence[float] | float = 0.0,
    upper: Sequence[float] | float = 1.0,
) -> FeatureSpace:
    """Return the space of an image model.

    Parameters
    ----------
    shape
        The model's input shape.
    order
        Where the channels stand; told from the shape if possible.
    cell
        Side of the square blocks of pixels that form one feature, in pixels; cells at the
        right and lower edge may be smaller.
    channels
        Whether the channels of a pixel are one feature or one each.
    groups
        Name to pixels, counted line by line from 0, that form one feature; pixels in no
        group are features of their own.  Not together with `cell` or channels apart.
    lower, upper
        Range of the values, one number or one per channel.

    Examples
    --------
    >>> space = image_space((1, 3, 4, 4), cell=2)
    >>> space.n_columns, space.n_features, space.names[0]
    (48, 4, 'cell 0,0')
    """
    layout = ImageLayout.of(shape, order)
    if cell < 1:
        raise DataError(f"a cell needs a side of at least one pixel, found {cell}")
    if channels not in ("together", "apart"):
        raise DataError(f"channels go together or apart, found {channels!r}")
    if groups is not None and (cell > 1 or channels == "apart"):
        raise DataError("groups say which pixels go together: leave cell and channels out")
    if channels == "apart" and cell > 1:
        raise DataError("cells have the channels of their pixels together")
    chosen = _grouped(groups or {}, layout.height * layout.width)
    lows, highs = layout.spread(lower), layout.spread(upper)
    columns: list[Column] = [Column("", Real())] * layout.n_columns
    blocks: dict[str, list[int]] = {}
    kind = "pixel" if cell == 1 else "cell"
    for (y, x, channel), at in np.ndenumerate(layout.columns):
        suffix = f" channel {channel}" if layout.channels > 1 else ""
        domain = Real(lower=float(lows[at]), upper=float(highs[at]))
        columns[at] = Column(f"pixel {y},{x}{suffix}", domain)
        name = chosen.get(y * layout.width + x) or f"{kind} {y // cell},{x // cell}"
        if channels == "apart":
            name += suffix
        blocks.setdefault(name, []).append(int(at))
    features = tuple(Feature(name, tuple(sorted(c))) for name, c in blocks.items())
    return FeatureSpace(tuple(columns), features)


def _grouped(groups: Mapping[str, Sequence[int]], n: int) -> dict[int, str]:
    """Return the group of each pixel that is in one."""
    found: dict[int, str] = {}
    for name, pixels in groups.items():
        if not pixels:
            raise DataError(f"group {name!r} has no pixels")
        for pixel in pixels:
            if not 0 <= pixel < n:
                raise DataError(f"group {name!r}: there is no pixel {pixel}; there are {n}")
            if pixel in found:
                raise DataError(f"pixel {pixel} is in two groups, {found[pixel]!r} and {name!r}")
            found[pixel] = name
    return found


def flat_space(
    n: int, *, lower: float = -np.inf, upper: float = np.inf, prefix: str = "x"
) -> FeatureSpace:
    """Return a space of `n` real columns, each a feature of its own.

    Examples
    --------
    >>> flat_space(2).names
    ('x0', 'x1')
    """
    domain = Real(lower=lower, upper=upper)
    return FeatureSpace(tuple(Column(f"{prefix}{i}", domain) for i in range(n)))
