"""Charts as inline SVG: bars with bounds, and histograms.

No script, no font and no colour of their own: their classes are styled by the page, so
that dark mode and print follow.
"""

from __future__ import annotations

from collections.abc import Mapping

from .shares import Share

__all__ = ["histogram", "share_bar"]

_COLUMN = 34
_HEIGHT = 96
_FOOT = 18
_HEAD = 16
_MOST_COLUMNS = 24


def share_bar(share: Share) -> str:
    """Draw a share between 0 and 1 as a bar, open at its end while it is not exact.

    Bounds are drawn as a line across, if they say anything.

    Examples
    --------
    >>> "whisker" in share_bar(Share(0.5, 0, 1)), "whisker" in share_bar(Share(0.5, 0.2, 1))
    (False, True)
    """
    parts = [
        '<svg class="share" role="img" width="100%" height="14" aria-hidden="true">',
        '<rect class="track" x="0" y="3" width="100%" height="8" rx="1"/>',
        f'<rect class="{"bar" if share.exact else "bar so-far"}" x="0" y="3" '
        f'width="{_percent(share.found)}" height="8" rx="1"/>',
    ]
    if share.bounded:
        low, high = _percent(share.lower), _percent(share.upper)
        parts.append(f'<line class="whisker" x1="{low}" x2="{high}" y1="7" y2="7"/>')
        for end in (low, high):
            parts.append(f'<line class="whisker" x1="{end}" x2="{end}" y1="3.5" y2="10.5"/>')
    return "".join([*parts, "</svg>"])


def histogram(counts: Mapping[int, int], kind: str) -> str:
    """Draw how many explanations have which size.

    Parameters
    ----------
    counts
        Number by size; sizes beyond the 24 smallest columns are drawn as one.
    kind
        ``axp`` or ``cxp``: a class for the page's colours.
    """
    if not counts:
        return ""
    sizes = list(range(min(counts), max(counts) + 1))
    heights = [counts.get(size, 0) for size in sizes]
    labels = [str(size) for size in sizes]
    if len(sizes) > _MOST_COLUMNS:
        rest = sum(heights[_MOST_COLUMNS - 1 :])
        heights = [*heights[: _MOST_COLUMNS - 1], rest]
        labels = [*labels[: _MOST_COLUMNS - 1], f"{labels[_MOST_COLUMNS - 1]}+"]
    most = max(heights)
    width = _COLUMN * len(labels)
    parts = [
        f'<svg class="histogram {kind}" role="img" viewBox="0 0 {width} {_HEAD + _HEIGHT + _FOOT}"'
        f' width="{width}">'
        f"<title>{'; '.join(f'size {x}: {y}' for x, y in zip(labels, heights, strict=True))}"
        "</title>"
    ]
    for i, (label, count) in enumerate(zip(labels, heights, strict=True)):
        height = _HEIGHT * count / most
        middle = i * _COLUMN + _COLUMN / 2
        top = _HEAD + _HEIGHT - height
        if count:
            parts.append(
                f'<rect class="bar" x="{i * _COLUMN + 4}" y="{top:.1f}" '
                f'width="{_COLUMN - 8}" height="{max(height, 1):.1f}" rx="1"/>'
                f'<text class="count" x="{middle:g}" y="{top - 4:.1f}">{count}</text>'
            )
        foot = _HEAD + _HEIGHT + 13
        parts.append(f'<text class="size" x="{middle:g}" y="{foot}">{label}</text>')
    base = _HEAD + _HEIGHT + 0.5
    parts.append(f'<line class="axis" x1="0" x2="{width}" y1="{base}" y2="{base}"/></svg>')
    return "".join(parts)


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%".replace(".00%", "%")
