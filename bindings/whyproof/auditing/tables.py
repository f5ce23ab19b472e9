"""Audits in one call: a model, a table, a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from whyproof.engine.explanation import Kind
from whyproof.engine.question import Question
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace

from .audit import AuditProgress, AuditSummary, audit_rows

__all__ = ["audit"]


def audit(
    model: object,
    table: object,
    store: str | Path,
    *,
    rows: Iterable[int] | None = None,
    label: str | None = None,
    space: FeatureSpace | None = None,
    region: Region | None = None,
    question: Question | None = None,
    strategy: str = "witness",
    limit: int | None = None,
    jobs: int = 1,
    seconds: float | None = None,
    row_seconds: float | None = None,
    bias: Kind | str = Kind.CXP,
    progress: Callable[[AuditProgress], None] | None = None,
) -> AuditSummary:
    """Explain rows of a table and keep every explanation in a store; call again to go on.

    Parameters
    ----------
    model
        A path or a live model, as `load_model` takes it.
    table
        A path, a data frame or an array, as `read_table` takes it.
    store
        File of the store; made if absent, resumed if it is about the same thing.
    rows
        Row numbers, from 0; all by default.
    label
        Column of labels, which the model does not see.
    space
        Feature space; inferred from the table by default.
    region, question, strategy
        As for `Explainer`.
    limit, jobs, seconds, row_seconds, bias, progress
        As for `audit_rows`.

    Raises
    ------
    InputError
        For anything that cannot be used as it is; nothing is written then.
    StoreError
        If the store is about something else or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = audit(tree, x, f"{folder}/audit.db", rows=[0, 70])
    >>> summary.complete, summary.axps, summary.cxps
    ((0, 70), 2, 2)
    """
    # Imported here so that worker processes start with what they need.
    from whyproof.explainer import Explainer
    from whyproof.models import load_model
    from whyproof.spaces import infer_space, match_columns
    from whyproof.tables import read_table

    loaded = load_model(model)
    matched = match_columns(read_table(table, label), loaded)
    space = space or infer_space(matched, loaded)
    explainer = Explainer(loaded, space, region=region, question=question, strategy=strategy)
    numbers = list(range(matched.n_rows) if rows is None else rows)
    points = matched.points(space, numbers)
    return audit_rows(
        explainer,
        dict(zip(numbers, points, strict=True)),
        store,
        limit=limit,
        jobs=jobs,
        seconds=seconds,
        row_seconds=row_seconds,
        bias=bias,
        source={"table": matched.source},
        progress=progress,
    )
