"""The list of commands by what a user wants."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["SECTIONS", "Sectioned"]

SECTIONS = {
    "Explain decisions": ("explain", "enumerate", "query", "cover", "audit", "report", "diff"),
    "Change decisions": ("nearest", "recourse", "sensitive", "counterfactual", "plan"),
    "Rules and worlds": ("learn", "rules", "justify"),
    "Networks and images": ("verify", "recheck", "repaint", "visual"),
    "Evidence": ("check", "store", "encode"),
    "This program": ("doctor", "demo"),
}
"""Commands in the order in which they are listed."""


class Sectioned(TyperGroup):
    """A group whose help lists its commands in sections."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Read the arguments; ``--models`` takes all files that follow it."""
        from .recourse_options import spread_models

        return super().parse_args(ctx, spread_models(args))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the commands, those of no section last.

        Typer has its own copy of click or takes the installed one, depending on its version;
        both pass objects with the same methods.
        """
        known = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in known)
        for title, names in {**SECTIONS, "Others": others}.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, c.get_short_help_str(200)) for name, c in found if c is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
