"""XGBoost's own prediction through its C interface, without its Python package.

Importing ``xgboost`` pulls in scikit-learn and pandas and takes over a second; the
shared library loads in milliseconds and its calls cost a few microseconds, which is
what a replay needs.  Each call hands over a float64 array in place, one thread, no
DMatrix.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.classifier import Predictions
from whyproof.engine.errors import MissingExtraError, ModelError
from whyproof.engine.space import Points

__all__ = ["Outcome", "XGBoostRuntime", "xgboost_is_installed", "xgboost_version"]

Outcome = Literal["argmax", "half", "positive", "class", "value"]
"""How `predict` reads XGBoost's prediction: first largest column, above one half, above
zero, a class number, or a value."""


def xgboost_is_installed() -> bool:
    """Tell whether XGBoost's shared library can be found."""
    return _library_path() is not None


def xgboost_version() -> str:
    """Return the version of the shared library."""
    major, minor, patch = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    _library().XGBoostVersion(ctypes.byref(major), ctypes.byref(minor), ctypes.byref(patch))
    return f"{major.value}.{minor.value}.{patch.value}"


@dataclass(eq=False)
class XGBoostRuntime:
    """A booster that predicts through the C interface.

    Parameters
    ----------
    payload
        The model as JSON or UBJSON bytes: what is pickled, and loaded on first use.
    outcome
        How predictions become outcomes.
    shift
        Subtracted from margins in `sums`, for objectives whose decision is not at zero.
    iterations
        Boosting rounds used; 0 for all.
    """

    payload: bytes = field(repr=False)
    outcome: Outcome
    shift: float = 0.0
    iterations: int = 0
    _handle: _Handle | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"xgboost {xgboost_version()}"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_handle": None}

    def predict(self, points: Points) -> Predictions:
        """Return outcomes as XGBoost decides them."""
        found = self._run(points, margin=False)
        match self.outcome:
            case "argmax":
                return np.asarray(found.argmax(axis=1), dtype=np.int64)
            case "half":
                return np.asarray(found[:, 0] > 0.5, dtype=np.int64)
            case "positive":
                return np.asarray(found[:, 0] > 0.0, dtype=np.int64)
            case "class":
                return np.asarray(found[:, 0], dtype=np.int64)
            case "value":
                return found[:, 0].astype(np.float64)

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return margins, shape ``(rows, outputs)``."""
        return self._run(points, margin=True).astype(np.float64) - self.shift

    def _run(self, points: Points, *, margin: bool) -> npt.NDArray[np.float32]:
        if self._handle is None:
            self._handle = _Handle(self.payload)
        return self._handle.predict(points, margin=margin, iterations=self.iterations)


class _Handle:
    """One loaded booster; freed with the object."""

    def __init__(self, payload: bytes) -> None:
        self.library = _library()
        self.pointer = ctypes.c_void_p()
        self._call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self.pointer))
        self._call(
            "XGBoosterLoadModelFromBuffer",
            self.pointer,
            payload,
            ctypes.c_uint64(len(payload)),
        )
        self._call("XGBoosterSetParam", self.pointer, b"nthread", b"1")
        self._configs: dict[tuple[bool, int], bytes] = {}

    def predict(self, points: Points, *, margin: bool, iterations: int) -> npt.NDArray[np.float32]:
        points = np.ascontiguousarray(points, dtype=np.float64)
        key = (margin, iterations)
        if key not in self._configs:
            self._configs[key] = json.dumps(
                {
                    "type": 1 if margin else 0,
                    "training": False,
                    "iteration_begin": 0,
                    "iteration_end": iterations,
                    "missing": float("nan"),
                    "strict_shape": True,
                    "cache_id": 0,
                }
            ).encode()
        rows, columns = points.shape
        if rows == 0:
            return np.zeros((0, 1), dtype=np.float32)
        interface = (
            f'{{"data":[{points.ctypes.data},true],"shape":[{rows},{columns}],'
            f'"strides":null,"typestr":"<f8","version":3}}'
        ).encode()
        shape = ctypes.POINTER(ctypes.c_uint64)()
        dimensions = ctypes.c_uint64()
        result = ctypes.POINTER(ctypes.c_float)()
        self._call(
            "XGBoosterPredictFromDense",
            self.pointer,
            interface,
            self._configs[key],
            ctypes.c_void_p(),
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(result),
        )
        size = 1
        for i in range(dimensions.value):
            size *= shape[i]
        # The buffer belongs to XGBoost and is reused by its next call.
        return np.ctypeslib.as_array(result, shape=(size,)).copy().reshape(rows, -1)

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self.library, function)(*arguments) != 0:
            text = self.library.XGBGetLastError().decode("utf-8", "replace")
            message = next((line for line in text.splitlines() if line.strip()), "no reason given")
            raise ModelError(f"XGBoost refuses the model or the points: {message.strip()}")

    def __del__(self) -> None:
        pointer = getattr(self, "pointer", None)
        if pointer:
            self.library.XGBoosterFree(pointer)


@cache
def _library_path() -> Path | None:
    spec = importlib.util.find_spec("xgboost")
    if spec is None or spec.origin is None:
        return None
    name = {"win32": "xgboost.dll", "darwin": "libxgboost.dylib"}.get(sys.platform, "libxgboost.so")
    folder = Path(spec.origin).parent
    for candidate in (folder / "lib" / name, Path(sys.prefix) / "lib" / name):
        if candidate.is_file():
            return candidate
    return None


@cache
def _library() -> ctypes.CDLL:
    path = _library_path()
    if path is None:
        raise MissingExtraError("xgboost", "boosting", "run XGBoost models")
    library = ctypes.CDLL(str(path))
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library
