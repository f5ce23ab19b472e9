"""How much each feature takes part in the abductive explanations of one row.

The numbers are those of `whyproof.engine.attribution`; here they are worked out from
stored sets, without the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.attribution import feature_attribution
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace

__all__ = ["Share", "shares"]


@dataclass(frozen=True, slots=True)
class Share:
    """The feature attribution of one feature in one row.

    Parameters
    ----------
    found
        Share of the AXps found so far that contain it.
    lower, upper
        Bounds on the share among all AXps; equal when the row is complete.
    """

    found: float
    lower: float
    upper: float

    @property
    def exact(self) -> bool:
        """Whether it is the share among all AXps."""
        return self.lower == self.upper

    @property
    def bounded(self) -> bool:
        """Whether the bounds say anything that two digits can show."""
        return not self.exact and (self.lower >= 0.005 or self.upper < 0.995)


def shares(
    names: Sequence[str],
    axps: Sequence[FeatureSet],
    cxps: Sequence[FeatureSet],
    immutable: Sequence[str] = (),
    *,
    complete: bool,
) -> list[Share]:
    """Return the share of each feature.

    Parameters
    ----------
    names
        All features.
    axps, cxps
        Explanations found, proved minimal.
    immutable
        Features that never change.
    complete
        Whether these are all.

    Examples
    --------
    >>> axps = [frozenset({0}), frozenset({0, 1})]
    >>> [share.found for share in shares(["a", "b"], axps, [], complete=True)]
    [1.0, 0.5]
    """
    space = FeatureSpace.of(names, immutable=immutable)
    # Counting needs to know the features, and nothing about the model.
    problem = cast("ExplanationProblem", SimpleNamespace(space=space, universe=space.mutable))
    evidence = Unknown(UnknownReason.INCOMPLETE)
    stored = [
        Explanation(problem, kind, members, evidence)
        for kind, family in ((Kind.AXP, axps), (Kind.CXP, cxps))
        for members in family
    ]
    found = feature_attribution(problem, stored, complete=complete)
    return [
        Share(*numbers)
        for numbers in zip(
            found.observed.tolist(), found.lower.tolist(), found.upper.tolist(), strict=True
        )
    ]
