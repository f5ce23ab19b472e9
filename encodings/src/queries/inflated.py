"""Inflated explanations: the largest sets of values in place of the instance's values.

"Income is 3,120" becomes "income is at least 2,900": an inflated AXp gives each of its
features a set of values, and every row with values in all these sets gets the decision
(Izza, Ignatiev, Stuckey, Marques-Silva, Delivering Inflated Explanations, AAAI 2024).  Ours
grows one column at a time and is guided by counterexamples: all values are tried at once, and
each refutation takes away what lies beyond its value, until the decision is entailed.  No
threshold of the model has to be known, so that every family is served; the sets are maximal,
because every value left out has a counterexample next to it.

Read as thresholds, the sets are a *condition explanation*: a subset-minimal set of conditions
``column >= bound``, ``column <= bound`` that forces the decision, where a *feature explanation*
is a subset-minimal set of features with their values.

For a contrastive explanation the sets hold values that change the decision, whichever of them
are taken, while all other features stay.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.boxes import reachable
from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import In
from whyproof.encodings.constraints.values import Values
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Boolean, Categories
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace, Point, Points

__all__ = ["Inflated", "inflate"]

_MOST_CUTS = 200
_LARGEST = sys.float_info.max

OracleOf = Callable[[ExplanationProblem], Oracle]


@dataclass(frozen=True, eq=False)
class Inflated:
    """An explanation with a set of values for each of its columns.

    Parameters
    ----------
    explanation
        What was inflated.
    sets
        Values by column position, those of the explanation's features.
    open
        Columns whose sets may be too small, because the budget ended or an oracle gave up.
    witness
        For a contrastive explanation the point around which it was inflated.
    """

    explanation: Explanation
    sets: Mapping[int, Values]
    open: frozenset[int] = frozenset()
    witness: Point | None = field(default=None, repr=False)

    def covers(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell which rows have values in all the sets, shape ``(rows,)``."""
        mask = np.ones(len(points), dtype=np.bool_)
        for column, values in self.sets.items():
            mask &= values.holds(points[:, column])
        return mask

    def coverage(self, points: Points) -> float:
        """Return the share of rows that are covered."""
        return float(self.covers(points).mean()) if len(points) else 0.0

    @property
    def conditions(self) -> tuple[str, ...]:
        """The sets in words, ends rounded inwards, columns without a condition left out.

        Examples
        --------
        ``("age >= 18", "job in {clerk, cook}")``
        """
        space = self.explanation.problem.space
        reach = reachable(replace_fixed(self.explanation.problem), self.sets)
        words: list[str] = []
        for column, values in sorted(self.sets.items()):
            if not reach[column] <= values:
                words += in_words(space, column, values, reach[column])
        return tuple(words)

    def as_json(self) -> dict[str, object]:
        """Return keys ``features``, ``conditions``, ``open`` and ``sets`` (by column name)."""
        columns = self.explanation.problem.space.columns
        return {
            "kind": str(self.explanation.kind),
            "features": list(self.explanation.features),
            "conditions": list(self.conditions),
            "open": [columns[i].name for i in sorted(self.open)],
            "sets": {
                columns[i].name: {
                    "intervals": [[_finite(low), _finite(high)] for low, high in values.intervals],
                    "missing": values.missing,
                }
                for i, values in sorted(self.sets.items())
            },
        }


def inflate(
    explanation: Explanation,
    oracle_of: OracleOf,
    *,
    order: Sequence[int] = (),
    meter: Meter | None = None,
) -> Inflated:
    """Give each feature of an explanation the largest set of values.

    Parameters
    ----------
    explanation
        An AXp, or a CXp with its counterexample.
    oracle_of
        Makes the oracle of a problem.
    order
        Feature indices, those to inflate first in front: they get the most.
    meter
        Budget of the run.

    Raises
    ------
    UnsupportedError
        For a contrastive explanation of a question that is not about classes, or without
        a counterexample.
    """
    problem, witness = explanation.problem, None
    if explanation.kind is Kind.CXP:
        problem = _around_witness(explanation)
        witness = problem.instance
    members = explanation.members
    ranked = [i for i in dict.fromkeys(order) if i in members]
    ranked += sorted(members.difference(ranked))
    columns = [c for i in ranked for c in problem.space.features[i].columns]
    run = _Inflation(problem, oracle_of, meter or Meter(), columns, members, explanation.kind)
    sets, open_ = run.run()
    return Inflated(explanation, sets, open_, witness)


class _Inflation:
    """Grows sets around the instance of a problem."""

    def __init__(
        self,
        problem: ExplanationProblem,
        oracle_of: OracleOf,
        meter: Meter,
        columns: Sequence[int],
        members: FeatureSet,
        kind: Kind,
    ) -> None:
        self.problem, self.oracle_of, self.meter = problem, oracle_of, meter
        self.columns = columns
        # Around a witness nothing but the members moves.
        self.free = problem.universe if kind is Kind.AXP else problem.universe & members
        self.reach = reachable(problem, columns)
        self.sets = {c: Values.of([float(problem.instance[c])]) for c in columns}

    def run(self) -> tuple[dict[int, Values], frozenset[int]]:
        undecided: set[int] = set()
        for column in self.columns:
            candidate = self.reach[column]
            for _ in range(_MOST_CUTS):
                answer = self._ask({**self.sets, column: candidate})
                if not isinstance(answer, Counterexample):
                    break
                candidate = self._cut(column, candidate, float(answer.point[column]))
            else:
                answer = None
            if isinstance(answer, Entailed):
                self.sets[column] = candidate
            else:
                undecided.add(column)
        return self.sets, frozenset(undecided)

    def _cut(self, column: int, candidate: Values, value: float) -> Values:
        """Take away a value that was refuted, and what lies beyond it for numbers."""
        here = float(self.problem.instance[column])
        named = isinstance(self.problem.space.columns[column].domain, Categories)
        if math.isnan(value) or named or math.isnan(here):
            return candidate & ~Values.of([value])
        beyond = Values.at_least(value) if value > here else Values.at_most(value)
        return candidate & ~beyond

    def _ask(self, sets: Mapping[int, Values]) -> object:
        boxed = self._as_region(sets)
        problem = boxed if boxed is not None else self._as_constraints(sets)
        (answer,) = self.oracle_of(problem).decide([self.free], self.meter)
        return answer

    def _as_region(self, sets: Mapping[int, Values]) -> ExplanationProblem | None:
        """Narrow the region to the sets if these are intervals."""
        space, region = self.problem.space, self.problem.region
        n = space.n_columns
        lower = np.full(n, -np.inf) if region.lower is None else region.lower.copy()
        upper = np.full(n, np.inf) if region.upper is None else region.upper.copy()
        for column, values in sets.items():
            if self.reach[column] <= values:
                continue
            if values.missing and not values.intervals:
                lower[column] = max(float(lower[column]), -_LARGEST)
                continue
            if values.missing or len(values.intervals) != 1:
                return None
            low, high = min(values.intervals)
            lower[column] = max(float(lower[column]), low, -_LARGEST)
            upper[column] = min(float(upper[column]), high)
        return replace(
            self.problem, region=Region(region.norm, region.epsilon, lower=lower, upper=upper)
        )

    def _as_constraints(self, sets: Mapping[int, Values]) -> ExplanationProblem:
        rules = tuple(
            Constraint(f"column {column}", In(column, values))
            for column, values in sets.items()
            if not self.reach[column] <= values
        )
        space = replace(self.problem.space, constraints=(*self.problem.space.constraints, *rules))
        return replace(self.problem, space=space)


def _around_witness(explanation: Explanation) -> ExplanationProblem:
    """Ask at a counterexample whether the decision can be brought back."""
    problem, evidence = explanation.problem, explanation.evidence
    if not isinstance(evidence, Counterexample):
        raise UnsupportedError("a contrastive explanation without counterexample has no sets")
    question: Question
    match problem.question:
        case AnyOther():
            question = ReachClass(int(problem.prediction))
        case ReachClass():
            question = AnyOther()
        case _:
            raise UnsupportedError(
                "contrastive explanations are inflated for questions about classes only"
            )
    # What a change may be is asked of the instance; the region around it stays as a box.
    low, high = problem.limits
    region = Region.everywhere()
    if bool(problem.region.restricted(problem.space).any()):
        lower, upper = np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
        region = Region.box(np.minimum(lower, evidence.point), np.maximum(upper, evidence.point))
    space = replace(problem.space, constraints=problem.constraints)
    return replace(problem, instance=evidence.point, question=question, region=region, space=space)


def replace_fixed(problem: ExplanationProblem) -> ExplanationProblem:
    """Return a problem without constraints, to ask what its columns may hold at all."""
    return replace(problem, space=replace(problem.space, constraints=()))


def in_words(space: FeatureSpace, column: int, values: Values, reach: Values) -> list[str]:
    """Write a set of values as conditions, ends that do not restrict left out."""
    described = space.columns[column]
    name, domain = described.name, described.domain
    unknown = [] if values.missing == reach.missing or not values.missing else ["missing"]
    if isinstance(domain, Categories | Boolean):
        codes = [c for c in range(int(domain.bounds[0]), int(domain.bounds[1]) + 1) if c in values]
        held = [*(str(domain.decode(float(c))) for c in codes), *(["missing"] * values.missing)]
        return [f"{name} = {held[0]}"] if len(held) == 1 else [f"{name} in {{{', '.join(held)}}}"]
    if not values.intervals:
        return [f"{name} is missing"]
    if len(values.intervals) > 1:
        parts = [f"[{low:.17g}, {high:.17g}]" for low, high in values.intervals]
        return [f"{name} in {' or '.join([*parts, *unknown])}"]
    low, high = min(values.intervals)
    first, last = min(reach.intervals, default=(low, high))
    tail = " or missing" if values.missing else ""
    if low == high:
        return [f"{name} = {low:.17g}{tail}"]
    words: list[str] = []
    if low > first:
        words.append(f"{name} >= {_inwards(low, high)}{tail}")
    if high < last:
        words.append(f"{name} <= {_inwards(high, low)}{tail}")
    return words or [f"{name} is not missing"]


def _inwards(end: float, other: float) -> str:
    """Write an end of an interval shortly, a millionth further inside at most."""
    room = 1e-6 * max(abs(end), 1e-9)
    for digits in range(1, 17):
        text = f"{end:.{digits}g}"
        inside = float(text) - end if other > end else end - float(text)
        if 0 <= inside <= min(room, abs(other - end)):
            return f"{float(text):.15g}"
    return f"{end:.17g}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
