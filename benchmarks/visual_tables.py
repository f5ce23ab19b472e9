"""Print the tables of visual counterfactuals in ``docs/benchmarks.md`` from stored results.

python -m benchmarks.visual_tables benchmarks/results/visual.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["tables"]

Row = dict[str, Any]


def tables(results: dict[str, Row]) -> str:
    """Return the tables as Markdown, part by part in the order of the file's names."""
    parts: list[str] = []
    for name, result in results.items():
        for kind, make in (
            ("flips", _flips),
            ("judges", _judges),
            ("curve", _curve),
            ("copies", _copies),
            ("speed", _speed),
            ("exact", _exact),
        ):
            if name.split()[0] == kind:
                state = "" if result.get("complete") else " (not run to its end)"
                parts += [f"**{name}**{state}, CPU s: {result.get('cpu_seconds')}", ""]
                parts += [*make(result["rows"]), ""]
        if name in ("minimal", "beyond"):
            told = {k: v for k, v in result.items() if k not in ("rows", "machine", "accuracy")}
            parts += [f"**{name}**", "", json.dumps(told), ""]
    return "\n".join(parts)


def _table(head: str, rows: Iterable[str]) -> list[str]:
    columns = head.count("|") - 2
    return [head, "|---|" + "--:|" * columns, *rows]


def _flips(rows: list[Row]) -> list[str]:
    head = (
        "| condition | images | target reached | any change | judges | change in region "
        "| pixels changed | COUT | Fréchet, matched | CPU ms |"
    )
    return _table(
        head,
        (
            f"| {r['condition']} | {r['images']} | {r['reached']:.3f} | {r['changed']:.3f} "
            f"| {_two(r['judge_of_flips'], r['robust_of_flips'])} | {r['change']:.3f} "
            f"| {r['moved']:.0f} | {r['cout']:.2f} | {r['frechet_matched']:.0f} "
            f"| {r['cpu_ms']:.0f} |"
            for r in rows
        ),
    )


def _judges(rows: list[Row]) -> list[str]:
    head = (
        "| setting | gradient attack | change | both flip | judge | won, lost, p "
        "| second judge | won, lost, p | Fréchet, matched | nearer |"
    )
    return _table(
        head,
        (
            f"| {r['setting']} | {r['attack']} | {r['change']:.3f}, {r['attack_change']:.3f} "
            f"| {r['both_reach']} | {_won(r['judge'])} | {_won(r['robust'])} "
            f"| {r['frechet']['ours']:.0f}, {r['frechet']['attack']:.0f} "
            f"| {r['frechet']['share_of_redraws_nearer']:.2f} |"
            for r in rows
        ),
    )


def _won(told: Row) -> str:
    pair = _two(told["ours"], told["attack"])
    return f"{pair} | {told['won']}, {told['lost']}, {told['p_two_sided']:.2g}"


def _curve(rows: list[Row]) -> list[str]:
    head = (
        "| iterations | reached | change | judges | against signs of 0.1: judge (p) "
        "| second judge (p) | as published: reached | judges | no guidance: reached, any change |"
    )
    lines = []
    for r in rows:
        base, old, alone = r["base"], r["as published"], r["no guidance"]
        against = base["against"]
        pairs = " | ".join(
            f"{_two(against[k]['ours'], against[k]['attack'])} ({against[k]['p_two_sided']:.1g})"
            for k in ("judge", "robust")
        )
        lines.append(
            f"| {r['iterations']} | {base['reached']:.3f} | {base['change']:.3f} "
            f"| {_two(base['judge_of_flips'], base['robust_of_flips'])} | {pairs} "
            f"| {old['reached']:.3f} | {_two(old['judge_of_flips'], old['robust_of_flips'])} "
            f"| {_two(alone['reached'], alone['changed'])} |"
        )
    return _table(head, lines)


def _copies(rows: list[Row]) -> list[str]:
    return _table(
        "| setting | reached | spread of features | mean difference of pixels | CPU ms |",
        (
            f"| {r['setting']} | {r['reached']:.3f} | {r['spread_of_features']} "
            f"| {r['mean_pixel_difference']:.4f} | {r['cpu_ms']:.0f} |"
            for r in rows
        ),
    )


def _speed(rows: list[Row]) -> list[str]:
    return _table(
        "| batch | images | CPU ms an image | peak grew, MB |",
        (
            f"| {r['batch']} | {r['images']} | {r['cpu_ms_per_image']:.1f} | {r['peak_grew_mb']} |"
            for r in rows
        ),
    )


def _exact(rows: list[Row]) -> list[str]:
    head = (
        "| cells | program yes, no, unknown | exact yes, no, unknown | generator yes (recall) "
        "| without views | gradients yes | generator yes where proved no "
        "| CPU s: exact, program, generator |"
    )
    lines = []
    for r in rows:
        answers = [
            f"{r[name]['yes']}, {r[name]['no']}, {r[name]['unknown']}"
            for name in ("program", "exact")
        ]
        wrong = max(r[name]["generator_yes_here_no"] for name in ("program", "exact"))
        recall = [r["exact"].get(k) for k in ("generator_recall", "without_views_recall")]
        told = [
            f"{n} ({_one(v)})"
            for n, v in zip(
                (r["generator_yes"], r.get("without_views_yes", "-")), recall, strict=True
            )
        ]
        cost = r["cpu_seconds_per_image"]
        lines.append(
            f"| {r['cells']} | {answers[0]} | {answers[1]} "
            f"| {told[0]} | {told[1]} | {r['gradients_yes']} | {wrong} "
            f"| {cost['exact']:.3f}, {cost['program']:.3f}, {cost['generator']:.3f} |"
        )
    return _table(head, lines)


def _one(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _two(first: float | None, second: float | None) -> str:
    return ", ".join(_one(value) for value in (first, second))


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(tables(json.loads(Path(path).read_text())["results"]))
