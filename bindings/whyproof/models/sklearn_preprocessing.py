"""Scikit-learn's preprocessing as column maps: scalers, encoders, imputers, selections.

What mixes columns (principal components, polynomial features) has no column maps, and is
named in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from whyproof.engine.errors import ModelError, UnsupportedError

from .column_maps import Arithmetic, Chain, Fill, Lookup, Present, Step

__all__ = ["SUPPORTED_STEPS", "chains_through"]

SUPPORTED_STEPS = (
    "StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, Binarizer, OneHotEncoder, "
    "OrdinalEncoder, SimpleImputer, feature selections, ColumnTransformer and passthrough"
)

Chains = Sequence[Chain]


def chains_through(transformer: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    """Return the derived columns that a fitted transformer makes of columns.

    Parameters
    ----------
    transformer
        Of scikit-learn, fitted; or ``"passthrough"``, ``"drop"`` or `None`.
    chains
        What it is given.

    Raises
    ------
    UnsupportedError
        Naming the step or the option.
    ModelError
        If it is not fitted, or was fitted with another number of columns.
    """
    if transformer is None or (isinstance(transformer, str) and transformer == "passthrough"):
        return list(chains)
    if isinstance(transformer, str):
        return []
    kind = type(transformer).__name__
    if kind == "Pipeline":
        current = list(chains)
        for _, step in transformer.steps:
            current = chains_through(step, current)
        return current
    fitted = getattr(transformer, "n_features_in_", len(chains))
    if fitted != len(chains):
        raise ModelError(f"the {kind} was fitted with {fitted} columns and gets {len(chains)}")
    if kind != "ColumnTransformer" and not _allows_missing(transformer):
        chains = [chain.then(Present()) for chain in chains]
    if kind == "FunctionTransformer" and transformer.func is None:
        return list(chains)
    translate = _TRANSLATIONS.get(kind)
    if translate is None and hasattr(transformer, "get_support"):
        return [
            chain for chain, kept in zip(chains, transformer.get_support(), strict=True) if kept
        ]
    if translate is None:
        raise UnsupportedError(
            f"the preprocessing step {kind} is not supported; supported are {SUPPORTED_STEPS}"
        )
    try:
        return translate(transformer, chains)
    except AttributeError as error:
        raise ModelError(f"the {kind} is not fitted ({error}); fit it first") from None


def _allows_missing(transformer: Any) -> bool:  # noqa: ANN401
    if hasattr(transformer, "__sklearn_tags__"):
        return bool(transformer.__sklearn_tags__().input_tags.allow_nan)
    return bool(transformer._get_tags().get("allow_nan", False))


def _each(chains: Chains, steps: Callable[[int], Sequence[Step]]) -> list[Chain]:
    return [chain.then(*steps(i)) for i, chain in enumerate(chains)]


def _standard(scaler: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    def steps(i: int) -> list[Step]:
        found: list[Step] = []
        if scaler.with_mean:
            found.append(Arithmetic("subtract", float(scaler.mean_[i])))
        if scaler.with_std:
            found.append(Arithmetic("divide", float(scaler.scale_[i])))
        return found

    return _each(chains, steps)


def _robust(scaler: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    def steps(i: int) -> list[Step]:
        found: list[Step] = []
        if scaler.with_centering:
            found.append(Arithmetic("subtract", float(scaler.center_[i])))
        if scaler.with_scaling:
            found.append(Arithmetic("divide", float(scaler.scale_[i])))
        return found

    return _each(chains, steps)


def _min_max(scaler: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    def steps(i: int) -> list[Step]:
        found: list[Step] = [
            Arithmetic("multiply", float(scaler.scale_[i])),
            Arithmetic("add", float(scaler.min_[i])),
        ]
        if scaler.clip:
            low, high = scaler.feature_range
            found.append(Arithmetic("clip", float(low), float(high)))
        return found

    return _each(chains, steps)


def _max_abs(scaler: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    if getattr(scaler, "clip", False):
        raise UnsupportedError("a MaxAbsScaler that clips is not supported")
    return _each(chains, lambda i: [Arithmetic("divide", float(scaler.scale_[i]))])


def _binarizer(scaler: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    return _each(chains, lambda i: [Arithmetic("above", float(scaler.threshold))])


def _imputer(imputer: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    if imputer.add_indicator:
        raise UnsupportedError("a SimpleImputer with add_indicator is not supported")
    wanted = imputer.missing_values
    if not (wanted is None or wanted != wanted):
        raise UnsupportedError(
            f"a SimpleImputer for {wanted!r} is not supported; only NaN and None are missing"
        )
    statistics = np.asarray(imputer.statistics_, dtype=object).tolist()
    if any(value is None or value != value for value in statistics):
        raise UnsupportedError("a SimpleImputer drops a column that was empty in training")
    return _each(chains, lambda i: [Fill(statistics[i])])


def _one_hot(encoder: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    _refuse_infrequent(encoder)
    dropped = encoder.drop_idx_
    result: list[Chain] = []
    for i, (chain, known) in enumerate(zip(chains, encoder.categories_, strict=True)):
        values = known.tolist()
        skip = None if dropped is None else dropped[i]
        for k in range(len(values)):
            if k != skip:
                result.append(
                    chain.then(_lookup(values, [float(j == k) for j in range(len(values))]))
                )
    return result


def _ordinal(encoder: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    _refuse_infrequent(encoder)
    result: list[Chain] = []
    for chain, known in zip(chains, encoder.categories_, strict=True):
        values = known.tolist()
        images = [float(k) for k in range(len(values))]
        if values and _is_missing(values[-1]):
            images[-1] = float(encoder.encoded_missing_value)
        result.append(chain.then(_lookup(values, images)))
    return result


def _columns(transformer: Any, chains: Chains) -> list[Chain]:  # noqa: ANN401
    inputs: dict[str, Sequence[int]] = transformer._transformer_to_input_indices
    result: list[Chain] = []
    for name, step, _ in transformer.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        result += chains_through(step, [chains[i] for i in inputs[name]])
    return result


def _refuse_infrequent(encoder: Any) -> None:  # noqa: ANN401
    if getattr(encoder, "min_frequency", None) or getattr(encoder, "max_categories", None):
        raise UnsupportedError(
            f"a {type(encoder).__name__} that groups infrequent categories is not supported"
        )


def _lookup(values: Sequence[Any], images: Sequence[float]) -> Lookup:
    known = [(v, image) for v, image in zip(values, images, strict=True) if not _is_missing(v)]
    absent = [image for v, image in zip(values, images, strict=True) if _is_missing(v)]
    return Lookup(
        tuple(v for v, _ in known),
        tuple(image for _, image in known),
        absent[0] if absent else None,
    )


def _is_missing(value: Any) -> bool:  # noqa: ANN401
    return value is None or bool(value != value)


_TRANSLATIONS: dict[str, Callable[[Any, Chains], list[Chain]]] = {
    "Binarizer": _binarizer,
    "ColumnTransformer": _columns,
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "StandardScaler": _standard,
}
