"""Compose a model with its preprocessing: the same model over the original columns.

A split behind a chain of steps is a split on the original column: at the exact preimage
of its boundary if the column holds numbers, and between categories if it holds words.  A
term of an additive model becomes a table over categories, or a polynomial between the
points at which a step bends.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.trees.cells import widen
from whyproof.encodings.trees.ensemble import Tree, TreeEnsemble
from whyproof.engine.errors import UnsupportedError

from .column_maps import Chain, Fill, Floats, Lookup, preimages

__all__ = ["Original", "compose_additive", "compose_trees"]

_STEP_ROUNDING = 32 * 2.0**-52


@dataclass(frozen=True, slots=True)
class Original:
    """An original column.

    Parameters
    ----------
    name
        What it is called.
    words
        The categories that it may hold, in the order of their codes; empty for numbers.
    takes_missing
        Whether every step after it has a place for the missing value.
    """

    name: str
    words: tuple[Hashable, ...] = ()
    takes_missing: bool = False

    def values(self) -> npt.NDArray[Any]:
        """Return the words as an array for the steps."""
        values = np.empty(len(self.words), dtype=object)
        values[:] = self.words
        return values

    def images(self, chain: Chain) -> Floats:
        """Return what becomes of the words."""
        found = chain.apply(self.values())
        if bool(np.isinf(found).any()):
            word = self.words[int(np.argmax(np.isinf(found)))]
            raise UnsupportedError(
                f"column {self.name!r}: an encoder does not know the category {word!r} that "
                "another one knows"
            )
        return found

    @staticmethod
    def missing_image(chain: Chain) -> float:
        """Return what becomes of the missing value."""
        for step in chain.steps:
            if isinstance(step, Lookup | Fill):
                absent = np.empty(1, dtype=object)
                absent[0] = math.nan
                return float(chain.apply(absent)[0])
        return float(chain.apply(np.array([math.nan]))[0])


def compose_trees(
    ensemble: TreeEnsemble, chains: Sequence[Chain], originals: Sequence[Original]
) -> TreeEnsemble:
    """Return an ensemble over the original columns.

    Parameters
    ----------
    ensemble
        Over the derived columns.
    chains
        Where each derived column comes from.
    originals
        The original columns.
    """
    maps = [_SplitMap(ensemble, chain, originals[chain.source]) for chain in chains]
    trees = tuple(_composed(ensemble, tree, maps) for tree in ensemble.trees)
    return replace(ensemble, n_columns=len(originals), trees=trees, input_type="float64")


class _SplitMap:
    """How splits on one derived column read on its original column."""

    def __init__(self, ensemble: TreeEnsemble, chain: Chain, original: Original) -> None:
        self.ensemble, self.chain, self.original = ensemble, chain, original
        self.images = ensemble.cast(original.images(chain)[:, None])[:, 0]
        self.absent = ensemble.cast(np.array([[original.missing_image(chain)]]))[0]

    def boundaries(self, boundaries: Floats) -> Floats:
        """Return the preimages of numeric boundaries."""
        wide = [widen(b, self.ensemble.input_type) for b in boundaries.tolist()]
        return np.array(wide) if self.chain.is_plain else preimages(self.chain.apply, wide)


def _composed(ensemble: TreeEnsemble, tree: Tree, maps: Sequence[_SplitMap]) -> Tree:
    column, boundary = tree.column.copy(), tree.boundary.copy()
    missing_left = tree.missing_left.copy()
    categories: dict[int, frozenset[int]] = {}
    zero = None if tree.zero_missing is None else tree.zero_missing.copy()
    for derived, split_map in enumerate(maps):
        nodes = np.flatnonzero(tree.column == derived)
        if not len(nodes):
            continue
        column[nodes] = split_map.chain.source
        missing_left[nodes] = tree.goes_left(nodes, np.repeat(split_map.absent, len(nodes)))
        if split_map.original.words:
            boundary[nodes] = np.nan
            for node in nodes.tolist():
                at = np.full(len(split_map.images), node)
                left = np.flatnonzero(tree.goes_left(at, split_map.images))
                categories[node] = frozenset(left.tolist())
            if zero is not None:
                zero[nodes] = False
            continue
        if not split_map.chain.is_plain and (
            (zero is not None and zero[nodes].any())
            or any(node in tree.categories for node in nodes.tolist())
        ):
            raise UnsupportedError(
                f"column {split_map.original.name!r} is scaled in front of a split on "
                "categories or on zero as missing"
            )
        numeric = np.array([n for n in nodes.tolist() if n not in tree.categories], dtype=np.intp)
        categories |= {n: tree.categories[n] for n in nodes.tolist() if n in tree.categories}
        boundary[numeric] = split_map.boundaries(tree.boundary[numeric])
    return replace(
        tree,
        column=column,
        boundary=boundary,
        missing_left=missing_left,
        categories=categories,
        zero_missing=zero,
    )


def compose_additive(
    model: AdditiveModel, chains: Sequence[Chain], originals: Sequence[Original]
) -> AdditiveModel:
    """Return an additive model over the original columns; parameters as `compose_trees`."""
    derived: dict[int, list[tuple[ColumnTerm, Chain]]] = {}
    for term in model.terms:
        chain = chains[term.column]
        derived.setdefault(chain.source, []).append((term, chain))
    terms: list[ColumnTerm] = []
    for source in sorted(derived):
        original = originals[source]
        parts = derived[source]
        missing = None
        if original.takes_missing:
            images = [original.missing_image(chain) for _, chain in parts]
            added = sum(term.at(x) for (term, _), x in zip(parts, images, strict=True))
            if bool(np.isfinite(added).all()):
                missing = np.asarray(added)
        if original.words:
            tables = [term.evaluate(original.images(chain)) for term, chain in parts]
            values, sizes = np.sum(tables, axis=0), np.abs(tables).sum(axis=0)
            if not bool(np.isfinite(values).all()):
                raise UnsupportedError(
                    f"column {original.name!r} has categories that the model does not take"
                )
            terms.append(ColumnTerm.table(source, values, missing=missing, sizes=sizes))
        else:
            terms.append(_numeric(source, parts, missing))
    plain = all(
        chain.is_plain and [c.source for c in chains].count(chain.source) == 1 for chain in chains
    )
    return replace(
        model,
        n_columns=len(originals),
        terms=tuple(terms),
        rounding=model.rounding + _STEP_ROUNDING,
        steady=model.steady and plain,
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """A derived value as ``offset + slope * (x - center)``, with bounds on its parts."""

    offset: float
    slope: float
    center: float
    offset_size: float
    slope_size: float


def _numeric(
    source: int, parts: Sequence[tuple[ColumnTerm, Chain]], missing: Floats | None
) -> ColumnTerm:
    cuts: set[float] = set()
    for term, chain in parts:
        cuts |= _bends(chain)
        edges = [edge for edge in term.lower.tolist() if math.isfinite(edge)]
        cuts |= set(preimages(chain.apply, edges).tolist()) if edges else set()
    starts = [-math.inf, *sorted(c for c in cuts if math.isfinite(c))]
    ends = [math.nextafter(c, -math.inf) for c in starts[1:]] + [math.inf]
    center = _line(parts[0][1], 0.0).center
    outputs = parts[0][0].n_outputs
    coefficients = np.zeros((len(starts), outputs, 3))
    sizes = np.zeros_like(coefficients)
    held = np.ones(len(starts), dtype=np.bool_)
    for i, (low, high) in enumerate(zip(starts, ends, strict=True)):
        sample = _inside(low, high)
        for term, chain in parts:
            piece = term.piece(float(chain.apply(np.array([sample]))[0]))
            if piece is None:
                held[i] = False
                break
            added, size = _substituted(term, piece, _line(chain, sample), center)
            coefficients[i] += added
            sizes[i] += size
    return ColumnTerm(
        source,
        np.array(starts)[held],
        np.array(ends)[held],
        coefficients[held],
        center,
        missing,
        sizes[held],
    )


def _substituted(term: ColumnTerm, piece: int, line: _Line, center: float) -> tuple[Floats, Floats]:
    """Put a line into one piece of a term, expanded about `center`."""
    shift = center - line.center
    delta = line.offset + line.slope * shift - term.center
    slope = line.slope
    far = line.offset_size + line.slope_size * abs(shift) + abs(term.center)
    steep = line.slope_size
    c0, c1, c2 = term.coefficients[piece].T
    s0, s1, s2 = term.sizes[piece].T
    added = np.stack(
        [c0 + c1 * delta + c2 * delta**2, (c1 + 2 * c2 * delta) * slope, c2 * slope**2], axis=1
    )
    size = np.stack(
        [s0 + s1 * far + s2 * far**2, (s1 + 2 * s2 * far) * steep, s2 * steep**2], axis=1
    )
    return added, size


def _line(chain: Chain, sample: float) -> _Line:
    """Return the line that a chain follows around a number."""
    line = _Line(0.0, 1.0, 0.0, 0.0, 1.0)
    value = sample
    for number, step in enumerate(chain.arithmetic):
        x = step.operand
        match step.operation:
            case "subtract" if number == 0:
                # A first difference is rounded once, in proportion to itself.
                line = _Line(0.0, 1.0, x, 0.0, 1.0)
            case "subtract" | "add":
                moved = line.offset - x if step.operation == "subtract" else line.offset + x
                line = replace(line, offset=moved, offset_size=line.offset_size + abs(x))
            case "divide" | "multiply":
                factor = x if step.operation == "multiply" else 1.0 / x
                line = _Line(
                    line.offset * factor,
                    line.slope * factor,
                    line.center,
                    line.offset_size * abs(factor),
                    line.slope_size * abs(factor),
                )
            case "clip":
                ends = min(max(value, x), step.upper)
                if ends != value:
                    line = _Line(ends, 0.0, line.center, abs(ends), 0.0)
            case "above":
                line = _Line(1.0 if value > x else 0.0, 0.0, line.center, 1.0, 0.0)
        value = float(step.apply(np.array([value]))[0])
    return line


def _bends(chain: Chain) -> set[float]:
    """Return the first numbers at which a chain takes another line."""
    cuts: set[float] = set()
    before = Chain(chain.source)
    for step in chain.steps:
        for arithmetic in Chain(0, (step,)).arithmetic:
            wanted: list[float] = []
            if arithmetic.operation == "clip":
                beyond = math.nextafter(arithmetic.upper, math.inf)
                wanted = [arithmetic.operand, beyond]
            elif arithmetic.operation == "above":
                wanted = [math.nextafter(arithmetic.operand, math.inf)]
            cuts |= set(preimages(before.apply, wanted).tolist()) if wanted else set()
        before = before.then(step)
    return cuts


def _inside(low: float, high: float) -> float:
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(low):
        return high
    return low
