"""What an additive model needs to come in: a fingerprint, and points to try it on."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from whyproof.encodings.linear.additive import AdditiveModel
from whyproof.engine.space import Points

__all__ = ["additive_fingerprint", "additive_probes", "additive_slack"]


def additive_fingerprint(structure: AdditiveModel) -> str:
    """Return ``sha256:`` and the hash of everything that decides an outcome.

    Examples
    --------
    >>> from whyproof.encodings.trees.ensemble import DecisionRule
    >>> len(additive_fingerprint(AdditiveModel(1, (), np.zeros(1), DecisionRule.VALUE)))
    71
    """
    digest = hashlib.sha256(b"whyproof-additive-model-1")
    labels = [f"{type(label).__name__}:{label}" for label in structure.classes]
    head = (structure.n_columns, str(structure.rule), structure.link, labels)
    digest.update(repr(head).encode())
    arrays = [structure.base]
    for term in structure.terms:
        digest.update(f"|{term.column}|{term.center!r}".encode())
        arrays += [term.lower, term.upper, term.coefficients]
        arrays += [] if term.missing is None else [term.missing]
    for array in arrays:
        digest.update(f"|{array.shape}".encode())
        # Adding zero makes negative zero positive: they compare alike.
        digest.update(np.ascontiguousarray(array.astype("<f8") + 0.0).tobytes())
    return f"sha256:{digest.hexdigest()}"


def additive_probes(structure: AdditiveModel, rows: int) -> Points:
    """Return admissible points at the ends of pieces and between, deterministic.

    Shape ``(rows, columns)``; columns without a term are zero.
    """
    random = np.random.default_rng(0)
    points = np.zeros((rows, structure.n_columns))
    for term in structure.terms:
        values: list[float] = [] if term.missing is None else [float("nan")]
        for low, high in zip(term.lower.tolist(), term.upper.tolist(), strict=True):
            ends = [end for end in (low, high) if np.isfinite(end)]
            near = [term.center + step for step in (-3.5, -1.0, 0.0, 0.25, 2.0)]
            inside = [v for v in near if low <= v <= high]
            values += ends or inside
            values += inside if low < high else []
        points[:, term.column] = random.choice(np.array(values), size=rows)
    return points


def additive_slack(structure: AdditiveModel, points: Points) -> npt.NDArray[np.float64]:
    """Return how far scores that run may be from exact ones, shape ``(rows,)``."""
    sizes = np.tile(structure.base_sizes.max(initial=0.0), len(points))
    for term in structure.terms:
        value = points[:, term.column]
        y = np.nan_to_num(np.abs(value - term.center))[:, None, None]
        by_piece = term.sizes[None]
        size = by_piece[..., 0] + y * (by_piece[..., 1] + y * by_piece[..., 2])
        sizes += size.max(axis=(1, 2)) if size.size else 0.0
        if term.missing is not None:
            sizes += np.abs(term.missing).max()
    return structure.rounding * sizes
