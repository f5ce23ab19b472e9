"""Optimise the free slopes of a backward pass by gradient ascent (alpha-CROWN).

Xu, Zhang, Wang, Wang, Jana, Lin and Hsieh 2021, "Fast and complete".  Every row has its
own slopes for every neuron below it, in all layers: measured, that certifies far more than
slopes shared between rows or tuned in the last layer only.  Any slopes are sound, so the
best value seen per row is kept, and re-evaluated once with its rounding error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Network
from ..operators.base import Enclosure
from .adam import Adam
from .backward import LinearForm, backward
from .sets import InputSet

__all__ = ["Ascent", "optimise_slopes", "rigorous", "starting_slopes"]


@dataclass(frozen=True, slots=True)
class Ascent:
    """How hard to optimise.

    Parameters
    ----------
    steps
        Gradient steps; zero for the default lines.
    rate, decay
        Step size of Adam and its factor per step.
    enough
        A row stops to matter when its bound exceeds this.
    """

    steps: int = 15
    rate: float = 0.3
    decay: float = 0.92
    enough: float = float("inf")


def starting_slopes(lines: Mapping[int, Enclosure], rows: int, before: int) -> dict[int, Tensor]:
    """Return the default parameters of each activation before a step, one set per row."""
    return {
        position: line.initial[:, None].repeat(1, rows, 1)
        for position, line in lines.items()
        if position < before
    }


def optimise_slopes(
    network: Network,
    start: Mapping[int, Tensor],
    offset: Tensor,
    lines: Mapping[int, Enclosure],
    inputs: InputSet,
    weights: Sequence[Tensor],
    ascent: Ascent,
) -> tuple[Tensor, dict[int, Tensor], LinearForm]:
    """Maximise the lower bound of each row.

    Parameters
    ----------
    network, start, lines, weights
        As for `backward`.
    offset
        Constant of each row, shape ``(rows,)`` or ``(batch, rows)``.
    inputs
        The set of deviations.
    ascent
        How hard to try.

    Returns
    -------
    bound
        Rigorous, shape ``(batch, rows)``: the best of the default and the optimised slopes.
    slopes
        By activation, of the last step.
    form
        Linear form that belongs to those slopes.
    """
    with torch.no_grad():
        plain = backward(network, start, lines, weights=weights)
        best = rigorous(plain, offset, inputs)
    rows = plain.coefficients.shape[1]
    last = max(start)
    slopes = starting_slopes(lines, rows, last)
    if not ascent.steps or not slopes or bool((best > ascent.enough).all()):
        return best, slopes, plain
    leaves = [slope.requires_grad_() for slope in slopes.values()]
    adam = Adam(leaves, [ascent.rate] * len(leaves))
    cap = ascent.enough + 0.5
    for _ in range(ascent.steps):
        form = backward(network, start, lines, slopes=slopes)
        bound = form.constant + inputs.minimum(form.coefficients) + offset
        adam.ascend(bound.clamp(max=cap).sum())
        with torch.no_grad():
            for leaf in leaves:
                leaf.clamp_(0, 1)
        adam.slow(ascent.decay)
        if bool((bound.detach() > ascent.enough).all()):
            break
    fixed = {position: slope.detach() for position, slope in slopes.items()}
    with torch.no_grad():
        tuned = backward(network, start, lines, slopes=fixed, weights=weights)
        best = torch.maximum(best, rigorous(tuned, offset, inputs))
    return best, fixed, tuned


def rigorous(form: LinearForm, offset: Tensor, inputs: InputSet) -> Tensor:
    """Return the lower bound of a form over a set, less its rounding error."""
    bound = form.constant + inputs.minimum(form.coefficients) + offset
    return bound if form.slack is None else bound - form.slack
