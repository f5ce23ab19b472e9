"""``whyproof demo``: a real model on real data, audited and reported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from whyproof.auditing import AuditSummary, audit_rows
from whyproof.engine.errors import MissingExtraError, StoreError
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.report import write_report
from whyproof.report.page import Page, page_of
from whyproof.report.values import listed
from whyproof.spaces import infer_space
from whyproof.store import Store
from whyproof.tables import Table

from .failures import ANSWERED
from .output import explained, line, paragraph

__all__ = ["demo_command"]

_ROWS = 8
_LIMIT = 400
_TREES = 50
_FEATURES = 10  # the means, out of means, errors and worst values


def demo_command(folder: Path) -> int:
    """Train, audit, tell, report."""
    model, table = _trained()
    space = infer_space(table, model, ranges="data")
    explainer = Explainer(model, space)
    store, report = folder / "breast-cancer.db", folder / "breast-cancer.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {folder} cannot be made: {error.strerror}") from error
    for ending in ("", "-wal", "-shm"):  # of an earlier demo, perhaps of another model
        Path(f"{store}{ending}").unlink(missing_ok=True)
    _note(f"auditing {_ROWS} decisions ...")
    points = table.points(space, range(_ROWS))
    source: dict[str, object] = {"table": "breast cancer (Wisconsin), test rows, in scikit-learn"}
    summary = audit_rows(explainer, dict(enumerate(points)), store, limit=_LIMIT, source=source)
    with Store.read(store) as read:
        page = page_of(read, show=1)
        write_report(read, report, title="Why a tumour is called malignant or benign")
    _tell(page, summary)
    line()
    line(f"Every explanation, with its evidence: {store}")
    line(f"The report, to open in a browser:    {report.absolute()}")
    return ANSWERED


def _trained() -> tuple[Any, Table]:
    """Train a model on one part of the data, return it with the other."""
    try:
        from sklearn.datasets import load_breast_cancer
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingExtraError("sklearn", "sklearn", "train the demo's model") from error
    _note("training a gradient-boosting model on the breast-cancer data of scikit-learn ...")
    data: Any = load_breast_cancer()
    labels = data.target_names[data.target]
    split: Any = train_test_split(data.data[:, :_FEATURES], labels, random_state=0)
    learn, test, learn_labels, test_labels = split
    trained = GradientBoostingClassifier(n_estimators=_TREES, max_depth=3, random_state=0)
    trained.fit(learn, learn_labels)
    right = float((trained.predict(test) == test_labels).mean())
    line(f"A gradient-boosting model of {_TREES} trees calls {right:.0%} of the test rows right.")
    names = [str(name) for name in data.feature_names[:_FEATURES]]
    columns = {name: test[:, i].tolist() for i, name in enumerate(names)}
    return load_model(trained, names=names), Table.of(columns)


def _tell(page: Page, summary: AuditSummary) -> None:
    paragraph(
        f"It was asked about {_ROWS} of them: {summary.axps} reasons (AXps) and {summary.cxps} "
        f"change sets (CXps), each proved or replayed on the model."
    )
    for row in page.rows[:2]:
        known = "all are known" if row.complete else "there may be more"
        line()
        line(
            f"Row {row.stored.row}: {row.prediction} "
            f"(AXps {row.stored.axps}, CXps {row.stored.cxps}: {known})"
        )
        for view in (*row.axps[:1], *row.cxps[:1]):
            explained(view, "  ")
        if row.alone:
            paragraph(f"In every reason: {listed(row.alone)}.", "  ")
    line()
    most = [feature.name for feature in page.features[:3]]
    paragraph(f"What decides most, over these rows: {listed(most)}.")


def _note(text: str) -> None:
    """Say on stderr what is going on."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
