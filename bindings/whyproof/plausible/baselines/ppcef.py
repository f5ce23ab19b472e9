"""PPCEF: the nearest plausible point of each row, one loss, small steps.

Source: Wielopolski, Furman, Stefanowski and Zieba, "Probabilistically Plausible
Counterfactual Explanations with Normalizing Flows", ECAI 2024: minimise
``||d||_2 + 1000 (max(margin + rivals - p, 0) + max(threshold - log p(x + d), 0))`` with Adam
until both penalties vanish on average.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..adam import Adam
from ..density import score_factor
from ..landscape import Landscape
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ppcef"]


def ppcef(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    *,
    steps: int = 2000,
    rate: float = 1e-3,
    weight: float = 1000.0,
    margin: float = 0.02,
) -> Tensor:
    """Return one point per row, shape ``(rows, columns)``.

    Raises
    ------
    ValueError
        Without a density: its penalty is the method.
    """
    if landscape.density is None:
        raise ValueError("PPCEF needs a density")
    factor = score_factor(origin.shape[1])
    threshold = landscape.threshold.score / factor
    here, moments = origin.clone(), Adam(origin, second=0.999)
    for _ in range(steps):
        lead, up_lead = landscape.lead.value_and_gradient(here)
        nats, up_nats = landscape.density.value_and_gradient(here)
        behind, short = (lead + margin).clamp(min=0), (threshold - nats).clamp(min=0)
        if float(behind.mean()) < 1e-5 and float(short.mean()) < 1e-5:
            break
        away = here - origin
        slope = away / away.norm(dim=1, keepdim=True).clamp(min=1e-12)
        slope = slope + weight * (behind > 0).to(here.dtype)[:, None] * up_lead
        slope = slope - weight * (short > 0).to(here.dtype)[:, None] * up_nats
        here = projection.project(moments.step(here, projection.inward(here, slope), rate))
    return here
