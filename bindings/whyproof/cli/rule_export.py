"""``whyproof rules export``: rules and worlds for other tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from whyproof.asp.rules import Table
from whyproof.asp.rules.asp_form import to_asp
from whyproof.asp.rules.json_form import rules_to_json
from whyproof.asp.rules.scasp_form import to_scasp
from whyproof.asp.rules.write import write_rules
from whyproof.engine.errors import InputError

from .failures import ANSWERED
from .learn import read_rule_text, write_text
from .output import paragraph

__all__ = ["argument_names", "export_rules_command"]

_FORMS = ("asp", "scasp", "json", "fold", "names")


def export_rules_command(
    rules: Path,
    world: Path | None,
    to: str,
    *,
    out: Path | None,
    data: Path | None,
    target: str | None,
    arguments: Sequence[str],
) -> int:
    """Write a file of rules in another form."""
    if to not in _FORMS:
        raise InputError(f"--to is one of {', '.join(_FORMS)}, found {to!r}")
    if data is not None and to not in ("asp", "scasp"):
        raise InputError("--data adds rows as facts; only --to asp and --to scasp have facts")
    table = None if data is None else _rows(data)
    if world is None:
        text = _of_rules(rules, to, table, target, argument_names(arguments))
    else:
        text = _of_world(rules, world, to, table, target)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        paragraph(f"Written to {out}.")
    return ANSWERED


def argument_names(given: Sequence[str]) -> dict[str, Sequence[str]]:
    """Read ``lite_reject=persons,safety`` as the features of a predicate's arguments.

    Examples
    --------
    >>> argument_names(["lite=age,income"])
    {'lite': ['age', 'income']}
    """
    found: dict[str, Sequence[str]] = {}
    for text in given:
        predicate, equals, names = text.partition("=")
        if not equals or not predicate.strip() or not names.strip():
            raise InputError(f"--arguments {text!r} is not understood; write predicate=age,income")
        found[predicate.strip()] = [name.strip() for name in names.split(",")]
    return found


def _rows(path: Path) -> Table:
    from whyproof.rule_tables import rule_table
    from whyproof.tables import read_table

    return rule_table(read_table(path))


def _of_rules(
    path: Path,
    to: str,
    table: Table | None,
    target: str | None,
    arguments: dict[str, Sequence[str]],
) -> str:
    rules = read_rule_text(path, target=target, arguments=arguments)
    match to:
        case "json":
            return json.dumps(rules_to_json(rules), indent=1, ensure_ascii=False) + "\n"
        case "scasp":
            return to_scasp(rules, table)
        case "asp":
            program = to_asp(rules, table)
            return program.text + ("" if table is None else program.facts(table))
        case _:
            return write_rules(rules, "fold" if to == "fold" else "names")


def _of_world(rules: Path, path: Path, to: str, table: Table | None, target: str | None) -> str:
    from whyproof.asp.worlds import load_world
    from whyproof.asp.worlds.export import world_to_asp, world_to_json, world_to_scasp

    world = load_world(path, [rules], data=table, target=target)
    match to:
        case "json":
            return json.dumps(world_to_json(world), indent=1, ensure_ascii=False) + "\n"
        case "scasp":
            return world_to_scasp(world, table)
        case "asp":
            program = world_to_asp(world, table)
            return program.text + ("" if table is None else program.facts(table))
        case _:
            if world.decisions is None:
                raise InputError(f"{rules} decides nothing; only decision rules have this form")
            return write_rules(world.decisions, "fold" if to == "fold" else "names")
