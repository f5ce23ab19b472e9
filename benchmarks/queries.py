"""Queries about explanations: what each costs, with and without constraints, and time limits.

    python -m benchmarks.queries --out FILE.json [--rows N]

Models are trained on the spot, as `formal-explanations` comparisons do: XGBoost with 50
trees of depth 3 and a random forest with 50 trees of depth 4 on breast cancer and wine, XGBoost
on digits.  Processor seconds; each query is asked once per row by a new explainer that has
been warmed up on another row.  Every answer is checked: counterexamples by replay, inflated
explanations on random rows inside their sets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.machine import describe_machine, write_result
from whyproof.asp.rules.constraints import read_constraints
from whyproof.encodings.constraints.consistency import constrained
from whyproof.encodings.queries.inflated import Inflated
from whyproof.encodings.trees.milp import TreeMilpOracle
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.sat import TreeSatOracle
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.hitting.asp import AspHittingSets
from whyproof.engine.hitting.milp import MilpHittingSets
from whyproof.engine.hitting.sat import SatHittingSets
from whyproof.engine.hitting.solver import HittingSetProblem
from whyproof.engine.oracle import Oracle
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model

Bunch: TypeAlias = Any
"""Data sets and models of scikit-learn, which has no types."""

Timed: TypeAlias = Callable[[str, Callable[[], Any]], Any]

RULES = {
    "breast cancer": "\n".join(
        f"mean_{name} <= worst_{name}."
        for name in ("radius", "texture", "perimeter", "area", "smoothness", "compactness")
    )
    + "\nmean_perimeter >= 6 * mean_radius.\nworst_perimeter >= 6 * worst_radius.\n",
    "wine": "flavanoids <= total_phenols + 1.4.\n:- alcohol < 12, proline > 1100.\n"
    "proline >= was(proline) - 300.\n",
}


def main() -> None:
    """Run all measurements and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="", help="limits, or models whose name contains this")
    options = parser.parse_args()
    out = Path(options.out)
    known = json.loads(out.read_text()) if options.only and out.exists() else {}
    result: dict[str, Any] = {
        **known,
        "machine": describe_machine("scikit-learn", "xgboost", "python-sat", "highspy", "clingo"),
        "seed": 0,
        "rows": options.rows,
        "models": known.get("models", {}),
    }
    for name, data, fitted in _models():
        if options.only not in name:
            continue
        sys.stderr.write(f"{name} ...\n")
        result["models"][name] = _measure(name, data, fitted, options.rows, options.seconds)
        write_result(options.out, result)
    if options.only in ("", "limits"):
        result["limits"] = _limits()
    write_result(options.out, result)


def _models() -> Iterable[tuple[str, Any, Any]]:
    import xgboost
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.ensemble import RandomForestClassifier

    for name, load in (("breast cancer", load_breast_cancer), ("wine", load_wine)):
        data = load()
        boosted = xgboost.XGBClassifier(n_estimators=50, max_depth=3, random_state=0, n_jobs=1)
        yield f"{name}, XGBoost 50x3", data, boosted.fit(data.data, data.target)
        forest = RandomForestClassifier(50, max_depth=4, random_state=0, n_jobs=1)
        yield f"{name}, forest 50x4", data, forest.fit(data.data, data.target)
    data = load_digits()
    boosted = xgboost.XGBClassifier(n_estimators=50, max_depth=3, random_state=0, n_jobs=1)
    yield "digits, XGBoost 50x3", data, boosted.fit(data.data, data.target)


def _measure(name: str, data: Bunch, fitted: Bunch, rows: int, seconds: float) -> dict[str, Any]:
    names = [str(n).replace(" ", "_").replace("/", "_") for n in data.feature_names]
    model = load_model(fitted)
    space = FeatureSpace.of(names)
    rules = next((text for key, text in RULES.items() if name.startswith(key)), "")
    kinds = {"free": space}
    if rules:
        kinds["constrained"] = constrained(space, read_constraints(rules, space))
    measured: dict[str, Any] = {"rules": len(rules.splitlines())}
    for kind, known in kinds.items():
        explainer = Explainer(model, known)
        explainer.explain(data.data[rows + 1], "axp")
        tally: dict[str, list[float]] = {}
        sizes: dict[str, list[float]] = {}
        for row in range(rows):
            _ask(explainer, data, row, seconds, tally, sizes)
        measured[kind] = {
            "cpu_seconds": {query: _spread(times) for query, times in tally.items()},
            "sizes": {query: values for query, values in sizes.items()},
        }
    start = time.process_time()
    found = Explainer(model, space).cover(list(data.data[:60]), budget=Budget(seconds=seconds * 2))
    measured["cover of 60 rows"] = {
        "cpu_seconds": round(time.process_time() - start, 4),
        "rules": len(found.rules),
        "lower_bound": found.lower_bound,
        "covered": int(found.covered.sum()),
    }
    return measured


def _ask(
    explainer: Explainer,
    data: Bunch,
    row: int,
    seconds: float,
    tally: dict[str, list[float]],
    sizes: dict[str, list[float]],
) -> None:
    point, budget = data.data[row], Budget(seconds=seconds)

    def timed(query: str, run: Callable[[], Any]) -> Bunch:
        start = time.process_time()
        answer = run()
        tally.setdefault(query, []).append(time.process_time() - start)
        return answer

    def size(query: str, value: float) -> None:
        sizes.setdefault(query, []).append(round(value, 4))

    why = timed("AXp", lambda: explainer.explain(point, "axp", budget=budget))
    flip = timed("CXp", lambda: explainer.explain(point, "cxp", budget=budget))
    size("AXp", len(why))
    size("CXp", len(flip))
    evidence = why.evidence
    size("constraints of the AXp", len(evidence.constraints) if _is_proof(evidence) else -1)
    least = timed("smallest AXp", lambda: explainer.smallest(point, "axp", budget=budget))
    size("smallest AXp", len(least.explanation) if least.explanation is not None else -1)
    size("smallest AXp proved", float(least.proved))
    found = timed(
        "necessity of all features",
        lambda: [explainer.necessary(point, i) for i in range(explainer.space.n_features)],
    )
    size("necessary features", sum(bool(f.holds) for f in found))
    some = timed(
        "relevancy of ten features",
        lambda: [explainer.relevant(point, [i], budget=Budget(seconds=1.0)) for i in range(10)],
    )
    size("relevant of ten", sum(bool(f.holds) for f in some))
    size("not decided of ten", sum(f.holds is None for f in some))
    _inflated(explainer, why, data, timed, size, "inflated AXp")
    if isinstance(flip.evidence, Counterexample):
        _inflated(explainer, flip, data, timed, size, "inflated CXp")
    chosen = timed(
        "least CXp with a property",
        lambda: explainer.such_that(
            point, lambda members: 0 not in members, "cxp", budget=Budget(seconds=3.0)
        ),
    )
    size("explanations looked at", chosen.seen)


def _is_proof(evidence: object) -> bool:
    return isinstance(evidence, Entailed)


def _inflated(
    explainer: Explainer,
    explanation: Explanation,
    data: Bunch,
    timed: Timed,
    size: Callable[[str, float], None],
    query: str,
) -> None:
    found: Inflated = timed(
        query, lambda: explainer.inflate(explanation, budget=Budget(seconds=10))
    )
    size(f"{query}: conditions", len(found.conditions))
    size(f"{query}: open columns", len(found.open))
    if explanation.kind is Kind.AXP:
        size("rows covered before", float(_exact_rows(explanation, data.data)))
        size("rows covered after", float(found.covers(data.data).mean()))
        covered = data.data[found.covers(data.data)]
        for rule in explanation.problem.constraints:
            covered = covered[rule.holds(covered)]
        if bool(explanation.problem.changed(covered).any()):
            raise SystemExit("an inflated explanation does not force the decision")


def _exact_rows(explanation: Explanation, rows: np.ndarray) -> float:
    columns = [
        c for i in explanation.members for c in explanation.problem.space.features[i].columns
    ]
    return float((rows[:, columns] == explanation.problem.instance[columns]).all(axis=1).mean())


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "mean": round(statistics.mean(values), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


def _limits(seconds: float = 4.0) -> dict[str, Any]:
    """Ask hard questions with a time limit, and measure by how much wall time exceeds it."""
    import xgboost
    from sklearn.datasets import load_digits

    data = load_digits()
    fitted = xgboost.XGBClassifier(n_estimators=30, max_depth=4, random_state=0, n_jobs=1)
    model = load_model(fitted.fit(data.data, data.target))
    explainer = Explainer(model, FeatureSpace.of([f"p{i}" for i in range(64)]))
    problem = explainer.problem(data.data[1])
    draw = np.random.default_rng(0)
    free_sets = [frozenset(draw.choice(64, 22, replace=False).tolist()) for _ in range(4000)]

    def decide(oracle: Oracle) -> Callable[[Meter], None]:
        def run(meter: Meter) -> None:
            for free in free_sets:
                if meter.exhausted() is not None:
                    return
                oracle.decide([free], meter)

        return run

    def hitting(make: Callable[[HittingSetProblem], Any]) -> Callable[[Meter], Any]:
        solver = make(HittingSetProblem(frozenset(range(120))))
        for _ in range(500):
            solver.add(frozenset(draw.choice(120, 5, replace=False).tolist()))
        return lambda meter: solver.smallest(meter)

    engines: dict[str, Callable[[], Callable[[Meter], Any]]] = {
        "trees, best-first search": lambda: decide(TreeOracle(problem)),
        "trees, SAT": lambda: decide(TreeSatOracle(problem)),
        "trees, MILP": lambda: decide(TreeMilpOracle(problem)),
        "hitting sets, SAT": lambda: hitting(SatHittingSets),
        "hitting sets, MILP": lambda: hitting(MilpHittingSets),
        "hitting sets, ASP": lambda: hitting(AspHittingSets),
    }
    measured: dict[str, Any] = {"limit": seconds}
    for name, make in engines.items():
        run = make()
        meter = Budget(seconds=seconds).start()
        start = time.monotonic()
        run(meter)
        measured[name] = {"seconds": round(time.monotonic() - start, 3)}
    return measured


if __name__ == "__main__":
    main()
