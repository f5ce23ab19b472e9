"""The oracle of networks: attack, bounds, branch and bound; batch first, with evidence.

``decide`` answers the engine's question for many free sets at once and climbs from cheap
to exact: remembered facts, a masked attack, CROWN bounds of each set, then a tree per set
that is still open.  Five further questions share work between sets that belong together:

=========================  ====================================================
`attack`                   counterexamples for many sets in one batch
`prove`                    bounds for many sets in one batch
`obligations` (S)          which features of S can be left out: one tree
`extensions` (A, R)        which features of R can be freed beside A: one tree
`at_most` (S, m)           whether a counterexample moves at most m features of S
=========================  ====================================================

A counterexample was replayed on the model that runs.  A proof holds in real arithmetic over
the model's own constants with a lead above `precision`, the rounding error of its own
computation taken off; what lies within is `Unknown(precision)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from whyproof.engine.answers import (
    Answer,
    Counterexample,
    Entailed,
    Unknown,
    UnknownReason,
)
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.facts import Facts
from whyproof.engine.linear_rule import LinearRule
from whyproof.engine.minimal.result import Strategy
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions, attack
from .bounds.backward import enclosures
from .bounds.goals import Deletions, Extensions, Goal, Single
from .bounds.hidden import hidden_ranges
from .bounds.reduction import pass_cost, reduced
from .bounds.sets import Box, Budget, InputSet
from .bounds.slopes import Ascent, optimise_slopes
from .bounds.targets import Case, Target
from .bounds.tree import Tree, TreeResult
from .memory import refuse_too_large
from .neighbourhood import Neighbourhood, Play
from .oracle_data import LinearRows, OracleOptions, Proofs, Shared, Tally

__all__ = ["NetworkOracle", "OracleOptions"]

_CHEAP = 800_000
"""Cost of a pass up to which the whole region is bounded for a rule."""

_SPARE = 10
"""One in so many of the other features is offered to a proof that is widened."""

_CACHED, _FEW_ROWS = 4_000_000, 16
"""Numbers of all steps that are attacked together, and rows at least."""

_FEW = 200
"""Free columns up to which a mixed-integer program is small."""


class NetworkOracle:
    """Decides free sets of one problem about a network.

    Parameters
    ----------
    problem
        Its classifier is a `NetworkClassifier` or has a network graph as structure.
    options
        How it works.
    facts
        Evidence to start from and to add to.
    dtype, device
        Of the bounds and attacks.
    clock
        Seconds for the limits of trees; processor time by default.
    """

    name = "network"
    shrinks_well = True

    def __init__(
        self,
        problem: ExplanationProblem,
        options: OracleOptions | None = None,
        *,
        facts: Facts | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.problem = problem
        self.options = options if options is not None else OracleOptions()
        refuse_too_large(problem, self.options.batch, self.options.memory)
        self.place = Neighbourhood(problem, dtype, device)
        self.facts = facts if facts is not None else Facts()
        self.tally = Tally()
        self.lanes = self.options.batch
        self.clock = clock
        #: Budget of the run; trees end when it does.
        self.meter = Meter()
        self._rules: tuple[LinearRule, ...] | None = None
        self._movable = frozenset(self.place.movable.nonzero().ravel().tolist())

    @property
    def precision(self) -> float:
        """What a bound has to exceed to be a proof."""
        return self.options.tree.precision

    @property
    def search(self) -> Strategy | None:
        """The strategy that the engine's default search hands over to.

        `None` where columns do not move independently: the engine's own search serves.
        """
        if not self.problem.region.is_box:
            return None
        from .search import NetworkSearch

        return NetworkSearch(self)

    @property
    def linear_rules(self) -> tuple[LinearRule, ...]:
        """What one linear bound over the whole region says about every free set.

        Worked out when first asked for; empty where the bound is too loose to say anything.
        """
        if self._rules is None:
            self._rules = self._bound_region()
        return self._rules

    def _bound_region(self) -> tuple[LinearRule, ...]:
        everything = self.place.movable[None]
        if not self.problem.region.is_box or not bool(everything.any()):
            return ()
        if pass_cost(self.place.network) > _CHEAP:
            return ()
        proofs = self.prove(everything, hidden=Ascent(steps=8), scores=Ascent(steps=15))
        rule = self.rule_of(proofs.rows, 0)
        return (rule,) if rule.at_least > 1 else ()

    def rule_of(self, rows: LinearRows, at: int, free: Tensor | None = None) -> LinearRule:
        """Return linear rows over a set as a rule about the features that move in it.

        Parameters
        ----------
        rows, at
            The batch entry `at` of some rows.
        free
            Positions in play that move in any case and are charged at once, boolean.
        """
        names = rows.play.features.tolist()
        terms = rows.terms[at].cpu().numpy()
        constants = rows.constant[at].cpu().numpy()
        moving = np.ones(len(names), dtype=bool)
        if free is not None:
            charged = free.cpu().numpy()
            # The sum itself is rounded: keep a distance that covers it.
            constants = constants + terms[:, charged].sum(1) * (1 + 1e-12)
            moving = ~charged
        weights = np.full((len(constants), self.place.n_features), np.inf)
        weights[:, np.array(names)[moving]] = -terms[:, moving]
        universe = frozenset(np.array(names)[moving].tolist())
        return LinearRule(universe, constants, weights, self.precision)

    # The engine's question --------------------------------------------------------

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set: attack, bound, then branch and bound."""
        self.meter = meter
        answers: list[Answer | None] = [None] * len(free_sets)
        for begin in range(0, len(free_sets), self.options.batch):
            some = range(begin, min(begin + self.options.batch, len(free_sets)))
            found = self._decide_batch([free_sets[i] for i in some], meter)
            for i, answer in zip(some, found, strict=True):
                answers[i] = answer
        return [a if a is not None else Unknown(UnknownReason.INCOMPLETE) for a in answers]

    def _decide_batch(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        masks = self.place.mask(free_sets)
        answers: list[Answer] = [Unknown(UnknownReason.INCOMPLETE)] * len(free_sets)
        whole = bool(masks[0].sum() == self.place.movable.sum())
        if len(free_sets) == 1 and whole:
            # Asked once, and every search starts from its answer: worth the effort.
            witnesses = [self._attack_cases(masks)]
        else:
            witnesses = self.attack(masks, self.options.attack)
        for i, witness in enumerate(witnesses):
            answers[i] = witness or self._by_rule(free_sets[i]) or answers[i]
        open_rows = [i for i, answer in enumerate(answers) if isinstance(answer, Unknown)]
        if open_rows:
            proofs = self.prove(masks[open_rows])
            for i, margin in zip(open_rows, proofs.margin.tolist(), strict=True):
                if margin > self.precision:
                    proof = self._entailed(free_sets[i], margin)
                    lone = len(free_sets) == 1 and self.options.generalise
                    answers[i] = self._generalised(free_sets[i], proof) if lone else proof
            open_rows = [i for i in open_rows if isinstance(answers[i], Unknown)]
        for i in open_rows:
            reason = meter.exhausted()
            answers[i] = (
                self._decide_hard(free_sets[i], masks[i : i + 1], meter)
                if reason is None
                else Unknown(reason)
            )
        for answer in answers:
            self.facts.remember(answer)
            if isinstance(answer, Unknown):
                self.tally.unknown += 1
        return answers

    def _decide_hard(self, free: FeatureSet, mask: Tensor, meter: Meter) -> Answer:
        """Decide one set by a small tree; if that ends open, by harder attacks and a large one."""
        known = self.facts.recall(free)
        if known is not None:
            return known
        seconds = min(self.options.tree_seconds, meter.remaining)
        whole = bool(mask.sum() == self.place.movable.sum())
        first = seconds if whole else min(self.options.glance, seconds)
        answer = self.settle(free, first)
        if not isinstance(answer, Unknown):
            return answer
        if not whole and meter.exhausted() is None:
            witness = self._attack_cases(mask)
            if witness is not None:
                return witness
        if answer.reason is UnknownReason.TIME and first < seconds:
            answer = self.settle(free, seconds - first)
        if isinstance(answer, Unknown) and meter.exhausted() is None:
            # A margin within the rounding error is not open to exact arithmetic.
            return self._by_program(free, meter) or answer
        return answer

    def _by_program(self, free: FeatureSet, meter: Meter) -> Answer | None:
        """Decide a small question by mixed-integer programming; `None` if it is not small."""
        seconds = min(self.options.program_seconds, meter.remaining)
        columns = len(self.place.play(self.place.mask([free])[0]).columns)
        small = columns <= _FEW and self.place.network.is_piecewise_linear
        if seconds <= 0 or not small or not self.problem.region.is_box:
            return None
        from .milp import MilpOracle

        program = MilpOracle(
            self.problem,
            seconds=seconds,
            precision=self.precision,
            # Programs are written in double precision on the processor.
            place=self.place if self.place.network.is_double else None,
            solver=self.options.program_solver,
        )
        (answer,) = program.decide([free], meter)
        return None if isinstance(answer, Unknown) else answer

    def settle(self, free: FeatureSet, seconds: float | None = None) -> Answer:
        """Decide one free set by a tree of its own."""
        mask = self.place.mask([free])
        play = self.place.play(mask[0])
        if not len(play.columns):
            return self._nothing_moves(free)
        inputs = self.place.box(play, mask)
        result, found = self._grow(play, Single(inputs), seconds)
        if found:
            return next(iter(found.values()))
        if result.proved:
            return self._entailed(free, result.margin)
        return _unknown(result)

    def _nothing_moves(self, free: FeatureSet) -> Answer:
        (answer,) = self.place.replay(self.problem.instance[None].copy())
        return self._entailed(free, None) if answer is None else answer

    def _by_rule(self, free: FeatureSet) -> Entailed | None:
        """Decide a set by what is known about all; a proof of this kind serves many sets."""
        found = (rule.answer(free & rule.universe) for rule in self._rules or ())
        return next((answer for answer in found if answer is not None), None)

    def _generalised(self, free: FeatureSet, proof: Entailed) -> Entailed:
        """Widen a proof: with linear rows over "these features and a few of the others".

        Every choice of others that fits below the bound is proved along with the set.
        """
        others = proof.core & self.problem.universe
        if not self.problem.region.is_box or len(others) < _SPARE:
            return proof
        most = len(others) // _SPARE
        play, sets = self.budgets(free, others, [most])
        rows = self.bound(play, sets).rows
        rule = self.rule_of(rows, 0, sets.free[0] > 0)
        more = rule.widened((), most) if rule.entails(()) else frozenset[int]()
        return Entailed(proof.core - more, margin=rule.lead(more)) if more else proof

    def _entailed(self, free: FeatureSet, margin: float | None) -> Entailed:
        self.tally.proofs += 1
        core = self.problem.universe - free
        return Entailed(core=core & self._movable, margin=margin)

    # Attacks ----------------------------------------------------------------------

    @cached_property
    def _rough(self) -> Neighbourhood:
        """The problem in single precision: what attacks find is replayed in any case."""
        if self.place.dtype == torch.float32:
            return self.place
        return Neighbourhood(self.problem, torch.float32, self.place.device)

    def attack(
        self,
        free: Tensor,
        options: AttackOptions,
        warm: Counterexample | None = None,
        aim: Tensor | None = None,
        cases: Sequence[Case] | None = None,
    ) -> list[Counterexample | None]:
        """Look for counterexamples in a batch of free sets.

        Parameters
        ----------
        free
            Shape ``(batch, features)``, boolean.
        options
            How hard to try.
        warm
            Start from this point.
        aim
            Index of the case that each row tries to reach, -1 for the nearest.
        cases
            What counts as a change, if not all that does.
        """
        place = self._rough
        play = place.play(free.any(0))
        if not len(play.columns) or not len(free):
            return [None] * len(free)
        self.tally.attacked += len(free)
        self.tally.rounds += 1
        inputs = place.box(play, free)
        goal = place.target if cases is None else Target(cases, place.dtype, place.device)
        start = None if warm is None else place.deviation(play, warm.point)
        # Rows that do not fit the cache together cost several times as much.
        wide = sum(step.size for step in play.network.steps)
        rows_at_once = max(_FEW_ROWS, _CACHED // wide)
        parts: list[tuple[Tensor, Tensor]] = []
        with _threads(self.options.threads):
            for begin in range(0, len(free), rows_at_once):
                part = slice(begin, begin + rows_at_once)
                own = None if aim is None else aim[part]
                parts.append(attack(play.network, inputs.take(part), goal, options, start, own))
        found, deviations = (torch.cat(side) for side in zip(*parts, strict=True))
        rows = found.nonzero().ravel().tolist()
        results: list[Counterexample | None] = [None] * len(free)
        if rows:
            points = place.points(play, deviations[rows])
            for i, witness in zip(rows, place.replay(points), strict=True):
                results[i] = witness
        return results

    def _attack_cases(self, mask: Tensor) -> Counterexample | None:
        """Attack one set harder: the nearest case, and every case a row of its own."""
        cases = len(self.place.target.cases)
        aim = torch.arange(-1, cases, device=self.place.device)
        found = self.attack(mask.expand(cases + 1, -1), self.options.hard, aim=aim)
        hits = [witness for witness in found[1:] if witness is not None]
        if found[0] is not None or not hits:
            return found[0]
        return hits[int(self.margins(hits).argmin())]

    def margins(self, witnesses: Sequence[Counterexample]) -> Tensor:
        """Return by how much the decision leads at some points, shape ``(points,)``."""
        play = self.place.play(self.place.movable)
        points = torch.stack([self.place.deviation(play, w.point) for w in witnesses])
        with torch.no_grad():
            return self.place.target.margin(play.network(points))

    # Bounds -----------------------------------------------------------------------

    def prove(
        self, free: Tensor, *, hidden: Ascent | None = None, scores: Ascent | None = None
    ) -> Proofs:
        """Bound the lead of the decision over a batch of free sets.

        Parameters
        ----------
        free
            Shape ``(batch, features)``, boolean.
        hidden, scores
            Optimisation of the slopes for hidden neurons and for the cases; plain CROWN
            by default.
        """
        play = self.place.play(free.any(0))
        return self.bound(play, self.place.box(play, free), hidden=hidden, scores=scores)

    def bound(
        self,
        play: Play,
        inputs: InputSet,
        *,
        hidden: Ascent | None = None,
        scores: Ascent | None = None,
        seconds: float = float("inf"),
    ) -> Proofs:
        """Bound the lead of the decision over a batch of sets in the columns in play."""
        with _threads(self.options.threads):
            return self._bound(play, inputs, hidden, scores, seconds)

    def _bound(
        self,
        play: Play,
        inputs: InputSet,
        hidden: Ascent | None,
        scores: Ascent | None,
        seconds: float,
    ) -> Proofs:
        self.tally.bounded += inputs.batch
        self.tally.rounds += 1
        target, network = self.place.target, play.network
        plain = Ascent(steps=0)
        deadline = self.clock() + min(self.options.tree_seconds, self.meter.remaining, seconds)

        def over() -> bool:
            return self.clock() > deadline

        ranges = hidden_ranges(network, inputs, ascent=hidden or plain, over=over)
        lines = enclosures(network, ranges.bounds(network))
        combined = (target.start[..., None] * target.rows).sum(1)
        offset = (target.start * target.offset).sum(1)
        start = {len(network.steps) - 1: combined[None].expand(inputs.batch, -1, -1)}
        goal = scores or plain
        best, _, form = optimise_slopes(network, start, offset, lines, inputs, ranges.weights, goal)
        constant = form.constant + offset
        if form.slack is not None:
            constant = constant - form.slack
        terms = inputs.terms(form.coefficients)
        count = len(play.features)
        if count != terms.shape[-1]:
            spread = terms.new_zeros((*terms.shape[:-1], count))
            terms = spread.index_add(-1, play.owner, terms)
        return Proofs(best.min(1).values, LinearRows(play, constant, terms))

    # Trees ------------------------------------------------------------------------

    def obligations(self, free: FeatureSet, seconds: float | None = None) -> Shared:
        """Ask for every feature of a set whether the decision can change without it.

        Ends at the first counterexample, which makes the set smaller.
        """
        mask = self.place.mask([free])
        play = self.place.play(mask[0])
        inputs = self.place.box(play, mask)
        if not isinstance(inputs, Box):
            raise UnsupportedError("deletions share a tree in linf regions and boxes only")
        goal = Deletions(inputs, play.owner, len(play.features))
        return self._shared(play, goal, seconds)

    def extensions(
        self, free: FeatureSet, candidates: FeatureSet, seconds: float | None = None
    ) -> Shared:
        """Ask for every candidate whether the decision can change when it is freed too."""
        play, inputs = self.budgets(free, candidates, [1])
        return self._shared(play, Extensions(inputs), seconds, candidates)

    def at_most(self, candidates: FeatureSet, m: int, seconds: float | None = None) -> Answer:
        """Ask whether the decision can change when at most `m` candidates move.

        `Entailed` shows that every contrastive explanation inside the candidates has
        more than `m` elements; its core is everything else.
        """
        play, inputs = self.budgets(frozenset(), candidates, [m])
        result, found = self._grow(play, Single(inputs), seconds)
        if found:
            return next(iter(found.values()))
        if result.proved:
            return self._entailed(candidates, result.margin)
        return _unknown(result)

    def fewest_changes(self, members: FeatureSet, meter: Meter) -> int:
        """Return how many members every counterexample moves at least, as far as shown."""
        from .contrastive import grade

        chosen = members & self._movable
        seconds = min(self.options.tree_seconds, meter.remaining)
        if not chosen or seconds <= 0 or not self.problem.region.is_box:
            return 0
        return grade(self, chosen, seconds).at_least

    def budgets(
        self, free: FeatureSet, candidates: FeatureSet, sizes: Sequence[int]
    ) -> tuple[Play, Budget]:
        """Return the sets "some features free, and at most m candidates", for several m."""
        masks = self.place.mask([free, candidates - free])
        play = self.place.play(masks.any(0))
        box = self.place.box(play, masks.any(0)[None])
        if not isinstance(box, Box):
            raise UnsupportedError(
                "budgets of features are supported for linf regions and boxes only"
            )
        n = len(sizes)
        chosen = masks[:, play.features].to(self.place.dtype)
        sets = Budget(
            box.lower.expand(n, -1),
            box.upper.expand(n, -1),
            play.owner,
            chosen[:1].expand(n, -1),
            chosen[1:].expand(n, -1),
            torch.tensor(list(sizes), device=self.place.device),
        )
        return play, sets

    def _shared(
        self,
        play: Play,
        goal: Goal,
        seconds: float | None,
        asked: FeatureSet | None = None,
    ) -> Shared:
        result, found = self._grow(play, goal, seconds)
        names = play.features.tolist()
        everything = frozenset(names) if asked is None else asked & frozenset(names)
        still = frozenset(names[i] for i in result.open.nonzero().ravel().tolist())
        refuted = {names[i]: witness for i, witness in found.items()}
        if refuted and goal.stop_at_first:
            proved: FeatureSet = frozenset()
            still = everything - refuted.keys()
        else:
            still = still & everything
            proved = everything - still - refuted.keys()
        self.tally.proofs += len(proved)
        return Shared(proved, still, refuted, result.margin, result.nodes, result.rows, play)

    def _grow(
        self, play: Play, goal: Goal, seconds: float | None
    ) -> tuple[TreeResult, dict[int, Counterexample]]:
        found: dict[int, Counterexample] = {}

        def confirm(deviations: Tensor, statements: Tensor) -> list[bool]:
            points = self.place.points(play, deviations)
            real: list[bool] = []
            for i, witness in zip(statements.tolist(), self.place.replay(points), strict=True):
                real.append(witness is not None)
                if witness is not None:
                    found.setdefault(i, witness)
                    self.facts.remember(witness)
            return real

        limit = self.options.tree_seconds if seconds is None else seconds
        with _threads(self.options.threads):
            began = self.clock()

            def stop() -> bool:
                return self.meter.exhausted() is not None

            def over() -> bool:
                return self.clock() - began > limit / 2 or stop()

            network = reduced(play.network, goal.inputs, over) or play.network
            tree = Tree(network, goal, self.place.target, confirm, self.options.tree, over=over)
            result = tree.run(limit - (self.clock() - began), self.clock, stop)
        self.tally.trees += 1
        self.tally.nodes += result.nodes
        self.tally.rounds += 1
        return result, found


@contextmanager
def _threads(count: int) -> Generator[None, None, None]:
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unknown(result: TreeResult) -> Unknown:
    if not result.finished:
        return Unknown(UnknownReason.TIME, f"{result.nodes} nodes")
    worst = min((float(c) for c, _ in result.rows), default=float("nan"))
    if result.stuck or not np.isnan(worst):
        return Unknown(UnknownReason.PRECISION, "the margin lies within rounding error")
    return Unknown(UnknownReason.INCOMPLETE)
