"""Certificates of networks and their checker, which shares no code with the search.

A certificate says: over this box, this network keeps its decision, and here is a cover of
the box by leaves.  A leaf fixes the signs of some neurons and gives the slopes of the
lines, the multipliers of the signs, and the weights of the conditions' rows.  Checking
needs no optimisation and no solver: per leaf one bound per layer with the default lines and
one with the lines given, plain matrix products in numpy.  Any slopes in [0, 1] and any
multipliers that are not negative are sound, so nothing in a leaf has to be trusted.

Rounding is bounded after the fact: coefficients `a` pulled back through ``W h + b`` are off by
at most ``gamma |a| |W| |h|`` (Higham 2002, section 3.5), which is added up along the pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from whyproof.engine.errors import DataError, UnsupportedError

from .graph import (
    Affine,
    Array,
    Concatenate,
    Convolution,
    Dense,
    Input,
    NetworkGraph,
    Node,
    Relu,
    Select,
    Sum,
)

__all__ = ["Leaf", "NetworkCertificate", "check_certificate", "check_deletions", "evaluate"]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Leaf:
    """One part of the cover.

    Parameters
    ----------
    case
        Condition that is refuted here.
    path
        Layer, neuron and sign (1 for "not negative") of each split, from the root.
    multipliers
        One per split, not negative.
    slopes
        By layer of activations, in [0, 1].
    weights
        Of the case's rows, not negative, adding up to one.
    """

    case: int
    path: tuple[tuple[int, int, int], ...]
    multipliers: tuple[float, ...]
    slopes: tuple[Array, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class NetworkCertificate:
    """A proof that no point of a box satisfies any of the cases.

    Parameters
    ----------
    model
        Fingerprint of the network.
    lower, upper
        The box, shape ``(columns,)`` each.
    cases
        Rows and offset of each condition ``rows @ scores + offset <= 0``.
    leaves
        The cover.
    """

    model: str
    lower: Array
    upper: Array
    cases: tuple[tuple[Array, Array], ...]
    leaves: tuple[Leaf, ...]

    @property
    def kind(self) -> str:
        """Which checker reads it."""
        return "network"

    def as_json(self) -> dict[str, object]:
        """Return everything the checker needs."""
        return {
            "kind": self.kind,
            "model": self.model,
            "lower": self.lower.tolist(),
            "upper": self.upper.tolist(),
            "cases": [[rows.tolist(), offset.tolist()] for rows, offset in self.cases],
            "leaves": [
                {
                    "case": leaf.case,
                    "path": [list(step) for step in leaf.path],
                    "multipliers": list(leaf.multipliers),
                    "slopes": [slope.tolist() for slope in leaf.slopes],
                    "weights": list(leaf.weights),
                }
                for leaf in self.leaves
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkCertificate:
        """Read what `as_json` wrote.

        Raises
        ------
        DataError
            If something is missing or of the wrong shape.
        """
        try:
            leaves = tuple(
                Leaf(
                    int(leaf["case"]),
                    tuple((int(a), int(b), int(c)) for a, b, c in leaf["path"]),
                    tuple(float(m) for m in leaf["multipliers"]),
                    tuple(np.array(s, dtype=np.float64) for s in leaf["slopes"]),
                    tuple(float(w) for w in leaf["weights"]),
                )
                for leaf in data["leaves"]
            )
            cases = tuple((np.array(r, float), np.array(o, float)) for r, o in data["cases"])
            lower, upper = np.array(data["lower"], float), np.array(data["upper"], float)
            return cls(str(data["model"]), lower, upper, cases, leaves)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no certificate of a network: {error}") from error


def check_certificate(graph: NetworkGraph, certificate: NetworkCertificate) -> float:
    """Check a certificate and return the lead that it guarantees.

    Parameters
    ----------
    graph
        The network, read from its own file.
    certificate
        What is claimed.

    Raises
    ------
    DataError
        Naming the first leaf that does not hold, or the gap in the cover.
    """
    checker = _Checker(graph, certificate)
    lead = np.inf
    for case in range(len(certificate.cases)):
        own = [leaf for leaf in certificate.leaves if leaf.case == case]
        _require_cover(case, own, 0)
        for leaf in own:
            bound = checker.bound(leaf)
            if not bound > 0:
                raise DataError(f"a leaf of case {case} is not proved: its bound is {bound:.3g}")
            lead = min(lead, bound)
    return lead


def evaluate(graph: NetworkGraph, points: Array) -> Array:
    """Return what the graph computes in float64, shape ``(rows, outputs)``.

    Parameters
    ----------
    graph
        A ReLU network.
    points
        Shape ``(rows, inputs)``.
    """
    values: list[Array] = [points]
    for node in graph.nodes[1:]:
        inputs = [values[i] for i in node.inputs]
        if isinstance(node, Relu):
            values.append(np.maximum(inputs[0], 0.0))
        else:
            values.append(_forward(node, inputs, absolute=False) + _bias_of(node)[0])
    return values[-1]


def check_deletions(
    graph: NetworkGraph,
    certificate: NetworkCertificate,
    home: Array,
    groups: Sequence[Sequence[int]],
) -> Array:
    """Check that the decision stays with any one group of columns back at home.

    One tree serves all groups: the linear bound of a leaf, less the terms of a group, bounds
    the box in which that group does not move.  Leaves may stand at the same place with
    other parameters; each group needs a leaf that proves it at every place.

    Parameters
    ----------
    graph
        The network, read from its own file.
    certificate
        Over the box in which every group moves.
    home
        Where the columns are at home, within the box, shape ``(columns,)``.
    groups
        Columns of each group.

    Returns
    -------
    Array
        The lead of each group, not above zero where it is not proved, shape ``(groups,)``.

    Raises
    ------
    DataError
        If the leaves do not cover the box.
    """
    checker = _Checker(graph, certificate)
    if not bool(((home >= certificate.lower) & (home <= certificate.upper)).all()):
        raise DataError("the box of the certificate does not contain the instance")
    lead = np.full(len(groups), np.inf)
    for case in range(len(certificate.cases)):
        best: dict[tuple[tuple[int, int, int], ...], Array] = {}
        places: dict[tuple[tuple[int, int, int], ...], Leaf] = {}
        for leaf in (leaf for leaf in certificate.leaves if leaf.case == case):
            found = checker.without(leaf, home, groups)
            best[leaf.path] = np.maximum(best.get(leaf.path, found), found)
            places[leaf.path] = leaf
        _require_cover(case, list(places.values()), 0)
        for found in best.values():
            lead = np.minimum(lead, found)
    return lead


def _require_cover(case: int, leaves: Sequence[Leaf], depth: int) -> None:
    """Check that leaves with a common path of `depth` splits cover that part."""
    if not leaves:
        raise DataError(f"case {case} has no leaves")
    ended = [leaf for leaf in leaves if len(leaf.path) == depth]
    if ended and len(leaves) == 1:
        return
    splits = {leaf.path[depth][:2] for leaf in leaves if len(leaf.path) > depth}
    if ended or len(splits) != 1:
        raise DataError(f"the leaves of case {case} do not form a tree at depth {depth}")
    for sign in (1, -1):
        side = [leaf for leaf in leaves if leaf.path[depth][2] == sign]
        if not side:
            raise DataError(f"the leaves of case {case} leave a gap at depth {depth}")
        _require_cover(case, side, depth + 1)


class _Checker:
    def __init__(self, graph: NetworkGraph, certificate: NetworkCertificate) -> None:
        self.nodes = graph.nodes
        self.certificate = certificate
        n = graph.n_inputs
        if certificate.lower.shape != (n,) or certificate.upper.shape != (n,):
            raise DataError(f"the certificate's box does not have the network's {n} columns")
        self.activations = [i for i, node in enumerate(self.nodes) if isinstance(node, Relu)]
        if list(graph.nonlinear) != self.activations:
            raise UnsupportedError("certificates are checked for ReLU networks")
        self.layers = sorted({self.nodes[i].inputs[0] for i in self.activations})

    def bound(self, leaf: Leaf) -> float:
        """Return a rigorous lower bound of the leaf's case; infinite if it is empty."""
        return self._bound(leaf)[0]

    def without(self, leaf: Leaf, home: Array, groups: Sequence[Sequence[int]]) -> Array:
        """Return the bound of each box in which one group stays at home."""
        value, rows = self._bound(leaf)
        if rows is None:
            return np.full(len(groups), np.inf)
        low, high = self.certificate.lower, self.certificate.upper
        gain = rows * home - np.minimum(rows * low, rows * high)
        size = np.abs(rows) * np.maximum(np.maximum(np.abs(low), np.abs(high)), np.abs(home))
        found = np.empty(len(groups))
        for i, group in enumerate(groups):
            columns = list(group)
            error = 8 * (len(columns) + 8) * _EPS * (size[columns].sum() + abs(value))
            found[i] = value + gain[columns].sum() - error
        return found

    def _bound(self, leaf: Leaf) -> tuple[float, Array | None]:
        self._require_sound(leaf)
        lower: list[Array] = [self.certificate.lower]
        upper: list[Array] = [self.certificate.upper]
        weight: list[Array] = [4 * (len(lower[0]) + 8) * _EPS * np.maximum(-lower[0], upper[0])]
        weight[0] = np.abs(weight[0]) + 8 * _EPS * np.maximum(np.abs(lower[0]), np.abs(upper[0]))
        for position in range(1, len(self.nodes)):
            self._extend(position, lower, upper, weight)
            if position in self.layers:
                layer = self.layers.index(position)
                for at, neuron, sign in leaf.path:
                    if at == layer and sign > 0:
                        lower[position][neuron] = max(lower[position][neuron], 0.0)
                    elif at == layer:
                        upper[position][neuron] = min(upper[position][neuron], 0.0)
                self._tighten(position, lower, upper, weight)
                if bool((lower[position] > upper[position]).any()):
                    return np.inf, None
        rows, offset = self.certificate.cases[leaf.case]
        weights = np.array(leaf.weights)
        start = {len(self.nodes) - 1: (weights @ rows)[None]}
        slopes = dict(zip(self.activations, leaf.slopes, strict=True))
        force: dict[int, Array] = {}
        for (layer, neuron, sign), multiplier in zip(leaf.path, leaf.multipliers, strict=True):
            values = force.setdefault(self.layers[layer], np.zeros(self._size(layer)))
            values[neuron] += sign * multiplier
        value, slack, pulled = self._backward(start, lower, upper, weight, slopes, force)
        return float(value[0] + weights @ offset - slack[0]), pulled[0]

    def _size(self, layer: int) -> int:
        return self.nodes[self.layers[layer]].size

    def _require_sound(self, leaf: Leaf) -> None:
        slopes_fit = len(leaf.slopes) == len(self.activations) and all(
            slope.shape == (self.nodes[i].size,) and bool(((slope >= 0) & (slope <= 1)).all())
            for i, slope in zip(self.activations, leaf.slopes, strict=True)
        )
        weights = np.array(leaf.weights)
        rows = len(self.certificate.cases[leaf.case][1])
        weights_fit = weights.shape == (rows,) and bool((weights >= 0).all()) and weights.sum() > 0
        path_fits = len(leaf.multipliers) == len(leaf.path) and all(
            0 <= layer < len(self.layers) and 0 <= neuron < self._size(layer) and sign in (1, -1)
            for layer, neuron, sign in leaf.path
        )
        if not (slopes_fit and weights_fit and path_fits and all(m >= 0 for m in leaf.multipliers)):
            raise DataError(f"a leaf of case {leaf.case} has parameters out of range")

    def _extend(
        self, position: int, lower: list[Array], upper: list[Array], weight: list[Array]
    ) -> None:
        node = self.nodes[position]
        if isinstance(node, Relu):
            low, high = lower[node.inputs[0]], upper[node.inputs[0]]
            lower.append(np.maximum(low, 0.0))
            upper.append(np.maximum(high, 0.0))
            size = np.maximum(np.abs(low), np.abs(high))
            weight.append(4 * (node.size + 8) * _EPS * size)
            return
        middles = [(lower[i] + upper[i]) / 2 for i in node.inputs]
        radii = [(upper[i] - lower[i]) / 2 for i in node.inputs]
        sizes = [np.maximum(np.abs(lower[i]), np.abs(upper[i])) for i in node.inputs]
        bias, terms = _bias_of(node)
        middle = _forward(node, [m[None] for m in middles], absolute=False)[0] + bias
        radius = _forward(node, [r[None] for r in radii], absolute=True)[0]
        size = _forward(node, [s[None] for s in sizes], absolute=True)[0] + np.abs(bias)
        error = 4 * (terms + 8) * _EPS * size
        lower.append(middle - radius - error)
        upper.append(middle + radius + error)
        weight.append(error + 8 * _EPS * np.maximum(np.abs(lower[-1]), np.abs(upper[-1])))

    def _tighten(
        self, position: int, lower: list[Array], upper: list[Array], weight: list[Array]
    ) -> None:
        if not any(i < position for i in self.activations):
            return
        loose = np.flatnonzero((lower[position] < 0) & (upper[position] > 0))
        if not len(loose):
            return
        unit = np.zeros((len(loose), len(lower[position])))
        unit[np.arange(len(loose)), loose] = 1.0
        start = {position: np.concatenate([unit, -unit])}
        value, slack, _ = self._backward(start, lower, upper, weight, {}, {})
        bound, k = value - slack, len(loose)
        lower[position][loose] = np.maximum(lower[position][loose], bound[:k])
        upper[position][loose] = np.minimum(upper[position][loose], -bound[k:])

    def _backward(
        self,
        start: Mapping[int, Array],
        lower: Sequence[Array],
        upper: Sequence[Array],
        weight: Sequence[Array],
        slopes: Mapping[int, Array],
        force: Mapping[int, Array],
    ) -> tuple[Array, Array, Array]:
        """Return lower bounds of rows, the rounding error that they may have, the pulled rows."""
        pending = dict(start)
        count = len(next(iter(start.values())))
        constant, slack = np.zeros(count), np.zeros(count)
        for position in range(max(start), 0, -1):
            rows = pending.pop(position, None)
            if rows is None:
                continue
            if position in force:
                rows = rows - force[position]
            slack += np.abs(rows) @ weight[position]
            node = self.nodes[position]
            if isinstance(node, Relu):
                rows, shift = _through_relu(
                    rows, lower[node.inputs[0]], upper[node.inputs[0]], slopes.get(position)
                )
                constant += shift
                parts = [rows]
            else:
                bias, _ = _bias_of(node)
                constant += rows @ bias
                parts = _pull(node, rows, [self.nodes[i].size for i in node.inputs])
            for source, part in zip(node.inputs, parts, strict=True):
                pending[source] = pending[source] + part if source in pending else part
        rows = pending[0]
        slack += np.abs(rows) @ weight[0]
        box = np.minimum(rows * lower[0], rows * upper[0]).sum(axis=1)
        return constant + box, 2 * slack, rows


def _through_relu(
    rows: Array, low: Array, high: Array, slopes: Array | None
) -> tuple[Array, Array]:
    loose = (low < 0) & (high > 0)
    stable = (low >= 0).astype(np.float64)
    chord = np.where(loose, high / np.where(loose, high - low, 1.0), stable)
    shift = np.where(loose, -chord * low, 0.0)
    chosen = (high > -low).astype(np.float64) if slopes is None else slopes
    below = np.where(loose, chosen, stable)
    negative = np.minimum(rows, 0.0)
    return (rows - negative) * below + negative * chord, negative @ shift


def _bias_of(node: Node) -> tuple[Array, int]:
    """Return the constant part of a linear node, and the most terms per entry either way.

    Forwards an entry adds up what it reads, backwards what reads it.
    """
    match node:
        case Dense():
            return np.tile(node.bias, node.rows), max(node.weight.shape)
        case Convolution():
            pixels = node.output[1] * node.output[2]
            terms = int(node.weight[0, 0].size) * max(node.weight.shape[:2])
            return np.repeat(node.bias, pixels), terms
        case Affine():
            return node.shift, 1
        case Select():
            kept = node.index[node.index >= 0]
            often = int(np.bincount(kept).max()) if len(kept) else 1
            return np.where(node.index < 0, node.fill, 0.0), often
        case Sum():
            return np.zeros(node.size), len(node.coefficients)
        case Concatenate() | Input():
            return np.zeros(node.size), 1
        case _:
            raise UnsupportedError(f"node {node.name!r} has no certificate checker")


def _forward(node: Node, inputs: Sequence[Array], *, absolute: bool) -> Array:
    """Apply the linear part of a node, or its absolute values, to a batch."""

    def sized(values: Array) -> Array:
        return np.abs(values) if absolute else values

    x = inputs[0]
    match node:
        case Dense():
            parts = x.reshape(len(x), node.rows, -1)
            return np.asarray((parts @ sized(node.weight).T).reshape(len(x), -1))
        case Affine():
            return x * sized(node.scale)
        case Select():
            return np.where(node.index < 0, 0.0, x[:, np.maximum(node.index, 0)])
        case Sum():
            pairs = zip(sized(np.array(node.coefficients)), inputs, strict=True)
            return cast(Array, sum(c * v for c, v in pairs))
        case Concatenate():
            return np.concatenate(inputs, axis=1)
        case Convolution():
            return _convolve(node, x, sized(node.weight))
        case _:
            raise UnsupportedError(f"node {node.name!r} has no certificate checker")


def _pull(node: Node, rows: Array, sizes: Sequence[int]) -> list[Array]:
    """Multiply rows by the matrices of a linear node."""
    match node:
        case Dense():
            parts = rows.reshape(len(rows), node.rows, -1)
            return [(parts @ node.weight).reshape(len(rows), -1)]
        case Affine():
            return [rows * node.scale]
        case Select():
            out = np.zeros((len(rows), sizes[0]))
            kept = node.index >= 0
            np.add.at(out.T, node.index[kept], rows.T[kept])
            return [out]
        case Sum():
            return [c * rows for c in node.coefficients]
        case Concatenate():
            return list(np.split(rows, np.cumsum(sizes)[:-1], axis=1))
        case Convolution():
            return [_convolve_back(node, rows)]
        case _:
            raise UnsupportedError(f"node {node.name!r} has no certificate checker")


def _windows(node: Convolution, y: int, x: int) -> tuple[slice, slice]:
    """Return the padded pixels that tap ``(y, x)`` of the kernel reads."""
    top, left = y * node.dilation[0], x * node.dilation[1]
    return (
        slice(top, top + (node.output[1] - 1) * node.stride[0] + 1, node.stride[0]),
        slice(left, left + (node.output[2] - 1) * node.stride[1] + 1, node.stride[1]),
    )


def _padded(node: Convolution) -> tuple[int, int]:
    top, left, below, right = node.padding
    return node.image[1] + top + below, node.image[2] + left + right


def _convolve(node: Convolution, x: Array, weight: Array) -> Array:
    batch, groups = len(x), node.groups
    image = np.zeros((batch, node.image[0], *_padded(node)))
    top, left = node.padding[:2]
    image[:, :, top : top + node.image[1], left : left + node.image[2]] = x.reshape(
        batch, *node.image
    )
    image = image.reshape(batch, groups, -1, *image.shape[2:])
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    out = np.zeros((batch, groups, kernel.shape[1], *node.output[1:]))
    for y in range(kernel.shape[3]):
        for z in range(kernel.shape[4]):
            down, across = _windows(node, y, z)
            part = image[:, :, :, down, across]
            out += np.einsum("goc,bgchw->bgohw", kernel[..., y, z], part)
    return out.reshape(batch, -1)


def _convolve_back(node: Convolution, rows: Array) -> Array:
    batch, groups = len(rows), node.groups
    kernel = node.weight.reshape(groups, -1, *node.weight.shape[1:])
    grid = rows.reshape(batch, groups, kernel.shape[1], *node.output[1:])
    image = np.zeros((batch, groups, kernel.shape[2], *_padded(node)))
    for y in range(kernel.shape[3]):
        for z in range(kernel.shape[4]):
            down, across = _windows(node, y, z)
            image[:, :, :, down, across] += np.einsum("goc,bgohw->bgchw", kernel[..., y, z], grid)
    flat = image.reshape(batch, node.image[0], *_padded(node))
    top, left = node.padding[:2]
    inner = flat[:, :, top : top + node.image[1], left : left + node.image[2]]
    return inner.reshape(batch, -1)
