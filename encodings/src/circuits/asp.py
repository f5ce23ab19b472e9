"""Circuits as answer-set programs: facts for gates, `circuit.lp` for their meaning.

The program guesses which features are free and where they go; its answer sets are the points
that change the decision.  Subset-minimal free sets (domain heuristic of clasp) are the
contrastive explanations, and the oracle fixes features by assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import clingo

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .constraints import CircuitConstraints, circuit_constraints

__all__ = ["CircuitAspOracle", "circuit_program"]

_SLICE = 0.05
"""Seconds between two looks at the budget."""


def circuit_program(made: CircuitConstraints) -> str:
    """Return facts and program as text that clingo reads, with a key to the variables."""
    lines = [f"% {i} = {name}" for i, name in enumerate(made.names, start=1)]
    lines.append(f"variable(1..{made.n_variables}).")
    lines += [f"fixes({variable},{f})." for f, variable in made.selectors.items()]
    for k, clause in enumerate(made.clauses):
        lines.append(f"clause({k}).")
        lines += [f"literal({k},{abs(v)},{'true' if v > 0 else 'false'})." for v in clause]
    for row in made.rows:
        weights = row.gate.weights or (1,) * len(row.gate.literals)
        lines.append(f"gate({row.output},{row.gate.bound}).")
        lines += [
            # Numbered, because two tests may be one variable: both count.
            f"input({row.output},{i},{abs(v)},{'true' if v > 0 else 'false'},{w})."
            for i, (v, w) in enumerate(zip(row.gate.literals, weights, strict=True))
        ]
    program = (Path(__file__).parent / "circuit.lp").read_text(encoding="utf-8")
    return "\n".join([*lines, "", program])


class CircuitAspOracle:
    """Decides free sets by clingo; slower than SAT, and independent of its cardinalities.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    boxes
        From `circuit_cells`, to share between instances; made here if not given.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        self.problem = problem
        self.constraints = circuit_constraints(problem, boxes)
        self._control = clingo.Control(["--warn=none"])
        self._control.add("base", [], circuit_program(self.constraints))
        self._control.ground([("base", [])])

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "circuit answer sets"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        reason = meter.exhausted()
        if reason is not None:
            return Unknown(reason)
        made = self.constraints
        assumptions = [
            (clingo.Function("on", [clingo.Number(variable)]), True)
            for feature, variable in made.selectors.items()
            if feature not in free
        ]
        with self._control.solve(assumptions=assumptions, yield_=True, async_=True) as handle:
            while not handle.wait(min(_SLICE, max(meter.remaining, 0.0))):
                reason = meter.exhausted()
                if reason is not None:
                    handle.cancel()
                    return Unknown(reason)
            model = handle.model()
            if model is None:
                return Entailed(self.problem.universe - free)
            true = {
                atom.arguments[0].number for atom in model.symbols(atoms=True) if atom.name == "on"
            }
        point = made.point(true, free)
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, math.nan)
