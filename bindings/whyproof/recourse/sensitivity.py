"""Population queries: can changing only these features flip a decision, where, and how often.

Data first: rows whose decision flips are witnesses near real people, found by running the
model.  Only if there is none does the exact search look through the whole space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whyproof.encodings.recourse.measure import flip_share
from whyproof.encodings.recourse.pairs import Pair, PairAnswer, PairSearch
from whyproof.encodings.recourse.sensitive import Affected, affected_rows
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace, Points

__all__ = ["Sensitivity", "count_flips", "find_pair", "is_monotone", "near_rows"]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What is known about the features' power over decisions.

    Parameters
    ----------
    affected
        The given rows.
    pair
        Two people who differ in the features alone and get different decisions.
    proved
        Without a pair: whether it is proved that there is none in the space.
    """

    affected: Affected
    pair: Pair | None
    proved: bool


def find_pair(
    model: Classifier,
    space: FeatureSpace,
    features: FeatureSet,
    rows: Points,
    meter: Meter | None = None,
) -> Sensitivity:
    """Decide whether changing only some features can flip any decision.

    Parameters
    ----------
    model
        A tree ensemble with classes.
    space
        Its inputs.
    features
        Indices of the features to change.
    rows
        Real people, shape ``(rows, columns)``.
    meter
        Budget of the run.
    """
    meter = meter or Budget().start()
    affected = affected_rows(model, space, features, rows, meter=meter)
    if affected.witnesses:
        row, other = next(iter(sorted(affected.witnesses.items())))
        outcome = float(model.predict(other[None])[0])
        return Sensitivity(
            affected, Pair(rows[row], other, (affected.outcomes[row], outcome)), True
        )
    answer = PairSearch(model, space, features).anywhere(
        anchor=rows[0] if len(rows) else None, meter=meter
    )
    return Sensitivity(affected, answer.pair, answer.proved)


def near_rows(
    model: Classifier,
    space: FeatureSpace,
    features: FeatureSet,
    rows: Points,
    epsilon: float,
    meter: Meter | None = None,
) -> Affected:
    """Decide for each row whether somebody near it can be flipped by the features alone.

    Parameters
    ----------
    model, space, features, rows
        As for `find_pair`.
    epsilon
        How near, per column (``linf``).
    meter
        Budget of the run.
    """
    meter = meter or Budget().start()
    exact = affected_rows(model, space, features, rows, meter=meter)
    flips, decided = exact.flips.copy(), exact.flips.copy()
    search = PairSearch(model, space, features)
    witnesses = dict(exact.witnesses)
    for i in np.flatnonzero(~flips).tolist():
        if meter.exhausted() is not None:
            break
        answer = search.near(rows[i], Region.ball(epsilon), meter=meter)
        decided[i] = answer.pair is not None or answer.proved
        if answer.pair is not None:
            flips[i], witnesses[i] = True, answer.pair.other
    return Affected(flips, decided, witnesses, exact.outcomes)


def is_monotone(
    model: Classifier,
    space: FeatureSpace,
    features: FeatureSet,
    way: str,
    meter: Meter | None = None,
) -> PairAnswer:
    """Look for two people of whom the one with more gets less (``up``), or more (``down``).

    Parameters
    ----------
    model, space, features
        As for `find_pair`; more than two classes are in their order.
    way
        ``up``: raising the features never lowers the class; ``down``: never raises it.
    meter
        Budget of the run.

    Returns
    -------
    PairAnswer
        A pair that contradicts monotonicity, or a proof that there is none.
    """
    if way not in ("up", "down"):
        raise DataError(f"a direction is 'up' or 'down', found {way!r}")
    meter = meter or Budget().start()
    search = PairSearch(model, space, features)
    nodes, proved = 0, True
    n = len(model.classes)
    for low in range(n):
        for high in range(low + 1, n):
            outcomes = (high, low) if way == "up" else (low, high)
            answer = search.anywhere(rising=True, outcomes=outcomes, meter=meter)
            nodes += answer.nodes
            if answer.pair is not None:
                return PairAnswer(answer.pair, True, nodes)
            proved = proved and answer.proved
    return PairAnswer(None, proved, nodes)


def count_flips(
    model: Classifier, space: FeatureSpace, features: FeatureSet, meter: Meter | None = None
) -> tuple[float, float]:
    """Return bounds on the share of the space where the features alone can flip decisions.

    Parameters
    ----------
    model, space, features
        As for `find_pair`; every other column that the model tests needs finite bounds.
    meter
        Budget of the run: the bounds are equal if it lasts.
    """
    return flip_share(model, space, features, meter or Budget().start())
