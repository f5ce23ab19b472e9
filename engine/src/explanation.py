"""Explanations: what the engine hands out, with evidence and an honest status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from .answers import Answer, Certificate, Counterexample, Entailed, Unknown
from .problem import ExplanationProblem
from .space import FeatureSet

__all__ = ["Explanation", "Kind", "SearchStatistics", "Status"]


class Kind(StrEnum):
    """The two sides of an explanation."""

    AXP = "axp"
    """Abductive: fixing these features forces the decision."""
    CXP = "cxp"
    """Contrastive: freeing these features lets the decision change."""

    @property
    def dual(self) -> Kind:
        """The other kind: each explanation of one kind hits all of the other."""
        return Kind.CXP if self is Kind.AXP else Kind.AXP


class Status(StrEnum):
    """How much of an explanation is proved."""

    MINIMAL = "minimal"
    """It is one, and no element can be left out; all proved."""
    WEAK = "weak"
    """It is one, but for the elements in `open` it is not known whether they are needed."""
    UNKNOWN = "unknown"
    """It was not even shown that it is one."""


@dataclass(frozen=True, slots=True)
class SearchStatistics:
    """What it took.

    Parameters
    ----------
    oracle_calls
        Free sets decided by an oracle, without those answered from memory.
    rounds
        Batches of such questions: the sequential depth of the search.
    seconds, cpu_seconds
        Wall-clock time, and processor time of the thread that searched.
    """

    oracle_calls: int = 0
    rounds: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A set of features with the evidence that it explains the decision.

    Parameters
    ----------
    problem
        What was asked.
    kind
        Abductive or contrastive.
    members
        Feature indices.
    evidence
        For an AXp `Entailed`, for a CXp a `Counterexample` that moves members only;
        `Unknown` if neither was reached.
    open
        Members whose removal could not be decided.
    necessity
        Per member the answer that shows that it cannot be left out: for an AXp a
        counterexample, for a CXp a proof.
    statistics
        What it took.
    at_least
        Proved: every explanation of this kind inside the members has at least so many
        elements, a grade of what is open; zero says nothing.
    """

    problem: ExplanationProblem
    kind: Kind
    members: FeatureSet
    evidence: Answer
    open: FeatureSet = frozenset()
    necessity: Mapping[int, Answer] = field(default_factory=dict[int, Answer], repr=False)
    statistics: SearchStatistics = field(default_factory=SearchStatistics)
    at_least: int = 0

    as_html: ClassVar[Callable[[Explanation], str] | None] = None
    """How notebooks show an explanation; set by the layer that knows about pages."""

    def _repr_html_(self) -> str | None:
        return None if Explanation.as_html is None else Explanation.as_html(self)

    @property
    def status(self) -> Status:
        """What is proved."""
        if isinstance(self.evidence, Unknown):
            return Status.UNKNOWN
        return Status.WEAK if self.open else Status.MINIMAL

    @property
    def indices(self) -> tuple[int, ...]:
        """Feature indices, ascending."""
        return tuple(sorted(self.members))

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names, in the order of `indices`."""
        names = self.problem.space.names
        return tuple(names[i] for i in self.indices)

    @property
    def margin(self) -> float | None:
        """Guaranteed lead of the decision (AXp only), in score units."""
        return self.evidence.margin if isinstance(self.evidence, Entailed) else None

    def __len__(self) -> int:
        return len(self.members)

    def as_json(self) -> dict[str, object]:
        """Return the explanation as JSON-ready data with stable keys.

        Keys: ``kind``, ``features``, ``indices``, ``status``, ``open``, ``prediction``,
        ``evidence``, ``statistics``; where elements are open and a bound is known, also
        ``at_least``.
        """
        graded = {"at_least": self.at_least} if self.open and self.at_least else {}
        return {
            "kind": str(self.kind),
            "features": list(self.features),
            "indices": list(self.indices),
            "status": str(self.status),
            "open": [self.problem.space.names[i] for i in sorted(self.open)],
            **graded,
            "prediction": plain(self.problem.label),
            "evidence": evidence_as_json(self.problem, self.evidence),
            "statistics": {
                "oracle_calls": self.statistics.oracle_calls,
                "rounds": self.statistics.rounds,
                "seconds": round(self.statistics.seconds, 6),
                "cpu_seconds": round(self.statistics.cpu_seconds, 6),
            },
        }


def evidence_as_json(problem: ExplanationProblem, evidence: Answer) -> dict[str, object]:
    """Describe an answer in the user's values, ready for JSON."""
    match evidence:
        case Counterexample():
            classes = problem.classifier.classes
            outcome = classes[int(evidence.outcome)] if classes else evidence.outcome
            return {
                "type": "counterexample",
                "outcome": plain(outcome),
                "point": {k: plain(v) for k, v in problem.space.decode(evidence.point).items()},
                "moved": [problem.space.names[i] for i in sorted(evidence.moved)],
            }
        case Entailed():
            told: dict[str, object] = {
                "type": "entailed",
                "core": [problem.space.names[i] for i in sorted(evidence.core)],
                "margin": evidence.margin,
                "certificate": _certificate_as_json(evidence.certificate),
            }
            if problem.space.constraints:
                told["constraints"] = list(evidence.constraints)
            return told
        case Unknown():
            return {"type": "unknown", "reason": str(evidence.reason), "detail": evidence.detail}


def plain(value: object) -> object:
    """Return a value that JSON knows: numpy scalars become Python's own."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _certificate_as_json(certificate: Certificate | None) -> dict[str, object] | None:
    return None if certificate is None else certificate.as_json()
