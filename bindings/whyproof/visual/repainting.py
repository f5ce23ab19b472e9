"""Repaint regions of images, check every result, try again where it failed, keep a control.

    found = repaint(bridge, classifier, images, regions, targets)

One attempt is a walk at one scale and one draw of noise.  Its result is rounded to 8 bits
and given to the model that runs; images that do not reach their target go to the next
attempt.  That none succeeds shows nothing: the answer is "not found", never "no".  The same
region repainted without any guidance tells how much of a change the generator makes alone.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whyproof.engine.errors import DataError, InputError, ReplayError, WhyproofWarning

from .bridge import Bridge
from .classifiers import ImageClassifier
from .diffusion import Diffusion, walk_diffusion
from .pixels import Pixels, as_signed, rounded
from .sampler import SamplerOptions, walk

__all__ = ["Attempts", "Regions", "Repainting", "check_regions", "repaint"]

Regions = npt.NDArray[np.bool_]
"""Where to paint, shape ``(batch, height, width)``."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often, and how hard, to try.

    Parameters
    ----------
    scales
        Factors of the options' scale, in order.
    draws
        Draws of noise per scale.
    seed
        Of the noise, which also depends on the image and on nothing else: results do not
        change with the batch.
    batch
        Most images in one walk.
    """

    scales: tuple[float, ...] = (1.0, 2.0, 8 / 3)
    draws: int = 1
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0 or self.draws < 1 or self.batch < 1:
            raise InputError("attempts need positive scales, and at least one draw and image")

    @classmethod
    def single(cls, seed: int = 0, batch: int = 64) -> Attempts:
        """Try once at the options' scale."""
        return cls((1.0,), 1, seed, batch)


@dataclass(frozen=True, eq=False)
class Repainting:
    """One image, its region, and what became of it.

    Parameters
    ----------
    original, image
        Pixels before and after, shape ``(height, width, channels)``.
    region
        Where it was painted; a part of the region asked for if that was narrowed.
    source, target
        Class index that the model gave before, and the one to reach.
    outcome
        Class index that the model gives now.
    before, after
        Its probabilities.
    attempts
        Walks made.
    scale
        Of the walk that is shown.
    copy
        Number of this counterfactual of the image, from 0.
    control
        The region repainted without guidance from the same noise; `None` if not asked for.
    control_outcome
        What the model says about that.
    """

    original: Pixels
    image: Pixels
    region: npt.NDArray[np.bool_]
    source: int
    target: int
    outcome: int
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    attempts: int
    scale: float
    copy: int = 0
    control: Pixels | None = None
    control_outcome: int | None = None

    @property
    def reached(self) -> bool:
        """Whether the model says the target now."""
        return self.outcome == self.target

    @property
    def changed(self) -> bool:
        """Whether the model changed its mind at all."""
        return self.outcome != self.source

    @property
    def moved(self) -> npt.NDArray[np.bool_]:
        """Pixels that differ, shape ``(height, width)``: a weak contrastive explanation."""
        return np.asarray((self.image != self.original).any(axis=2))

    @property
    def outside(self) -> int:
        """Largest difference outside the region, in steps of 8 bits; 0 by construction."""
        difference = np.abs(self.image.astype(np.int16) - self.original.astype(np.int16))
        return int(difference[~self.region].max(initial=0))

    @property
    def change(self) -> float:
        """Mean absolute change of the region's pixels, 0 to 1."""
        difference = np.abs(self.image.astype(np.float64) - self.original) / 255
        return float(difference[self.region].mean())


def repaint(
    bridge: Bridge | Diffusion,
    classifier: ImageClassifier,
    images: Pixels,
    regions: Regions,
    targets: Sequence[int] | npt.NDArray[np.integer],
    *,
    options: SamplerOptions | None = None,
    attempts: Attempts | None = None,
    copies: int = 1,
    control: bool = True,
    progress: Callable[[int], None] | None = None,
) -> list[Repainting]:
    """Look for counterfactuals of images inside regions.

    Parameters
    ----------
    bridge, classifier
        The generator, and the model whose mind is to be changed.
    images
        8-bit pixels.
    regions
        One per image.
    targets
        Class index to reach, per image.
    options, attempts
        How to walk, and how often.
    copies
        Counterfactuals per image, from different noise.
    control
        Also repaint each region without guidance.
    progress
        Called with the number of images done.

    Returns
    -------
    list of Repainting
        Image by image, each with its copies in order.

    Raises
    ------
    DataError
        For regions that are empty or of another size, sizes that do not fit the generator,
        unknown classes, and targets that are already predicted.
    """
    options = options if options is not None else SamplerOptions()
    attempts = attempts if attempts is not None else Attempts()
    regions = check_regions(images, regions)
    wanted = np.asarray(targets, dtype=np.int64)
    _check(bridge, classifier, images, wanted, copies)
    before = classifier.probabilities(images)
    sources = classifier.predict(images)
    for i in np.flatnonzero(sources == wanted)[:1]:
        raise DataError(
            f"the model already says {classifier.classes[wanted[i]]} about image {int(i)}; "
            "choose another target"
        )
    painter = _Painter(bridge, classifier, options, attempts)
    found: list[Repainting] = []
    rows = [(i, copy) for i in range(len(images)) for copy in range(copies)]
    for begin in range(0, len(rows), attempts.batch):
        some = rows[begin : begin + attempts.batch]
        index = np.array([i for i, _ in some])
        job = _Job(images[index], regions[index], wanted[index], [c for _, c in some])
        drawn = painter.paint(job)
        painted = [
            replace(result, before=before[i], source=int(sources[i]))
            for i, result in zip(index, drawn, strict=True)
        ]
        found += painter.controlled(job, painted) if control else painted
        if progress is not None:
            progress(int(index[-1]) + 1)
    return found


def check_regions(images: Pixels, regions: Regions) -> Regions:
    """Return regions as boolean, one per image.

    Raises
    ------
    DataError
        If one is empty, or the sizes do not fit.
    """
    given = np.asarray(regions)
    if given.shape != images.shape[:3]:
        raise DataError(
            f"regions of shape {given.shape} do not fit images of shape {images.shape[:3]}"
        )
    given = given.astype(np.bool_)
    empty = np.flatnonzero(~given.any(axis=(1, 2)))
    if len(empty):
        raise DataError(f"the region of image {int(empty[0])} is empty: nothing could change")
    return given


@dataclass(frozen=True, eq=False)
class _Job:
    images: Pixels
    regions: Regions
    targets: npt.NDArray[np.int64]
    copies: list[int]


class _Painter:
    """Makes walks, checks their results, and cuts batches where memory runs out."""

    def __init__(
        self,
        bridge: Bridge | Diffusion,
        classifier: ImageClassifier,
        options: SamplerOptions,
        attempts: Attempts,
    ) -> None:
        self.bridge, self.classifier = bridge, classifier
        self.options, self.attempts = options, attempts

    def paint(self, job: _Job) -> list[Repainting]:
        """Try until the targets are reached or the attempts are used up."""
        shown: list[Repainting | None] = [None] * len(job.images)
        ladder = [(s, d) for d in range(self.attempts.draws) for s in self.attempts.scales]
        waiting = np.arange(len(job.images))
        for count, (factor, draw) in enumerate(ladder, start=1):
            options = replace(self.options, scale=self.options.scale * factor)
            painted, regions = self.walks(job, waiting, options, draw)
            after = self.classifier.probabilities(painted)
            outcomes = self.classifier.predict(painted)
            for at, i in enumerate(waiting):
                result = Repainting(
                    original=job.images[i],
                    image=painted[at],
                    region=regions[at],
                    source=-1,
                    target=int(job.targets[i]),
                    outcome=int(outcomes[at]),
                    before=after[at],
                    after=after[at],
                    attempts=count,
                    scale=options.scale,
                    copy=job.copies[i],
                )
                if result.outside:
                    raise ReplayError("a pixel outside the region changed", {"image": int(i)})
                best = shown[i]
                if result.reached or best is None or _chance(result) > _chance(best):
                    shown[i] = result
                else:
                    shown[i] = replace(best, attempts=count)
            waiting = waiting[outcomes != job.targets[waiting]]
            if not len(waiting):
                break
        return [result for result in shown if result is not None]

    def controlled(self, job: _Job, painted: list[Repainting]) -> list[Repainting]:
        """Add the regions that were painted, repainted without guidance."""
        everything = np.arange(len(job.images))
        same = replace(job, regions=np.stack([result.region for result in painted]))
        options = replace(self.options, scale=0.0, narrow_to=None)
        alone, _ = self.walks(same, everything, options, 0)
        outcomes = self.classifier.predict(alone)
        return [
            replace(result, control=alone[i], control_outcome=int(outcomes[i]))
            for i, result in enumerate(painted)
        ]

    def walks(
        self, job: _Job, chosen: npt.NDArray[np.intp], options: SamplerOptions, draw: int
    ) -> tuple[Pixels, Regions]:
        """Return repainted images and the regions that were left to paint."""
        try:
            return self._walks(job, chosen, options, draw)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error) or len(chosen) < 2:
                raise
            half = len(chosen) // 2
            warnings.warn(
                f"a batch of {len(chosen)} images does not fit into memory; going on with {half}",
                WhyproofWarning,
                stacklevel=2,
            )
        parts = [self.walks(job, part, options, draw) for part in (chosen[:half], chosen[half:])]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _walks(
        self, job: _Job, chosen: npt.NDArray[np.intp], options: SamplerOptions, draw: int
    ) -> tuple[Pixels, Regions]:
        device = self.classifier.device
        images = job.images[chosen]
        regions = job.regions[chosen]
        noise = self._noise(images, [job.copies[i] for i in chosen], options, draw).to(device)
        if isinstance(self.bridge, Diffusion):
            painted = walk_diffusion(
                self.bridge,
                self.classifier.logits,
                as_signed(images).to(device),
                torch.from_numpy(regions)[:, None].to(device),
                torch.from_numpy(job.targets[chosen]).to(device),
                noise,
                options,
                seed=self.attempts.seed + draw,
            )
            return rounded(painted, images, regions), regions
        last: list[Tensor] = []
        drawn = walk(
            self.bridge,
            self.classifier.logits,
            as_signed(images).to(device),
            torch.from_numpy(regions)[:, None].to(device),
            torch.from_numpy(job.targets[chosen]).to(device),
            noise,
            options,
            watch=None if options.narrow_to is None else lambda moment: last.append(moment.region),
        )
        if last:
            regions = last[-1][:, 0].cpu().numpy()
        return rounded(drawn, images, regions), regions

    def _noise(
        self, images: Pixels, copies: list[int], options: SamplerOptions, draw: int
    ) -> Tensor:
        count = options.steps + 1 if options.noisy else 1
        _, height, width, channels = images.shape
        drawn = np.empty((len(images), count, channels, height, width), dtype=np.float32)
        for i, copy in enumerate(copies):
            digest = hashlib.sha256(images[i].tobytes()).digest()
            key = [self.attempts.seed, copy, draw, int.from_bytes(digest[:8], "big")]
            drawn[i] = np.random.default_rng(key).standard_normal(drawn.shape[1:], dtype=np.float32)
        noise = torch.from_numpy(drawn)
        return noise.transpose(0, 1).contiguous() if options.noisy else noise[:, 0]


def _chance(result: Repainting) -> float:
    return float(result.after[result.target])


def _is_out_of_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "not enough memory" in str(error)
        or "out of memory" in str(error)
    )


def _check(
    bridge: Bridge | Diffusion,
    classifier: ImageClassifier,
    images: Pixels,
    targets: npt.NDArray[np.int64],
    copies: int,
) -> None:
    if bridge.shape != classifier.shape:
        raise DataError(
            f"the bridge paints images of {bridge.shape} (channels, height, width), "
            f"the classifier reads {classifier.shape}"
        )
    channels, height, width = classifier.shape
    if images.shape[1:] != (height, width, channels):
        raise DataError(f"images of {images.shape[1:]} where {(height, width, channels)} is needed")
    if targets.shape != (len(images),):
        raise DataError(f"{targets.size} targets for {len(images)} images")
    if copies < 1:
        raise InputError(f"copies must be at least 1, found {copies}")
    count = len(classifier.classes)
    for target in targets.tolist():
        if not 0 <= target < count:
            raise DataError(f"class index {target} does not exist; the model has {count} classes")
