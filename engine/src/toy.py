"""A decision that fits in the head: for first steps, examples and tests of strategies.

Some yes/no features, all of them off; the decision changes exactly where the features that
were switched on contain one of the given sets.  These sets are the contrastive explanations,
so every answer of a search can be checked by looking at it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from .answers import Answer, Counterexample, Entailed
from .budget import Meter
from .domain import Boolean
from .problem import ExplanationProblem
from .space import FeatureSet, FeatureSpace, Points

__all__ = ["ToyClassifier", "ToyOracle", "toy"]


def toy(n: int, cxps: Iterable[Collection[int]]) -> tuple[ExplanationProblem, ToyOracle]:
    """Return a problem over `n` features with given contrastive sets, and its oracle.

    Examples
    --------
    >>> problem, oracle = toy(3, [{0, 1}, {2}])
    >>> oracle.decide([frozenset({0, 1}), frozenset({1})], Meter())[0].moved
    frozenset({0, 1})
    """
    classifier = ToyClassifier(n, cxps)
    names = [f"f{i}" for i in range(n)]
    space = FeatureSpace.of(names, {name: Boolean() for name in names})
    problem = ExplanationProblem(classifier, space, np.zeros(n))
    return problem, ToyOracle(classifier)


class ToyClassifier:
    """Says ``change`` where the ones of a point contain one of the sets, else ``keep``.

    Parameters
    ----------
    n
        Number of features.
    cxps
        Sets of feature indices.
    """

    def __init__(self, n: int, cxps: Iterable[Collection[int]]) -> None:
        self.n_columns = n
        self.cxps = [frozenset(cxp) for cxp in cxps]

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Class labels."""
        return ("keep", "change")

    @property
    def fingerprint(self) -> str:
        """A toy has no hash worth the name."""
        return "sha256:" + "0" * 64

    @property
    def structure(self) -> object:
        """The classifier itself."""
        return self

    def changes(self, moved: FeatureSet) -> bool:
        """Tell whether switching these features on changes the decision."""
        return any(cxp <= moved for cxp in self.cxps)

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(rows,)``."""
        return np.array(
            [self.changes(frozenset(np.flatnonzero(point).tolist())) for point in points],
            dtype=np.int64,
        )

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return one for the predicted class and zero for the other."""
        return np.eye(2)[self.predict(points)]


class ToyOracle:
    """Decides free sets of a toy, with the smallest evidence there is by deletion.

    Parameters
    ----------
    classifier
        The toy.
    """

    def __init__(self, classifier: ToyClassifier) -> None:
        self.classifier = classifier

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "toy"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set by looking it up."""
        return [self._decide(free) for free in free_sets]

    def _decide(self, free: FeatureSet) -> Answer:
        n, changes = self.classifier.n_columns, self.classifier.changes
        if changes(free):
            moved = _shrunk(free, changes)
            point = np.zeros(n)
            point[list(moved)] = 1.0
            return Counterexample(point, moved, 1.0)
        everything = frozenset(range(n))
        return Entailed(_shrunk(everything - free, lambda core: not changes(everything - core)))


def _shrunk(members: FeatureSet, holds: Callable[[FeatureSet], bool]) -> FeatureSet:
    for i in sorted(members, reverse=True):
        if holds(members - {i}):
            members = members - {i}
    return members
