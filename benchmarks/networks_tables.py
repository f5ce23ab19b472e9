"""Print the tables of ``docs/benchmarks.md`` about networks from stored results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["networks"]

_DEEPER = ("deep", "convolution", "pooling", "verix", "sigmoid", "boxes")
_BASELINES = ("dichotomic", "swift")
_Record = dict[str, Any]


def networks(sections: dict[str, Any]) -> str:
    """Return the tables of `benchmarks.networks` and `benchmarks.networks_checks` as Markdown."""
    records = {name: section["records"] for name, section in sections.items()}
    parts = [
        _minimal(records["cxp"]),
        _ratios(records["ratios"]),
        _deeper(records),
        _published(records),
        _specifications(records["vnnlib"]),
        _agreement(records["agreement"]),
    ]
    return "\n\n".join(parts)


def _minimal(records: Sequence[_Record]) -> str:
    lines = [
        "| epsilon | images | mean size | proved minimal | CPU s median / max | most rounds |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for epsilon in dict.fromkeys(r["epsilon"] for r in records):
        found = [r for r in records if r["epsilon"] == epsilon and r["size"] is not None]
        cpu = [r["cpu"] for r in found]
        lines.append(
            f"| {epsilon} | {len(found)} | {np.mean([r['size'] for r in found]):.1f} "
            f"| {sum(r['status'] == 'minimal' for r in found)} "
            f"| {np.median(cpu):.2f} / {max(cpu):.2f} | {max(r['rounds'] for r in found)} |"
        )
    return "\n".join(lines)


def _ratios(records: Sequence[_Record]) -> str:
    ours = {
        (r["epsilon"], r["row"]): r
        for r in records
        if r["strategy"] == "witness" and r["size"] is not None
    }
    lines = [
        "| search | problems | stopped | mean size, ours | CPU s, ours "
        "| ratio of sums, median, least |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in _BASELINES:
        pairs = [
            (r, ours[key])
            for r in records
            if r["strategy"] == name and (key := (r["epsilon"], r["row"])) in ours
        ]
        theirs, own = sum(r["cpu"] for r, _ in pairs), sum(o["cpu"] for _, o in pairs)
        ratios = [r["cpu"] / o["cpu"] for r, o in pairs]
        sizes = [float(np.mean([p[i]["size"] for p in pairs])) for i in (0, 1)]
        lines.append(
            f"| {name} | {len(pairs)} | {sum(bool(r['stopped']) for r, _ in pairs)} "
            f"| {sizes[0]:.1f}, {sizes[1]:.1f} | {theirs:.1f}, {own:.1f} "
            f"| {theirs / own:.0f}, {np.median(ratios):.0f}, {min(ratios):.1f} |"
        )
    lines += ["", "Problems that a baseline ended by itself within the limit:", ""]
    lines += [
        "| epsilon, image | ours: size, CPU s | dichotomic | SwiftCXp (q = 30) |",
        "|---|---|---|---|",
    ]
    for (epsilon, row), own in ours.items():
        both = {
            r["strategy"]: r
            for r in records
            if (r["epsilon"], r["row"]) == (epsilon, row) and r["strategy"] in _BASELINES
        }
        if len(both) == len(_BASELINES) and not all(r["stopped"] for r in both.values()):
            cells = " | ".join(_baseline(both[name], own) for name in _BASELINES)
            lines.append(f"| {epsilon}, {row} | {own['size']}, {own['cpu']:.2f} | {cells} |")
    return "\n".join(lines)


def _baseline(record: _Record, own: _Record) -> str:
    least = ">= " if record["stopped"] else ""
    left = f" ({record['open']} open)" if record["open"] else ""
    ratio = f"{least}{record['cpu'] / own['cpu']:.0f}"
    return f"{record['size']}{left}, {least}{record['cpu']:.1f}, ratio {ratio}"


def _deeper(records: dict[str, list[_Record]]) -> str:
    lines = [
        "| section | net | epsilon | image | size | status | at least | CPU s | nodes |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for name in _DEEPER:
        for r in records.get(name, ()):
            net = str(r.get("specification", r["net"])).removesuffix(".vnnlib.gz")
            robust = r["size"] is None
            size = "-" if robust else r["size"]
            status = "robust, proved" if robust else r["status"]
            minimal = r["status"] == "minimal"
            least = size if minimal else r.get("at_least") or "-"
            place = f"{r.get('epsilon', 'file')} | {r.get('row', 'middle')}"
            lines.append(
                f"| `{name}` | {net} | {place} | {size} | {status} | {least} "
                f"| {r['cpu']:.1f} | {r['nodes']} |"
            )
    return "\n".join(lines)


def _published(records: dict[str, list[_Record]]) -> str:
    lines = [
        "| net | images | mean size | decided completely | CPU s median / max |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in ("fame-10x2", "fame-cnn"):
        found = records[name]
        cpu = [r["cpu"] for r in found]
        lines.append(
            f"| {name.replace('fame', 'mnist')} | {len(found)} "
            f"| {np.mean([r['size'] for r in found]):.1f} "
            f"| {sum(not r['open'] for r in found)} | {np.median(cpu):.2f} / {max(cpu):.1f} |"
        )
    return "\n".join(lines)


def _specifications(records: Sequence[_Record]) -> str:
    lines = ["| net | specifications | sat | unsat | unknown |", "|---|--:|--:|--:|--:|"]
    for net in dict.fromkeys(r["net"] for r in records):
        count = Counter(r["result"] for r in records if r["net"] == net)
        lines.append(
            f"| {net} | {count.total()} | {count['sat']} | {count['unsat']} | {count['unknown']} |"
        )
    return "\n".join(lines)


def _agreement(records: Sequence[_Record]) -> str:
    lines = [
        "| net | questions | both yes | both no | undecided | contradictions | CPU s ours, HiGHS |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {r['net']} | {r['queries']} | {r.get('both yes', 0)} | {r.get('both no', 0)} "
        f"| {r.get('undecided by one', 0)} | {r.get('contradiction', 0)} "
        f"| {r['oracle']}, {r['program']} |"
        for r in records
    ]
    return "\n".join(lines)
