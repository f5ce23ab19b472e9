"""What each rule of a list is right on, and which rules earn their place.

A rule stays in the list when its class is the most frequent one among the rows that it
decides; rules that decide nothing, or that a neighbour makes idle, go.  Dropping a rule
hands its rows to later rules, so counting is repeated until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.literal import Literal, Operator
from whyproof.asp.rules.logic import without_subsumed
from whyproof.asp.rules.rule import Rule, RuleSet
from whyproof.asp.rules.support import Support
from whyproof.asp.rules.table import Table
from whyproof.asp.rules.values import Value

from .assembly import ClassRule, Draft

__all__ = ["MeasuredRules", "measured"]

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeasuredRules:
    """A finished list.

    Parameters
    ----------
    rules
        With the support of each rule and of the default.
    labels
        Class index of each rule, the default's last, shape ``(rules + 1,)``.
    counts
        Weight of each class among the rows that each rule decides, the default's last,
        shape ``(rules + 1, classes)``.
    """

    rules: RuleSet
    labels: npt.NDArray[np.int64]
    counts: Counts

    def probabilities(self) -> Counts:
        """Return the class shares of each rule's rows, shape ``(rules + 1, classes)``.

        A rule without rows gives its own class twice the share of any other.
        """
        shares = self.counts.copy()
        for k in np.flatnonzero(~shares.any(axis=1)).tolist():
            shares[k] = 1.0
            shares[k, self.labels[k]] = 2.0
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def measured(
    draft: Draft,
    table: Table,
    labels: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64] | None,
    classes: Sequence[Value],
    target: str,
    names: Sequence[str] = (),
) -> MeasuredRules:
    """Return the list with what it is right on, without rules that do not earn their place.

    Parameters
    ----------
    draft
        What was learnt.
    table, labels, weights
        The training data; class indices.
    classes
        The classes' values.
    target
        What the rules decide.
    names
        Names of the prior rules, by number.
    """
    kept = _without_idle(draft.rules, classes, target)
    while True:
        counts = _counts(kept, table, labels, weights, len(classes))
        out = {
            k
            for k, rule in enumerate(kept)
            if not rule.is_fixed and (not counts[k].any() or counts[k].argmax() != rule.label)
        }
        if not out:
            break
        kept = [rule for k, rule in enumerate(kept) if k not in out]
    default = draft.default
    rules = list[Rule]()
    for k, rule in enumerate(kept):
        name = "" if rule.source is None or not names else names[rule.source]
        head = Literal(target, Operator.EQ, classes[rule.label])
        rules.append(Rule(head, rule.body, _support(counts[k], rule.label), name))
    rule_set = RuleSet(target, tuple(rules), classes[default], _support(counts[len(kept)], default))
    indices = np.array([*(rule.label for rule in kept), default], dtype=np.int64)
    return MeasuredRules(rule_set, indices, counts)


def _without_idle(
    rules: Sequence[ClassRule], classes: Sequence[Value], target: str
) -> list[ClassRule]:
    """Drop subsumed rules; fixed ones count as reasons but never go."""
    by_rule = {
        id(rule): Rule(Literal(target, Operator.EQ, classes[rule.label]), rule.body)
        for rule in rules
    }
    remaining = {id(rule) for rule in without_subsumed(list(by_rule.values()))}
    return [rule for rule in rules if rule.is_fixed or id(by_rule[id(rule)]) in remaining]


def _counts(
    rules: Sequence[ClassRule],
    table: Table,
    labels: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64] | None,
    n_classes: int,
) -> Counts:
    head = Literal("_", Operator.EQ, True)
    firing = RuleSet("_", tuple(Rule(head, rule.body) for rule in rules)).firing(table)
    decided = np.where(firing < 0, len(rules), firing)
    cells = decided * n_classes + labels
    counts = np.bincount(cells, weights, minlength=(len(rules) + 1) * n_classes)
    return counts.astype(np.float64).reshape(len(rules) + 1, n_classes)


def _support(counts: Counts, label: int) -> Support:
    return Support(float(counts[label]), float(counts.sum()))
