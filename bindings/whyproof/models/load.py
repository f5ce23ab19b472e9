"""The one door through which models come in: files by content, objects by class.

Nothing is unpickled or evaluated.  A file's size is checked before it is read, and its
content, not its name, decides what it is; a file that is none of ours is named for what
it looks like, with the way to a format that is.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.names import first_duplicate

from .from_sklearn_bayes import BAYES_NAMES
from .from_sklearn_boosting import BOOSTING_NAMES, HISTOGRAM_NAMES
from .from_sklearn_forest import FOREST_NAMES, Vote
from .from_sklearn_linear import LINEAR_CLASSIFIER_NAMES, LINEAR_REGRESSOR_NAMES
from .from_sklearn_neighbours import NEIGHBOUR_NAMES
from .from_sklearn_wrappers import WRAPPER_NAMES
from .model import Model

__all__ = ["DEFAULT_MAX_BYTES", "load_model"]

DEFAULT_MAX_BYTES = 2 * 1024**3
"""Largest model file that is read unless another limit is given."""

_EXPORT = (
    "export scikit-learn models to ONNX (skl2onnx.to_onnx), save XGBoost models as .json or "
    ".ubj and LightGBM models as .txt"
)

_SUPPORTED = (
    "trees, forests and gradient boosting of scikit-learn, XGBoost and LightGBM, linear models "
    "and naive Bayes of scikit-learn, pipelines that end with any of these, rules, "
    "and ONNX (trees and neural networks)"
)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x80", "a pickle"),
    (b"\x78\x01", "a compressed joblib pickle"),
    (b"\x78\x9c", "a compressed joblib pickle"),
    (b"\x78\xda", "a compressed joblib pickle"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"PK", "a zip archive (torch, keras or numpy)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"CBM1", "a CatBoost model"),
    (b"binf", "XGBoost's old binary format"),
    (b"<?xml", "an XML file"),
    (b"PAR1", "a Parquet table"),
)

_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".skops", ".pt", ".pth")


def load_model(
    source: str | os.PathLike[str] | object,
    *,
    vote: Vote | None = None,
    classes: Sequence[Hashable] | None = None,
    names: Sequence[str] | None = None,
    base_score: float | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Model:
    """Import a model from a file or a live object.

    Parameters
    ----------
    source
        A path to an ONNX file, an XGBoost ``.json``, ``.ubj`` or text dump, a LightGBM
        ``.txt``, or a file of rules (see `rules_model`); or a fitted scikit-learn, XGBoost or
        LightGBM model, or a `RuleSet`.
    vote
        For classifying forests of scikit-learn: ``"average"`` (averaged probabilities,
        what `predict` does, the default) or ``"majority"`` (majority of the trees'
        predictions, ties to the lowest class index).
    classes
        Labels by class index, where the file does not know those of the user; required
        for XGBoost's text dumps, empty there for a regressor.
    names
        Column names in the model's order, for a model that has none.
    base_score
        For XGBoost's text dumps: the base score that they leave out, 0.5 by default.
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
        model = source
    elif isinstance(source, str | os.PathLike):
        if vote is not None:
            raise UnsupportedError("vote is for live scikit-learn forests; files fix their rule")
        path = Path(os.fspath(source))
        payload = _read(path, max_bytes)
        model = _load_bytes(payload, path, classes, names, base_score)
    else:
        model = _load_object(source, vote)
    return _with_labels(model, classes, names)


def _load_object(source: object, vote: Vote | None) -> Model:
    library = type(source).__module__.partition(".")[0]
    kind = type(source).__name__
    if library == "whyproof" and kind == "NetworkClassifier":
        return cast("Model", source)
    if library == "whyproof" and kind == "RuleSet":
        from .from_rules import load_rule_set

        return load_rule_set(source)
    if library == "sklearn" and kind in FOREST_NAMES:
        from .from_sklearn_forest import load_sklearn_forest

        return load_sklearn_forest(source, vote)
    if vote is not None:
        raise UnsupportedError(f"vote={vote!r} is for classifying forests, not for a {kind}")
    if library == "sklearn" and kind in BOOSTING_NAMES | HISTOGRAM_NAMES:
        from .from_sklearn_boosting import load_sklearn_boosting, load_sklearn_histogram

        load = load_sklearn_boosting if kind in BOOSTING_NAMES else load_sklearn_histogram
        return load(source)
    if library == "sklearn" and kind in LINEAR_CLASSIFIER_NAMES | LINEAR_REGRESSOR_NAMES:
        from .from_sklearn_linear import load_sklearn_linear

        return load_sklearn_linear(source)
    if library == "sklearn" and kind in BAYES_NAMES:
        from .from_sklearn_bayes import load_sklearn_bayes

        return load_sklearn_bayes(source)
    if library == "sklearn" and kind == "Pipeline":
        from .from_sklearn_pipeline import load_sklearn_pipeline

        return load_sklearn_pipeline(source, load_model)
    if library == "sklearn" and kind in NEIGHBOUR_NAMES:
        from .from_sklearn_neighbours import load_sklearn_neighbours

        return load_sklearn_neighbours(source)
    if library == "sklearn" and kind in WRAPPER_NAMES:
        from .from_sklearn_wrappers import load_sklearn_calibrated, load_sklearn_voting

        wrapper = load_sklearn_voting if kind == "VotingClassifier" else load_sklearn_calibrated
        return wrapper(source, load_model)
    from .from_torch_binarised import is_binarised_module, load_torch_binarised

    if is_binarised_module(source):
        return load_torch_binarised(source)
    if library == "xgboost":
        from .from_xgboost import load_xgboost_object

        return load_xgboost_object(source)
    if library == "lightgbm":
        from .from_lightgbm import load_lightgbm_object

        return load_lightgbm_object(source)
    hint = ""
    if any(base.__module__.startswith("torch.nn") for base in type(source).__mro__):
        hint = "; a torch module is loaded with load_network(module, input_shape=(1, ...))"
    elif hasattr(source, "best_estimator_"):
        hint = "; give its best_estimator_"
    elif kind in ("SVC", "NuSVC", "SVR", "NuSVR"):
        hint = "; kernels make no sum over columns, a LinearSVC or LinearSVR does"
    raise UnsupportedError(
        f"models of class {type(source).__module__}.{kind} are not supported{hint} "
        f"(supported: {_SUPPORTED}; anything else can be approximated by surrogate rules learnt "
        "from its predictions)"
    )


def _load_bytes(
    payload: bytes,
    path: Path,
    classes: Sequence[Hashable] | None,
    names: Sequence[str] | None,
    base_score: float | None,
) -> Model:
    from .from_xgboost_text import load_xgboost_text, looks_like_xgboost_text

    source = path.name
    head = payload[:512]
    if looks_like_xgboost_text(head):
        return load_xgboost_text(
            payload, source, classes=classes, names=names, base_score=base_score
        )
    if base_score is not None:
        raise UnsupportedError("base_score is for XGBoost's text dumps; other files contain it")
    from .from_rules import load_rules, looks_like_rules

    if looks_like_rules(payload, source):
        return load_rules(payload, str(path))
    if path.suffix.lower() == ".npz" or b'"whyproof-binarised-1"' in payload[:4096]:
        from .from_binarised import load_binarised

        return load_binarised(payload, source)
    if b'"whyproof-graph-1"' in payload[:4096]:
        from .from_graph import load_graph

        return load_graph(payload, source)
    if head.lstrip().startswith(b"{"):
        return _load_braces(payload, source)
    from .lightgbm_document import looks_like_lightgbm

    if looks_like_lightgbm(head):
        from .from_lightgbm import load_lightgbm_bytes

        return load_lightgbm_bytes(payload, source)
    _refuse_known(payload, path)
    from .from_onnx import load_onnx_bytes, looks_like_onnx

    if looks_like_onnx(head):
        from .from_network import load_network_bytes, looks_like_network

        if looks_like_network(payload):
            return load_network_bytes(payload, source, classes)
        return load_onnx_bytes(payload, source)
    raise ModelError(f"{path} is no model that can be read; {_EXPORT}")


def _load_braces(payload: bytes, source: str) -> Model:
    if b'"tree_info"' in payload[:4096] and b'"learner"' not in payload:
        raise UnsupportedError(
            f"{source} is LightGBM's JSON dump, which cannot be run; use save_model (.txt)"
        )
    from .from_xgboost import load_xgboost_bytes

    return load_xgboost_bytes(payload, source)


def _refuse_known(payload: bytes, path: Path) -> None:
    found = next((what for mark, what in _SIGNATURES if payload.startswith(mark)), "")
    if path.suffix.lower() in _PICKLE_ENDINGS and not found:
        found = "a pickle"
    if "pickle" in found or "torch" in found:
        raise ModelError(
            f"{path} is {found}; pickles can run code and are never opened: {_EXPORT}, or load "
            "it yourself and hand over the live model"
        )
    if found:
        raise ModelError(f"{path} is {found}, no model that can be read; {_EXPORT}")


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
            payload = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path} cannot be read: {reason}") from None
    if len(payload) > max_bytes:
        raise ModelError(f"{path} grew beyond the limit of {max_bytes} bytes while it was read")
    return payload


def _is_network(model: object) -> bool:
    return not isinstance(model, Model)


def _with_labels(
    model: Model, classes: Sequence[Hashable] | None, names: Sequence[str] | None
) -> Model:
    if _is_network(model):
        # A network: its labels were given to it, its inputs go by position.
        if names is not None:
            raise DataError("the inputs of a network go by position: leave names out")
        return model
    if names is not None and tuple(names) != model.names:
        if model.names:
            raise DataError(
                f"the model names its columns itself ({model.names[0]!r}, ...); leave names out"
            )
        twice = first_duplicate(names)
        if twice is not None:
            raise DataError(f"two columns are named {twice!r}; names must be unique")
        model = replace(model, names=tuple(names))
    if classes is not None and tuple(classes) != model.classes:
        if len(classes) != len(model.classes) or len(set(classes)) != len(classes):
            raise DataError(
                f"the model has {len(model.classes)} classes, {len(set(classes))} labels were given"
            )
        model = replace(model, structure=replace(model.structure, classes=tuple(classes)))
    return model
