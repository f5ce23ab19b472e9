"""The network that runs: onnxruntime on the user's own file.

Points are rounded to float32 and run one by one where the file fixes its batch axis, so
that every prediction is the one that the user's own program would see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from whyproof.engine.domain import Domain
from whyproof.engine.errors import DataError, ModelError
from whyproof.engine.space import Points

from .graph import NetworkGraph, size_of
from .importing.onnx_file import graph_of_onnx, read_onnx

__all__ = ["NetworkClassifier", "Runtime"]

Decision = Literal["largest", "smallest", "value"]
"""How scores decide: the largest or smallest wins (ties to the lowest index), or the single
score is the outcome of a regressor."""


@dataclass(frozen=True)
class Runtime:
    """What runs a network."""

    @property
    def name(self) -> str:
        """Name and version."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"


class NetworkClassifier:
    """A network as a classifier; `structure` is its graph.

    Parameters
    ----------
    model
        ONNX model.
    classes
        Labels by index; the indices themselves by default.
    decision
        How scores decide; by default ``"value"`` for a single score, else ``"largest"``.
    output
        Name of the output; the first one by default.
    dimensions
        Sizes of named dimensions other than the batch axis.

    Raises
    ------
    UnsupportedError
        Naming the node and operator that cannot be reasoned about.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        classes: Sequence[Hashable] | None = None,
        decision: Decision | None = None,
        output: str | None = None,
        dimensions: Mapping[str, int] | None = None,
    ) -> None:
        import onnxruntime

        self._options = (classes, decision, output, dimensions)
        #: Where it came from, for people.
        self.source = ""
        self.graph = graph_of_onnx(model, output=output, dimensions=dimensions)
        data = model.SerializeToString()
        self._data = data
        self._fingerprint = "sha256:" + hashlib.sha256(data).hexdigest()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(f"onnxruntime cannot run the model: {error}") from error
        outputs = [value.name for value in model.graph.output]
        self._output = output if output is not None else outputs[0]
        self._input: str = self._session.get_inputs()[0].name
        axis = self._session.get_inputs()[0].shape[:1]
        self._batches = bool(axis) and not isinstance(axis[0], int)
        n = self.graph.n_outputs
        self.decision: Decision = decision or ("value" if n == 1 else "largest")
        if self.decision == "value":
            if n != 1:
                raise DataError(f"a regressor needs one score, the network has {n}")
            self._classes: tuple[Hashable, ...] = ()
        else:
            self._classes = tuple(range(n)) if classes is None else tuple(classes)
            if len(self._classes) != n:
                raise DataError(f"{len(self._classes)} classes for a network with {n} scores")

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to workers as the model file; sessions are started anew."""
        return _rebuild, (self._data, *self._options)

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> NetworkClassifier:  # noqa: ANN401
        """Read an ONNX file; options as for the class."""
        network = cls(read_onnx(path), **options)
        network.source = Path(path).name
        return network

    @property
    def model(self) -> onnx.ModelProto:
        """The ONNX model as it was given."""
        return onnx.load_model_from_string(self._data)

    @property
    def output(self) -> str:
        """Name of the output that is read."""
        return self._output

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        return self.graph.n_inputs

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Labels by index."""
        return self._classes

    @property
    def names(self) -> tuple[str, ...]:
        """Column names: a network has none, its inputs go by position."""
        return ()

    @property
    def domains(self) -> dict[int, Domain]:
        """What the model demands of columns: nothing."""
        return {}

    @property
    def accepts_missing(self) -> bool:
        """Whether it predicts for rows with missing values: never."""
        return False

    @property
    def runtime(self) -> Runtime:
        """What runs it."""
        return Runtime()

    @property
    def fingerprint(self) -> str:
        """Hash of the model file's content."""
        return self._fingerprint

    @property
    def structure(self) -> NetworkGraph:
        """The graph that bounds are computed on."""
        return self.graph

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input in the file."""
        return self.graph.input_shape

    def outputs(self, points: Points) -> npt.NDArray[np.float32]:
        """Return what the network computes, shape ``(rows, outputs)``."""
        rows = np.asarray(points, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_columns:
            raise DataError(
                f"points of shape {rows.shape} do not fit a network with {self.n_columns} inputs "
                f"(one input has shape {self.input_shape})"
            )
        if not len(rows):
            return np.zeros((0, size_of(self.graph.output_shape)), dtype=np.float32)
        shape = self.input_shape
        if self._batches:
            (found,) = self._session.run(
                [self._output], {self._input: rows.reshape(-1, *shape[1:])}
            )
            return np.asarray(found, dtype=np.float32).reshape(len(rows), -1)
        results = [
            self._session.run([self._output], {self._input: row.reshape(shape)})[0] for row in rows
        ]
        return np.stack([np.asarray(r, dtype=np.float32).ravel() for r in results])

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return one score per class; negated where the smallest one wins."""
        found = self.outputs(points).astype(np.float64)
        return -found if self.decision == "smallest" else found

    def predict(self, points: Points) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
        """Return class indices, or values of a regressor."""
        scores = self.scores(points)
        if self.decision == "value":
            return scores[:, 0]
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def _rebuild(
    data: bytes,
    classes: Sequence[Hashable] | None,
    decision: Decision | None,
    output: str | None,
    dimensions: Mapping[str, int] | None,
) -> NetworkClassifier:
    model = onnx.load_model_from_string(data)
    return NetworkClassifier(
        model, classes=classes, decision=decision, output=output, dimensions=dimensions
    )
