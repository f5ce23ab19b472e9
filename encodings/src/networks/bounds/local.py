"""The network around one point, as a function of the deviation of the columns in play.

With ``x = v + d`` the fixed columns vanish and everything before the first activation is
one affine map ``W d + (W v + b)`` of the columns that are free.  For dense layers that is
a choice of columns of the first matrix; a convolution is written out as a matrix when the
columns are few, and kept otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Network, Step
from ..operators.arrange import AffineOperator, SelectOperator
from ..operators.dense import DenseOperator

__all__ = ["Localiser"]

_SMALL = 300_000
_PER_TERM = 6
_MAX_FULL = 6_000_000


@dataclass(frozen=True)
class _Front:
    """An affine function of the input that something nonlinear (or the output) reads."""

    step: int
    offset: Tensor
    offset_size: Tensor
    terms: int
    direct: DenseOperator | None


class Localiser:
    """Rewrites a network around a point; cheap for each choice of columns.

    Parameters
    ----------
    network
        On whole inputs.
    center
        The point, shape ``(inputs,)``.
    """

    def __init__(self, network: Network, center: Tensor) -> None:
        self.network = network
        self.center = center
        steps = network.steps
        self._prefix = [0]
        for position in range(1, len(steps)):
            inputs = steps[position].inputs
            if steps[position].linear is not None and all(i in self._prefix for i in inputs):
                self._prefix.append(position)
        self._fronts = self._find_fronts()
        self._full: dict[int, tuple[Tensor, Tensor]] = {}
        self._last: tuple[tuple[int, ...], Network] | None = None

    def _find_fronts(self) -> list[_Front]:
        steps, inside = self.network.steps, set(self._prefix)
        read = {i for p, s in enumerate(steps) if p not in inside for i in s.inputs if i in inside}
        if len(steps) - 1 in inside:
            read.add(len(steps) - 1)
        values: dict[int, Tensor] = {0: self.center[None]}
        sizes: dict[int, Tensor] = {0: self.center.abs()[None]}
        terms: dict[int, int] = {0: 0}
        for position in self._prefix[1:]:
            operator = steps[position].linear
            if operator is None:
                continue
            inputs = steps[position].inputs
            values[position] = operator.forward(*(values[i] for i in inputs))
            size = operator.absolute(*(sizes[i] for i in inputs)) + operator.bias_size
            sizes[position] = size
            terms[position] = operator.terms + 1 + max(terms[i] for i in inputs)
        fronts = []
        for position in sorted(read):
            operator = steps[position].linear
            direct = (
                operator
                if isinstance(operator, DenseOperator)
                and operator.parts == 1
                and steps[position].inputs == (0,)
                else None
            )
            fronts.append(
                _Front(position, values[position][0], sizes[position][0], terms[position], direct)
            )
        return fronts

    def restricted(self, columns: Tensor) -> Network:
        """Return the network as a function of deviations of some columns.

        Parameters
        ----------
        columns
            Ascending positions, shape ``(k,)``.
        """
        key = tuple(columns.tolist())
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        k = len(key)
        cheap = all(
            f.direct is not None
            or len(f.offset) * k <= _SMALL
            or (k <= _PER_TERM * f.terms and len(f.offset) * k <= _MAX_FULL)
            for f in self._fronts
        )
        network = self._dense(columns) if cheap else self._scattered(columns)
        self._last = (key, network)
        return network

    def _dense(self, columns: Tensor) -> Network:
        steps = [Step(None, (), len(columns))]
        place: dict[int, int] = {}
        for front in self._fronts:
            weight, size = self._columns_of(front, columns)
            operator = DenseOperator(
                weight,
                front.offset,
                size=size,
                terms=max(front.terms, len(front.offset)),
                bias_size=front.offset_size,
            )
            place[front.step] = len(steps)
            steps.append(Step(operator, (0,), len(front.offset)))
        return self._rest(steps, place)

    def _columns_of(self, front: _Front, columns: Tensor) -> tuple[Tensor, Tensor]:
        if front.direct is not None:
            return front.direct.weight[:, columns], front.direct.size[:, columns]
        n = self.network.n_inputs
        if front.step not in self._full and n * len(front.offset) <= _MAX_FULL:
            everything = torch.arange(n, device=self.network.device)
            self._full[front.step] = self._matrix(front.step, everything)
        if front.step in self._full:
            weight, size = self._full[front.step]
            return weight[:, columns], size[:, columns]
        return self._matrix(front.step, columns)

    def _matrix(self, step: int, columns: Tensor) -> tuple[Tensor, Tensor]:
        network = self.network
        units = torch.zeros(
            (len(columns), network.n_inputs), dtype=network.dtype, device=network.device
        )
        units[torch.arange(len(columns), device=network.device), columns] = 1.0
        values: dict[int, Tensor] = {0: units}
        sizes: dict[int, Tensor] = {0: units}
        for position in self._prefix[1:]:
            operator = network.steps[position].linear
            if operator is None or position > step:
                continue
            inputs = network.steps[position].inputs
            values[position] = operator.linear(*(values[i] for i in inputs))
            sizes[position] = operator.absolute(*(sizes[i] for i in inputs))
        return values[step].T.contiguous(), sizes[step].T.contiguous()

    def _scattered(self, columns: Tensor) -> Network:
        network = self.network
        n = network.n_inputs
        index = torch.full((n,), -1, dtype=torch.long, device=network.device)
        index[columns] = torch.arange(len(columns), device=network.device)
        spread = SelectOperator(index, torch.zeros_like(self.center), len(columns))
        shift = AffineOperator(torch.ones_like(self.center), self.center)
        steps = [Step(None, (), len(columns)), Step(spread, (0,), n), Step(shift, (1,), n)]
        place = {0: 2}
        for position in self._prefix[1:]:
            step = network.steps[position]
            place[position] = len(steps)
            steps.append(Step(step.linear, tuple(place[i] for i in step.inputs), step.size))
        return self._rest(steps, place)

    def _rest(self, steps: list[Step], place: dict[int, int]) -> Network:
        inside = set(self._prefix)
        for position, step in enumerate(self.network.steps):
            if position not in inside:
                place[position] = len(steps)
                operator = step.linear or step.activation
                steps.append(Step(operator, tuple(place[i] for i in step.inputs), step.size))
        return Network(steps, self.network.dtype, self.network.device)
