"""A second opinion on tree ensembles: the largest score as a mixed-integer program.

Order encoding: one binary per column and cell boundary, "is the cell at or beyond it",
descending along each column; one continuous variable per leaf, one leaf per tree.  For
every boundary that a tree tests, *all* leaves of that tree on one side of it stand in one
row together.  Rows of whole trees, in place of single nodes, are what makes the
relaxation tight (compare Misic, Optimization of Tree Ensembles, Operations Research
2020, which writes them per split).

The program is built once for a model and solved again for other free sets and scores by
moving bounds and costs alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.gurobi import checked_solver, solve_with_gurobi
from whyproof.engine.answers import Answer, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .boxes import Cells, LeafBoxes
from .ensemble import TreeEnsemble
from .objective import objectives
from .reach import within_region
from .refined import Excluded
from .shown import replayed

__all__ = ["Optimum", "TreeMilp", "TreeMilpOracle"]

_AddRow: TypeAlias = Callable[[Sequence[int], Sequence[float], float, float], None]

_TOLERANCE = 1e-6
"""HiGHS accepts rows violated by this much, and so must we."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """What is known about the largest value of a score.

    Parameters
    ----------
    bound
        No admissible point has more, up to the solver's tolerance.
    value
        Value of the best point found; minus infinity if none was.
    cells
        That point in cell coordinates, shape ``(columns,)``.
    proved
        Whether the solver finished.
    """

    bound: float
    value: float
    cells: Cells | None
    proved: bool


class TreeMilp:
    """The program of one ensemble over one space.

    Parameters
    ----------
    boxes
        The ensemble in cell coordinates.
    solver
        ``"highs"`` or ``"gurobi"``; where Gurobi's licence is too small a warning says so and
        HiGHS takes over.

    Raises
    ------
    InputError
        For an unknown solver.
    MissingExtraError
        If Gurobi was asked for and is not installed.
    """

    def __init__(self, boxes: LeafBoxes, solver: str = "highs") -> None:
        self.boxes = boxes
        self.solver = checked_solver(solver)
        self._first = np.concatenate([[0], np.cumsum(boxes.n_cells - 1)]).astype(np.int64)
        self._n_orders = int(self._first[-1])
        self._highs = self._build()
        self._least: dict[int, float] = {}

    def maximise(
        self,
        gains: npt.NDArray[np.float64],
        lower: Cells,
        upper: Cells,
        seconds: float = math.inf,
    ) -> Optimum:
        """Find the largest sum of leaf gains over a box of cells.

        Parameters
        ----------
        gains
            One per leaf, shape ``(leaves,)``.
        lower, upper
            Cells allowed per column, upper excluded, shape ``(columns,)`` each.
        seconds
            Time limit.
        """
        n, highs = self._n_orders, self._highs
        self._pose(gains, lower, upper)
        if self.solver == "gurobi":
            solution = solve_with_gurobi(highs, seconds)
            if solution is not None:
                found = None if solution.values is None else self._cells(solution.values)
                return Optimum(solution.bound, solution.objective, found, solution.proved)
            self.solver = "highs"
        if math.isfinite(seconds):
            highs.setOptionValue("time_limit", max(seconds, 0.01) + highs.getRunTime())
        highs.run()
        info, status = highs.getInfo(), highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Optimum(-math.inf, -math.inf, None, True)
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Optimum(float(info.mip_dual_bound), -math.inf, None, False)
        cells = self._cells(np.array(highs.getSolution().col_value))
        return Optimum(
            float(info.mip_dual_bound) if n else float(info.objective_function_value),
            float(info.objective_function_value),
            cells,
            status == highspy.HighsModelStatus.kOptimal,
        )

    def forbid(self, sides: Sequence[tuple[int, int, int]]) -> int:
        """Add a row that forbids a box, switched off; return its number.

        Parameters
        ----------
        sides
            Column, first cell and last cell + 1.
        """
        first = self._first.tolist()
        terms = [(first[c] + low - 1, -1.0) for c, low, _ in sides if low > 0]
        below = len(terms)
        terms += [
            (first[c] + high - 1, 1.0) for c, _, high in sides if high < int(self.boxes.n_cells[c])
        ]
        index = np.array([variable for variable, _ in terms], dtype=np.int32)
        factors = np.array([factor for _, factor in terms])
        self._highs.addRow(-math.inf, math.inf, len(terms), index, factors)
        number = int(self._highs.getNumRow()) - 1
        self._least[number] = 1.0 - below
        return number

    def switch(self, row: int, *, on: bool) -> None:
        """Switch a row of `forbid` on or off."""
        self._highs.changeRowBounds(row, self._least[row] if on else -math.inf, math.inf)

    def _cells(self, values: npt.NDArray[np.float64]) -> Cells:
        """Return the cells that a solution stands for, shape ``(columns,)``."""
        at = np.concatenate([[0], np.cumsum(values[: self._n_orders] > 0.5)])
        return np.asarray(np.diff(at[self._first]), dtype=np.int32)

    def write(
        self,
        path: Path,
        gains: npt.NDArray[np.float64],
        lower: Cells,
        upper: Cells,
        names: Sequence[str],
    ) -> None:
        """Write the program of `maximise` to a file for other solvers.

        Parameters
        ----------
        path
            Ends in ``.lp`` or ``.mps``.
        gains, lower, upper
            As for `maximise`.
        names
            One per variable: boundaries of all columns, then leaves.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        self._pose(gains, lower, upper)
        for variable, name in enumerate(names):
            self._highs.passColName(variable, name)
        if self._highs.writeModel(str(path)) == highspy.HighsStatus.kError:
            raise DataError(f"{path} cannot be written; end its name in .lp or .mps")

    def _pose(self, gains: npt.NDArray[np.float64], lower: Cells, upper: Cells) -> None:
        """Set bounds and costs."""
        boxes, n = self.boxes, self._n_orders
        below, above = np.zeros(n), np.ones(n)
        for column in range(len(boxes.columns)):
            at = int(self._first[column])
            below[at : at + int(lower[column])] = 1.0
            above[at + int(upper[column]) - 1 : int(self._first[column + 1])] = 0.0
        highs = self._highs
        highs.clearSolver()
        highs.changeColsBounds(n, np.arange(n, dtype=np.int32), below, above)
        leaves = np.arange(n, n + boxes.n_leaves, dtype=np.int32)
        highs.changeColsCost(boxes.n_leaves, leaves, np.asarray(gains, dtype=np.float64))

    def _build(self) -> highspy.Highs:
        boxes, n = self.boxes, self._n_orders
        highs = highspy.Highs()
        highs.HandleKeyboardInterrupt = True
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", _TOLERANCE)
        total = n + boxes.n_leaves
        highs.addVars(total, np.zeros(total), np.ones(total))
        if n:
            whole = np.full(n, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
            highs.changeColsIntegrality(n, np.arange(n, dtype=np.int32), whole)
        highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        starts: list[int] = []
        index: list[int] = []
        value: list[float] = []
        low: list[float] = []
        high: list[float] = []

        def row(
            variables: Sequence[int], factors: Sequence[float], least: float, most: float
        ) -> None:
            starts.append(len(index))
            index.extend(variables)
            value.extend(factors)
            low.append(least)
            high.append(most)

        for column in range(len(boxes.columns)):
            for at in range(int(self._first[column]), int(self._first[column + 1]) - 1):
                row((at, at + 1), (1.0, -1.0), 0.0, math.inf)
        for number in range(len(boxes.trees)):
            self._tree_rows(number, row)
        highs.addRows(
            len(starts),
            np.array(low),
            np.array(high),
            len(index),
            np.array(starts, dtype=np.int32),
            np.array(index, dtype=np.int32),
            np.array(value),
        )
        return highs

    def _tree_rows(self, number: int, row: _AddRow) -> None:
        boxes, n = self.boxes, self._n_orders
        leaves = np.flatnonzero(boxes.tree == number)
        variables = (n + leaves).tolist()
        row(variables, [1.0] * len(variables), 1.0, 1.0)
        tree = boxes.trees[number]
        tests = {(c, k) for c, k in zip(tree.column, tree.threshold, strict=True) if c >= 0}
        for column, threshold in sorted(tests):
            order = int(self._first[column]) + threshold - 1
            left = leaves[boxes.upper[leaves, column] <= threshold]
            right = leaves[boxes.lower[leaves, column] >= threshold]
            row([*(n + left).tolist(), order], [1.0] * (len(left) + 1), -math.inf, 1.0)
            row([*(n + right).tolist(), order], [1.0] * len(right) + [-1.0], -math.inf, 0.0)


class TreeMilpOracle:
    """Decides free sets by mixed-integer programming; slower, and independent of the search.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    milp
        The program, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For questions that need several scores at once, and regions that are not boxes.
    """

    def __init__(self, problem: ExplanationProblem, milp: TreeMilp | None = None) -> None:
        ensemble = problem.classifier.structure
        if not isinstance(ensemble, TreeEnsemble):
            raise UnsupportedError("the tree program needs a model that is a tree ensemble")
        if not problem.region.is_box:
            raise UnsupportedError("the tree program knows boxes and linf balls only")
        self.problem = problem
        milp = milp or TreeMilp(LeafBoxes.of(ensemble, problem.space))
        narrow = within_region(milp.boxes, problem)
        same = narrow.boxes is milp.boxes
        self.milp = milp if same else TreeMilp(narrow.boxes, milp.solver)
        boxes, self._cells = narrow.boxes, narrow.cells
        self._lower, self._upper = narrow.lower, narrow.upper
        self._excluded: list[tuple[int, Excluded]] = []
        self._goals: list[tuple[npt.NDArray[np.float64], float, float]] = []
        for objective in objectives(ensemble, problem.question, problem.prediction):
            if objective.against:
                raise UnsupportedError("the tree program knows one rival at a time")
            weights = np.array(objective.weights)
            constant = ensemble.divisor * (float(weights @ ensemble.base) + objective.constant)
            slack = ensemble.divisor * (ensemble.slack + objective.slack) + _TOLERANCE
            self._goals.append((boxes.values @ weights, constant, slack))

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "tree program"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self.milp.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed.

        The program itself is changed: it must not be shared with other instances.
        """
        self._excluded.append((self.milp.forbid(excluded.sides), excluded))

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set; what lies within tolerance and slack stays `Unknown`."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        boxes, features = self.milp.boxes, self.problem.space.features
        lower, upper = self._cells.copy(), self._cells + 1
        columns = [c for feature in free for c in features[feature].columns]
        lower[columns], upper[columns] = self._lower[columns], self._upper[columns]
        for row, excluded in self._excluded:
            self.milp.switch(row, on=not excluded.fixed & free)
        open_reason: UnknownReason | None = None
        for gains, constant, slack in self._goals:
            reason = meter.exhausted()
            if reason is not None:
                return Unknown(reason)
            optimum = self.milp.maximise(gains, lower, upper, meter.remaining)
            if optimum.cells is not None and optimum.value + constant >= -slack:
                found = replayed(self.problem, boxes, self._cells, optimum.cells, free)
                if found is not None:
                    return found
            if optimum.bound + constant >= -slack:
                open_reason = UnknownReason.PRECISION if optimum.proved else UnknownReason.TIME
        if open_reason is not None:
            return Unknown(open_reason)
        return Entailed(self.problem.universe - free)
