"""Train a tiny generator, let the engine choose a smallest region, repaint it, see the proof."""

from __future__ import annotations

import sys

try:
    import torch
    from torch import nn

    from whyproof import visual
    from whyproof.encodings.networks.oracle import NetworkOracle
    from whyproof.networks import load_network
except ImportError as error:
    print(f"this example needs whyproof[visual]: {error}")
    sys.exit()

import numpy as np

random = np.random.default_rng(3)
images = random.integers(0, 40, (200, 8, 8), dtype=np.uint8)
labels = random.integers(0, 2, 200)
for picture, label in zip(images, labels, strict=True):
    at = random.integers(1, 6)
    (picture if label else picture.T)[at : at + 2] = random.integers(180, 256, (2, 8))

torch.manual_seed(1)
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 2))
optimiser = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(150):
    scores = net(torch.from_numpy(images).float()[:, None] / 255)
    loss = nn.functional.cross_entropy(scores, torch.from_numpy(labels))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
network = load_network(net, input_shape=(1, 1, 8, 8), classes=["upright", "lying"])
classifier = visual.ImageClassifier(network)

options = visual.TrainingOptions(iterations=150, batch=16, cell=2, average=0.9)
bridge = visual.train_bridge(images, options)

image = images[:1, :, :, None]
source = int(classifier.predict(image)[0])
problem = visual.image_problem(classifier, image, cell=2)
grid, exact = visual.Grid(8, 8, 2), NetworkOracle(problem)
region = visual.RegionSearch(problem, exact, grid, visual.Shape(connected=True)).smallest()
if region is None:
    sys.exit("no region can change the decision")
print(f"the model says {classifier.classes[source]}")
print(f"smallest connected region: cells {sorted(region.cells)}, proved: {region.proved}")

(found,) = visual.repaint(
    bridge, classifier, image, grid.pixels(region.cells)[None], targets=[1 - source]
)
print(f"repainted: the model says {classifier.classes[found.outcome]}; outside: {found.outside}")
for sentence in visual.region_statement(problem, exact, region.cells).sentences():
    print(sentence)
