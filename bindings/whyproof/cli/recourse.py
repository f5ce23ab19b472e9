"""``whyproof recourse``: few actions that help a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError

from .failures import ANSWERED, PARTIAL
from .output import json_line, line, paragraph
from .recourse_options import RecourseRequest
from .request import row_numbers

if TYPE_CHECKING:
    from whyproof.encodings.recourse.nearest import NearestSearch
    from whyproof.engine.space import Point
    from whyproof.recourse.group import GroupRecourse

__all__ = ["recourse_command"]


def recourse_command(
    request: RecourseRequest,
    rows: str,
    *,
    actions: int,
    share: float,
    split: Sequence[str],
    seconds: float | None,
    as_json: bool,
) -> int:
    """Find few actions for many rows, in each group of a split."""
    from whyproof.recourse.group import group_recourse, split_rows

    subject, search = request.open()
    numbers = row_numbers(rows, subject.table.n_rows)
    people = {number: subject.instance(number) for number in numbers}
    groups = split_rows(search.space, people, split)
    if not groups:
        raise DataError("there are no rows to help")
    settled = True
    for name, members in groups.items():
        share_of_time = None if seconds is None else seconds / len(groups)
        found = group_recourse(
            search, members, actions, share=share, budget=Budget(seconds=share_of_time)
        )
        settled = settled and not found.open
        if as_json:
            json_line({"group": name or None, **_as_json(search, found)})
        else:
            _in_words(search, name, members, found)
    return ANSWERED if settled else PARTIAL


def _as_json(search: NearestSearch, found: GroupRecourse) -> dict[str, object]:
    return {
        "actions": [
            {
                "set": _decoded(search, action.values),
                "helps": list(action.helped),
                "mean_distance": action.cost,
            }
            for action in found.actions
        ],
        "helped": list(found.helped),
        "wanted": found.wanted,
        "best_of_candidates": found.best_of_candidates,
        "candidates": found.candidates,
        "at_most": found.at_most,
        "gap": found.gap,
        "without_recourse": list(found.without_recourse),
        "open": list(found.open),
    }


def _decoded(search: NearestSearch, values: Mapping[int, float]) -> dict[str, object]:
    columns = search.space.columns
    return {columns[c].name: columns[c].domain.decode(code) for c, code in values.items()}


def _in_words(
    search: NearestSearch, name: str, members: Mapping[int, Point], found: GroupRecourse
) -> None:
    from whyproof.recourse.answers import shown

    where = f"{name}: " if name else ""
    needy = len(found.with_recourse) + len(found.without_recourse) + len(found.open)
    line(f"{where}{len(members)} rows, {needy} need help, {len(found.helped)} are helped.")
    for number, action in enumerate(found.actions):
        said = ", ".join(f"{k} to {shown(v)}" for k, v in _decoded(search, action.values).items())
        paragraph(
            f"{number + 1}. Set {said}: helps {len(action.helped)}, mean "
            f"{search.distance.norm} distance {action.cost:.4g}.",
            "  ",
        )
    paragraph(
        f"Proved: of {found.candidates} candidate actions, no choice of so many helps more than "
        f"{found.best_of_candidates}; no actions at all help more than {found.at_most} "
        f"(gap {found.gap})."
    )
    if found.without_recourse:
        line(f"Without any recourse under these rules (proved): {_rows(found.without_recourse)}.")
    if found.open:
        line(f"Not decided in time: {_rows(found.open)}.")


def _rows(numbers: Sequence[int]) -> str:
    listed = ", ".join(str(n) for n in numbers[:12])
    return f"row{'s' * (len(numbers) != 1)} {listed}{', ...' if len(numbers) > 12 else ''}"
