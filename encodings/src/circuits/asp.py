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

from whyproof.encodings.answer_sets import answer_set
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.refined import Excluded
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .constraints import CircuitConstraints, circuit_constraints

__all__ = ["CircuitAspOracle", "circuit_program"]


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
        self._excluded = 0

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "circuit answer sets"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self.constraints.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        made = self.constraints
        clause = excluded.clause(made.orders, made.selectors)
        body = [f"not on({v})" if v > 0 else f"on({-v})" for v in clause] or ["#true"]
        self._excluded += 1
        part = f"excluded{self._excluded}"
        self._control.add(part, [], f":- {', '.join(body)}.")
        self._control.ground([(part, [])])

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        made = self.constraints
        assumptions = [
            (clingo.Function("on", [clingo.Number(variable)]), True)
            for feature, variable in made.selectors.items()
            if feature not in free
        ]
        found = answer_set(self._control, assumptions, meter)
        if isinstance(found, Unknown):
            return found
        if found is None:
            return Entailed(self.problem.universe - free)
        true = {atom.arguments[0].number for atom in found if atom.name == "on"}
        point = made.point(true, free)
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, math.nan)
