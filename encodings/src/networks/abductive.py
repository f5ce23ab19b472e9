"""One abductive explanation: free many pixels per proof, then decide the rest together.

The state is a set A of features proved free together, the features shown necessary by a
witness (a counterexample that moves A and that one feature: it stays valid when A
grows), and the rest.  Cheap and coarse first:

1. *Knapsack.*  A linear bound over "A and at most m of the rest" frees every subset of at most
   m whose terms fit below the bound, for all cases at once (Boumazouza et al. 2026, FAME);
   several m in one batch, repeated while it gains.
2. *Ladder.*  Prefixes of the rest, least costly first, as plain boxes with slopes optimised
   in all layers; the largest one proved is freed.  A concrete prefix has tighter hidden
   bounds than "any m".
3. *Chunk trees.*  The largest prefix that an attack does not break goes to one
   branch-and-bound tree; proved chunks grow, refuted ones are halved.
4. *One more.*  One tree on "A plus any one of the rest" finds the witnesses that attacks missed
   and the features that are free on their own; those are freed together by halving.
5. *Singles.*  What is still open is asked one by one, and stays open after that.

When nothing is open the explanation is minimal: one proof for A, one witness for each
fixed feature.  Sizes depend on the order: letting the bounds choose it is what makes these
explanations small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.minimal.predicate import Verdict, WeakExplanation
from whyproof.engine.minimal.result import MinimalSet
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions
from .bounds.sets import Budget
from .bounds.slopes import Ascent
from .neighbourhood import Play
from .oracle import NetworkOracle

__all__ = ["FreeInBatches"]

_BUDGETS = (0.05, 0.15, 0.35, 0.7)
_PREFIXES = (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45)
_CHUNKS = (0.25, 0.5, 1.0, 2.0, 4.0)
_HIDDEN = Ascent(steps=8)


@dataclass(frozen=True)
class FreeInBatches:
    """The strategy for abductive explanations of networks.

    Parameters
    ----------
    oracle
        The network oracle behind the predicate.
    seconds
        Processor seconds for the whole search; what is undecided then stays open.
    tree_seconds
        For one chunk tree.
    knapsack
        Whether to begin with the knapsack; it pays on small networks.
    """

    oracle: NetworkOracle
    seconds: float = 60.0
    tree_seconds: float = 2.0
    knapsack: bool = True

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink to a minimal abductive explanation; as in `Strategy`."""
        self.oracle.meter = predicate.meter
        run = _Run(self, predicate.meter, predicate.universe, frozenset(candidates))
        run.search()
        members = predicate.universe - run.freed()
        margin = run.margin if run.margin < float("inf") else None
        proof: Answer = Entailed(core=members, margin=margin)
        if members == frozenset(candidates) and isinstance(start.answer, Entailed):
            proof = start.answer
        necessity: dict[int, Answer] = {i: w for i, w in run.needed.items() if i in members}
        verdict = Verdict(True, members, proof)
        return MinimalSet(members, verdict, necessity, members - necessity.keys())


class _Run:
    def __init__(
        self,
        strategy: FreeInBatches,
        meter: Meter,
        universe: FeatureSet,
        candidates: FeatureSet,
    ) -> None:
        self.strategy = strategy
        self.oracle = strategy.oracle
        self.meter = meter
        self.universe = universe
        place = self.oracle.place
        self.movable = place.movable
        known = torch.zeros_like(self.movable)
        known[sorted(universe - candidates)] = True
        known |= ~self.movable
        self.free = known
        self.needed: dict[int, Counterexample] = {}
        self.margin = float("inf")
        self._began = self.oracle.clock()

    # State ------------------------------------------------------------------------

    def freed(self) -> FeatureSet:
        """Return what is proved free."""
        return frozenset(self.free.nonzero().ravel().tolist()) & self.universe

    @property
    def left(self) -> float:
        """Seconds left."""
        spent = self.oracle.clock() - self._began
        return min(self.strategy.seconds - spent, self.meter.remaining)

    def over(self) -> bool:
        """Tell whether to stop."""
        return self.left <= 0 or self.meter.exhausted() is not None

    def rest(self) -> Tensor:
        """Return what is neither free nor shown necessary, as a mask."""
        rest = ~self.free
        if self.needed:
            rest[list(self.needed)] = False
        return rest

    def _with(self, features: Sequence[int] | Tensor) -> Tensor:
        mask = self.free.clone()
        mask[features] = True
        return mask

    def _accept(self, mask: Tensor, margin: float) -> None:
        self.free = mask | self.free
        self.margin = min(self.margin, margin)
        proof = Entailed(core=self.universe - self.freed(), margin=margin)
        self.oracle.facts.remember(proof)

    def _witness(self, feature: int, witness: Counterexample) -> None:
        self.needed[feature] = witness
        self.oracle.facts.remember(witness)

    # Search -----------------------------------------------------------------------

    def search(self) -> None:
        """Go through the stages."""
        if self._robust():
            return
        if self.strategy.knapsack:
            self._knapsack(None)
            self._knapsack(_HIDDEN)
        self._ladder()
        self._attack_singles(AttackOptions(steps=12))
        self._chunks()
        while not self.over():
            self._attack_singles(AttackOptions(steps=15))
            if not bool(self.rest().any()) or not self._one_more():
                return

    def _robust(self) -> bool:
        everything = self._with(self.rest())
        (witness,) = self.oracle.attack(everything[None], AttackOptions(steps=30, restarts=3))
        if witness is not None:
            self.oracle.facts.remember(witness)
            return False
        return self._prove_tree(everything, min(1.0, self.left)) is None

    def _prove_tree(self, mask: Tensor, seconds: float) -> Answer | None:
        """Prove a set free by a tree; return the answer if it is no proof."""
        free = frozenset(mask.nonzero().ravel().tolist()) & self.universe
        answer = self.oracle.settle(free, max(seconds, 0.05))
        if isinstance(answer, Entailed):
            self._accept(mask, answer.margin if answer.margin is not None else float("inf"))
            return None
        return answer

    def _budget(self, rest: Tensor, sizes: Sequence[int]) -> tuple[Play, Budget]:
        candidates = frozenset(rest.nonzero().ravel().tolist())
        return self.oracle.budgets(self.freed(), candidates, sizes)

    def _knapsack(self, hidden: Ascent | None) -> None:
        """Free greedy knapsacks under linear bounds while it gains."""
        scores = None if hidden is None else Ascent(steps=15)
        while not self.over():
            rest = self.rest()
            count = int(rest.sum())
            if not count:
                return
            sizes = sorted({max(1, int(count * part)) for part in _BUDGETS})
            play, sets = self._budget(rest, sizes)
            rows = self.oracle.bound(play, sets, hidden=hidden, scores=scores).rows
            chosen: FeatureSet = frozenset()
            margin = 0.0
            for i, size in enumerate(sizes):
                rule = self.oracle.rule_of(rows, i, sets.free[i] > 0)
                picked = rule.widened((), size) if rule.entails(()) else frozenset[int]()
                if len(picked) > len(chosen):
                    chosen, margin = picked, rule.lead(picked)
            if chosen:
                self._accept(self._with(sorted(chosen)), margin)
            if len(chosen) < 3:
                return

    def _order(self, among: Tensor | None = None) -> list[int]:
        """Return the rest, the cheapest for a linear bound first."""
        rest = self.rest() if among is None else among
        if not bool(rest.any()):
            return []
        play, sets = self._budget(rest, [1])
        rows = self.oracle.bound(play, sets).rows
        base = (rows.constant[0] + rows.terms[0] @ sets.free[0]).clamp(min=1e-3)
        cost = (-rows.terms[0] / base[:, None]).max(0).values
        cost = torch.where(sets.candidates[0] > 0, cost, torch.full_like(cost, float("inf")))
        order = cost.argsort()[: int(rest.sum())]
        return [int(i) for i in play.features[order]]

    def _ladder(self) -> None:
        """Free the largest prefix of the order that optimised bounds prove."""
        while not self.over():
            order = self._order()
            if not order:
                return
            sizes = sorted({max(1, int(len(order) * part)) for part in _PREFIXES})
            masks = torch.stack([self._with(order[:size]) for size in sizes])
            margins = self.oracle.prove(masks, hidden=_HIDDEN, scores=Ascent(steps=15)).margin
            proved = (margins > self.oracle.precision).nonzero().ravel().tolist()
            if not proved:
                return
            self._accept(masks[proved[-1]], float(margins[proved[-1]]))

    def _attack_singles(self, options: AttackOptions) -> None:
        """Look for witnesses of necessity, all of the rest in batches."""
        rest = self.rest().nonzero().ravel().tolist()
        for begin in range(0, len(rest), 128):
            some = rest[begin : begin + 128]
            masks = self.free.repeat(len(some), 1)
            masks[torch.arange(len(some)), torch.tensor(some)] = True
            for i, witness in zip(some, self.oracle.attack(masks, options), strict=True):
                if witness is not None:
                    self._witness(i, witness)

    def _chunks(self) -> None:
        """Free prefixes by trees; the size follows success and failure."""
        size, refused = 16, 0
        strong = AttackOptions(steps=25, restarts=2)
        while not self.over():
            order = self._order()
            if not order:
                return
            size = max(1, min(size, len(order)))
            sizes = sorted({min(len(order), max(1, int(size * part))) for part in _CHUNKS})
            masks = torch.stack([self._with(order[:k]) for k in sizes])
            broken = self.oracle.attack(masks, strong)
            if broken[0] is not None and sizes[0] == 1:
                self._witness(order[0], broken[0])
                continue
            whole = [k for k, witness in zip(sizes, broken, strict=True) if witness is None]
            if not whole:
                size = max(1, size // 4)
                continue
            chosen = max([k for k in whole if k <= size] or [min(whole)])
            answer = self._prove_tree(
                self._with(order[:chosen]), min(self.strategy.tree_seconds, self.left)
            )
            if answer is None:
                size, refused = int(chosen * 1.6) + 1, 0
                self._attack_singles(AttackOptions(steps=12))
                continue
            if chosen == 1 and isinstance(answer, Counterexample):
                self._witness(order[0], answer)
            size = max(1, chosen // (2 if isinstance(answer, Counterexample) else 3))
            refused += 1
            if chosen <= 2 or refused > 4:
                return

    def _one_more(self) -> bool:
        """Decide the rest together; tell whether that made any progress."""
        rest = frozenset(self.rest().nonzero().ravel().tolist())
        shared = self.oracle.extensions(self.freed(), rest, min(self.left, self.strategy.seconds))
        for i, witness in shared.refuted.items():
            self._witness(i, witness)
        if shared.proved:
            return self._free_together(sorted(shared.proved))
        progress = bool(shared.refuted)
        for i in self._order():
            if self.over():
                return False
            if bool(self.free[i]) or i in self.needed:
                continue
            answer = self._prove_tree(
                self._with([i]), min(2 * self.strategy.tree_seconds, self.left)
            )
            if isinstance(answer, Counterexample):
                self._witness(i, answer)
                progress = True
            elif answer is None:
                progress = True
                self._attack_singles(AttackOptions(steps=15))
        return progress and bool(self.rest().any())

    def _free_together(self, proved: Sequence[int]) -> bool:
        """Free as many features as possible that are free on their own."""
        among = torch.zeros_like(self.free)
        among[list(proved)] = True
        order = self._order(among)
        size = len(order)
        while size >= 1 and not self.over():
            mask = self._with(order[:size])
            if size == 1:
                # Shown by the shared tree already.
                self._accept(mask, self.oracle.precision)
                return True
            (witness,) = self.oracle.attack(mask[None], AttackOptions(steps=25, restarts=2))
            if witness is None:
                seconds = min(self.strategy.tree_seconds, self.left)
                if self._prove_tree(mask, seconds) is None:
                    return True
            size //= 2
        return False
