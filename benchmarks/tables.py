"""Print the tables of ``docs/benchmarks.md`` from stored results.

python -m benchmarks.tables benchmarks/results/trees.json benchmarks/results/networks.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.networks_tables import networks

__all__ = ["trees"]


def trees(result: dict[str, Any]) -> str:
    """Return the tables of `benchmarks.trees` as Markdown."""
    lines = [
        "| model | trees | features | AXp mean / max ms | size, peer's size "
        "| peer's ms | ratio | CXp mean ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, entry in result["peer"].items():
        axp, cxp = entry["axp"], entry["cxp"]
        lines.append(
            f"| {name} | {entry['trees']} | {entry['columns']} "
            f"| {axp['mean_ms']:.2f} / {axp['max_ms']:.1f} "
            f"| {axp['mean_size']:.1f}, {entry['peer_mean_size']:.1f} "
            f"| {1e3 * entry['peer_mean_seconds']:.0f} | {entry['axp_ratio']:.0f} "
            f"| {cxp['mean_ms']:.2f} |"
        )
    summary = result["summary"]
    rechecked = sum(e[k]["rechecked_by_milp"] for e in result["peer"].values() for k in KINDS)
    refuted = sum(e[k]["refuted_by_milp"] for e in result["peer"].values() for k in KINDS)
    replayed = sum(e[k]["witnesses_replayed"] for e in result["peer"].values() for k in KINDS)
    lines += [
        "",
        f"Geometric mean of the ratios {summary['axp_ratio_geometric_mean']}, least "
        f"{summary['axp_ratio_least']}; {replayed} counterexamples replayed, {rechecked} proofs "
        f"repeated by mixed-integer programming, {refuted} refuted.",
        "",
        "| all explanations of | AXps | CXps | complete | CPU s |",
        "|---|--:|--:|---|--:|",
    ]
    for name, entry in result["wine"].items():
        equal = "equal to the reference sets" if entry["equal_to_reference"] else "DIFFERENT"
        lines.append(
            f"| wine, {name} | {entry['axps']} | {entry['cxps']} | {equal} "
            f"| {entry['cpu_seconds_best_of_3']:.3f} |"
        )
    for name, entry in result["breast_cancer"].items():
        state = "yes, dual by multiplication" if entry["dual"] else str(entry["complete"])
        lines.append(
            f"| breast cancer, XGBoost, {name} | {entry['axps']} | {entry['cxps']} | {state} "
            f"| {entry['cpu_seconds']:.2f} |"
        )
    start = result["start"]
    lines += [
        "",
        f"Import: {1e3 * start['import_seconds_best_of_5']:.0f} ms. One row of a 100-tree model "
        f"from a cold command line: {start['explain_one_row_seconds_best_of_5']} s.",
    ]
    return "\n".join(lines)


KINDS = ("axp", "cxp")

if __name__ == "__main__":
    for path in sys.argv[1:]:
        stored = json.loads(Path(path).read_text())
        print(networks(stored["results"]) if "results" in stored else trees(stored))
