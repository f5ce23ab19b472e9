"""Train and keep small judges: independent classifiers for images of a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from whyproof.engine.errors import InputError, ModelError

from .networks.judge import Judge, JudgeShape
from .training import as_tensor
from .weights import load_exactly, read_tensors, write_tensors

__all__ = ["export_judge", "load_judge", "save_judge", "train_judge"]

_FORMAT = "whyproof-judge-1"


def train_judge(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.integer],
    shape: JudgeShape | None = None,
    *,
    iterations: int = 1500,
    batch: int = 96,
    seed: int = 0,
) -> Judge:
    """Train a judge for a fixed number of iterations.

    Parameters
    ----------
    images, labels
        8-bit images and class numbers from 0.
    shape
        Sizes; taken from the data by default.
    iterations, batch, seed
        Of the training.
    """
    clean = as_tensor(images).add(1).div(2)
    if len(labels) != len(clean) or int(labels.min()) < 0:
        raise InputError("a judge needs one class number, 0 or more, per image")
    wanted = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    if shape is None:
        _, channels, height, width = clean.shape
        shape = JudgeShape(channels, height, width, int(wanted.max()) + 1)
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 3])
    judge = Judge(shape)
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=1e-4)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    for _ in range(iterations):
        chosen = torch.from_numpy(random.integers(0, len(clean), batch))
        loss = functional.cross_entropy(judge(clean[chosen]), wanted[chosen])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        fall.step()
    return judge.eval().requires_grad_(False)


def save_judge(judge: Judge, path: str | os.PathLike[str]) -> None:
    """Write a judge."""
    write_tensors(path, judge.state_dict(), {"format": _FORMAT, "network": judge.shape.as_json()})


def load_judge(path: str | os.PathLike[str]) -> Judge:
    """Read what `save_judge` wrote.

    Raises
    ------
    ModelError
        If the file holds something else.
    """
    tensors, header = read_tensors(path)
    if header.get("format") != _FORMAT:
        raise ModelError(
            f"{Path(path).name} holds no judge; write one with 'whyproof visual judge'"
        )
    judge = Judge(JudgeShape(**cast("dict[str, Any]", header["network"])))
    load_exactly(judge, tensors, Path(path).name)
    return judge.eval().requires_grad_(False)


def export_judge(judge: Judge, path: str | os.PathLike[str]) -> None:
    """Write a judge as an ONNX file whose batch axis is free."""
    import warnings

    shape = judge.shape
    example = torch.zeros(1, shape.channels, shape.height, shape.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            judge,
            (example,),
            os.fspath(path),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
