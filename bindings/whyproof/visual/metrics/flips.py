"""What became of many repaintings: rates of flips, with the control beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whyproof.engine.errors import InputError

from ..repainting import Repainting

__all__ = ["FlipSummary", "summarise"]


@dataclass(frozen=True, slots=True)
class FlipSummary:
    """Rates over some repaintings; shares in 0 to 1.

    Parameters
    ----------
    count
        Number of repaintings.
    reached
        Share whose class is the target.
    changed
        Share whose class is any other than before.
    guided
        Share of the changed ones that are of the target.
    control_changed, control_reached
        The same without guidance; `None` without a control.
    change
        Mean absolute change of a pixel of the region, 0 to 1.
    moved
        Mean number of pixels that differ.
    outside
        Largest difference outside any region, in steps of 8 bits.
    drop
        Mean fall of the probability of the class before.
    """

    count: int
    reached: float
    changed: float
    guided: float
    control_changed: float | None
    control_reached: float | None
    change: float
    moved: float
    outside: int
    drop: float

    def as_json(self) -> dict[str, float | int | None]:
        """Return the numbers by name, rounded."""
        names = self.__slots__
        values = {name: getattr(self, name) for name in names}
        return {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}


def summarise(repaintings: Sequence[Repainting]) -> FlipSummary:
    """Summarise repaintings.

    Raises
    ------
    InputError
        If there are none.
    """
    if not repaintings:
        raise InputError("there is no repainting to summarise")
    reached = np.array([r.reached for r in repaintings])
    changed = np.array([r.changed for r in repaintings])
    controls = [r for r in repaintings if r.control_outcome is not None]
    return FlipSummary(
        count=len(repaintings),
        reached=float(reached.mean()),
        changed=float(changed.mean()),
        guided=float(reached.sum() / max(1, changed.sum())),
        control_changed=_share([r.control_outcome != r.source for r in controls]),
        control_reached=_share([r.control_outcome == r.target for r in controls]),
        change=float(np.mean([r.change for r in repaintings])),
        moved=float(np.mean([r.moved.sum() for r in repaintings])),
        outside=max(r.outside for r in repaintings),
        drop=float(np.mean([r.before[r.source] - r.after[r.source] for r in repaintings])),
    )


def _share(found: list[bool]) -> float | None:
    return float(np.mean(found)) if found else None
