"""Repaint on several devices: each takes every n-th image, all get all results.

Lightning Fabric starts the processes and says who is who; results do not depend on the
number of devices, since the noise of an image depends on the image alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import MissingExtraError

from .bridge import Bridge
from .classifiers import ImageClassifier
from .pixels import Pixels
from .repainting import Regions, Repainting, repaint

__all__ = ["Rank", "repaint_across", "start_fabric"]


class Rank(Protocol):
    """What is asked of Fabric."""

    @property
    def global_rank(self) -> int:
        """Number of this process."""
        ...

    @property
    def world_size(self) -> int:
        """Number of processes."""
        ...


def start_fabric(accelerator: str = "auto", devices: int | str = "auto") -> Any:  # noqa: ANN401
    """Start Lightning Fabric; one process per device.

    Raises
    ------
    MissingExtraError
        Without the package.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise MissingExtraError("lightning", "devices", "use several devices") from error
    fabric: Any = Fabric(accelerator=accelerator, devices=devices)
    fabric.launch()
    return fabric


def repaint_across(
    rank: Rank,
    bridge: Bridge,
    classifier: ImageClassifier,
    images: Pixels,
    regions: Regions,
    targets: Sequence[int] | npt.NDArray[np.integer],
    **options: Any,  # noqa: ANN401
) -> list[Repainting]:
    """Repaint this process's share, then gather; parameters as for `repaint`.

    Parameters
    ----------
    rank
        From `start_fabric`.
    bridge, classifier
        On this process's device.
    images, regions, targets
        All of them, the same in every process.
    **options
        As for `repaint`.

    Returns
    -------
    list of Repainting
        Of all images in order, in every process.
    """
    own = slice(rank.global_rank, None, rank.world_size)
    share = repaint(bridge, classifier, images[own], regions[own], targets[own], **options)
    if rank.world_size == 1:
        return share
    gathered: list[list[Repainting]] = [[] for _ in range(rank.world_size)]
    from torch import distributed

    distributed.all_gather_object(gathered, share)
    return interleaved(gathered, int(options.get("copies", 1)))


def interleaved(parts: Sequence[Sequence[Repainting]], copies: int) -> list[Repainting]:
    """Put the shares of several processes in order, all copies of an image together."""
    rounds = max((len(part) for part in parts), default=0) // copies
    return [
        result
        for turn in range(rounds)
        for part in parts
        for result in part[turn * copies : (turn + 1) * copies]
    ]
