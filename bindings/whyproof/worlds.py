"""Worlds, tables and models together: a person's state from a row, a model as judge."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from whyproof.asp.planning import ClassifierJudge
from whyproof.asp.worlds import World, load_world
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import Column, FeatureSpace

from .models import Model
from .rule_tables import rule_table
from .space_files import load_space
from .spaces import infer_space, match_columns
from .tables import Table

__all__ = ["ModelJudges", "open_world", "read_state", "state_of_row", "world_space"]

_MAX_BYTES = 16 * 1024**2


def open_world(
    path: str | os.PathLike[str],
    rules: Sequence[str | os.PathLike[str]] = (),
    table: Table | None = None,
    *,
    target: str | None = None,
) -> World:
    """Read a world whose features may take their values from a table.

    Parameters
    ----------
    path
        World file.
    rules
        Further files of rules.
    table
        Rows for features that the world file gives no type.
    target
        What the decision rules decide.
    """
    data = None if table is None else rule_table(table)
    return load_world(path, rules, data=data, target=target)


def read_state(path: str | os.PathLike[str]) -> dict[str, object]:
    """Read a state, a JSON object from feature to value.

    Raises
    ------
    DataError
        If the file is something else.
    """
    path = Path(os.fspath(path))
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; it is no state")
        document: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no JSON: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if not isinstance(document, dict):
        raise DataError(f"{path} holds no state; write an object, {{feature: value, ...}}")
    return cast("dict[str, object]", document)


def state_of_row(world: World, table: Table, row: int) -> dict[str, object]:
    """Return the features of a world from a row; further columns are left out.

    Raises
    ------
    DataError
        If a feature has no column, with the nearest name.
    """
    cells = dict(zip(table.names, table.row(row), strict=True))
    for name in world.names:
        if name not in cells:
            raise DataError(
                f"{table.source} has no column for the feature {name!r}"
                f"{did_you_mean(name, table.names)}"
            )
    return {name: cells[name] for name in world.names}


@dataclass(frozen=True)
class ModelJudges:
    """A model as the judge of plans in one world, row by row; can be sent to processes.

    Parameters
    ----------
    world
        Its features are columns of the model, by name.
    model
        From `whyproof.load_model`.
    table
        The rows' table: columns that are no features keep the row's values.
    space
        Space file that says how the model codes its columns; by default they are inferred
        from the table, or from the world.
    """

    world: World
    model: Model
    table: Table | None = None
    space: Path | None = None

    def __call__(self, row: int | None = None) -> ClassifierJudge:
        """Return the judge for one row, or for a state that stands in no table.

        Raises
        ------
        DataError
            If the model's columns cannot be found.
        """
        names, table = self.model.names, self.table
        if table is None:
            space = (
                world_space(self.world, names)
                if self.space is None
                else load_space(self.space, names or None)
            )
            return ClassifierJudge(self.model, space)
        if names:
            table = table.select([name for name in table.names if name in names])
        matched = match_columns(table, self.model)
        space = (
            infer_space(matched, self.model)
            if self.space is None
            else load_space(self.space, matched.names)
        )
        others: dict[str, object] = {}
        if row is not None:
            others = dict(zip(matched.names, matched.row(row), strict=True))
        return ClassifierJudge(self.model, space, others)


def world_space(world: World, names: Sequence[str] = ()) -> FeatureSpace:
    """Return the features of a world as columns: categories are coded in their order.

    Parameters
    ----------
    world
        The features.
    names
        Column names in the model's order; the world's order by default.

    Raises
    ------
    DataError
        If the model has a column that is no feature.
    """
    for name in names:
        if name not in world.names:
            raise DataError(
                f"the model has a column {name!r} that is no feature of the world"
                f"{did_you_mean(name, world.names)}; plan for a row of a table, or give --space"
            )
    chosen = names or world.names
    return FeatureSpace(tuple(Column(name, world.feature(name).domain) for name in chosen))
