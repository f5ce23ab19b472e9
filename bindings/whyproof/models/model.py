"""A model that came in: its structure for encoders, its runtime for replays.

`Model` implements the engine's `Classifier`.  The structure is what encoders read; the
runtime is the model that runs: the library's own prediction wherever the library is
there, and where it is not (text dumps) a simulation of its arithmetic that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.circuit import Circuit
from whyproof.encodings.graphs.graph import DecisionGraph
from whyproof.encodings.linear.additive import AdditiveModel
from whyproof.encodings.neighbours.model import NeighbourModel
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.domain import Domain
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.space import Points

from .additive_checks import additive_fingerprint, additive_probes, additive_slack

__all__ = ["MAX_COLUMNS", "Model", "Runtime", "Structure", "fingerprint_of"]

Structure: TypeAlias = TreeEnsemble | AdditiveModel | Circuit | DecisionGraph | NeighbourModel
"""What encoders read, and how scores become an outcome."""

MAX_COLUMNS = 1_000_000
"""Most columns of a model: a damaged number must not take all memory."""


class Runtime(Protocol):
    """What computes predictions; it can be pickled and rebuilds its handles on demand."""

    @property
    def name(self) -> str:
        """Library and version, or what is simulated: ``xgboost 3.2.0``."""
        ...

    def predict(self, points: Points) -> Predictions:
        """Return class indices or values, shape ``(rows,)``."""
        ...

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return raw scores as the structure's outputs, shape ``(rows, outputs)``."""
        ...


@dataclass(frozen=True, eq=False)
class Model:
    """A model as the engine and the encoders see it.

    Parameters
    ----------
    structure
        Trees or terms, decision rule and slack: what is reasoned about.
    runtime
        What runs: every counterexample is replayed there.
    library
        Library that made the model.
    version
        Its version as the file or object says; empty if unknown.
    names
        Column names if the model knows them, else empty.
    domains
        What the model itself demands of columns, by position: the codes of its
        categorical columns.
    accepts_missing
        Whether it predicts for rows with missing values.
    source
        Where it came from, for people: a path or a class name.
    notes
        What a reader of results should know, one sentence each.

    Examples
    --------
    >>> from whyproof.models.simulate import SimulatedRuntime
    >>> from whyproof.encodings.trees.ensemble import Tree
    >>> trees = (Tree.constant(np.array([0.5])),)
    >>> ensemble = TreeEnsemble(2, trees, np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    >>> model = Model(ensemble, SimulatedRuntime(ensemble), library="none")
    >>> model.predict(np.zeros((1, 2))), model.scores(np.zeros((1, 2)))
    (array([1]), array([[0. , 0.5]]))
    """

    structure: Structure
    runtime: Runtime
    library: str
    version: str = ""
    names: tuple[str, ...] = ()
    domains: Mapping[int, Domain] = field(default_factory=dict[int, Domain])
    accepts_missing: bool = True
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.n_columns > MAX_COLUMNS:
            raise UnsupportedError(
                f"{self.source} says that it has {self.n_columns} columns; at most "
                f"{MAX_COLUMNS} are supported"
            )
        if self.names and len(self.names) != self.n_columns:
            raise DataError(
                f"the model has {self.n_columns} columns but {len(self.names)} column names"
            )

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Class labels by index; empty for a regressor."""
        return self.structure.classes

    @property
    def is_regressor(self) -> bool:
        """Whether outcomes are values, not classes."""
        return self.structure.rule is DecisionRule.VALUE

    @property
    def fingerprint(self) -> str:
        """Hash of what the model computes; see `fingerprint_of`."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_of(self.structure)

    def predict(self, points: Points) -> Predictions:
        """Return class indices, or values of a regressor, as the model itself decides.

        Parameters
        ----------
        points
            Shape ``(rows, columns)``; codes of the model's own columns.
        """
        return self.runtime.predict(self._checked(points))

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return one score per class, ``(0, m)`` for a binary margin, or the value.

        Scores are sums before any link function, in the units of the structure; a
        regressor's value is what `predict` returns.
        """
        points = self._checked(points)
        if self.is_regressor:
            return np.asarray(self.runtime.predict(points), dtype=np.float64)[:, None]
        sums = self.runtime.sums(points)
        if self.structure.rule is DecisionRule.ARGMAX:
            return sums
        return np.concatenate([np.zeros_like(sums), sums], axis=1)

    def _checked(self, points: Points) -> Points:
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.n_columns:
            raise DataError(
                f"the model takes points of shape (rows, {self.n_columns}), found {points.shape}"
            )
        if not self.accepts_missing and bool(np.isnan(points).any()):
            raise DataError(f"the model ({self.source}) does not take missing values")
        return points

    def verify(self, rows: int = 24, *, resolution: float = 0.0) -> None:
        """Compare structure and runtime on a few points at the model's own boundaries.

        Importing ends with this: a library whose new version computes something else
        than the importer believes is refused, not explained wrongly.

        Parameters
        ----------
        rows
            Number of points.
        resolution
            Relative rounding with which the runtime reports sums.

        Raises
        ------
        UnsupportedError
            If they differ by more than the slack.
        """
        points, slack, what = self.probes(rows)
        expected = self.structure.sums(points)
        found = self.runtime.sums(points)
        allowed = slack + (resolution + 1e-12) * np.abs(expected).max(initial=1.0)
        worst = float(np.abs(expected - found).max(initial=0.0))
        if not worst <= allowed:
            raise UnsupportedError(
                f"{self.runtime.name} computes scores that differ by {worst:.3g} from the {what} "
                f"of {self.source}; this version or option is not supported"
            )
        if self.is_regressor:
            return
        clear = _leads(self.structure, expected) > slack
        differs = self.structure.predict(points) != self.runtime.predict(points)
        if bool((differs & clear).any()):
            raise UnsupportedError(
                f"{self.runtime.name} decides otherwise than the {what} of {self.source} say; "
                "this version or option is not supported"
            )

    def probes(self, rows: int) -> tuple[Points, float, str]:
        """Return points to compare on, how far sums may differ, and what adds up."""
        if isinstance(self.structure, TreeEnsemble):
            points = probe_points(self.structure, rows, missing=self.accepts_missing)
            return points, self.structure.slack, "trees"
        if isinstance(self.structure, Circuit | DecisionGraph):
            points = probe_points(self.structure.board, rows, missing=self.accepts_missing)
            random = np.random.default_rng(1)
            for i, domain in self.domains.items():
                low, high = domain.bounds
                if domain.is_discrete and np.isfinite(high - low):
                    points[:, i] = random.integers(int(low), int(high) + 1, rows)
            return points, 0.0, getattr(self.structure, "family", "nodes")
        if isinstance(self.structure, NeighbourModel):
            return neighbour_probes(self.structure, rows), 0.0, "neighbours"
        points = additive_probes(self.structure, rows)
        slack = float(additive_slack(self.structure, points).max(initial=0.0))
        return points, 2 * slack, "terms"


def fingerprint_of(structure: Structure) -> str:
    """Return ``sha256:`` and the hash of everything that decides an outcome.

    Hashed are, in this order and in little-endian binary form: number of columns, rule,
    input type, link, divisor, class labels (type and text), base, and per tree its
    columns, boundaries, children, missing directions, leaf values, categories and zero
    flags in canonical node order.  Names of columns, the slack and the file format do not
    matter: the same booster live, as ``.json`` or as ``.ubj`` has one fingerprint.

    Examples
    --------
    >>> empty = TreeEnsemble(1, (), np.zeros(1), DecisionRule.VALUE)
    >>> len(fingerprint_of(empty))
    71
    """
    if isinstance(structure, AdditiveModel):
        return additive_fingerprint(structure)
    if isinstance(structure, Circuit | DecisionGraph | NeighbourModel):
        return structure.fingerprint
    digest = hashlib.sha256(b"whyproof-tree-ensemble-1")

    def add(*arrays: npt.NDArray[np.generic]) -> None:
        for array in arrays:
            digest.update(f"|{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())

    labels = [f"{type(label).__name__}:{label}" for label in structure.classes]
    head = (
        structure.n_columns,
        str(structure.rule),
        structure.input_type,
        structure.link,
        structure.divisor,
        labels,
    )
    digest.update(repr(head).encode())
    # Adding zero makes negative zero positive: they compare alike.
    add(structure.base.astype("<f8") + 0.0)
    for tree in structure.trees:
        add(
            tree.column.astype("<i4"),
            tree.boundary.astype("<f8") + 0.0,
            tree.left.astype("<i4"),
            tree.right.astype("<i4"),
            tree.missing_left,
            tree.values.astype("<f8") + 0.0,
        )
        if tree.zero_missing is not None:
            add(tree.zero_missing)
        codes = sorted((node, sorted(codes)) for node, codes in tree.categories.items())
        digest.update(repr(codes).encode())
    return f"sha256:{digest.hexdigest()}"


def probe_points(structure: TreeEnsemble, rows: int, *, missing: bool = False) -> Points:
    """Return points on and beside the trees' boundaries, shape ``(rows, columns)``.

    Deterministic; a column that no tree tests is zero, categorical columns take codes
    that some split lists, and one value in eight is missing where that is allowed.
    """
    step = np.float32 if structure.input_type == "float32" else np.float64
    values: list[set[float]] = [{0.0} for _ in range(structure.n_columns)]
    for column, boundaries in _boundaries(structure, rows).items():
        below = np.nextafter(boundaries.astype(step), step(-np.inf)).astype(np.float64)
        values[column].update([*boundaries.tolist(), *below.tolist()])
    for tree in structure.trees:
        for node, codes in tree.categories.items():
            values[int(tree.column[node])].update(float(code) for code in codes)
    points = np.zeros((rows, structure.n_columns))
    random = np.random.default_rng(0)
    for column, candidates in enumerate(values):
        points[:, column] = random.choice(sorted(candidates), size=rows)
    if missing:
        points[random.random(points.shape) < 0.125] = np.nan
    return points


def neighbour_probes(structure: NeighbourModel, rows: int) -> Points:
    """Return points away from ties, near training rows, shape ``(rows, columns)``."""
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(structure.training), rows)
    points = np.zeros((rows, structure.n_columns))
    for j, column in enumerate(structure.derived):
        if column.table:
            points[:, column.source] = random.integers(0, len(column.table), rows)
        elif column.slope:
            near = structure.training[chosen, j] + random.normal(0, 0.1, rows)
            points[:, column.source] = (near - column.offset) / column.slope
    return points


def _boundaries(structure: TreeEnsemble, most: int) -> dict[int, npt.NDArray[np.float64]]:
    """Return the first finite boundaries of each numeric column, at most so many."""
    if not structure.trees:
        return {}
    column = np.concatenate([tree.column for tree in structure.trees])
    boundary = np.concatenate([tree.boundary for tree in structure.trees])
    numeric = np.flatnonzero((column >= 0) & np.isfinite(boundary))
    order = numeric[np.argsort(column[numeric], kind="stable")]
    if not len(order):
        return {}
    listed, starts = np.unique(column[order], return_index=True)
    parts = np.split(boundary[order], starts[1:])
    return {int(c): part[:most] for c, part in zip(listed, parts, strict=True)}


def _leads(structure: Structure, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much each row's decision leads, shape ``(rows,)``."""
    if structure.rule is not DecisionRule.ARGMAX:
        return np.abs(sums[:, 0])
    if sums.shape[1] == 1:
        return np.full(len(sums), np.inf)
    best = np.sort(sums, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])
