"""The unified method as published: its loss, its weights, its optimiser, taped throughout.

Kept for comparisons of time and quality in one run: D, M and B start at zero and noise,
every step tapes classifier and flow, hinges are on logits and the paper's weights rank
validity over plausibility over distance.  Source: the unified local, group-wise and global
method, eqs. (8)-(17), with the settings of its published configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..density import Density, score_factor
from ..lead import DifferentiableClassifier, Lead
from ..sparsemax import sparsemax
from ..terms import column_entropy, diversity, row_entropy

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PublishedWeights", "published"]


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """Weights of the published configuration."""

    distance: float = 0.1
    validity: float = 1e5
    plausibility: float = 1e4
    rows: float = 1e4
    columns: float = 1e4
    diversity: float = 10.0


def published(
    classifier: DifferentiableClassifier,
    density: Density,
    threshold: float,
    target: int,
    origin: Tensor,
    *,
    level: Literal["local", "group", "global"],
    groups: int = 10,
    steps: int = 1000,
    rate: float = 0.01,
    margin: float = 0.01,
    weights: PublishedWeights | None = None,
    seed: int = 0,
) -> Tensor:
    """Return one point per row, shape ``(rows, columns)``, after exactly so many steps."""
    import torch

    weigh = weights or PublishedWeights()
    count, width = origin.shape
    generator = torch.Generator().manual_seed(seed)
    size = count if level == "local" else 1 if level == "global" else groups
    shifts = torch.zeros(size, width, requires_grad=True)
    magnitudes = torch.zeros(count, 1, requires_grad=level != "local")
    behind = 0.01 * torch.rand(count, size if level == "group" else 1, generator=generator)
    behind.requires_grad_(level == "group")
    leaves = [p for p in (shifts, magnitudes, behind) if p.requires_grad]
    adam = torch.optim.Adam(leaves, lr=rate)
    lead, factor = Lead(classifier, target, "logit"), score_factor(width)
    labels = torch.full((count,), target)
    for step in range(steps):
        selection = _taped_sparsemax(behind) if level == "group" else torch.ones(count, 1)
        mixed = shifts if level == "local" else selection @ shifts
        points = origin + magnitudes.exp() * mixed
        score = density.log_density(points, labels) * factor
        hinge = (lead.taped(points) + margin).clamp(min=0) / (1 + margin)
        short = (threshold - score).clamp(min=0) / max(2 * abs(threshold), 1e-6)
        each = weigh.distance * (points - origin).abs().sum(1)
        each = each + weigh.validity * hinge + weigh.plausibility * short
        loss = each.mean()
        if level == "group":
            if step >= 100:
                loss = loss + weigh.rows * row_entropy(selection)
            loss = loss + weigh.columns * column_entropy(selection)
            loss = loss + weigh.diversity * diversity(shifts + 1e-12)
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    with torch.no_grad():
        if level == "local":
            return (origin + shifts).detach()
        chosen = shifts[behind.argmax(1)] if level == "group" else shifts
        return (origin + magnitudes.exp() * chosen).detach()


def _taped_sparsemax(values: Tensor) -> Tensor:
    """Return sparsemax with a tape: the support is constant, the rest differentiable."""
    import torch

    with torch.no_grad():
        support = (sparsemax(values) > 0).to(values.dtype)
    tau = ((values * support).sum(1, keepdim=True) - 1) / support.sum(1, keepdim=True)
    return (values - tau) * support
