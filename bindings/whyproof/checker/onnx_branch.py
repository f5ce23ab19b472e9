"""Comparisons of ONNX trees as tests of the checker's models."""

from __future__ import annotations

import math

from .model import Branch, Precision, Test, next_above, round_to
from .refusal import Refused

__all__ = ["branch"]


def branch(
    mode: str, column: int, split: float, tracks: bool, yes: int, no: int, precision: Precision
) -> Branch:
    """Turn any comparison into "below", for values on the grid of the input type."""
    if mode in ("EQ", "NEQ"):
        if split != int(split):
            raise Refused("the model tests for equality with a number that is not whole")
        if mode == "EQ":
            return Branch(Test(column, codes=frozenset({int(split)}), missing=tracks), yes, no)
        # The missing value differs from everything.
        return Branch(Test(column, codes=frozenset({int(split)})), no, yes)
    if math.isinf(split):
        raise Refused("the checker does not read tests against infinity")
    if mode in ("LEQ", "GT"):
        below = next_above(split, precision)
    elif mode in ("LT", "GTE"):
        nearest = round_to(split, precision)
        below = next_above(split, precision) if nearest < split else nearest
    else:
        raise Refused(f"the checker does not read tree nodes of mode {mode}")
    if mode in ("LEQ", "LT"):
        return Branch(Test(column, below, missing=tracks), yes, no)
    return Branch(Test(column, below, missing=not tracks), no, yes)
