"""Cells of a region, and the model over them, made once for all decisions that share them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .cells import column_cells
from .document import Document
from .landscape import Landscape
from .model import Branch, Test, TreeModel
from .region import Region
from .span import Span, spans_of
from .statement import Statement, read_statements

__all__ = ["Terrain"]


class Terrain:
    """Landscapes of one model, by what a region leaves to free columns.

    Parameters
    ----------
    document
        Columns, features and constraints.
    model
        The model.

    Attributes
    ----------
    statements
        Name and meaning of each constraint.
    """

    def __init__(self, document: Document, model: TreeModel) -> None:
        self._document, self._model = document, model
        self.statements: tuple[tuple[str, Statement], ...] = read_statements(
            document.constraints, len(document.columns)
        )
        tests: list[dict[Test, None]] = [{} for _ in document.columns]
        for tree in model.trees:
            for node in tree:
                if isinstance(node, Branch):
                    tests[node.test.column][node.test] = None
        self._tests = [list(found) for found in tests]
        self._immutable = {c for f in document.features if f.immutable for c in f.columns}
        self._made: dict[object, Landscape] = {}

    def within(self, region: Region, instance: Sequence[float]) -> Landscape:
        """Return the landscape of a region around an instance."""
        pinned = {
            column: [value]
            for column, value in enumerate(instance)
            if column in self._immutable or (region.restricted[column] and math.isnan(value))
        }
        key = (repr(pinned), tuple(region.limits), tuple(region.restricted))
        if key not in self._made:
            cells = [
                pinned[i]
                if i in pinned
                else column_cells(
                    column,
                    self._tests[i],
                    region.limits[i],
                    self._model.precision,
                    missing=not region.restricted[i],
                )
                for i, column in enumerate(self._document.columns)
            ]
            self._made[key] = Landscape(self._model, cells)
        return self._made[key]

    def spans(self, region: Region, column: int, cells: Sequence[float]) -> list[Span]:
        """Return the values of each cell of a column."""
        if column in self._immutable or (region.restricted[column] and math.isnan(cells[0])):
            return [Span.of(value) for value in cells]
        coded = any(test.codes is not None for test in self._tests[column])
        return spans_of(self._document.columns[column], cells, region.limits[column], coded=coded)
