"""How far a floating-point sum of leaves can be from the exact one.

A model adds leaf values one after the other in float32 or float64.  Each addition errs
by at most half a unit in the last place of its result (round to nearest, N. Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2).  We bound every
partial sum by interval arithmetic over the leaves of each tree, which is tighter than
the textbook bound over absolute values, and notice when all sums are exactly
representable: then there is no error at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import Tree

__all__ = ["UNIT", "Precision", "deciding_slack", "summation_errors", "sums_are_exact"]

Precision = Literal["float32", "float64"]

UNIT: dict[Precision, float] = {"float32": 2.0**-24, "float64": 2.0**-53}
"""Largest relative error of one rounding to nearest."""

_DIGITS: dict[Precision, int] = {"float32": 24, "float64": 53}


def sums_are_exact(
    trees: Sequence[Tree], base: npt.NDArray[np.float64], precision: Precision, spare: int = 0
) -> bool:
    """Tell whether every partial sum, in any order, is a number of that precision.

    Parameters
    ----------
    trees, base
        As in `TreeEnsemble`.
    precision
        Type of the accumulator.
    spare
        Significant bits that must stay unused, to make a later division keep the order
        of different sums.

    Examples
    --------
    >>> vote = Tree.constant(np.array([0.0, 1.0]))
    >>> sums_are_exact([vote] * 100, np.zeros(2), "float32")
    True
    >>> third = Tree.constant(np.array([1 / 3]))
    >>> sums_are_exact([third] * 3, np.zeros(1), "float64")
    False
    """
    if not trees or (len(trees) == 1 and not bool(base.any())):
        return True
    largest = np.abs(base) + sum(
        (np.abs(tree.values).max(axis=0) for tree in trees), np.zeros(len(base))
    )
    if not bool(np.isfinite(largest).all()):
        return False
    quantum = min([_quantum(base), *(_quantum(tree.values) for tree in trees)])
    return float(largest.max(initial=0.0)) <= quantum * 2.0 ** (_DIGITS[precision] - spare)


def summation_errors(
    trees: Sequence[Tree],
    base: npt.NDArray[np.float64],
    precision: Precision,
    *,
    roundings: int = 0,
    base_roundings: int = 0,
    ordered: bool = True,
) -> npt.NDArray[np.float64]:
    """Bound the error of each output's sum, shape ``(outputs,)``.

    Parameters
    ----------
    trees, base
        As in `TreeEnsemble`, without divisor.
    precision
        Type of the accumulator.
    roundings
        Roundings of each term besides the addition, such as a product with a weight.
    base_roundings
        The same for the base.
    ordered
        Whether the sum starts with the base and goes through the trees in order; if not,
        the bound holds for every order and grouping.
    """
    unit = UNIT[precision]
    low, high = base.copy(), base.copy()
    absolute = np.abs(base)
    error = unit * base_roundings * absolute
    terms = np.zeros(len(base))
    for tree in trees:
        leaves = tree.values[tree.leaves]
        size = np.abs(leaves).max(axis=0)
        absolute = absolute + size
        low, high = low + leaves.min(axis=0), high + leaves.max(axis=0)
        # Adding zero, as trees of other classes do, is exact.
        partial = np.where(size > 0.0, np.maximum(np.abs(low), np.abs(high)), 0.0)
        error = error + unit * (partial + roundings * size)
        terms = terms + (size > 0.0)
    if not ordered:
        error = unit * (terms + 1 + roundings + base_roundings) * absolute
    # Bounds above are over exact partial sums; the factor covers rounded ones.
    return np.asarray(error * (1.0 + 4.0 * unit * (len(trees) + 2)))


def deciding_slack(errors: npt.NDArray[np.float64], zone: float = 0.0) -> float:
    """Return the slack of a decision from the errors of its outputs.

    Parameters
    ----------
    errors
        Bound per output, shape ``(outputs,)``.
    zone
        Differences up to this size that a link function may round away.
    """
    if len(errors) == 1:
        return float(errors[0]) + zone
    worst = np.sort(errors)[-2:]
    return float(worst.sum()) + zone


def _quantum(values: npt.NDArray[np.float64]) -> float:
    """Return the largest power of two that divides all values; infinity if all are zero."""
    nonzero = values[values != 0.0]
    if not nonzero.size:
        return float("inf")
    mantissa, exponent = np.frexp(nonzero)
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64))
    return float(2.0 ** float((exponent - 53 + trailing).min()))
