"""LightGBM's own prediction through its C interface, without its Python package.

Importing ``lightgbm`` pulls in scikit-learn and pandas; the shared library loads in
milliseconds.  Predictions run on one thread over a float64 array.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
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

__all__ = ["LightGBMRuntime", "Outcome", "lightgbm_is_installed"]

Outcome = Literal["argmax", "half", "value"]
"""How `predict` reads LightGBM's prediction: first largest column, class 1 where its
probability is larger than one minus it, or a value."""

_FLOAT64, _NORMAL, _RAW = 1, 0, 1

_ignore = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda message: None)


def lightgbm_is_installed() -> bool:
    """Tell whether LightGBM's shared library can be found."""
    return _library_path() is not None


@dataclass(eq=False)
class LightGBMRuntime:
    """A booster that predicts through the C interface.

    Parameters
    ----------
    text
        The model as LightGBM saves it: what is pickled, and loaded on first use.
    outcome
        How predictions become outcomes.
    outputs
        Number of raw scores per row.
    divisor
        Number of rounds in random forest mode, whose raw scores are not averaged yet;
        else 1.
    """

    text: bytes = field(repr=False)
    outcome: Outcome
    outputs: int
    divisor: int = 1
    _handle: _Handle | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """Name the library and its version."""
        try:
            return f"lightgbm {importlib.metadata.version('lightgbm')}"
        except importlib.metadata.PackageNotFoundError:
            return "lightgbm"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_handle": None}

    def predict(self, points: Points) -> Predictions:
        """Return outcomes as LightGBM decides them."""
        found = self._run(points, _NORMAL)
        match self.outcome:
            case "argmax":
                return np.asarray(found.argmax(axis=1), dtype=np.int64)
            case "half":
                return np.asarray(found[:, 0] > 1.0 - found[:, 0], dtype=np.int64)
            case "value":
                return found[:, 0]

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return raw scores, shape ``(rows, outputs)``."""
        return self._run(points, _RAW) / self.divisor

    def _run(self, points: Points, kind: int) -> npt.NDArray[np.float64]:
        if self._handle is None:
            self._handle = _Handle(self.text)
        return self._handle.predict(points, kind, self.outputs)


class _Handle:
    """One loaded booster; freed with the object."""

    def __init__(self, text: bytes) -> None:
        self.library = _library()
        self.pointer = ctypes.c_void_p()
        iterations = ctypes.c_int()
        self._call(
            "LGBM_BoosterLoadModelFromString",
            text,
            ctypes.byref(iterations),
            ctypes.byref(self.pointer),
        )

    def predict(self, points: Points, kind: int, outputs: int) -> npt.NDArray[np.float64]:
        points = np.ascontiguousarray(points, dtype=np.float64)
        rows, columns = points.shape
        result = np.empty((rows, outputs))
        if rows == 0:
            return result
        length = ctypes.c_int64()
        self._call(
            "LGBM_BoosterPredictForMat",
            self.pointer,
            points.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(rows),
            ctypes.c_int32(columns),
            ctypes.c_int(1),
            ctypes.c_int(kind),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            b"num_threads=1 verbosity=-1",
            ctypes.byref(length),
            result.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        return result

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self.library, function)(*arguments) != 0:
            text = self.library.LGBM_GetLastError().decode("utf-8", "replace")
            raise ModelError(f"LightGBM refuses the model or the points: {text.strip()}")

    def __del__(self) -> None:
        pointer = getattr(self, "pointer", None)
        if pointer:
            self.library.LGBM_BoosterFree(pointer)


@cache
def _library_path() -> Path | None:
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or spec.origin is None:
        return None
    name = {"win32": "lib_lightgbm.dll", "darwin": "lib_lightgbm.dylib"}.get(
        sys.platform, "lib_lightgbm.so"
    )
    folder = Path(spec.origin).parent
    for candidate in (
        folder / "lib" / name,
        folder / "bin" / name,
        Path(sys.prefix) / "lib" / name,
    ):
        if candidate.is_file():
            return candidate
    return None


@cache
def _library() -> ctypes.CDLL:
    path = _library_path()
    if path is None:
        raise MissingExtraError("lightgbm", "boosting", "run LightGBM models")
    library = ctypes.CDLL(str(path))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    if "lightgbm" not in sys.modules:
        # By default the library writes warnings to standard output, where results go.
        library.LGBM_RegisterLogCallback(_ignore)
    return library
