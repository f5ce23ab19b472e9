"""Trees from a library's flat arrays: checked, pruned of dead nodes, in one canonical order.

Importers translate their comparison into ``cast(x) < boundary`` with the helpers here;
`build_tree` refuses what is not a tree and renumbers nodes level by level, so that the
same model has the same arrays, and the same fingerprint, whatever file it came from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import InputType, Tree
from whyproof.engine.errors import ModelError

__all__ = ["boundaries_below", "boundaries_up_to", "build_tree"]


def boundaries_up_to(
    thresholds: npt.NDArray[np.float64], input_type: InputType
) -> npt.NDArray[np.float64]:
    """Return boundaries such that ``x < boundary`` means ``x <= threshold``.

    Parameters
    ----------
    thresholds
        Any float64 numbers but NaN.
    input_type
        Grid on which ``x`` lies.

    Returns
    -------
    Numbers of the input type.  For an infinite threshold, which every present value
    passes, infinity: `build_tree` knows what that means if told so.

    Examples
    --------
    >>> boundaries_up_to(np.array([0.1]), "float64")[0] == np.nextafter(0.1, 1)
    np.True_
    >>> boundaries_up_to(np.array([0.1]), "float32")[0] == np.float32(0.1)
    np.True_
    """
    if input_type == "float64":
        with np.errstate(over="ignore"):
            return np.nextafter(thresholds, np.inf)
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        above = np.where(nearest > thresholds, nearest, np.nextafter(nearest, np.float32(np.inf)))
    return above.astype(np.float64)


def boundaries_below(
    thresholds: npt.NDArray[np.float64], input_type: InputType
) -> npt.NDArray[np.float64]:
    """Return boundaries on the input grid such that ``x < boundary`` means ``x < threshold``."""
    if input_type == "float64":
        return thresholds
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        above = np.where(nearest < thresholds, np.nextafter(nearest, np.float32(np.inf)), nearest)
    return above.astype(np.float64)


def build_tree(
    number: int,
    column: npt.NDArray[np.int64],
    boundary: npt.NDArray[np.float64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    missing_left: npt.NDArray[np.bool_],
    values: npt.NDArray[np.float64],
    *,
    categories: Mapping[int, frozenset[int]] | None = None,
    zero_missing: npt.NDArray[np.bool_] | None = None,
    always: npt.NDArray[np.bool_] | None = None,
) -> Tree:
    """Check and renumber one tree; node 0 is the root, a leaf has column -1.

    Parameters
    ----------
    number
        Position in the model, for messages.
    column, boundary, left, right, missing_left, values
        As in `Tree`, in any node order, with unreachable nodes allowed.
    categories, zero_missing
        As in `Tree`.
    always
        Splits that every present value passes to the left, infinity included: a test for
        the missing value alone.  Their children are swapped, with a boundary of minus
        infinity that no value is below.

    Raises
    ------
    ModelError
        For a child that does not exist, a node with two parents, or a number that is
        not finite.
    """
    n = len(column)
    if n == 0:
        raise ModelError(f"tree {number} has no nodes")
    if always is not None and bool(always.any()):
        left, right = np.where(always, right, left), np.where(always, left, right)
        boundary = np.where(always, -np.inf, boundary)
        missing_left = np.where(always, ~missing_left, missing_left)
    order = _reachable(number, column, left, right)
    position = np.zeros(n, dtype=np.int64)
    position[order] = np.arange(len(order))
    leaf = column[order] < 0
    categorical = np.zeros(n, dtype=np.bool_)
    if any(not 0 <= node < n for node in categories or ()):
        raise ModelError(f"tree {number} lists categories of a node that does not exist")
    kept = {int(node): codes for node, codes in (categories or {}).items() if column[node] >= 0}
    categorical[list(kept)] = True
    numeric = ~leaf & ~categorical[order]
    if bool(np.isnan(boundary[order][numeric]).any()):
        raise ModelError(f"tree {number} splits at a threshold that is not a number")
    leaves = np.where(leaf[:, None], values[order], 0.0)
    if not bool(np.isfinite(leaves).all()):
        raise ModelError(f"tree {number} has a leaf value that is not finite")
    reached = set(order.tolist())
    zero = None
    if zero_missing is not None and bool((zero_missing[order] & numeric).any()):
        zero = zero_missing[order] & numeric
    return Tree(
        column=np.where(leaf, -1, column[order]).astype(np.int32),
        boundary=np.where(numeric, boundary[order], np.nan),
        left=np.where(leaf, -1, position[np.where(leaf, 0, left[order])]).astype(np.int32),
        right=np.where(leaf, -1, position[np.where(leaf, 0, right[order])]).astype(np.int32),
        missing_left=missing_left[order] & ~leaf,
        values=leaves,
        categories={int(position[k]): codes for k, codes in kept.items() if k in reached},
        zero_missing=zero,
    )


def _reachable(
    number: int,
    column: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    n = len(column)
    seen = np.zeros(n, dtype=np.bool_)
    seen[0] = True
    level = np.zeros(1, dtype=np.int64)
    levels = [level]
    while True:
        inner = level[column[level] >= 0]
        if not inner.size:
            return np.concatenate(levels)
        level = np.stack([left[inner], right[inner]], axis=1).ravel()
        if bool(((level <= 0) | (level >= n)).any()):
            raise ModelError(f"tree {number} refers to a node that does not exist")
        seen[level] = True
        levels.append(level)
        if int(seen.sum()) != sum(len(nodes) for nodes in levels):
            raise ModelError(f"tree {number} reaches a node on two ways; it is not a tree")
