"""The one door through which models come in: files by content, objects by class.

Nothing is unpickled or evaluated.  A file's size is checked before it is read, and its
content, not its name, decides what it is; a file that is none of ours is named for what
it looks like, with the way to a format that is.
"""

from __future__ import annotations

import os
from pathlib import Path

from whyproof.engine.errors import ModelError, UnsupportedError

from .from_sklearn_boosting import BOOSTING_NAMES, HISTOGRAM_NAMES
from .from_sklearn_forest import FOREST_NAMES, Vote
from .model import Model

__all__ = ["DEFAULT_MAX_BYTES", "load_model"]

DEFAULT_MAX_BYTES = 2 * 1024**3
"""Largest model file that is read unless another limit is given."""

_EXPORT = (
    "export it to ONNX (skl2onnx.to_onnx), or save XGBoost models as .json or .ubj and "
    "LightGBM models as .txt"
)


def load_model(
    source: str | os.PathLike[str] | object,
    *,
    vote: Vote | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Model:
    """Import a model from a file or a live object.

    Parameters
    ----------
    source
        A path to an ONNX file, an XGBoost ``.json``, ``.ubj`` or text dump, or a LightGBM
        ``.txt``; or a fitted scikit-learn, XGBoost or LightGBM model.
    vote
        For classifying forests of scikit-learn: ``"average"`` (averaged probabilities,
        what `predict` does, the default) or ``"majority"`` (majority of the trees'
        predictions, ties to the lowest class index).
    max_bytes
        Largest file that is read.

    Raises
    ------
    ModelError
        If the file is missing, too large, incomplete or no model.
    UnsupportedError
        If the model uses something that cannot be reasoned about; it is named.
    MissingExtraError
        If the library that has to run the model is not installed.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> model = load_model(RandomForestClassifier(5, random_state=0).fit(X, y))
    >>> model.classes, model.n_columns, bool((model.predict(X[:3]) == y[:3]).all())
    ((0, 1, 2), 13, True)
    """
    if vote not in (None, "average", "majority"):
        raise UnsupportedError(f"vote must be 'average' or 'majority', found {vote!r}")
    if isinstance(source, Model):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source))
        if vote is not None:
            raise UnsupportedError("vote is for live scikit-learn forests; files fix their rule")
        return _load_file(path, max_bytes)
    return _load_object(source, vote)


def _load_object(source: object, vote: Vote | None) -> Model:
    library = type(source).__module__.partition(".")[0]
    kind = type(source).__name__
    if library == "sklearn" and kind in FOREST_NAMES:
        from .from_sklearn_forest import load_sklearn_forest

        return load_sklearn_forest(source, vote)
    if vote is not None:
        raise UnsupportedError(f"vote={vote!r} is for classifying forests, not for a {kind}")
    if library == "sklearn" and kind in BOOSTING_NAMES | HISTOGRAM_NAMES:
        from .from_sklearn_boosting import load_sklearn_boosting, load_sklearn_histogram

        load = load_sklearn_boosting if kind in BOOSTING_NAMES else load_sklearn_histogram
        return load(source)
    if library == "xgboost":
        from .from_xgboost import load_xgboost_object

        return load_xgboost_object(source)
    if library == "lightgbm":
        from .from_lightgbm import load_lightgbm_object

        return load_lightgbm_object(source)
    raise UnsupportedError(f"models of class {type(source).__module__}.{kind} are not supported")


def _load_file(path: Path, max_bytes: int) -> Model:
    payload = _read(path, max_bytes)
    head = payload[:512].lstrip()
    if head.startswith(b"{"):
        from .from_xgboost import load_xgboost_bytes

        return load_xgboost_bytes(payload, str(path))
    raise ModelError(f"{path} is no model that can be read; {_EXPORT}")


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise ModelError(f"{path} is a folder; give a model file")
        if size > max_bytes:
            raise ModelError(
                f"{path} has {size} bytes, more than the limit of {max_bytes}; "
                "raise max_bytes if that is meant"
            )
        if size == 0:
            raise ModelError(f"{path} is empty; save the model again")
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
