"""MARCO: all explanations of both kinds by exploring a map of free sets.

Liffiton, Previti, Malik and Marques-Silva, "Fast, flexible MUS enumeration", Constraints
21, 2016; Algorithm 4 of the SwiftCXp paper.  Take an unexplored free set.  If it is
entailed, what is fixed contains an AXp; if it has a counterexample, what is free contains a
CXp.  Shrink, report, cut away what the explanation explores, repeat until the
map is empty.

How ours differs: shrinking starts from the evidence of the answer; explored neighbours show
necessity, so that a seed on the side of the bias costs one question and no shrinking (see
`MapSolver`); linear bounds of the oracle spare the questions that they decide; and a seed
whose status stays unknown is cut out of the map alone, which ends the claim to be complete
and nothing else.  With an oracle of several lanes a round asks about as many seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..explanation import Kind
from ..minimal.predicate import Verdict, WeakExplanation
from ..minimal.result import Strategy
from ..oracle import linear_rules
from ..space import FeatureSet
from .found import Found
from .map_solver import MapSolver

__all__ = ["Marco"]


class Marco:
    """Enumeration over a map; an `Enumerator`.

    Parameters
    ----------
    predicate
        Of either kind; the other one is taken as its dual.
    strategy
        Shrinks weak explanations.
    arrange
        Puts a set into the order in which elements are tried.
    bias
        `AXP` for maximal free sets as seeds: an AXp costs one question, a CXp is
        shrunk.  `CXP` the other way round.
    known
        Explanations that are known already; their regions are explored.
    free, fixed
        Only explanations whose free set (all but the AXp; the CXp) frees, or fixes,
        these are sought.
    patience
        Unknown seeds in a row after which whole cones around them are given up; by
        default twice the number of features.
    """

    def __init__(
        self,
        predicate: WeakExplanation,
        strategy: Strategy,
        arrange: Callable[[FeatureSet], list[int]],
        *,
        bias: Kind = Kind.AXP,
        known: Iterable[tuple[Kind, FeatureSet]] = (),
        free: Iterable[int] = (),
        fixed: Iterable[int] = (),
        patience: int | None = None,
    ) -> None:
        self.complete = False
        self._sides = {predicate.kind: predicate, predicate.kind.dual: predicate.dual}
        self._strategy = strategy
        self._arrange = arrange
        self._bias = bias
        self._known = tuple(known)
        self._free, self._fixed = frozenset(free), frozenset(fixed)
        self._patience = 2 * len(predicate.universe) if patience is None else patience

    def __iter__(self) -> Iterator[Found]:
        """Explore until the map is empty or the budget ends."""
        axp = self._sides[Kind.AXP]
        universe, meter = axp.universe, axp.meter
        skipped = False
        in_a_row = 0
        rules = linear_rules(axp.oracle) if self._bias is Kind.CXP else ()
        with MapSolver(
            universe, self._bias, free=self._free, fixed=self._fixed, rules=rules
        ) as unexplored:
            for kind, members in self._known:
                unexplored.block(kind, members)
            while meter.exhausted() is None:
                seeds = unexplored.seeds(axp.lanes)
                if not seeds:
                    self.complete = not skipped
                    return
                verdicts = axp.test([universe - seed for seed in seeds])
                batch: list[Found] = []
                for seed, verdict in zip(seeds, verdicts, strict=True):
                    if verdict.holds is not None:
                        in_a_row = 0
                        if not any(_explores(found, seed) for found in batch):
                            batch.append(self._shrunk(verdict))
                            unexplored.block(batch[-1].kind, batch[-1].result.members)
                            yield batch[-1]
                    elif meter.exhausted() is not None:
                        return
                    else:
                        skipped = True
                        in_a_row += 1
                        few = in_a_row <= self._patience
                        (unexplored.skip if few else unexplored.skip_cone)(seed)

    def _shrunk(self, verdict: Verdict) -> Found:
        side = self._sides[Kind.AXP if verdict.holds else Kind.CXP]
        start = side.verdict(verdict.answer)
        return Found(side.kind, self._strategy(side, start, self._arrange(start.support)))


def _explores(found: Found, seed: FeatureSet) -> bool:
    """Tell whether an explanation found in the same batch already explores a seed."""
    members = found.result.members
    return members <= seed if found.kind is Kind.CXP else not members & seed
