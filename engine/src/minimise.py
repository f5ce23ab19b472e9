"""One explanation: wrap the oracle, ask whether there is one, and shrink it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from .answers import Entailed
from .budget import Budget, Meter
from .errors import InputError
from .explanation import Explanation, Kind, SearchStatistics
from .facts import Facts
from .minimal import STRATEGIES, MinimalSet, Strategy, Verdict, WeakExplanation
from .names import did_you_mean
from .oracle import Counted, Oracle, Recall, fewest_changes, focused, relevant
from .problem import ExplanationProblem
from .replay import Replay
from .selection import arranged, known_features
from .space import FeatureSet

__all__ = ["minimise", "strategy_named"]


def minimise(
    problem: ExplanationProblem,
    oracle: Oracle,
    kind: Kind,
    *,
    strategy: str | Strategy = "witness",
    order: Sequence[int] | None = None,
    within: Iterable[int] | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
    recall: bool = True,
    replay: Replay | None = None,
) -> Explanation | None:
    """Find one subset-minimal explanation.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    kind
        Abductive or contrastive.
    strategy
        A name in `STRATEGIES`, or a strategy of your own.
    order
        Feature indices, those to leave out first in front; features that are not listed
        come before them, by index.
    within
        Look for an explanation among these features only; all mutable ones by default.
    budget, meter
        Limits of the search, or a meter that already runs.  When they run out, what
        has been reached is returned, with its open elements.
    facts
        Evidence to start from and to add to; shared by searches on the same problem.
    recall
        Answer questions that follow from earlier evidence without asking.  Off, the
        published algorithms ask exactly what they ask in print.
    replay
        Confirms counterexamples on the model that runs; shared by searches on the same
        problem so that each is replayed once.

    Returns
    -------
    Explanation or None
        `None` is an answer: it is proved that there is no explanation of this kind.
        There is no CXp (within the given features) when no counterexample exists, and
        then the AXp is the empty set.  There is no AXp when the given features do not
        force the decision.  If it stays unknown whether there is one, an explanation of
        status `UNKNOWN` over all features asked about is returned.

    Raises
    ------
    DataError
        For an order or features that do not exist.
    ReplayError
        If the model that runs contradicts a counterexample: a defect, never an answer.
    InputError
        For an unknown strategy.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> why = minimise(problem, oracle, Kind.AXP)
    >>> why.features, str(why.status)
    (('f0', 'f2'), 'minimal')
    >>> minimise(problem, oracle, Kind.CXP, within=[0, 3]) is None
    True
    """
    started, cpu_started = time.perf_counter(), time.thread_time()
    shrink = strategy_named(strategy)
    meter = meter if meter is not None else (budget or Budget()).start()
    universe = relevant(oracle, problem.universe)
    whole = universe
    if within is not None:
        whole &= known_features(problem, within)
    known_features(problem, order or ())
    counted = Counted(oracle)
    asked: Oracle = Recall(counted, facts) if recall else counted
    predicate = WeakExplanation(kind, asked, universe, meter)
    with focused(oracle, kind):
        start = _start(predicate, whole, ask=recall)
        if start.holds is False:
            return None
        if start.holds is None:
            known = fewest_changes(oracle, whole, meter) if kind is Kind.CXP else 0
            found = MinimalSet(whole, start, {}, whole, known)
        else:
            found = shrink(predicate, start, arranged(start.support, order))
    statistics = SearchStatistics(
        oracle_calls=counted.counts.calls,
        rounds=counted.counts.rounds,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.thread_time() - cpu_started,
    )
    explanation = Explanation(
        problem,
        kind,
        found.members,
        found.verdict.answer,
        found.open,
        found.necessity,
        statistics,
        found.at_least,
    )
    return (replay or Replay(problem)).explanation(explanation)


def strategy_named(strategy: str | Strategy) -> Strategy:
    """Look a strategy up.

    Raises
    ------
    InputError
        If no strategy has this name; the message offers the nearest.

    Examples
    --------
    >>> strategy_named("witness")
    Witness(lanes=None)
    """
    if not isinstance(strategy, str):
        return strategy
    if strategy not in STRATEGIES:
        hint = did_you_mean(strategy, list(STRATEGIES))
        raise InputError(f"no search strategy {strategy!r}{hint}")
    return STRATEGIES[strategy]


def _start(predicate: WeakExplanation, whole: FeatureSet, ask: bool) -> Verdict:
    """Tell whether all features together are a weak explanation."""
    if predicate.kind is Kind.AXP and whole == predicate.universe and not ask:
        # With everything fixed only the instance is left, which keeps the decision.
        return Verdict(True, whole, Entailed(core=whole))
    # An oracle's core for "everything fixed" is a head start; in print there is none.
    return predicate.test_one(whole)
