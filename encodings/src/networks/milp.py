"""A second, independent oracle: mixed-integer programs with tight bounds (HiGHS).

Tjeng, Xiao and Tedrake 2019: a ReLU between ``l < 0 < u`` is ``y >= z``, ``y <= z - l (1 - p)``,
``y <= u p``, ``y >= 0`` with a binary p; stable neurons need nothing.  Bounds come from the
linear relaxations, so only unstable neurons cost a binary.  One program per case that the
bounds leave open asks for a point with margin at most `precision`: infeasible is "cannot
change", a point is replayed.

It serves lone small questions and re-decides samples of what branch and bound proved; the
two share the bounds but not the search.  A solver works with tolerances: its "infeasible" is
evidence of this oracle's kind, without a certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import torch
from torch import Tensor

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from ..gurobi import checked_solver, solve_with_gurobi
from .bounds.hidden import hidden_ranges
from .bounds.interval import Ranges
from .bounds.sets import Box
from .bounds.slopes import Ascent
from .graph import Array
from .neighbourhood import Neighbourhood, Play

_TOLERANCE = 1e-5
"""Gurobi's tolerances: a bound this close to the margin proves nothing."""

__all__ = ["MilpOracle", "NetworkProgram", "confirm_answer"]


@dataclass
class _Expression:
    """``matrix @ variables + constant``, one row per entry of a vector."""

    matrix: Array
    constant: Array


class MilpOracle:
    """Decides free sets of a ReLU network in boxes by mixed-integer programming.

    Parameters
    ----------
    problem
        About a network whose activations are piecewise linear.
    seconds
        Wall-clock limit per program.
    precision
        Margin below which the decision counts as changed in the program.
    place
        Prepared problem to share.
    solver
        ``highs``, or ``gurobi``; a program that Gurobi's licence does not allow goes to
        HiGHS after a warning.

    Raises
    ------
    UnsupportedError
        If an activation is not piecewise linear.
    MissingExtraError
        If Gurobi is asked for and not installed.
    """

    name = "milp"

    def __init__(
        self,
        problem: ExplanationProblem,
        *,
        seconds: float = 60.0,
        precision: float = 1e-6,
        place: Neighbourhood | None = None,
        solver: str = "highs",
    ) -> None:
        self.solver = checked_solver(solver)
        self.problem = problem
        self.seconds = seconds
        self.precision = precision
        self.place = place if place is not None else Neighbourhood(problem)
        if not self.place.network.is_piecewise_linear:
            raise UnsupportedError("mixed-integer programs need piecewise linear activations")

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        answers: list[Answer] = []
        for free in free_sets:
            reason = meter.exhausted()
            answers.append(self._decide(free, meter) if reason is None else Unknown(reason))
        return answers

    def extend(self, program: NetworkProgram, play: Play) -> None:
        """Add rows of one's own to a program before it is solved; here none."""

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        place = self.place
        mask = place.mask([free])
        play = place.play(mask[0])
        core = self.problem.universe - free
        if not len(play.columns):
            (found,) = place.replay(self.problem.instance[None].copy())
            return Entailed(core) if found is None else found
        inputs = place.box(play, mask)
        if not isinstance(inputs, Box):
            raise UnsupportedError("mixed-integer programs are written for boxes only")
        ranges = hidden_ranges(play.network, inputs, ascent=Ascent(steps=8))
        program = NetworkProgram(play, inputs, ranges)
        self.extend(program, play)
        unsolved = False
        for case in place.target.cases:
            limit = min(self.seconds, meter.remaining)
            feasible, point = program.solve(
                case.rows, case.offset, self.precision, limit, self.solver
            )
            if feasible is None:
                unsolved = True
            if point is not None:
                (found,) = place.replay(place.points(play, torch.tensor(point)[None]))
                if found is not None:
                    return found
            unsolved = unsolved or bool(feasible)
        if unsolved:
            return Unknown(UnknownReason.TIME, "the program was not decided")
        return Entailed(core, margin=self.precision)


class NetworkProgram:
    """The network as linear rows over deviations, neurons and binaries."""

    def __init__(self, play: Play, inputs: Box, ranges: Ranges) -> None:
        self.n = len(play.columns)
        self.lower = inputs.lower[0].tolist()
        self.upper = inputs.upper[0].tolist()
        self.integer = [False] * self.n
        self.rows: list[tuple[Array, float, float]] = []
        network = play.network
        unstable = sum(
            int(((ranges.lower[a][0] < 0) & (ranges.upper[a][0] > 0)).sum())
            for a in network.entering.values()
        )
        self.width = self.n + 2 * unstable
        values: list[_Expression] = [_Expression(np.eye(self.n, self.width), np.zeros(self.n))]
        for step in network.steps[1:]:
            sources = [values[i] for i in step.inputs]
            if step.linear is not None:
                columns = step.linear.linear(*(_tensor(s.matrix.T) for s in sources))
                constant = step.linear.forward(*(_tensor(s.constant[None]) for s in sources))
                matrix = np.ascontiguousarray(columns.numpy().T)
                values.append(_Expression(matrix, constant.numpy()[0]))
            else:
                at = step.inputs[0]
                values.append(self._relu(sources[0], ranges.lower[at][0], ranges.upper[at][0]))
        self.scores = values[-1]

    def _relu(self, source: _Expression, lower: Tensor, upper: Tensor) -> _Expression:
        matrix, constant = source.matrix.copy(), source.constant.copy()
        for j, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
            if low >= 0:
                continue
            if high <= 0:
                matrix[j], constant[j] = 0.0, 0.0
                continue
            y = len(self.lower)
            self.lower += [0.0, 0.0]
            self.upper += [high, 1.0]
            self.integer += [False, True]
            row, shift = source.matrix[j], float(source.constant[j])
            above = -row
            above[y] += 1.0
            self.rows.append((above, shift, np.inf))
            below = -row
            below[y] += 1.0
            below[y + 1] -= low
            self.rows.append((below, -np.inf, shift - low))
            cap = np.zeros(self.width)
            cap[y], cap[y + 1] = 1.0, -high
            self.rows.append((cap, -np.inf, 0.0))
            matrix[j], constant[j] = 0.0, 0.0
            matrix[j, y] = 1.0
        return _Expression(matrix, constant)

    def variable(self, lower: float, upper: float, *, integer: bool = False) -> int:
        """Add a variable and return its position."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.lower) - 1

    def row(self, terms: Mapping[int, float], lower: float, upper: float) -> None:
        """Add ``lower <= sum of factor * variable <= upper``."""
        line = np.zeros(len(self.lower))
        for variable, factor in terms.items():
            line[variable] += factor
        self.rows.append((line, lower, upper))

    def solve(
        self, rows: Array, offset: Array, margin: float, seconds: float, by: str = "highs"
    ) -> tuple[bool | None, Array | None]:
        """Look for a deviation at which every row is at most `margin`.

        Parameters
        ----------
        rows, offset
            Of a case.
        margin
            What is asked for.
        seconds
            Wall-clock limit.
        by
            ``highs`` or ``gurobi``.

        Returns
        -------
        feasible
            `None` if the time ran out.
        point
            A deviation, if one was found.
        """
        margins = rows @ self.scores.matrix
        constants = rows @ self.scores.constant + offset
        width = len(self.lower) + 1
        margins = np.pad(margins, ((0, 0), (0, width - 1 - margins.shape[1])))
        lines = [(np.pad(row, (0, width - len(row))), a, b) for row, a, b in self.rows]
        for row, constant in zip(margins, constants, strict=True):
            # margin row - t <= 0, t is minimised and at most `margin`
            lines.append((np.append(row, -1.0), -np.inf, -float(constant)))
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = width, len(lines)
        cost = np.zeros(width)
        cost[-1] = 1.0
        program.col_cost_ = cost
        program.col_lower_ = np.array([*self.lower, -highspy.kHighsInf])
        program.col_upper_ = np.array([*self.upper, margin])
        program.row_lower_ = np.array([a for _, a, _ in lines])
        program.row_upper_ = np.array([b for _, _, b in lines])
        matrix = np.stack([row for row, _, _ in lines])
        where, columns = np.nonzero(matrix)
        counts = np.bincount(where, minlength=len(lines))
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        program.a_matrix_.index_ = columns.astype(np.int32)
        program.a_matrix_.value_ = matrix[where, columns]
        kinds = highspy.HighsVarType
        program.integrality_ = [
            kinds.kInteger if i else kinds.kContinuous for i in [*self.integer, False]
        ]
        solver = highspy.Highs()
        solver.HandleKeyboardInterrupt = True
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("time_limit", float(seconds)),
            ("mip_feasibility_tolerance", 1e-7),
            ("primal_feasibility_tolerance", 1e-8),
            ("objective_target", -1e-5),
        ):
            solver.setOptionValue(option, value)
        solver.passModel(program)
        if by == "gurobi":
            answer = self._by_gurobi(solver, margin, seconds)
            if answer is not None:
                return answer
            solver.changeColBounds(width - 1, -highspy.kHighsInf, margin)
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return False, None
        solution = solver.getSolution()
        point = np.array(solution.col_value)[: self.n] if solution.value_valid else None
        finished = status in (
            highspy.HighsModelStatus.kOptimal,
            highspy.HighsModelStatus.kObjectiveTarget,
        )
        return (True if finished else None), point

    def _by_gurobi(
        self, program: highspy.Highs, margin: float, seconds: float
    ) -> tuple[bool | None, Array | None] | None:
        """Let Gurobi minimise the margin without its limit, so that its bound is a proof."""
        program.changeColBounds(program.getNumCol() - 1, -highspy.kHighsInf, highspy.kHighsInf)
        found = solve_with_gurobi(program, seconds)
        if found is None:
            return None
        if found.bound > margin + _TOLERANCE:
            return False, None
        if found.values is None or found.objective > margin:
            return None, None
        return (True if found.proved else None), found.values[: self.n]


def _tensor(values: Array) -> Tensor:
    return torch.tensor(values)


def confirm_answer(first: Answer, second: Answer) -> bool:
    """Tell whether two oracles agree, an unknown answer with everything.

    Examples
    --------
    >>> confirm_answer(Entailed(frozenset()), Unknown(UnknownReason.TIME))
    True
    """
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return True
    return isinstance(first, Counterexample) == isinstance(second, Counterexample)
