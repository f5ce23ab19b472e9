"""Exact recourse: nearest counterfactuals, sensitivity, shares, and sheets for persons.

    python -m benchmarks.recourse --out FILE.json [--part PART ...] [--peer PYTHON]

Parts are nearest, deep, families, peer, sensitive and sheets; results of a part are merged into the
file as soon as they are there.  The peer is `oceanpy` (Parmentier, Vidal) in the interpreter given
by ``--peer`` (it needs Python 3.12), else its recorded figures; setting: breast cancer, min-max
scaled, float32, split .3 seed 0 stratified, L1, the opposite class, one thread.

Every point is run through the library's model, as it is and rounded to float32; for small
models the optimum is compared with brute force in the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import data_folder, describe_machine, merge_result
from benchmarks.recourse_peer import Rows, breast_cancer, trained
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Real
from whyproof.engine.space import FeatureSpace
from whyproof.models import load_model

PEER = {
    "name": "oceanpy 2.0.7, CP-SAT, recorded",
    "random forest, 50 trees depth 4": {
        "rows": {"0": "open after 60 s", "1": 37.8, "2": "open after 60 s"}
    },
    "XGBoost, 50 trees depth 4": {"median": 0.34, "max": 0.91},
}


def nearest(
    kind: str,
    trees: int,
    depth: int,
    rows: Sequence[int],
    *,
    norm: str,
    seconds: float,
    solver: str = "highs",
) -> dict[str, object]:
    """Measure nearest counterfactuals of test rows."""
    train, test, labels, _ = breast_cancer()
    model = trained(kind, trees, depth, train, labels)
    space = FeatureSpace.of([f"x{i}" for i in range(train.shape[1])])
    began = time.process_time()
    search = NearestSearch(
        [load_model(model)], space, distance=Distance.of(space, norm), solver=solver
    )
    built = time.process_time() - began
    entries: list[dict[str, object]] = []
    for row in rows:
        found = search.nearest(test[row], budget=Budget(seconds=seconds))
        flips = rounded = None
        if found.point is not None:
            before = model.predict(test[row][None])[0]
            flips = bool(model.predict(found.point[None])[0] != before)
            rounded = bool(model.predict(found.point[None].astype(np.float32))[0] != before)
        entries.append(
            {
                "row": row,
                "status": str(found.status),
                "distance": found.distance,
                "bound": found.bound,
                "nodes": found.nodes,
                "cpu_seconds": round(found.cpu_seconds, 3),
                "flips": flips,
                "flips_as_float32": rounded,
            }
        )
        print(kind, trees, depth, norm, solver, entries[-1], flush=True)
    spent = [float(str(entry["cpu_seconds"])) for entry in entries]
    return {
        "model": f"{kind}, {trees} trees depth {depth}",
        "norm": norm,
        "solver": solver,
        "leaves": search.terrain().boxes.n_leaves,
        "build_cpu_seconds": round(built, 3),
        "proved": sum(entry["status"] == "optimal" for entry in entries),
        "rows": entries,
        "median_cpu_seconds": float(np.median(spent)),
        "max_cpu_seconds": max(spent),
    }


def adult() -> tuple[list[str], Rows, Rows, Rows]:
    """Return Adult with words coded by first appearance: names, rows, labels, test rows."""
    from whyproof.tables import read_table

    tables = [
        read_table(data_folder() / "tabular" / f"adult_{part}.csv.gz") for part in ("train", "test")
    ]
    label = next(n for n in tables[0].names if n.lower() in ("income", "class", "label", "target"))
    tables = [table.with_label(label) for table in tables]
    names, coded = list(tables[0].names), list[Rows]()
    codes: dict[str, dict[object, float]] = {name: {} for name in names}
    for table in tables:
        columns = []
        for name in names:
            column = table.column(name)
            if column.numbers is not None:
                columns.append(np.nan_to_num(column.numbers, nan=-1.0))
                continue
            seen = codes[name]
            words = [column.value(i) for i in range(table.n_rows)]
            columns.append(np.array([seen.setdefault(word, float(len(seen))) for word in words]))
        coded.append(np.column_stack(columns))
    labels = [str(value).strip(". ") for value in tables[0].labels or ()]
    positive = max(set(labels))
    return names, coded[0], np.array([float(v == positive) for v in labels]), coded[1]


def sensitive() -> dict[str, object]:
    """Ask about sex in a 200-tree model of Adult: anywhere, 10,000 rows, and without sex."""
    from xgboost import XGBClassifier

    from whyproof.encodings.recourse.pairs import PairSearch
    from whyproof.encodings.recourse.sensitive import affected_rows

    names, train, labels, test = adult()
    settings: dict[str, Any] = {
        "n_estimators": 200,
        "max_depth": 5,
        "random_state": 0,
        "n_jobs": 1,
        "tree_method": "hist",
    }
    rows = np.concatenate([test, train])[:10_000]
    sex = frozenset({names.index("sex")})
    out: dict[str, object] = {"trees": 200, "depth": 5}
    for title, used in (("trained with sex", train), ("trained on shuffled sex", None)):
        given = train.copy()
        if used is None:
            given[:, min(sex)] = np.random.default_rng(0).permutation(given[:, min(sex)])
        model = load_model(XGBClassifier(**settings).fit(given, labels))
        space = FeatureSpace.of(names)
        began = time.process_time()
        affected = affected_rows(model, space, sex, rows)
        shares = time.process_time() - began
        began = time.process_time()
        answer = PairSearch(model, space, sex).anywhere(
            anchor=rows[0], budget=Budget(seconds=300.0)
        )
        anywhere = time.process_time() - began
        out[title] = {
            "rows": len(rows),
            "share_of_rows": affected.share,
            "rows_cpu_seconds": round(shares, 3),
            "witness_among_rows": bool(affected.witnesses),
            "anywhere": "pair" if answer.pair else "none" if answer.proved else "open",
            "anywhere_cpu_seconds": round(anywhere, 3),
        }
        print(title, out[title], flush=True)
    return out


def sheets(count: int) -> dict[str, object]:
    """Write sheets for persons from a store, each with a certificate, and check them all."""
    from whyproof.auditing import audit_rows
    from whyproof.checker import check_certificate
    from whyproof.explainer import Explainer
    from whyproof.recourse.answers import nearest_as_json
    from whyproof.recourse.recording import Recording
    from whyproof.report.certificates import PersonCertificates
    from whyproof.report.kinds import write_people
    from whyproof.store import Store

    names, train, labels, test = adult()
    from xgboost import XGBClassifier

    made = XGBClassifier(n_estimators=50, max_depth=3, random_state=0, n_jobs=1).fit(train, labels)
    with tempfile.TemporaryDirectory() as folder:
        file, store_file = Path(folder) / "model.json", Path(folder) / "audit.whyproof"
        made.save_model(file)
        model = load_model(file)
        space = FeatureSpace.of(names)
        explainer = Explainer(model, space)
        rows = {i: test[i] for i in range(count)}
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            audit_rows(explainer, rows, store_file, limit=12)
        audited = time.process_time() - began
        began = time.process_time()
        search = NearestSearch(
            [model], space, distance=Distance.of(space, "l1", scale="range", data=train)
        )
        with Recording.open(store_file, search, {}) as recording:
            for number, row in rows.items():
                found = search.nearest(row, budget=Budget(seconds=10.0))
                recording.add(number, row, nearest_as_json(space, search.distance, found))
        recorded = time.process_time() - began
        began = time.process_time()
        with Store.read(store_file) as store:
            written = write_people(
                store, Path(folder) / "people", certificates=PersonCertificates(store, file)
            )
        spent = time.process_time() - began
        began = time.process_time()
        payload, checked, distances = file.read_bytes(), 0, 0
        for path in sorted((Path(folder) / "people").glob("*.certificate.json")):
            claims = check_certificate(path.read_text("utf-8"), payload).claims
            checked += bool(claims)
            distances += any("is nearer than" in claim for claim in claims)
        checking = time.process_time() - began
    return {
        "sheets": len(written),
        "certificates_checked": checked,
        "distances_proved_again": distances,
        "audit_cpu_seconds": round(audited, 1),
        "nearest_cpu_seconds": round(recorded, 1),
        "sheets_cpu_seconds": round(spent, 1),
        "check_cpu_seconds": round(checking, 1),
    }


def peer(python: str | None, seconds: float) -> dict[str, object]:
    """Run the peer on the rows of the first part, in its own interpreter."""
    if python is None:
        return {"recorded": PEER}
    found: dict[str, object] = {"seconds": seconds}
    for kind in ("random forest", "XGBoost"):
        command = [python, "-m", "benchmarks.recourse_peer", "--kind", kind]
        rows = "0,1,2" if kind == "random forest" else ",".join(map(str, range(10)))
        done = subprocess.run(
            [*command, "--rows", rows, "--seconds", str(int(seconds))],
            capture_output=True,
            text=True,
            check=False,
        )
        entries = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
        spent = [entry["cpu_seconds"] for entry in entries]
        found[kind] = {
            "rows": entries,
            "proved": sum(entry["status"] == "OPTIMAL" for entry in entries),
            "median_cpu_seconds": float(np.median(spent)) if spent else None,
            "max_cpu_seconds": max(spent, default=None),
        }
        print(kind, found[kind], done.stderr[-300:] if done.returncode else "", flush=True)
    return found


def families() -> dict[str, object]:
    """Measure models that are no trees: linear, rules, and a small network, all distances."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    from whyproof.asp.rules.from_tree import rules_of_tree
    from whyproof.models.from_rules import rules_model
    from whyproof.networks import load_network
    from whyproof.tables import Table

    torch.set_num_threads(1)
    train, test, labels, _ = breast_cancer()
    names = [f"x{i}" for i in range(train.shape[1])]
    space = FeatureSpace.of(names, {name: Real(lower=-0.5, upper=1.5) for name in names})
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    inputs, wanted = torch.tensor(train, dtype=torch.float32), torch.tensor(labels)
    for _ in range(300):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(inputs), wanted)
        loss.backward()
        optimiser.step()
    tree = load_model(DecisionTreeClassifier(max_depth=5, random_state=0).fit(train, labels))
    table = Table.of({name: train[:, i].tolist() for i, name in enumerate(names)})
    ruled = rules_model(rules_of_tree(tree.structure, names), table)
    models = {
        "rules of a tree of depth 5": ruled,
        "logistic regression": load_model(LogisticRegression(C=10).fit(train, labels)),
        "network, 16 hidden": load_network(network, input_shape=(1, 30)),
    }
    settings: list[dict[str, object]] = []
    for title, model in models.items():
        for norm in ("l0", "l1", "l2", "linf"):
            search = NearestSearch([model], space, distance=Distance.of(space, norm))
            found = [search.nearest(row, budget=Budget(seconds=20.0)) for row in test[:10]]
            spent = [one.cpu_seconds for one in found]
            settings.append(
                {
                    "model": title,
                    "norm": norm,
                    "proved": sum(str(one.status) == "optimal" for one in found),
                    "largest_gap": max(one.gap / one.distance for one in found),
                    "median_cpu_seconds": float(np.median(spent)),
                    "max_cpu_seconds": max(spent),
                }
            )
            print(settings[-1], flush=True)
    return {"settings": settings}


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--part", action="append")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--peer", help="interpreter that has oceanpy")
    asked = parser.parse_args()
    parts = asked.part or ["nearest", "deep", "families", "peer", "sensitive", "sheets"]
    ten = range(10)
    has_cpsat = importlib.util.find_spec("ortools") is not None
    machine = describe_machine("highspy", "scikit-learn", "xgboost", "whyproof")
    for part in parts:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

        def record(result: dict[str, object], part: str = part, at: str = at) -> None:
            merge_result(asked.out, part, {"at": at, "machine": machine, **result})

        if part in ("nearest", "deep"):
            plan: list[tuple[str, int, int, Sequence[int], str, str]]
            if part == "nearest":
                plan = [
                    ("random forest", 50, 4, ten, "l1", "highs"),
                    ("XGBoost", 50, 4, ten, "l1", "highs"),
                    *(("random forest", 50, 4, range(4), n, "highs") for n in ("l0", "l2", "linf")),
                ]
                plan += [("random forest", 50, 4, ten, "l1", "cpsat")] * has_cpsat
            else:
                plan = [("XGBoost", 100, 6, ten, "l1", "highs")]
                plan += [("random forest", 100, 6, ten, "l1", "cpsat" if has_cpsat else "highs")]
            settings: list[dict[str, object]] = []
            for kind, trees, depth, rows, norm, solver in plan:
                settings.append(
                    nearest(
                        kind, trees, depth, rows, norm=norm, seconds=asked.seconds, solver=solver
                    )
                )
                record({"settings": settings})
        elif part == "families":
            record(families())
        elif part == "peer":
            record(peer(asked.peer, min(asked.seconds, 60.0)))
        elif part == "sensitive":
            record(sensitive())
        else:
            record(sheets(asked.people))


if __name__ == "__main__":
    main()
