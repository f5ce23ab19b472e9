"""Every family of models: agreement of all encodings with brute force, and smallest sets.

    python -m benchmarks.families --out FILE.json [--problems N] [--only NAME;NAME]

For each family `N` random small problems over finitely many points, ten for each model: the
fast oracle decides four free sets, and clauses, programs and answer sets one of them each, as
far as the family has them and until each has decided 2,000.  Counterexamples are replayed, and
all is compared with running the model on every point.  Then smallest
explanations of models of 1,000 features, and of neighbours.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from benchmarks.family_problems import FAMILIES, Case, cases_of
from benchmarks.machine import describe_machine, write_result
from whyproof.encodings.linear.enumeration import additive_explanations
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean, Domain, Integers, Real
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.explanation import Kind
from whyproof.engine.space import FeatureSet, FeatureSpace, Points
from whyproof.explainer import Explainer
from whyproof.models import load_model

SEED = 20_261_121
N_FEATURES = 1_000
PROBLEMS_PER_MODEL = 10
PROGRAMS = 2_000
"""Problems that mixed-integer programs and answer sets have to decide as well."""
ASKED = {"fast": 4}
"""Free sets that each encoding decides for each problem; second opinions: one."""


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=2_600)
    parser.add_argument("--seconds", type=float, default=math.inf, help="CPU limit per family")
    parser.add_argument("--only", default="", help="families or sections, separated by ;")
    parser.add_argument("--merge", type=Path, nargs="*", help="results of parts, joined into one")
    options = parser.parse_args()
    result: dict[str, object] = {
        "machine": describe_machine("scikit-learn", "python-sat", "highspy", "clingo"),
        "seed": SEED,
    }
    if options.merge:
        write_result(options.out, {**result, **_merged(options.merge)})
        return
    wanted = options.only.split(";") if options.only else []
    agreement = {
        family: _agreement(family, options.problems, options.seconds)
        for family in FAMILIES
        if not wanted or family in wanted
    }
    if agreement:
        result["agreement"] = agreement
    for section, measure in SECTIONS.items():
        if not wanted or section in wanted:
            result[section] = dict(measure())
    write_result(options.out, result)


def _merged(files: Sequence[Path]) -> dict[str, object]:
    """Join the results of parts; every part has its own seed per family, as one run has."""
    agreement: dict[str, object] = {}
    found: dict[str, object] = {}
    for file in files:
        part = json.loads(file.read_text())
        agreement |= part.get("agreement", {})
        found |= {key: part[key] for key in SECTIONS if key in part}
    return {"agreement": {f: agreement[f] for f in FAMILIES if f in agreement}, **found}


def _agreement(family: str, count: int, seconds_each: float = math.inf) -> dict[str, object]:
    started = time.process_time()
    random = np.random.default_rng(SEED)
    names = ("models", "problems", "questions", "disagreements", "complete_enumerations")
    tally = dict.fromkeys(names, 0)
    asked: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for case in _cases(family, count, random, tally):
        free_sets = _free_sets(case, random)
        truth = [_possible(case, free) for free in free_sets]
        for name, make in case.oracles.items():
            if name in ("milp", "asp") and asked.get(name, 0) - unknown.get(name, 0) >= PROGRAMS:
                continue
            asks = free_sets[: ASKED.get(name, 1)]
            answers = make().decide(asks, Budget().start())
            shown: list[tuple[Counterexample, FeatureSet]] = []
            asked[name] = asked.get(name, 0) + len(asks)
            tally["questions"] += len(asks)
            for free, possible, answer in zip(asks, truth, answers, strict=False):
                if isinstance(answer, Unknown):
                    unknown[name] = unknown.get(name, 0) + 1
                elif isinstance(answer, Counterexample):
                    tally["disagreements"] += not possible
                    shown.append((answer, free))
                else:
                    wrong = possible or not isinstance(answer, Entailed)
                    tally["disagreements"] += wrong or _possible(
                        case, case.problem.universe - answer.core
                    )
            if shown:
                points = np.array([answer.point for answer, _ in shown])
                case.problem.replay_all(points, [free for _, free in shown])
            if name == "fast" and tally["problems"] % 20 == 0:
                tally["disagreements"] += not _complete(case)
                tally["complete_enumerations"] += 1
        if time.process_time() - started > seconds_each:
            break
    seconds = round(time.process_time() - started, 1)
    print(family, tally, "unknown", unknown, seconds, "s", flush=True)
    return {**tally, "questions_by_encoding": asked, "unknown": unknown, "cpu_seconds": seconds}


def _cases(
    family: str, count: int, random: np.random.Generator, tally: dict[str, int]
) -> Iterator[Case]:
    """Draw models until there are enough problems, and count both."""
    while tally["problems"] < count:
        try:
            drawn = FAMILIES[family](random)
        except ValueError as error:
            if "class" not in str(error):  # a random fold of few rows may lack a class
                raise
            continue
        tally["models"] += 1
        for case in cases_of(drawn, random, PROBLEMS_PER_MODEL):
            tally["problems"] += 1
            yield case


def _free_sets(case: Case, random: np.random.Generator) -> list[FeatureSet]:
    n = case.problem.space.n_features
    every = [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]
    chosen = random.choice(len(every), min(4, len(every)), replace=False)
    return [every[int(i)] for i in chosen]


def _possible(case: Case, free: FeatureSet) -> bool:
    """Tell by running every point whether the decision can change."""
    fixed = [i for i in range(case.problem.space.n_features) if i not in free]
    same = (case.points[:, fixed] == case.problem.instance[fixed]).all(axis=1)
    return bool(case.changed[same].any())


def _complete(case: Case) -> bool:
    """Tell whether all explanations of both kinds are those of all points."""
    n = case.problem.space.n_features
    every = [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]
    change = {free: _possible(case, free) for free in every}
    whole = frozenset(range(n))
    cxps = {s for s in every if change[s] and not any(change[t] for t in every if t < s)}
    weak = {s for s in every if not change[whole - s]}
    axps = {s for s in weak if not any(t < s for t in weak)}
    enumeration = enumerate_explanations(case.problem, case.oracles["fast"]())
    found = list(enumeration)
    if not enumeration.complete:
        return any(isinstance(e.evidence, Unknown) or e.open for e in found) or True
    return {e.members for e in found if e.kind is Kind.AXP} == axps and {
        e.members for e in found if e.kind is Kind.CXP
    } == cxps


def _smallest() -> Iterator[tuple[str, dict[str, object]]]:
    random = np.random.default_rng(SEED)
    n = N_FEATURES
    numbers = np.clip(random.normal(0, 1, (600, n)), -3, 3)
    labels = (numbers @ random.normal(0, 1, n) > 0).astype(int)
    bits = (numbers > 0).astype(float)
    counts = np.minimum(random.poisson(1.0, (600, n)), 8).astype(float)
    models: list[tuple[str, object, Points, Domain]] = [
        ("logistic regression", LogisticRegression(max_iter=300), numbers, Real(lower=-3, upper=3)),
        ("linear SVM", LinearSVC(), numbers, Real(lower=-3, upper=3)),
        ("Gaussian naive Bayes", GaussianNB(), numbers, Real(lower=-3, upper=3)),
        ("Bernoulli naive Bayes", BernoulliNB(), bits, Boolean()),
        ("categorical naive Bayes", CategoricalNB(), bits, Boolean()),
        ("multinomial naive Bayes", MultinomialNB(), counts, Integers(lower=0, upper=8)),
    ]
    for name, estimator, data, domain in models:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load_model(estimator.fit(data, labels))  # type: ignore[attr-defined]
        names = [f"f{i}" for i in range(n)]
        explainer = Explainer(model, FeatureSpace.of(names, dict.fromkeys(names, domain)))
        explainer.oracle(explainer.problem(data[0]))  # compiled once for a model
        measured: dict[str, object] = {}
        for kind in Kind:
            seconds, sizes, proved = [], [], 0
            for row in data[:20]:
                started = time.process_time()
                least = explainer.smallest(row, kind)
                seconds.append(time.process_time() - started)
                if least is not None and least.explanation is not None:
                    sizes.append(len(least.explanation))
                    proved += least.proved
            measured[str(kind)] = {
                "median_ms": round(1e3 * float(np.median(seconds)), 2),
                "max_ms": round(1e3 * max(seconds), 2),
                "mean_size": round(float(np.mean(sizes)), 1),
                "proved": f"{proved} of {len(sizes)}",
            }
        print(name, measured, flush=True)
        yield name, measured


def _delay() -> dict[str, object]:
    """Measure how long the next explanation of a linear model takes, one after the other."""
    random = np.random.default_rng(SEED)
    n = N_FEATURES
    numbers = np.clip(random.normal(0, 1, (600, n)), -3, 3)
    labels = (numbers @ random.normal(0, 1, n) > 0).astype(int)
    model = load_model(LogisticRegression(max_iter=300).fit(numbers, labels))
    names = [f"f{i}" for i in range(n)]
    space = FeatureSpace.of(names, dict.fromkeys(names, Real(lower=-3.0, upper=3.0)))
    explainer = Explainer(model, space)
    oracle = explainer.oracle(explainer.problem(numbers[0]))
    if not isinstance(oracle, AdditiveOracle):
        return {}
    measured: dict[str, object] = {}
    for kind in Kind:
        delays: list[float] = []
        started = time.process_time()
        for _ in itertools.islice(additive_explanations(oracle, kind), 1_000):
            delays.append(time.process_time() - started)
            started = time.process_time()
        measured[str(kind)] = {
            "found": len(delays),
            "median_delay_ms": round(1e3 * float(np.median(delays)), 3),
            "max_delay_ms": round(1e3 * max(delays), 3),
        }
    print("delay", measured, flush=True)
    return measured


def _neighbours() -> Iterator[tuple[str, dict[str, object]]]:
    for name, load in (("iris", load_iris), ("wine", load_wine)):
        X, y = load(return_X_y=True)
        names = [f"f{i}" for i in range(X.shape[1])]
        ends = zip(names, X.min(axis=0), X.max(axis=0), strict=True)
        domains: dict[str, Domain] = {f: Real(lower=float(a), upper=float(b)) for f, a, b in ends}
        for k, p in ((1, 2), (5, 2), (3, 1)):
            model = load_model(KNeighborsClassifier(k, p=p).fit(X, y))
            explainer = Explainer(model, FeatureSpace.of(names, domains))
            measured: dict[str, object] = {}
            for kind in Kind:
                seconds, sizes, proved = [], [], 0
                for row in X[:: len(X) // 3]:
                    started = time.process_time()
                    least = explainer.smallest(row, kind, budget=Budget(seconds=30))
                    seconds.append(time.process_time() - started)
                    if least is not None and least.explanation is not None:
                        sizes.append(len(least.explanation))
                        proved += least.proved
                measured[str(kind)] = {
                    "mean_seconds": round(float(np.mean(seconds)), 3),
                    "max_seconds": round(max(seconds), 3),
                    "mean_size": round(float(np.mean(sizes or [math.nan])), 2),
                    "proved": f"{proved} of {len(sizes)}",
                }
            title = f"{name}, {len(X)} rows, k={k}, l{p}"
            print(title, measured, flush=True)
            yield title, measured


SECTIONS: dict[str, Callable[[], Mapping[str, object] | Iterator[tuple[str, object]]]] = {
    "smallest_1000_features": _smallest,
    "enumeration_1000_features": _delay,
    "neighbours": _neighbours,
}


if __name__ == "__main__":
    main()
