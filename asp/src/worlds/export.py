"""Worlds for other tools: decision rules, and what no state may be like, as programs.

A causal rule or a denial is exported as what violates it, one named case per condition:
the programs then say of any row what is decided and which rules it breaks.
"""

from __future__ import annotations

from whyproof.asp.rules import Body, Literal, RuleSet, Table
from whyproof.asp.rules.asp_form import AspProgram, to_asp
from whyproof.asp.rules.json_form import bodies_to_json, literals_to_json, rules_to_json
from whyproof.asp.rules.scasp_form import to_scasp

from .causal import CausalRule
from .world import World

__all__ = ["violations_of", "world_to_asp", "world_to_json", "world_to_scasp"]


def violations_of(world: World) -> list[tuple[str, Body]]:
    """Return the bodies that hold for a state exactly if it breaks a rule, each with its name.

    Examples
    --------
    >>> from .toml import world_from_toml
    >>> world = world_from_toml('''
    ... [features.debt]
    ... type = "integers"
    ... [features.score]
    ... type = "integers"
    ... [[causal]]
    ... if = "debt = 0"
    ... then = "score >= 620"
    ... iff = true
    ... ''')
    >>> for name, body in violations_of(world):
    ...     print(name, "|", body)
    score >= 620 if and only if debt = 0 | debt = 0 and not score >= 620
    score >= 620 if and only if debt = 0 | score >= 620 and unless (debt = 0)
    """
    found = list[tuple[str, Body]]()
    shared: dict[tuple[tuple[Literal, ...], tuple[Literal, ...]], list[CausalRule]] = {}
    for rule in world.causal:
        name = rule.name or str(rule)
        found += [
            (name, Body((*body.literals, head.complement), body.exceptions))
            for body in rule.bodies
            for head in rule.heads
        ]
        if rule.iff:
            shared.setdefault((rule.heads, rule.otherwise), []).append(rule)
    for (heads, otherwise), rules in shared.items():
        name = " or ".join(dict.fromkeys(rule.name or str(rule) for rule in rules))
        bodies = tuple(body for rule in rules for body in rule.bodies)
        cases = [(o.complement,) for o in otherwise] if otherwise else [heads]
        found += [(name, Body(literals, bodies)) for literals in cases]
    for denial in world.denials:
        found += [(denial.name or "denial", body) for body in denial.bodies]
    return found


def world_to_asp(world: World, table: Table | None = None) -> AspProgram:
    """Write decisions and violations for clingo; see `whyproof.asp.rules.asp_form`."""
    return to_asp(_decisions(world), table, violations_of(world))


def world_to_scasp(world: World, table: Table | None = None) -> str:
    """Write decisions and violations for s(CASP); see `whyproof.asp.rules.scasp_form`."""
    return to_scasp(_decisions(world), table, violations_of(world))


def world_to_json(world: World) -> dict[str, object]:
    """Return decision rules, causal rules and denials as JSON-ready values."""
    return {
        "decisions": None if world.decisions is None else rules_to_json(world.decisions),
        "causal": [
            {
                "name": rule.name,
                "heads": literals_to_json(rule.heads),
                "bodies": bodies_to_json(rule.bodies),
                "iff": rule.iff,
                "otherwise": literals_to_json(rule.otherwise),
            }
            for rule in world.causal
        ],
        "denials": [
            {"name": denial.name, "bodies": bodies_to_json(denial.bodies)}
            for denial in world.denials
        ],
    }


def _decisions(world: World) -> RuleSet:
    return RuleSet("label", ()) if world.decisions is None else world.decisions
