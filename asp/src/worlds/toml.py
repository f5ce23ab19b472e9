"""Worlds as TOML files, for people to read and write.

::

    name = "loan"
    rules = ["loan.lp"]              # rule files beside this one
    [goal]
    undesired = ["reject"]           # or desired = [...]

    [features.debt]
    type = "integers"                # real, integers, boolean or categories
    lower = 0
    upper = 100000
    unit = "EUR"

    [features.credit_score]
    type = "integers"
    lower = 300
    upper = 850
    change = "immutable"             # any, up, down, immutable (for actions), frozen (always)

    [[causal]]
    if = "debt = 0"
    then = "credit_score >= 620"
    iff = true

Further keys of a feature: ``values``, ``nullable``, ``step``, ``max_change``,
``transitions``, ``may_become_missing``, ``cost``, ``cost_per_unit``.  Further tables:
``tables`` (cases of one feature), ``deny``, ``preconditions``, ``effects``, ``arguments``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from whyproof.asp.rules import RuleError, RuleSet, Table
from whyproof.engine.errors import DataError

from .entries import Entry, Source
from .feature import WorldFeature
from .features_toml import feature_of_entry
from .goal import Goal
from .statements_toml import causal_of, denials_of, effects_of, preconditions_of
from .text import WorldRules, read_world_rules
from .world import World

__all__ = ["load_world", "read_rule_file", "world_from_toml"]

_MAX_BYTES = 64 * 1024**2

_KEYS = (
    "name",
    "rules",
    "target",
    "goal",
    "features",
    "causal",
    "tables",
    "deny",
    "preconditions",
    "effects",
    "arguments",
)


def load_world(
    path: str | os.PathLike[str],
    rules: Sequence[str | os.PathLike[str]] = (),
    *,
    data: Table | None = None,
    target: str | None = None,
) -> World:
    """Read a world from a TOML file and its rules.

    Parameters
    ----------
    path
        The TOML file; rule files that it names are looked for beside it.
    rules
        Further rule files.
    data
        Rows from which features without a ``type`` take their values.
    target
        What the decision rules decide, if the world file does not say.

    Raises
    ------
    RuleError
        For rules that cannot be read, with file, line and column.
    DataError
        For a world file that cannot be read or says something impossible, with its line.
    """
    path = Path(os.fspath(path))
    return world_from_toml(
        _text(path), rules, source=str(path), folder=path.parent, data=data, target=target
    )


def world_from_toml(
    text: str,
    rules: Sequence[str | os.PathLike[str]] = (),
    *,
    source: str = "the world",
    folder: Path | None = None,
    data: Table | None = None,
    target: str | None = None,
) -> World:
    """Read a world from TOML text; see `load_world`.

    Examples
    --------
    >>> world = world_from_toml('''
    ... [features.debt]
    ... type = "integers"
    ... lower = 0
    ... [features.score]
    ... type = "integers"
    ... change = "immutable"
    ... [[causal]]
    ... if = "debt = 0"
    ... then = "score >= 620"
    ... ''')
    >>> world.names, str(world.causal[0])
    (('debt', 'score'), 'score >= 620 if debt = 0')
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{source}: {error}") from None
    entry = Entry(Source(text, source), content, "")
    entry.keys(_KEYS)
    features = _features(entry, data)
    names = [feature.name for feature in features]
    goal = _goal(entry)
    arguments = {
        key: entry.table("arguments").names(key) for key in entry.table("arguments").content
    }
    told = entry.text("target") or target
    found = [WorldRules(causal_of(entry, names), denials_of(entry, names))]
    for name in entry.names("rules"):
        file = Path(name) if folder is None else folder / name
        found.append(_rules(file, names, told, arguments))
    found += [_rules(Path(os.fspath(file)), names, told, arguments) for file in rules]
    decided = [part.decisions for part in found if part.decisions is not None]
    try:
        return World(
            features,
            tuple(rule for part in found for rule in part.causal),
            tuple(denial for part in found for denial in part.denials),
            preconditions_of(entry, names),
            effects_of(entry, names),
            _joined(decided),
            goal,
            entry.text("name"),
        )
    except RuleError:
        raise
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def read_rule_file(
    path: str | os.PathLike[str],
    features: Collection[str],
    *,
    target: str | None = None,
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> WorldRules:
    """Read a file of rules about known features; see `read_world_rules`."""
    return _rules(Path(os.fspath(path)), features, target, arguments or {})


def _rules(
    path: Path,
    features: Collection[str],
    target: str | None,
    arguments: Mapping[str, Sequence[str]],
) -> WorldRules:
    return read_world_rules(
        _text(path), features, file=str(path), target=target, arguments=arguments
    )


def _joined(decided: Sequence[RuleSet]) -> RuleSet | None:
    """Join the decision rules of several files, in their order."""
    if not decided:
        return None
    joined = decided[0]
    for more in decided[1:]:
        if more.target != joined.target:
            raise DataError(
                f"the rule files decide {joined.target!r} and {more.target!r}; a world decides one"
            )
        default = more.default if joined.default is None else joined.default
        joined = replace(joined, rules=(*joined.rules, *more.rules), default=default)
    return joined


def _features(entry: Entry, data: Table | None) -> tuple[WorldFeature, ...]:
    described = entry.table("features")
    if not described.content:
        raise DataError(
            f"{entry.source.name} describes no features; add a table [features.NAME] for each"
        )
    return tuple(feature_of_entry(name, described.table(name), data) for name in described.content)


def _goal(entry: Entry) -> Goal:
    goal = entry.table("goal")
    goal.keys(("desired", "undesired"))
    try:
        return Goal(goal.values("desired"), goal.values("undesired"))
    except DataError as error:
        raise goal.fail(str(error), "goal") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; it is no file of rules")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; it is no file of rules") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
