"""A decision tree as a rule set: one rule for each leaf, exact to the last bit.

Leaves are disjoint, so the order of the rules is irrelevant; the outcome with the most leaves
becomes the default.  Where a tree rounds its inputs to float32 before it compares, the
literal compares with the double at which that rounding turns over.  A missing value goes
where the tree sends it: an ordering literal excludes it, its negation as failure does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.errors import UnsupportedError

from .literal import Literal, Operator
from .rule import Body, Rule, RuleSet
from .values import Value

__all__ = ["rules_of_tree"]


def rules_of_tree(tree: TreeEnsemble, features: Sequence[str], *, target: str = "label") -> RuleSet:
    """Translate a single decision tree for classes into rules that always decide alike.

    Parameters
    ----------
    tree
        An ensemble of one tree.
    features
        Name of each column.
    target
        Name of what the rules decide.

    Raises
    ------
    UnsupportedError
        For more than one tree, regressors, and splits that are not numeric comparisons.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from whyproof.models import load_model
    >>> fitted = DecisionTreeClassifier(max_depth=1).fit([[1.0], [4.0]], ["no", "yes"])
    >>> print(rules_of_tree(load_model(fitted).structure, ["income"]).rules[0])
    label = yes if not income <= 2.500000119...
    """
    if len(tree.trees) != 1 or tree.rule is DecisionRule.VALUE:
        raise UnsupportedError(
            f"rules are made from one decision tree for classes, found {len(tree.trees)} trees of "
            f"rule {tree.rule}; imitate other models by extract_rules"
        )
    leaves = list(_leaves(tree, features))
    default = Counter(text for text, _ in leaves).most_common(1)[0][0]
    rules = tuple(
        Rule(Literal(target, Operator.EQ, outcome), Body(literals))
        for outcome, literals in leaves
        if outcome != default
    )
    return RuleSet(target, rules, default=default)


def _leaves(
    ensemble: TreeEnsemble, features: Sequence[str]
) -> Iterator[tuple[Value, tuple[Literal, ...]]]:
    (tree,) = ensemble.trees
    waiting: list[tuple[int, tuple[Literal, ...]]] = [(0, ())]
    while waiting:
        node, literals = waiting.pop()
        if tree.left[node] < 0:
            yield _outcome(ensemble, node), literals
            continue
        boundary = float(tree.boundary[node])
        odd = node in tree.categories or (
            tree.zero_missing is not None and bool(tree.zero_missing[node])
        )
        if odd or np.isnan(boundary):
            raise UnsupportedError(
                f"node {node} of the tree is no plain comparison of numbers; "
                "imitate the model by extract_rules"
            )
        operator, value = _below(boundary, ensemble)
        feature = features[int(tree.column[node])]
        if bool(tree.missing_left[node]):
            opposite = Operator.GE if operator is Operator.LT else Operator.GT
            right = Literal(feature, opposite, value)
            left = right.complement
        else:
            left = Literal(feature, operator, value)
            right = left.complement
        waiting.append((int(tree.right[node]), (*literals, right)))
        waiting.append((int(tree.left[node]), (*literals, left)))


def _below(boundary: float, ensemble: TreeEnsemble) -> tuple[Operator, float]:
    """Return the comparison of doubles that says ``cast(x) < boundary``."""
    if np.isinf(boundary):  # all numbers go one way, the missing value goes its own
        most = float(np.finfo(np.float64).max)
        return (Operator.LE, most) if boundary > 0 else (Operator.LT, -most)
    if ensemble.input_type == "float64":
        return Operator.LT, boundary
    first = np.float32(boundary)
    if float(first) < boundary:
        first = np.nextafter(first, np.float32(np.inf))
    last = np.nextafter(first, np.float32(-np.inf))
    between = (float(last) + float(first)) / 2
    goes_down = float(np.float32(between)) < boundary
    return (Operator.LE if goes_down else Operator.LT), between


def _outcome(ensemble: TreeEnsemble, leaf: int) -> Value:
    (tree,) = ensemble.trees
    sums = ensemble.base + tree.values[leaf] / ensemble.divisor
    match ensemble.rule:
        case DecisionRule.ARGMAX:
            index = int(sums.argmax())
        case DecisionRule.POSITIVE:
            index = int(sums[0] > 0)
        case _:
            index = int(sums[0] >= 0)
    return str(ensemble.classes[index])
