"""A path as a picture: one row per feature, one column per state, moves as arrows (SVG).

Direct actions are solid and blue, causal moves dashed and orange; colours differ in
lightness as well, and the arrows in stroke, so that nothing depends on colour alone.
"""

from __future__ import annotations

from html import escape

from whyproof.asp.planning.path import Path, Step
from whyproof.asp.rules import Value
from whyproof.asp.worlds.world import World

from .words import value_words

__all__ = ["path_diagram"]

_ROW, _COLUMN, _LEFT, _TOP = 34, 190, 170, 46

_STYLE = (
    ".t{font:13px system-ui,sans-serif;fill:#1b1f24}"
    ".h{font:600 13px system-ui,sans-serif;fill:#1b1f24}"
    ".k{font:13px system-ui,sans-serif;fill:#8a929c}"
    ".d{stroke:#1f5fbf;stroke-width:2;fill:none}"
    ".c{stroke:#b45309;stroke-width:2;stroke-dasharray:5 3;fill:none}"
    ".b{fill:#f4f6f8;stroke:#d3d8de}"
    ".g{fill:#e7f4ea;stroke:#5a9a6a}"
)


def path_diagram(world: World, path: Path, title: str = "") -> str:
    r"""Draw a path.

    Parameters
    ----------
    world
        Its features give the rows; those that never change share the last row.
    path
        What is drawn.
    title
        Read out by screen readers.

    Returns
    -------
    str
        A self-contained SVG element.

    Examples
    --------
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('[features.age]\ntype = "integers"')
    >>> path_diagram(world, Path({"age": 3}, (), ((0,),), ())).startswith("<svg")
    True
    """
    changed = [
        name
        for name in world.names
        if any(name == s.direct.feature or _causal(s, name) for s in path.steps)
    ]
    rows = changed or list(world.names)
    kept = [name for name in world.names if name not in rows]
    width = _LEFT + _COLUMN * (path.length + 1)
    height = _TOP + _ROW * (len(rows) + bool(kept)) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<title>{escape(title or 'causal path')}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" '
        'fill="context-stroke"/></marker></defs>',
    ]
    states = [path.start, *(step.state for step in path.steps)]
    for number in range(len(states)):
        x = _LEFT + _COLUMN * number
        shape = "g" if number == path.length else "b"
        parts.append(
            f'<rect class="{shape}" x="{x - 8}" y="8" width="{_COLUMN - 62}" '
            f'height="{_TOP - 20 + _ROW * len(rows)}" rx="6"/>'
        )
        head = "start" if number == 0 else "goal" if number == path.length else f"step {number}"
        parts.append(f'<text class="h" x="{x}" y="28">{head}</text>')
    for row, name in enumerate(rows):
        y = _TOP + _ROW * row + 14
        parts.append(f'<text class="h" x="8" y="{y}">{_short(name, 22)}</text>')
        for number, state in enumerate(states):
            parts += _cell(world, path, name, number, state[name], y)
    if kept:
        y = _TOP + _ROW * len(rows) + 18
        values = ", ".join(f"{name} {_value(world, name, path.start[name])}" for name in kept)
        parts.append(f'<text class="k" x="8" y="{y}">unchanged: {_short(values, 110)}</text>')
    return "".join([*parts, "</svg>"])


def _cell(world: World, path: Path, name: str, number: int, value: Value, y: int) -> list[str]:
    """Draw the value of a feature in one state and the arrow that leads to it."""
    x = _LEFT + _COLUMN * number
    moved = False
    parts: list[str] = []
    if number:
        step = path.steps[number - 1]
        direct = step.direct.feature == name
        if direct or _causal(step, name):
            moved = True
            parts.append(
                f'<path class="{"d" if direct else "c"}" marker-end="url(#tip)" '
                f'd="M{x - 66} {y - 4}H{x - 12}"/>'
            )
    style = "t" if moved or number == 0 else "k"
    parts.append(
        f'<text class="{style}" x="{x}" y="{y}">{_short(_value(world, name, value), 18)}</text>'
    )
    return parts


def _causal(step: Step, name: str) -> bool:
    return any(move.feature == name for move in step.causal)


def _value(world: World, name: str, value: Value) -> str:
    return value_words(value, world.feature(name).unit)


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")
