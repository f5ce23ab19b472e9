"""Spaces with constraints, and the fewest constraints that contradict each other.

A smallest contradicting set is a smallest hitting set of what has to be given up: of the
complements of consistent sets (Ignatiev, Previti, Liffiton, Marques-Silva, Smallest MUS
Extraction with Minimal Hitting Set Dualization, CP 2015), on the engine's hitting-set solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError
from whyproof.engine.hitting.sat import SatHittingSets
from whyproof.engine.hitting.solver import HittingSetProblem
from whyproof.engine.space import Constraint as AnyConstraint
from whyproof.engine.space import FeatureSpace

from .background import Background, Clash
from .constraint import Constraint

__all__ = ["constrained", "contradiction"]


def constrained(space: FeatureSpace, constraints: Iterable[AnyConstraint]) -> FeatureSpace:
    """Return a space with further constraints.

    Parameters
    ----------
    space
        Where they were made.
    constraints
        What every admissible point satisfies.

    Raises
    ------
    DataError
        If no point satisfies all of them; the message names the fewest that contradict each
        other, and where they were read.

    Examples
    --------
    >>> from .constraint import linear
    >>> space = FeatureSpace.of(["paid", "due"])
    >>> rules = [linear(space, {"paid": 1, "due": -1}, "<", 0, name="early"),
    ...          linear(space, {"paid": 1}, "<=", 9),
    ...          linear(space, {"paid": 1, "due": -1}, ">", 1, name="late")]
    >>> constrained(space, rules)
    Traceback (most recent call last):
      ...
    whyproof.engine.errors.DataError: no row satisfies 'early' and 'late' together; mend one of them
    """
    found = replace(space, constraints=(*space.constraints, *constraints))
    known = [c for c in found.constraints if isinstance(c, Constraint) and not c.is_transition]
    clash = contradiction(found, known)
    if clash is not None:
        named = [str(constraint) for constraint in clash]
        if len(named) == 1:
            raise DataError(f"no row of the space satisfies the constraint {named[0]}; mend it")
        together = f"{', '.join(named[:-1])} and {named[-1]} together"
        raise DataError(f"no row satisfies {together}; mend one of them")
    return found


def contradiction(
    space: FeatureSpace, constraints: Sequence[Constraint]
) -> tuple[Constraint, ...] | None:
    """Return the fewest constraints that no point of a space satisfies together, if there are.

    Parameters
    ----------
    space
        Whose domains count.
    constraints
        None about changes.
    """
    if not constraints:
        return None
    background = Background([column.domain for column in space.columns], constraints)
    near, meter = np.zeros(space.n_columns), Meter()
    everything = frozenset(range(len(constraints)))

    def clash(kept: frozenset[int]) -> frozenset[int] | None:
        answer = background.solve({}, near, meter, without=everything - kept)
        return answer.constraints if isinstance(answer, Clash) else None

    found = clash(everything)
    if found is None or len(found) < 2:
        return None if found is None else tuple(constraints[i] for i in sorted(found))
    with SatHittingSets(HittingSetProblem(everything)) as solver:
        while True:
            least = solver.smallest(meter)
            if least is None or least.members is None:
                return tuple(constraints[i] for i in sorted(found))
            if clash(least.members) is not None:
                return tuple(constraints[i] for i in sorted(least.members))
            # What else can be kept besides this candidate: the rest has to be hit.
            kept = least.members
            for i in sorted(everything - kept):
                if clash(kept | {i}) is None:
                    kept = kept | {i}
            solver.add(everything - kept)
