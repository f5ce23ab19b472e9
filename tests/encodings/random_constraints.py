"""Random constraints over the columns of a space, with values that tell them apart."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import (
    AtMost,
    Every,
    Formula,
    In,
    Linear,
    Some,
    Was,
    compared,
    negated,
)
from whyproof.encodings.constraints.values import Values
from whyproof.engine.space import FeatureSpace, Point

CUTS = [-1.5, -1.0, 0.0, 0.1, 0.5, 1.0, 2.0]


@st.composite
def values(draw: st.DrawFn) -> Values:
    cut = draw(st.sampled_from(CUTS))
    kind = draw(st.integers(0, 4))
    found = {
        0: Values.at_least(cut),
        1: Values.below(cut),
        2: Values.of([cut, draw(st.sampled_from(CUTS))]),
        3: ~Values.of([cut]),
        4: Values.between(cut, cut + draw(st.sampled_from([0.0, 1.0, 2.5]))),
    }[kind]
    return found | Values.only_missing() if draw(st.booleans()) else found


@st.composite
def leaves(draw: st.DrawFn, n: int, *, linear: bool, was: bool) -> Formula:
    kind = draw(st.integers(0, 3))
    column = draw(st.integers(0, n - 1))
    if kind == 3 and was:
        return Was(column, draw(values()))
    if kind == 2 and linear and n > 1:
        other = draw(st.integers(0, n - 1).filter(lambda i: i != column))
        factors = st.sampled_from([-2.0, -1.0, 1.0, 0.5])
        bound = draw(st.sampled_from([-1.0, 0.0, 0.5, 2.0]))
        relation = draw(st.sampled_from(["<=", "<", ">=", "="]))
        made = compared({column: draw(factors), other: draw(factors)}, relation, bound)
        if was and isinstance(made, Linear) and draw(st.booleans()):
            return Linear(made.terms, made.bound, made.strict, ((other, -1.0),))
        return made
    return In(column, draw(values()))


@st.composite
def formulas(draw: st.DrawFn, n: int, *, linear: bool = True, was: bool = False) -> Formula:
    leaf = leaves(n, linear=linear, was=was)
    kind = draw(st.integers(0, 4))
    parts = tuple(draw(st.lists(leaf, min_size=1, max_size=3)))
    found = {
        0: parts[0],
        1: Every(parts),
        2: Some(parts),
        3: AtMost(parts, draw(st.integers(0, 2))),
        4: Some((parts[0], Every(parts[1:]))),
    }[kind]
    return negated(found) if draw(st.booleans()) else found


@st.composite
def constraints(
    draw: st.DrawFn, space: FeatureSpace, instance: Point, *, linear: bool = True, most: int = 3
) -> tuple[Constraint, ...]:
    """Draw constraints that the instance satisfies."""
    found: list[Constraint] = []
    for number in range(draw(st.integers(1, most))):
        formula = draw(formulas(space.n_columns, linear=linear, was=True))
        made = Constraint(f"c{number}", formula)
        if not bool(made.at(instance).holds(instance[None])[0]):
            made = Constraint(f"c{number}", negated(formula))
        if bool(made.at(instance).holds(instance[None])[0]):
            found.append(made)
    return tuple(found)


def telling_values(discrete: bool, nullable: bool) -> list[float]:
    """Values of a column among which every combination of cuts occurs."""
    if discrete:
        found = [float(v) for v in range(-4, 6)]
    else:
        found = [-9.0, 9.0, -0.5, 0.25, 0.75, 1.5, 3.0]
        for cut in CUTS:
            found += [cut, math.nextafter(cut, -9.0), math.nextafter(cut, 9.0)]
    return [*sorted(set(found)), *([math.nan] if nullable else [])]


class Dice:
    """Random constraints from a seed, denser than drawn ones: most of them bite."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one_of(self, options: list[float]) -> float:
        return float(options[int(self.rng.integers(len(options)))])

    def values(self) -> Values:
        cut, kind = self.one_of(CUTS), int(self.rng.integers(4))
        found = [
            Values.at_least(cut),
            Values.below(cut),
            Values.of([cut]),
            Values.between(cut, cut + self.one_of([0.0, 1.0, 2.5])),
        ][kind]
        return found | Values.only_missing() if self.rng.random() < 0.3 else found

    def leaf(self, n: int) -> Formula:
        a, b = (int(i) for i in self.rng.choice(n, 2, replace=False))
        kind = self.rng.random()
        if kind < 0.45:
            factors = {a: self.one_of([-2.0, -1.0, 1.0]), b: self.one_of([-1.0, 1.0, 0.5])}
            relation = ["<=", "<", ">=", "="][int(self.rng.integers(4))]
            return compared(factors, relation, self.one_of([-1.0, 0.0, 0.5, 2.0]))
        if kind < 0.55:
            return Was(a, self.values())
        return In(a, self.values())

    def formula(self, n: int) -> Formula:
        parts = tuple(self.leaf(n) for _ in range(int(self.rng.integers(1, 4))))
        kind = int(self.rng.integers(4))
        found: Formula = [
            Every(parts),
            Some(parts),
            AtMost(parts, 1),
            Some((negated(parts[0]), Every(parts[1:]))),
        ][kind]
        return negated(found) if self.rng.random() < 0.5 else found

    def constraints(self, space: FeatureSpace, instance: Point, n: int) -> tuple[Constraint, ...]:
        """Return `n` constraints that the instance satisfies."""
        found: list[Constraint] = []
        while len(found) < n:
            formula = self.formula(space.n_columns)
            for option in (formula, negated(formula)):
                made = Constraint(f"c{len(found)}", option)
                if bool(made.at(instance).holds(instance[None])[0]):
                    found.append(made)
                    break
        return tuple(found)
