"""Binarised networks from JSON, npz, or torch modules with sign activations.

JSON (``"format": "whyproof-binarised-1"``)::

    {"format": "whyproof-binarised-1", "columns": ["age", "debt"], "classes": ["no", "yes"],
     "inputs": [[0, 40.5], [1, 2.0]],
     "layers": [{"weights": [[1, -1], [1, 0]], "thresholds": [0, 1]}],
     "output": {"weights": [[-1, 0], [1, 1]], "biases": [0, 0]}}

An input is +1 where its column is at least its cut; a neuron is +1 where its weighted sum
is at least its threshold; everything else is -1.  An ``.npz`` file holds the same as arrays:
``names`` (optional), ``classes``, ``columns``, ``cuts``, ``weights_0``, ``thresholds_0``, ...,
``output_weights``, ``output_biases``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.binarised import (
    BinarisedLayer,
    BinarisedNetwork,
    binarised_circuit,
)
from whyproof.engine.domain import Domain
from whyproof.engine.errors import ModelError
from whyproof.engine.space import Points

from .model import Model, Runtime

__all__ = ["BinarisedRuntime", "binarised_model", "load_binarised"]

FORMAT = "whyproof-binarised-1"


@dataclass(frozen=True, eq=False)
class BinarisedRuntime:
    """A binarised network in whole numbers, with which it is computed exactly."""

    network: BinarisedNetwork

    @property
    def name(self) -> str:
        """State what runs."""
        return "own integer arithmetic"

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices."""
        return self.network.predict(points)

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the decision and 0 for other classes."""
        return np.eye(len(self.network.classes))[self.predict(points)]


def binarised_model(
    network: BinarisedNetwork,
    *,
    runtime: Runtime | None = None,
    names: Sequence[str] = (),
    domains: Mapping[int, Domain] | None = None,
    library: str = "whyproof",
    source: str = "a binarised network",
) -> Model:
    """Make a model of a binarised network.

    Parameters
    ----------
    network
        What decides.
    runtime
        What runs; the network itself in whole numbers if not given.
    names, domains, library, source
        As in `Model`.
    """
    model = Model(
        structure=binarised_circuit(network),
        runtime=runtime or BinarisedRuntime(network),
        library=library,
        names=tuple(names),
        domains=dict(domains or {}),
        accepts_missing=False,
        source=source,
    )
    model.verify(64)
    return model


def load_binarised(payload: bytes, source: str) -> Model:
    """Import a JSON document or an npz file; see the module for both.

    Raises
    ------
    ModelError
        Naming the field that is missing or wrong.
    """
    fields = _npz(payload, source) if payload.startswith(b"PK") else _json(payload, source)
    try:
        names = tuple(str(name) for name in fields.get("names", ()))
        columns = [int(c) for c in fields["columns"]]
        layers = tuple(
            BinarisedLayer(_whole(weights), np.asarray(thresholds, dtype=np.float64))
            for weights, thresholds in fields["layers"]
        )
        network = BinarisedNetwork(
            len(names) or max(columns, default=-1) + 1,
            tuple(columns),
            tuple(float(c) for c in fields["cuts"]),
            layers,
            _whole(fields["weights"]),
            np.asarray(fields["biases"], dtype=np.float64),
            tuple(cast("Sequence[Hashable]", fields["classes"])),
        )
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{source} is no binarised network: {error!r}") from None
    return binarised_model(network, names=names, source=source)


def _whole(values: object) -> npt.NDArray[np.int64]:
    numbers = np.asarray(values, dtype=np.float64)
    if not bool((numbers == np.round(numbers)).all()) or bool((np.abs(numbers) > 2**31).any()):
        raise ModelError("weights are whole numbers")
    return numbers.astype(np.int64)


def _json(payload: bytes, source: str) -> dict[str, Any]:
    try:
        document = json.loads(payload)
        output, inputs = document["output"], document["inputs"]
        return {
            "names": document.get("columns", ()),
            "classes": document["classes"],
            "columns": [pair[0] for pair in inputs],
            "cuts": [pair[1] for pair in inputs],
            "layers": [(layer["weights"], layer["thresholds"]) for layer in document["layers"]],
            "weights": output["weights"],
            "biases": output["biases"],
        }
    except KeyError as error:
        raise ModelError(f"{source} has no field {error}; see the format {FORMAT}") from None
    except (TypeError, ValueError, IndexError, RecursionError) as error:
        raise ModelError(f"{source} is no binarised network: {error}") from None


def _npz(payload: bytes, source: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 2 * 1024**3:
            raise ModelError(f"{source} unpacks to {unpacked} bytes, which is too large")
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise ModelError(f"{source} is no npz file of arrays: {error}") from None
    for name in ("classes", "columns", "cuts", "output_weights", "output_biases"):
        if name not in found:
            raise ModelError(f"{source} has no array {name!r}; see the format {FORMAT}")
    layers: list[tuple[Any, Any]] = []
    while f"weights_{len(layers)}" in found:
        k = len(layers)
        if f"thresholds_{k}" not in found:
            raise ModelError(f"{source} has no array 'thresholds_{k}'")
        layers.append((found[f"weights_{k}"], found[f"thresholds_{k}"]))
    return {
        "names": found["names"].tolist() if "names" in found else (),
        "classes": found["classes"].tolist(),
        "columns": found["columns"].tolist(),
        "cuts": found["cuts"].tolist(),
        "layers": layers,
        "weights": found["output_weights"],
        "biases": found["output_biases"],
    }
