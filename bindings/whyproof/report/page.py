"""What a report says, worked out from a store; the template only sets it in type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whyproof.store import Head, RowStatus, Store, StoredRow, StoredRun, Verification, verify

from .shares import Share, shares
from .values import Setting, settings, shown
from .view import ExplanationView, Subject
from .words import domain_words, question_words, region_words

__all__ = ["FeatureLine", "Page", "RowSection", "page_of"]


@dataclass(frozen=True)
class FeatureLine:
    """One feature over the whole audit.

    Parameters
    ----------
    name, immutable
        As in the feature space.
    rows
        Rows in which some explanation contains it.
    alone
        Rows in which changing it alone can change the decision: it stands in every AXp.
    share
        Mean of its FFA over the rows.
    """

    name: str
    immutable: bool
    rows: int
    alone: int
    share: Share


@dataclass(frozen=True)
class RowSection:
    """One row.

    Parameters
    ----------
    stored
        The row as stored.
    prediction
        What the model says, in words.
    values
        All values in words.
    axps, cxps
        Those that are shown, smallest first.
    shares
        Feature names with their FFA, largest first; features of no share are left out.
    alone
        Features that can change the decision alone.
    idle
        If complete: features that may change but stand in no explanation.
    sizes
        Number of AXps and CXps by size.
    weak
        Number of stored explanations that are not proved minimal.
    """

    stored: StoredRow
    prediction: str
    values: Sequence[Setting]
    axps: Sequence[ExplanationView]
    cxps: Sequence[ExplanationView]
    shares: Sequence[tuple[str, Share]]
    alone: Sequence[str]
    idle: Sequence[str]
    sizes: Mapping[str, Counter[int]]
    weak: int
    appearing: frozenset[int] = field(default=frozenset(), repr=False)
    all_shares: Sequence[Share] = field(default=(), repr=False)

    @property
    def complete(self) -> bool:
        """Whether every explanation is known."""
        return self.stored.status is RowStatus.COMPLETE

    def range(self, kind: str) -> str:
        """Write the smallest and the largest size of a kind: ``2-5``."""
        sizes = self.sizes[kind]
        if not sizes:
            return "\u2013"
        low, high = min(sizes), max(sizes)
        return str(low) if low == high else f"{low}\u2013{high}"

    @property
    def about(self) -> Mapping[str, Any]:
        """The row's values by column; empty if nothing is shown of it."""
        shown = [*self.axps, *self.cxps]
        return shown[0].row if shown else {}

    @property
    def shares_by_index(self) -> dict[int, float]:
        """FFA by feature index, as far as it is known and not zero."""
        return {i: share.found for i, share in enumerate(self.all_shares) if share.found > 0}

    @property
    def explained(self) -> bool:
        """Whether there is something to tell."""
        return self.stored.status in (RowStatus.COMPLETE, RowStatus.OPEN)


@dataclass(frozen=True)
class Page:
    """A whole report.

    Parameters
    ----------
    name
        File name of the store.
    created
        When the store was made (UTC).
    subject
        Model, space, region and question.
    question, region
        In words.
    runs
        Calls of the audit.
    rows
        One section each.
    features
        Features over all rows, the most decisive first.
    sizes
        Number of explanations by kind and size, over all rows.
    head, verification
        End of the chain, and what the check found.
    sections
        How many rows are written out.
    """

    name: str
    created: str
    subject: Subject
    question: str
    region: str
    runs: Sequence[StoredRun]
    rows: Sequence[RowSection]
    features: Sequence[FeatureLine]
    sizes: Mapping[str, Counter[int]]
    head: Head
    verification: Verification
    sections: int

    @property
    def model(self) -> Mapping[str, Any]:
        """The model as the last run described it; what is not known is empty."""
        known: Mapping[str, Any] = self.runs[-1].record["model"] if self.runs else {}  # type: ignore[assignment]
        keys = ("source", "library", "version", "runtime", "notes", "semantics")
        return {key: known.get(key) or "" for key in keys}

    @property
    def domains(self) -> list[tuple[str, list[str]]]:
        """What columns may hold, in words, with the columns of each kind."""
        kinds: dict[str, list[str]] = {}
        for column in self.subject.identity["space"]["columns"]:
            kinds.setdefault(domain_words(column), []).append(column["name"])
        return list(kinds.items())

    @property
    def axps(self) -> int:
        """Stored AXps."""
        return sum(row.stored.axps for row in self.rows)

    @property
    def cxps(self) -> int:
        """Stored CXps."""
        return sum(row.stored.cxps for row in self.rows)

    @property
    def weak(self) -> int:
        """Stored explanations that are not proved minimal."""
        return sum(row.weak for row in self.rows)

    def with_status(self, status: str) -> list[RowSection]:
        """Return the rows of a status."""
        return [row for row in self.rows if row.stored.status == status]

    @property
    def explained(self) -> list[RowSection]:
        """Rows that were neither skipped nor failed."""
        return [row for row in self.rows if row.explained]


def page_of(
    store: Store,
    show: int = 8,
    sections: int = 100,
    *,
    only: Sequence[StoredRow] | None = None,
    verification: Verification | None = None,
) -> Page:
    """Work out a report.

    Parameters
    ----------
    store
        Open store.
    show
        Most AXps and most CXps written out per row, the smallest first.
    sections
        Most rows written out; the others are counted.
    only
        Rows that the page is about; all by default.
    verification
        What a check of the store has found; it is checked here if not given.
    """
    subject = Subject(store.identity)
    chosen = store.rows() if only is None else only
    rows = [_section(store, subject, stored, show) for stored in chosen]
    sizes: dict[str, Counter[int]] = {"axp": Counter(), "cxp": Counter()}
    for row in rows:
        for kind, counts in row.sizes.items():
            sizes[kind] += counts
    return Page(
        store.path.name,
        store.created,
        subject,
        question_words(store.identity),
        region_words(store.identity),
        store.runs(),
        rows,
        _features(subject, [row for row in rows if row.explained]),
        sizes,
        store.head(),
        verification or verify(store),
        sections,
    )


def _section(store: Store, subject: Subject, stored: StoredRow, show: int) -> RowSection:
    row: Mapping[str, Any] = stored.record["input"]  # type: ignore[assignment]
    views = [
        ExplanationView(subject, row, found.record, found.hash)
        for found in store.explanations(stored.row)
    ]
    views.sort(key=lambda view: (len(view.indices), view.indices))
    by_kind = {kind: [v for v in views if v.kind == kind] for kind in ("axp", "cxp")}
    proved = {
        kind: [frozenset(v.indices) for v in found if v.status == "minimal"]
        for kind, found in by_kind.items()
    }
    complete = stored.status is RowStatus.COMPLETE
    immutable = [f["name"] for f in subject.features if f["immutable"]]
    every = shares(subject.names, proved["axp"], proved["cxp"], immutable, complete=complete)
    ranked = sorted(
        zip(subject.names, every, strict=True), key=lambda entry: (-entry[1].found, -entry[1].lower)
    )
    appearing = frozenset[int]().union(*proved["axp"], *proved["cxp"])
    alone = sorted(i for cxp in proved["cxp"] if len(cxp) == 1 for i in cxp)
    known = stored.status is not RowStatus.FAILED
    return RowSection(
        stored,
        shown(stored.record["prediction"]),
        [s for f in subject.features for s in settings(f, row)] if known else [],
        by_kind["axp"][:show],
        by_kind["cxp"][:show],
        [(name, share) for name, share in ranked if share.found > 0],
        [subject.names[i] for i in alone],
        [subject.names[i] for i in sorted(subject.mutable - appearing)] if complete else [],
        {kind: Counter(len(v.indices) for v in found) for kind, found in by_kind.items()},
        sum(view.status != "minimal" for view in views),
        appearing,
        every,
    )


def _features(subject: Subject, rows: Sequence[RowSection]) -> list[FeatureLine]:
    lines: list[FeatureLine] = []
    for i, feature in enumerate(subject.features):
        own = [row.all_shares[i] for row in rows]
        mean = Share(
            *(
                sum(getattr(share, part) for share in own) / len(own) if own else 0.0
                for part in ("found", "lower", "upper")
            )
        )
        lines.append(
            FeatureLine(
                feature["name"],
                feature["immutable"],
                sum(i in row.appearing for row in rows),
                sum(feature["name"] in row.alone for row in rows),
                mean,
            )
        )
    return sorted(lines, key=lambda line: (-line.share.found, -line.rows))
