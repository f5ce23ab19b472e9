"""Options that come from dataclasses."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from whyproof.cli.bundles import bundled


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--width")]
    height: Annotated[int, typer.Option("--height")] = 1
    unit: str = "cm"


@dataclass(frozen=True)
class Box:
    size: Size
    names: Annotated[list[str] | None, typer.Option("--name")] = None


def test_fields_become_options_and_come_back_as_the_dataclass() -> None:
    app = typer.Typer()
    seen: list[tuple[Box, int]] = []

    @app.command()
    @bundled()
    def make(box: Box, depth: Annotated[int, typer.Option("--depth")] = 3) -> int:
        """Make it."""
        seen.append((box, depth))
        return 0

    given = ["--width", "2", "--name", "a", "--name", "b"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert seen == [(Box(Size(2, 1), ["a", "b"]), 3)]


def test_only_chosen_fields_are_offered() -> None:
    @bundled(size=("width",))
    def make(box: Box) -> int:
        return box.size.height

    assert set(inspect.signature(make).parameters) == {"width", "names"}
    assert make(width=5, names=None) == 1


def test_a_field_without_an_option_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="unit"):

        @bundled(size=("unit",))
        def make(size: Size) -> int:
            return size.width


def test_two_options_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="width"):

        @bundled()
        def make(size: Size, width: Annotated[int, typer.Option("--width")] = 3) -> int:
            return size.width + width
