"""How good a literal is: measures of the impurity that a split leaves behind.

A literal splits the examples that are still open into those that satisfy it, ``tp``
positive and ``fp`` negative ones, and the rest, ``fn`` and ``tn``.  A measure sums the
impurity of both branches; less is better.  All of them are concave in ``(tp, fp)``, which
the exact search over thresholds (`split`) relies on.

Sources: entropy as in FOLD-R++ (Wang and Gupta, 2022); Gini impurity as in CART.  The
formula of FOLD-SE's own heuristic is not published with code; ``power`` with exponent
0.6 reproduces its published rule sets best among those tried, and 0.5 is the square-root
measure of Kearns and Mansour (1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError

__all__ = ["Heuristic", "heuristic_named"]

Counts = npt.NDArray[np.float64]
"""Summed weights of examples, one entry per candidate."""


@dataclass(frozen=True, slots=True)
class Heuristic:
    """An impurity ``n * (p (1 - p))**exponent``, or entropy when there is no exponent.

    Parameters
    ----------
    exponent
        In (0, 1]: 1 is Gini impurity; smaller ones favour purer branches.  `None` for
        entropy.

    Examples
    --------
    >>> counts = [np.array([value]) for value in (4.0, 1.0, 4.0, 4.0)]
    >>> heuristic_named("gini").score(*counts).round(4).tolist()
    [-2.8]
    """

    exponent: float | None

    def score(self, tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Counts:
        """Return minus the impurity that is left, shape as the counts; more is better."""
        return -(self._impurity(tp, fp) + self._impurity(fn, tn))

    def _impurity(self, a: Counts, b: Counts) -> Counts:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.exponent is None:
                n = a + b
                left = np.where(a > 0, a * np.log(a / n), 0.0)
                right = np.where(b > 0, b * np.log(b / n), 0.0)
                return -(left + right)
            if self.exponent == 1.0:
                return np.where(a > 0, a * b / (a + b), 0.0)
            if self.exponent == 0.5:
                return np.sqrt(a * b)
            n = a + b
            return np.where(n > 0, n * (a * b / (n * n)) ** self.exponent, 0.0)


def heuristic_named(name: object) -> Heuristic:
    """Return the heuristic that a user names.

    Parameters
    ----------
    name
        ``"entropy"``, ``"gini"``, ``"power"`` (exponent 0.6) or ``"power(b)"`` with
        ``0 < b <= 1``.

    Raises
    ------
    InputError
        For any other name.

    Examples
    --------
    >>> heuristic_named("power(0.5)").exponent
    0.5
    """
    known: dict[Any, float | None] = {"entropy": None, "gini": 1.0, "power": 0.6}
    if isinstance(name, str):
        if name in known:
            return Heuristic(known[name])
        if name.startswith("power(") and name.endswith(")"):
            try:
                exponent = float(name[6:-1])
            except ValueError:
                exponent = math.nan
            if 0 < exponent <= 1:
                return Heuristic(exponent)
    raise InputError(
        f"no heuristic {name!r}; known are 'entropy', 'gini', 'power' and 'power(b)' with b "
        "above 0 and at most 1"
    )
