"""Rule text into rules: decision rules for one target, or rules with any heads.

`read_rules` reads what a learner wrote: FOLD's programs, ordered lists of FOLD-RM with
their ``rule_k`` predicates, the decision predicates of CoGS programs, and rules by
feature name.  `read_heads` reads rules whose heads are any literals, as causal rules are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from .literal import Literal, Operator
from .naming import argument_names
from .parse import parse_program
from .position import RuleError
from .ranked import ranked_order
from .rule import Body, Rule, RuleSet
from .support import Support
from .terms import Call, Clause, Comparison, Constant, Goal, Membership, Not, Program, Variable
from .translate import Binding, FeatureValue, Row, Signature, Unfolder, signature_of, truth, walk
from .values import Value

__all__ = ["decisions_of", "read_heads", "read_rules", "rules_of"]

_EXCEPTION = re.compile(r"ab\d*\Z")


def read_rules(
    text: str,
    *,
    file: str = "<text>",
    target: str | None = None,
    features: Collection[str] | None = None,
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> RuleSet:
    """Read decision rules.

    Parameters
    ----------
    text
        The program.
    file
        Name for messages.
    target
        What the rules decide: the predicate or feature of their heads.  By default the
        only one that no other rule uses.
    features
        The features that exist; other names are refused.  Any name by default.
    arguments
        For positional programs: the features that the arguments of a predicate stand
        for, by predicate name.  By default they are found in the program itself, from
        uses such as ``f_domain(marital_status, A)`` beside ``lite_le_50K(A,B,C)``.

    Returns
    -------
    RuleSet
        In the text's order, or the order that its ``not rule_1(X)`` conditions state.

    Raises
    ------
    RuleError
        With file, line and column of what is wrong.

    Examples
    --------
    >>> rules = read_rules("label(X,'p') :- odor(X,'n'), not(cap(X,N1), N1=<3.0).")
    >>> print(rules.rules[0])
    label = p if odor = n and not cap <= 3
    """
    program = parse_program(text, file)
    return decisions_of(program, target=target, features=features, arguments=arguments)


def decisions_of(
    program: Program,
    *,
    target: str | None = None,
    features: Collection[str] | None = None,
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> RuleSet:
    """Translate the decision rules of a program that is parsed already; see `read_rules`."""
    unfolder = Unfolder(program, features)
    name = _target(program, target, program.file)
    clauses = [c for c in program.clauses if _concludes(c.head, name)]
    for clause in program.clauses:
        _refuse_other_heads(clause, name)
    fallback: Clause | None = None
    order = ranked_order(clauses, name)
    if order is not None:
        clauses, fallback = order
    rules = list[Rule]()
    for clause in clauses:
        rules.extend(_decisions(clause, name, unfolder, program, arguments or {}))
    default: Value = None
    support: Support | None = None
    if fallback is not None:
        default, support = _decided(fallback.head, name), _support(fallback)
    elif all(rule.head.values == (True,) for rule in rules):
        default = False
    return RuleSet(name, tuple(rules), default, support)


def read_heads(
    text: str,
    *,
    file: str = "<text>",
    features: Collection[str] | None = None,
) -> tuple[Rule, ...]:
    """Read rules whose heads are literals, such as causal rules.

    Heads are ``credit_score >= 620``, ``relationship(X,'Husband')``, or, with the
    condition on the head's variable in the body, ``credit_score(X,N) :- ..., N >= 620``.
    Predicates that other rules use are unfolded and are no rules themselves.

    Parameters
    ----------
    text, file, features
        As for `read_rules`.

    Raises
    ------
    RuleError
        With file, line and column of what is wrong.

    Examples
    --------
    >>> [str(rule) for rule in read_heads("credit_score >= 620 :- debt = 0.")]
    ['credit_score >= 620 if debt = 0']
    """
    program = parse_program(text, file)
    unfolder = Unfolder(program, features)
    used = _used(program)
    rules = list[Rule]()
    for clause in program.clauses:
        if clause.head is None:
            raise RuleError("a constraint concludes nothing; give it a head", clause.position)
        if signature_of(clause.head) not in used:
            rules.extend(rules_of(clause, unfolder))
    return tuple(rules)


def rules_of(clause: Clause, unfolder: Unfolder) -> list[Rule]:
    """Return the rules of one clause whose head is a literal."""
    head = clause.head
    if isinstance(head, (Comparison, Membership, Not)):
        by_name = unfolder.bodies(Clause(None, (head,), clause.position), {})
        return _with_heads(clause, list(by_name[0].literals), unfolder.bodies(clause, {}))
    if isinstance(head, Membership) and isinstance(head.left, Constant):
        members = [term for term in head.members if isinstance(term, Constant)]
        if len(members) < len(head.members) or not isinstance(head.left.value, str):
            raise RuleError("a head names a feature and a set of values", head.position)
        operator = Operator.NOT_IN if head.negated else Operator.IN
        values = tuple(truth(member) for member in members)
        heads = [Literal(head.left.value, operator, values, position=head.position)]
        return _with_heads(clause, heads, unfolder.bodies(clause, {}))
    if isinstance(head, Call) and len(head.arguments) == 2:
        row, value = head.arguments
        bound: dict[str, Binding] = {row.name: Row()} if isinstance(row, Variable) else {}
        if isinstance(value, Constant):
            found = truth(value, bare_missing=False)
            heads = [Literal(head.name, Operator.EQ, found, position=head.position)]
            return _with_heads(clause, heads, unfolder.bodies(clause, bound))
        if isinstance(value, Variable):
            return _by_variable(clause, head, value, bound, unfolder)
    raise RuleError(
        "this head is no literal; write feature >= value or feature(X,'value')", clause.position
    )


def _by_variable(
    clause: Clause,
    head: Call,
    value: Variable,
    bound: dict[str, Binding],
    unfolder: Unfolder,
) -> list[Rule]:
    """Read ``credit_score(X,N) :- debt(X,0), N >= 620``: the head's variable says what."""

    def is_of_head(goal: Goal) -> bool:
        return isinstance(goal, Comparison) and any(
            isinstance(side, Variable) and side.name == value.name
            for side in (goal.left, goal.right)
        )

    of_head = tuple(goal for goal in clause.body if is_of_head(goal))
    rest = tuple(goal for goal in clause.body if not is_of_head(goal))
    if not of_head:
        raise RuleError(
            f"nothing says what {value.name} is; compare it with a value", value.position
        )
    named: dict[str, Binding] = {**bound, value.name: FeatureValue(head.name)}
    [effect] = unfolder.bodies(Clause(None, of_head, clause.position), named)
    bodies = unfolder.bodies(Clause(head, rest, clause.position), bound)
    return _with_heads(clause, list(effect.literals), bodies)


def _with_heads(clause: Clause, heads: list[Literal], bodies: list[Body]) -> list[Rule]:
    support = _support(clause)
    name = _annotated(clause, "name")
    return [
        Rule(head, body, support, name or "", clause.position) for body in bodies for head in heads
    ]


def _decisions(
    clause: Clause,
    target: str,
    unfolder: Unfolder,
    program: Program,
    arguments: Mapping[str, Sequence[str]],
) -> list[Rule]:
    head = clause.head
    decided = Literal(target, Operator.EQ, _decided(head, target), position=clause.position)
    bound: dict[str, Binding] = {}
    match head:
        case Call(arguments=(Variable(name=row),) | (Variable(name=row), Constant())) if (
            target not in arguments
        ):
            bound[row] = Row()
        case Call():
            names = argument_names(program, head, arguments)
            for parameter, feature in zip(head.arguments, names, strict=True):
                if isinstance(parameter, Variable) and parameter.name != "_":
                    bound[parameter.name] = FeatureValue(feature)
        case _:
            pass
    return _with_heads(clause, [decided], unfolder.bodies(clause, bound))


def _decided(head: Goal | None, target: str) -> Value:
    match head:
        case Comparison(right=Constant() as value):
            return truth(value)
        case Call(arguments=(Variable(), Constant() as value)):
            return truth(value, bare_missing=False)
        case _:
            return True


def _concludes(head: Goal | None, target: str) -> bool:
    match head:
        case Comparison(left=Constant(value=name), operator=Operator.EQ):
            return name == target
        case Call() | Constant():
            signature = signature_of(head)
            return signature is not None and signature[0] == target
        case _:
            return False


def _refuse_other_heads(clause: Clause, target: str) -> None:
    """Refuse ``label != p`` and the like, which decide nothing."""
    head = clause.head
    if isinstance(head, Not):
        head = head.goals[0]
    elif isinstance(head, Comparison) and head.operator is Operator.EQ:
        return
    if isinstance(head, (Comparison, Membership)) and (
        isinstance(head.left, Constant) and head.left.value == target
    ):
        raise RuleError(
            f"this head does not decide {target!r}; conclude {target} = value", clause.position
        )


def _target(program: Program, target: str | None, file: str) -> str:
    used = {name for name, _ in _used(program)}
    found = dict[str, None]()
    every = dict[str, None]()
    for clause in program.clauses:
        name: str | None = None
        if isinstance(clause.head, Comparison) and isinstance(clause.head.left, Constant):
            name = str(clause.head.left.value)
        else:
            signature = signature_of(clause.head)
            name = None if signature is None else signature[0]
        if name is not None:
            every.setdefault(name)
            if name not in used:
                found.setdefault(name)
    if target is not None:
        if target not in every:
            known = ", ".join(every) or "no rules at all"
            raise RuleError(f"{file}: no rule concludes {target!r}; found are {known}")
        return target
    if not every:
        raise RuleError(f"{file} holds no rules")
    decisions = [name for name in found if not _EXCEPTION.match(name)]
    if len(decisions) == 1:
        return decisions[0]
    if len(found) != 1:
        shown = ", ".join(found or every)
        raise RuleError(f"{file}: rules for several targets ({shown}); say which is meant")
    return next(iter(found))


def _used(program: Program) -> set[Signature]:
    """Return the predicates that bodies of other predicates use."""
    used = set[Signature]()
    for clause in program.clauses:
        own = signature_of(clause.head)
        for goal, _ in walk(clause.body):
            signature = signature_of(goal)
            if signature is not None and signature != own:
                used.add(signature)
    return used


def _annotated(clause: Clause, key: str) -> str | None:
    for text in clause.annotations:
        word, _, rest = text.partition(" ")
        if word == key:
            return rest.strip()
    return None


def _support(clause: Clause) -> Support | None:
    """Read ``%@ support 90 of 100``."""
    text = _annotated(clause, "support")
    if text is None:
        return None
    correct, _, covered = text.partition(" of ")
    try:
        return Support(float(correct), float(covered))
    except ValueError:
        raise RuleError(
            f"found support {text!r}; expected two numbers, such as 90 of 100", clause.position
        ) from None
