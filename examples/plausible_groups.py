"""Plausible ways out of a class: one by one, in groups, all together.

Run it:  python examples/plausible_groups.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from whyproof.engine.space import FeatureSpace
from whyproof.plausible import PlausibleSearch
from whyproof.plausible.fitting import Fit
from whyproof.plausible.perceptron import PerceptronTraining, train_perceptron
from whyproof.plausible.scale import Scale


def main() -> None:
    """Train a small network, then search from malignant to benign at three levels."""
    data = load_breast_cancer()
    columns = [0, 1, 6, 7]
    rows, labels = data.data[:, columns], data.target.astype(np.int64)
    names = [str(data.feature_names[i]) for i in columns]
    scale = Scale.of(rows, names)
    how = PerceptronTraining(hidden=(16,), fit=Fit(batch=32, rate=1e-2, epochs=60))
    model = train_perceptron(scale.to_unit(rows), labels, how)

    search = PlausibleSearch.fit(
        model,
        rows,
        target="benign",
        classes=("malignant", "benign"),
        space=FeatureSpace.of(names),
        density="mixture",
    )
    explained = rows[:80]
    for found in (search.local(explained), search.groups(explained, 3), search.everyone(explained)):
        said = found.summary()
        print(f"{said['level']}: {said['rows']} rows, {said['valid']:.0%} valid, ", end="")
        print(f"{said['plausible']:.0%} plausible, {said['groups']} groups")
        for move in found.groups:
            moves = [f"{n} {m:+.3g}" for n, m in zip(found.names, move.mean, strict=True)]
            print(f"  {len(move.members)} rows: " + ", ".join(moves))


if __name__ == "__main__":
    main()
