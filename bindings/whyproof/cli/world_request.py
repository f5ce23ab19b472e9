"""Which world and which person a command was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from whyproof.engine.errors import InputError

from . import options, world_options

if TYPE_CHECKING:
    from whyproof.asp.rules import Value
    from whyproof.asp.worlds import World
    from whyproof.tables import Table

__all__ = ["JustifyRequest", "PersonRequest"]


@dataclass(frozen=True)
class PersonRequest:
    """The options that `plan` and `justify` share; see their help."""

    world: world_options.WorldFile
    rules: world_options.RuleFiles = None
    state: world_options.State = None
    data: world_options.People = None
    row: world_options.Person = None
    label: options.Label = None
    desired: world_options.Desired = None
    undesired: world_options.Undesired = None
    target: world_options.Target = None
    start: world_options.Start = None
    report: world_options.Report = None

    def check(self, *, one_person: bool = True) -> None:
        """Refuse options that do not go together."""
        if (self.state is None) == (self.data is None):
            raise InputError("name a person with --state FILE, or with --data FILE and --row N")
        if self.data is None and self.row is not None:
            raise InputError("--row counts rows of --data")
        if one_person and self.data is not None and self.row is None:
            raise InputError("--data needs --row N, the person")

    def table(self) -> Table | None:
        """Read the table, if one is named."""
        from whyproof.tables import read_table

        return None if self.data is None else read_table(self.data, self.label)

    def open(self, table: Table | None) -> World:
        """Read the world with its goal."""
        from whyproof.asp.worlds import Goal
        from whyproof.worlds import open_world

        world = open_world(self.world, self.rules or (), table, target=self.target)
        world.rules()
        if self.desired or self.undesired:
            goal = Goal(_labels(self.desired or (), world), _labels(self.undesired or (), world))
            world = replace(world, goal=goal)
        return world

    def person(self, world: World, table: Table | None) -> dict[str, object]:
        """Return the state of the person."""
        from whyproof.worlds import read_state, state_of_row

        if self.state is not None:
            return read_state(self.state)
        if table is None or self.row is None:
            raise InputError("--data needs --row N, the person")
        return state_of_row(world, table, self.row)


@dataclass(frozen=True)
class JustifyRequest(PersonRequest):
    """The options of `justify`; see its help."""

    with_plan: Annotated[
        bool, typer.Option("--plan", help="Also justify the best path, step by step.")
    ] = False
    partial: Annotated[
        bool, typer.Option("--partial", help="The state may be half filled: what still matters?")
    ] = False
    every: Annotated[
        bool, typer.Option("--every", help="Name every failing literal, not one per rule.")
    ] = False
    sentences: Annotated[
        bool, typer.Option("--sentences", help="Plain sentences instead of a tree.")
    ] = False


def _labels(texts: Sequence[str], world: World) -> tuple[Value, ...]:
    """Return labels as the rules have them; ``none`` is no decision."""
    from whyproof.asp.rules.values import text_of

    known = {text_of(label): label for label in world.rules().labels}
    return tuple(
        known[text] if text in known else None if text == "none" else text for text in texts
    )
