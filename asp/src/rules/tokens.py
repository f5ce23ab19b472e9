"""Rule text into tokens, each with file, line and column.

One tokeniser reads every dialect: clingo and s(CASP) programs, FOLD's output, and rules
by feature name.  Comments are dropped, except annotations: a line that starts with
``%@`` reaches the parser and belongs to the rule below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .position import Position, RuleError

__all__ = ["Token", "TokenKind", "tokens"]


class TokenKind(StrEnum):
    """What a token is; the value names it in messages."""

    NAME = "a name"
    VARIABLE = "a variable"
    QUOTED = "a quoted name"
    STRING = "a string"
    NUMBER = "a number"
    DIRECTIVE = "a directive"
    ANNOTATION = "an annotation"
    SYMBOL = "a symbol"
    STOP = "'.'"
    END = "the end of the text"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of rule text.

    Parameters
    ----------
    kind
        What it is.
    text
        Name, variable, symbol or spelling of a number; quotes are taken off and
        escapes are resolved.
    position
        Where it starts.
    spaced
        Whether white space or the start of the text precedes it.
    """

    kind: TokenKind
    text: str
    position: Position
    spaced: bool = False

    def __str__(self) -> str:
        return self.kind.value if self.kind is TokenKind.END else repr(self.text)


_PATTERN = re.compile(
    r"""
    (?P<space>[\s\ufeff]+)
  | (?P<annotation>%@[^\n]*)
  | (?P<block>%\*|/\*)
  | (?P<comment>%[^\n]*)
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<variable>[A-Z_][A-Za-z0-9_]*)
  | (?P<name>[^\W\d_A-Z][\w]*)
  | (?P<capital>[^\W\d_]\w*)
  | (?P<directive>\#[a-z_]+)
  | (?P<quote>['"])
  | (?P<symbol>
        \#=<|\#>=|\#<>|\#=|\#<|\#>
      | \.=<\.|\.>=\.|\.<>\.|\.=\.|\.<\.|\.>\.
      | :-|\?-|<->|->
      | =\\=|=:=|\\==|\\=|\\\+|==|=<|<=|>=|!=|<>|\.\.
      | [=<>(){}\[\],;|+\-*/:&@^~$!]
    )
  | (?P<stop>\.)
    """,
    re.VERBOSE,
)

_KINDS = {
    "number": TokenKind.NUMBER,
    "variable": TokenKind.VARIABLE,
    "name": TokenKind.NAME,
    "capital": TokenKind.NAME,
    "directive": TokenKind.DIRECTIVE,
    "symbol": TokenKind.SYMBOL,
    "stop": TokenKind.STOP,
    "annotation": TokenKind.ANNOTATION,
}

_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def tokens(text: str, file: str = "<text>") -> Iterator[Token]:
    """Yield the tokens of a text, the end included.

    Parameters
    ----------
    text
        Rules in any of the dialects.
    file
        Name for messages.

    Raises
    ------
    RuleError
        For characters that no dialect uses, open quotes and open comments.

    Examples
    --------
    >>> [str(token) for token in tokens("age =< 29.")]
    ["'age'", "'=<'", "'29'", "'.'", 'the end of the text']
    """
    line, line_start, at, spaced = 1, 0, 0, True
    while at < len(text):
        here = Position(file, line, at - line_start + 1)
        match = _PATTERN.match(text, at)
        if match is None:
            raise RuleError(
                f"found {text[at]!r}, which starts nothing that a rule can hold; quote names "
                "that have special characters",
                here,
            )
        group = str(match.lastgroup)
        if group == "block":
            end = _end_of_block(text, match, here)
        elif group == "quote":
            content, end = _quoted(text, at, here)
            kind = TokenKind.QUOTED if text[at] == "'" else TokenKind.STRING
            yield Token(kind, content, here, spaced)
        else:
            end = match.end()
            if group in _KINDS:
                yield Token(_KINDS[group], match.group(), here, spaced)
        spaced = group in ("space", "block", "comment", "annotation")
        breaks = text.count("\n", at, end)
        if breaks:
            line += breaks
            line_start = text.rindex("\n", at, end) + 1
        at = end
    yield Token(TokenKind.END, "", Position(file, line, at - line_start + 1), True)


def _end_of_block(text: str, match: re.Match[str], here: Position) -> int:
    closing = "*%" if match.group() == "%*" else "*/"
    end = text.find(closing, match.end())
    if end < 0:
        raise RuleError(f"the comment is not closed; write {closing} behind it", here)
    return end + len(closing)


def _quoted(text: str, at: int, here: Position) -> tuple[str, int]:
    """Return the content and the end of a quoted name or string; '' stands for one quote."""
    quote, parts, k = text[at], list[str](), at + 1
    while k < len(text) and text[k] != "\n":
        if text[k] == "\\" and k + 1 < len(text):
            parts.append(_ESCAPES.get(text[k + 1], text[k : k + 2]))
            k += 2
        elif text[k] == quote:
            if text[k + 1 : k + 2] != quote:
                return "".join(parts), k + 1
            parts.append(quote)
            k += 2
        else:
            parts.append(text[k])
            k += 1
    raise RuleError(f"the quote is not closed; write {quote} at its end, on the same line", here)
