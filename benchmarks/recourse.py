"""Exact recourse: nearest counterfactuals, sensitivity, shares, and sheets for persons.

    python -m benchmarks.recourse --out FILE.json [--part nearest|deep|sensitive|sheets]

Results of a part are merged into the file.  The peer is `oceanpy` (Parmentier, Vidal), with
its recorded figures (setting: breast cancer, min-max
scaled, float32, split .3 seed 0 stratified, L1, the opposite class, one thread).

Every point is run through the library's model, as it is and rounded to float32; for small
models the optimum is compared with brute force in the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import data_folder, describe_machine, merge_result
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.budget import Budget
from whyproof.engine.space import FeatureSpace
from whyproof.models import load_model

PEER = {
    "name": "oceanpy 2.0.7, CP-SAT, recorded",
    "random forest, 50 trees depth 4": {
        "rows": {"0": "open after 60 s", "1": 37.8, "2": "open after 60 s"}
    },
    "XGBoost, 50 trees depth 4": {"median": 0.34, "max": 0.91},
}

Rows = npt.NDArray[np.float64]


def breast_cancer() -> tuple[Rows, Rows, Rows, Rows]:
    """Return the peer's setting: scaled, float32, split."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    data = load_breast_cancer()
    x = data.data.astype(np.float32).astype(float)
    x = ((x - x.min(0)) / (x.max(0) - x.min(0))).astype(np.float32).astype(float)
    split = train_test_split(x, data.target, test_size=0.3, random_state=0, stratify=data.target)
    return tuple(split)


def trained(kind: str, trees: int, depth: int, x: Rows, y: Rows) -> Any:  # noqa: ANN401
    """Train a model of the peer's setting."""
    if kind == "XGBoost":
        from xgboost import XGBClassifier

        return XGBClassifier(
            n_estimators=trees,
            max_depth=depth,
            tree_method="exact",
            base_score=0.5,
            random_state=0,
            n_jobs=1,
        ).fit(x, y)
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=0).fit(x, y)


def nearest(
    kind: str, trees: int, depth: int, rows: Sequence[int], *, norm: str, seconds: float
) -> dict[str, object]:
    """Measure nearest counterfactuals of test rows."""
    train, test, labels, _ = breast_cancer()
    model = trained(kind, trees, depth, train, labels)
    space = FeatureSpace.of([f"x{i}" for i in range(train.shape[1])])
    began = time.process_time()
    search = NearestSearch([load_model(model)], space, distance=Distance.of(space, norm))
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
        print(kind, trees, depth, norm, entries[-1], flush=True)
    spent = [float(str(entry["cpu_seconds"])) for entry in entries]
    return {
        "model": f"{kind}, {trees} trees depth {depth}",
        "norm": norm,
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
        payload, checked = file.read_bytes(), 0
        for path in sorted((Path(folder) / "people").glob("*.certificate.json")):
            checked += bool(check_certificate(path.read_text("utf-8"), payload).claims)
        checking = time.process_time() - began
    return {
        "sheets": len(written),
        "certificates_checked": checked,
        "audit_cpu_seconds": round(audited, 1),
        "nearest_cpu_seconds": round(recorded, 1),
        "sheets_cpu_seconds": round(spent, 1),
        "check_cpu_seconds": round(checking, 1),
    }


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--part", action="append")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--people", type=int, default=1000)
    asked = parser.parse_args()
    parts = asked.part or ["nearest", "deep", "sensitive", "sheets"]
    ten = range(10)
    for part in parts:
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if part == "nearest":
            result: dict[str, object] = {
                "peer": PEER,
                "settings": [
                    nearest("random forest", 50, 4, ten, norm="l1", seconds=asked.seconds),
                    nearest("XGBoost", 50, 4, ten, norm="l1", seconds=asked.seconds),
                    *(
                        nearest("random forest", 50, 4, range(4), norm=n, seconds=asked.seconds)
                        for n in ("l0", "l2", "linf")
                    ),
                ],
            }
        elif part == "deep":
            result = {
                "settings": [
                    nearest("XGBoost", 100, 6, ten, norm="l1", seconds=asked.seconds),
                    nearest("random forest", 100, 6, ten, norm="l1", seconds=asked.seconds),
                ]
            }
        elif part == "sensitive":
            result = sensitive()
        else:
            result = sheets(asked.people)
        machine = describe_machine("highspy", "scikit-learn", "xgboost", "whyproof")
        merge_result(asked.out, part, {"at": began, "machine": machine, **result})


if __name__ == "__main__":
    main()
