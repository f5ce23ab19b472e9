"""From bodies to a total, ordered list of rules.

With two classes, rules are learnt for one of them and the default is the other one, as
FOLD-SE does.  Otherwise the list is ordered, as in FOLD-RM (Wang, Shakerin and Gupta,
2022): learn one rule for the largest class among the rows that are left, take away all
rows that it covers, go on.  FOLD-RM stops when the largest class yields no rule and
leaves rows without an answer; ours tries the next class and ends with a default, so that
every row gets one.

Nobody checks the default of a one-class list in FOLD-SE.  Ours must meet the standard of
the rules, at most `ratio` wrong rows per right one; where it does not, the list is
learnt in order instead, unless the user wants one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.logic import simplified
from whyproof.asp.rules.rule import Body
from whyproof.asp.rules.table import Table

from .examples import Examples, Rows
from .induction import Inducer

__all__ = ["ClassRule", "Draft", "Order", "PriorRule", "draft_rules"]

Order = Literal["auto", "one-class", "ordered"]
"""How a list for two classes is organised; more classes are always ordered."""

Labels = npt.NDArray[np.int64]
"""Class index per row."""


@dataclass(frozen=True, slots=True)
class ClassRule:
    """A body and the class it stands for; `source` is the prior rule it came from."""

    label: int
    body: Body
    source: int | None = None
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class PriorRule:
    """A rule given by the user; a fixed one is kept as it is."""

    label: int
    body: Body
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """An ordered list and its default class."""

    rules: tuple[ClassRule, ...]
    default: int


def draft_rules(
    table: Table,
    examples: Examples,
    labels: Labels,
    n_classes: int,
    inducer: Inducer,
    *,
    order: Order = "auto",
    target: int | None = None,
    prior: Sequence[PriorRule] = (),
) -> Draft:
    """Learn an ordered list of rules.

    Parameters
    ----------
    table, examples
        The same rows, as values and coded.
    labels
        Class index of each row.
    n_classes
        Number of classes, at least two.
    inducer
        Learns the bodies.
    order
        ``"one-class"`` (two classes only), ``"ordered"``, or ``"auto"``: the former while
        its default is good enough.
    target
        The class of a one-class list; the larger one by default.
    prior
        Rules that come first.
    """
    everything: Rows = np.arange(table.n_rows)
    rest = everything
    rules = list[ClassRule]()
    for number, given in enumerate(prior):
        fires = given.body.holds(table)[rest]
        rule = _adopted(number, given, rest[fires], labels, inducer)
        if rule is not None:
            rules.append(rule)
            rest = rest[~rule.body.holds(table)[rest]]
    if n_classes == 2 and order != "ordered":
        chosen = _largest(examples, labels, everything, 2) if target is None else target
        mine = labels[rest] == chosen
        learnt = inducer.bodies(rest[mine], rest[~mine])
        left = rest[~inducer.covered([body for body, _ in learnt], rest)]
        wrong, right = (
            examples.weight(left[labels[left] == label]) for label in (chosen, 1 - chosen)
        )
        if order == "one-class" or target is not None or wrong <= inducer.ratio * right:
            bodies = (simplified(body.body(examples)) for body, _ in learnt)
            rules += [ClassRule(chosen, body) for body in bodies if body is not None]
            return Draft(tuple(rules), 1 - chosen)
    rest = _ordered(rules, rest, examples, labels, n_classes, inducer)
    return Draft(
        tuple(rules),
        _largest(examples, labels, rest if len(rest) else everything, n_classes),
    )


def _adopted(
    number: int, given: PriorRule, fires: Rows, labels: Labels, inducer: Inducer
) -> ClassRule | None:
    """Return a prior rule as it is, or with what the data adds; `None` without support."""
    if given.is_fixed:
        return ClassRule(given.label, given.body, number, is_fixed=True)
    right = labels[fires] == given.label
    learnt, _ = inducer.body(fires[right], fires[~right], start=given.body)
    if learnt is None:
        return None
    body = simplified(learnt.body(inducer.examples))
    return None if body is None else ClassRule(given.label, body, number)


def _ordered(
    rules: list[ClassRule],
    rest: Rows,
    examples: Examples,
    labels: Labels,
    n_classes: int,
    inducer: Inducer,
) -> Rows:
    """Append rules until none is kept, and return the rows that are left."""
    while len(rest):
        sizes = _sizes(examples, labels, rest, n_classes)
        order = sorted(np.flatnonzero(sizes).tolist(), key=lambda label: (-sizes[label], label))
        if len(order) < 2:
            break
        for label in order:
            mine = labels[rest] == label
            learnt, _ = inducer.body(rest[mine], rest[~mine])
            if learnt is None:
                continue
            body = simplified(learnt.body(examples))
            if body is None:
                continue
            rules.append(ClassRule(label, body))
            rest = rest[~inducer.covered((learnt,), rest)]
            break
        else:
            break
    return rest


def _sizes(
    examples: Examples, labels: Labels, rows: Rows, n_classes: int
) -> npt.NDArray[np.float64]:
    weights = None if examples.weights is None else examples.weights[rows]
    return np.bincount(labels[rows], weights, minlength=n_classes).astype(np.float64)


def _largest(examples: Examples, labels: Labels, rows: Rows, n_classes: int) -> int:
    return int(_sizes(examples, labels, rows, n_classes).argmax())
