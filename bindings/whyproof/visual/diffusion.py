"""Repaint with any unconditional diffusion model, where no bridge is at hand.

At every step the known pixels are those of the original, with as much noise as the step has,
and the region is the model's; going forth and back several times lets the two agree.
The classifier is asked about the clean estimate, its gradient stabilised as for bridges.

Source: Lugmayr et al., RePaint, CVPR 2022, Algorithm 1 with jumps of one step; guidance as in
Sobieski et al. 2025.  A fallback: it needs many more network calls than a bridge.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whyproof.engine.errors import InputError, MissingExtraError, ModelError

from .bridge import Logits
from .sampler import SamplerOptions

__all__ = ["Diffusion", "NoisePredictor", "load_diffusion", "walk_diffusion"]

NoisePredictor: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Noisy images and steps ``(batch,)`` to the noise in them."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """An unconditional model of images in -1 to 1.

    Parameters
    ----------
    network
        Predicts noise.
    shape
        Channels, height and width.
    kept
        Share of the signal's variance left after each step, falling, shape ``(steps,)``.
    repeats
        Times that each step is gone over.
    """

    network: NoisePredictor
    shape: tuple[int, int, int]
    kept: npt.NDArray[np.float64]
    repeats: int = 3

    def __post_init__(self) -> None:
        falling = (
            self.kept.ndim == 1 and len(self.kept) > 1 and bool((np.diff(self.kept) < 0).all())
        )
        if not falling or not 0 < self.kept[-1] < self.kept[0] <= 1:
            raise InputError("the kept shares of a diffusion must fall from at most 1 to above 0")
        if self.repeats < 1:
            raise InputError(f"steps are gone over at least once, found {self.repeats}")

    def steps_from(self, share: float, calls: int) -> list[int]:
        """Return the steps of a walk down, from a share of all to 0."""
        top = max(1, round(share * (len(self.kept) - 1)))
        return sorted({round(i * top / calls) for i in range(calls + 1)}, reverse=True)


def walk_diffusion(
    diffusion: Diffusion,
    logits: Logits,
    images: Tensor,
    region: Tensor,
    targets: Tensor,
    noise: Tensor,
    options: SamplerOptions,
    *,
    seed: int = 0,
) -> Tensor:
    """Repaint regions towards target classes; parameters as for `sampler.walk`.

    The start step counts in thousandths of the model's own steps.  Noise within the walk
    comes from `seed`, the same for all images of a batch.
    """
    random = torch.Generator().manual_seed(seed)

    def fresh() -> Tensor:
        return torch.randn((1, *images.shape[1:]), generator=random).to(images.device)

    steps = diffusion.steps_from(options.start_step / 1000, options.steps)
    share = float(diffusion.kept[steps[0]])
    begun = sqrt(share) * images + sqrt(1 - share) * (noise if noise.ndim == 4 else noise[0])
    current, steady = begun, options.stabiliser()
    for turn, (step, earlier) in enumerate(zip(steps, [*steps[1:], -1], strict=True)):
        now = float(diffusion.kept[step])
        before = float(diffusion.kept[earlier]) if earlier >= 0 else 1.0
        for again in reversed(range(diffusion.repeats)):
            estimate, gradient = _look(diffusion, logits, current, targets, step, turn, options)
            if gradient is not None:
                current = current + options.strength / diffusion.repeats * steady(gradient)
            rate = 1 - now / before
            mean = (
                sqrt(before) * rate / (1 - now) * estimate
                + sqrt(1 - rate) * (1 - before) / (1 - now) * current
            )
            drawn = mean + sqrt(max(0.0, rate * (1 - before) / (1 - now))) * fresh()
            known = sqrt(before) * images + sqrt(1 - before) * fresh()
            current = torch.where(region, drawn, known)
            if again and before < 1:
                current = sqrt(1 - rate) * current + sqrt(rate) * fresh()
            elif again:
                break
    return torch.where(region, current.clamp(-1, 1), images)


def _look(
    diffusion: Diffusion,
    logits: Logits,
    current: Tensor,
    targets: Tensor,
    step: int,
    turn: int,
    options: SamplerOptions,
) -> tuple[Tensor, Tensor | None]:
    share = float(diffusion.kept[step])
    times = torch.full((len(current),), step, device=current.device)
    with torch.set_grad_enabled(options.scale > 0):
        origin = current.detach().requires_grad_(options.scale > 0)
        predicted = diffusion.network(origin, times)
        estimate = ((origin - sqrt(1 - share) * predicted) / sqrt(share)).clamp(-1, 1)
        if not options.scale:
            return estimate, None
        belief = options.views.belief(
            logits, (estimate + 1) / 2, targets, turn, fading=options.fading
        )
        (gradient,) = torch.autograd.grad(belief.sum(), origin)
    return estimate.detach(), gradient


def load_diffusion(
    folder: str | os.PathLike[str], *, device: str = "cpu", repeats: int = 3
) -> Diffusion:
    """Read an unconditional model that `diffusers` saved: folders ``unet`` and ``scheduler``.

    Raises
    ------
    ModelError
        If the folder holds no such model; nothing is downloaded.
    MissingExtraError
        Without the package.
    """
    place = Path(folder)
    for part in ("unet/config.json", "scheduler/scheduler_config.json"):
        if not (place / part).is_file():
            raise ModelError(
                f"{place} holds no saved diffusion model: {part} is missing; "
                "weights are never downloaded"
            )
    try:
        from diffusers import DDPMScheduler, UNet2DModel
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusion", "read diffusion models") from error
    local = {"local_files_only": True}
    unet: Any = UNet2DModel.from_pretrained(place / "unet", use_safetensors=True, **local)
    scheduler: Any = DDPMScheduler.from_pretrained(place / "scheduler", **local)
    if scheduler.config.prediction_type != "epsilon":
        raise ModelError(f"{place.name} predicts {scheduler.config.prediction_type}, not noise")
    unet.to(device).eval().requires_grad_(False)
    size: Any = unet.config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    kept = np.asarray(scheduler.alphas_cumprod.double().numpy())

    def network(images: Tensor, steps: Tensor) -> Tensor:
        found: Tensor = unet(images, steps).sample[:, : images.shape[1]]
        return found

    return Diffusion(network, (int(unet.config.in_channels), height, width), kept, repeats)
