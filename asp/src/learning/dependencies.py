"""Proposals for causal rules: what the other features tell about each feature.

Data alone cannot say what causes what.  This finds dependencies that are strong enough to
deserve a look, for a person to approve, turn round or strike out; nothing here is used
unasked.  For each value of a feature, or each cut of its numbers, default rules are learnt
from the other features, and those that are right often enough are kept with their figures,
as the CoGS authors did with FOLD-SE.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.literal import Literal, Operator
from whyproof.asp.rules.logic import implies, simplified
from whyproof.asp.rules.rule import Rule
from whyproof.asp.rules.support import Support
from whyproof.asp.rules.table import Table
from whyproof.asp.rules.write import write_heads
from whyproof.engine.errors import InputError

from .examples import Examples
from .heuristics import heuristic_named
from .induction import Inducer
from .inputs import read_features

__all__ = ["Dependency", "learn_dependencies", "write_dependencies"]

_MOST_HEADS = 40
"""Most values of one feature that are tried as heads, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A proposed causal rule.

    Parameters
    ----------
    rule
        With its support: rows where it fires, and those where its head holds as well.
    recall
        Share of the rows with the head where the rule fires.
    base
        Share of all rows with the head: what would be right without any rule.
    accuracy
        Share of rows where the head holds exactly if the rule fires.
    """

    rule: Rule
    recall: float
    base: float
    accuracy: float

    @property
    def precision(self) -> float:
        """Share of the rows where the rule fires that have the head."""
        return 0.0 if self.rule.support is None else self.rule.support.confidence


def learn_dependencies(
    X: object,
    *,
    heads: Collection[str] | None = None,
    causes: Collection[str] | None = None,
    least_confidence: float = 0.7,
    heuristic: str = "power",
    ratio: float = 0.5,
    tail: float = 0.01,
    cuts: int = 9,
) -> tuple[Dependency, ...]:
    """Propose causal rules for the features of a table.

    Parameters
    ----------
    X
        The table, without the label that is to be decided.
    heads
        Features that rules may conclude; all by default.
    causes
        Features that rules may test; all by default.
    least_confidence
        Least share of right conclusions, in [0, 1].  The lower end of the 95 % interval
        must beat the head's own frequency as well.
    heuristic, ratio, tail
        As for `FoldSE`.
    cuts
        Number of quantiles at which a feature of numbers is cut.

    Returns
    -------
    tuple of Dependency
        By feature in the table's order, the most confident first.

    Raises
    ------
    InputError
        For unknown features or a confidence outside [0, 1].

    Examples
    --------
    >>> X = {"debt": [0.0, 1.0] * 100, "score": ["good", "bad"] * 100}
    >>> [str(found.rule) for found in learn_dependencies(X, heads=["score"])]
    ['score = bad if not debt <= 0', 'score = good if debt <= 0']
    """
    if not 0 <= least_confidence <= 1:
        raise InputError(f"a confidence lies in [0, 1], found {least_confidence}")
    table = read_features(X)
    examples = Examples.of(table)
    wanted = table.names if heads is None else tuple(heads)
    allowed = set(table.names if causes is None else causes)
    for name in (*wanted, *allowed):
        table.column(name)
    found = list[Dependency]()
    for name in table.names:
        if name not in wanted:
            continue
        others = tuple(f for f in examples.features if f.name != name and f.name in allowed)
        if not others:
            continue
        inducer = Inducer(
            Examples(others, None, table.n_rows),
            heuristic_named(heuristic),
            ratio,
            tail * table.n_rows,
        )
        of_feature = list[Dependency]()
        for head in _heads(table, name, tail, cuts):
            of_feature += _rules_for(head, table, inducer, least_confidence)
        found += sorted(
            _strongest(of_feature), key=lambda d: (-d.precision, -d.recall, str(d.rule))
        )
    return tuple(found)


def write_dependencies(dependencies: Iterable[Dependency]) -> str:
    """Write proposals as rules by name, each below a comment with its figures.

    Examples
    --------
    >>> X = {"debt": [0.0, 1.0] * 100, "score": ["good", "bad"] * 100}
    >>> print(write_dependencies(learn_dependencies(X, heads=["score"])[:1]), end="")
    % Proposals: keep what is a cause, strike out or turn round what is not.
    % precision 1.000, recall 1.000, accuracy 1.000, without the rule 0.500
    %@ support 100 of 100
    score = bad :- not debt =< 0.0.
    """
    lines = ["% Proposals: keep what is a cause, strike out or turn round what is not.\n"]
    for found in dependencies:
        lines.append(
            f"% precision {found.precision:.3f}, recall {found.recall:.3f}, "
            f"accuracy {found.accuracy:.3f}, without the rule {found.base:.3f}\n"
        )
        lines.append(write_heads([found.rule]))
    return "".join(lines)


def _heads(table: Table, name: str, tail: float, cuts: int) -> list[Literal]:
    """Return what could be concluded about a feature."""
    column = table[name]
    if column.is_numeric and len(np.unique(column.numbers)) > _MOST_HEADS // 2:
        numbers = column.numbers[~np.isnan(column.numbers)]
        quantiles = np.quantile(numbers, np.arange(1, cuts + 1) / (cuts + 1), method="inverted_cdf")
        at_most = [Literal(name, Operator.LE, float(q)) for q in np.unique(quantiles)]
        above = [replace(literal, operator=Operator.GT) for literal in at_most]
        return [h for h in at_most + above if not _is_trivial(h, table)]
    counts = np.bincount(column.codes, minlength=len(column.values))
    frequent = np.argsort(-counts, kind="stable")[:_MOST_HEADS].tolist()
    return [
        Literal(name, Operator.EQ, column.values[code])
        for code in frequent
        if counts[code] >= max(1.0, tail * table.n_rows) and counts[code] < table.n_rows
    ]


def _is_trivial(head: Literal, table: Table) -> bool:
    holds = head.holds(table[head.feature])
    return bool(holds.all() or not holds.any())


def _rules_for(
    head: Literal, table: Table, inducer: Inducer, least_confidence: float
) -> list[Dependency]:
    holds = head.holds(table[head.feature])
    found = list[Dependency]()
    for learnt, _ in inducer.bodies(np.flatnonzero(holds), np.flatnonzero(~holds)):
        body = simplified(learnt.body(inducer.examples))
        if body is None:
            continue
        fires = body.holds(table)
        dependency = _measured(Rule(head, body), fires, holds)
        support = dependency.rule.support
        if (
            support is not None
            and support.confidence >= least_confidence
            and support.interval()[0] > dependency.base
        ):
            found.append(dependency)
    return found


def _measured(rule: Rule, fires: npt.NDArray[np.bool_], holds: npt.NDArray[np.bool_]) -> Dependency:
    both = int((fires & holds).sum())
    return Dependency(
        replace(rule, support=Support(both, int(fires.sum()))),
        recall=both / max(1, int(holds.sum())),
        base=float(holds.mean()),
        accuracy=float((fires == holds).mean()),
    )


def _strongest(found: list[Dependency]) -> list[Dependency]:
    """Of rules with one body keep those whose head no other head implies."""
    return [
        one
        for one in found
        if not any(
            other.rule.body == one.rule.body
            and other.rule.head != one.rule.head
            and implies(other.rule.head, one.rule.head)
            for other in found
        )
    ]
