"""Leaves at which nothing is left to branch on: a linear program decides them.

When every neuron of a ReLU network has its sign fixed, by bounds or by splits, the scores
are affine on the leaf and the splits are linear constraints.  The optimum of the program
is the exact bound; its dual multipliers, put into a backward pass, give that bound with a
rounding error under control, so the solver is never trusted.  Without this step a
branch-and-bound verifier can end in "unknown" with no branch left to try.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
import torch
from torch import Tensor

from ..graph import Array
from .backward import backward, enclosures
from .node_bounds import NodeBounds
from .nodes import Nodes

__all__ = ["LeafOptimum", "decide_leaf", "refine_leaf", "solve_leaf"]


@dataclass(frozen=True, eq=False)
class LeafOptimum:
    """Result of the linear program.

    Parameters
    ----------
    feasible
        False if the splits exclude each other.
    value
        Smallest margin.
    point
        Deviation where it is reached, shape ``(columns,)``.
    multipliers
        Of the constraints, not negative, shape ``(constraints,)``.
    weights
        Of the margin's rows, adding up to one, shape ``(rows,)``.
    """

    feasible: bool
    value: float
    point: Array
    multipliers: Array
    weights: Array


def solve_leaf(
    margins: Array,
    offsets: Array,
    constraints: Array,
    bounds: Array,
    lower: Array,
    upper: Array,
) -> LeafOptimum | None:
    """Minimise ``max(margins @ d + offsets)`` subject to ``constraints @ d >= bounds``.

    Parameters
    ----------
    margins, offsets
        Shapes ``(rows, columns)`` and ``(rows,)``.
    constraints, bounds
        Shapes ``(constraints, columns)`` and ``(constraints,)``.
    lower, upper
        Box of d, shape ``(columns,)`` each.

    Returns
    -------
    LeafOptimum or None
        `None` if the solver gave up.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> best = solve_leaf(one, np.zeros(1), one, np.array([-0.5]), -np.ones(1), np.ones(1))
    >>> round(best.value, 9), best.multipliers.tolist()
    (-0.5, [1.0])
    """
    n, k, m = len(lower), len(offsets), len(bounds)
    matrix = np.zeros((k + m, n + 1))
    matrix[:k, :n], matrix[:k, n] = -margins, 1.0
    matrix[k:, :n] = constraints
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = n + 1, k + m
    cost = np.zeros(n + 1)
    cost[n] = 1.0
    infinity = highspy.kHighsInf
    program.col_cost_ = cost
    program.col_lower_ = np.append(lower, -infinity)
    program.col_upper_ = np.append(upper, infinity)
    program.row_lower_ = np.concatenate([offsets, bounds])
    program.row_upper_ = np.full(k + m, infinity)
    rows, columns = np.nonzero(matrix)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    counts = np.bincount(rows, minlength=k + m)
    program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    program.a_matrix_.index_ = columns.astype(np.int32)
    program.a_matrix_.value_ = matrix[rows, columns]
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    solver.run()
    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        return LeafOptimum(False, np.inf, np.zeros(0), np.zeros(m), np.full(k, 1.0 / k))
    if status != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    duals = np.clip(np.array(solution.row_dual), 0.0, None)
    weights = duals[:k]
    total = weights.sum()
    weights = weights / total if total > 0 else np.full(k, 1.0 / k)
    point = np.clip(np.array(solution.col_value)[:n], lower, upper)
    value = float(solver.getInfo().objective_function_value)
    return LeafOptimum(True, value, point, duals[k:], weights)


def decide_leaf(bounds: NodeBounds, leaf: Nodes, statement: int) -> tuple[float, Tensor | None]:
    """Bound one statement on a leaf of a ReLU network exactly, up to rounding.

    Parameters
    ----------
    bounds
        What the nodes have in common.
    leaf
        One node without loose neurons.
    statement
        Whose set is a box.

    Returns
    -------
    value
        Rigorous lower bound; minus infinity if the program could not be solved.
    point
        Deviation where the margin is smallest, a candidate for a counterexample; `None`
        if no point of the set reaches this leaf.
    """
    refined, point = refine_leaf(bounds, leaf, statement)
    if refined is None:
        return -np.inf, None
    return float(bounds.values(refined)[0, statement]), point


def refine_leaf(
    bounds: NodeBounds, leaf: Nodes, statement: int
) -> tuple[Nodes | None, Tensor | None]:
    """Return a leaf with the multipliers and weights that a linear program finds best.

    Parameters and the second result are those of `decide_leaf`; the first is `None` if the
    program could not be solved.
    """
    box = bounds.goal.box(statement)
    if box is None or not bounds.network.is_piecewise_linear:
        return None, None
    lower, upper = (side.cpu().numpy() for side in box)
    margins, offsets, constraints, limits, where = _rows_of(bounds, leaf)
    best = solve_leaf(margins, offsets, constraints, limits, lower, upper)
    if best is None:
        return None, None
    duals, point = best.multipliers, None
    weights = torch.zeros_like(leaf.weights)
    weights[0, : len(offsets)] = torch.as_tensor(best.weights, dtype=weights.dtype)
    if best.feasible:
        point = torch.as_tensor(best.point, dtype=weights.dtype, device=weights.device)
    else:
        # The splits exclude each other: scale that contradiction until it outweighs the margin.
        clash = solve_leaf(-constraints, limits, margins[:0], limits[:0], lower, upper)
        if clash is None or clash.value <= 0:
            return None, None
        row = best.weights @ margins
        worst = float(np.minimum(row * lower, row * upper).sum() + best.weights @ offsets)
        duals = clash.weights * ((abs(worst) + 1.0) / clash.value)
    multiplier = torch.zeros_like(leaf.multiplier)
    multiplier[0, where] = torch.as_tensor(duals, dtype=multiplier.dtype, device=weights.device)
    return replace(leaf, multiplier=multiplier, weights=weights), point


def _rows_of(bounds: NodeBounds, leaf: Nodes) -> tuple[Array, Array, Array, Array, Tensor]:
    """Return the margins and the splits of a leaf as linear functions of the deviation."""
    network, layout, target = bounds.network, bounds.layout, bounds.target
    case = int(leaf.case[0])
    count = int(target.valid[case].sum())
    with torch.no_grad():
        lines = enclosures(network, layout.bounds(leaf.lower, leaf.upper))
        start = {bounds.output: target.rows[case][None, :count]}
        form = backward(network, start, lines)
        margins = form.coefficients[0]
        offsets = form.constant[0] + target.offset[case, :count]
        rows, limits, where = [], [], []
        for anchor, cut in layout.anchors.items():
            sign, point = leaf.sign[0, cut], leaf.point[0, cut]
            used = (sign != 0).nonzero().ravel()
            if not len(used):
                continue
            unit = torch.zeros((1, len(used), len(sign)), dtype=sign.dtype, device=sign.device)
            unit[0, torch.arange(len(used)), used] = sign[used]
            form = backward(network, {anchor: unit}, lines)
            rows.append(form.coefficients[0])
            limits.append(sign[used] * point[used] - form.constant[0])
            where.append(used + cut.start)
    n = margins.shape[1]
    constraints = torch.cat(rows).cpu().numpy() if rows else np.zeros((0, n))
    bound = torch.cat(limits).cpu().numpy() if limits else np.zeros(0)
    place = torch.cat(where) if where else torch.zeros(0, dtype=torch.long)
    return margins.cpu().numpy(), offsets.cpu().numpy(), constraints, bound, place
