"""What a search sees of its rows: leads, scores and one descent direction.

All optimisers and baselines look through this: the classifier's lead and the density's
score of points, and the slope of the loss in the points.  The hinges' slopes are scaled
to unit length per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from whyproof.engine.errors import DataError

from .backend import Array
from .density import BATCH, TargetDensity, batches, score_factor
from .lead import Lead

if TYPE_CHECKING:
    from torch import Tensor

    from .settings import Settings

__all__ = ["Judgement", "Landscape", "Threshold"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which score on a point is plausible, and how much scores spread.

    Parameters
    ----------
    score
        Bits per column.
    spread
        Positive; the unit in which shortfalls are measured.
    """

    score: float
    spread: float

    @classmethod
    def of(cls, scores: Array, quantile: float) -> Threshold:
        """Take a quantile of the training scores, and the distance between their quartiles."""
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            raise DataError("the density gives no training row a finite score; train it anew")
        low, at, high = (float(np.quantile(finite, q)) for q in (0.25, quantile, 0.75))
        return cls(at, max(high - low, 1e-6))


@dataclass(frozen=True)
class Judgement:
    """Leads of the best rival and scores of points, shape ``(rows,)`` each."""

    lead: Tensor
    score: Tensor


class Landscape:
    """Classifier and density of one target class.

    Parameters
    ----------
    lead
        Of the best rival over the target.
    density
        Of the target class; `None` searches without plausibility.
    threshold
        Score that the search aims at.
    columns
        Columns of a row.
    floor
        From which score on a point is plausible; that of the threshold by default.
    pace
        Typical range of a scaled column: 1 after min-max scaling.  Steps are measured in it.
    """

    def __init__(
        self,
        lead: Lead,
        density: TargetDensity | None,
        threshold: Threshold,
        columns: int,
        *,
        floor: float | None = None,
        pace: float = 1.0,
    ) -> None:
        self.lead, self.density, self.threshold = lead, density, threshold
        self.floor = threshold.score if floor is None else floor
        self.pace = pace
        self._factor = score_factor(columns)

    def judge(self, points: Tensor) -> Judgement:
        """Return leads and scores without slopes, batch by batch."""
        import torch

        leads, scores = [], []
        for part in batches(len(points), BATCH):
            leads.append(self.lead.value(points[part]))
            if self.density is None:
                scores.append(torch.full_like(leads[-1], float("inf")))
            else:
                scores.append(self.density.value(points[part]) * self._factor)
        if not leads:
            return Judgement(points.new_zeros(0), points.new_zeros(0))
        return Judgement(torch.cat(leads), torch.cat(scores))

    def descend(
        self, origin: Tensor, points: Tensor, settings: Settings
    ) -> tuple[Judgement, Tensor]:
        """Return leads, scores and the slope of the weighted row terms in the points."""
        import torch

        weights, threshold = settings.weights, self.threshold
        lead, uphill = self.lead.value_and_direction(points)
        behind = (lead + settings.margin > 0).to(points.dtype)
        slope = (weights.validity * behind)[:, None] * _unit(uphill)
        score = torch.full_like(lead, float("inf"))
        if self.density is not None and weights.plausibility > 0:
            nats, uphill = self.density.value_and_gradient(points)
            score = nats * self._factor
            short = (threshold.score - score) / threshold.spread + settings.slack
            counts = (short > 0).to(points.dtype)
            if settings.saturation is not None:
                counts = counts / (1 + short.clamp(min=0) / settings.saturation)
            pull = torch.nan_to_num(_unit(uphill))
            slope = slope - (weights.plausibility * counts)[:, None] * pull
        if weights.distance:
            slope = slope + weights.distance * _unit(points - origin)
        return Judgement(lead, score), slope

    def valid(self, judged: Judgement) -> Tensor:
        """Tell where the target class leads."""
        return judged.lead < 0

    def plausible(self, judged: Judgement) -> Tensor:
        """Tell where the score exceeds the floor."""
        return judged.score > self.floor

    def dense(self, judged: Judgement) -> Tensor:
        """Tell where the score exceeds what the search aims at."""
        return judged.score > self.threshold.score


def _unit(vectors: Tensor) -> Tensor:
    # Far from all data slopes are so steep that their squares overflow.
    vectors = vectors / vectors.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
    length: Tensor = vectors.norm(dim=1, keepdim=True)
    return vectors / length.clamp(min=1e-12)
