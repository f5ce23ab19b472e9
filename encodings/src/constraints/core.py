"""Which constraints an abductive explanation rests on: an irreducible set.

Deletion over constraints, as over features: a constraint that can be dropped while the
explanation still forces the decision is not needed.  First without any: most explanations
need none.  This is the second question of Yu, Ignatiev, Stuckey, Narodytska, Marques-Silva
(Eliminating the Impossible, Whatever Remains Must Be True, AAAI 2023), asked for any family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Constraint

__all__ = ["with_constraint_core"]


def with_constraint_core(
    explanation: Explanation, oracle_of: Callable[[ExplanationProblem], Oracle], meter: Meter
) -> Explanation:
    """Return an AXp whose evidence names the constraints that it needs; others as they are.

    Parameters
    ----------
    explanation
        Of a problem with constraints.
    oracle_of
        Makes the oracle of the problem with fewer constraints.
    meter
        Budget of the run; when it ends, constraints not tried yet are kept.
    """
    problem, evidence = explanation.problem, explanation.evidence
    if explanation.kind is not Kind.AXP or not isinstance(evidence, Entailed):
        return explanation
    if not problem.space.constraints or meter.exhausted() is not None:
        return explanation
    free = problem.universe - explanation.members

    def entailed(kept: Sequence[Constraint]) -> Entailed | None:
        less = replace(problem, space=replace(problem.space, constraints=tuple(kept)))
        (answer,) = oracle_of(less).decide([free], meter)
        return answer if isinstance(answer, Entailed) else None

    if entailed(()) is not None:
        return replace(explanation, evidence=replace(evidence, constraints=()))
    kept = list(problem.space.constraints)
    whole = entailed(kept)
    if whole is not None and whole.constraints:
        named = [c for c in kept if c.name in whole.constraints]
        kept = named if entailed(named) is not None else kept
    for constraint in list(kept):
        rest = [other for other in kept if other is not constraint]
        if rest and meter.exhausted() is None and entailed(rest) is not None:
            kept = rest
    names = tuple(constraint.name for constraint in kept)
    return replace(explanation, evidence=replace(evidence, constraints=names))
