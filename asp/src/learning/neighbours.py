"""Made-up rows near the real ones, for models that can be asked about them.

Idea: with few rows, rules that imitate a model overfit its answers.  A model can be asked
more: copies of real rows in which some values are swapped for those of other rows stay
near the data, and the model's answers there show where its decision really turns.  The
idea of asking the model is TREPAN's (Craven and Shavlik, 1996); drawing each swapped
value from the column's own values keeps categories and ranges as they are.  Rules are
measured on real rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.table import Table

__all__ = ["WEIGHT", "Sources", "default_copies", "sources_for", "taken_from"]

Sources = npt.NDArray[np.intp]
"""Row from which each value comes, shape ``(rows, columns)``."""

WEIGHT = 1 / 3
"""Weight of a made-up row while rules are learnt; a real one weighs 1."""

_MOST_ROWS = 30_000
_MOST_COPIES = 9
_SWAPPED = 0.2
"""Share of values that are swapped."""


def default_copies(n_rows: int) -> int:
    """Return how many copies of each row are made unless told otherwise.

    Examples
    --------
    >>> default_copies(800), default_copies(6500), default_copies(26_000)
    (9, 4, 1)
    """
    return min(_MOST_COPIES, _MOST_ROWS // max(1, n_rows))


def sources_for(rows: npt.NDArray[np.intp], n_columns: int, copies: int, seed: int) -> Sources:
    """Draw where the values of made-up rows come from.

    Parameters
    ----------
    rows
        The real rows that values may come from.
    n_columns
        Number of columns.
    copies
        Copies of each row.
    seed
        Decides the draw.
    """
    random = np.random.default_rng(seed)
    own = np.repeat(np.tile(rows, copies)[:, None], n_columns, axis=1)
    other = rows[random.integers(0, len(rows), own.shape)]
    return np.where(random.random(own.shape) < _SWAPPED, other, own)


def taken_from(data: object) -> Callable[[Sources], Any] | None:
    """Return what builds made-up rows in the form of the data; `None` for other forms.

    Parameters
    ----------
    data
        A `Table`, a frame, a two-dimensional array, or a mapping from names to columns.
    """
    frame: Any = data
    if isinstance(data, Table):
        table = data
        return lambda sources: Table(
            {name: table[name].take(sources[:, k]) for k, name in enumerate(table.names)}
        )
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return lambda sources: type(frame)(
            {name: frame.iloc[:, k].take(sources[:, k]).array for k, name in enumerate(frame)}
        )
    if isinstance(data, np.ndarray) and data.ndim == 2:
        columns = np.arange(data.shape[1])
        return lambda sources: frame[sources, columns]
    if isinstance(data, Mapping):
        named = cast("Mapping[object, object]", data)
        return lambda sources: {
            name: _picked(values, sources[:, k]) for k, (name, values) in enumerate(named.items())
        }
    return None


def _picked(values: object, rows: npt.NDArray[np.intp]) -> object:
    if isinstance(values, np.ndarray):
        return values[rows]
    listed = cast("Sequence[object]", values)
    return [listed[row] for row in rows.tolist()]
