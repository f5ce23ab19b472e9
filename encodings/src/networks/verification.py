"""Verify box queries: a witness, a proof, or an honest unknown.

The same attack, bounds and tree that explain also answer "is there an input in this box
whose outputs satisfy one of these cases".  Networks with a handful of inputs, like the
collision-avoidance ones, are split along their inputs instead of their neurons: halves of
the box, many at once, each with bounds of its own.

A witness lies in the box as a float32 point and satisfies the conditions on onnxruntime;
a proof holds in real arithmetic, up to the stated precision.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .attack import AttackOptions, attack
from .bounds.backward import backward, enclosures
from .bounds.goals import Single
from .bounds.hidden import hidden_ranges
from .bounds.interval import Ranges
from .bounds.local import Localiser
from .bounds.reduction import reduced
from .bounds.sets import Box
from .bounds.slopes import Ascent, optimise_slopes, rigorous
from .bounds.targets import Case, Target
from .bounds.tree import Tree, TreeOptions
from .classifier import NetworkClassifier
from .network import Network
from .operators.base import Enclosure
from .vnnlib import BoxQuery

__all__ = ["Outcome", "Verification", "verify"]

_FEW_INPUTS = 12
_BATCH = 256


class Outcome(StrEnum):
    """Answer to "is there such an input", in the words of the verification contests."""

    SAT = "sat"
    UNSAT = "unsat"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found out.

    Parameters
    ----------
    outcome
        Sat, unsat or unknown.
    witness, outputs
        For sat: float32 input and what onnxruntime computes there.
    margin
        For unsat: smallest lead of the proof over the conditions.
    reason
        For unknown.
    nodes
        Boxes bounded.
    cpu_seconds
        Processor time.
    """

    outcome: Outcome
    witness: npt.NDArray[np.float32] | None = None
    outputs: npt.NDArray[np.float32] | None = None
    margin: float | None = None
    reason: str = ""
    nodes: int = 0
    cpu_seconds: float = 0.0


def verify(
    classifier: NetworkClassifier,
    queries: Sequence[BoxQuery],
    *,
    seconds: float = 60.0,
    options: TreeOptions | None = None,
) -> Verification:
    """Decide whether any of the queries has an answer.

    Parameters
    ----------
    classifier
        The network that runs.
    queries
        Boxes with conditions on the outputs, as `read_vnnlib` returns them.
    seconds
        Processor seconds in all.
    options
        How trees grow.
    """
    started = time.process_time()
    margin, nodes, reason = float("inf"), 0, ""
    for query in queries:
        left = seconds - (time.process_time() - started)
        found = _Query(classifier, query, options or TreeOptions()).run(max(left, 0.1))
        nodes += found.nodes
        if found.outcome is Outcome.SAT:
            return _timed(found, nodes, started)
        if found.outcome is Outcome.UNKNOWN:
            reason = reason or found.reason
        elif found.margin is not None:
            margin = min(margin, found.margin)
    if reason:
        return _timed(Verification(Outcome.UNKNOWN, reason=reason), nodes, started)
    finite = margin if np.isfinite(margin) else None
    return _timed(Verification(Outcome.UNSAT, margin=finite), nodes, started)


def _timed(found: Verification, nodes: int, started: float) -> Verification:
    return Verification(
        found.outcome,
        found.witness,
        found.outputs,
        found.margin,
        found.reason,
        nodes,
        time.process_time() - started,
    )


class _Query:
    def __init__(
        self, classifier: NetworkClassifier, query: BoxQuery, options: TreeOptions
    ) -> None:
        self.classifier = classifier
        self.query = query
        self.options = options
        # Points of the box that are float32 numbers; the proof covers the whole box.
        self.low32, self.high32 = _above(query.lower), -_above(-query.upper)
        lower, upper = query.lower, query.upper
        middle = ((lower + upper) / 2).astype(np.float32).astype(np.float64)
        self.center = torch.tensor(np.clip(middle, lower, upper))
        network = Network.of(classifier.graph)
        columns = torch.tensor(np.flatnonzero(upper > lower))
        self.columns = columns
        self.network = Localiser(network, self.center).restricted(columns)
        self.lower = (torch.tensor(lower) - self.center)[columns][None]
        self.upper = (torch.tensor(upper) - self.center)[columns][None]
        self.any_output = any(len(case.offset) == 0 for case in query.cases)
        cases = [Case(c.rows, c.offset) for c in query.cases if len(c.offset)]
        self.target = Target(cases, torch.float64) if cases else None
        self.found: Verification | None = None

    def run(self, seconds: float) -> Verification:
        if bool((self.low32 > self.high32).any()):
            return Verification(Outcome.UNKNOWN, reason="no float32 point lies in the box")
        if self.any_output or self.target is None:
            self._replay(torch.zeros((1, len(self.columns)), dtype=torch.float64))
            return self.found or Verification(Outcome.UNKNOWN, reason="no point could be replayed")
        deadline = time.process_time() + seconds
        inputs = Box(self.lower, self.upper)
        hard = AttackOptions(steps=40, restarts=6, margin=0.0)
        _, points = attack(self.network, inputs, self.target, hard)
        self._replay(points)
        if self.found is not None:
            return self.found
        if len(self.columns) <= _FEW_INPUTS and self.network.nonlinear:
            return self._by_inputs(self.target, deadline)
        ranges = hidden_ranges(self.network, inputs)
        margin = self._plain(self.target, inputs, ranges)
        if margin > self.options.precision:
            return Verification(Outcome.UNSAT, margin=margin)
        small = reduced(self.network, inputs)
        network, known = (self.network, ranges) if small is None else (small, None)
        tree = Tree(network, Single(inputs), self.target, self._confirm, self.options, known)
        result = tree.run(deadline - time.process_time())
        if self.found is not None:
            return self.found
        if result.proved:
            return Verification(Outcome.UNSAT, margin=result.margin, nodes=result.nodes)
        reason = "the margin lies within rounding error" if result.finished else "time"
        return Verification(Outcome.UNKNOWN, reason=reason, nodes=result.nodes)

    def _confirm(self, points: Tensor, statements: Tensor) -> list[bool]:
        return self._replay(points)

    def _replay(self, deviations: Tensor) -> list[bool]:
        """Run points on onnxruntime; keep the first that satisfies a case."""
        points = np.repeat(self.center.numpy()[None], len(deviations), axis=0)
        points[:, self.columns.numpy()] += deviations.detach().numpy()
        rounded = np.clip(points.astype(np.float32).astype(np.float64), self.low32, self.high32)
        outputs = self.classifier.outputs(rounded)
        good: list[bool] = []
        for point, y in zip(rounded, outputs, strict=True):
            exact = y.astype(np.float64)
            holds = any(bool((c.rows @ exact + c.offset <= 0).all()) for c in self.query.cases)
            good.append(holds)
            if holds and self.found is None:
                self.found = Verification(Outcome.SAT, point.astype(np.float32), y)
        return good

    def _plain(self, target: Target, inputs: Box, ranges: Ranges) -> float:
        """Bound the conditions with default lines: often enough, and cheap."""
        lines = enclosures(self.network, ranges.bounds(self.network))
        return float(self._rows_alone(target, inputs, ranges.weights, lines).min())

    def _by_inputs(self, target: Target, deadline: float) -> Verification:
        """Halve the box along the input that matters most, many boxes at once."""
        lower, upper = self.lower, self.upper
        network, nodes, margin = self.network, 0, float("inf")
        combined = (target.start[..., None] * target.rows).sum(1)
        offset = (target.start * target.offset).sum(1)
        while len(lower):
            if time.process_time() > deadline:
                return Verification(Outcome.UNKNOWN, reason="time", nodes=nodes)
            some, lower_left, upper_left = lower[-_BATCH:], lower[:-_BATCH], upper[:-_BATCH]
            inputs = Box(some, upper[-_BATCH:])
            nodes += len(some)
            ranges = hidden_ranges(network, inputs)
            lines = enclosures(network, ranges.bounds(network))
            start = {len(network.steps) - 1: combined[None].expand(len(some), -1, -1)}
            ascent = Ascent(steps=0)
            best, _, form = optimise_slopes(
                network, start, offset, lines, inputs, ranges.weights, ascent
            )
            if not target.is_simple:
                best = torch.maximum(best, self._rows_alone(target, inputs, ranges.weights, lines))
            worst = best.min(1)
            proved = worst.values > self.options.precision
            if bool(proved.any()):
                margin = min(margin, float(worst.values[proved].min()))
            rest = (~proved).nonzero().ravel()
            low, high = inputs.lower[rest], inputs.upper[rest]
            slopes = form.coefficients[rest, worst.indices[rest]]
            self._replay(torch.cat([(low + high) / 2, torch.where(slopes > 0, low, high)]))
            if self.found is not None:
                return self.found
            gain = (slopes.abs() + 1e-9) * (high - low)
            axis = gain.argmax(1)
            at = torch.arange(len(rest))
            middle = (low[at, axis] + high[at, axis]) / 2
            if bool(((middle <= low[at, axis]) | (middle >= high[at, axis])).any()):
                return Verification(Outcome.UNKNOWN, reason="boxes of rounding size", nodes=nodes)
            left_high, right_low = high.clone(), low.clone()
            left_high[at, axis], right_low[at, axis] = middle, middle
            lower = torch.cat([lower_left, low, right_low])
            upper = torch.cat([upper_left, left_high, high])
        return Verification(Outcome.UNSAT, margin=margin, nodes=nodes)

    def _rows_alone(
        self,
        target: Target,
        inputs: Box,
        weights: Sequence[Tensor],
        lines: Mapping[int, Enclosure],
    ) -> Tensor:
        """Bound every row of a case by itself: one positive row refutes the case."""
        rows = target.rows.flatten(0, 1)
        start = {len(self.network.steps) - 1: rows[None].expand(inputs.batch, -1, -1)}
        with torch.no_grad():
            form = backward(self.network, start, lines, weights=weights)
            bound = rigorous(form, target.offset.flatten(), inputs)
        by_case = bound.reshape(len(bound), *target.offset.shape)
        return torch.amax(by_case.masked_fill(target.valid == 0, -float("inf")), dim=2)


def _above(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the least float32 numbers that are not below the values."""
    near = values.astype(np.float32)
    up = np.nextafter(near, np.float32(np.inf), dtype=np.float32)
    return np.where(near < values, up, near).astype(np.float64)
