"""The rule learner: published rules, peers, fidelity to models, and size.

    python -m benchmarks.causal --parts learner --out FILE.json

Needs the tables of the data folder and scikit-learn.  Seconds are CPU seconds.  Each
split is a random 80 % for learning and 20 % for testing; split ``k`` has seed ``k``.
"""

from __future__ import annotations

import csv
import gzip
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.causal_peers import PUBLISHED, peers
from benchmarks.machine import data_folder
from whyproof.asp.learning import FoldSE
from whyproof.asp.learning.neighbours import WEIGHT, default_copies, sources_for, taken_from
from whyproof.asp.learning.quality import Quality, quality_of, spread_of
from whyproof.asp.rules import Column, RuleSet, Table, read_rules

Labels = npt.NDArray[np.str_]
Rows = npt.NDArray[np.intp]

TABLES = {
    "adult": "adult_train.csv.gz",
    "german": "german_credit.csv",
    "car": "car.csv",
    "mushroom": "mushroom.csv",
}
NUMBERS = {
    *("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"),
    *("duration_months", "credit_amount", "installment_rate", "present_residence_since"),
    *("age_years", "number_existing_credits", "number_people_liable"),
}

ADULT = """
label(X,'<=50K') :- not marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<6849.0.
label(X,'<=50K') :- marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<5013.0,
    education_num(X,N2), N2=<12.0.
"""
MUSHROOM = """
label(X,'p') :- not odor(X,'n'), not ab1(X,'True'), not ab2(X,'True'), not ab3(X,'True').
label(X,'p') :- spore_print_color(X,'r').
ab1(X,'True') :- not bruises(X,'f'), stalk_root(X,'c').
ab2(X,'True') :- not bruises(X,'f'), stalk_root(X,'r').
ab3(X,'True') :- not gill_spacing(X,'c'), not bruises(X,'f').
"""

FIDELITY = {
    "adult": {"DNN": (93.16, 0.6), "GBC": (95.94, 0.67), "RF": (90.27, 0.3), "LR": (94.03, 0.36)},
    "german": {"DNN": (81.5, 2.32), "GBC": (81.6, 5.42), "RF": (85.1, 2.37), "LR": (82.5, 2.41)},
    "car": {"DNN": (91.55, 3.95), "GBC": (97.16, 3.8), "RF": (94.27, 3.27), "LR": (95.37, 1.21)},
    "mushroom": {
        "DNN": (99.57, 0.26),
        "GBC": (99.57, 0.3),
        "RF": (99.57, 0.26),
        "LR": (99.6, 0.27),
    },
}
"""Fidelity of FOLD-SE in per cent, mean and deviation: CoGS, table 1."""


def measure(splits: int = 5) -> dict[str, object]:
    """Return everything that is measured about the learner."""
    warnings.simplefilter("ignore")  # scikit-learn's notes on convergence
    return {
        "published_rules": _published_rules(splits),
        "accuracy": {name: _accuracy(name, splits) for name in TABLES},
        "published_peers": PUBLISHED,
        "fidelity": {name: _fidelity(name, splits) for name in TABLES},
        "size": _in_a_process_of_its_own(),
    }


def _load(name: str) -> tuple[Table, Labels]:
    path = data_folder() / "tabular" / TABLES[name]
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    labels = np.array(columns.pop("label"))
    made = {
        key: Column.numeric(np.array(cells, dtype=np.float64))
        if key in NUMBERS
        else Column.of(np.array(cells))
        for key, cells in columns.items()
    }
    return Table(made), labels


def _splits(n: int, count: int) -> Iterator[tuple[Rows, Rows]]:
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(n)
        yield order[: int(0.8 * n)], order[int(0.8 * n) :]


def _published_rules(splits: int) -> dict[str, object]:
    """Count the splits on which exactly the published rules come out."""
    found: dict[str, object] = {}
    table, labels = _load("adult")
    published = _bodies(read_rules(ADULT))
    exact, seconds = 0, list[float]()
    for train, _ in _splits(len(labels), splits):
        part, wanted = table.take(train), labels[train]
        started = time.process_time()
        learner = FoldSE().fit(part, wanted)
        seconds.append(time.process_time() - started)
        exact += _bodies(learner.rules_) == published
    found["adult"] = {"exact": exact, "splits": splits, "seconds": seconds, "rows": len(train)}
    table, labels = _load("mushroom")
    rules = read_rules(MUSHROOM)
    wanted_parts = [rules.rules[0].body.literals, *rules.rules[0].body.exceptions]
    hits, seconds = list[int](), list[float]()
    for train, _ in _splits(len(labels), splits):
        part, wanted = table.take(train), labels[train]
        started = time.process_time()
        learner = FoldSE(target="p").fit(part, wanted)
        seconds.append(time.process_time() - started)
        first, *others = learner.rules_.rules
        hit = int(first.body.literals == wanted_parts[0])
        for exception in rules.rules[0].body.exceptions:
            covers = exception.holds(table)
            hit += any((e.holds(table) == covers).all() for e in first.body.exceptions)
        last = rules.rules[1].body.literals[0]
        hit += any(last in rule.body.literals for rule in others)
        hits.append(hit)
    found["mushroom"] = {"rules_of_5": hits, "seconds": seconds}
    return found


def _bodies(rules: RuleSet) -> set[object]:
    return {(frozenset(r.body.literals), frozenset(r.body.exceptions)) for r in rules.rules}


def _accuracy(name: str, splits: int) -> dict[str, object]:
    """Compare with the peers on the real labels."""
    table, labels = _load(name)
    rows: list[Sequence[object]] = [list(table.row(k).values()) for k in range(table.n_rows)]
    largest = max(set(labels.tolist()), key=labels.tolist().count)
    two = len(set(labels.tolist())) == 2
    found: dict[str, list[dict[str, float]]] = {"majority": [], "Whyproof": []}
    for train, test in _splits(len(labels), splits):
        truth = labels[test]
        found["majority"].append({"accuracy": float((truth == largest).mean())})
        part, wanted = table.take(train), labels[train]
        started = time.process_time()
        learner = FoldSE().fit(part, wanted)
        seconds = time.process_time() - started
        said = learner.predict(table.take(test))
        found["Whyproof"].append(
            {
                "accuracy": float((said == truth).mean()),
                "unanswered": float(np.mean([label is None for label in said])),
                "seconds": seconds,
                "rules": len(learner.rules_.rules),
                "literals": learner.rules_.n_literals,
            }
        )
        for peer, fit in peers().items():
            if peer == "FOLD-R++" and not two:
                continue
            train_rows = [rows[k] for k in train.tolist()]
            spent, rules, literals, predict = fit(
                train_rows, labels[train].tolist(), table.names, largest
            )
            answers = predict([rows[k] for k in test.tolist()])
            found.setdefault(peer, []).append(
                {
                    "accuracy": float(
                        np.mean([a == b for a, b in zip(answers, truth.tolist(), strict=True)])
                    ),
                    "unanswered": float(np.mean([label is None for label in answers])),
                    "seconds": spent,
                    "rules": rules,
                    "literals": literals,
                }
            )
    return {tool: _averaged(runs) for tool, runs in found.items()}


def _averaged(runs: Sequence[dict[str, float]]) -> dict[str, object]:
    mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    return {**mean, "accuracy_deviation": float(np.std([run["accuracy"] for run in runs]))}


def _fidelity(name: str, splits: int) -> dict[str, object]:
    """Imitate four models and compare with the published fidelity."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table, labels = _load(name)
    if name == "car":
        labels = np.where(labels == "unacc", "negative", "positive")
    frame = pd.DataFrame({key: _cells(column) for key, column in table.items()})
    numeric = [key for key, column in table.items() if column.is_numeric]
    words = [key for key in table if key not in numeric]
    runs: dict[str, list[tuple[Quality, Quality, int]]] = {}
    for train, test in _splits(len(labels), splits):
        encode = make_column_transformer(
            (StandardScaler(), numeric), (OneHotEncoder(handle_unknown="ignore"), words)
        )
        for model, estimator in _models().items():
            fitted = make_pipeline(encode, estimator).fit(frame.iloc[train], labels[train])
            said = fitted.predict(frame)
            plain = FoldSE(order="ordered").fit(table.take(train), said[train])
            for way, learner in (
                ("rows", plain),
                ("rows and neighbours", _with_neighbours(frame, train, said, fitted.predict)),
            ):
                decided = learner.predict(
                    table.take(test) if learner is plain else frame.iloc[test]
                )
                answers = (decided, labels[test], said[test])
                codes = [np.unique(labels).searchsorted(answer) for answer in answers]
                runs.setdefault(f"{model} from {way}", []).append(
                    (
                        quality_of(codes[0], codes[1], codes[2]),
                        quality_of(codes[2], codes[1]),
                        len(learner.rules_.rules),
                    )
                )
    return {key: _against(FIDELITY[name][key.split()[0]], made) for key, made in runs.items()}


def _with_neighbours(frame: Any, train: Rows, said: Labels, predict: Any) -> FoldSE:  # noqa: ANN401
    """Learn from the training rows and neighbours made of their values only."""
    import pandas as pd

    learner = FoldSE(order="ordered", heuristic="gini")
    take = taken_from(frame)
    copies = default_copies(len(train))
    if take is None or not copies:
        return FoldSE(order="ordered").fit(frame.iloc[train], said[train])
    made = take(sources_for(np.sort(train), frame.shape[1], copies, seed=0))
    rows = pd.concat([frame.iloc[np.sort(train)], made], ignore_index=True)
    answers = np.concatenate([said[np.sort(train)], predict(made)])
    return learner.fit_measured(rows, answers, len(train), WEIGHT)


def _against(
    published: tuple[float, float], runs: Sequence[tuple[Quality, Quality, int]]
) -> dict[str, object]:
    ours, model = spread_of([run[0] for run in runs]), spread_of([run[1] for run in runs])
    bar = published[0] - published[1]
    return {
        "fidelity": 100 * ours.mean.fidelity,
        "deviation": 100 * ours.deviation.fidelity,
        "published": published[0],
        "published_deviation": published[1],
        "reached": 100 * ours.mean.fidelity >= bar,
        "accuracy": 100 * ours.mean.accuracy,
        "precision": 100 * ours.mean.precision,
        "recall": 100 * ours.mean.recall,
        "f1": 100 * ours.mean.f1,
        "model_accuracy": 100 * model.mean.accuracy,
        "model_f1": 100 * model.mean.f1,
        "rules": float(np.mean([run[2] for run in runs])),
    }


def _models() -> dict[str, Any]:
    """Return the kinds of models of the published table; the network's decay is ours."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    return {
        "LR": LogisticRegression(max_iter=2000),
        "RF": RandomForestClassifier(100, random_state=0),
        "GBC": GradientBoostingClassifier(random_state=0),
        "DNN": MLPClassifier((32, 16), alpha=1.0, max_iter=60, random_state=0),
    }


def _cells(column: Column) -> npt.NDArray[Any]:
    if column.is_numeric:
        return column.numbers
    return np.array(column.values, dtype=object)[column.codes]


def size(rows: int = 1_000_000) -> dict[str, object]:
    """Learn from a table of 20 features: eight real, four whole, eight of words."""
    random = np.random.default_rng(0)
    columns: dict[str, npt.NDArray[Any]] = {
        f"real{k}": np.round(random.normal(size=rows), 6) for k in range(8)
    }
    columns |= {f"whole{k}": random.integers(0, 100, rows) for k in range(4)}
    letters = np.array(list("abcdefgh"))
    columns |= {f"word{k}": letters[random.integers(0, 8, rows)] for k in range(8)}
    positive = (columns["real0"] > 0.3) & (columns["word0"] != "a")
    positive |= (columns["whole0"] < 30) & (columns["word1"] == "b")
    positive |= columns["real1"] + columns["real2"] > 2
    labels = np.where(positive ^ (random.random(rows) < 0.05), "yes", "no")
    found: dict[str, object] = {"rows": rows, "features": len(columns)}
    for order in ("auto", "ordered"):
        started = time.process_time()
        learner = FoldSE(order=order).fit(columns, labels)
        found[order] = {
            "seconds": time.process_time() - started,
            "rules": len(learner.rules_.rules),
            "accuracy_on_training_rows": learner.score(columns, labels),
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**found, "peak_megabytes": round(peak / 1024)}


def _in_a_process_of_its_own() -> object:
    """Measure size where nothing else has used memory."""
    program = "import json, benchmarks.causal_learner as learner; print(json.dumps(learner.size()))"
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=True
    )
    return json.loads(done.stdout)
