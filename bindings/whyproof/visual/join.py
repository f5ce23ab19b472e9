"""What a region can do: shown by a witness, refuted by a proof, or not known.

Two questions about a region R of an image whose decision is c:

*  Can the decision change when R is free?   yes: R is a weak CXp (a witness shows it)
                                             no:  the rest of the image forces c (a proof)
*  Can it change when all but R is free?     no:  R alone forces c, R is a weak AXp (a proof)
                                             yes: R does not suffice (a witness)

A generator can say yes only.  Comparing the smallest region under it with the smallest under
an exact oracle tells how much of an explanation is out of the reach of plausible images.
"""

from __future__ import annotations

from dataclasses import dataclass

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Cascade, Oracle, Recall
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

__all__ = [
    "MinimalRegions",
    "RegionStatement",
    "generator_first",
    "minimal_regions",
    "region_statement",
]


@dataclass(frozen=True, slots=True, eq=False)
class RegionStatement:
    """What is known about a region.

    Parameters
    ----------
    cells
        The region.
    inside
        Answer to "can the decision change when the region is free".
    outside
        Answer to "can it change when everything else is free".
    """

    cells: FeatureSet
    inside: Answer
    outside: Answer

    @property
    def can_change(self) -> bool | None:
        """Whether the region is a weak contrastive explanation; `None` if not known."""
        return _changes(self.inside)

    @property
    def suffices(self) -> bool | None:
        """Whether the region is a weak abductive explanation; `None` if not known."""
        found = _changes(self.outside)
        return None if found is None else not found

    def sentences(self) -> tuple[str, str]:
        """Say both in words."""
        first = {
            True: "Changing the region alone can change the decision (a checked image shows it).",
            False: "Nothing inside the region can change the decision (proved).",
            None: "Whether the region alone can change the decision is not known.",
        }[self.can_change]
        second = {
            True: "The region as it is forces the decision (proved).",
            False: "The region as it is does not force the decision (a checked image shows it).",
            None: "Whether the region alone forces the decision is not known.",
        }[self.suffices]
        return first, second


def region_statement(
    problem: ExplanationProblem,
    oracle: Oracle,
    cells: FeatureSet,
    *,
    budget: Budget | None = None,
) -> RegionStatement:
    """Ask both questions about a region.

    Parameters
    ----------
    problem
        From `image_problem`.
    oracle
        Exact, a generator, or a cascade of them.
    cells
        The region.
    budget
        Limits for both.
    """
    meter = (budget or Budget()).start()
    rest = problem.universe - cells
    inside, outside = oracle.decide([cells, rest], meter)
    for free, answer in ((cells, inside), (rest, outside)):
        if isinstance(answer, Counterexample):
            problem.replay(answer.point, free)
    return RegionStatement(cells, inside, outside)


@dataclass(frozen=True, slots=True, eq=False)
class MinimalRegions:
    """The smallest regions reached under a generator and under an exact oracle.

    Parameters
    ----------
    generator
        Region from which the generator could drop no more cells; `None` if it found none.
        Nothing is proved about its minimality.
    exact
        Minimal region inside it by the exact oracle; its status tells what is proved.
        `None` if it is proved that there is none at all.
    """

    generator: Explanation | None
    exact: Explanation | None

    @property
    def beyond(self) -> FeatureSet:
        """Cells that a plausible change needed and some change does not."""
        if self.generator is None or self.exact is None:
            return frozenset()
        return self.generator.members - self.exact.members


def minimal_regions(
    problem: ExplanationProblem,
    generator: Oracle,
    exact: Oracle,
    *,
    within: FeatureSet | None = None,
    budget: Budget | None = None,
) -> MinimalRegions:
    """Shrink a region as far as a generator can, then as far as is possible at all.

    Parameters
    ----------
    problem
        From `image_problem`.
    generator, exact
        Oracles of the problem.
    within
        Region to start from; the whole image by default.
    budget
        Limits for each of the two searches.
    """
    start = problem.universe if within is None else within
    plausible = minimise(problem, generator, Kind.CXP, within=sorted(start), budget=budget)
    if plausible is not None and not isinstance(plausible.evidence, Counterexample):
        plausible = None
    reached = start if plausible is None else plausible.members
    minimal = minimise(problem, exact, Kind.CXP, within=sorted(reached), budget=budget)
    return MinimalRegions(plausible, minimal)


def generator_first(generator: Oracle, exact: Oracle) -> Oracle:
    """Return an oracle that asks the generator before the exact one.

    Its witnesses are plausible where the generator finds some, its proofs are exact.
    """
    return Recall(Cascade([generator, exact], name="generator, then exact"))


def _changes(answer: Answer) -> bool | None:
    match answer:
        case Counterexample():
            return True
        case Entailed():
            return False
        case _:
            return None
