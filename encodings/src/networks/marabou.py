"""Marabou as a verifier, where its Python package is installed.

One solver call per case of the question.  The network comes with its fixed inputs
substituted (`restricted_model`): Marabou 2.0 may answer wrongly for inputs whose bounds are
equal.  Its witnesses are replayed like anybody's; its "unsat" is quoted.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from whyproof.engine.errors import MissingExtraError

from .external import ForeignVerdict
from .vnnlib import BoxQuery

__all__ = ["MarabouVerifier"]


@dataclass(frozen=True)
class MarabouVerifier:
    """Ask Marabou through ``maraboupy``.

    Parameters
    ----------
    name
        For messages.

    Raises
    ------
    MissingExtraError
        When it is first asked, without the package.
    """

    name: str = "marabou"

    def ask(self, model: onnx.ModelProto, query: BoxQuery, seconds: float) -> ForeignVerdict:
        """Decide whether some input of the box satisfies one of the cases."""
        library = _library()
        deadline = time.monotonic() + seconds
        open_cases = ""
        with tempfile.TemporaryDirectory(prefix="whyproof-") as folder:
            path = Path(folder) / "network.onnx"
            path.write_bytes(model.SerializeToString())
            for case in query.cases:
                left = int(deadline - time.monotonic())
                if left < 1:
                    return ForeignVerdict("unknown", detail="timeout")
                network = library.read_onnx(str(path))
                inputs = np.asarray(network.inputVars[0]).ravel().tolist()
                outputs = np.asarray(network.outputVars[0]).ravel().tolist()
                for variable, low, high in zip(inputs, query.lower, query.upper, strict=True):
                    network.setLowerBound(variable, float(low))
                    network.setUpperBound(variable, float(high))
                for row, offset in zip(case.rows, case.offset, strict=True):
                    used = np.flatnonzero(row).tolist()
                    network.addInequality(
                        [outputs[i] for i in used], [float(row[i]) for i in used], -float(offset)
                    )
                options = library.createOptions(timeoutInSeconds=left, verbosity=0)
                verdict, values, _ = network.solve(options=options, verbose=False)
                word = str(verdict).lower()
                if word == "sat":
                    return ForeignVerdict("sat", np.array([float(values[v]) for v in inputs]))
                if word != "unsat":
                    open_cases = word
        return (
            ForeignVerdict("unknown", detail=open_cases) if open_cases else ForeignVerdict("unsat")
        )


def _library() -> Any:  # noqa: ANN401
    try:
        return importlib.import_module("maraboupy.Marabou")
    except ImportError as error:
        raise MissingExtraError("maraboupy", "marabou", "ask Marabou") from error
