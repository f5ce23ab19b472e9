"""The variance schedule of an image-to-image Schrödinger bridge, in plain numbers.

A bridge joins a clean image x0 and a degraded one x1 by Gaussian noise whose rate rises to
the middle and falls again.  With ``a_n`` and ``b_n`` the noise gathered from the clean and
from the degraded side up to step n,

    q(x_n | x0, x1) = N( (b_n x0 + a_n x1) / (a_n + b_n),  a_n b_n / (a_n + b_n) I )

    p(x_m | x0, x_n) = N( (d x0 + a_m x_n) / (a_m + d),  a_m d / (a_m + d) I ),  d = a_n - a_m

Source: Liu et al., I2SB: Image-to-Image Schrödinger Bridge, ICML 2023, Proposition 3.3 and
Equation 11 (arXiv 2302.05872).  Ours keeps the numbers in float64 and apart from any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError

__all__ = ["Posterior", "Schedule"]

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """One step back along the bridge: two weights that sum to one, and a variance."""

    clean: float
    current: float
    variance: float


@dataclass(frozen=True)
class Schedule:
    """A symmetric noise schedule of `steps` steps.

    Parameters
    ----------
    steps
        Number of discrete steps N, even, at least 2.
    beta_max
        Noise rate of the peak before the halves are joined, times N; positive.
    beta_min
        Noise rate at both ends, positive.

    Examples
    --------
    >>> schedule = Schedule()
    >>> [round(float(schedule.clean_weight[n]), 3) for n in (100, 350, 600)]
    [0.95, 0.723, 0.342]
    """

    steps: int = 1000
    beta_max: float = 1.0
    beta_min: float = 1e-4

    def __post_init__(self) -> None:
        if self.steps < 2 or self.steps % 2:
            raise InputError(f"a schedule needs an even number of steps, found {self.steps}")
        if not (self.beta_max > 0 and self.beta_min > 0):
            raise InputError("the noise rates of a schedule must be positive")

    @cached_property
    def rates(self) -> Numbers:
        """Noise of each step, shape ``(steps,)``; the second half mirrors the first."""
        ends = np.sqrt(self.beta_min), np.sqrt(self.beta_max / self.steps)
        half = (np.linspace(*ends, self.steps) ** 2)[: self.steps // 2]
        return np.concatenate([half, half[::-1]])

    @cached_property
    def from_clean(self) -> Numbers:
        """Variance gathered from the clean side, this step included, shape ``(steps,)``."""
        return np.cumsum(self.rates)

    @cached_property
    def from_degraded(self) -> Numbers:
        """Variance gathered from the degraded side, this step included, shape ``(steps,)``."""
        return np.cumsum(self.rates[::-1])[::-1].copy()

    @cached_property
    def deviation(self) -> Numbers:
        """Standard deviation gathered from the clean side: the unit of what networks predict."""
        return np.sqrt(self.from_clean)

    @cached_property
    def clean_weight(self) -> Numbers:
        """Weight of the clean image in the marginal's mean; the other image has the rest."""
        return self.from_degraded / (self.from_clean + self.from_degraded)

    @cached_property
    def variance(self) -> Numbers:
        """Variance of the marginal."""
        return self.from_clean * self.from_degraded / (self.from_clean + self.from_degraded)

    @cached_property
    def times(self) -> Numbers:
        """What a network is told of each step, from ``N * 1e-4`` to ``N``."""
        return self.steps * np.linspace(1e-4, 1.0, self.steps)

    def posterior(self, current: int, earlier: int) -> Posterior:
        """Return how to step back from one step to an earlier one.

        Raises
        ------
        InputError
            Unless ``0 <= earlier < current < steps``.
        """
        if not 0 <= earlier < current < self.steps:
            raise InputError(
                f"cannot step back from {current} to {earlier} in a schedule of {self.steps} steps"
            )
        gathered = self.from_clean[earlier]
        between = self.from_clean[current] - gathered
        total = gathered + between
        variance = 0.0 if earlier == 0 else gathered * between / total
        return Posterior(float(between / total), float(gathered / total), float(variance))

    def grid(self, start_step: int, calls: int) -> tuple[int, ...]:
        """Return the steps of a walk down, ``calls + 1`` of them, from ``start_step - 1`` to 0.

        Parameters
        ----------
        start_step
            Where the walk begins, 2 to `steps`: the share tau of the whole times `steps`.
        calls
            Network calls, 1 to ``start_step - 1``.

        Examples
        --------
        >>> Schedule().grid(600, 4)
        (599, 449, 300, 150, 0)
        """
        if not 2 <= start_step <= self.steps:
            raise InputError(
                f"the start step must lie in 2 to {self.steps}, found {start_step}; "
                "600 of 1000 is the usual choice"
            )
        if not 1 <= calls < start_step:
            raise InputError(
                f"the number of steps must lie in 1 to {start_step - 1}, found {calls}"
            )
        return tuple(round(i * (start_step - 1) / calls) for i in range(calls, -1, -1))
