"""Feature spaces from tables and models: which values each column may take.

An explanation speaks about a model, so that a numeric column may by default take *any*
number, not only those seen in a table: an abductive explanation then holds wherever the
model can be asked.  `ranges="data"` narrows free columns to what the table shows, which
gives shorter explanations of a weaker statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace

from .tables import Table, TableColumn

__all__ = ["ColumnsOfModel", "Ranges", "infer_space", "match_columns"]

Ranges = Literal["any", "data"]


class ColumnsOfModel(Protocol):
    """What a model knows about its columns (`whyproof.models.Model` does)."""

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, or nothing."""
        ...

    @property
    def domains(self) -> Mapping[int, Domain]:
        """What the model demands of columns, by position."""
        ...

    @property
    def accepts_missing(self) -> bool:
        """Whether rows may have missing values."""
        ...


def infer_space(
    table: Table,
    model: ColumnsOfModel | None = None,
    *,
    ranges: Ranges = "any",
    integers: bool = False,
    groups: Mapping[str, Sequence[str]] | None = None,
    immutable: Iterable[str] = (),
) -> FeatureSpace:
    """Infer a feature space from a table and the model that it is for.

    Columns of numbers become `Real`, columns of words `Categories` in order of first
    appearance, and columns of true and false `Boolean`.  With a model, words are only
    allowed where the model itself is categorical, and then have the model's codes.  A
    column may be missing in the space if some cell of it is missing in the table.

    Parameters
    ----------
    table
        What the columns hold.
    model
        The model to be explained: its columns, in its order, are the space (see
        `match_columns`).
    ranges
        ``"any"``: numbers are unbounded; ``"data"``: between the smallest and the
        largest of the table.
    integers
        Whether columns of whole numbers become `Integers` instead of `Real`.
    groups
        Feature name to the names of columns that move as one.
    immutable
        Features that never change.

    Raises
    ------
    DataError
        For a cell that the model cannot take, with line and column.

    Examples
    --------
    >>> table = Table.of({"age": [30.0, 41.0], "job": ["clerk", "cook"]})
    >>> [column.domain.describe() for column in infer_space(table).columns]
    ['any number', '{clerk, cook}']
    >>> infer_space(table, ranges="data").columns[0].domain.describe()
    '30 .. 41'
    """
    if ranges not in ("any", "data"):
        raise DataError(f"ranges must be 'any' or 'data', found {ranges!r}")
    if model is not None:
        table = match_columns(table, model)
    domains: dict[str, Domain] = {}
    for position, column in enumerate(table.columns):
        demanded = None if model is None else model.domains.get(position)
        if model is not None and not model.accepts_missing and bool(column.is_missing.any()):
            row = int(np.argmax(column.is_missing))
            raise DataError(
                f"{table.where(row, column.name)}: the cell is missing, and the model does "
                "not take missing values"
            )
        if demanded is not None:
            domains[column.name] = _demanded(table, column, demanded)
        elif column.numbers is not None:
            domains[column.name] = _numeric(column, ranges, integers)
        else:
            domains[column.name] = _worded(table, column, has_model=model is not None)
    return FeatureSpace.of(table.names, domains, groups=groups, immutable=immutable)


def match_columns(table: Table, model: ColumnsOfModel) -> Table:
    """Return the table with the model's columns in the model's order.

    Columns are matched by name if the model has names, whatever their order in the
    table; else by position.  A column that the model does not know is an error, never
    dropped in silence.

    Raises
    ------
    DataError
        For a wrong number of columns, or a name that is absent or unknown, with the
        nearest name.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(n_columns=2, names=("a", "b"), domains={}, accepts_missing=True)
    >>> match_columns(Table.of({"b": [1.0], "a": [2.0]}), model).row(0)
    (2, 1)
    """
    hint = "; if one holds labels, name it as label" if table.label is None else ""
    if not model.names or not table.has_names:
        if table.n_columns != model.n_columns:
            more = hint if table.n_columns > model.n_columns else ""
            raise DataError(
                f"{table.source} has {table.n_columns} columns, the model takes "
                f"{model.n_columns}{more}"
            )
        return table.renamed(model.names) if model.names else table
    absent = [name for name in model.names if name not in table.names]
    unknown = [name for name in table.names if name not in model.names]
    if absent:
        raise DataError(
            f"{table.source} has no column {absent[0]!r}, which the model needs"
            f"{did_you_mean(absent[0], unknown or table.names)}"
        )
    if unknown:
        raise DataError(
            f"{table.source} has a column {unknown[0]!r} that the model does not know"
            f"{hint or '; leave it out'}"
        )
    return table if table.names == model.names else table.select(model.names)


def _numeric(column: TableColumn, ranges: Ranges, integers: bool) -> Domain:
    nullable = bool(column.is_missing.any())
    lower, upper = -np.inf, np.inf
    if column.numbers is not None and ranges == "data" and not bool(column.is_missing.all()):
        lower, upper = float(np.nanmin(column.numbers)), float(np.nanmax(column.numbers))
    if integers and column.is_whole:
        return Integers(nullable, lower, upper)
    return Real(nullable, lower, upper)


def _worded(table: Table, column: TableColumn, *, has_model: bool) -> Domain:
    nullable = bool(column.is_missing.any())
    present = [word for word in column.words if word is not None]
    if present and all(_is_truth_value(word) for word in present):
        return Boolean(nullable)
    if has_model:
        row = next(i for i, word in enumerate(column.words) if _is_no_number(word))
        raise DataError(
            f"{table.where(row, column.name)}: {column.words[row]!r} is not a number; encode the "
            "column as for training, or describe its categories in a space file"
        )
    return Categories(nullable, tuple(dict.fromkeys(present)))


def _demanded(table: Table, column: TableColumn, demanded: Domain) -> Domain:
    """Fit the model's own domain to the table: missing cells, and codes up to the largest."""
    nullable = bool(column.is_missing.any())
    match demanded:
        case Categories():
            made: Domain = Categories(nullable, demanded.values)
        case Integers():
            if column.numbers is None:
                row = next(i for i, word in enumerate(column.words) if word is not None)
                raise DataError(
                    f"{table.where(row, column.name)}: {column.words[row]!r} is not a code; the "
                    "model has no labels for this categorical column"
                )
            largest = float(np.nanmax(column.numbers, initial=demanded.lower))
            upper = max(largest, demanded.lower)
            if np.isfinite(demanded.upper):
                upper = max(upper, demanded.upper)
            made = Integers(nullable, demanded.lower, upper)
        case _:
            made = demanded
    for row in range(len(column)):
        try:
            made.encode(column.value(row))
        except DataError as error:
            raise DataError(f"{table.where(row, column.name)}: {error}") from None
    return made


def _is_truth_value(word: Hashable) -> bool:
    return isinstance(word, bool) or str(word).strip().lower() in ("true", "false")


def _is_no_number(word: Hashable) -> bool:
    if word is None or isinstance(word, bool):
        return False
    try:
        return float(str(word)) != float(str(word))
    except ValueError:
        return True
