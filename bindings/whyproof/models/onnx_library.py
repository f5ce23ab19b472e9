"""Onnxruntime as the model that runs: one thread, sessions rebuilt from bytes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import InputType
from whyproof.engine.classifier import Predictions
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import Points

__all__ = ["OnnxRuntime"]


@dataclass(eq=False)
class OnnxRuntime:
    """A file's own graph for outcomes, and the same trees for their sums.

    Parameters
    ----------
    payload
        The ONNX file: what `predict` runs.
    sums_payload
        A graph with the file's trees and inputs whose output are their sums.
    inputs
        Names of the graph's inputs; several inputs hold one column each.
    output
        Name of the output that `predict` reads.
    classes
        Labels by class index; empty for a regressor.
    input_type
        Element type of the inputs.
    one_row
        Whether the graph takes a single row at a time.
    shift
        Subtracted from the sums.
    """

    payload: bytes = field(repr=False)
    sums_payload: bytes = field(repr=False)
    inputs: tuple[str, ...]
    output: str
    classes: tuple[Hashable, ...]
    input_type: InputType
    one_row: bool = False
    shift: float = 0.0
    _sessions: dict[bool, Any] = field(default_factory=dict[bool, Any], init=False, repr=False)

    @property
    def name(self) -> str:
        """Name the library and its version."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_sessions": {}}

    def predict(self, points: Points) -> Predictions:
        """Return class indices of the labels, or values."""
        found = self._run(points, sums=False).reshape(len(points))
        if not self.classes:
            return found.astype(np.float64)
        indices = np.full(len(points), -1, dtype=np.int64)
        for index, label in enumerate(self.classes):
            indices[found == label] = index
        if bool((indices < 0).any()):
            stray = found[int(np.argmin(indices))]
            raise UnsupportedError(f"the ONNX file predicts {stray!r}, which is not in its labels")
        return indices

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the trees' sums, shape ``(rows, outputs)``."""
        found = self._run(points, sums=True).reshape(len(points), -1)
        return found.astype(np.float64) - self.shift

    def _run(self, points: Points, *, sums: bool) -> npt.NDArray[Any]:
        session = self._sessions.get(sums)
        if session is None:
            session = self._sessions[sums] = _session(self.sums_payload if sums else self.payload)
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(points, dtype=self.input_type)
        output = ["sums"] if sums else [self.output]
        batches = [cast[i : i + 1] for i in range(len(cast))] if self.one_row else [cast]
        found = [session.run(output, self._feed(batch))[0] for batch in batches]
        return np.concatenate(found) if found else np.zeros((0, 1))

    def _feed(self, rows: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        if len(self.inputs) == 1:
            return {self.inputs[0]: rows}
        return {
            name: np.ascontiguousarray(rows[:, i : i + 1]) for i, name in enumerate(self.inputs)
        }


def _session(payload: bytes) -> Any:  # noqa: ANN401
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            payload, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's errors have no public base but Exception
        text = " ".join(str(error).split())
        raise ModelError(f"onnxruntime cannot run the ONNX file: {text[:200]}") from None
