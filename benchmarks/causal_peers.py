"""FOLD-R++ and FOLD-RM behind one interface, where their packages are installed.

Figures of the two papers and of the tools' own runs are kept for comparison where they
are not.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Sequence

__all__ = ["PUBLISHED", "peers"]

Row = Sequence[object]

PUBLISHED = {
    "FOLD-R++": {
        "adult": {"seconds": 10.07, "rules": 16.7, "accuracy": 0.84},
        "car": {"seconds": 0.05, "rules": 12.2, "accuracy": 0.97},
        "mushroom": {"seconds": 0.52, "rules": 8.0, "accuracy": 1.0},
    },
    "RIPPER (in the FOLD-R++ paper)": {
        "adult": {"seconds": 59.5, "rules": 46.9, "accuracy": 0.70},
    },
}
"""Wang and Gupta, FOLD-R++, FLOPS 2022."""

Fitted = tuple[float, int, int, Callable[[list[Row]], list[object]]]
"""CPU seconds, rules, literals, and what predicts."""


def peers() -> dict[str, Callable[[list[Row], list[object], Sequence[str], object], Fitted]]:
    """Return the peers that are installed; each fits rows, labels, names and a target."""
    found: dict[str, Callable[[list[Row], list[object], Sequence[str], object], Fitted]] = {}
    for name, package, fit in (
        ("FOLD-R++", "foldrpp", _fold_r_pp),
        ("FOLD-RM", "foldrm", _fold_rm),
    ):
        try:
            importlib.import_module(package)
        except ImportError:
            continue
        found[name] = fit
    return found


def _fold_r_pp(
    rows: list[Row], labels: list[object], names: Sequence[str], target: object
) -> Fitted:
    from foldrpp import Foldrpp

    random.seed(0)
    numeric = [n for n, value in zip(names, rows[0], strict=True) if isinstance(value, float)]
    model = Foldrpp([n for n in names if n not in numeric], numeric, "label", target)
    data = [
        {**dict(zip(names, row, strict=True)), "label": int(label == target)}
        for row, label in zip(rows, labels, strict=True)
    ]
    started = time.process_time()
    model.fit(data, ratio=0.5)
    seconds = time.process_time() - started
    text = model.asp()
    other = next(label for label in labels if label != target)

    def predict(unseen: list[Row]) -> list[object]:
        said = model.predict([dict(zip(names, row, strict=True)) for row in unseen])
        return [target if fires else other for fires in said]

    return seconds, len(text), _literals(text), predict


def _fold_rm(rows: list[Row], labels: list[object], names: Sequence[str], target: object) -> Fitted:
    from foldrm import Classifier

    random.seed(0)
    numeric = [n for n, value in zip(names, rows[0], strict=True) if isinstance(value, float)]
    model = Classifier(attrs=[*names, "label"], numeric=numeric, label="label")
    data = [[*row, label] for row, label in zip(rows, labels, strict=True)]
    started = time.process_time()
    model.fit(data, ratio=0.5)
    seconds = time.process_time() - started
    text = model.asp(simple=True)

    def predict(unseen: list[Row]) -> list[object]:
        said: list[object] = model.predict([[*row, None] for row in unseen])
        return said

    return seconds, len(text), _literals(text), predict


def _literals(text: Sequence[str]) -> int:
    """Count the conditions of rules: atoms, comparisons being part of the atom before."""
    return sum(rule.count("(X") - 1 for rule in text)
