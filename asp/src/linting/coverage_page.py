"""The report of test cases as one self-contained HTML page, without scripts."""

from __future__ import annotations

from functools import cache
from importlib import resources

import jinja2

from .cases import CaseReport

__all__ = ["coverage_page"]


def coverage_page(report: CaseReport, title: str = "Rule tests") -> str:
    """Write which cases passed and which rules and literals they cover as HTML.

    Parameters
    ----------
    report
        Of `run_cases`.
    title
        Heading.
    """
    rules = [
        {
            "text": str(rule),
            "place": str(rule.position or ""),
            "fired": report.fired[number],
            "decided": report.decided[number],
            "literals": [c for c in report.literals if c.rule == number],
        }
        for number, rule in enumerate(report.world.rules().rules)
    ]
    causal = [
        {"text": str(rule), "held": held}
        for rule, held in zip(report.world.causal, report.causal, strict=True)
    ]
    return _template().render(title=title, report=report, rules=rules, causal=causal)


@cache
def _template() -> jinja2.Template:
    place = resources.files("whyproof.asp.linting").joinpath("coverage_page.html.j2")
    return jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).from_string(place.read_text("utf-8"))
