"""What the parts of the visual benchmark share: images, networks, regions, comparisons."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.visual.baselines import change_within, gradient_attack
from whyproof.visual.bridge import Bridge
from whyproof.visual.cells import Grid
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.judges import load_judge
from whyproof.visual.metrics.features import (
    FeatureNet,
    Vectors,
    frechet_distance,
    judge_features,
    matched_reference,
)
from whyproof.visual.pixels import Pixels
from whyproof.visual.regions.attribution import attribution
from whyproof.visual.regions.choice import Regions, best_cells
from whyproof.visual.repainting import Attempts, Repainting, repaint
from whyproof.visual.sampler import SamplerOptions

__all__ = [
    "ATTACKS",
    "GRID",
    "PAIRS",
    "SEED",
    "Bench",
    "agreement",
    "mean_of",
    "nearer",
    "peak",
    "sign_test",
    "versus",
]

PAIRS = np.array([6, 7, 3, 8, 9, 6, 5, 9, 3, 4])
"""The class that each digit is turned into."""
GRID = Grid(28, 28, 4)
SEED = 0

Norm = Literal["linf", "l2"]
ATTACKS: dict[str, tuple[Norm, float, int]] = {
    "signs of 0.02": ("linf", 0.02, 400),
    "signs of 0.1": ("linf", 0.1, 80),
    "unit length, 0.25": ("l2", 0.25, 600),
}
"""Gradient attacks to compare with: how steps are measured, how long they are, how many."""


_REDRAWN = 100


@dataclass
class Bench:
    """What all parts share."""

    bridge: Bridge
    classifier: ImageClassifier
    judges: dict[str, ImageClassifier]
    images: Pixels
    labels: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    nets: Path
    data: dict[str, npt.NDArray[np.uint8]]
    snapshots: Path | None
    short: bool = False
    first: int = 0
    """Images left out before the first."""
    cells: tuple[int, ...] = (1, 2, 4, 8, 14)
    """Sizes of the regions of exact questions."""
    keep: Callable[[list[dict[str, object]]], None] = lambda rows: None
    """Told of the rows so far, so that a run that is cut short leaves what it measured."""
    maps: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @cached_property
    def features(self) -> FeatureNet:
        """Features of the first judge."""
        return judge_features(load_judge(self.nets / "judge.safetensors"))

    @cached_property
    def reference(self) -> Vectors:
        """Features of real images with the classes of the targets."""
        real = self.features(self.data["x_test"][..., None])
        return matched_reference(real, self.data["y_test"], self.targets)

    def regions(self, area: float = 0.3, method: str = "integrated gradients") -> Regions:
        """Return attribution regions of the predicted classes."""
        if method not in self.maps:
            kept = self.nets / f"{method.replace(' ', '-')}-{self.first}-{len(self.images)}.npy"
            if not kept.exists():
                found = attribution(
                    self.classifier, self.images, self.labels, method=method, seed=SEED
                )
                np.save(kept, found)
            self.maps[method] = np.load(kept)
        return best_cells(self.maps[method], GRID, area)

    def painted(
        self,
        regions: Regions,
        options: SamplerOptions | None = None,
        *,
        count: int | None = None,
        bridge: Bridge | None = None,
        attempts: Attempts | None = None,
        copies: int = 1,
    ) -> tuple[list[Repainting], float]:
        """Return repaintings, by default of one attempt, and CPU milliseconds per image."""
        some = slice(count)
        began = time.process_time()
        found = repaint(
            bridge or self.bridge,
            self.classifier,
            self.images[some],
            regions[some],
            self.targets[some],
            options=options or SamplerOptions(),
            attempts=attempts or Attempts.single(SEED),
            copies=copies,
            control=False,
        )
        return found, 1000 * (time.process_time() - began) / len(found)


def agreement(bench: Bench, images: Pixels) -> dict[str, object]:
    """Return how often each judge sees the target in images that reach it."""
    targets = bench.targets[: len(images)]
    reached = bench.classifier.predict(images) == targets
    found: dict[str, object] = {}
    for name, judge in bench.judges.items():
        agrees = judge.predict(images) == targets
        found[f"{name}_of_flips"] = mean_of(agrees[reached]) if reached.any() else None
    return found


def versus(bench: Bench, images: Pixels, regions: Regions, attack: str) -> dict[str, object]:
    """Compare repainted images with an attack that is stopped at the same change, each by each."""
    some = slice(len(images))
    originals, regions, targets = bench.images[some], regions[some], bench.targets[some]
    wanted = change_within(images, originals, regions)
    norm, size, steps = ATTACKS[attack]
    attacked = gradient_attack(
        bench.classifier,
        originals,
        regions,
        targets,
        steps=steps,
        size=size,
        norm=norm,
        change=wanted,
    )
    both = (bench.classifier.predict(images) == targets) & (
        bench.classifier.predict(attacked) == targets
    )
    told: dict[str, object] = {
        "attack": attack,
        "change": mean_of(wanted),
        "attack_change": mean_of(change_within(attacked, originals, regions)),
        "both_reach": int(both.sum()),
        "frechet": nearer(bench.features(images), bench.features(attacked), bench.reference),
    }
    for name, judge in bench.judges.items():
        ours = (judge.predict(images) == targets)[both]
        theirs = (judge.predict(attacked) == targets)[both]
        won, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
        told[name] = {
            "ours": mean_of(ours),
            "attack": mean_of(theirs),
            "won": won,
            "lost": lost,
            "p_two_sided": float(f"{sign_test(won, lost):.2g}"),
        }
    return told


def nearer(ours: Vectors, theirs: Vectors, reference: Vectors) -> dict[str, float]:
    """Return distances to real images, and how often ours is less when images are redrawn."""
    random = np.random.default_rng(SEED)
    less = 0
    for _ in range(_REDRAWN):
        some = random.integers(len(ours), size=len(ours))
        less += frechet_distance(ours[some], reference) < frechet_distance(theirs[some], reference)
    return {
        "ours": round(frechet_distance(ours, reference), 2),
        "attack": round(frechet_distance(theirs, reference), 2),
        "share_of_redraws_nearer": round(less / _REDRAWN, 3),
    }


def sign_test(won: int, lost: int) -> float:
    """Return the two-sided p-value of a paired comparison without ties (McNemar, exact)."""
    total, least = won + lost, min(won, lost)
    tail = sum(math.comb(total, k) for k in range(least + 1)) / 2**total
    return min(1.0, 2 * tail)


def mean_of(values: object) -> float:
    """Return a rounded mean."""
    array = np.asarray(values, dtype=np.float64)
    return round(float(array.mean()), 4) if array.size else float("nan")


def peak() -> float:
    """Return the peak memory of this process in megabytes."""
    return float(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))
