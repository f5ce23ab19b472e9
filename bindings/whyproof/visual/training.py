"""Train a small bridge to inpaint: fixed iterations, fixed seed, resumable to the bit.

Every iteration draws its images, steps, masks and noise from a generator seeded by (seed,
iteration), so that a run that was interrupted goes on as if it had not been.  The loss is
I2SB's regression inside random masks (straight bridge), the weights kept are an exponential
moving average.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whyproof.engine.errors import InputError, ModelError

from .bridge import Bridge
from .networks.small import SmallUNet, SmallUNetShape
from .schedule import Schedule
from .training_masks import random_masks
from .weights import load_exactly, read_tensors, save_bridge, write_tensors

__all__ = ["Progress", "TrainingOptions", "train_bridge"]

_POOL = 4000


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train.

    Parameters
    ----------
    iterations
        Steps of the optimiser; the learning rate falls along a cosine to their end.
    batch
        Images per iteration.
    learning_rate
        At its highest.
    average
        Decay of the moving average of the weights.
    seed
        Of weights, batches, masks and noise.
    noisy
        Train the bridge with noise instead of the straight one.
    cell
        Side in pixels of the cells that masks are made of.
    """

    iterations: int = 9000
    batch: int = 48
    learning_rate: float = 2e-3
    average: float = 0.998
    seed: int = 0
    noisy: bool = False
    cell: int = 4

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "cell"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not 0 < self.learning_rate < 1 or not 0 <= self.average < 1:
            raise InputError("the learning rate and the average must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands: iteration, smoothed loss, processor seconds of this run."""

    iteration: int
    loss: float
    cpu_seconds: float


def train_bridge(
    images: npt.NDArray[np.uint8],
    options: TrainingOptions | None = None,
    *,
    network: SmallUNetShape | None = None,
    schedule: Schedule | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    snapshots: str | os.PathLike[str] | None = None,
    every: int = 500,
    report: Callable[[Progress], None] | None = None,
) -> Bridge:
    """Train a bridge on images.

    Parameters
    ----------
    images
        Shape ``(count, height, width)`` or ``(count, height, width, channels)``, 0 to 255.
    options, network, schedule
        How, what, and along which noise.
    checkpoint
        File to keep the state in; a training of the same options goes on from it.
    snapshots
        Folder to keep the averaged weights in at every report.
    every
        Iterations between reports and checkpoints.
    report
        Called with the progress.

    Returns
    -------
    Bridge
        With the averaged weights, on the CPU.
    """
    options = options if options is not None else TrainingOptions()
    clean = as_tensor(images)
    _, channels, height, width = clean.shape
    torch.manual_seed(options.seed)
    shape = network if network is not None else SmallUNetShape(channels=channels)
    run = _Run(SmallUNet(shape), (channels, height, width), schedule or Schedule(), options)
    pool = torch.from_numpy(
        random_masks(
            _POOL, height, width, np.random.default_rng([options.seed, 1]), cell=options.cell
        )
    )[:, None].float()
    if checkpoint is not None and Path(checkpoint).exists():
        run.resume(checkpoint)
    began = time.process_time()
    while run.iteration < options.iterations:
        run.step(clean, pool)
        if run.iteration % every and run.iteration < options.iterations:
            continue
        if checkpoint is not None:
            run.save(checkpoint)
        if snapshots is not None:
            place = Path(snapshots) / f"bridge-{run.iteration:06d}.safetensors"
            save_bridge(run.averaged(), place, {"iteration": run.iteration, **asdict(options)})
        if report is not None:
            report(Progress(run.iteration, run.loss, time.process_time() - began))
    return run.averaged()


def as_tensor(images: npt.NDArray[np.uint8]) -> Tensor:
    """Return images as ``(count, channels, height, width)`` in -1 to 1."""
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not len(array):
        raise InputError(
            "training images must be 8-bit, shape (count, height, width[, channels]); found "
            f"{array.dtype} of shape {array.shape}"
        )
    array = array[..., None] if array.ndim == 3 else array
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


class _Run:
    """The state of one training."""

    def __init__(
        self,
        network: SmallUNet,
        shape: tuple[int, int, int],
        schedule: Schedule,
        options: TrainingOptions,
    ) -> None:
        self.options = options
        self.bridge = Bridge(network, shape, schedule)
        self.network = network
        self.mean = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate)
        self.iteration = 0
        self.loss = math.nan

    def step(self, clean: Tensor, pool: Tensor) -> None:
        """Take one step of the optimiser."""
        options = self.options
        random = np.random.default_rng([options.seed, 2, self.iteration])
        torch_random = torch.Generator().manual_seed(int(random.integers(2**62)))
        share = self.iteration / options.iterations
        warm = min(1.0, (self.iteration + 1) / 100)
        for group in self.optimiser.param_groups:
            group["lr"] = (
                options.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
            )
        chosen = clean[torch.from_numpy(random.integers(0, len(clean), options.batch))]
        mask = pool[torch.from_numpy(random.integers(0, len(pool), options.batch))]
        steps = torch.from_numpy(random.integers(0, self.bridge.schedule.steps, options.batch))
        hole = torch.randn(chosen.shape, generator=torch_random)
        noise = torch.randn(chosen.shape, generator=torch_random) if options.noisy else None
        loss = self.bridge.loss(chosen, mask, steps, hole, noise)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.iteration += 1
        decay = min(options.average, self.iteration / (self.iteration + 10))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self.mean[key].lerp_(value, 1 - decay)
        value = float(loss.detach())
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value

    def averaged(self) -> Bridge:
        """Return a bridge with the averaged weights."""
        network = SmallUNet(self.network.shape)
        network.load_state_dict({key: value.clone() for key, value in self.mean.items()})
        network.eval().requires_grad_(False)
        return Bridge(network, self.bridge.shape, self.bridge.schedule)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that the next iteration depends on."""
        tensors = {f"net.{key}": value for key, value in self.network.state_dict().items()}
        tensors |= {f"mean.{key}": value for key, value in self.mean.items()}
        for name, parameter in self.network.named_parameters():
            state = self.optimiser.state[parameter]
            for part in ("step", "exp_avg", "exp_avg_sq"):
                tensors[f"{part}.{name}"] = torch.as_tensor(state[part]).float()
        header = {
            "format": "whyproof-training-1",
            "options": asdict(self.options),
            "iteration": self.iteration,
            "loss": self.loss,
        }
        write_tensors(path, tensors, header)

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint of the same options."""
        tensors, header = read_tensors(path)
        if header.get("options") != asdict(self.options):
            raise ModelError(
                f"{Path(path).name} is the checkpoint of a training with other options: "
                f"{header.get('options')}; remove it or use the same ones"
            )
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        load_exactly(self.network, parts.get("net", {}), Path(path).name)
        self.mean = parts["mean"]
        for name, parameter in self.network.named_parameters():
            self.optimiser.state[parameter] = {
                part: parts[part][name] for part in ("step", "exp_avg", "exp_avg_sq")
            }
        iteration, loss = header["iteration"], header["loss"]
        if not isinstance(iteration, int) or not isinstance(loss, float):
            raise ModelError(f"{Path(path).name} has a damaged header; remove it")
        self.iteration, self.loss = iteration, loss
