"""COUT: how fast the target's probability rises as changed pixels are put in.

Pixels are ordered by how much they changed, put into the original in equal batches, largest
change first, and the model's probabilities of the source and the target are recorded.  COUT
is the area under the target's curve minus that under the source's, from -1 to 1: high if a
few changed pixels carry the change.

Source: Khorram and Fuxin, Cycle-Consistent Counterfactuals by Latent Transformations, CVPR
2022, in the form used by ACE (Jeanneret et al., CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError

from ..classifiers import ImageClassifier
from ..pixels import Pixels

__all__ = ["cout"]


def cout(
    classifier: ImageClassifier,
    originals: Pixels,
    changed: Pixels,
    sources: Sequence[int] | npt.NDArray[np.integer],
    targets: Sequence[int] | npt.NDArray[np.integer],
    *,
    batches: int = 50,
) -> npt.NDArray[np.float64]:
    """Return COUT of each image, shape ``(batch,)``.

    Parameters
    ----------
    classifier
        The model that was to change its mind.
    originals, changed
        Pixels before and after.
    sources, targets
        Class indices per image.
    batches
        Number of steps in which pixels are put in.
    """
    if originals.shape != changed.shape or batches < 1:
        raise InputError("COUT needs images of one shape, and at least one batch")
    count, height, width, channels = originals.shape
    difference = np.abs(originals.astype(np.int16) - changed.astype(np.int16)).sum(axis=3)
    order = np.argsort(-difference.reshape(count, -1), axis=1, kind="stable")
    bounds = np.linspace(0, height * width, batches + 1).round().astype(int)
    blend = originals.reshape(count, -1, channels).copy()
    after = changed.reshape(count, -1, channels)
    rows = np.arange(count)
    curves = np.empty((2, batches + 1, count))
    for step in range(batches + 1):
        if step:
            chosen = order[:, bounds[step - 1] : bounds[step]]
            blend[rows[:, None], chosen] = after[rows[:, None], chosen]
        probabilities = classifier.probabilities(blend.reshape(originals.shape))
        curves[0, step] = probabilities[rows, np.asarray(sources)]
        curves[1, step] = probabilities[rows, np.asarray(targets)]
    areas = (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2
    return np.asarray(areas[1] - areas[0])
