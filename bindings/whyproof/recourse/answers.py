"""Nearest counterfactuals as JSON and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from whyproof.encodings.recourse.answer import Nearest, NearestStatus
from whyproof.encodings.recourse.conflict import Conflict
from whyproof.encodings.recourse.distance import Distance
from whyproof.engine.domain import Categories
from whyproof.engine.explanation import plain
from whyproof.engine.space import FeatureSpace
from whyproof.report.values import transition

__all__ = ["changes", "from_to", "nearest_as_json", "nearest_in_words", "shown"]


def shown(value: object) -> str:
    """Write a value as people do: numbers with few digits, the missing value as a word.

    Examples
    --------
    >>> shown(0.30000001192092896), shown(4.0), shown(None), shown("clerk")
    ('0.3', '4', 'missing', 'clerk')
    """
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def changes(space: FeatureSpace, found: Nearest) -> list[dict[str, object]]:
    """Return what has to change, column by column: name, value now, value to reach.

    Parameters
    ----------
    space
        The inputs.
    found
        With a point.
    """
    if found.point is None:
        return []
    before, after = space.decode(found.instance), space.decode(found.point)
    rows: list[dict[str, object]] = []
    effects = {space.names[f] for f in found.effects}
    for i, column in enumerate(space.columns):
        one, other = float(found.instance[i]), float(found.point[i])
        if one == other or (math.isnan(one) and math.isnan(other)):
            continue
        rows.append(
            {
                "feature": space.names[int(space.owner[i])],
                "column": column.name,
                "from": plain(before[column.name]),
                "to": plain(after[column.name]),
                "direction": _direction(one, other, isinstance(column.domain, Categories)),
                "unit": column.unit,
                **({"effect": True} if space.names[int(space.owner[i])] in effects else {}),
            }
        )
    return rows


def from_to(row: Mapping[str, object]) -> str:
    """Write both values of one of `changes`, with the digits that tell them apart.

    Examples
    --------
    >>> from_to({"from": 26.0, "to": 25.0}), from_to({"from": 26.0, "to": 26.0 - 2**-19})
    ('26 to 25', '26 to 25.9999981')
    """
    now, then = shown(row["from"]), shown(row["to"])
    if now == then:  # they differ beyond the digits that are usually shown
        now, then = transition(row["from"], row["to"])
    return f"{now} to {then}"


def _direction(before: float, after: float, nominal: bool) -> str:
    if nominal or np.isnan(before) or np.isnan(after):
        return "change"
    return "raise" if after > before else "lower"


def nearest_as_json(
    space: FeatureSpace,
    distance: Distance,
    found: Nearest,
    labels: Sequence[object] = (),
    conflict: Conflict | None = None,
) -> dict[str, object]:
    """Return a nearest counterfactual as JSON-ready data with stable keys.

    Parameters
    ----------
    space, distance
        What was minimised where.
    found
        The answer.
    labels
        What each model says about the point, as the user knows it.
    conflict
        Why there is none.
    """
    point = found.point
    return {
        "status": str(found.status),
        "norm": distance.norm,
        "distance": None if math.isinf(found.distance) else found.distance,
        "bound": None if math.isinf(found.bound) else found.bound,
        "gap": None if math.isinf(found.gap) else found.gap,
        "moved": [space.names[i] for i in sorted(found.moved)],
        "effects": [space.names[i] for i in sorted(found.effects)],
        "changes": changes(space, found),
        "point": None
        if point is None
        else {name: plain(value) for name, value in space.decode(point).items()},
        "outcomes": [plain(label) for label in labels],
        "conflict": None
        if conflict is None
        else {"rules": [rule.text for rule in conflict.rules], "smallest": conflict.is_smallest},
        "statistics": {
            "nodes": found.nodes,
            "seconds": round(found.seconds, 6),
            "cpu_seconds": round(found.cpu_seconds, 6),
        },
    }


def nearest_in_words(
    space: FeatureSpace,
    distance: Distance,
    found: Nearest,
    labels: Sequence[object] = (),
    conflict: Conflict | None = None,
) -> str:
    """Say a nearest counterfactual in a sentence or two; parameters as for JSON."""
    if found.status is NearestStatus.ALREADY:
        return "Nothing has to change: the outcome is the one asked for (distance 0)."
    if found.status is NearestStatus.UNKNOWN:
        return (
            f"Nothing was found in time, and that there is nothing was not shown; a "
            f"counterfactual is at least {found.bound:.6g} away. Allow more with --time-limit."
        )
    if found.status is NearestStatus.NONE:
        return (
            f"There is no counterfactual under these rules (proved). {_why_none(conflict)}".strip()
        )
    moves = changes(space, found)
    sentence = "; ".join(_move(row) for row in moves if "effect" not in row)
    follows = ", ".join(
        f"{row['column']} goes from {from_to(row)}" for row in moves if "effect" in row
    )
    outcome = " and ".join(dict.fromkeys(shown(label) for label in labels))
    then = f" Then the model says {outcome}." if labels else ""
    if found.status is NearestStatus.OPTIMAL:
        up_to = f" up to {found.gap:.2g}" if found.gap else ""
        proof = f"({distance.norm} distance {found.distance:.6g}, proved nearest{up_to})"
    else:
        proof = (
            f"({distance.norm} distance {found.distance:.6g}; not proved nearest: none is nearer "
            f"than {found.bound:.6g}, gap {found.gap:.6g})"
        )
    effect = f" It follows that {follows}." if follows else ""
    return f"{sentence[:1].upper()}{sentence[1:]}.{effect}{then} {proof}"


def _move(row: Mapping[str, object]) -> str:
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{row['direction']} {row['column']} from {from_to(row)}{unit}"


def _why_none(conflict: Conflict | None) -> str:
    if conflict is None:
        return ""
    if not conflict.rules:
        return "The model says the same everywhere in the space."
    texts = "; ".join(rule.text for rule in conflict.rules)
    if not conflict.is_smallest:
        return f"These rules exclude every one, perhaps fewer do: {texts}."
    if len(conflict.rules) == 1:
        return f"This rule alone excludes every one: {texts}."
    return f"The fewest rules that exclude every one: {texts}."
