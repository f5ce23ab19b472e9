"""Encodings of tree ensembles: whether they agree, and what smallest explanations cost.

    python -m benchmarks.encodings --out FILE.json [--problems 2000]

Agreement: random small ensembles over random small spaces (numbers, integers, categories,
missing values, groups, immutable features; classes, margins, intervals; boxes and balls).
Every free set of every problem is decided by the fast oracle, the solver of clauses, the
mixed-integer program, the answer-set program, and by other programs that read the exchange
files: pseudo-Boolean constraints by an exact solver, DIMACS by a SAT solver.  Smallest
explanations: the models, rows and settings of the peers' table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pysat.formula import CNF
from pysat.solvers import Solver

from benchmarks.machine import describe_machine, write_result
from benchmarks.pseudo_boolean import PseudoBoolean
from whyproof.encodings.trees.asp import reasons
from whyproof.encodings.trees.encodings import tree_oracles
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.encodings.trees.exchange import exchange_text
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSet, FeatureSpace, Points
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.models.model import Model

SEED = 20260
PEERS = {
    ("breast cancer", "XGBoost 50x3"): 3.29,
    ("breast cancer", "RF vote 50x4"): 5.87,
    ("wine", "XGBoost 50x3"): 0.20,
    ("wine", "RF vote 50x4"): 0.18,
}
"""Mean user-CPU seconds of the peers' smallest AXp on the same models and rows."""


def main() -> None:
    """Run all parts and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--problems", type=int, default=2_000, help="random problems")
    parser.add_argument("--digits-seconds", type=float, default=55.0, help="limit for digits")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the random problems")
    parser.add_argument("--data", default="breast cancer,wine,digits", help="for smallest ones")
    parser.add_argument("--only", choices=("agreement", "smallest"), help="one part of the run")
    options = parser.parse_args()
    result: dict[str, object] = {}
    if options.only and options.out.exists():  # the other part of the same run
        result = json.loads(options.out.read_text())
    result["machine"] = describe_machine(
        "dtai-veritas", "python-sat", "highspy", "clingo", "xgboost"
    )
    if options.only != "smallest":
        result["agreement"] = agreement_in(options.jobs, options.problems)
        write_result(options.out, result)
    if options.only != "agreement":
        known = result.get("smallest", {}) if options.only else {}
        chosen = [d for d in options.data.split(",") if d]
        found = smallest(chosen, options.digits_seconds)
        result["smallest"] = {**(known if isinstance(known, dict) else {}), **found}
        write_result(options.out, result)
    print(json.dumps({k: v for k, v in result.items() if k != "machine"}, indent=1))


def agreement_in(jobs: int, problems: int) -> list[dict[str, object]]:
    """Compare all encodings on random problems in several processes, each with its seed."""
    if jobs == 1:
        return [agreement(problems, SEED)]
    with ProcessPoolExecutor(jobs) as pool:
        shares = [problems // jobs] * jobs
        return list(pool.map(agreement, shares, range(SEED, SEED + jobs)))


def agreement(problems: int, seed: int) -> dict[str, object]:
    """Compare all encodings on random problems."""
    draw = np.random.default_rng(seed)
    compared: Counter[str] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    disagreements: list[str] = []
    decided = possible = 0
    for number in range(problems):
        problem = random_problem(draw)
        sets = list(_free_sets(problem))
        fast = _decided(problem, "search", sets, seconds)
        decided += len(sets)
        possible += sum(bool(answer) for answer in fast)
        for name, answers in _opinions(problem, sets, seconds):
            known = [i for i, answer in enumerate(answers) if answer is not None]
            compared[name] += len(known)
            if any(answers[i] != fast[i] for i in known):
                disagreements.append(f"problem {number}: {name}")
    return {
        "problems": problems,
        "seed": seed,
        "free_sets": decided,
        "of_which_with_counterexample": possible,
        "compared": dict(compared),
        "disagreements": disagreements,
        "cpu_seconds": {name: round(value, 2) for name, value in seconds.items()},
    }


def _opinions(
    problem: ExplanationProblem, sets: list[FeatureSet], seconds: dict[str, float]
) -> Iterator[tuple[str, list[bool | None]]]:
    for name in ("clauses", "program"):
        try:
            yield name, _decided(problem, name, sets, seconds)
        except UnsupportedError:
            continue  # one rival at a time
    started = time.process_time()
    minimal = list(reasons(problem, "contrastive"))
    seconds["asp"] += time.process_time() - started
    yield "asp", [any(reason <= free for reason in minimal) for free in sets]
    for name, read in (("DIMACS file", _by_sat), ("OPB file", _by_pseudo_boolean)):
        started = time.process_time()
        yield name, read(problem, sets)
        seconds[name] += time.process_time() - started


def _decided(
    problem: ExplanationProblem, encoding: str, sets: list[FeatureSet], seconds: dict[str, float]
) -> list[bool | None]:
    structure = problem.classifier.structure
    assert isinstance(structure, TreeEnsemble)
    started = time.process_time()
    oracle = tree_oracles(structure, problem.space, encoding)(problem)
    answers = oracle.decide(sets, Budget().start())
    seconds[encoding] += time.process_time() - started
    for free, answer in zip(sets, answers, strict=True):
        if isinstance(answer, Counterexample):
            problem.replay(answer.point, free)
    return [None if isinstance(a, Unknown) else not isinstance(a, Entailed) for a in answers]


def _by_sat(problem: ExplanationProblem, sets: list[FeatureSet]) -> list[bool | None]:
    text = exchange_text(problem, "cnf")
    key = _selectors(problem, text, "c ")
    with Solver(name="glucose4", bootstrap_with=CNF(from_string=text)) as solver:
        return [
            bool(solver.solve(assumptions=[v for f, v in key.items() if f not in free]))
            for free in sets
        ]


def _by_pseudo_boolean(problem: ExplanationProblem, sets: list[FeatureSet]) -> list[bool | None]:
    text = exchange_text(problem, "opb")
    key = _selectors(problem, text, "* ")
    solver = PseudoBoolean(text)
    return [solver.satisfiable(v for f, v in key.items() if f not in free) for free in sets]


def _selectors(problem: ExplanationProblem, text: str, comment: str) -> dict[int, int]:
    names = {name: i for i, name in enumerate(problem.space.names)}
    return {
        names[name]: int(number)
        for line in text.splitlines()
        if line.startswith(comment) and " = fixed " in line
        for number, name in [line.removeprefix(comment).split(" = fixed ")]
    }


def smallest(data_sets: list[str], digits_seconds: float) -> dict[str, object]:
    """Find smallest AXps and CXps of the peers' models."""
    entries: dict[str, object] = {}
    for data in data_sets:
        for name, model, rows in _peer_models(data):
            numbers = (1,) if data == "digits" else (0, 1, 2)
            explainer = Explainer(model)
            for row in numbers:  # compiled once for a model and outcome, not once for a row
                explainer.explain(rows[row])
            for kind in ("axp", "cxp"):
                entry = _smallest(explainer, rows, numbers, kind, digits_seconds)
                peer = PEERS.get((data, name)) if kind == "axp" else None
                if peer is not None:
                    mean = float(np.mean([found["cpu_seconds"] for found in entry]))
                    ratio = {"peer_cpu_seconds": peer, "ratio": round(peer / mean, 1)}
                else:
                    ratio = {}
                entries[f"{data}, {name}, {kind}"] = {"rows": entry, **ratio}
                print(data, name, kind, entries[f"{data}, {name}, {kind}"], flush=True)
    return entries


def _smallest(
    explainer: Explainer,
    rows: npt.NDArray[np.float64],
    numbers: tuple[int, ...],
    kind: str,
    seconds: float,
) -> list[dict[str, float]]:
    entry: list[dict[str, float]] = []
    for row in numbers:
        started = time.process_time()
        found = explainer.smallest(rows[row], kind, budget=Budget(seconds=seconds))
        spent = time.process_time() - started
        for _ in range(2 if spent < 2.0 else 0):  # the best of three: cores are shared
            started = time.process_time()
            explainer.smallest(rows[row], kind, budget=Budget(seconds=seconds))
            spent = min(spent, time.process_time() - started)
        assert found is not None
        if found.proved and found.explanation is not None:
            _confirm(explainer, found.explanation.problem, found.explanation.members, kind)
        entry.append(
            {
                "row": row,
                "size": -1 if found.cost is None else found.cost,
                "lower_bound": found.lower_bound,
                "proved": found.proved,
                "oracle_calls": found.statistics.oracle_calls,
                "cpu_seconds": round(spent, 4),
            }
        )
    return entry


def _confirm(
    explainer: Explainer, problem: ExplanationProblem, members: FeatureSet, kind: str
) -> None:
    """Repeat the main claim by best-first search, which shares no decision with counted votes."""
    free = members if kind == "cxp" else problem.universe - members
    answer = TreeOracle(problem).decide([free], Budget(seconds=60).start())[0]
    if not isinstance(answer, Counterexample if kind == "cxp" else Entailed):
        raise SystemExit(f"a smallest {kind} is not confirmed: {sorted(members)}")


def _peer_models(data: str) -> Iterator[tuple[str, Model, npt.NDArray[np.float64]]]:
    import xgboost
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    loaders = {"breast cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
    x, y = loaders[data](return_X_y=True)
    train, test, labels, _ = train_test_split(
        x.astype(np.float32), y, test_size=0.3, random_state=0, stratify=y
    )
    boosted = xgboost.XGBClassifier(
        n_estimators=50, max_depth=3, tree_method="exact", base_score=0.5, random_state=0, n_jobs=1
    ).fit(train, labels)
    forest = RandomForestClassifier(n_estimators=50, max_depth=4, random_state=0)
    forest.fit(train, labels)
    rows = test.astype(np.float64)
    yield "XGBoost 50x3", load_model(boosted), rows
    yield "RF vote 50x4", load_model(forest, vote="majority"), rows
    yield "RF averaged 50x4", load_model(forest), rows


@dataclass(frozen=True)
class ExactModel:
    """A model that computes its structure's outcome exactly."""

    structure: TreeEnsemble
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[object, ...]:
        """Labels."""
        return self.structure.classes

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return exact sums, rounded once."""
        sums = [[float(s) for s in self.structure.exact_sums(point)] for point in points]
        if self.structure.rule in (DecisionRule.POSITIVE, DecisionRule.NONNEGATIVE):
            return np.column_stack([np.zeros(len(points)), np.array(sums)])
        return np.array(sums)

    def predict(self, points: Points) -> npt.NDArray[np.float64]:
        """Return exact outcomes."""
        return np.array([float(self.structure.exact_outcome(point)) for point in points])


def random_problem(draw: np.random.Generator) -> ExplanationProblem:
    """Draw a small problem; votes every third time."""
    while True:
        columns = tuple(Column(f"x{i}", _domain(draw)) for i in range(int(draw.integers(1, 5))))
        space = FeatureSpace(columns, _features(draw, len(columns)))
        votes = bool(draw.random() < 0.33)
        rule = DecisionRule.ARGMAX if votes else draw.choice(np.array(list(DecisionRule)))
        rule = DecisionRule(rule)
        outputs = int(draw.integers(2, 5)) if rule is DecisionRule.ARGMAX else 1
        # Leads and values as float64 has them are the exact ones only on binary fractions.
        margin = rule is not DecisionRule.VALUE and bool(draw.random() < 0.2)
        grid = [-1.0, -0.5, 0.0, 0.25, 0.75, 1.0]
        if rule is not DecisionRule.VALUE and not margin:
            grid = [-1.0, -0.5, 0.0, 0.1, 0.25, 0.3, 1.0]
        count = int(draw.integers(1, 6))
        trees = tuple(_tree(draw, space, outputs, None if votes else grid) for _ in range(count))
        classes = {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)
        base = np.zeros(outputs) if votes else draw.choice([0.0, 0.5, -0.25], size=outputs)
        ensemble = TreeEnsemble(len(columns), trees, base, rule, tuple("ABCDE"[:classes]))
        model = ExactModel(ensemble)
        instance = np.array([_value(draw, c.domain) for c in columns])
        prediction = float(model.predict(instance[None])[0])
        question = KeepMargin(0.5) if margin else _question(draw, ensemble, prediction)
        if not question.changed(model, instance[None], prediction)[0]:
            region = Region.ball(0.5) if draw.random() < 0.2 else Region.everywhere()
            return ExplanationProblem(model, space, instance, region, question)


def _features(draw: np.random.Generator, n: int) -> tuple[Feature, ...]:
    if n >= 3 and draw.random() < 0.3:
        rest = (Feature(f"x{i}", (i,)) for i in range(n) if i not in (0, 2))
        return (Feature("pair", (0, 2)), *rest)
    return tuple(Feature(f"x{i}", (i,), bool(draw.random() < 0.15)) for i in range(n))


def _domain(draw: np.random.Generator) -> Domain:
    nullable = bool(draw.random() < 0.3)
    kind = int(draw.integers(0, 5))
    if kind == 0:
        return Real(nullable=nullable)
    if kind == 1:
        return Real(nullable=nullable, lower=-1.0, upper=1.0)
    if kind == 2:
        return Integers(nullable=nullable, lower=-2, upper=2)
    if kind == 3:
        return Categories(nullable=nullable, values=tuple("abcd"))
    return Boolean(nullable=nullable)


def _value(draw: np.random.Generator, domain: Domain) -> float:
    values = [v for v in (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0) if domain.contains(v)]
    return math.nan if domain.nullable and draw.random() < 0.2 else float(draw.choice(values))


def _question(draw: np.random.Generator, ensemble: TreeEnsemble, prediction: float) -> Question:
    if ensemble.rule is DecisionRule.VALUE:
        return LeaveInterval(prediction - 0.25, prediction + 0.25)
    if draw.random() < 0.25:
        rivals = [k for k in range(len(ensemble.classes)) if k != prediction]
        return ReachClass(int(draw.choice(rivals)))
    return AnyOther()


def _tree(
    draw: np.random.Generator, space: FeatureSpace, outputs: int, grid: list[float] | None
) -> Tree:
    """Grow a tree whose leaves are on a grid, or votes."""
    nodes: list[tuple[int, float, int, int, bool, list[float]]] = []

    def grow(depth: int) -> int:
        at = len(nodes)
        if depth == 0 or draw.random() < 0.15:
            if grid is None:
                values = np.eye(outputs)[int(draw.integers(0, outputs))].tolist()
            else:
                values = draw.choice(grid, size=outputs).tolist()
            nodes.append((-1, math.nan, -1, -1, False, values))
            return at
        nodes.append((0, 0.0, 0, 0, False, []))
        column = int(draw.integers(0, space.n_columns))
        boundary = float(np.float32(draw.choice([-1.0, -0.1, 0.0, 0.1, 1.0, 2.0])))
        missing = bool(draw.random() < 0.5)
        left, right = grow(depth - 1), grow(depth - 1)
        nodes[at] = (column, boundary, left, right, missing, [0.0] * outputs)
        return at

    grow(int(draw.integers(1, 4)))
    column, boundary, left, right, missing, values = zip(*nodes, strict=True)
    return Tree(
        np.array(column, dtype=np.int32),
        np.array(boundary),
        np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32),
        np.array(missing),
        np.array(values),
    )


def _free_sets(problem: ExplanationProblem) -> Iterator[FeatureSet]:
    features = sorted(problem.universe)
    for size in range(len(features) + 1):
        yield from map(frozenset, itertools.combinations(features, size))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning, module="xgboost")
    main()
