"""The page about a population: who is affected by what, and who has no way out."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whyproof.store import RowStatus, Store, Verification

from .findings import Person
from .severity import Finding, findings_of
from .values import shown

__all__ = ["FactorLine", "Population", "population_of"]


@dataclass(frozen=True)
class FactorLine:
    """One feature over the population.

    Parameters
    ----------
    name
        Feature.
    used, alone, moved
        Rows in whose reasons it stands, rows that it can flip alone, and rows whose nearest
        counterfactual moves it.
    protected
        Whether it must not decide.
    """

    name: str
    used: int
    alone: int
    moved: int
    protected: bool


@dataclass(frozen=True)
class Population:
    """A population of decisions.

    Parameters
    ----------
    store_name
        File name.
    rows, explained, complete
        Numbers of rows.
    outcomes
        Number of rows by outcome.
    factors
        Features, the most used first.
    findings
        Most severe first.
    distances
        Of the nearest counterfactuals, ascending.
    norm
        Their distance; empty without any.
    stuck
        Rows without any counterfactual under the rules (proved).
    unproved
        Rows whose nearest counterfactual is not proved, or was not recorded.
    """

    store_name: str
    rows: int
    explained: int
    complete: int
    outcomes: Sequence[tuple[str, int]]
    factors: Sequence[FactorLine]
    findings: Sequence[Finding]
    distances: Sequence[float]
    norm: str
    stuck: Sequence[int]
    unproved: int

    @property
    def quartiles(self) -> list[float]:
        """Least, quarter, median, three quarters, and most of the distances."""
        if len(self.distances) < 2:
            return list(self.distances)
        inner = statistics.quantiles(self.distances, n=4, method="inclusive")
        return [self.distances[0], *inner, self.distances[-1]]

    @property
    def histogram(self) -> list[tuple[float, float, int]]:
        """Ten equal steps from zero to the largest distance, with the rows in each."""
        if not self.distances:
            return []
        top = self.distances[-1] or 1.0
        counts = Counter(min(int(10 * d / top), 9) for d in self.distances)
        return [(k * top / 10, (k + 1) * top / 10, counts[k]) for k in range(10)]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "store": self.store_name,
            "rows": self.rows,
            "explained": self.explained,
            "complete": self.complete,
            "outcomes": dict(self.outcomes),
            "factors": [
                {
                    "feature": f.name,
                    "used": f.used,
                    "alone": f.alone,
                    "moved": f.moved,
                    "protected": f.protected,
                }
                for f in self.factors
            ],
            "findings": [finding.as_json() for finding in self.findings],
            "recourse": {
                "norm": self.norm or None,
                "rows": len(self.distances),
                "quartiles": self.quartiles,
                "without": list(self.stuck),
                "not_proved": self.unproved,
            },
        }


def population_of(
    store: Store,
    people: Sequence[Person],
    verification: Verification,
    protected: Sequence[str] = (),
) -> Population:
    """Work out a population from the rows of a store.

    Parameters
    ----------
    store
        Where they stand.
    people
        Its rows.
    verification
        Of its chain.
    protected
        Features that must not decide.
    """
    used, alone, moved = Counter[str](), Counter[str](), Counter[str]()
    distances: list[float] = []
    stuck: list[int] = []
    norm, unproved = "", 0
    explained = [p for p in people if p.stored.status in (RowStatus.COMPLETE, RowStatus.OPEN)]
    for person in explained:
        names = person.subject.names
        used.update(names[i] for i in {i for view in person.axps for i in view.indices})
        alone.update(names[i] for i in person.necessary)
        change = person.change
        if change is None or change["status"] in ("unknown", "best so far"):
            unproved += 1
        if change is None:
            continue
        norm = str(change["norm"])
        moved.update(str(name) for name in change["moved"])
        if change["status"] == "none":
            stuck.append(person.stored.row)
        elif change["distance"] is not None and change["status"] != "already":
            distances.append(float(change["distance"]))
    names = people[0].subject.names if people else []
    factors = [FactorLine(n, used[n], alone[n], moved[n], n in protected) for n in names]
    factors.sort(key=lambda f: (-f.used, -f.alone, -f.moved))
    outcomes = Counter(shown(p.stored.record.get("prediction")) for p in people)
    return Population(
        store.path.name,
        len(people),
        len(explained),
        sum(p.is_complete for p in people),
        outcomes.most_common(),
        factors,
        findings_of(people, verification, protected),
        sorted(distances),
        norm,
        stuck,
        unproved,
    )
