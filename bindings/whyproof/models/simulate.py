"""A runtime without the library: sums in the model's own arithmetic and order.

Used where no library can run the model, such as XGBoost's text dumps, and as a second
method in tests.  Leaves are added one after the other in the stated precision, starting
with the base, as XGBoost and LightGBM do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.space import Points

from .rounding import Precision

__all__ = ["SimulatedRuntime"]


@dataclass(frozen=True, eq=False)
class SimulatedRuntime:
    """Adds leaves sequentially in a given precision and applies the decision rule.

    Parameters
    ----------
    structure
        Trees and rule.
    precision
        Type of the accumulator.
    label
        What is simulated, for `name`.
    """

    structure: TreeEnsemble
    precision: Precision = "float32"
    label: str = "tree sums"

    @property
    def name(self) -> str:
        """State what is simulated."""
        return f"own {self.precision} simulation of {self.label}"

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return sums, each addition rounded, shape ``(rows, outputs)``."""
        structure = self.structure
        if self._turns is not None and structure.divisor == 1:
            return self._sums_by_output(structure.terms(points), self._turns)
        terms = structure.terms(points)
        start = structure.base if structure.divisor == 1 else np.zeros_like(structure.base)
        base = np.broadcast_to(start, (len(points), 1, structure.n_outputs))
        # accumulate adds in order, whereas sum would pair terms.
        steps = np.concatenate([base, terms], axis=1).astype(self.precision)
        total = np.add.accumulate(steps, axis=1)[:, -1].astype(np.float64)
        if structure.divisor == 1:
            return total
        return np.asarray(structure.base + total / structure.divisor)

    @cached_property
    def _turns(self) -> npt.NDArray[np.intp] | None:
        """Trees of each output in order, ``(outputs, most trees)``, padded with -1.

        `None` if a tree adds to several outputs.  Trees of other outputs add exact zeros
        and can be left out.
        """
        trees = self.structure.trees
        if self.structure.n_outputs == 1 or not trees:
            return None
        touched = np.array([(tree.values != 0).any(axis=0) for tree in trees])
        if bool((touched.sum(axis=1) > 1).any()):
            return None
        own = [np.flatnonzero(touched[:, k]) for k in range(self.structure.n_outputs)]
        turns = np.full((len(own), max(1, *map(len, own))), -1, dtype=np.intp)
        for k, numbers in enumerate(own):
            turns[k, : len(numbers)] = numbers
        return turns

    def _sums_by_output(
        self, terms: npt.NDArray[np.float64], turns: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        outputs = np.arange(len(turns))[:, None]
        own = np.where(turns < 0, 0.0, terms[:, turns, outputs])
        start = np.broadcast_to(self.structure.base[:, None], (len(terms), len(turns), 1))
        steps = np.concatenate([start, own], axis=2).astype(self.precision)
        return np.asarray(np.add.accumulate(steps, axis=2)[:, :, -1], dtype=np.float64)

    def predict(self, points: Points) -> Predictions:
        """Return outcomes of the rounded sums."""
        sums = self.sums(points)
        match self.structure.rule:
            case DecisionRule.ARGMAX:
                return np.asarray(sums.argmax(axis=1), dtype=np.int64)
            case DecisionRule.POSITIVE:
                return np.asarray(sums[:, 0] > 0, dtype=np.int64)
            case DecisionRule.NONNEGATIVE:
                return np.asarray(sums[:, 0] >= 0, dtype=np.int64)
            case DecisionRule.VALUE:
                return self.structure.linked(sums[:, 0])
