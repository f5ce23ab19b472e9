"""Test cases for rules, and which rules and literals they cover.

A case is a person and what the rules must say.  A rule is covered when it fires in some
case, and decides in some case; a literal is covered when some case makes it true and
another one makes it false, each time it was reached (all literals before it held).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from whyproof.asp.rules import Body, Literal, Value
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds.world import State, World
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.names import did_you_mean

__all__ = ["Case", "CaseReport", "CaseResult", "LiteralCoverage", "read_cases", "run_cases"]

_KEYS = ("name", "state", "expect", "consistent")


@dataclass(frozen=True, slots=True)
class Case:
    """A person and what is expected.

    Parameters
    ----------
    name
        What the case is called.
    state
        Value by feature.
    expect
        The decision.
    has_expectation
        Whether `expect` counts.
    consistent
        Whether the state satisfies the rules of the world; `None` to leave it open.
    """

    name: str
    state: Mapping[str, object]
    expect: Value = None
    has_expectation: bool = True
    consistent: bool | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case came out; `problem` is empty if it passed."""

    case: Case
    decision: Value
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problem


@dataclass(slots=True)
class LiteralCoverage:
    """How often a literal of a rule was reached and held or failed."""

    rule: int
    literal: Literal
    depth: int
    held: int = 0
    failed: int = 0

    @property
    def is_covered(self) -> bool:
        """Whether it was seen true and seen false."""
        return self.held > 0 and self.failed > 0


@dataclass(frozen=True, slots=True)
class CaseReport:
    """Results of all cases, and what they cover.

    Parameters
    ----------
    results
        One per case.
    fired, decided
        For each decision rule the number of cases in which it fired and decided.
    literals
        Every literal of every decision rule, exceptions included.
    defaults
        Number of cases that the default decided.
    causal
        For each causal rule the number of cases in which its condition held.
    """

    world: World
    results: tuple[CaseResult, ...]
    fired: tuple[int, ...]
    decided: tuple[int, ...]
    literals: tuple[LiteralCoverage, ...]
    defaults: int = 0
    causal: tuple[int, ...] = field(default=())

    @property
    def failures(self) -> list[CaseResult]:
        """Cases that did not pass."""
        return [result for result in self.results if not result.passed]

    @property
    def rule_coverage(self) -> float:
        """Share of decision rules that decide some case."""
        return _share([count > 0 for count in self.decided])

    @property
    def literal_coverage(self) -> float:
        """Share of literals that were seen both true and false."""
        return _share([literal.is_covered for literal in self.literals])

    def as_json(self) -> dict[str, object]:
        """Return the report as JSON."""
        rules = self.world.rules().rules
        return {
            "cases": len(self.results),
            "passed": len(self.results) - len(self.failures),
            "failures": [
                {"case": r.case.name, "decision": r.decision, "problem": r.problem}
                for r in self.failures
            ],
            "coverage": {"rules": self.rule_coverage, "literals": self.literal_coverage},
            "rules": [
                {"rule": k + 1, "text": str(rule), "fired": f, "decided": d}
                for k, (rule, f, d) in enumerate(zip(rules, self.fired, self.decided, strict=True))
            ],
            "default": self.defaults,
            "literals": [
                {
                    "rule": c.rule + 1,
                    "literal": str(c.literal),
                    "exception": c.depth > 0,
                    "held": c.held,
                    "failed": c.failed,
                }
                for c in self.literals
            ],
            "causal": [
                {"text": str(rule), "held": held}
                for rule, held in zip(self.world.causal, self.causal, strict=True)
            ],
        }


def read_cases(document: object, where: str = "cases") -> list[Case]:
    """Read cases from JSON or TOML data: a list of tables, or a table with ``case``.

    Raises
    ------
    DataError
        Naming the case that is wrong.

    Examples
    --------
    >>> read_cases([{"name": "young", "state": {"age": 15}, "expect": "no"}])[0].expect
    'no'
    """
    if isinstance(document, Mapping):
        document = document.get("case", document.get("cases"))
    if not isinstance(document, Sequence) or isinstance(document, str):
        raise DataError(f"{where}: expected a list of cases, or [[case]] tables")
    found: list[Case] = []
    for number, entry in enumerate(document, start=1):
        if not isinstance(entry, Mapping):
            raise DataError(f"{where}: case {number} is no table")
        for key in entry:
            if key not in _KEYS:
                raise DataError(
                    f"{where}: case {number} has no setting {key!r}{did_you_mean(str(key), _KEYS)}"
                )
        state = entry.get("state")
        if not isinstance(state, Mapping):
            raise DataError(f"{where}: case {number} needs a state, value by feature")
        found.append(
            Case(
                str(entry.get("name", f"case {number}")),
                {str(name): value for name, value in state.items()},
                entry.get("expect"),
                "expect" in entry,
                entry.get("consistent"),
            )
        )
    if not found:
        raise DataError(f"{where} holds no cases")
    return found


def run_cases(world: World, cases: Sequence[Case]) -> CaseReport:
    """Run cases against the rules of a world.

    Parameters
    ----------
    world
        With decision rules.
    cases
        A state that does not fit the world is a failure of its case, not an error.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('''
    ... [features.age]
    ... type = "integers"
    ... ''').with_decisions(read_rules("label = no :- age < 18."))
    >>> report = run_cases(world, [Case("young", {"age": 15}, "no")])
    >>> report.failures, report.rule_coverage, report.literal_coverage
    ([], 1.0, 0.0)
    """
    rules = world.rules().rules
    coverage = [
        LiteralCoverage(number, literal, depth)
        for number, rule in enumerate(rules)
        for literal, depth in _literals(rule.body, 0)
    ]
    fired, decided = [0] * len(rules), [0] * len(rules)
    causal = [0] * len(world.causal)
    defaults = 0
    results: list[CaseResult] = []
    for case in cases:
        try:
            state = world.state(case.state)
        except InputError as error:
            results.append(CaseResult(case, None, str(error)))
            continue
        results.append(_result(world, case, state))
        values = dict(state)
        first = True
        places = iter(coverage)
        for number, rule in enumerate(rules):
            _cover(rule.body, values, places, reached=True)
            if rule.body.accepts(values):
                fired[number] += 1
                decided[number] += first
                first = False
        defaults += first
        for number, causal_rule in enumerate(world.causal):
            causal[number] += any(body.accepts(values) for body in causal_rule.bodies)
    return CaseReport(
        world,
        tuple(results),
        tuple(fired),
        tuple(decided),
        tuple(coverage),
        defaults,
        tuple(causal),
    )


def _result(world: World, case: Case, state: State) -> CaseResult:
    decision = world.decide(state)
    problems: list[str] = []
    if case.has_expectation and text_of(decision) != text_of(case.expect):
        shown = text_of(decision) or "no decision"
        problems.append(f"expected {text_of(case.expect) or 'no decision'}, found {shown}")
    if case.consistent is not None:
        broken = world.violated(state)
        if case.consistent and broken:
            problems.append(f"expected a consistent state, but it violates {broken[0]}")
        elif not case.consistent and not broken:
            problems.append("expected an inconsistent state, but it violates nothing")
    return CaseResult(case, decision, "; ".join(problems))


def _literals(body: Body, depth: int) -> Iterator[tuple[Literal, int]]:
    for literal in body.literals:
        yield literal, depth
    for exception in body.exceptions:
        yield from _literals(exception, depth + 1)


def _cover(
    body: Body, values: dict[str, Value], places: Iterator[LiteralCoverage], *, reached: bool
) -> None:
    """Count the literals of a body; a literal behind a failed one is not reached."""
    for literal in body.literals:
        place = next(places)
        if reached:
            holds = literal.accepts(values[literal.feature])
            place.held += holds
            place.failed += not holds
            reached = holds
    for exception in body.exceptions:
        _cover(exception, values, places, reached=reached)


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 1.0
