r"""Tokens into clauses: a recursive-descent parser for the union of the dialects.

Accepted are the clingo, s(CASP) and FOLD spellings of comparisons (``=<``, ``<=``,
``#=<`` and ``.=<.`` are one operator), ``not goal``, ``not (goal, goal)``, ``\+ goal``,
membership ``in {a, b}``, ``[a, b]`` or ``= (a; b)``, arithmetic terms and lists.
Directives and queries are noted and skipped.
"""

from __future__ import annotations

from .literal import Operator
from .position import Position, RuleError
from .terms import (
    Call,
    Clause,
    Comparison,
    Constant,
    Directive,
    Goal,
    Membership,
    Not,
    Program,
    Term,
    Variable,
)
from .tokens import Token, TokenKind, tokens

__all__ = ["parse_program"]

_OPERATORS = {
    "=": Operator.EQ,
    "==": Operator.EQ,
    "=:=": Operator.EQ,
    "!=": Operator.NE,
    "<>": Operator.NE,
    "\\=": Operator.NE,
    "\\==": Operator.NE,
    "=\\=": Operator.NE,
    "<": Operator.LT,
    "<=": Operator.LE,
    "=<": Operator.LE,
    ">": Operator.GT,
    ">=": Operator.GE,
}

_PROLOG_DIRECTIVES = ("discontiguous", "dynamic", "initialization", "style_check", "use_module")

_DEEPEST = 100
"""Deepest nesting of brackets and negations; more is refused before Python gives up."""


def parse_program(text: str, file: str = "<text>") -> Program:
    """Parse rule text.

    Parameters
    ----------
    text
        A program in any of the dialects.
    file
        Name for messages.

    Raises
    ------
    RuleError
        With file, line and column of what could not be read.

    Examples
    --------
    >>> program = parse_program("label(X,'p') :- odor(X,'n'), not ab1(X,'True').")
    >>> [type(goal).__name__ for goal in program.clauses[0].body]
    ['Call', 'Not']
    """
    return _Parser(text, file).program()


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._tokens = list(tokens(text, file))
        self._at = 0
        self._depth = 0
        self._file = file

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, *texts: str) -> bool:
        return self._token.kind is TokenKind.SYMBOL and self._token.text in texts

    def _accept(self, *texts: str) -> bool:
        if self._is(*texts):
            self._next()
            return True
        return False

    def _expect(self, text: str, opened: Position | None = None) -> None:
        if not self._accept(text):
            behind = "" if opened is None else f" for the bracket opened at {opened}"
            raise self._unexpected(f"{text!r}{behind}")

    def _unexpected(self, expected: str) -> RuleError:
        return RuleError(f"found {self._token}; expected {expected}", self._token.position)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RuleError(
                f"brackets or negations are nested deeper than {_DEEPEST}; split the rule",
                self._token.position,
            )

    def program(self) -> Program:
        clauses = list[Clause]()
        directives = list[Directive]()
        annotations = list[str]()
        while self._token.kind is not TokenKind.END:
            token = self._token
            if token.kind is TokenKind.ANNOTATION:
                annotations.append(self._next().text[2:].strip())
            elif token.kind is TokenKind.DIRECTIVE:
                directives.append(Directive(self._next().text, token.position))
                self._skip_statement(token)
            elif self._is("?-"):
                self._next()
                directives.append(Directive("?-", token.position))
                self._skip_statement(token)
            else:
                clause = self._clause(tuple(annotations))
                annotations.clear()
                if clause.head is None and _is_prolog_directive(clause):
                    directives.append(Directive(":-", token.position))
                else:
                    clauses.append(clause)
        return Program(tuple(clauses), tuple(directives), self._file)

    def _skip_statement(self, start: Token) -> None:
        while self._token.kind not in (TokenKind.STOP, TokenKind.END):
            self._next()
        if self._token.kind is TokenKind.END:
            raise RuleError(f"{start} is not ended; write '.' behind it", start.position)
        self._next()

    def _clause(self, annotations: tuple[str, ...]) -> Clause:
        start = self._token.position
        head = None if self._is(":-") else self._goal()
        if isinstance(head, Not) and not (
            len(head.goals) == 1 and isinstance(head.goals[0], Comparison)
        ):
            raise RuleError("a rule cannot conclude a negation; negate its value", head.position)
        body: tuple[Goal, ...] = ()
        iff = False
        if self._is(":-", "<->"):
            iff = self._next().text == "<->"
            body = self._goals()
        if self._token.kind is not TokenKind.STOP:
            raise self._unexpected("',' or '.'" if body else "':-' or '.'")
        self._next()
        return Clause(head, body, start, annotations, iff)

    def _goals(self) -> tuple[Goal, ...]:
        goals = [self._goal()]
        while self._accept(","):
            goals.append(self._goal())
        return tuple(goals)

    def _goal(self) -> Goal:
        token = self._token
        if (token.kind is TokenKind.NAME and token.text == "not") or self._is("\\+"):
            return self._negation()
        left = self._term()
        if self._token.kind is TokenKind.NAME and self._token.text in ("in", "not"):
            return self._membership(left, token.position)
        operator = self._operator()
        if operator is None:
            if isinstance(left, Variable) or (
                isinstance(left, Constant) and not isinstance(left.value, str)
            ):
                raise self._unexpected("a comparison")
            return left
        if self._is("("):
            members = self._pool()
            if members is not None:
                if operator not in (Operator.EQ, Operator.NE):
                    raise RuleError("a set of values allows = and != only", token.position)
                return Membership(left, members, operator is Operator.NE, token.position)
        return Comparison(left, operator, self._term(), token.position)

    def _negation(self) -> Not:
        start = self._next().position
        self._enter()
        if self._is("("):
            opened = self._next().position
            goals = self._goals()
            self._expect(")", opened)
        else:
            goals = (self._goal(),)
        self._depth -= 1
        return Not(goals, start)

    def _membership(self, left: Term, start: Position) -> Membership:
        negated = self._next().text == "not"
        if negated:
            if self._token.kind is not TokenKind.NAME or self._token.text != "in":
                raise self._unexpected("'in'")
            self._next()
        opened = self._token.position
        closing = {"{": "}", "[": "]", "(": ")"}.get(self._token.text)
        if closing is None or self._token.kind is not TokenKind.SYMBOL:
            raise self._unexpected("a set of values such as {a, b}")
        self._next()
        members = [self._term()]
        while self._accept(",", ";"):
            members.append(self._term())
        self._expect(closing, opened)
        return Membership(left, tuple(members), negated, start)

    def _pool(self) -> tuple[Term, ...] | None:
        """Read ``(a; b)``, or nothing if the bracket is arithmetic."""
        back = self._at
        self._next()
        members = [self._term()]
        if not self._is(";"):
            self._at = back
            return None
        while self._accept(";"):
            members.append(self._term())
        self._expect(")")
        return tuple(members)

    def _operator(self) -> Operator | None:
        if self._token.kind is not TokenKind.SYMBOL:
            return None
        text = self._token.text
        if text[0] == "#" or (text[0] == "." and text != ".."):
            text = text.strip("#.")
        operator = _OPERATORS.get(text)
        if operator is not None:
            self._next()
        return operator

    def _term(self) -> Term:
        self._enter()
        left = self._factor()
        while self._is("+", "-", "..", "|"):
            token = self._next()
            left = Call(token.text, (left, self._factor()), token.position)
        self._depth -= 1
        return left

    def _factor(self) -> Term:
        left = self._primary()
        while self._is("*", "/"):
            token = self._next()
            left = Call(token.text, (left, self._primary()), token.position)
        return left

    def _primary(self) -> Term:
        token = self._token
        match token.kind:
            case TokenKind.NUMBER:
                self._next()
                return Constant(_number(token), token.position)
            case TokenKind.VARIABLE:
                self._next()
                return Variable(token.text, token.position)
            case TokenKind.STRING:
                self._next()
                return Constant(token.text, token.position, quoted=True)
            case TokenKind.NAME | TokenKind.QUOTED:
                return self._named()
            case TokenKind.SYMBOL:
                return self._symbolic()
            case _:
                raise self._unexpected("a name, a variable or a value")

    def _named(self) -> Term:
        token = self._next()
        if not self._is("(") or self._token.spaced:
            return Constant(token.text, token.position, token.kind is TokenKind.QUOTED)
        opened = self._next().position
        arguments = [self._argument()]
        while self._accept(",", ";"):
            arguments.append(self._argument())
        self._expect(")", opened)
        return Call(token.text, tuple(arguments), token.position)

    def _argument(self) -> Term:
        """Read an argument; operators inside, as in a list of modules, stay terms."""
        term = self._term()
        while self._is("=", ":"):
            token = self._next()
            term = Call(token.text, (term, self._term()), token.position)
        return term

    def _symbolic(self) -> Term:
        token = self._token
        if self._accept("-"):
            value = self._primary()
            if isinstance(value, Constant) and isinstance(value.value, (int, float)):
                return Constant(-value.value, token.position)
            return Call("-", (value,), token.position)
        if self._accept("("):
            self._enter()
            inner = self._term()
            self._depth -= 1
            self._expect(")", token.position)
            return inner
        if self._accept("["):
            members = list[Term]()
            if not self._is("]"):
                members.append(self._argument())
                while self._accept(",", "|"):
                    members.append(self._argument())
            self._expect("]", token.position)
            return Call("[]", tuple(members), token.position)
        raise self._unexpected("a name, a variable or a value")


def _number(token: Token) -> int | float:
    if token.text.isdigit():
        if len(token.text) > 300:
            raise RuleError("a number has more than 300 digits; shorten it", token.position)
        return int(token.text)
    return float(token.text)


def _is_prolog_directive(clause: Clause) -> bool:
    """Tell ``:- use_module(...)`` from an integrity constraint."""
    return (
        len(clause.body) == 1
        and isinstance(clause.body[0], Call)
        and clause.body[0].name in _PROLOG_DIRECTIVES
    )
