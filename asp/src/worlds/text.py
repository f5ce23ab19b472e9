"""World rules as text: causal rules, denials and decision rules in one readable language.

::

    credit_score >= 620 :- debt = 0.            % causal: the body moves the head
    credit_score <= 619 <-> debt > 0.           % and its converse
    :- sex = male, relationship = wife.         % no state is like that
    label = reject :- balance < 60000.          % decision
    label(X,'reject') :- credit_score(X,N), N =< 619.

A clause whose head names a feature is a causal rule; one without a head is a denial;
every other clause belongs to the decision rules.  Comparisons, the predicate form of FOLD
and CoGS programs, and helper predicates may be mixed freely.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from whyproof.asp.rules import Body, Literal, RuleError, RuleSet
from whyproof.asp.rules.literal import Operator
from whyproof.asp.rules.parse import parse_program
from whyproof.asp.rules.read import decisions_of, rules_of
from whyproof.asp.rules.terms import Call, Clause, Comparison, Constant, Goal, Membership
from whyproof.asp.rules.translate import Unfolder, signature_of
from whyproof.engine.names import did_you_mean

from .causal import CausalRule, Denial

__all__ = ["WorldRules", "parse_bodies", "parse_literals", "read_world_rules"]


@dataclass(frozen=True, slots=True)
class WorldRules:
    """What one text of rules says.

    Parameters
    ----------
    causal, denials
        Rules about the world.
    decisions
        Rules that decide; `None` if there are none.
    """

    causal: tuple[CausalRule, ...] = ()
    denials: tuple[Denial, ...] = ()
    decisions: RuleSet | None = None


def read_world_rules(
    text: str,
    features: Collection[str],
    *,
    file: str = "<text>",
    target: str | None = None,
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> WorldRules:
    """Read rules about a world.

    Parameters
    ----------
    text
        The rules.
    features
        Names of the world's features.
    file
        Name for messages.
    target
        What the decision rules decide; by default the one thing that is concluded and
        used by no other rule.
    arguments
        For positional programs: the features that a predicate's arguments stand for.

    Raises
    ------
    RuleError
        With file, line and column of what is wrong.

    Examples
    --------
    >>> rules = read_world_rules('''
    ... score >= 620 <-> debt = 0.
    ... label = reject :- score < 620.
    ... ''', ["debt", "score"])
    >>> print(rules.causal[0], rules.decisions.rules[0], sep="; ")
    score >= 620 if and only if debt = 0; label = reject if score < 620
    """
    program = parse_program(text, file)
    world = [c for c in program.clauses if c.head is None or _feature_of(c, features)]
    rest = [c for c in program.clauses if not (c.head is None or _feature_of(c, features))]
    _refuse_misspelt(rest, features, target)
    # causal heads in predicate form must not define the feature for the other rules
    others = replace(program, clauses=tuple(rest))
    unfolder = Unfolder(others, features)
    causal: list[CausalRule] = []
    denials: list[Denial] = []
    for clause in world:
        name = _annotation(clause, "name")
        if clause.head is None:
            bodies = tuple(unfolder.bodies(clause, {}))
            if bodies:
                denials.append(Denial(bodies, name, clause.position))
            continue
        causal += _causal(clause, name, unfolder)
    helpers = _helpers(rest, [goal for clause in world for goal in clause.body])
    concluding = [clause for clause in rest if signature_of(clause.head) not in helpers]
    decisions = None
    if concluding or target is not None:
        decisions = decisions_of(others, target=target, features=features, arguments=arguments)
    return WorldRules(tuple(causal), tuple(denials), decisions)


def parse_bodies(
    text: str, features: Collection[str], *, where: str = "<text>"
) -> tuple[Body, ...]:
    """Read a condition such as ``age >= 18, employed = yes``: alternatives of one another.

    Examples
    --------
    >>> [body] = parse_bodies("age >= 18, job != none", ["age", "job"])
    >>> str(body)
    'age >= 18 and job != none'
    """
    text = text.strip().rstrip(".").strip()
    if text in ("", "true"):
        return (Body(),)
    program = parse_program(f":- {text}\n.", where)
    if len(program.clauses) != 1 or program.clauses[0].head is not None:
        raise RuleError(f"{where}: {text!r} is no condition; write such as age >= 18, job = clerk")
    clause = program.clauses[0]
    return tuple(Unfolder(replace(program, clauses=()), features).bodies(clause, {}))


def parse_literals(text: str, feature: str, *, where: str = "<text>") -> tuple[Literal, ...]:
    """Read what a feature shall be: ``>= 620``, ``in {a, b}``, ``score >= 620`` or a value.

    Examples
    --------
    >>> [str(t) for t in parse_literals(">= 620", "score")], str(parse_literals("low", "risk")[0])
    (['score >= 620'], 'risk = low')
    """
    stripped = text.strip()
    if stripped.startswith(("=", "<", ">", "!", "in ", "in{", "not in")):
        stripped = f"{_quoted(feature)} {stripped}"
    elif not stripped.startswith((f"{feature} ", f"{feature}=", f"{feature}<", f"{feature}>")):
        return (Literal(feature, Operator.EQ, _word(stripped)),)
    bodies = parse_bodies(stripped, [feature], where=where)
    if len(bodies) != 1 or bodies[0].exceptions:
        raise RuleError(f"{where}: {text!r} does not say what {feature!r} shall be; write >= 620")
    return bodies[0].literals


def _word(text: str) -> str | int | float | bool | None:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    bare: dict[str, bool | None] = {"true": True, "false": False, "missing": None}
    if text in bare:
        return bare[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name[0].islower() else f"'{name}'"


def _feature_of(clause: Clause, features: Collection[str]) -> str | None:
    """Return the feature that a clause concludes about, if it does."""
    match clause.head:
        case (
            Comparison(left=Constant(value=str(name))) | Membership(left=Constant(value=str(name)))
        ) if name in features:
            return name
        case Call(name=name, arguments=(_, _)) if name in features:
            return name
        case _:
            return None


def _causal(clause: Clause, name: str, unfolder: Unfolder) -> list[CausalRule]:
    """Return the causal rule of one clause; heads of one body are joined, bodies too."""
    by_body: dict[Body, list[Literal]] = {}
    for rule in rules_of(clause, unfolder):
        by_body.setdefault(rule.body, []).append(rule.head)
    by_heads: dict[tuple[Literal, ...], list[Body]] = {}
    for body, heads in by_body.items():
        by_heads.setdefault(tuple(heads), []).append(body)
    return [
        CausalRule(heads, tuple(bodies), clause.iff, name=name, position=clause.position)
        for heads, bodies in by_heads.items()
    ]


def _annotation(clause: Clause, key: str) -> str:
    for text in clause.annotations:
        word, _, rest = text.partition(" ")
        if word == key:
            return rest.strip()
    return ""


def _refuse_misspelt(
    clauses: Sequence[Clause], features: Collection[str], target: str | None
) -> None:
    """Refuse a head that compares by size something that is no feature."""
    for clause in clauses:
        match clause.head:
            case Comparison(left=Constant(value=name), operator=operator) if (
                operator is not Operator.EQ and name != target
            ):
                hint = did_you_mean(str(name), list(features))
                raise RuleError(f"no feature {name!r}{hint}", clause.head.position)
            case _:
                continue


def _helpers(clauses: Sequence[Clause], goals: Sequence[Goal]) -> set[tuple[str, int] | None]:
    """Return the predicates that rules about the world use, directly or through others."""
    found: set[tuple[str, int] | None] = {None}
    waiting = list(goals)
    while waiting:
        goal = waiting.pop()
        if not isinstance(goal, Call | Constant):
            waiting += list(getattr(goal, "goals", ()))
            continue
        signature = signature_of(goal)
        if signature not in found:
            found.add(signature)
            waiting += [g for c in clauses if signature_of(c.head) == signature for g in c.body]
    found.discard(None)
    return found
