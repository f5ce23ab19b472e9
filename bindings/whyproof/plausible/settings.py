"""What a search weighs and how long it looks: named presets and every number in them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from whyproof.engine.errors import InputError

from .lead import Form

__all__ = ["Level", "Settings", "Weights"]

Level = Literal["local", "group", "global"]
"""A shift for each row, one of K shifts for each row, one shift for all."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the six terms, not negative.

    Parameters
    ----------
    distance, validity, plausibility
        Of each row: how far it moves, whether the class is reached, whether it is probable.
    rows, columns, diversity
        Of groups: one group per row, few groups, groups that differ.

    The slope of each hinge is scaled to unit length per row, so that one set of weights
    serves sharp and flat densities, sure and unsure classifiers.
    """

    distance: float = 0.3
    validity: float = 1.0
    plausibility: float = 1.0
    rows: float = 0.0
    columns: float = 0.0
    diversity: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < float("inf"):
                raise InputError(f"the weight of {each.name} must not be negative, found {value!r}")


_SHARED = Weights(distance=0.05, rows=0.05, columns=0.0, diversity=0.01)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a search works; `local`, `group` and `everyone` are the presets.

    Parameters
    ----------
    weights
        Of the six terms.
    steps
        Steps of Adam at most.
    rate
        Length of a step at the start, in units of scaled columns; it falls along a cosine.
    margin
        By how much the target class is to lead, in probability.
    slack
        How far the score is to exceed the threshold while searching, in spreads.
    form
        Leads as probabilities or as logits.
    magnitudes
        Whether each row has a magnitude of its own (of shared shifts).
    saturation
        Shortfalls of plausibility beyond this many spreads count less: what cannot be made
        plausible does not spoil the shift of the others.  `None` for never.
    patience
        Steps after which a row that no longer comes nearer is done.
    learn_rows
        Shared shifts are learnt from so many rows at most, evenly chosen; all rows then
        choose among them.
    batch
        Rows searched together for local shifts, and evaluated together.
    aim
        Quantile that the search aims at; that of the search's threshold by default.  A higher
        one buys density with distance.
    repair
        What the last mile mends: ``"validity"``, or ``"plausibility"`` as well, or ``"none"``.
    repair_seconds
        For exact searches about rows that are still open, all together.
    nudges
        Of shared shifts, all together, tried at the end; 0 for none.
    seed
        Of all that is random.
    """

    weights: Weights = field(default_factory=Weights)
    steps: int = 150
    rate: float = 0.02
    margin: float = 0.01
    slack: float = 0.02
    form: Form = "probability"
    magnitudes: bool = True
    saturation: float | None = None
    patience: int = 40
    learn_rows: int = 4096
    batch: int = 2048
    aim: float | None = None
    repair: Literal["none", "validity", "plausibility"] = "plausibility"
    repair_seconds: float = 10.0
    nudges: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "rate", "patience", "learn_rows", "batch"):
            value = getattr(self, name)
            if not value > 0:
                raise InputError(f"{name} must be positive, found {value!r}")
        if self.aim is not None and not 0 < self.aim < 1:
            raise InputError(f"the aim is a quantile between 0 and 1, found {self.aim!r}")
        if not 0 <= self.margin < 1:
            raise InputError(f"the margin is a probability below 1, found {self.margin!r}")

    @classmethod
    def local(cls) -> Settings:
        """Return the preset for one shift per row."""
        return cls()

    @classmethod
    def group(cls) -> Settings:
        """Return the preset for K shared shifts."""
        return cls(_SHARED, steps=200, rate=0.02, saturation=1.0, repair="validity")

    @classmethod
    def everyone(cls, *, magnitudes: bool = True) -> Settings:
        """Return the preset for one shift for all, with or without magnitudes."""
        return cls(
            _SHARED,
            steps=200,
            rate=0.02,
            magnitudes=magnitudes,
            saturation=1.0,
            repair="validity",
        )
