r"""Conditional masked autoregressive flow: a density with exact values and gradients.

Idea: a chain of layers turns a row x into noise z; layer l computes for every column i

    z_i = s_i x_i + t_i,      (s_i, t_i) = network(columns before i, class)

and visits the columns from last to first and from first to last in turn.  The Jacobian
is triangular, hence  log p(x | y) = log N(z_L; 0, I) + sum_l sum_i log s_i.

Source: Papamakarios, Pavlakou and Murray, "Masked Autoregressive Flow for Density
Estimation", NIPS 2017 (eqs. 3-6), with the residual masked networks of Germain et al.'s
MADE (ICML 2015).  The class enters every network at its input and in each residual block.

Ours differs in that all layers share one set of stacked tensors (they save as eleven
arrays), columns are never permuted (the masks are), and a flow with fixed class has a
gradient of its own (`whyproof.plausible.flow_gradient`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from whyproof.engine.errors import DataError

from .backend import Array, require_torch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .flow_gradient import FixedClassFlow

__all__ = ["SCALE_FLOOR", "FlowShape", "MaskedFlow", "masks_of"]

SCALE_FLOOR = 1e-3
"""Least scale of a layer, so that no density is infinite."""


@dataclass(frozen=True, slots=True)
class FlowShape:
    """How large a flow is.

    Parameters
    ----------
    columns
        Columns of a row.
    classes
        Classes that the density is conditioned on.
    layers
        Autoregressive layers.
    hidden
        Width of their networks.
    blocks
        Residual blocks in each network.

    Examples
    --------
    >>> FlowShape(columns=23, classes=2).parameters
    28656
    """

    columns: int
    classes: int
    layers: int = 8
    hidden: int = 16
    blocks: int = 4

    def __post_init__(self) -> None:
        for name in ("columns", "classes", "layers", "hidden"):
            if getattr(self, name) < 1:
                raise DataError(f"a flow needs at least one of {name}, found {getattr(self, name)}")
        if self.blocks < 0:
            raise DataError(f"a flow cannot have {self.blocks} residual blocks")

    @property
    def parameters(self) -> int:
        """Numbers to learn, masked ones included."""
        return sum(math.prod(shape) for shape in self.tensors.values())

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each array of parameters."""
        layers, hidden, blocks = self.layers, self.hidden, self.blocks
        return {
            "input.weight": (layers, hidden, self.columns),
            "input.bias": (layers, hidden),
            "class.weight": (layers, hidden, self.classes),
            "class.bias": (layers, hidden),
            "block.first.weight": (layers, blocks, hidden, hidden),
            "block.first.bias": (layers, blocks, hidden),
            "block.class.weight": (layers, blocks, hidden, self.classes),
            "block.class.bias": (layers, blocks, hidden),
            "block.second.weight": (layers, blocks, hidden, hidden),
            "block.second.bias": (layers, blocks, hidden),
            "output.weight": (layers, 2, self.columns, hidden),
            "output.bias": (layers, 2, self.columns),
        }


class MaskedFlow:
    """A conditional density over rows of scaled numbers.

    Parameters
    ----------
    shape
        Its size.
    parameters
        Tensors by name, as `FlowShape.tensors` lists them.

    Raises
    ------
    DataError
        If a tensor is absent or has another shape.

    Examples
    --------
    >>> import torch
    >>> flow = MaskedFlow.untrained(FlowShape(2, 2, layers=2, hidden=8, blocks=1), seed=0)
    >>> flow.log_density(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)).shape
    torch.Size([3])
    """

    name = "flow"

    def __init__(self, shape: FlowShape, parameters: Mapping[str, Tensor]) -> None:
        require_torch("use a density flow")
        for name, expected in shape.tensors.items():
            found = tuple(parameters[name].shape) if name in parameters else None
            if found != expected:
                raise DataError(f"flow parameter {name!r} has shape {found}, expected {expected}")
        self.shape = shape
        self.parameters = dict(parameters)

    @classmethod
    def untrained(cls, shape: FlowShape, *, seed: int) -> MaskedFlow:
        """Return a flow near the identity, repeatable by its seed."""
        require_torch("make a density flow")
        import torch

        generator = torch.Generator().manual_seed(seed)
        parameters: dict[str, Tensor] = {}
        for name, size in shape.tensors.items():
            inputs = size[-1] if name.endswith("weight") else shape.hidden
            bound = 1e-3 if name.startswith("block.second") else 1.0 / math.sqrt(inputs)
            values = torch.empty(size).uniform_(-bound, bound, generator=generator)
            parameters[name] = values.clone()
        # softplus(0.5413) = 1: every layer starts as the identity, up to what is small.
        parameters["output.weight"] *= 0.1
        parameters["output.bias"] *= 0.0
        parameters["output.bias"][:, 0] += 0.5413
        return cls(shape, parameters)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return self.shape.columns

    @property
    def n_classes(self) -> int:
        """Classes that it is conditioned on."""
        return self.shape.classes

    @property
    def device(self) -> torch.device:
        """Where its parameters live."""
        return self.parameters["input.weight"].device

    def to(self, device: torch.device) -> MaskedFlow:
        """Return the flow on another device."""
        if device == self.device:
            return self
        return MaskedFlow(self.shape, {k: v.to(device) for k, v in self.parameters.items()})

    @cached_property
    def masks(self) -> dict[str, Tensor]:
        """Zeros where a column must not see another, on the parameters' device."""
        import torch

        made = masks_of(self.shape)
        kind = self.parameters["input.weight"]
        return {
            k: torch.as_tensor(v, dtype=kind.dtype, device=kind.device) for k, v in made.items()
        }

    def log_density(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return log p(row | class) in nats, differentiable, shape ``(rows,)``.

        Parameters
        ----------
        points
            Shape ``(rows, columns)``.
        labels
            Class indices, shape ``(rows,)``.
        """
        noise, log_scale = self.to_noise(points, labels)
        return (
            log_scale - 0.5 * noise.square().sum(1) - 0.5 * self.n_columns * math.log(2 * math.pi)
        )

    def to_noise(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise that rows are made of and the log determinant on the way."""
        import torch
        from torch.nn.functional import softplus

        p, masks, n = self.parameters, self.masks, len(points)
        log_scale = points.new_zeros(n)
        z = points
        for layer in range(self.shape.layers):
            context = p["class.weight"][layer].T[labels] + p["class.bias"][layer]
            weight = p["input.weight"][layer] * masks["input"][layer]
            h = torch.addmm(p["input.bias"][layer], z, weight.T) + context.relu()
            inner = masks["hidden"][layer]
            for block in range(self.shape.blocks):
                context = p["block.class.weight"][layer, block].T[labels]
                bias = p["block.first.bias"][layer, block] + p["block.class.bias"][layer, block]
                t = torch.addmm(bias, h.relu(), (p["block.first.weight"][layer, block] * inner).T)
                t = (t + context).relu()
                weight = p["block.second.weight"][layer, block] * inner
                h = h + torch.addmm(p["block.second.bias"][layer, block], t, weight.T)
            out = p["output.weight"][layer] * masks["output"][layer]
            scale = softplus(torch.addmm(p["output.bias"][layer, 0], h, out[0].T)) + SCALE_FLOOR
            shift = torch.addmm(p["output.bias"][layer, 1], h, out[1].T)
            z = scale * z + shift
            log_scale = log_scale + scale.log().sum(1)
        return z, log_scale

    def fixed(self, target: int) -> FixedClassFlow:
        """Return the density of one class, with a fast gradient."""
        from .flow_gradient import FixedClassFlow

        return FixedClassFlow(self, target)


def masks_of(shape: FlowShape) -> dict[str, Array]:
    """Return the masks of all layers: column i sees only columns before it.

    Layers of even number go from the last column to the first, the others forwards.
    Hidden units have degrees 1, 2, ..., columns - 1, 1, 2, ...; a unit sees columns (and
    units) up to its own degree, an output the units strictly below its column's place.

    Examples
    --------
    >>> masks_of(FlowShape(3, 1, layers=1, hidden=2))["output"][0, 0]
    array([[1., 1.],
           [1., 0.],
           [0., 0.]])
    """
    columns, most = shape.columns, max(1, shape.columns - 1)
    forwards = np.arange(1, columns + 1)
    units = np.arange(shape.hidden) % most + 1
    hidden = (units[:, None] >= units[None, :]).astype(np.float64)
    inputs, outputs = [], []
    for layer in range(shape.layers):
        place = forwards[::-1] if layer % 2 == 0 else forwards
        inputs.append(units[:, None] >= place[None, :])
        outputs.append([place[:, None] > units[None, :]] * 2)
    return {
        "input": np.asarray(inputs, dtype=np.float64),
        "hidden": np.repeat(hidden[None], shape.layers, axis=0),
        "output": np.asarray(outputs, dtype=np.float64),
    }
