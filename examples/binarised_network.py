"""Explain a binarised network and a decision graph, both written down as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import whyproof as wp

random = np.random.default_rng(0)
names = ["age", "income", "debt", "years", "loans"]
network = {
    "format": "whyproof-binarised-1",
    "columns": names,
    "classes": ["no", "yes"],
    # Input 0 is +1 where age >= 30, else -1; and so on.
    "inputs": [[0, 30], [1, 40], [2, 2], [3, 5], [4, 1]],
    "layers": [{"weights": random.integers(-1, 2, (6, 5)).tolist(), "thresholds": [0] * 6}],
    "output": {"weights": random.choice([-1, 1], (2, 6)).tolist(), "biases": [0, 0]},
}
graph = {
    "format": "whyproof-graph-1",
    "columns": [{"name": "age"}, {"name": "job", "values": ["clerk", "cook", "vet"]}],
    "classes": ["no", "yes"],
    "root": "young",
    "nodes": {
        "young": {"test": "age", "below": 40, "yes": "cook", "no": "old"},
        "cook": {"test": "job", "in": ["cook"], "yes": "accept", "no": "refuse"},
        "old": {"test": "age", "at_most": 60, "yes": "cook", "no": "accept"},
        "accept": {"class": "yes"},
        "refuse": {"class": "no"},
    },
}

with TemporaryDirectory() as folder:
    for name, document, row in (
        ("network", network, [25.0, 55.0, 1.0, 7.0, 0.0]),
        ("graph", graph, [30.0, "clerk"]),
    ):
        file = Path(folder) / f"{name}.json"
        file.write_text(json.dumps(document))
        model = wp.load_model(file)
        explainer = wp.Explainer(model)
        found = list(explainer.enumerate(row))
        print(f"{name}: {found[0].problem.label}")
        for explanation in found:
            print(" ", explanation.kind, " and ".join(explanation.features))
