"""``whyproof learn``: rules from a table, or from what a model says about it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whyproof.engine.errors import DataError, InputError

from .failures import ANSWERED
from .output import counted, json_line, line, paragraph

if TYPE_CHECKING:
    import numpy.typing as npt

    from whyproof.asp.learning import Extraction, FoldSE
    from whyproof.asp.rules import Rule, RuleSet, Support
    from whyproof.tables import Table

    from .rule_commands import LearnRequest

__all__ = ["learn_command", "read_rule_text", "write_text"]


def learn_command(request: LearnRequest, *, as_json: bool) -> int:
    """Learn rules, write them, and say how good they are on rows that they never saw."""
    from whyproof.asp.learning import learn_dependencies, rules_for_predictions, write_dependencies
    from whyproof.rule_tables import rule_table
    from whyproof.tables import DEFAULT_MISSING, read_table

    _check(request)
    started = time.process_time()
    missing = (*DEFAULT_MISSING, *(request.missing or ()))
    table = read_table(request.data, request.label, missing=missing)
    rows = rule_table(table, _names(request.categories))
    labels = _labels(table, request)
    learner = _learner(request, table.label.name if table.label is not None else "label")
    ask = None if request.model is None else _Model(request.model, table)
    wanted = labels if ask is None else ask.labels
    truth = None if request.model is None or request.label is None else labels
    extraction: Extraction | None = None
    folds = min(request.folds, table.n_rows)
    if folds > 1:
        extraction = rules_for_predictions(wanted, rows, truth, learner=learner, folds=folds)
        learner = extraction.learner
    else:
        learner.fit(rows, wanted)
    rules = learner.rules_
    if request.out is not None:
        write_text(request.out, _written(rules, request))
    if request.proposals is not None:
        write_text(request.proposals, write_dependencies(learn_dependencies(rows)))
    seconds = time.process_time() - started
    if as_json:
        json_line(_document(request, rules, extraction, table.n_rows, seconds))
        return ANSWERED
    _in_words(request, rules, extraction, table.n_rows, seconds)
    return ANSWERED


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def read_rule_text(
    path: Path,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    arguments: dict[str, Sequence[str]] | None = None,
) -> RuleSet:
    """Read a file of decision rules, text in any dialect or JSON.

    Raises
    ------
    InputError
        If it cannot be read; for text with line and column.
    """
    from whyproof.asp.rules import read_rules
    from whyproof.asp.rules.json_form import rules_from_json

    try:
        if path.stat().st_size > 64 * 1024**2:
            raise DataError(f"{path} is larger than 64 MiB; it is no file of rules")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; it is no file of rules") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if text.lstrip().startswith("{"):
        try:
            return rules_from_json(text)
        except InputError as error:
            raise DataError(f"{path}: {error}") from None
    return read_rules(text, file=str(path), target=target, features=features, arguments=arguments)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None


def _check(request: LearnRequest) -> None:
    if request.label is None and request.model is None:
        raise InputError(
            "nothing says what to learn: name the column of labels with --label, or a model "
            "with --model"
        )
    if request.given is not None and request.revise is not None:
        raise InputError("--given keeps rules as they are, --revise changes them: use one")
    if request.dialect not in ("fold", "names"):
        raise InputError(f"--dialect is fold or names, found {request.dialect!r}")
    if request.folds < 0 or request.folds == 1:
        raise InputError(f"--folds is 0 or at least 2, found {request.folds}")


def _labels(table: Table, request: LearnRequest) -> npt.NDArray[Any]:
    if table.label is None:
        return np.zeros(0, dtype=object)
    absent = np.flatnonzero(table.label.is_missing)
    if len(absent):
        place = table.where(int(absent[0]), table.label.name)
        raise DataError(f"{place}: the label is missing; fill it in or drop the row")
    values = table.label.values
    if table.label.numbers is not None and not table.label.is_whole:
        raise DataError(
            f"column {request.label!r} of {table.source} holds numbers with fractions; rules "
            "decide between classes: cut it into ranges first"
        )
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _learner(request: LearnRequest, label: str) -> FoldSE:
    from whyproof.asp.learning import FoldSE

    order: Any = request.order
    if order is None:
        order = "auto" if request.model is None or request.target else "ordered"
    prior = request.given or request.revise
    known = None if prior is None else read_rule_text(prior, target=None)
    return FoldSE(
        heuristic=request.heuristic or ("gini" if _asks(request) else "power"),
        ratio=request.ratio,
        tail=request.tail,
        order=order,
        target=request.target,
        prior=None if known is None else _concluding(known, label),
        prior_is_fixed=request.revise is None,
        label=label,
    )


def _asks(request: LearnRequest) -> bool:
    return request.model is not None and request.copies != 0


def _concluding(rules: RuleSet, label: str) -> tuple[Rule, ...]:
    """Return prior rules with the label column as target: files often just say ``label``."""
    from dataclasses import replace

    return tuple(
        replace(rule, head=replace(rule.head, feature=label))
        if rule.head.feature == "label"
        else rule
        for rule in rules.rules
    )


class _Model:
    """A model's labels for the rows of a table, and for made-up neighbours of them."""

    def __init__(self, path: Path, table: Table) -> None:
        from whyproof.models import load_model
        from whyproof.spaces import infer_space, match_columns

        self._model = load_model(path)
        if not self._model.classes:
            raise InputError(f"{path} is a regressor; rules decide between classes")
        matched = match_columns(table, self._model)
        self._points = matched.points(infer_space(matched, self._model))
        by_name = matched.names if table.has_names else table.names
        self._columns = [table.names.index(name) for name in by_name]
        self.labels = self._labels(self._points)

    def __call__(self, sources: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Return the labels of rows whose values come from the given rows."""
        own = sources[:, self._columns]
        return self._labels(self._points[own, np.arange(self._points.shape[1])])

    def _labels(self, points: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        indices = np.asarray(self._model.predict(points), dtype=np.int64)
        named: npt.NDArray[Any] = np.empty(len(self._model.classes), dtype=object)
        named[:] = self._model.classes
        return np.asarray(named[indices])


def _written(rules: RuleSet, request: LearnRequest) -> str:
    from whyproof.asp.rules.json_form import rules_to_json
    from whyproof.asp.rules.write import write_rules

    if request.out is not None and request.out.suffix == ".json":
        return json.dumps(rules_to_json(rules), indent=1, ensure_ascii=False) + "\n"
    return write_rules(rules, "fold" if request.dialect == "fold" else "names")


def _document(
    request: LearnRequest,
    rules: RuleSet,
    extraction: Extraction | None,
    n_rows: int,
    seconds: float,
) -> dict[str, object]:
    from whyproof.asp.rules.json_form import rules_to_json

    quality: dict[str, object] | None = None
    if extraction is not None:
        spread = extraction.quality
        quality = {
            "against": extraction.against,
            "folds": len(extraction.folds),
            "mean": asdict(spread.mean),
            "deviation": asdict(spread.deviation),
        }
    return {
        **rules_to_json(rules),
        "rows": n_rows,
        "surrogate": request.model is not None,
        "quality": quality,
        "seconds": round(seconds, 3),
        "out": None if request.out is None else str(request.out),
    }


def _in_words(
    request: LearnRequest,
    rules: RuleSet,
    extraction: Extraction | None,
    n_rows: int,
    seconds: float,
) -> None:
    from whyproof.asp.rules.values import text_of

    count = len(rules.rules)
    line(f"{counted(count, 'rule')} from {counted(n_rows, 'row')} ({seconds:.2f} s).")
    for number, rule in enumerate(rules.rules, 1):
        paragraph(f"{number}. {rule}{_right(rule.support)}", "  ")
    default = f"otherwise {rules.target} = {text_of(rules.default)}"
    paragraph(f"{count + 1}. {default}{_right(rules.default_support)}", "  ")
    if extraction is not None:
        mean, deviation = extraction.quality.mean, extraction.quality.deviation
        parts = list[str]()
        if request.model is not None:
            parts.append(f"the model's decision on {mean.fidelity:.1%} ± {deviation.fidelity:.1%}")
        if request.label is not None:
            parts.append(f"the label of {mean.accuracy:.1%} ± {deviation.accuracy:.1%}")
        folds = len(extraction.folds)
        paragraph(f"On rows not learnt from ({folds} folds): {', '.join(parts)}.")
    if request.model is not None:
        paragraph("These rules imitate the model; replay what they say on it before relying on it.")
    for written in (request.out, request.proposals):
        if written is not None:
            paragraph(f"Written to {written}.")


def _right(support: Support | None) -> str:
    if support is None:
        return ""
    low, high = support.interval()
    return (
        f" (right on {support.correct:g} of {support.covered:g} rows, {support.confidence:.1%}; "
        f"95% interval {low:.1%} to {high:.1%})"
    )
