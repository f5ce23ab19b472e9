"""LightGBM's model text: header and trees read into checked arrays.

Nothing here knows what the fields mean for a prediction.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import ModelError, UnsupportedError

__all__ = ["LightGBMDocument", "LightGBMTree", "looks_like_lightgbm"]


@dataclass(frozen=True)
class LightGBMTree:
    """One tree as stored: arrays over its inner nodes and over its leaves.

    Parameters
    ----------
    column, threshold, decision, left, right
        Shape ``(inner nodes,)`` each; a negative child ``c`` is leaf ``-c - 1``.
    leaves
        Leaf values, shape ``(leaves,)``.
    categories
        Bit sets of categorical splits, in the order in which thresholds number them.
    """

    column: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    decision: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    leaves: npt.NDArray[np.float64]
    categories: tuple[frozenset[int], ...]


def looks_like_lightgbm(head: bytes) -> bool:
    """Tell whether a file begins like LightGBM's model text."""
    lines = head.split(b"\n", 2)
    return lines[0].strip() == b"tree" and len(lines) > 1 and lines[1].startswith(b"version=")


class LightGBMDocument:
    """A parsed model text.

    Parameters
    ----------
    payload
        The file's bytes.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        If the text ends early or lacks a field.
    """

    def __init__(self, payload: bytes, source: str) -> None:
        self.source = source
        text = payload.decode("utf-8", "replace")
        body, ended, tail = text.partition("\nend of trees")
        if not ended:
            raise ModelError(f"{source} is no complete LightGBM model: 'end of trees' is missing")
        head, *blocks = body.split("\nTree=")
        self.header = _fields(head)
        self._tail = tail
        self._blocks = [_fields("Tree=" + block) for block in blocks]
        self._check_sizes(blocks)
        for block in self._blocks:
            if block.get("is_linear", "0") not in ("", "0"):
                raise UnsupportedError(
                    f"{source}: linear trees are not supported; train with linear_tree=false"
                )

    def _check_sizes(self, blocks: list[str]) -> None:
        """Compare the stated sizes of trees with the text: LightGBM trusts them blindly."""
        stated = self.header.get("tree_sizes")
        if stated is None:
            return
        # Splitting took away the word before each tree and the line break behind it.
        found = [len("Tree=") + len(block.encode()) + len("\n") for block in blocks]
        if stated.split() != [str(size) for size in found]:
            raise ModelError(
                f"{self.source} is no complete LightGBM model: 'tree_sizes' does not fit its "
                "trees; save the model again"
            )

    @property
    def version(self) -> str:
        """Version of the file format."""
        return self.header.get("version", "")

    @property
    def objective(self) -> list[str]:
        """Words of the objective: its name, then options such as ``sigmoid:1``."""
        return self.header.get("objective", "").split()

    @property
    def names(self) -> tuple[str, ...]:
        """Column names; those that LightGBM made up itself are left out."""
        names = tuple(self.header.get("feature_names", "").split())
        made_up = all(name == f"Column_{i}" for i, name in enumerate(names))
        return () if made_up else names

    @property
    def averages(self) -> bool:
        """Whether trees are averaged (random forest mode)."""
        return "average_output" in self.header

    @property
    def n_trees(self) -> int:
        """Number of trees in the file."""
        return len(self._blocks)

    @property
    def categorical_columns(self) -> tuple[int, ...]:
        """Positions of columns whose information lists codes instead of a range."""
        infos = self.header.get("feature_infos", "").split()
        return tuple(i for i, info in enumerate(infos) if info[:1] not in ("[", "n", ""))

    @property
    def pandas_categories(self) -> list[tuple[Hashable, ...]]:
        """Labels of the categorical columns of the data frame it was trained on."""
        marker = "pandas_categorical:"
        start = self._tail.rfind(marker)
        if start < 0:
            return []
        try:
            lists = msgspec.json.decode(self._tail[start + len(marker) :].strip() or "null")
        except msgspec.DecodeError:
            return []
        if not isinstance(lists, list):
            return []
        return [tuple(labels) for labels in lists if isinstance(labels, list)]

    def integer(self, name: str) -> int:
        """Return a whole number of the header."""
        try:
            return int(self.header[name])
        except (KeyError, ValueError):
            raise ModelError(
                f"{self.source} is no complete LightGBM model: {name!r} is missing or no number"
            ) from None

    def tree(self, number: int) -> LightGBMTree:
        """Return one tree's arrays."""
        block = self._blocks[number]

        def read(name: str) -> npt.NDArray[np.float64]:
            try:
                return np.array(block.get(name, "").split(), dtype=np.float64)
            except ValueError:
                raise ModelError(
                    f"{self.source}: field {name!r} of tree {number} does not hold numbers"
                ) from None

        def whole(name: str) -> npt.NDArray[np.int64]:
            return read(name).astype(np.int64)

        leaves = read("leaf_value")
        if not len(leaves):
            raise ModelError(f"{self.source}: tree {number} has no leaf values")
        if block.get("num_leaves") != str(len(leaves)):
            raise ModelError(
                f"{self.source}: 'num_leaves' of tree {number} does not fit its leaves"
            )
        if len(leaves) == 1:
            none = np.zeros(0, dtype=np.int64)
            return LightGBMTree(none, np.zeros(0), none, none, none, leaves, ())
        tree = LightGBMTree(
            column=whole("split_feature"),
            threshold=read("threshold"),
            decision=whole("decision_type"),
            left=whole("left_child"),
            right=whole("right_child"),
            leaves=leaves,
            categories=_bit_sets(whole("cat_boundaries"), whole("cat_threshold")),
        )
        if block.get("num_cat", "0") != str(len(tree.categories)):
            raise ModelError(f"{self.source}: 'num_cat' of tree {number} does not fit its sets")
        sizes = {
            len(array)
            for array in (tree.column, tree.threshold, tree.decision, tree.left, tree.right)
        }
        if sizes != {len(leaves) - 1}:
            raise ModelError(f"{self.source}: the arrays of tree {number} differ in length")
        for children in (tree.left, tree.right):
            if bool(((children >= len(leaves) - 1) | (children < -len(leaves))).any()):
                raise ModelError(
                    f"{self.source}: tree {number} refers to a node that does not exist"
                )
        return tree


def _fields(text: str) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip()
    return fields


def _bit_sets(
    boundaries: npt.NDArray[np.int64], words: npt.NDArray[np.int64]
) -> tuple[frozenset[int], ...]:
    if not len(boundaries):
        return ()
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return tuple(
        frozenset(np.flatnonzero(bits[32 * start : 32 * end]).tolist())
        for start, end in zip(boundaries[:-1].tolist(), boundaries[1:].tolist(), strict=True)
    )
