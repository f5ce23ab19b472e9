"""Checks of what is handed to an estimator: features, labels, weights.

Messages follow scikit-learn's wording where its conformance suite asks for it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.table import Table
from whyproof.asp.rules.values import Value, is_missing, text_of
from whyproof.engine.errors import DataError, InputError

__all__ = ["column_names", "read_classes", "read_features", "read_weights"]

_NO_FEATURES = "0 feature(s) (shape=({}, 0)) while a minimum of 1 is required."


def read_features(data: object, names: Sequence[str] | None = None) -> Table:
    """Return the table of features, refusing what rules cannot read.

    Parameters
    ----------
    data
        Anything that `Table.of` reads.
    names
        Names for data without them.

    Raises
    ------
    DataError
        If there are no rows or columns, for sparse, complex or infinite data.
    """
    if hasattr(data, "tocsr") or hasattr(data, "todense"):
        raise DataError("sparse data is not supported; pass a dense array or a frame")
    if isinstance(data, Table):
        table = data
    else:
        if not hasattr(data, "columns") and hasattr(data, "__array__"):
            data = np.asarray(data)
        if isinstance(data, np.ndarray):
            _refuse_shapes(data)
        table = Table.of(data, names)
    if table.n_rows == 0 and len(table):
        raise DataError(
            f"Found array with 0 sample(s) (shape=(0, {len(table)})) while a minimum of 1 is "
            "required."
        )
    if not len(table):
        raise DataError(_NO_FEATURES.format(table.n_rows))
    for name, column in table.items():
        if np.isinf(column.numbers).any():
            raise DataError(f"feature {name!r} holds an infinite number; replace it")
    return table


def column_names(data: object) -> tuple[str, ...] | None:
    """Return the column names of a frame, mapping or table; `None` if it has none."""
    if isinstance(data, Table):
        return data.names
    columns: Any = getattr(data, "columns", None)
    if columns is None or not hasattr(data, "dtypes"):
        return None
    labels = list(columns)
    return tuple(labels) if labels and all(isinstance(label, str) for label in labels) else None


def read_classes(
    labels: object, n_rows: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], list[Value]]:
    """Return the distinct labels in order, the class index of each row, and plain values.

    Raises
    ------
    InputError
        If labels are absent, missing, continuous, or of one class only.
    """
    if labels is None:
        raise InputError(
            "This estimator requires y to be passed, but the target y is None; give the labels"
        )
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        _warn_of_column()
        array = array.ravel()
    if array.ndim != 1:
        raise InputError(f"labels have one value per row; found an array of shape {array.shape}")
    if len(array) != n_rows:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(array)}]"
        )
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported\nlabels are classes")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError("Input y contains NaN or infinity; drop rows without a label")
        if (array != np.floor(array)).any():
            raise InputError(
                "Unknown label type: continuous. Rules decide between classes; cut the values "
                "into ranges first"
            )
    elif array.dtype.kind == "O":
        absent = [k for k, value in enumerate(array.tolist()) if is_missing(value)]
        if absent:
            raise InputError(f"row {absent[0]} has no label (y contains NaN); drop such rows")
        if len({type(v) for v in array.tolist()}) > 1:
            array = np.array([text_of(value) for value in array.tolist()], dtype=object)
    classes, codes = np.unique(array, return_inverse=True)
    plain: list[Value] = list(classes.tolist())
    return classes, codes.astype(np.int64), plain


def read_weights(weights: object, n_rows: int) -> npt.NDArray[np.float64] | None:
    """Return one weight per row; `None` when all rows count alike.

    Raises
    ------
    InputError
        If there is not one finite, non-negative weight per row, or all are zero.
    """
    if weights is None:
        return None
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(n_rows, float(array))
    if array.ndim != 1:
        raise InputError(f"Sample weights must be 1D array or scalar; found shape {array.shape}")
    if len(array) != n_rows:
        raise InputError(
            f"sample_weight.shape == {array.shape}, expected {(n_rows,)}: one weight per row"
        )
    if not np.isfinite(array).all() or (array < 0).any():
        raise InputError("sample weights must be finite and not negative")
    if not array.any():
        raise InputError("all sample weights are zero: no class is left to learn")
    return array


def _warn_of_column() -> None:
    category: type[Warning] = UserWarning
    if "sklearn" in sys.modules:
        from sklearn.exceptions import DataConversionWarning

        category = DataConversionWarning
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected; it is flattened",
        category,
        stacklevel=4,
    )


def _refuse_shapes(array: npt.NDArray[Any]) -> None:
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported\n{array.dtype} found; rules compare numbers")
    if array.ndim < 2:
        raise DataError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data: one row "
            "per example, one column per feature"
        )
    if not array.shape[1]:
        raise DataError(_NO_FEATURES.format(array.shape[0]))
    if array.ndim > 2:
        raise DataError(f"Found array with dim {array.ndim}; a table has rows and columns")
