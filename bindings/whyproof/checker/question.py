"""What counts as a change of the decision, as comparisons of sums of integers.

The decision changes when all differences of one `Rival` are beyond zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .document import fields
from .model import TreeModel
from .refusal import Refused

__all__ = ["Difference", "Rival", "outcome", "rivals"]

_FIELDS = {"other": (), "reach": ("class",), "keep": ("floor",), "leave": ("lower", "upper")}


@dataclass(frozen=True, slots=True)
class Difference:
    """``sum of weights * sums + constant``, compared with zero.

    Parameters
    ----------
    weights
        Factor of each output, -1, 0 or 1.
    constant
        In units of the sums.
    ties
        Whether zero itself is beyond.
    """

    weights: tuple[int, ...]
    constant: Fraction
    ties: bool

    def at(self, sums: Sequence[int]) -> Fraction:
        """Return the difference for given sums."""
        return self.constant + sum(w * s for w, s in zip(self.weights, sums, strict=True))


@dataclass(frozen=True, slots=True)
class Rival:
    """One way to change the decision: all differences beyond zero."""

    differences: tuple[Difference, ...]

    def surely(self, sums: Sequence[int], slack: Fraction) -> bool:
        """Tell whether these sums change the decision, whatever rounding does."""
        return all(
            value > slack or (not slack and d.ties and value == 0)
            for d in self.differences
            for value in (d.at(sums),)
        )

    def surely_not(self, sums: Sequence[int], slack: Fraction) -> bool:
        """Tell whether these sums do not change the decision, whatever rounding does."""
        if not slack:
            return not self.surely(sums, slack)
        return any(d.at(sums) < -slack for d in self.differences)


def outcome(model: TreeModel, sums: Sequence[int]) -> int:
    """Return the class that exact sums decide for."""
    if model.rule == "argmax":
        return max(range(len(sums)), key=lambda k: (sums[k], -k))
    return int(sums[0] > 0)


def rivals(model: TreeModel, question: object, kept: int) -> tuple[Rival, ...]:
    """Read a question.

    Parameters
    ----------
    model
        What is asked.
    question
        ``{"type": "other"}``, ``{"type": "reach", "class": k}``, ``{"type": "keep",
        "floor": m}`` or, for values, ``{"type": "leave", "lower": a, "upper": b}``.
    kept
        Class of the instance.
    """
    if not isinstance(question, dict) or question.get("type") not in _FIELDS:
        raise Refused("no such question is known")
    kind, n = question["type"], model.n_classes
    fields(question, "the question", ("type", *_FIELDS[kind]))
    if model.rule == "value":
        if kind != "leave":
            raise Refused(f"a question of type {kind!r} is not for a regressor")
        ends = [("upper", 1), ("lower", -1)]
        found = [(sign, question[end]) for end, sign in ends if question[end] is not None]
        return tuple(
            Rival((Difference((sign,), -sign * _exact(value) * model.unit, False),))
            for sign, value in found
        )
    floor = Fraction(0)
    if kind == "keep":
        floor = _exact(question["floor"]) * model.unit
        if floor < 0:
            raise Refused("the floor of a question is negative")
    elif kind == "reach":
        target = question["class"]
        if type(target) is not int or not 0 <= target < n or target == kept:
            raise Refused(f"the question asks for class {target!r}")
        return (Rival(tuple(_lead(model, target, other) for other in range(n) if other != target)),)
    elif kind != "other":
        raise Refused(f"a question of type {kind!r} is not for classes")
    found_rivals: list[Rival] = []
    for other in range(n):
        if other != kept:
            lead = _lead(model, other, kept)
            ties = lead.ties and kind == "other"
            found_rivals.append(Rival((Difference(lead.weights, floor, ties),)))
    return tuple(found_rivals)


def _lead(model: TreeModel, one: int, other: int) -> Difference:
    """Return by how much class `one` leads `other`; ties go to the lower class."""
    if model.rule == "positive":
        return Difference((1 if one else -1,), Fraction(0), not one)
    weights = tuple(int(k == one) - int(k == other) for k in range(model.n_classes))
    return Difference(weights, Fraction(0), one < other)


def _exact(value: object) -> Fraction:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise Refused(f"{value!r} in a question is no number")
    return Fraction(value)
