"""Calls of clingo that end when the budget does, and that Ctrl-C can end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import clingo

from whyproof.engine.answers import Unknown
from whyproof.engine.budget import Meter

__all__ = ["answer_set"]

_Control: TypeAlias = Any

_SLICE = 0.05
"""Seconds between two looks at the budget."""


def answer_set(
    control: _Control, assumptions: Sequence[tuple[clingo.Symbol, bool]], meter: Meter
) -> list[clingo.Symbol] | Unknown | None:
    """Return the atoms of an answer set, `None` if there is none, `Unknown` if time ran out.

    Parameters
    ----------
    control
        Grounded.
    assumptions
        Atoms with the truth that they shall have.
    meter
        Budget of the run.

    Examples
    --------
    >>> control = clingo.Control()
    >>> control.add("base", [], "{ a; b }. :- a, not b.")
    >>> control.ground([("base", [])])
    >>> sorted(map(str, answer_set(control, [(clingo.Function("a"), True)], Meter())))
    ['a', 'b']
    """
    reason = meter.exhausted()
    if reason is not None:
        return Unknown(reason)
    with control.solve(assumptions=assumptions, yield_=True, async_=True) as handle:
        while not handle.wait(min(_SLICE, max(meter.remaining, 0.0))):
            reason = meter.exhausted()
            if reason is not None:
                handle.cancel()
                return Unknown(reason)
        model = handle.model()
        return None if model is None else list(model.symbols(atoms=True))
