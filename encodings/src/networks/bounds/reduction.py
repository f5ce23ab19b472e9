"""A smaller network that computes the same on a set: stable neurons are folded away.

Over a small set most ReLUs keep one sign.  Those that are off disappear, those that are on
are linear and dissolve into the matrices before and after them, and what no free column
reaches is a constant.  What is left is a dense network of the unstable neurons alone, in
which a layer may read the input and all layers before it.  A convolution of twenty
thousand neurons becomes a few hundred rows, so that every later pass, of an attack, of a
bound, of each node of a tree, costs a fraction.

Stability is decided by rigorous bounds (intervals, then a backward pass for the rows that
they leave open), layer by layer and already in the reduced network.  The matrices are products
computed in floating point; the size of what was added up and the number of terms go along
and enter the rounding error of every later bound, as for the affine front of `local`.

Known as model reduction by stable neurons (Botoeva et al. 2020, section on pruning; Gomes et
al. 2025 for the programs of explanations); ours works on any graph of linear steps and
ReLUs, residual sums and pooling included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Network, Step
from ..operators.arrange import ConcatenateOperator
from ..operators.base import LinearOperator
from ..operators.convolution import ConvolutionOperator
from ..operators.dense import DenseOperator
from ..operators.relu import ReluActivation
from .hidden import hidden_ranges
from .interval import Bounds
from .sets import Box, InputSet

__all__ = ["pass_cost", "reduced"]

_MAX_CELLS = 20_000_000
"""Entries of one matrix up to which the network is written out."""

_WORTH = 1.5
"""How much a pass of the reduced network may cost, measured by the original's.

More than one, because its bounds are tighter and its nodes smaller: a residual network of
6,244 neurons was proved in 28 s instead of 40, although a pass costs about the same.
"""

_CONVOLVED, _BENT = 4, 200
"""Multiplications of a matrix product that cost as much as one of a convolution in double
precision (measured), and as one neuron's part in a pass (estimated)."""


@dataclass(frozen=True)
class _Value:
    """A vector as ``matrix @ basis + constant``; columns beyond the matrix are zero.

    `size` and `constant_size` bound what was added up in each entry, `terms` how many numbers.
    """

    matrix: Tensor
    size: Tensor
    constant: Tensor
    constant_size: Tensor
    terms: int


def reduced(
    network: Network, inputs: InputSet, over: Callable[[], bool] | None = None
) -> Network | None:
    """Return a smaller network that equals the given one on a set.

    Parameters
    ----------
    network
        With ReLUs only.
    inputs
        One set, or a batch whose members all count.
    over
        Whether the bounds have to end; neurons not bounded by then are kept.

    Returns
    -------
    Network or None
        `None` if a pass through it would not be clearly cheaper.

    Examples
    --------
    >>> import numpy as np
    >>> from ..builder import GraphBuilder
    >>> b = GraphBuilder("x", (1, 1))
    >>> bias = np.array([0.0] + [5.0] * 20 + [-5.0] * 20)  # one neuron of 41 can change sides
    >>> z = b.dense("d", b.input, np.ones((41, 1)), bias)
    >>> graph = b.finish(b.dense("o", b.relu("r", z), np.ones((1, 41)), np.zeros(1)))
    >>> unit = torch.ones((1, 1), dtype=torch.float64)
    >>> network = Network.of(graph)
    >>> small = reduced(network, Box(-unit, unit))
    >>> pass_cost(small) < pass_cost(network), bool((small(unit / 2) == network(unit / 2)).all())
    (True, True)
    """
    if not network.is_piecewise_linear or not network.nonlinear:
        return None
    found = _Reduction(network, inputs, over).run()
    if found is None or pass_cost(found) > _WORTH * pass_cost(network):
        return None
    return found


def pass_cost(network: Network) -> int:
    """Return what one pass of one row costs, in multiplications of a matrix product."""
    return sum(_multiplications(step) for step in network.steps[1:])


def _multiplications(step: Step) -> int:
    operator = step.linear
    if isinstance(operator, DenseOperator):
        return operator.weight.numel() * operator.parts
    if isinstance(operator, ConvolutionOperator):
        return _CONVOLVED * operator.terms * step.size
    return step.size * (_BENT if step.activation is not None else 4)


class _Reduction:
    def __init__(self, network: Network, inputs: InputSet, over: Callable[[], bool] | None) -> None:
        self.network = network
        self.inputs = inputs
        self.over = over
        self.n = network.n_inputs
        self.steps: list[Step] = [Step(None, (), self.n)]
        #: Step and first column of each block of the basis.
        self.blocks: list[tuple[int, int]] = [(0, 0)]
        self.low = inputs.lower.min(0).values
        self.high = inputs.upper.max(0).values
        self.known: dict[int, tuple[Tensor, Tensor]] = {}

    def run(self) -> Network | None:
        """Push the basis through all steps; `None` if a matrix grows too large."""
        last_use: dict[int, int] = {}
        for position, step in enumerate(self.network.steps):
            last_use |= dict.fromkeys(step.inputs, position)
        identity = torch.eye(self.n, dtype=self.network.dtype, device=self.network.device)
        zero = identity.new_zeros(self.n)
        values: dict[int, _Value] = {0: _Value(identity, identity, zero, zero, 0)}
        for position, step in enumerate(self.network.steps[1:], start=1):
            sources = [values[i] for i in step.inputs]
            if step.linear is not None:
                if step.size * max(v.matrix.shape[1] for v in sources) > _MAX_CELLS:
                    return None
                values[position] = _through(step.linear, sources)
            else:
                values[position] = self._relu(sources[0])
            for used in step.inputs:
                if last_use[used] == position:
                    values.pop(used, None)
        self._dense(values[len(self.network.steps) - 1], slice(None))
        return Network(self.steps, self.network.dtype, self.network.device)

    def _relu(self, value: _Value) -> _Value:
        low, high = self._interval(value)
        unsure = ((low < 0) & (high > 0)).nonzero().ravel()
        if len(unsure) and len(self.blocks) > 1:
            inner_low, inner_high = self._bound(value, unsure, low, high)
            low, high = low.clone(), high.clone()
            low[unsure] = torch.maximum(low[unsure], inner_low)
            high[unsure] = torch.minimum(high[unsure], inner_high)
        on, off = low >= 0, high <= 0
        # Contradicting bounds cannot occur on a set that is not empty; either way is sound.
        loose = (~on & ~off).nonzero().ravel()
        active = on.nonzero().ravel()
        matrix, size, constant, constant_size, terms = (
            value.matrix, value.size, value.constant, value.constant_size, value.terms,
        )  # fmt: skip
        used = int((size[active] != 0).any(0).sum()) if len(active) else 0
        width = matrix.shape[1]
        fresh = [(loose, True)] if len(loose) else []
        if used > len(active):
            # Fewer rows than columns: they stay a step of their own.
            fresh.append((active, False))
        blocks: list[tuple[Tensor, int]] = []
        for rows, cut in fresh:
            at = self._dense(value, rows)
            bottom, top = low[rows], high[rows]
            if cut:
                self.known[at] = (bottom[None], top[None])
                self.steps.append(Step(ReluActivation(), (at,), len(rows)))
                at, bottom, top = at + 1, bottom.clamp(min=0), top.clamp(min=0)
            first = len(self.low)
            self.blocks.append((at, first))
            self.low = torch.cat([self.low, bottom])
            self.high = torch.cat([self.high, top])
            blocks.append((rows, first))
        gone = (off & ~on).nonzero().ravel()
        total = max(width, len(self.low) if blocks else 0)
        matrix, size = _widened(matrix, total).clone(), _widened(size, total).clone()
        constant, constant_size = constant.clone(), constant_size.clone()
        for rows in (gone, *(rows for rows, _ in blocks)):
            matrix[rows], size[rows], constant[rows], constant_size[rows] = 0.0, 0.0, 0.0, 0.0
        for rows, first in blocks:
            columns = first + torch.arange(len(rows), device=rows.device)
            matrix[rows, columns] = 1.0
            size[rows, columns] = 1.0
        return _Value(matrix, size, constant, constant_size, terms)

    def _interval(self, value: _Value) -> tuple[Tensor, Tensor]:
        """Bound a value by the basis, rounding taken off."""
        matrix, n = value.matrix, self.n
        front, rest = matrix[:, :n], matrix[:, n:]
        low, high = value.constant.clone(), value.constant.clone()
        if isinstance(self.inputs, Box) or front.numel() * self.inputs.batch > _MAX_CELLS:
            least, most = _ends(front, self.low[:n], self.high[:n])
        else:
            least = self.inputs.minimum(front[None].expand(self.inputs.batch, -1, -1)).amin(0)
            most = -self.inputs.minimum(-front[None].expand(self.inputs.batch, -1, -1)).amin(0)
        low, high = low + least, high + most
        if rest.shape[1]:
            end = matrix.shape[1]
            least, most = _ends(rest, self.low[n:end], self.high[n:end])
            low, high = low + least, high + most
        eps = torch.finfo(matrix.dtype).eps
        reach = torch.maximum(self.low.abs(), self.high.abs())[: matrix.shape[1]]
        error = 4 * (value.terms + matrix.shape[1] + 8) * eps
        slack = error * (value.size @ reach + value.constant_size)
        return low - slack, high + slack

    def _bound(
        self, value: _Value, rows: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Bound some rows by a backward pass through what is built so far."""
        kept = len(self.steps)
        at = self._dense(value, rows)
        self.steps.append(Step(ReluActivation(), (at,), len(rows)))
        partial = Network(self.steps, self.network.dtype, self.network.device)
        del self.steps[kept:]
        known: Bounds = {**self.known, at: (low[rows][None], high[rows][None])}
        after = max(self.known, default=0)
        found = hidden_ranges(partial, self.inputs, known=known, after=after, over=self.over)
        return found.lower[at].amin(0), found.upper[at].amax(0)

    def _dense(self, value: _Value, rows: Tensor | slice) -> int:
        """Append some rows of a value as a step; return its position."""
        matrix, size = value.matrix[rows], value.size[rows]
        width = matrix.shape[1]
        ends = [first for _, first in self.blocks[1:]] + [len(self.low)]
        parts = [
            (step, slice(first, end))
            for (step, first), end in zip(self.blocks, ends, strict=True)
            if end <= width and bool((size[:, first:end] != 0).any())
        ] or [(0, slice(0, self.n))]
        source = parts[0][0]
        if len(parts) > 1:
            sizes = tuple(cut.stop - cut.start for _, cut in parts)
            like = matrix.new_zeros(sum(sizes))
            source = len(self.steps)
            operator = ConcatenateOperator(sizes, like)
            self.steps.append(Step(operator, tuple(step for step, _ in parts), len(like)))
            matrix = torch.cat([matrix[:, cut] for _, cut in parts], dim=1)
            size = torch.cat([size[:, cut] for _, cut in parts], dim=1)
        else:
            matrix, size = matrix[:, parts[0][1]], size[:, parts[0][1]]
        dense = DenseOperator(
            matrix.contiguous(),
            value.constant[rows],
            size=size.contiguous(),
            terms=value.terms + max(matrix.shape),
            bias_size=value.constant_size[rows],
        )
        self.steps.append(Step(dense, (source,), len(matrix)))
        return len(self.steps) - 1


def _through(operator: LinearOperator, sources: list[_Value]) -> _Value:
    """Apply a linear step to values column by column."""
    width = max(value.matrix.shape[1] for value in sources)
    columns = [_widened(value.matrix, width).T for value in sources]
    sizes = [_widened(value.size, width).T for value in sources]
    constant = operator.forward(*(value.constant[None] for value in sources))[0]
    grown = operator.absolute(*(value.constant_size[None] for value in sources))[0]
    return _Value(
        operator.linear(*columns).T,
        operator.absolute(*sizes).T,
        constant,
        grown + operator.bias_size,
        operator.terms + 1 + max(value.terms for value in sources),
    )


def _widened(matrix: Tensor, width: int) -> Tensor:
    missing = width - matrix.shape[1]
    if missing <= 0:
        return matrix
    return torch.cat([matrix, matrix.new_zeros((len(matrix), missing))], dim=1)


def _ends(matrix: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    positive, negative = matrix.clamp(min=0), matrix.clamp(max=0)
    return positive @ low + negative @ high, positive @ high + negative @ low
