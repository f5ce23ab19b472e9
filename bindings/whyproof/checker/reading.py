"""A model file by its content, and the model's own library if it is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .lightgbm_text import read_lightgbm_text
from .model import TreeModel
from .onnx_trees import read_onnx
from .refusal import Refused
from .xgboost_json import read_xgboost_json, xgboost_document
from .xgboost_text import read_xgboost_text

__all__ = ["Predict", "library_of", "read_model"]

Predict = Callable[[list[float]], "int | None"]
"""Class index of a point as the model's own library predicts it; `None` if it cannot tell."""

_LOG = logging.getLogger(__name__)


def read_model(
    payload: bytes, names: list[str], n_classes: int, base_score: float | None
) -> TreeModel:
    """Read a model file.

    Parameters
    ----------
    payload
        The file.
    names
        Column names of the certificate.
    n_classes, base_score
        What XGBoost's text dumps leave out.

    Raises
    ------
    Refused
        If it is damaged or of a kind that the checker does not read.
    """
    head = payload[:512].lstrip()
    if head.startswith(b"booster["):
        return read_xgboost_text(payload, names, n_classes, base_score)
    if base_score is not None:
        raise Refused("a base score is stated, but the model file has its own")
    if head.startswith(b"{"):
        return read_xgboost_json(payload)
    if head.startswith(b"tree\n"):
        return read_lightgbm_text(payload)
    if payload[:1] == b"\x08":
        return read_onnx(payload, len(names))
    raise Refused(
        "the checker reads XGBoost .json, .ubj and text dumps, LightGBM .txt and ONNX files"
    )


def library_of(model: TreeModel, payload: bytes) -> tuple[str, Predict | None]:
    """Return the name of the library that runs the file and its prediction, if installed."""
    try:
        if model.kind in ("XGBoost .json", "XGBoost .ubj"):
            return _xgboost(model, payload)
        if model.kind.startswith("LightGBM"):
            return _lightgbm(model, payload)
        if model.kind == "ONNX":
            return _onnxruntime(model, payload)
    except ImportError:
        return "not installed", None
    except Exception as error:  # a library that fails is a library that cannot be asked
        _LOG.info("the model's library was not used: %s", error)
        return f"not usable: {type(error).__name__}", None
    return "none that runs this kind of file", None


def _xgboost(model: TreeModel, payload: bytes) -> tuple[str, Predict | None]:
    import numpy as np
    import xgboost

    booster: Any = xgboost.Booster(model_file=bytearray(payload))
    booster.set_param({"nthread": 1})  # a single point: threads only cost
    document = xgboost_document(payload)["learner"]
    stated = str((document.get("attributes") or {}).get("best_iteration", ""))
    wrapped = "scikit_learn" in (document.get("attributes") or {})
    rounds = int(stated) + 1 if wrapped and stated.isdecimal() else 0
    objective = str(document["objective"]["name"])

    def predict(point: list[float]) -> int | None:
        data = xgboost.DMatrix(
            np.array([point], dtype=np.float32),
            feature_names=booster.feature_names,
            feature_types=booster.feature_types,
            enable_categorical=True,
            nthread=1,
        )
        found = booster.predict(data, iteration_range=(0, rounds))[0]
        if model.rule == "value":
            return None
        if model.rule == "positive":
            return int(found > (0.0 if objective == "binary:logitraw" else 0.5))
        return int(found) if objective == "multi:softmax" else int(np.argmax(found))

    return f"xgboost {xgboost.__version__}", predict


def _lightgbm(model: TreeModel, payload: bytes) -> tuple[str, Predict | None]:
    import lightgbm
    import numpy as np

    booster: Any = lightgbm.Booster(model_str=payload.decode("utf-8", "replace"))

    def predict(point: list[float]) -> int | None:
        found = np.asarray(booster.predict(np.array([point])))[0]
        if model.rule == "value":
            return None
        return int(found > 1 - found) if model.rule == "positive" else int(np.argmax(found))

    return f"lightgbm {lightgbm.__version__}", predict


def _onnxruntime(model: TreeModel, payload: bytes) -> tuple[str, Predict | None]:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session: Any = onnxruntime.InferenceSession(
        payload, options, providers=["CPUExecutionProvider"]
    )
    inputs = [entry.name for entry in session.get_inputs()]
    label = session.get_outputs()[0].name

    def predict(point: list[float]) -> int | None:
        row = np.array([point], dtype=model.precision)
        feed = {inputs[0]: row}
        if len(inputs) > 1:
            feed = {name: row[:, i : i + 1] for i, name in enumerate(inputs)}
        found = str(session.run([label], feed)[0].reshape(-1)[0])
        return model.labels.index(found) if found in model.labels else None

    return f"onnxruntime {onnxruntime.__version__}", predict
