"""Smallest explanations by implicit hitting sets.

An explanation hits every explanation of the dual kind, so the cheapest set that hits the
dual ones known so far costs no more than the cheapest explanation.  If it is a weak
explanation it is a cheapest one; otherwise the evidence against it holds a dual
explanation that it misses (Algorithm 5 of the SwiftCXp paper; Ignatiev, Previti, Liffiton and
Marques-Silva, CP 2015, for smallest unsatisfiable subsets).

How ours differs: a minimal explanation found first gives an upper bound, and all that its
search has learnt is there to be hit from the start; further dual explanations that are
disjoint from each other are dug out before the first optimisation and after each refusal;
evidence that is strong already is taken as it is, which saves most questions; every set
that turns out to be a weak explanation lowers the upper bound, and the search ends when
the two meet.  Between two optimisations, which get rarer, any hitting set cheaper than the
best explanation is asked about (see `descent`).  An interrupted search says what it knows: the
best explanation and the proved lower bound.  Weights and preferences (must, must not) hold
throughout.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..budget import Budget, Meter
from ..closed_form import checked_proposal
from ..errors import InputError
from ..explanation import Explanation, Kind, SearchStatistics
from ..facts import Facts
from ..linear_rule import least_size
from ..minimal import MinimalSet, Strategy, Verdict, WeakExplanation
from ..minimise import strategy_named
from ..oracle import Counted, Oracle, Recall, linear_rules, relevant
from ..problem import ExplanationProblem
from ..replay import Replay
from ..selection import arranged, known_features
from ..space import FeatureSet
from . import HITTING_SET_SOLVERS
from .descent import SmallerHittingSets
from .solver import HittingSetProblem, HittingSetSolver

__all__ = ["Smallest", "smallest_explanation"]

_COMPARED = 3
"""So many dual sets are shrunk to learn how much that gains."""
_PATIENCE, _FEW = 1.5, 20
"""The bound from below is raised again when the dual sets have grown by so much."""
_WEAK = 2.0
"""Evidence more than so many times larger than what it shrinks to is shrunk on."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """The cheapest explanation found and how far it is proved to be the cheapest.

    Parameters
    ----------
    explanation
        The best one found; `None` if the budget ended before the first.
    cost
        Sum of the weights of its members, its size without weights.
    lower_bound
        No explanation with these preferences costs less.
    statistics
        What it took.
    """

    explanation: Explanation | None
    cost: int | None
    lower_bound: int
    statistics: SearchStatistics

    @property
    def proved(self) -> bool:
        """Whether there is no cheaper one."""
        return self.cost is not None and self.cost <= self.lower_bound


def smallest_explanation(
    problem: ExplanationProblem,
    oracle: Oracle,
    kind: Kind,
    *,
    weights: Mapping[int, int] | None = None,
    must_contain: Iterable[int] = (),
    must_not_contain: Iterable[int] = (),
    back_end: str = "sat",
    strategy: str | Strategy = "witness",
    order: Sequence[int] | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
) -> Smallest | None:
    """Find an explanation of the least size, or of the least weight.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    kind
        Abductive or contrastive.
    weights
        Positive integers by feature, 1 where none is given.
    must_contain, must_not_contain
        Only explanations with all, without any, of these features count.
    back_end
        Hitting-set solver: ``sat``, ``milp`` or ``asp``.
    strategy, order
        How weak explanations are shrunk on the way, as for `minimise`.
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.

    Returns
    -------
    Smallest or None
        `None` if it is proved that no explanation meets the preferences.

    Raises
    ------
    DataError
        For features that do not exist, bad weights, and contradicting preferences.
    InputError
        For an unknown strategy or back end.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(5, [{0, 1, 2}, {3, 4}])
    >>> least = smallest_explanation(problem, oracle, Kind.CXP)
    >>> least.explanation.features, least.cost, least.proved
    (('f3', 'f4'), 2, True)
    >>> smallest_explanation(problem, oracle, Kind.CXP, weights={4: 9}).cost
    3
    """
    watch = time.perf_counter(), time.thread_time()
    if back_end not in HITTING_SET_SOLVERS:
        raise InputError(
            f"no hitting-set back end {back_end!r}; known are {', '.join(HITTING_SET_SOLVERS)}"
        )
    known_features(problem, order or ())
    must = known_features(problem, must_contain)
    universe = relevant(oracle, problem.universe)
    must_not = known_features(problem, must_not_contain) & universe
    known_features(problem, weights or ())
    if not must <= universe:
        return None  # what never moves stands in no explanation
    choice = HittingSetProblem(
        universe,
        {i: w for i, w in (weights or {}).items() if i in universe},
        must,
        must_not,
    )
    counted = Counted(oracle)
    recall = Recall(counted, facts)
    meter = meter if meter is not None else (budget or Budget()).start()
    predicate = WeakExplanation(kind, recall, universe, meter)
    known = None
    if not weights and not must:
        known = checked_proposal(counted, predicate, universe - must_not)
    best: MinimalSet | None
    cost: int | None
    if known is not None:
        best, lower_bound = known
        cost = len(best.members)
    else:
        chosen = strategy_named(strategy)
        with (
            HITTING_SET_SOLVERS[back_end](choice) as solver,
            SmallerHittingSets(choice) as smaller,
        ):
            descends = back_end == "sat" and not choice.weights
            search = _Search(
                predicate, chosen, order, choice, solver, smaller if descends else None
            )
            exists = search.run()
        if exists is False:
            return None
        best, cost, lower_bound = search.best, search.cost, search.lower_bound
    statistics = SearchStatistics(
        counted.counts.calls,
        counted.counts.rounds,
        time.perf_counter() - watch[0],
        time.thread_time() - watch[1],
    )
    explanation = None
    if best is not None:
        explanation = Replay(problem).explanation(
            Explanation(
                problem,
                kind,
                best.members,
                best.verdict.answer,
                best.open,
                best.necessity,
                statistics,
            )
        )
    return Smallest(explanation, cost, lower_bound, statistics)


class _Search:
    """Bounds that close in on the cheapest explanation."""

    def __init__(
        self,
        predicate: WeakExplanation,
        strategy: Strategy,
        order: Sequence[int] | None,
        choice: HittingSetProblem,
        solver: HittingSetSolver,
        smaller: SmallerHittingSets | None,
    ) -> None:
        self.predicate = predicate
        self.strategy = strategy
        self.order = order
        self.choice = choice
        self.solver = solver
        self.smaller = smaller
        self.rest = 0  # so many dual sets are awaited before the next bound from below
        self.best: MinimalSet | None = None
        self.cost: int | None = None
        self.bound = choice.cost(choice.must)
        self.doubt: int | None = None  # cost of the cheapest set that stayed unknown
        self.duals: list[FeatureSet] = []
        self.compared = self.raw_size = self.shrunk_size = 0

    @property
    def lower_bound(self) -> int:
        """Proved bound; an undecided set may be an explanation of its own cost."""
        return self.bound if self.doubt is None else min(self.bound, self.doubt)

    def run(self) -> bool | None:
        """Search; false if no explanation meets the preferences, `None` if not known."""
        start = self.predicate.test_one(self.choice.eligible)
        if start.holds is not True:
            return start.holds
        if self.predicate.kind is Kind.CXP and not self.choice.weights:
            known = linear_rules(self.predicate.oracle)
            self.bound = max(self.bound, least_size(known))
        self._shrink_to_incumbent(start)
        self._add_known_duals()
        self._dig(self._greedily_disjoint())
        while not self._closed() and self.predicate.meter.exhausted() is None:
            if self._descend():
                continue
            nearest = self.solver.smallest(self.predicate.meter)
            if nearest is None:
                return self._none_left()
            self.bound = max(self.bound, nearest.lower_bound)
            if nearest.members is None or self._closed():
                break
            self.rest = int(_PATIENCE * len(self.duals)) + _FEW
            self._ask(nearest.members)
        return None if self.best is None else True

    def _descend(self) -> bool:
        """Ask about any set cheaper than the best; false if the bound from below is due."""
        if self.smaller is None or self.cost is None or len(self.duals) >= self.rest:
            return False
        members = self.smaller.below(self.cost, self.predicate.meter)
        if members is not None:
            self._ask(members)
        elif self.smaller.none_left:
            self.bound = max(self.bound, self.cost)
        return True

    def _closed(self) -> bool:
        """Nothing cheaper is left to look at (what stayed unknown is not looked at again)."""
        return self.cost is not None and self.cost <= self.bound

    def _give_up(self, members: FeatureSet) -> None:
        """Leave a set undecided, with all that contain it; its cost limits the bound."""
        cost = self.choice.cost(members)
        self.doubt = cost if self.doubt is None else min(self.doubt, cost)
        self._forbid(members)

    def _forbid(self, members: FeatureSet) -> None:
        self.solver.forbid(members)
        if self.smaller is not None:
            self.smaller.forbid(members)

    def _none_left(self) -> bool | None:
        """No hitting set is left: what was found is the best, unless sets stayed unknown."""
        if self.best is None:
            return None if self.doubt is not None else False
        self.bound = max(self.bound, self.cost or 0)
        return True

    def _ask(self, nearest: FeatureSet) -> None:
        """Decide the cheapest hitting set, and others along with it if that is free."""
        lanes = self.predicate.lanes
        others = [s for s in self._greedy_hitting_sets(lanes - 1) if s != nearest]
        for members, verdict in zip(
            [nearest, *others], self.predicate.test([nearest, *others]), strict=True
        ):
            if verdict.holds:
                self._accept(members, verdict)
            elif verdict.holds is False:
                learnt = self._learn(verdict)
                if self.smaller is None:
                    self._dig(members | learnt)
            elif members == nearest and self.predicate.meter.exhausted() is None:
                self._give_up(members)

    def _accept(self, members: FeatureSet, verdict: Verdict) -> None:
        """Take in a weak explanation that has everything it must have."""
        for element in sorted(self.choice.must):
            rest = members - {element}
            without = self.predicate.test_one(rest)
            if without.holds:
                # A minimal set that has `element` does not contain the rest as well.
                self._forbid(rest)
                return
            if without.holds is None:
                self._give_up(members)
                return
        if not self._shrink_to_incumbent(verdict):
            self._give_up(members)

    def _shrink_to_incumbent(self, verdict: Verdict) -> bool:
        candidates = arranged(verdict.support, self._order())
        result = self.strategy(self.predicate, verdict, candidates)
        cost = self.choice.cost(result.members)
        proper = not self.choice.must or (self.choice.must <= result.members and not result.open)
        if proper and (self.cost is None or cost < self.cost):
            self.best, self.cost = result, cost
        return proper

    def _order(self) -> Sequence[int] | None:
        """Without a wish of the caller: heavy features are left out first."""
        if self.order is not None or not self.choice.weights:
            return self.order
        return sorted(self.choice.universe, key=self.choice.weight, reverse=True)

    def _learn(self, refusal: Verdict) -> FeatureSet:
        """Let a dual set inside the evidence be hit; shrunk if the evidence is weak."""
        dual = self.predicate.dual
        start = dual.verdict(refusal.answer)
        members = start.support
        if self.compared < _COMPARED or self.raw_size > _WEAK * self.shrunk_size:
            # What cannot be chosen anyway may stay in; what can be should leave.
            order = [*sorted(self.choice.eligible), *sorted(self.choice.must_not)]
            shrunk = self.strategy(dual, start, [i for i in order if i in members])
            self.compared += 1
            self.raw_size += len(members)
            self.shrunk_size += len(shrunk.members)
            members = shrunk.members
        self._add(members)
        return members & self.choice.eligible

    def _add(self, dual: FeatureSet) -> None:
        self.duals.append(dual & self.choice.eligible)
        self.solver.add(dual)
        if self.smaller is not None:
            self.smaller.add(dual)

    def _add_known_duals(self) -> None:
        facts = self.predicate.facts
        if self.predicate.kind is Kind.CXP:
            known = [answer.core for answer in facts.entailments]
        else:
            known = [answer.moved for answer in facts.counterexamples]
        for dual in known:
            self._add(dual & self.choice.universe)

    def _greedily_disjoint(self) -> FeatureSet:
        """Return the union of known dual sets that are disjoint from each other."""
        union = self.choice.must
        for dual in sorted(self.duals, key=len):
            if not dual & union:
                union |= dual
        return union

    def _dig(self, hit: FeatureSet) -> None:
        """Look for dual sets outside `hit`, disjoint from each other, as long as there are."""
        while hit < self.choice.eligible and not self._closed():
            verdict = self.predicate.test_one(hit)
            if verdict.holds is not False:
                return
            hit |= self._learn(verdict)

    def _greedy_hitting_sets(self, count: int) -> list[FeatureSet]:
        """Return cheap hitting sets that differ, by greedy choice with a penalty for repeats."""
        used: dict[int, int] = {}
        found: list[FeatureSet] = []
        for _ in range(count):
            members = set(self.choice.must)
            left = [dual for dual in self.duals if not dual & members]
            while left:
                hits: dict[int, int] = {}
                for dual in left:
                    for i in dual:
                        hits[i] = hits.get(i, 0) + 1
                if not hits:
                    break

                def worth(i: int, hits: dict[int, int] = hits) -> float:
                    return hits[i] / (self.choice.weight(i) * (1 + used.get(i, 0)))

                chosen = max(sorted(hits), key=worth)
                members.add(chosen)
                left = [dual for dual in left if chosen not in dual]
            for i in members:
                used[i] = used.get(i, 0) + 1
            found.append(frozenset(members))
        return list(dict.fromkeys(found))
