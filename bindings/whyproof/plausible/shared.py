"""Shared shifts: X' = X0 + M S D with K rows of D, one magnitude and one group per row.

First S = sparsemax(B) is soft and all six terms pull; then every row takes the group and
magnitude that serve it best (`whyproof.plausible.choices`), again and again while D and M
go on moving.  K = 1 is the global form, without magnitudes the plain one.

Source: the unified method, eqs. (5)-(9), (17).  Ours starts D from k-means over local
shifts (not from zero with K = N), gives groups that lost their rows to the rows served
worst, and so ends with the number of groups that was asked for; without a number, shifts
that are hardly missed are pruned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .adam import Adam, cosine
from .backend import numbers, tensor
from .choices import choose, prune
from .kmeans import kmeans
from .landscape import Landscape
from .polish import polish
from .projection import Projection
from .rows import descend_rows
from .settings import Settings
from .sparsemax import sparsemax, sparsemax_backward
from .terms import column_entropy, diversity, row_entropy

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MOST_GROUPS", "learn_shifts"]

MOST_GROUPS = 8
"""Groups to begin with when no number is given."""

_SOFT = 0.3
_REGROUP = (0.3, 0.5, 0.7, 0.85)
_COARSE = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
_HINT_STEPS = 60
_PRUNE = 0.02


@dataclass
class _State:
    """What is learnt: shifts, logarithms of magnitudes, weights behind S or groups."""

    shifts: Tensor
    sizes: Tensor
    groups: Tensor


def learn_shifts(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    settings: Settings,
    *,
    groups: int | None,
) -> Tensor:
    """Learn shared shifts of rows.

    Parameters
    ----------
    landscape, projection
        What is wanted and what is allowed, of exactly these rows.
    origin
        Rows, scaled.
    settings
        Weights, steps, rate, magnitudes.
    groups
        Number of shifts; `None` lets the rows decide.

    Returns
    -------
    Shape ``(K, columns)``.
    """
    import torch

    count = min(groups or MOST_GROUPS, len(origin))
    hints = _hints(landscape, projection, origin, settings)
    centres, label = kmeans(numbers(hints), count, seed=settings.seed)
    state = _State(
        tensor(centres, origin.device),
        origin.new_zeros(len(origin)),
        torch.as_tensor(label, device=origin.device),
    )
    soft = round(_SOFT * settings.steps) if count > 1 else 0
    if soft:
        _descend_soft(landscape, projection, origin, settings, state, soft)
    _descend_hard(landscape, projection, origin, settings, state, soft, hints)
    if settings.nudges:
        state.shifts = polish(
            landscape,
            projection,
            origin,
            state.shifts,
            _grid(settings),
            tries=max(1, settings.nudges // count),
            seed=settings.seed,
        )
    if groups is not None or count == 1:
        return state.shifts
    last = choose(landscape, projection, origin, state.shifts, _grid(settings), soft=True)
    kept = prune(last.cost, 1, _PRUNE * float(last.cost.min(1).values.mean() + 0.05))
    return state.shifts[kept]


def _hints(
    landscape: Landscape, projection: Projection, origin: Tensor, settings: Settings
) -> Tensor:
    """Return local shifts, found quickly."""
    quick = replace(Settings.local(), steps=_HINT_STEPS, margin=settings.margin, patience=15)
    return descend_rows(landscape, projection, origin, quick) - origin


def _grid(settings: Settings) -> tuple[float, ...]:
    return _COARSE if settings.magnitudes else (1.0,)


def _descend_soft(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    settings: Settings,
    state: _State,
    steps: int,
) -> None:
    """Move shifts, magnitudes and the selection together."""
    import torch

    count, weights = len(state.shifts), settings.weights
    behind = 0.8 * torch.nn.functional.one_hot(state.groups, count).to(origin.dtype)
    moments = [Adam(state.shifts), Adam(state.sizes), Adam(behind)]
    for step in range(steps):
        selection = sparsemax(behind)
        size = state.sizes.exp()[:, None]
        mixed = selection @ state.shifts
        here = projection.project(origin + size * mixed)
        _, slope = landscape.descend(origin, here, settings)
        slope = projection.inward(here, slope) / len(origin)
        of_mixed = slope * size
        of_shifts = selection.T @ of_mixed
        of_selection = of_mixed @ state.shifts.T
        if weights.rows or weights.columns or weights.diversity:
            s = selection.detach().requires_grad_(True)
            d = state.shifts.detach().requires_grad_(True)
            total = weights.rows * row_entropy(s) + weights.columns * column_entropy(s)
            total = total + weights.diversity * diversity(d)
            more = torch.autograd.grad(total, (s, d), materialize_grads=True)
            of_selection = of_selection + more[0]
            of_shifts = of_shifts + torch.nan_to_num(more[1])
        of_behind = sparsemax_backward(selection, of_selection)
        rate = settings.rate * cosine(step, settings.steps)
        if settings.magnitudes:
            state.sizes = moments[1].step(state.sizes, (of_mixed * mixed).sum(1), rate)
        state.shifts = moments[0].step(state.shifts, of_shifts, landscape.pace * rate)
        behind = moments[2].step(behind, of_behind, rate)
    state.groups = sparsemax(behind).argmax(1)


def _descend_hard(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    settings: Settings,
    state: _State,
    first: int,
    hints: Tensor,
) -> None:
    """Move shifts and magnitudes of rows whose groups are settled from time to time."""
    regroup = {round(share * settings.steps) for share in _REGROUP}
    moments = [Adam(state.shifts), Adam(state.sizes)]
    for step in range(first, settings.steps):
        if step in regroup:
            last = choose(landscape, projection, origin, state.shifts, _grid(settings), soft=True)
            state.groups = last.group
            state.sizes = last.magnitude.log()
            if _refill(state, last.cost, hints):
                moments[0] = Adam(state.shifts)
            moments[1] = Adam(state.sizes)
        size = state.sizes.exp()[:, None]
        mixed = state.shifts[state.groups]
        here = projection.project(origin + size * mixed)
        _, slope = landscape.descend(origin, here, settings)
        of_mixed = projection.inward(here, slope) / len(origin) * size
        of_shifts = state.shifts.new_zeros(state.shifts.shape)
        of_shifts.index_add_(0, state.groups, of_mixed)
        rate = settings.rate * cosine(step, settings.steps)
        if settings.magnitudes:
            state.sizes = moments[1].step(state.sizes, (of_mixed * mixed).sum(1), rate)
        state.shifts = moments[0].step(state.shifts, of_shifts, landscape.pace * rate)


def _refill(state: _State, cost: Tensor, hints: Tensor) -> bool:
    """Give groups without rows to the rows that are served worst."""
    import torch

    sizes = torch.bincount(state.groups, minlength=len(state.shifts))
    empty = (sizes == 0).nonzero()[:, 0].tolist()
    if not empty:
        return False
    worst = cost.min(1).values.argsort(descending=True)
    for place, k in enumerate(empty):
        row = worst[min(place, len(worst) - 1)]
        state.shifts[k] = hints[row]
        state.groups[row] = k
        state.sizes[row] = 0.0
    return True
