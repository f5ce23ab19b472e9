"""The planner: from a person's state to the decision that is wanted.

The method is that of CoGS (causally constrained counterfactual paths by answer-set
programming), with another semantics and engine: steps are one direct action each with
well-founded causal effects, numbers are exact cells, lengths are refuted one by one so
that the first path is minimal, all minimal paths come without duplicates or padding, and
every path is replayed by definition, on the rules by value, and on the real model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from whyproof.asp.rules import Value
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.problem import Problem
from whyproof.asp.worlds.world import World
from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError, UnsupportedError

from .changes import fewest_changes
from .cheapest import cheapest_paths
from .conformant import conformant_paths
from .diverse import diverse_paths
from .judge import Judge
from .options import Effects, Objective, PlanOptions, StartPolicy
from .plan import Plan, PlanStatus, Rejected, Repair
from .repair import repair_start
from .replay import Verdicts
from .shortest import Search, shortest_paths

__all__ = ["Planner"]


class Planner:
    """Plans in one world.

    Parameters
    ----------
    world
        Features, rules and goal.
    options
        What is asked for; all shortest paths within ten actions by default.
    judge
        The real model behind the rules; goals that it does not confirm do not count.
    budget
        Limits of each call.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import world_from_toml
    >>> rules = read_rules("label = no :- balance < 60000.  label = no :- score < 620.")
    >>> world = world_from_toml('''
    ... [features.debt]
    ... type = "integers"
    ... lower = 0
    ... [features.balance]
    ... type = "integers"
    ... lower = 0
    ... [features.score]
    ... type = "integers"
    ... lower = 300
    ... upper = 850
    ... change = "immutable"
    ... [[causal]]
    ... if = "debt = 0"
    ... then = "score >= 620"
    ... iff = true
    ... ''').with_decisions(rules)
    >>> plan = Planner(world).plan({"debt": 5000, "balance": 40000, "score": 619})
    >>> plan.status, plan.length, len(plan.paths)
    (<PlanStatus.MINIMAL: 'minimal'>, 2, 2)
    >>> print(plan.paths[0])
    1. debt: 5000 -> 0
       and so score: 619 -> 620 (any of 620 .. 850)
    2. balance: 40000 -> 60000 (any of >= 60000)
    """

    def __init__(
        self,
        world: World,
        options: PlanOptions | None = None,
        *,
        judge: Judge | None = None,
        budget: Budget | None = None,
    ) -> None:
        world.rules()
        self.world = world
        self.options = options or PlanOptions()
        self.judge = judge
        self.budget = budget or Budget()

    def plan(self, state: Mapping[str, object]) -> Plan:
        """Find paths for one person.

        Parameters
        ----------
        state
            Value by feature name; every feature of the world, no other.

        Raises
        ------
        DataError
            For a state that does not fit the world, or violates its rules while the
            start policy is `ERROR`.
        UnsupportedError
            For a world with arithmetic effects; see `arithmetic`.
        ReplayError
            If a path fails its replay: a defect.
        """
        if self.world.effects:
            raise UnsupportedError(
                "the world has arithmetic effects; plan with whyproof.asp.planning.arithmetic"
            )
        meter = self.budget.start()
        values = self.world.state(state)
        problem, values, repair = self._start(values)
        verdicts = Verdicts(problem, self.judge)
        label: Value = None
        if self.judge is not None:
            label = self.judge.decide([values])[0]
        options = self.options
        if options.effects is Effects.CONFORMANT:
            search = conformant_paths(problem, options, verdicts, meter)
        elif options.objective is Objective.COST:
            search = cheapest_paths(problem, options, verdicts, meter)
        elif options.objective is Objective.CHANGES:
            search = fewest_changes(problem, options, verdicts, meter)
        elif options.diverse:
            search = diverse_paths(problem, options, verdicts, meter)
        else:
            search = shortest_paths(problem, options, verdicts, meter)
        goal = problem.world.goal
        return Plan(
            _status(search),
            tuple(search.paths),
            values,
            f"{self.world.rules().target}: {goal.describe()}",
            search.paths[0].length if search.paths else None,
            search.complete,
            repair,
            _tolerated(problem),
            tuple(Rejected(denied, found) for denied, found in verdicts.denied),
            label,
            search.unreachable or search.note,
            {**search.statistics, "refuted": float(search.refuted), "seconds": meter.elapsed},
        )

    def problem(self, state: Mapping[str, object]) -> Problem:
        """Return the problem over cells that `plan` would solve for a person."""
        return self._start(self.world.state(state))[0]

    def _start(self, values: dict[str, Value]) -> tuple[Problem, dict[str, Value], Repair | None]:
        """Compile the world for a state, by the start policy."""
        policy = self.options.start
        violated = self.world.violated(values)
        if violated and policy is StartPolicy.ERROR:
            raise DataError(
                f"the state violates {len(violated)} rule(s) of the world, first: {violated[0]}; "
                "correct it, or choose the start policy 'repair' or 'ignore'"
            )
        ignore = bool(violated) and policy is StartPolicy.IGNORE
        problem = self._compile(self.world, values, tolerate=ignore)
        repair: Repair | None = None
        if violated and policy is StartPolicy.REPAIR:
            # the goal is about the person as given, not as repaired
            goal = problem.world.goal
            values, repair = repair_start(problem, values, self.budget.start())
            problem = self._compile(replace(self.world, goal=goal), values)
        return problem, values, repair

    def _compile(
        self, world: World, values: Mapping[str, Value], *, tolerate: bool = False
    ) -> Problem:
        ends = self.options.objective is Objective.COST
        return compile_world(world, values, ends=ends, tolerate=tolerate)


def _status(search: Search) -> PlanStatus:
    if search.paths:
        return PlanStatus.MINIMAL if search.proved else PlanStatus.FOUND
    if search.unreachable:
        return PlanStatus.UNREACHABLE
    return PlanStatus.STOPPED if search.stopped else PlanStatus.NONE_WITHIN


def _tolerated(problem: Problem) -> tuple[str, ...]:
    numbers = sorted(problem.tolerated)
    return tuple(dict.fromkeys(str(problem.origins[number]) for number in numbers))
