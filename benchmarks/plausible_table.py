"""Tables of docs/benchmarks.md from a result file of `benchmarks.plausible`.

    python -m benchmarks.plausible_table FILE.json

Means over folds beside the published means.  Of each data set and level the search without
an aim is shown, and the aim that misses the fewest published figures, the lowest of them.
A figure is met if it is as good as the published one in the published digits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

NOTHING = "\u2013"
LEVELS = ("local", "group", "global")
UP = ("validity", "plausibility", "log_density", "isoforest")
DOWN = ("l2", "lof", "seconds")
NAMES = {
    "validity": "validity",
    "l2": "L2",
    "plausibility": "plausible",
    "log_density": "log density",
    "isoforest": "IsoForest",
    "lof": "LOF",
    "seconds": "CPU s",
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    held = json.loads(parser.parse_args().file.read_text())
    for text in (*protocol(held["means"]), *hand(held["runs"])):
        sys.stdout.write(text + "\n")


def protocol(means: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the table of the published protocol."""
    yield "| set, model | level | aim | folds | " + " | ".join(NAMES.values()) + " | missed |"
    yield "|---|---|---|--:|" + "---|" * (len(NAMES) + 1)
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in means:
        if str(line["method"]).startswith("whyproof"):
            key = str(line["dataset"]), str(line["model"]), str(line["level"])
            groups.setdefault(key, []).append(line)
    for key in sorted(groups, key=lambda k: (k[1] != "mlp", k[0], LEVELS.index(k[2]))):
        most = max(line["folds"] for line in groups[key])
        lines = sorted((x for x in groups[key] if x["folds"] == most), key=aim_of)
        best = min(lines, key=lambda line: (len(missed(line)), aim_of(line)))
        for line in lines[:1] if best is lines[0] else (lines[0], best):
            yield row(f"{key[0]}, {key[1]} | {key[2]}", line)


def aim_of(line: dict[str, Any]) -> float:
    """Return the quantile aimed at, 0 for none."""
    _, _, aim = str(line["method"]).partition("aim ")
    return float(aim or 0)


def ours_of(line: dict[str, Any], name: str) -> float:
    """Return one of our figures."""
    if name == "seconds":
        return float(line["cpu_s"])
    value = line["proposed"]["validity_all" if name == "validity" else name]
    return float(value)


def missed(line: dict[str, Any]) -> list[str]:
    """Return the published figures that are not met, at the published validity or more."""
    short: list[str] = []
    for name in NAMES:
        theirs = (line["published"] or {}).get(name)
        if theirs is None:
            continue
        mine = ours_of(line, name)
        if name == "l2":
            # Theirs leaves rows out: compared over as many of ours.
            mine = float(line["proposed"].get("l2_at_published_validity", mine))
        worse = round(mine, 2) < theirs if name in UP else round(mine, 2) > theirs
        if worse:
            short.append(NAMES[name])
    return short


def row(start: str, line: dict[str, Any]) -> str:
    """Return one line of the table; cells hold ours and the published figure."""
    cells = [start, f"{aim_of(line):g}" if aim_of(line) else NOTHING, str(line["folds"])]
    for name in NAMES:
        theirs = (line["published"] or {}).get(name)
        digits = 1 if name == "seconds" else 2
        beside = NOTHING if theirs is None else f"{theirs:g}"
        cells.append(f"{ours_of(line, name):.{digits}f}, {beside}")
    equal = line["proposed"].get("l2_at_published_validity")
    if equal is not None:
        cells[4] += f" (equal validity {equal:.2f})"
    return f"| {' | '.join(cells)} | {', '.join(missed(line)) or 'none'} |"


def hand(runs: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield what is no mean over folds: reference nets, the case study, times, growth, others."""
    for line in runs:
        stem = f"{line['dataset']} {line['model']} {line['fold']} {line['weights']}"
        case = str(line.get("case", ""))
        keys: tuple[str, ...]
        if case == "growth":
            keys = ("level", "growth_rows", "cpu_s", "cpu_ms_per_row", "valid", "peak_megabytes")
        elif "cpu_s_estimated" in line:
            keys = ("method", "level", "cpu_s_per_step", "cpu_s_estimated")
        elif "skipped" in line:
            keys = ("method", "skipped")
        elif line["weights"] == "own" and not case and str(line["method"]).startswith("whyproof"):
            continue
        else:
            keys = ("method", "level", "case", "cpu_s", "outcomes", "group_sizes")
            keys += ("wrong_signs", "frozen_moved", "proved_impossible", "undecided")
            keys += ("validity_of_possible",)
        parts = [f"{key} {line[key]}" for key in keys if key in line]
        for stage in ("relaxed", "proposed"):
            shown = ("validity_all", "l2", *UP[1:], "lof", "outside", "outside_box", "groups")
            if stage in line:
                values = [f"{k} {line[stage][k]:.3f}" for k in shown if k in line[stage]]
                parts.append(f"{stage}: {', '.join(values)}")
        yield f"{stem}: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
