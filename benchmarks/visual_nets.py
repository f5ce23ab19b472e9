"""Networks that the visual benchmark needs: trained once with fixed seeds, kept as ONNX.

The classifier that is explained, two judges that are not asked while painting (one of
another architecture and seed, one also trained on noisy and shifted digits), and a small
dense ReLU network for exact questions.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from whyproof.visual.judges import export_judge, save_judge, train_judge
from whyproof.visual.networks.judge import Judge, JudgeShape

__all__ = ["prepare"]


def prepare(folder: Path, data: dict[str, np.ndarray]) -> None:
    """Train what is missing in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = data["x_train"], data["y_train"]
    if not (folder / "classifier.onnx").exists():
        shape = JudgeShape(pooled=False)
        export_judge(
            train_judge(images, labels, shape, iterations=1800, seed=0), folder / "classifier.onnx"
        )
    if not (folder / "judge.onnx").exists():
        shape = JudgeShape(filters=12, features=48)
        judge = train_judge(images, labels, shape, iterations=1500, seed=7)
        save_judge(judge, folder / "judge.safetensors")
        export_judge(judge, folder / "judge.onnx")
    if not (folder / "robust.onnx").exists():
        export_judge(_robust(images, labels), folder / "robust.onnx")
    if not (folder / "relu.onnx").exists():
        _small(images, labels, folder / "relu.onnx")


def _robust(images: np.ndarray, labels: np.ndarray) -> Judge:
    clean = torch.from_numpy(images).float()[:, None] / 255
    wanted = torch.from_numpy(labels).long()
    torch.manual_seed(11)
    random, torch_random = np.random.default_rng(11), torch.Generator().manual_seed(11)
    judge = Judge(JudgeShape(filters=12, features=48))
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 2000)
    for _ in range(2000):
        chosen = torch.from_numpy(random.integers(0, len(clean), 64))
        down, right = random.integers(-2, 3, 2)
        seen = torch.roll(clean[chosen], (int(down), int(right)), (2, 3))
        level = torch.rand(64, 1, 1, 1, generator=torch_random) * 0.5
        seen = (seen + level * torch.randn(seen.shape, generator=torch_random)).clamp(0, 1)
        loss = functional.cross_entropy(judge(seen), wanted[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    return judge.eval()


def _small(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    clean = torch.from_numpy(images).float()[:, None] / 255
    wanted = torch.from_numpy(labels).long()
    torch.manual_seed(2)
    random = np.random.default_rng(2)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10)
    )
    first = net[1]
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(4000):
        chosen = torch.from_numpy(random.integers(0, len(clean), 128))
        loss = functional.cross_entropy(net(clean[chosen]), wanted[chosen])
        loss = loss + 1e-5 * first.weight.abs().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            (torch.zeros(1, 1, 28, 28),),
            str(path),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
