"""Faults of rule text, all of them: each clause is read on its own.

Readers stop at the first fault.  Here the text is cut at the ends of its clauses and each
piece is read with everything else blanked out, so that lines and columns stay right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from whyproof.asp.rules import Position, RuleError
from whyproof.asp.rules.literal import Operator
from whyproof.asp.rules.parse import parse_program
from whyproof.asp.rules.read import rules_of
from whyproof.asp.rules.terms import Call, Clause, Comparison, Constant, Membership, Program
from whyproof.asp.rules.tokens import TokenKind, tokens
from whyproof.asp.rules.translate import Unfolder
from whyproof.engine.errors import InputError

from .finding import Finding, Severity

__all__ = ["text_findings"]


def text_findings(text: str, features: Sequence[str], file: str = "<text>") -> list[Finding]:
    r"""Return every clause of a text that cannot be read, with its place.

    Parameters
    ----------
    text
        Rules.
    features
        The features that exist.
    file
        Name for places.

    Examples
    --------
    >>> found = text_findings("score >= 620 :- dept = 0.\nlabel = no :- .", ["score", "debt"])
    >>> for finding in found:
    ...     print(finding)
    <text>:1:17: error: no feature 'dept'; did you mean 'debt'? [unknown-feature]
    <text>:2:15: error: found '.'; expected a name, a variable or a value [syntax]
    """
    try:
        ends = [t for t in tokens(text, file) if t.kind in (TokenKind.STOP, TokenKind.END)]
    except RuleError as error:
        return [_finding(error, "syntax")]
    found: list[Finding] = []
    clauses: list[Clause] = []
    start = 0
    offsets = _line_offsets(text)
    for token in ends:
        end = offsets[token.position.line - 1] + token.position.column
        piece = _blank(text, start, end)
        start = end
        if not piece.strip():
            continue
        try:
            clauses += parse_program(piece, file).clauses
        except RuleError as error:
            found.append(_finding(error, "syntax"))
    meaning = _meaning(Program(tuple(clauses), (), file), features)
    # a clause that cannot be read may be the one that another one misses
    found += [f for f in meaning if not found or f.code != "unknown-predicate"]
    return sorted(found, key=lambda f: f.position or Position(file, 0, 0))


def _meaning(program: Program, features: Sequence[str]) -> list[Finding]:
    """Return clauses that parse but name something that does not exist."""
    found: list[Finding] = []
    world = [c for c in program.clauses if c.head is None or _about_feature(c, features)]
    rest = tuple(c for c in program.clauses if c not in world)
    unfolder = Unfolder(replace(program, clauses=rest), features)
    for clause in world:
        try:
            if clause.head is None:
                unfolder.bodies(clause, {})
            else:
                rules_of(clause, unfolder)
        except RuleError as error:
            found.append(_finding(error, _code(error)))
    for clause in rest:
        if isinstance(clause.head, Call) and len(clause.head.arguments) > 2:
            # the arguments of a positional program are named elsewhere
            continue
        try:
            if isinstance(clause.head, Comparison):
                _check_head(clause.head)
                unfolder.bodies(replace(clause, head=None), {})
            else:
                unfolder.bodies(replace(clause, head=None), {})
        except RuleError as error:
            found.append(_finding(error, _code(error)))
    return list({str(finding): finding for finding in found}.values())


def _check_head(head: Comparison) -> None:
    if head.operator is not Operator.EQ:
        raise RuleError(
            "a decision is stated with =; if a feature is meant, its name is unknown",
            head.position,
        )


def _about_feature(clause: Clause, features: Sequence[str]) -> bool:
    match clause.head:
        case (
            Comparison(left=Constant(value=str(name))) | Membership(left=Constant(value=str(name)))
        ):
            return name in features
        case Call(name=name, arguments=(_, _)):
            return name in features
        case _:
            return False


def _finding(error: InputError, code: str) -> Finding:
    position = getattr(error, "position", None)
    message = str(error)
    if isinstance(position, Position):
        return Finding(Severity.ERROR, code, message.removeprefix(f"{position}: "), position)
    return Finding(Severity.ERROR, code, message)


def _code(error: RuleError) -> str:
    text = str(error)
    if "no feature" in text:
        return "unknown-feature"
    if "not stratified" in text:
        return "not-stratified"
    if "no rule defines" in text:
        return "unknown-predicate"
    return "meaning"


def _line_offsets(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _blank(text: str, start: int, end: int) -> str:
    """Return the piece from start to end at its own lines and columns."""
    before = re.sub(r"[^\n]", " ", text[:start])
    return before + text[start:end]
