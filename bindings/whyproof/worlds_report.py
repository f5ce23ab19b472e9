"""The recourse of a population as one self-contained HTML page, without scripts."""

from __future__ import annotations

from functools import cache
from importlib import resources

import jinja2

from whyproof.asp.planning.population import PopulationSummary
from whyproof.asp.worlds import World

__all__ = ["recourse_page"]

_MOST_ROWS = 500


def recourse_page(world: World, summary: PopulationSummary, title: str = "") -> str:
    """Write who has recourse, how far it is and what it takes as HTML.

    Parameters
    ----------
    world
        Its name and goal are told.
    summary
        Of `audit_recourse`.
    title
        Heading; made from the world's name by default.
    """
    document = summary.as_json()
    rejected = summary.rejected
    longest = max(summary.lengths.values(), default=1)
    most = max(summary.features.values(), default=1)
    return _template().render(
        title=title or f"Recourse in {world.name or 'a world'}",
        goal=f"{world.rules().target}: {world.goal.describe()}",
        summary=summary,
        cost=document["cost"],
        lengths=[(length, n, n / longest) for length, n in summary.lengths.items()],
        features=[(name, n, n / most) for name, n in summary.features.items()],
        shown=rejected[:_MOST_ROWS],
        hidden=max(0, len(rejected) - _MOST_ROWS),
    )


@cache
def _template() -> jinja2.Template:
    place = resources.files("whyproof").joinpath("worlds_report.html.j2")
    return jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).from_string(place.read_text("utf-8"))
