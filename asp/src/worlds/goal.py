"""Goals: which decisions a person wants to reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from whyproof.asp.rules import RuleSet, Value
from whyproof.asp.rules.values import text_of
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean

__all__ = ["Goal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """The decisions that count as reached.

    Rules may describe the wanted class or the unwanted one; the goal says which, so that
    nothing depends on the direction in which rules were learnt.

    Parameters
    ----------
    desired
        Labels to reach; empty when `undesired` says it.
    undesired
        Labels to leave: any other decision is reached, no decision at all included.

    Examples
    --------
    >>> Goal(undesired=("reject",)).is_reached("accept"), Goal().is_open
    (True, True)
    """

    desired: tuple[Value, ...] = ()
    undesired: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if self.desired and self.undesired:
            raise DataError("a goal names the desired labels or the undesired ones, not both")

    @property
    def is_open(self) -> bool:
        """Whether nothing is said, so that any decision other than the present one counts."""
        return not self.desired and not self.undesired

    def for_decision(self, present: Value) -> Goal:
        """Return the goal for a person whose present decision is known."""
        return Goal(undesired=(present,)) if self.is_open else self

    def is_reached(self, label: Value) -> bool:
        """Tell whether a decision counts as reached."""
        if self.desired:
            return text_of(label) in _texts(self.desired)
        return text_of(label) not in _texts(self.undesired)

    def check(self, rules: RuleSet) -> None:
        """Refuse labels that the rules never decide.

        Raises
        ------
        DataError
            Naming the label, with the nearest known one.
        """
        known = [text_of(label) for label in rules.labels]
        for label in (*self.desired, *self.undesired):
            # where no rule fires and there is no default, the decision is the missing value
            if text_of(label) not in known and (rules.default is not None or label is not None):
                hint = did_you_mean(text_of(label), known)
                raise DataError(f"the rules never decide {text_of(label)!r}{hint}")

    def describe(self) -> str:
        """Write the goal as words."""
        if self.is_open:
            return "any other decision"
        words = [text_of(label) or "no decision" for label in self.desired or self.undesired]
        return " or ".join(words) if self.desired else f"not {' nor '.join(words)}"


def _texts(labels: Iterable[Value]) -> set[str]:
    return {text_of(label) for label in labels}
