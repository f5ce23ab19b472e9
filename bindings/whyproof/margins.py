"""The lead that an abductive explanation guarantees, where an oracle can bound it.

Proofs stop as soon as the decision is safe; how safe it is takes a search of its own,
limited in steps.
"""

from __future__ import annotations

import inspect
from dataclasses import replace

from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.explanation import Explanation

__all__ = ["with_margin"]


def with_margin(
    explanation: Explanation,
    oracle: object,
    *,
    meter: Meter | None = None,
    steps: int | None = None,
) -> Explanation:
    """Return an AXp with its guaranteed margin; anything else as it is.

    Parameters
    ----------
    explanation
        Of the problem that the oracle decides.
    oracle
        Asked if it has a method `guaranteed_margin`.
    meter
        Budget of the run; when it has run out, the margin known before stays.
    steps
        Search steps, for oracles that count them; by default their own number.
    """
    evidence, find = explanation.evidence, getattr(oracle, "guaranteed_margin", None)
    if not isinstance(evidence, Entailed) or not callable(find):
        return explanation
    free = explanation.problem.universe - explanation.members
    running = meter or Budget().start()
    limited = steps is not None and "steps" in inspect.signature(find).parameters
    margin = find(free, running, steps) if limited else find(free, running)
    if not isinstance(margin, float | int):
        return explanation
    return replace(explanation, evidence=replace(evidence, margin=float(margin)))
