"""Causal worlds: the rule learner and the planner of causal paths.

    python -m benchmarks.causal --out FILE.json [--parts learner,planner] [--splits N]

The learner is measured by `benchmarks.causal_learner`, the planner by
`benchmarks.causal_planner`.  Peers are measured in the same run where they are installed.
"""

from __future__ import annotations

import argparse
import importlib

from benchmarks.machine import describe_machine, write_result

PARTS = {"learner": "benchmarks.causal_learner", "planner": "benchmarks.causal_planner"}


def main() -> None:
    """Measure the parts that are asked for and write one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure")
    parser.add_argument("--splits", type=int, default=5, help="random splits of each table")
    options = parser.parse_args()
    result: dict[str, object] = {
        "machine": describe_machine("scikit-learn", "clingo", "foldrm", "foldrpp"),
    }
    for part in options.parts.split(","):
        if part not in PARTS:
            parser.error(f"no part {part!r}; known are {', '.join(PARTS)}")
        module = importlib.import_module(PARTS[part])
        result[part] = module.measure(options.splits)
        write_result(options.out, result)


if __name__ == "__main__":
    main()
