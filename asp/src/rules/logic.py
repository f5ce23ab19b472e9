"""What follows from a literal or a body alone, for every row that there could be.

The answers are sound and, for single literals, complete up to the rare cases where one
text is a number and a name: `False` from `entails` may mean that nothing simple shows it.
"""

from __future__ import annotations

import math

from .literal import Literal, Operator
from .rule import Body, Rule
from .values import Value, number_of, text_of

__all__ = ["contradicts", "entails", "implies", "simplified", "without_subsumed"]

_UPPER = (Operator.LT, Operator.LE)


def implies(left: Literal, right: Literal) -> bool:
    """Tell whether every value that satisfies `left` satisfies `right`.

    Examples
    --------
    >>> low, lower = Literal("age", Operator.LE, 30), Literal("age", Operator.LT, 30)
    >>> implies(lower, low), implies(low, lower)
    (True, False)
    """
    if left.feature != right.feature:
        return False
    if left == right:
        return True
    if left.operator in (Operator.EQ, Operator.IN):
        return all(right.accepts(twin) for value in left.values for twin in _twins(value))
    if right.operator in (Operator.NE, Operator.NOT_IN):
        excluded = {text_of(value) for value in right.values}
        if left.operator in (Operator.NE, Operator.NOT_IN):
            return excluded <= {text_of(value) for value in left.values}
        return not any(left.accepts(twin) for value in right.values for twin in _twins(value))
    if not left.operator.is_order or not right.operator.is_order:
        return False
    if left.negated:
        return right.negated and _order_implies(right, left)
    if right.negated:
        return _order_excludes(left, right)
    return _order_implies(left, right)


def contradicts(left: Literal, right: Literal) -> bool:
    """Tell whether no value satisfies both."""
    return implies(left, right.complement)


def entails(left: Body, right: Body) -> bool:
    """Tell whether `right` visibly holds wherever `left` does.

    Examples
    --------
    >>> a, b = Literal("a", Operator.EQ, 1), Literal("b", Operator.EQ, 1)
    >>> entails(Body((a, b)), Body((a,))), entails(Body((a,)), Body((a, b)))
    (True, False)
    """
    return all(
        any(implies(known, literal) for known in left.literals) for literal in right.literals
    ) and all(
        any(contradicts(known, literal) for known in left.literals for literal in e.literals)
        or any(entails(e, known) for known in left.exceptions)
        for e in right.exceptions
    )


def simplified(body: Body, context: tuple[Literal, ...] = ()) -> Body | None:
    """Return an equivalent body without idle literals and exceptions.

    Parameters
    ----------
    body
        What to simplify.
    context
        Literals that are known to hold wherever the body is asked.

    Returns
    -------
    Body or None
        `None` if the body never holds.

    Examples
    --------
    >>> married = Literal("marital", Operator.EQ, "married")
    >>> rule = Body((Literal("age", Operator.LE, 9),), (Body((married.complement,)),))
    >>> print(simplified(rule))
    age <= 9 and marital = married
    """
    literals = list(body.literals)
    exceptions = list(body.exceptions)
    while True:
        kept = _irredundant(literals, context)
        if kept is None:
            return None
        literals = kept
        found = list[Body]()
        inlined = list[Literal]()
        for exception in exceptions:
            simple = simplified(exception, (*context, *literals))
            if simple is None:
                continue
            if not simple.literals and not simple.exceptions:
                return None
            if len(simple.literals) == 1 and not simple.exceptions:
                inlined.append(simple.literals[0].complement)
            else:
                found.append(simple)
        exceptions = found
        if not inlined:
            break
        literals += inlined
    distinct = list(dict.fromkeys(exceptions))
    kept_exceptions = [
        e
        for k, e in enumerate(distinct)
        if not any(
            entails(e, other) and (j < k or not entails(other, e))
            for j, other in enumerate(distinct)
            if j != k
        )
    ]
    return Body(tuple(literals), tuple(kept_exceptions))


def without_subsumed(rules: list[Rule]) -> list[Rule]:
    """Return an ordered list without rules that cannot change any decision.

    A rule is idle if an earlier one fires wherever it does, or if a later one with the
    same head does and all rules between have that head too.

    Examples
    --------
    >>> p = Literal("label", Operator.EQ, "p")
    >>> a, b = Literal("a", Operator.EQ, 1), Literal("b", Operator.EQ, 1)
    >>> len(without_subsumed([Rule(p, Body((a, b))), Rule(p, Body((b,)))]))
    1
    """
    kept = list(rules)
    k = 0
    while k < len(kept):
        rule = kept[k]
        idle = any(entails(rule.body, earlier.body) for earlier in kept[:k])
        for later in kept[k + 1 :]:
            if idle or later.head != rule.head:
                break
            idle = entails(rule.body, later.body)
        if idle:
            del kept[k]
        else:
            k += 1
    return kept


def _irredundant(literals: list[Literal], context: tuple[Literal, ...]) -> list[Literal] | None:
    distinct = list(dict.fromkeys(literals))
    kept = list[Literal]()
    for k, literal in enumerate(distinct):
        others = [*context, *distinct[:k], *distinct[k + 1 :]]
        if any(contradicts(other, literal) for other in others):
            return None
        if any(implies(known, literal) for known in context):
            continue
        # of two that say the same the first stays
        if not any(
            implies(other, literal) and (j < k or not implies(literal, other))
            for j, other in enumerate(distinct)
            if j != k
        ):
            kept.append(literal)
    return kept


def _twins(value: Value) -> tuple[Value, ...]:
    """Return the number and the name that share a value's text."""
    text = text_of(value)
    if isinstance(value, bool) or value is None:
        return (value, text) if text else (None,)
    number = number_of(value)
    if math.isnan(number):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isnan(number) or text_of(number) != text:
            return (value,)
    return number, text


def _order_implies(left: Literal, right: Literal) -> bool:
    """Compare two orders that are not negated."""
    upper = left.operator in _UPPER
    if upper is not (right.operator in _UPPER):
        return False
    a, b = number_of(left.value), number_of(right.value)
    if a == b:
        strict = (Operator.LT, Operator.GT)
        return left.operator in strict or right.operator not in strict
    return a < b if upper else a > b


def _order_excludes(left: Literal, right: Literal) -> bool:
    """Tell whether no number satisfies both orders, negations aside."""
    upper = left.operator in _UPPER
    if upper is (right.operator in _UPPER):
        return False
    a, b = number_of(left.value), number_of(right.value)
    if a == b:
        return not (left.operator is Operator.LE and right.operator is Operator.GE) and not (
            left.operator is Operator.GE and right.operator is Operator.LE
        )
    return a < b if upper else a > b
