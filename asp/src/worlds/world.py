"""Worlds: features, what holds among them, what is decided, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from whyproof.asp.rules import Body, Literal, Position, RuleError, RuleSet, Value
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean, first_duplicate

from .causal import CausalRule, Denial, Effect, Precondition
from .feature import WorldFeature
from .goal import Goal

__all__ = ["State", "World"]

State = Mapping[str, Value]
"""Value of every feature of a world, by name."""


@dataclass(frozen=True)
class World:
    """Everything that a plan has to respect.

    Parameters
    ----------
    features
        In the order in which people read them.
    causal
        Rules that states satisfy and that move features.
    denials
        What no state may be.
    preconditions
        What direct actions require.
    effects
        Arithmetic side effects of actions; planning with them needs the extra ``clingcon``.
    decisions
        Rules that decide about a state; the first that fires counts.
    goal
        The decisions to reach.
    name
        Shown in reports.

    Raises
    ------
    RuleError
        If a rule names a feature that does not exist; with its place in the text.

    Examples
    --------
    >>> from whyproof.engine.domain import Integers
    >>> debt = WorldFeature("debt", Integers(lower=0, upper=100_000))
    >>> World((debt,)).state({"debt": 0})
    {'debt': 0}
    """

    features: tuple[WorldFeature, ...]
    causal: tuple[CausalRule, ...] = ()
    denials: tuple[Denial, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
    effects: tuple[Effect, ...] = ()
    decisions: RuleSet | None = None
    goal: Goal = field(default_factory=Goal)
    name: str = ""

    def __post_init__(self) -> None:
        if not self.features:
            raise DataError("a world needs at least one feature; describe them under [features]")
        twice = first_duplicate(self.names)
        if twice is not None:
            raise DataError(f"two features are named {twice!r}; names must be unique")
        for literal in self.literals():
            self._known(literal.feature, literal.position)
        for rule in self.causal:
            self._known(rule.feature, rule.position)
        for precondition in self.preconditions:
            self._known(precondition.feature, precondition.position)
        for effect in self.effects:
            self._known(effect.action, effect.position)
            self._known(effect.feature, effect.position)
        if self.decisions is not None:
            if self.decisions.target in self.names:
                raise DataError(
                    f"the rules decide {self.decisions.target!r}, which is a feature of the world; "
                    "rename one of them"
                )
            self.goal.check(self.decisions)

    def _known(self, name: str, position: Position | None) -> None:
        if name not in self.names:
            raise RuleError(f"no feature {name!r}{did_you_mean(name, self.names)}", position)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each feature by name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def statements(self) -> tuple[CausalRule | Denial, ...]:
        """Causal rules and denials: what every state satisfies."""
        causal: list[CausalRule | Denial] = list(self.causal)
        return (*causal, *self.denials)

    def feature(self, name: str) -> WorldFeature:
        """Return a feature.

        Raises
        ------
        DataError
            If there is none of this name; the nearest is suggested.
        """
        if name not in self.index:
            raise DataError(f"no feature {name!r}{did_you_mean(name, self.names)}")
        return self.features[self.index[name]]

    def literals(self) -> Iterator[Literal]:
        """Yield every literal of every rule."""
        for group in (self.causal, self.denials, self.preconditions):
            for statement in group:
                yield from statement.literals
        for effect in self.effects:
            yield from effect.target
        if self.decisions is not None:
            for rule in self.decisions.rules:
                yield from rule.body.all_literals()

    def with_decisions(self, decisions: RuleSet, goal: Goal | None = None) -> World:
        """Return the world with other decision rules, and perhaps another goal."""
        return replace(self, decisions=decisions, goal=self.goal if goal is None else goal)

    def rules(self) -> RuleSet:
        """Return the decision rules.

        Raises
        ------
        DataError
            If the world has none.
        """
        if self.decisions is None:
            raise DataError("the world has no decision rules; name a rule file or add rules to it")
        return self.decisions

    def state(self, values: Mapping[str, object], *, partial: bool = False) -> dict[str, Value]:
        """Check a person's values and return them as the world has them.

        Parameters
        ----------
        values
            Value by feature name.
        partial
            Whether features may be left out.

        Raises
        ------
        DataError
            For an unknown or absent feature or a value outside its domain.
        """
        for name in values:
            if name not in self.index:
                raise DataError(
                    f"the state has a feature {name!r} that the world does not know"
                    f"{did_you_mean(name, self.names)}"
                )
        absent = [name for name in self.names if name not in values]
        if absent and not partial:
            shown = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
            raise DataError(f"the state has no value for {shown}")
        return {n: self.feature(n).value(values[n]) for n in self.names if n in values}

    def violated(self, state: State) -> list[CausalRule | Denial]:
        """Return the causal rules and denials that a complete state does not satisfy."""
        broken: list[CausalRule | Denial] = []
        joint = _together(self.causal)
        for rule in self.causal:
            holds = all(literal.accepts(state[rule.feature]) for literal in rule.heads)
            if _any(rule.bodies, state):
                satisfied = holds
            elif rule.iff and not any(_any(r.bodies, state) for r in joint[_key(rule)]):
                instead = [literal.accepts(state[rule.feature]) for literal in rule.otherwise]
                satisfied = all(instead) if instead else not holds
            else:
                satisfied = True
            if not satisfied:
                broken.append(rule)
        broken += [denial for denial in self.denials if _any(denial.bodies, state)]
        return broken

    def decide(self, state: State) -> Value:
        """Return the decision of the rules for a complete state."""
        rules = self.rules()
        values = dict(state)
        for rule in rules.rules:
            if rule.body.accepts(values):
                return rule.head.values[0]
        return rules.default


def _any(bodies: tuple[Body, ...], state: State) -> bool:
    values = dict(state)
    return any(body.accepts(values) for body in bodies)


def _key(rule: CausalRule) -> tuple[tuple[Literal, ...], tuple[Literal, ...]]:
    return rule.heads, rule.otherwise


def _together(
    rules: tuple[CausalRule, ...],
) -> dict[tuple[tuple[Literal, ...], tuple[Literal, ...]], list[CausalRule]]:
    """Group the rules that speak together in their converse."""
    groups: dict[tuple[tuple[Literal, ...], tuple[Literal, ...]], list[CausalRule]] = {}
    for rule in rules:
        if rule.iff:
            groups.setdefault(_key(rule), []).append(rule)
    return groups
