"""Checking decision rules over all consistent states: gaps, overlaps, conflicts, idle rules.

Every finding comes with a witness person, or, where it says "never", with a proof: the
smallest set of rules of the world, of literals, or of earlier rules that excludes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from whyproof.asp.rules import Rule
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.problem import Problem
from whyproof.asp.worlds.world import World
from whyproof.engine.budget import Meter

from .finding import Finding, Severity
from .space import StateSpace
from .structure import contradictory_literals

__all__ = ["RuleCheck", "check_rules", "decision_findings"]

_MOST_PAIRS = 5_000


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """What a check of decision rules came to.

    Parameters
    ----------
    findings
        Gaps, overlaps, conflicts, rules that never fire or never decide.
    gap_free
        Whether every consistent state is decided: proved.
    conflict_free
        Whether no two rules with different labels fire together: proved.
    """

    findings: tuple[Finding, ...]
    gap_free: bool
    conflict_free: bool

    def as_json(self) -> dict[str, object]:
        """Return the check as JSON."""
        return {
            "gap_free": self.gap_free,
            "conflict_free": self.conflict_free,
            "findings": [finding.as_json() for finding in self.findings],
        }


def check_rules(world: World, *, meter: Meter | None = None) -> RuleCheck:
    r"""Check the decision rules of a world.

    Parameters
    ----------
    world
        With decision rules.
    meter
        Budget.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import world_from_toml
    >>> rules = read_rules('''
    ... label = no :- age < 18.
    ... label = yes :- age > 15.
    ... label = no :- age < 10.
    ... ''')
    >>> toml = "[features.age]\ntype = 'integers'\nlower = 0"
    >>> for finding in check_rules(world_from_toml(toml).with_decisions(rules)).findings:
    ...     print(finding.code, finding.witness or finding.proof)
    conflict {'age': 16}
    overlap {'age': 0}
    never-decides rule 1 decides first
    """
    problem = compile_world(world)
    with StateSpace(problem, meter) as space:
        findings = list(decision_findings(world, problem, space))
    codes = {finding.code for finding in findings}
    skipped = "too-many-pairs" in codes
    return RuleCheck(tuple(findings), "gap" not in codes, not skipped and "conflict" not in codes)


def decision_findings(world: World, problem: Problem, space: StateSpace) -> Iterator[Finding]:
    """Yield what is wrong with the decision rules."""
    rules = world.rules()
    dead = [space.witness(("fired", (k, 0), True)) is None for k in range(len(rules.rules))]
    yield from _gaps(world, space)
    yield from _pairs(rules.rules, dead, space)
    for number, rule in enumerate(rules.rules):
        if dead[number]:
            yield _never_fires(rule, number, problem, space)
        elif space.witness(("decides", (number, 0), True)) is None:
            yield _never_decides(rules.rules, number, space)
        else:
            yield from _redundant(world, number, space)


def _gaps(world: World, space: StateSpace) -> Iterator[Finding]:
    rules = world.rules()
    if rules.default is not None:
        return
    witness = space.witness(("open", (len(rules.rules), 0), True))
    if witness is not None:
        # a single label with nothing else is a class and its complement, not a gap
        severity = Severity.NOTE if len(rules.labels) == 1 else Severity.WARNING
        yield Finding(
            severity,
            "gap",
            "no rule decides about some people, and there is no default",
            witness=witness,
        )


def _pairs(rules: tuple[Rule, ...], dead: list[bool], space: StateSpace) -> Iterator[Finding]:
    pairs = [
        (i, j)
        for i in range(len(rules))
        for j in range(i + 1, len(rules))
        if not dead[i] and not dead[j]
    ]
    if len(pairs) > _MOST_PAIRS:
        yield Finding(
            Severity.NOTE,
            "too-many-pairs",
            f"{len(pairs)} pairs of rules, more than {_MOST_PAIRS}, were not compared",
        )
        return
    for i, j in pairs:
        witness = space.witness(("fired", (i, 0), True), ("fired", (j, 0), True))
        if witness is None:
            continue
        one, other = rules[i], rules[j]
        conflict = text_of(one.head.values[0]) != text_of(other.head.values[0])
        yield Finding(
            Severity.WARNING if conflict else Severity.NOTE,
            "conflict" if conflict else "overlap",
            f"rules {i + 1} and {j + 1} both fire"
            + (f", for {one.head} and for {other.head}; the first decides" if conflict else ""),
            other.position,
            witness,
            data={"rules": [i + 1, j + 1]},
        )


def _never_fires(rule: Rule, number: int, problem: Problem, space: StateSpace) -> Finding:
    clash = contradictory_literals(problem, rule.body)
    if clash:
        proof = f"{' and '.join(map(str, clash))} exclude each other"
    else:
        excluded = space.conflict(("fired", (number, 0), True))
        proof = (
            f"excluded by {'; '.join(map(str, excluded))}"
            if excluded
            else "its exceptions cover its condition"
        )
    return Finding(
        Severity.WARNING,
        "never-fires",
        f"rule {number + 1} never fires: {rule}",
        clash[0].position if clash and clash[0].position else rule.position,
        proof=proof,
        data={"rules": [number + 1]},
    )


def _never_decides(rules: tuple[Rule, ...], number: int, space: StateSpace) -> Finding:
    """Name a smallest set of earlier rules that fire wherever this one does."""
    earlier = _cover("fired", number, list(range(number)), space)
    names = " or ".join(f"rule {n + 1}" for n in earlier)
    return Finding(
        Severity.WARNING,
        "never-decides",
        f"rule {number + 1} never decides: {rules[number]}; leave it out, or move it up",
        rules[number].position,
        proof=f"{names} decides first",
        data={"rules": [number + 1], "covered_by": [n + 1 for n in earlier]},
    )


def _redundant(world: World, number: int, space: StateSpace) -> Iterator[Finding]:
    """Yield a finding if rules behind this one would decide the same wherever it decides."""
    rules = world.rules()
    label = text_of(rules.rules[number].head.values[0])
    following: list[int] = []
    for k in range(number + 1, len(rules.rules)):
        if text_of(rules.rules[k].head.values[0]) != label:
            break
        following.append(k)
    reaches_end = number + len(following) == len(rules.rules) - 1
    if reaches_end and rules.default is not None and text_of(rules.default) == label:
        by, covered = "the default decides the same", list[int]()
    else:
        silent = [("fired", (n, 0), False) for n in following]
        if space.witness(("decides", (number, 0), True), *silent) is not None:
            return
        covered = _cover("decides", number, following, space)
        by = f"{' or '.join(f'rule {n + 1}' for n in covered)} decides the same"
    yield Finding(
        Severity.WARNING,
        "redundant-rule",
        f"rule {number + 1} changes nothing: {rules.rules[number]}; leave it out",
        rules.rules[number].position,
        proof=by,
        data={"rules": [number + 1], "covered_by": [n + 1 for n in covered]},
    )


def _cover(what: str, number: int, others: list[int], space: StateSpace) -> list[int]:
    """Return a smallest set of rules of which one fires wherever a rule fires or decides."""
    kept = others
    for k in others:
        rest = [n for n in kept if n != k]
        silent = [("fired", (n, 0), False) for n in rest]
        if space.witness((what, (number, 0), True), *silent) is None:
            kept = rest
    return kept
