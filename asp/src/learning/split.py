"""The best literal for a set of examples, exactly, at the cost of a histogram.

Idea: count the examples per bin, cumulate, and score every bin's edge; an edge is a real
threshold.  A threshold inside a bin has counts between those of the bin's two edges, and
the measure is concave in the counts, so no such threshold beats the best corner of that
rectangle.  Only bins whose corner beats the best edge found so far are looked into.
Prefix sums over sorted values are from FOLD-R++ (Wang and Gupta, 2022, algorithm 3); the
bound by concavity is ours and makes the search exact without a pass over all distinct
values.

Ties are decided by order: feature, then ``=<``, ``not =<``, ``=``, ``!=``, then value.
Scores are rounded, so that the order of summation cannot decide.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .examples import Candidate, Examples, FeatureCodes, Rows
from .heuristics import Heuristic

__all__ = ["Histogram", "Split", "best_literal", "count"]

_DIGITS = 9
"""Decimals of a score per unit of weight that count."""

Counts = npt.NDArray[np.float64]
Histogram = list[Counts]
"""Summed weight per coarse code, one array per feature."""


@dataclass(frozen=True, slots=True)
class Split:
    """A literal and how good it is."""

    candidate: Candidate
    score: float


@dataclass(frozen=True, slots=True)
class _Node:
    """The examples at hand and how to judge what splits them."""

    positive: Rows
    negative: Rows
    weight_positive: float
    weight_negative: float
    heuristic: Heuristic
    examples: Examples

    @property
    def total(self) -> float:
        return self.weight_positive + self.weight_negative

    def score(self, tp: Counts, fp: Counts) -> Counts:
        """Return rounded scores per unit of weight; complements have the same."""
        fn, tn = self.weight_positive - tp, self.weight_negative - fp
        raw = self.heuristic.score(tp, fp, np.maximum(fn, 0.0), np.maximum(tn, 0.0))
        return np.round(raw / self.total, _DIGITS)

    def admissible(self, tp: Counts, fp: Counts) -> tuple[npt.NDArray[np.bool_], ...]:
        """Tell which literals, and which complements, are no worse than chance.

        A literal that all examples or none satisfy splits nothing and is out.
        """
        tiny = 1e-12 * self.total
        satisfied = tp + fp
        splits = (satisfied > tiny) & (satisfied < self.total - tiny)
        # right answers minus wrong ones if the literal were the rule
        gain = 2 * (tp - fp) - self.weight_positive + self.weight_negative
        return splits & (gain >= -tiny), splits & (gain <= tiny)


def count(examples: Examples, rows: Rows) -> Histogram:
    """Return the summed weight of some rows per feature and coarse code."""
    weights = None if examples.weights is None else examples.weights[rows]
    return [
        np.bincount(feature.coarse[rows], weights, minlength=feature.n_codes).astype(np.float64)
        for feature in examples.features
    ]


def best_literal(
    examples: Examples,
    positive: Rows,
    negative: Rows,
    heuristic: Heuristic,
    barred: Collection[tuple[int, bool, int]] = (),
    counts: tuple[Histogram, Histogram] | None = None,
) -> Split | None:
    """Return the literal that separates positive from negative examples best.

    Parameters
    ----------
    examples
        The data.
    positive, negative
        Rows to separate; a literal is to hold for the positive ones.
    heuristic
        What is best.
    barred
        Tests (see `Candidate.test`) that may not be used again, in either sign.
    counts
        Histograms of the positive and the negative rows, if they are known.

    Returns
    -------
    Split or None
        `None` if no literal splits the rows and is at least as good as chance.
    """
    if not len(positive) + len(negative):
        return None
    node = _Node(
        positive,
        negative,
        examples.weight(positive),
        examples.weight(negative),
        heuristic,
        examples,
    )
    of_positive, of_negative = counts or (count(examples, positive), count(examples, negative))
    best: Split | None = None
    open_bins: list[tuple[int, Counts, Counts, Counts]] = []
    for number, feature in enumerate(examples.features):
        pos, neg = of_positive[number], of_negative[number]
        k = feature.n_bins
        if k:
            tp, fp = np.cumsum(pos[:k]), np.cumsum(neg[:k])
            edges = feature.starts[1:] - 1
            best = _better(best, node, number, False, edges, tp, fp, barred)
            if feature.is_binned:
                bound = _bound(node, feature, tp, fp)
                open_bins.append((number, tp, fp, bound))
        if feature.names:
            codes = np.arange(len(feature.names))
            out = {*barred, *((number, True, code) for code in feature.shadowed)}
            best = _better(best, node, number, True, codes, pos[k:], neg[k:], out)
    for number, tp, fp, bound in open_bins:
        best = _refined(best, node, number, tp, fp, bound, barred)
    return best


def _better(
    best: Split | None,
    node: _Node,
    number: int,
    is_equality: bool,
    codes: npt.NDArray[np.int64],
    tp: Counts,
    fp: Counts,
    barred: Collection[tuple[int, bool, int]],
) -> Split | None:
    """Return the better of a known split and the best of some candidates."""
    positive, complement = node.admissible(tp, fp)
    if barred:
        for feature, equality, code in barred:
            if feature == number and equality is is_equality:
                out = codes == code
                positive &= ~out
                complement &= ~out
    either = positive | complement
    if not either.any():
        return best
    scores = np.where(either, node.score(tp, fp), -np.inf)
    top = float(scores.max())
    if best is not None and top < best.score:
        return best
    ties = scores == top
    for negated, allowed in ((False, positive), (True, complement)):
        here = np.flatnonzero(ties & allowed)
        if len(here):
            found = Split(Candidate(number, is_equality, negated, int(codes[here[0]])), top)
            if best is None or top > best.score or found.candidate < best.candidate:
                return found
            return best
    return best


def _bound(node: _Node, feature: FeatureCodes, tp: Counts, fp: Counts) -> Counts:
    """Return what no threshold inside a bin can beat, -inf for bins of one number."""
    tp_before = np.concatenate(([0.0], tp[:-1]))
    fp_before = np.concatenate(([0.0], fp[:-1]))
    corners = [
        node.score(tp, fp_before),
        node.score(tp_before, fp),
        node.score(tp, fp),
        node.score(tp_before, fp_before),
    ]
    # one last decimal of slack for the rounding
    bound = np.maximum.reduce(corners) + 10.0**-_DIGITS
    inside = (np.diff(feature.starts) > 1) & ((tp > tp_before) | (fp > fp_before))
    return np.where(inside, bound, -np.inf)


def _refined(
    best: Split | None,
    node: _Node,
    number: int,
    tp: Counts,
    fp: Counts,
    bound: Counts,
    barred: Collection[tuple[int, bool, int]],
) -> Split | None:
    """Look into the bins of one feature that may hold something better."""
    feature = node.examples.features[number]
    promising = bound >= (-np.inf if best is None else best.score)
    promising &= bound > -np.inf
    if not promising.any():
        return best
    wanted = np.append(promising, np.zeros(len(feature.names), dtype=np.bool_))
    inside = [rows[wanted[feature.coarse[rows]]] for rows in (node.positive, node.negative)]
    ranks = [feature.fine[rows].astype(np.int64) for rows in inside]
    for bin_ in np.flatnonzero(promising).tolist():
        if best is not None and bound[bin_] < best.score:
            continue
        low, high = int(feature.starts[bin_]), int(feature.starts[bin_ + 1])
        base = (tp[bin_ - 1], fp[bin_ - 1]) if bin_ else (0.0, 0.0)
        cumulated = list[Counts]()
        for rows, rank, start in zip(inside, ranks, base, strict=True):
            here = (rank >= low) & (rank < high)
            weights = node.examples.weights
            counts = np.bincount(
                rank[here] - low,
                None if weights is None else weights[rows[here]],
                minlength=high - low,
            )
            cumulated.append(np.cumsum(counts.astype(np.float64)) + start)
        codes = np.arange(low, high)
        best = _better(best, node, number, False, codes, cumulated[0], cumulated[1], barred)
    return best
