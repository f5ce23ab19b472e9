"""Reports: self-contained, complete, escaped, and every number in them stands in the store."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from small_world import BruteExplainer, Lender, grid, lending_space

from whyproof.auditing import audit_rows
from whyproof.engine.answers import Entailed, Unknown, UnknownReason
from whyproof.engine.domain import Real
from whyproof.engine.errors import DataError, StoreError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.question import KeepMargin, LeaveInterval, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace
from whyproof.report import explanation_html, report_html, sentence, view_of, witness, write_report
from whyproof.report.page import page_of
from whyproof.report.shares import shares
from whyproof.report.view import Subject
from whyproof.report.words import caveat, conclusion, guarantee
from whyproof.store import Store, StoreWriter, identity
from whyproof.store.canonical import jsonable

VOID = {"meta", "link", "br", "hr", "img", "rect", "line", "path"}
ROWS = {row: grid()[row * 7] for row in range(5)}


class Reader(HTMLParser):
    """Checks that elements nest, collects text, elements and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "audit.db"
    audit_rows(BruteExplainer(), ROWS, path)
    return path


@pytest.fixture(scope="module")
def html(path: Path) -> str:
    with Store.read(path) as store:
        return report_html(store)


def test_it_needs_nothing_but_itself(html: str) -> None:
    reader = Reader(html)
    assert not reader.seen & {"script", "link", "img", "iframe", "object", "video"}
    for name, value in reader.attributes:
        assert name != "src"
        assert not name.startswith("on")
        if name == "href":
            assert value.startswith("#")
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert len(html) < 200_000


def test_it_has_every_part(html: str, path: Path) -> None:
    words = Reader(html).words
    for heading in (
        "How to read this",
        "Which features decide",
        "How many features it takes",
        "Limits",
        "What is proved",
        "Not proved",
        "Semantics",
        "Feature space",
        "Runs",
        "Versions",
    ):
        assert heading in words
    with Store.read(path) as store:
        for row in store.rows():
            assert f"Row {row.row}: the model says {row.record['prediction']}" in words
        assert store.head().hash in words
        assert str(store.identity["model"]) in words
    assert "small world 1.0" in words


def test_every_explanation_of_the_store_stands_in_it(html: str, path: Path) -> None:
    words = Reader(html).words.replace("\u00a0", " ")
    flat = re.sub(r"\s+([,.;])", r"\1", words)
    with Store.read(path) as store:
        page = page_of(store, show=100)
    for row in page.rows:
        for view in (*row.axps, *row.cxps):
            assert sentence(view) in flat
            for name, old, new in view.transitions:
                assert f"{name} {old} → {new}" in flat


def numbers(text: str) -> set[float]:
    found = re.findall(r"(?<![\w.-])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", text)
    return {float(number) for number in found}


def test_every_number_stands_in_the_store_or_counts_what_does(html: str, path: Path) -> None:
    with Store.read(path) as store:
        page = page_of(store)
        stored = " ".join(payload for _, payload, _ in store.journal())
    known = numbers(re.sub(r'[":,\[\]{}]', " ", stored))
    known |= {round(number, 6) for number in known}
    counted: set[float] = {page.axps, page.cxps, len(page.rows), page.head.count}
    for counter in page.sizes.values():
        counted |= {float(n) for entry in counter.items() for n in entry}
    for row in page.rows:
        counted |= {row.stored.row, row.stored.axps, row.stored.cxps}
        counted |= {float(f"{share.found:.2f}") for _, share in row.shares}
        counted |= {float(len(view.free)) for view in row.axps}
        counted |= {float(guarantee(view).split()[-1][:-1]) for view in row.axps if guarantee(view)}
    for line in page.features:
        counted |= {line.rows, line.alone, float(f"{line.share.found:.2f}")}
    text = Reader(html).words
    times = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", " ", text)
    unknown = numbers(times) - known - {float(n) for n in counted}
    assert not unknown
    # and the other way round: each guaranteed margin is at most the stored one
    for row in page.rows:
        for view in row.axps:
            assert view.margin is not None
            if view.margin > 0:
                assert float(guarantee(view).split()[-1][:-1]) <= view.margin


def test_names_and_values_cannot_break_out(path: Path) -> None:
    hostile = '<script>alert("x")</script>'
    space = FeatureSpace.of([hostile, *lending_space().names[1:]])
    explainer = BruteExplainer(space=space)
    explainer.model.source = hostile  # type: ignore[misc]
    target = path.with_name("hostile.db")
    target.unlink(missing_ok=True)
    audit_rows(explainer, {0: ROWS[0]}, target)
    with Store.read(target) as store:
        html = report_html(store, title=hostile)
    assert "<script" not in html
    assert hostile in Reader(html).words
    explanation = explainer.all(ROWS[0])[0]
    assert "<script" not in explanation_html(explanation)


def test_open_failed_and_empty_rows_are_said(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    bad = ROWS[1].copy()
    bad[0] = 17
    audit_rows(BruteExplainer(), {0: ROWS[0], 1: bad, 2: ROWS[2]}, path, limit=2)
    with Store.read(path) as store:
        words = Reader(report_html(store)).words
    assert "Row 1" in words
    assert "could not be explained" in words
    assert "'age'" in words
    assert "the search stopped at the number of explanations asked for" in words
    assert "2 of 3 rows may have more explanations" in words

    never = tmp_path / "never.db"
    audit_rows(BruteExplainer(Lender(threshold=1000.0)), {0: ROWS[0]}, never)
    with Store.read(never) as store:
        words = Reader(report_html(store)).words
    assert "No change of the features that may change ever changes this decision" in words
    assert "Nothing is open" in words

    empty = tmp_path / "empty.db"
    about = identity(Lender(), lending_space(), Region.everywhere(), ReachClass(1))
    StoreWriter.open(empty, about).close()
    with Store.read(empty) as store:
        assert "Limits" in Reader(report_html(store)).words


def test_a_broken_chain_is_said(path: Path, tmp_path: Path) -> None:
    import sqlite3

    broken = tmp_path / "broken.db"
    broken.write_bytes(path.read_bytes())
    connection = sqlite3.connect(broken)
    connection.execute("UPDATE journal SET payload = payload || ' ' WHERE seq = 4")
    connection.commit()
    connection.close()
    with Store.read(broken) as store:
        assert "The chain is broken" in Reader(report_html(store)).words


def test_few_are_shown_and_the_rest_is_counted(path: Path) -> None:
    with Store.read(path) as store:
        html = report_html(store, show=1)
        page = page_of(store, show=1)
    assert all(len(row.axps) <= 1 and len(row.cxps) <= 1 for row in page.rows)
    assert "the store holds all" in Reader(html).words


def test_skipped_rows_and_rows_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    rows = dict(enumerate(grid()[::11]))
    audit_rows(BruteExplainer(question=ReachClass(0)), rows, path)
    with Store.read(path) as store:
        words = Reader(report_html(store, sections=4)).words
        skipped = [row.row for row in store.rows() if row.status == "skipped"]
    assert "The model already says <=50K; there is nothing to reach." in words
    assert f"{len(skipped)} are already what was asked for" in words
    assert f"The first 4 of {len(rows)} rows are written out below." in words
    assert "Row 3" in words
    assert "Row 4" not in words


def test_writing_is_all_or_nothing(path: Path, tmp_path: Path) -> None:
    with Store.read(path) as store:
        out = write_report(store, tmp_path / "report.html")
        assert out.read_text(encoding="utf-8").endswith("</html>")
        with pytest.raises(DataError, match="the store itself"):
            write_report(store, path)
        with pytest.raises(StoreError, match="cannot write"):
            write_report(store, tmp_path / "none" / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_no_page_is_needed_for_a_sentence() -> None:
    program = "import sys, whyproof.report.words; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


# -- sentences ----------------------------------------------------------------------

INSTANCE = np.array([2.0, 1.0, 1.0, 0.0, 1.0])


def axp(explainer: BruteExplainer, members: set[int], margin: float | None = 0.5) -> Explanation:
    evidence = Entailed(frozenset(members), margin)
    return Explanation(explainer.problem(INSTANCE), Kind.AXP, frozenset(members), evidence)


def test_abductive_sentences() -> None:
    everywhere = BruteExplainer()
    assert sentence(view_of(axp(everywhere, {0, 2}))) == (
        "Because age = 2 and job = part-time, whatever the other 3 features are, "
        "the model says >50K."
    )
    assert sentence(view_of(axp(everywhere, {0, 1, 2, 3}))) == (
        "Because age = 2, capital gain = 1, job = part-time and owner = false, "
        "whatever the other feature (colour) is, the model says >50K."
    )
    assert sentence(view_of(axp(everywhere, set()))) == (
        "Whatever the 5 features are, the model says >50K."
    )
    assert sentence(view_of(axp(everywhere, {0, 1, 2, 3, 4}))).endswith(
        "colour = blue, the model says >50K."
    )
    frozen = BruteExplainer(space=lending_space(immutable=["age", "job"]))
    assert "whatever the other 2 features that may change are" in sentence(
        view_of(axp(frozen, {1}))
    )
    near = BruteExplainer(region=Region.ball(1.0))
    assert "wherever the other 4 features move within the region" in sentence(
        view_of(axp(near, {1}))
    )


def test_conclusions_follow_the_question() -> None:
    classes = {"classes": ["no", "yes"]}

    def said(question: object) -> str:
        return conclusion(Subject({"question": jsonable(question), **classes}), "yes")

    assert said({"type": "ReachClass", "target": 0}) == "the model does not say no"
    assert said({"type": "KeepMargin", "floor": 0.25}) == (
        "the model says yes with a lead of at least 0.25"
    )
    assert said({"type": "LeaveInterval", "lower": 1.0, "upper": float("inf")}) == (
        "the model's value stays at least 1"
    )
    assert {type(q).__name__ for q in (ReachClass(0), KeepMargin(1.0), LeaveInterval(0, 1))} == {
        "ReachClass",
        "KeepMargin",
        "LeaveInterval",
    }


def test_contrastive_sentences() -> None:
    for explanation in BruteExplainer().all(INSTANCE):
        if explanation.kind is Kind.CXP:
            view = view_of(explanation)
            alone = len(explanation) == 1
            assert ("alone can" in sentence(view)) == alone or "neither alone" in sentence(view)
            assert witness(view).endswith("the model says <=50K.")
            for name in explanation.features:
                assert f"{name} " in witness(view)


def test_what_is_not_proved_is_said() -> None:
    found = axp(BruteExplainer(), {0, 2})
    assert caveat(view_of(found)) == ""
    weak = replace(found, open=frozenset({2}))
    assert caveat(view_of(weak)) == "It is not known whether job could be left out."
    unknown = replace(found, evidence=Unknown(UnknownReason.TIME))
    assert "Not shown to be an explanation" in caveat(view_of(unknown))
    assert "not decided" in sentence(view_of(unknown))
    assert guarantee(view_of(unknown)) == ""


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (None, ""),
        (0.0, ""),
        (-0.0, ""),
        (0.31999, "Guaranteed margin 0.319."),
        (12.0, "Guaranteed margin 12."),
        (float("inf"), "No other answer exists at all."),
    ],
)
def test_guarantees_are_rounded_down(margin: float | None, words: str) -> None:
    assert guarantee(view_of(axp(BruteExplainer(), {0}, margin))) == words


def test_one_hot_blocks_and_other_groups_speak_as_one() -> None:
    names = ["age", "colour_red", "colour_blue", "r", "g"]
    groups = {"colour": ["colour_red", "colour_blue"], "pixel": ["r", "g"]}
    space = FeatureSpace.of(names, dict.fromkeys(names, Real()), groups=groups)
    explainer = BruteExplainer(space=space)
    found = axp(explainer, {1, 2})
    found = replace(found, problem=explainer.problem(np.array([2.0, 0.0, 1.0, 0.5, 0.25])))
    assert "colour = blue, r = 0.5 and g = 0.25" in sentence(view_of(found))


def test_notebooks_show_explanations() -> None:
    import whyproof.explainer  # noqa: F401  # registers how

    for explanation in BruteExplainer().all(INSTANCE):
        html = explanation._repr_html_()
        assert html is not None
        reader = Reader(html)
        assert "proved minimal" in reader.words
        assert reader.seen <= {"div", "table", "tr", "td", "b", "span"}


def test_shares_bound_what_they_do_not_know() -> None:
    names = ["a", "b", "c", "d"]
    axps = [frozenset({0, 1}), frozenset({0, 2})]
    cxps = [frozenset({0}), frozenset({1, 2})]
    exact = shares(names, axps, cxps, complete=True)
    assert [s.found for s in exact] == [1.0, 0.5, 0.5, 0.0]
    assert all(s.exact and not s.bounded for s in exact)
    partial = shares(names, axps[:1], cxps[:1], ["d"], complete=False)
    for share, truth in zip(partial, exact, strict=True):
        assert share.lower <= truth.found <= share.upper
    assert (partial[0].lower, partial[3].upper) == (1.0, 0.0)
    assert partial[1].bounded


def test_json_in_the_store_is_strict(path: Path) -> None:
    with Store.read(path) as store:
        for _, payload, _ in store.journal():
            json.loads(payload, parse_constant=lambda name: pytest.fail(name))
