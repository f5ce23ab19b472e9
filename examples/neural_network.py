"""Explain a small neural network: why not, why, a certificate, and a picture in words."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import whyproof as wp
from whyproof.certificates import certify
from whyproof.networks import image_space, load_network

torch.manual_seed(0)
torch.set_num_threads(1)
digits = load_digits()
images = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
module = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10)
)
optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
for _ in range(60):
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(module(images[:1500]), labels[:1500]).backward()
    optimiser.step()

network = load_network(module, input_shape=(1, 1, 8, 8))
space = image_space(network.input_shape)
explainer = wp.Explainer(network, space, region=wp.Region.ball(0.15))
image = images[1502].numpy().ravel().astype(np.float64)

why_not = explainer.explain(image, "cxp")
why = explainer.explain(image, "axp")
assert why is not None
print(f"The network says {why.problem.label}.")
print(f"Fixing {len(why)} of 64 pixels forces that ({why.status}).")
if why_not is not None:
    print(f"Changing {len(why_not)} pixels by 0.15 can change it ({why_not.status}).")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder)
    (path / "digits.onnx").write_bytes(network.model.SerializeToString())
    verdict = certify([why], path / "digits.onnx", path / "why.json")
    print(f"Checked without a search: {verdict.claims[0]}.")

members = {space.features[i].columns[0] for i in why.indices}
for y in range(8):
    print("".join("#" if 8 * y + x in members else "." for x in range(8)))
