"""Results on stdout: sentences that wrap at the terminal's edge, or JSON, one value a line."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from whyproof.engine.explanation import Explanation
from whyproof.report.view import ExplanationView, view_of
from whyproof.report.words import caveat, guarantee, sentence, witness
from whyproof.store.canonical import jsonable

__all__ = ["counted", "explained", "json_line", "line", "paragraph", "table"]


def counted(number: int, what: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Examples
    --------
    >>> counted(1, "claim"), counted(2, "box"), counted(0, "row")
    ('1 claim', '2 boxes', '0 rows')
    """
    plural = what + ("es" if what.endswith("x") else "s")
    return f"{number} {what if number == 1 else plural}"


def line(text: str = "") -> None:
    """Write a line of text."""
    sys.stdout.write(f"{text}\n")


def json_line(value: object) -> None:
    """Write a value as strict JSON on one line, at once."""
    sys.stdout.write(json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def paragraph(text: str, indent: str = "") -> None:
    """Write text, wrapped when a person reads it."""
    if not sys.stdout.isatty():
        line(f"{indent}{text}")
        return
    width = min(shutil.get_terminal_size().columns, 100)
    line(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent))


def explained(explanation: Explanation | ExplanationView, indent: str = "") -> None:
    """Write an explanation in words."""
    view = explanation if isinstance(explanation, ExplanationView) else view_of(explanation)
    parts = (sentence(view), witness(view), guarantee(view), caveat(view))
    paragraph(" ".join(part for part in parts if part), indent)


def table(rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same keys in columns."""
    if not rows:
        return
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(padded).rstrip())
