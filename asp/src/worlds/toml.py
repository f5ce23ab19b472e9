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
from dataclasses import dataclass, replace
from pathlib import Path

from whyproof.asp.rules import RuleError, RuleSet, Table
from whyproof.asp.rules.json_form import rules_from_json
from whyproof.engine.errors import DataError

from .entries import Entry, Source
from .feature import WorldFeature
from .features_toml import feature_of_entry
from .goal import Goal
from .statements_toml import causal_of, denials_of, effects_of, preconditions_of
from .text import WorldRules, read_world_rules
from .world import World

__all__ = [
    "WorldFile",
    "load_world",
    "read_rule_file",
    "read_text",
    "read_world_file",
    "world_from_toml",
]

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


@dataclass(frozen=True, slots=True)
class WorldFile:
    """A world file that is read, its rule files not yet.

    Parameters
    ----------
    plain
        The world without the rules of other files.
    rule_files
        Files that it names.
    target
        What the decision rules decide; empty if it does not say.
    arguments
        Features that the arguments of positional predicates stand for.
    source
        Name for messages.
    """

    plain: World
    rule_files: tuple[Path, ...]
    target: str
    arguments: Mapping[str, Sequence[str]]
    source: str

    def load(
        self, rules: Sequence[str | os.PathLike[str]] = (), target: str | None = None
    ) -> World:
        """Read the rule files, and further ones, and return the whole world."""
        names = self.plain.names
        files = [*self.rule_files, *(Path(os.fspath(file)) for file in rules)]
        found = [_rules(file, names, self.target or target, self.arguments) for file in files]
        decided = [part.decisions for part in found if part.decisions is not None]
        try:
            return replace(
                self.plain,
                causal=(*self.plain.causal, *(rule for part in found for rule in part.causal)),
                denials=(*self.plain.denials, *(rule for part in found for rule in part.denials)),
                decisions=_joined(decided),
            )
        except RuleError:
            raise
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from None


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
    return read_world_file(path, data=data).load(rules, target)


def read_world_file(path: str | os.PathLike[str], *, data: Table | None = None) -> WorldFile:
    """Read a world file without its rule files; see `load_world`."""
    path = Path(os.fspath(path))
    return _world_file(read_text(path), str(path), path.parent, data)


def world_from_toml(
    text: str,
    rules: Sequence[str | os.PathLike[str]] = (),
    *,
    source: str = "the world",
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
    return _world_file(text, source, None, data).load(rules, target)


def _world_file(text: str, source: str, folder: Path | None, data: Table | None) -> WorldFile:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{source}: {error}") from None
    entry = Entry(Source(text, source), content, "")
    entry.keys(_KEYS)
    features = _features(entry, data)
    names = [feature.name for feature in features]
    arguments = {
        key: entry.table("arguments").names(key) for key in entry.table("arguments").content
    }
    try:
        plain = World(
            features,
            causal_of(entry, names),
            denials_of(entry, names),
            preconditions_of(entry, names),
            effects_of(entry, names),
            goal=_goal(entry),
            name=entry.text("name"),
        )
    except RuleError:
        raise
    except DataError as error:
        if str(error).startswith(source):
            raise
        raise DataError(f"{source}: {error}") from None
    files = tuple(Path(name) if folder is None else folder / name for name in entry.names("rules"))
    return WorldFile(plain, files, entry.text("target"), arguments, source)


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
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return WorldRules(decisions=rules_from_json(text))
    return read_world_rules(text, features, file=str(path), target=target, arguments=arguments)


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


def read_text(path: Path) -> str:
    """Return the text of a file of rules.

    Raises
    ------
    DataError
        If it cannot be read, is too large or no text.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; it is no file of rules")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; it is no file of rules") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
