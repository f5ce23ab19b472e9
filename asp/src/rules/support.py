"""How often a rule was right, and how sure one can be of it.

The interval is Wilson's score interval (E. B. Wilson, 1927), which CON-FOLD uses for the
confidence of rules: it stays inside [0, 1] and is honest for rules that cover few rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from whyproof.engine.errors import InputError

__all__ = ["Support"]


@dataclass(frozen=True, slots=True)
class Support:
    """Rows that a rule decided, and how many of them it decided rightly.

    Parameters
    ----------
    correct
        Number (or summed weight) of rows that it decided rightly.
    covered
        Number (or summed weight) of rows that it decided.

    Raises
    ------
    InputError
        Unless ``0 <= correct <= covered``.

    Examples
    --------
    >>> support = Support(correct=9, covered=10)
    >>> support.confidence, [round(bound, 3) for bound in support.interval()]
    (0.9, [0.596, 0.982])
    """

    correct: float
    covered: float

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.covered * (1 + 1e-12):
            raise InputError(
                f"a rule cannot be right on {self.correct} of {self.covered} rows; give "
                "0 <= correct <= covered"
            )

    @property
    def confidence(self) -> float:
        """Share of covered rows decided rightly; 0.5 if there are none."""
        return min(1.0, self.correct / self.covered) if self.covered else 0.5

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return Wilson's interval for the confidence.

        Parameters
        ----------
        level
            Probability with which the interval covers the true share, in (0, 1).
        """
        if not 0 < level < 1:
            raise InputError(f"the level of an interval lies between 0 and 1, found {level}")
        if not self.covered:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + level) / 2)
        n, p = self.covered, self.confidence
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)
