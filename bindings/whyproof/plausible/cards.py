"""Counterfactuals as one self-contained HTML page: a card per group, in original units.

A card says who is in the group, what moves by how much, and what the outcome is; local
shifts are listed row by row.  Nothing is fetched, no script runs; the look is that of the
audit reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from whyproof.engine.errors import DataError
from whyproof.report.values import shown

from .backend import Array
from .repair import Outcome
from .result import Counterfactuals, GroupMove, class_in_words

if TYPE_CHECKING:
    import jinja2

__all__ = ["cards_page", "write_cards"]

_MOST_ROWS = 60
_MOST_LINES = 14
_WORDS = {
    Outcome.FOUND: "found",
    Outcome.MENDED: "found, after steps of its own",
    Outcome.EXACT: "found by exact search",
    Outcome.IMPOSSIBLE: "proved impossible",
    Outcome.NOT_FOUND: "none found",
}


@dataclass(frozen=True)
class _Line:
    """One column of a card."""

    name: str
    move: str
    span: str
    before: str
    after: str
    share: float
    changed: str


@dataclass(frozen=True)
class _Card:
    """One group as the page shows it."""

    number: int
    count: int
    valid: int
    plausible: int
    who: str
    lines: tuple[_Line, ...]
    more: int
    rows: str


def cards_page(found: Counterfactuals, title: str = "") -> str:
    """Return the page.

    Parameters
    ----------
    found
        Of any level.
    title
        Heading; made from level and class by default.
    """
    target = class_in_words(found)
    heading = {
        "local": f"Ways to {target}, one by one",
        "group": f"{found.n_groups} ways to {target}",
        "global": f"One way to {target} for everybody",
    }[found.level]
    count = max(len(found), 1)
    whole = found.origin.max(axis=0, initial=0) - found.origin.min(axis=0, initial=0)
    cards = [_card(found, move, whole) for move in found.groups]
    lost = [(int(found.rows[i]), _WORDS[found.outcomes[i]], reason) for i, reason in _open(found)]
    return (
        _environment()
        .get_template("cards.html.j2")
        .render(
            title=title or heading,
            found=found,
            target=target,
            lead=_lead(found, target),
            valid=f"{100 * found.valid.sum() / count:.1f} %",
            plausible=f"{100 * found.plausible.sum() / count:.1f} %",
            cards=cards,
            rows=_rows(found) if found.level == "local" else [],
            hidden=max(0, len(found) - _MOST_ROWS) if found.level == "local" else 0,
            lost=lost[:_MOST_ROWS],
            seconds=sum(found.statistics.values()),
        )
    )


def write_cards(found: Counterfactuals, path: Path, title: str = "") -> Path:
    """Write the page to a file.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    try:
        path.write_text(cards_page(found, title), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _lead(found: Counterfactuals, target: str) -> str:
    """Say how many rows get a point, and how many of the points lie where such rows occur."""
    if not len(found):
        return f"All rows given are {target} already; there is nothing to change."
    count, plausible = int(found.valid.sum()), int((found.valid & found.plausible).sum())
    if not count:
        return f"No point that the model decides as {target} was found."
    near = "a point near by" if count > 1 else "a point"
    who = f"{count} of {len(found)} rows have" if len(found) > 1 else "The row has"
    where = {
        count: "All these points lie" if count > 1 else "It lies",
        0: "None of these points lies" if count > 1 else "It does not lie",
    }.get(plausible, f"{plausible} of these points ({100 * plausible / count:.0f} %) lie")
    said = f"{who} {near} that the model itself decides as {target}."
    if "plausibility was not asked for" in found.notes:
        return f"{said} Whether such rows occur was not asked."
    return f"{said} {where} where such rows occur."


def _open(found: Counterfactuals) -> list[tuple[int, str]]:
    lost = (Outcome.IMPOSSIBLE, Outcome.NOT_FOUND)
    return [
        (i, found.reasons.get(i, "")) for i, outcome in enumerate(found.outcomes) if outcome in lost
    ]


def _card(found: Counterfactuals, move: GroupMove, whole: Array) -> _Card:
    members = move.members
    before, after = found.origin[members], found.points[members]
    away = after - before
    strength = np.abs(move.mean) / np.where(whole > 0, whole, 1.0)
    order = [int(i) for i in np.argsort(-strength) if np.any(away[:, i] != 0)]
    top = float(strength[order[0]]) if order else 1.0
    lines = [
        _Line(
            found.names[i],
            _signed(float(move.mean[i])),
            _range(float(move.least[i]), float(move.most[i])),
            _number(float(np.median(before[:, i]))),
            _number(float(np.median(after[:, i]))),
            float(np.sign(move.mean[i]) * strength[i] / top) if top else 0.0,
            f"{100 * float((away[:, i] != 0).mean()):.0f} %",
        )
        for i in order[:_MOST_LINES]
    ]
    return _Card(
        move.number + 1,
        len(members),
        int(found.valid[members].sum()),
        int(found.plausible[members].sum()),
        _who(found, members),
        tuple(lines),
        max(0, len(order) - _MOST_LINES),
        _listed(found.rows[members].tolist()),
    )


def _who(found: Counterfactuals, members: np.typing.NDArray[np.intp]) -> str:
    """Say in words in which columns members differ most from the other rows."""
    if len(members) == len(found):
        return "All explained rows."
    spread = found.origin.std(axis=0)
    differs = found.origin[members].mean(axis=0) - found.origin.mean(axis=0)
    size = np.where(spread > 0, differs / np.where(spread > 0, spread, 1.0), 0.0)
    parts: list[str] = []
    for i in np.argsort(-np.abs(size))[:3]:
        if abs(size[i]) >= 0.25:
            way = "higher" if size[i] > 0 else "lower"
            mine = _number(float(found.origin[members, i].mean()))
            all_ = _number(float(found.origin[:, i].mean()))
            parts.append(f"{way} {found.names[i]} (mean {mine}, all {all_})")
    if not parts:
        return "Rows that do not stand out in any column."
    return "Rows with " + ", ".join(parts) + "."


def _rows(found: Counterfactuals) -> list[tuple[int, str, list[tuple[str, str, str]]]]:
    """Return number, outcome and moves of the first rows."""
    listed: list[tuple[int, str, list[tuple[str, str, str]]]] = []
    for i, number in enumerate(found.rows[:_MOST_ROWS].tolist()):
        before, after = found.space.decode(found.origin[i]), found.space.decode(found.points[i])
        moves = [
            (name, _value(before[name]), _value(after[name]))
            for name in found.names
            if before[name] != after[name]
        ]
        listed.append((number, _WORDS[found.outcomes[i]], moves))
    return listed


def _value(value: object) -> str:
    return _number(value) if isinstance(value, float) else shown(value)


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.4g}"


def _signed(value: float) -> str:
    if value == 0:
        return "0"
    text = _number(round(value, 3) if abs(value) >= 0.01 else value)
    return text.replace("-", "\u2212") if value < 0 else f"+{text}"


def _range(low: float, high: float) -> str:
    return f"{_signed(low)} \u2026 {_signed(high)}"


def _listed(numbers: Sequence[int], most: int = 12) -> str:
    text = ", ".join(str(n) for n in numbers[:most])
    return f"{text} and {len(numbers) - most} more" if len(numbers) > most else text


@cache
def _environment() -> jinja2.Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(name: str) -> str:
        package = "whyproof.report" if name == "style.css" else "whyproof.plausible"
        return resources.files(package).joinpath(name).read_text("utf-8")

    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment
