"""The peer of `benchmarks.recourse`: oceanpy (Parmentier, Vidal) on the same model and rows.

    PYTHON -m benchmarks.recourse_peer --kind "random forest" --rows 0,1,2 --seconds 60

`oceanpy` needs Python 3.12 and its own OR-Tools, so that it runs in an interpreter of its own,
given to `benchmarks.recourse` by ``--peer PYTHON``.  Results go to standard output as JSON, row by
row; this file imports nothing of Whyproof.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt

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


def main() -> None:
    """Ask the peer's CP-SAT back end, one thread."""
    from importlib.metadata import version

    import pandas as pd
    from ocean import ConstraintProgrammingExplainer
    from ocean.feature import parse_features

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    train, test, labels, _ = breast_cancer()
    names = [f"x{i}" for i in range(train.shape[1])]
    _, mapper = parse_features(
        pd.DataFrame(np.concatenate([train, test]), columns=names), scale=False
    )
    model = trained(
        asked.kind, asked.trees, asked.depth, pd.DataFrame(train, columns=names), labels
    )
    for row in (int(text) for text in asked.rows.split(",")):
        x = test[row]
        before = int(model.predict(pd.DataFrame(x[None], columns=names))[0])
        began = time.process_time()
        explainer = ConstraintProgrammingExplainer(model, mapper=mapper)
        found = explainer.explain(
            x, y=1 - before, norm=1, max_time=asked.seconds, num_workers=1, random_seed=0
        )
        spent = time.process_time() - began
        entry: dict[str, object] = {
            "row": row,
            "status": explainer.get_solving_status(),
            "cpu_seconds": round(spent, 3),
            "distance": None if found is None else float(explainer.get_objective_value()),
        }
        if found is not None:
            point = np.asarray(found.x, dtype=np.float64)[None]
            after = int(model.predict(pd.DataFrame(point, columns=names))[0])
            entry |= {"flips": after != before, "l1": float(np.abs(point[0] - x).sum())}
        print(json.dumps({"version": version("oceanpy"), **entry}), flush=True)


if __name__ == "__main__":
    main()
