"""XGBoost's model document: fields read, checked and named when absent.

The same nested document comes as JSON or UBJSON; numbers that JSON writes as text are
text in both.  Nothing here knows what the fields mean for a prediction.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec
import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Categories, Domain, Integers
from whyproof.engine.errors import ModelError, UnsupportedError

from .ubjson import read_ubjson

__all__ = ["TreeArrays", "XGBoostDocument", "best_iteration"]


@dataclass(frozen=True)
class TreeArrays:
    """One tree as stored: arrays over its nodes, shape ``(nodes,)`` each.

    Parameters
    ----------
    left, right
        Children; left is -1 at leaves.
    column
        Tested column, meaningless at leaves.
    condition
        Threshold, or leaf value.
    default_left
        Where the missing value goes.
    categories
        Codes listed at categorical splits; they go right.
    vectors
        Leaf vectors, by number, of trees with several outputs; else `None`.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    condition: npt.NDArray[np.float64]
    default_left: npt.NDArray[np.bool_]
    categories: dict[int, frozenset[int]]
    vectors: npt.NDArray[np.float64] | None


class XGBoostDocument:
    """A decoded model file.

    Parameters
    ----------
    payload
        JSON or UBJSON bytes.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        If the file is damaged or lacks a field.
    UnsupportedError
        If its booster has no trees.
    """

    def __init__(self, payload: bytes, source: str) -> None:
        self.source = source
        content = _decode(payload, source)
        if not isinstance(content, dict) or "learner" not in content:
            raise ModelError(f"{source} is no XGBoost model: it has no 'learner'")
        learner = self._mapping(content, "learner")
        self._parameters = self._mapping(learner, "learner_model_param")
        self._learner = learner
        self.objective = str(self._mapping(learner, "objective").get("name"))
        booster = self._mapping(learner, "gradient_booster")
        self.booster = str(booster.get("name"))
        if self.booster not in ("gbtree", "dart"):
            raise UnsupportedError(
                f"{source}: XGBoost's booster {self.booster!r} has no trees; use gbtree or dart"
            )
        inner = self._mapping(booster, "gbtree") if "gbtree" in booster else booster
        self._model = self._mapping(inner, "model")
        self._version = content.get("version")
        self.weights = self._numbers(booster, "weight_drop", np.float32)
        trees = self._model.get("trees")
        if not _listed(trees):
            raise ModelError(f"{source} is no XGBoost model: it has no 'trees'")
        self._trees = trees
        rounds = self.numbers("iteration_indptr")
        whole = len(rounds) > 0 and int(rounds[0]) == 0 and int(rounds[-1]) == len(trees)
        if len(rounds) and not (whole and bool((np.diff(rounds) >= 0).all())):
            raise ModelError(f"{source}: iteration_indptr does not fit the {len(trees)} trees")

    @property
    def version(self) -> str:
        """Version of XGBoost that wrote the model."""
        return ".".join(str(part) for part in self._version) if _listed(self._version) else ""

    @property
    def attributes(self) -> Mapping[str, object]:
        """What users and the scikit-learn wrapper noted."""
        attributes = self._learner.get("attributes")
        return attributes if isinstance(attributes, dict) else {}

    @property
    def names(self) -> tuple[str, ...]:
        """Column names; empty if the model has none."""
        names = self._learner.get("feature_names")
        return tuple(str(name) for name in names) if _listed(names) else ()

    @property
    def base_score(self) -> npt.NDArray[np.float64]:
        """Base score per output, or one for all, as float32 numbers."""
        text = str(self._parameters.get("base_score", "0.5")).strip("[] ")
        try:
            return np.array([np.float32(part) for part in text.split(",")], dtype=np.float64)
        except ValueError:
            raise ModelError(f"{self.source}: base_score {text!r} is not a number") from None

    @property
    def domains(self) -> dict[int, Domain]:
        """Categorical columns: stored labels if there are some, else any code."""
        kinds = self._learner.get("feature_types")
        stored = self._model.get("cats")
        encoders = stored.get("enc") if isinstance(stored, dict) else None
        found: dict[int, Domain] = {}
        for column, kind in enumerate(kinds if _listed(kinds) else ()):
            if kind != "c":
                continue
            known = _listed(encoders) and column < len(encoders)
            labels = _labels(encoders[column]) if known and encoders else ()
            found[column] = Categories(values=labels) if labels else Integers(lower=0.0)
        return found

    @property
    def parallel_trees(self) -> int:
        """Number of trees per round and output."""
        stated = str(self._mapping(self._model, "gbtree_model_param").get("num_parallel_tree"))
        return max(1, int(stated)) if stated.isdecimal() else 1

    @property
    def n_trees(self) -> int:
        """Number of trees in the file."""
        return len(self._trees)

    def integer(self, name: str, default: int = 0) -> int:
        """Return a whole number among the learner's parameters."""
        try:
            return int(str(self._parameters.get(name, default)))
        except ValueError:
            raise ModelError(f"{self.source}: field {name!r} is not a whole number") from None

    def numbers(self, name: str) -> npt.NDArray[np.int64]:
        """Return whole numbers of the tree model, such as ``tree_info``; empty if absent."""
        return self._numbers(self._model, name, np.int64).astype(np.int64)

    def tree(self, number: int) -> TreeArrays:
        """Return one tree's arrays."""
        entry = self._trees[number]
        if not isinstance(entry, dict):
            raise ModelError(f"{self.source}: tree {number} is not a tree")
        # XGBoost puts each tree where its id says.
        if entry.get("id", number) != number:
            raise ModelError(f"{self.source}: tree {number} says that it is {entry.get('id')!r}")

        def integers(name: str) -> npt.NDArray[np.int64]:
            return self._numbers(entry, name, np.int64).astype(np.int64)

        left = integers("left_children")
        arrays = TreeArrays(
            left=left,
            right=integers("right_children"),
            column=integers("split_indices"),
            condition=self._numbers(entry, "split_conditions", np.float32),
            default_left=integers("default_left") != 0,
            categories=self._categories(integers, number)
            if entry.get("categories_nodes") is not None
            else {},
            vectors=self._vectors(entry, number),
        )
        sizes = {
            len(a) for a in (arrays.right, arrays.column, arrays.condition, arrays.default_left)
        }
        stated = str(self._mapping(entry, "tree_param").get("num_nodes", len(left)))
        if sizes != {len(left)} or stated != str(len(left)):
            raise ModelError(f"{self.source}: the arrays of tree {number} differ in length")
        self._check_parents(integers("parents"), arrays, number)
        self._check_splits(integers("split_type"), arrays, number)
        return arrays

    def _check_parents(self, parents: npt.NDArray[np.int64], tree: TreeArrays, number: int) -> None:
        """Compare parents with children: XGBoost trusts them blindly, and crashes."""
        inner = np.flatnonzero(tree.left >= 0)
        nodes = len(tree.left)
        fits = len(parents) == nodes and bool(((parents[1:] >= 0) & (parents[1:] < nodes)).all())
        for children in (tree.left[inner], tree.right[inner]):
            inside = bool(((children > 0) & (children < nodes)).all())
            fits = fits and inside and np.array_equal(parents[children], inner)
        if not fits:
            raise ModelError(f"{self.source}: parents and children of tree {number} do not fit")

    def _check_splits(self, kinds: npt.NDArray[np.int64], tree: TreeArrays, number: int) -> None:
        """Refuse splits on columns or of kinds that do not exist: XGBoost would crash."""
        n_columns = self.integer("num_feature")
        inner = tree.left >= 0
        tested = tree.column[inner]
        if bool(((tested < 0) | (tested >= n_columns)).any()):
            raise ModelError(
                f"{self.source}: tree {number} tests column {int(tested.max())}, "
                f"the model has {n_columns}"
            )
        categorical = np.zeros(len(inner), dtype=np.bool_)
        known = [node for node in tree.categories if node < len(inner)]
        categorical[known] = True
        stated = (kinds != 0) if len(kinds) else np.zeros(len(inner), dtype=np.bool_)
        fits = len(stated) == len(inner) and set(kinds.tolist()) <= {0, 1}
        fits = fits and len(known) == len(tree.categories)
        if not fits or bool((categorical & inner != stated & inner).any()):
            raise ModelError(f"{self.source}: the kinds of splits of tree {number} do not fit")

    def _categories(self, integers: Any, number: int) -> dict[int, frozenset[int]]:  # noqa: ANN401
        codes, nodes = integers("categories"), integers("categories_nodes")
        starts, sizes = integers("categories_segments"), integers("categories_sizes")
        if not len(nodes) == len(starts) == len(sizes):
            raise ModelError(f"{self.source}: the categories of tree {number} differ in length")
        found: dict[int, frozenset[int]] = {}
        for node, start, size in zip(nodes.tolist(), starts.tolist(), sizes.tolist(), strict=True):
            listed = codes[max(0, start) : max(0, start + size)]
            if node < 0 or len(listed) != size or bool(((listed < 0) | (listed > 2**24)).any()):
                raise ModelError(
                    f"{self.source}: tree {number} refers to categories that do not exist"
                )
            found[node] = frozenset(listed.tolist())
        return found

    def _vectors(self, entry: Mapping[str, Any], number: int) -> npt.NDArray[np.float64] | None:
        width = self._mapping(entry, "tree_param").get("size_leaf_vector", "1")
        if str(width) in ("0", "1"):
            return None
        stored = self._numbers(entry, "leaf_weights", np.float32)
        outputs = max(1, self.integer("num_class"))
        if not len(stored) or len(stored) % outputs:
            raise UnsupportedError(
                f"{self.source}: tree {number} has vector leaves in a form that is not "
                "supported; save the model with XGBoost 3.2 or later"
            )
        return stored.reshape(-1, outputs)

    def _mapping(self, parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = parent.get(name)
        if not isinstance(value, dict):
            raise ModelError(f"{self.source} is no complete XGBoost model: it has no {name!r}")
        return value

    def _numbers(
        self, parent: Mapping[str, Any], name: str, kind: type[np.generic]
    ) -> npt.NDArray[np.float64]:
        try:
            # What is too large for float32 becomes infinite, and is refused with the leaf.
            with np.errstate(over="ignore"):
                stored = np.asarray(parent.get(name, ()), dtype=kind)
            return stored.astype(np.float64).reshape(-1)
        except (TypeError, ValueError, OverflowError):
            raise ModelError(f"{self.source}: field {name!r} does not hold numbers") from None


def best_iteration(attributes: Mapping[str, object]) -> int:
    """Return how many rounds scikit-learn's wrapper uses; 0 for all."""
    best = str(attributes.get("best_iteration", ""))
    return int(best) + 1 if best.isdecimal() else 0


def _decode(payload: bytes, source: str) -> object:
    # A UBJSON object continues with the type of its first key's length.
    binary = payload[1:2] in (b"L", b"i", b"U", b"I", b"l", b"$", b"#")
    try:
        return read_ubjson(payload) if binary else msgspec.json.decode(payload)
    except (msgspec.DecodeError, ModelError, RecursionError) as error:
        raise ModelError(f"{source} is no complete XGBoost model: {error}") from None


def _labels(encoder: object) -> tuple[Hashable, ...]:
    """Decode stored category labels: offsets and bytes for text, else numbers."""
    if not isinstance(encoder, dict):
        return ()
    values = np.asarray(encoder.get("values", ()))
    if "offsets" not in encoder:
        return tuple(values.tolist())
    offsets = np.asarray(encoder["offsets"], dtype=np.int64).tolist()
    text = values.astype(np.uint8).tobytes()
    return tuple(text[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets))


def _listed(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple | np.ndarray)
