"""Networks in programs of nearest counterfactuals: neurons as variables and rows.

The same program as in `milp` (Tjeng, Xiao, Tedrake 2019), posed around one person: the box is what
the rules leave and what costs no more than the best point known, so that a good first point
fixes the sign of most neurons.  The network computes in float32: scores within a small slack
are settled by the network that runs, and answers state the gap that this leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from whyproof.encodings.recourse.bodies import Body
from whyproof.encodings.recourse.posed import Affine, Posed, Term
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.space import FeatureSpace

from .bounds.hidden import hidden_ranges
from .bounds.local import Localiser
from .bounds.sets import Box
from .bounds.slopes import Ascent
from .graph import NetworkGraph
from .milp import NetworkProgram
from .neighbourhood import Play
from .network import Network

__all__ = ["NetworkBody", "network_shape"]

_SLACK = 2e-6
"""Difference between exact scores and those in float32, per unit of score."""


@dataclass(frozen=True, eq=False)
class NetworkBody:
    """A network of piecewise linear activations.

    Parameters
    ----------
    graph
        The network.
    sign
        1 where the largest score wins, -1 where the smallest does.
    """

    graph: NetworkGraph
    sign: float = 1.0

    @property
    def valued(self) -> frozenset[int]:
        """All columns."""
        return frozenset(range(self.graph.n_inputs))

    @property
    def grid(self) -> None:
        """Outputs are real numbers."""
        return

    @property
    def scale(self) -> float:
        """Rows are posed in units of the scores."""
        return 1.0

    @property
    def lines(self) -> None:
        """Outputs are not linear."""
        return

    @cached_property
    def network(self) -> Network:
        """The network in float64."""
        return Network.of(self.graph)

    def pose(self, posed: Posed) -> Sequence[Affine]:
        """Add variables and rows of the neurons whose sign is open."""
        here = np.asarray(posed.places.instance, dtype=np.float64)
        low, high = here.copy(), here.copy()
        for c, (variable, unit) in posed.values.items():
            low[c], high[c] = posed.low[variable] * unit, posed.high[variable] * unit
        moving = [c for c in sorted(posed.values) if low[c] < high[c]]
        center = torch.tensor(here, dtype=torch.float64)
        columns = torch.tensor(moving, dtype=torch.long)
        lower = torch.tensor(low - here, dtype=torch.float64)[columns]
        upper = torch.tensor(high - here, dtype=torch.float64)[columns]
        network = Localiser(self.network, center).restricted(columns)
        box = Box(lower[None], upper[None])
        play = Play(network, columns, columns, torch.arange(len(moving)), lower, upper)
        ranges = hidden_ranges(network, box, ascent=Ascent(steps=8))
        program = NetworkProgram(play, box, ranges)
        variables, units, starts = _variables(posed, program, moving, here)

        def affine(line: np.ndarray, constant: float) -> Affine:
            terms: list[Term] = []
            for j in np.flatnonzero(line).tolist():
                terms.append((variables[j], float(line[j]) * units[j]))
                constant -= float(line[j]) * starts[j]
            return terms, constant

        for line, least, most in program.rows:
            terms, constant = affine(line, 0.0)
            posed.rows.add(terms, least - constant, most - constant)
        matrix = np.atleast_2d(program.scores.matrix) * self.sign
        constants = np.atleast_1d(program.scores.constant) * self.sign
        return [affine(row, float(c)) for row, c in zip(matrix, constants, strict=True)]


def _variables(
    posed: Posed, program: NetworkProgram, moving: Sequence[int], here: np.ndarray
) -> tuple[list[int], list[float], list[float]]:
    """Return the variable, the unit and the start of each variable of a network's program."""
    variables: list[int] = []
    units: list[float] = []
    starts: list[float] = []
    for c in moving:
        variable, unit = posed.values[c]
        variables.append(variable)
        units.append(unit)
        starts.append(float(here[c]))
    added = zip(
        program.lower[program.n :],
        program.upper[program.n :],
        program.integer[program.n :],
        strict=True,
    )
    for low, high, whole in added:
        variables.append(posed.variable(0.0, low, high, whole=whole))
        units.append(1.0)
        starts.append(0.0)
    return variables, units, starts


def network_shape(model: Classifier, space: FeatureSpace) -> tuple[TreeEnsemble, Body]:
    """Return a network as an ensemble without trees, and its body.

    Raises
    ------
    UnsupportedError
        If an activation is not piecewise linear, or a column may be missing.
    """
    graph = model.structure
    if not isinstance(graph, NetworkGraph):
        raise UnsupportedError("this model is no network")
    body = NetworkBody(graph, -1.0 if getattr(model, "decision", "") == "smallest" else 1.0)
    if not body.network.is_piecewise_linear:
        raise UnsupportedError(
            "nearest changes of networks with curved activations are found with --norm linf and "
            "without rules"
        )
    for column in space.columns:
        if column.domain.nullable:
            raise UnsupportedError(
                f"column {column.name!r} may be missing, which networks do not know"
            )
    is_value = getattr(model, "decision", "") == "value"
    n = graph.n_outputs
    center = np.zeros((1, model.n_columns))
    size = float(np.abs(model.scores(center)).max(initial=1.0))
    ensemble = TreeEnsemble(
        model.n_columns,
        (),
        np.zeros(n),
        DecisionRule.VALUE if is_value else DecisionRule.ARGMAX,
        () if is_value else tuple(model.classes),
        input_type="float32",
        slack=_SLACK * max(size, 1.0),
    )
    return ensemble, body
