"""Rules as models: files and live rules come in, and every explanation is that of all rows."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.asp.learning import FoldSE
from whyproof.asp.rules import RuleError, read_rules
from whyproof.asp.rules.json_form import rules_to_json
from whyproof.cli import main
from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.question import KeepMargin
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.models.from_rules import OTHER, rules_model
from whyproof.rule_tables import rule_table
from whyproof.spaces import infer_space
from whyproof.tables import Table, read_table

RULES = """
label(X,'p') :- odor(X,'f').
label(X,'p') :- not odor(X,'a'), cap(X,N), N>3.0, not ab1(X).
ab1(X) :- stalk(X,'wide'), not odor(X,'n').
label(X,'e') :- cap(X,N), N =< 3.0.
"""
ROWS = """odor,cap,stalk,label
f,4.5,wide,p
n,2.0,wide,e
n,5.0,thin,p
a,,thin,e
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.lp").write_text(RULES)
    (tmp_path / "data.csv").write_text(ROWS)
    return tmp_path


def _all_axps(table: np.ndarray, outcome: np.ndarray, row: np.ndarray) -> set[frozenset[int]]:
    n = table.shape[1]
    own = outcome[(table == row).all(axis=1)][0]
    found: list[set[int]] = []
    for size in range(n + 1):
        for fixed in itertools.combinations(range(n), size):
            same = (table[:, list(fixed)] == row[list(fixed)]).all(axis=1)
            if (outcome[same] == own).all() and not any(f <= set(fixed) for f in found):
                found.append(set(fixed))
    return {frozenset(f) for f in found}


@given(st.integers(0, 10_000), st.sampled_from(["first", "vote"]))
@settings(max_examples=25, deadline=None)
def test_all_explanations_are_those_of_all_rows(seed: int, overlap: str) -> None:
    random = np.random.default_rng(seed)
    words = [["a", "b", "c"], ["u", "v"], ["0", "1", "2"], ["x", "y"]]
    cells = {f"f{i}": random.choice(w, 60).tolist() for i, w in enumerate(words)}
    label = np.where(
        (np.array(cells["f0"]) == "a") ^ (np.array(cells["f1"]) == "u"),
        "yes",
        random.choice(["no", "yes"], 60, p=[0.9, 0.1]),
    )
    table = Table.of(cells)
    learnt = FoldSE(tail=0.0).fit(rule_table(table, list(cells)), label).rules_
    model = rules_model(learnt, table, overlap=overlap, categories=list(cells))  # type: ignore[arg-type]
    explainer = Explainer(model, infer_space(table, model))
    sizes = [len(c.domain.values) for c in explainer.space.columns]  # type: ignore[attr-defined]
    every = np.array(list(itertools.product(*(range(s) for s in sizes))), dtype=float)
    outcome = model.predict(every)
    for row in every[:: len(every) // 3]:
        found = explainer.enumerate(row, kinds=["axp"])
        assert {e.members for e in found} == _all_axps(every, outcome, row)


def test_rules_are_what_runs() -> None:
    table = Table.of({"odor": ["f", "n"], "cap": [4.0, 2.0], "stalk": ["wide", "thin"]})
    model = rules_model(read_rules(RULES), table)
    assert model.classes == ("p", "e", "(undecided)")
    assert model.runtime.name == "the rules themselves"
    assert model.domains[0] == Categories(values=("f", "n", "a"))
    why = Explainer(model, infer_space(table, model)).explain(["f", 1.0, "wide"])
    assert why is not None and why.features == ("odor",)


def test_without_a_table_there_is_any_other_word() -> None:
    model = load_model(read_rules(RULES))
    explainer = Explainer(model)
    flip = explainer.explain(["f", 1.0, OTHER], "cxp")
    assert flip is not None and flip.features == ("odor",)


@pytest.mark.parametrize("form", ["lp", "json", "txt"])
def test_every_form_of_a_file_comes_in(here: Path, form: str) -> None:
    file = here / f"rules.{form}"
    if form == "json":
        file.write_text(json.dumps(rules_to_json(read_rules(RULES)), indent=1))
    if form == "txt":
        file.write_text("IF odor = f THEN label = p\nELSE label = e\n")
    assert main(["explain", str(file), "data.csv", "--row", "0", "--label", "label"]) == 0


def test_a_vote_comes_from_json(here: Path) -> None:
    document = rules_to_json(read_rules("y = a :- odor = f.  y = b :- cap > 3.  y = b :- cap > 4."))
    (here / "set.json").write_text(
        json.dumps({**document, "overlap": "vote", "weights": [3, 1, 1]})
    )
    model = load_model(here / "set.json")
    assert [model.classes[k] for k in model.predict(np.array([[0.0, 5.0], [1.0, 5.0]]))] == [
        "a",
        "b",
    ]
    (here / "set.json").write_text(json.dumps({**document, "overlap": "vote", "weights": [3]}))
    with pytest.raises(ModelError, match="one for each rule"):
        load_model(here / "set.json")
    (here / "set.json").write_text(json.dumps({**document, "overlap": "last"}))
    with pytest.raises(ModelError, match="overlap is first or vote"):
        load_model(here / "set.json")


def test_the_command_line_explains_rules(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enumerate", "rules.lp", "data.csv", "--row", "2", "--label", "label"]) == 0
    assert "1 AXp and 2 CXps: these are all." in capsys.readouterr().out
    for to in ("cnf", "opb", "lp", "asp"):
        given = ["encode", "rules.lp", "data.csv", "--row", "0", "--label", "label"]
        code = main([*given, "--to", to, "--out", f"problem.{to}"])
        text = (here / f"problem.{to}").read_text()
        assert code == 0 and "fixed cap" in text
        assert "column cap | >= 3.0000000000000004" in text or "column cap | in" in text
        assert "column odor | in" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULES.replace("stalk", "stlk"), "did you mean 'stalk'"),
        ("label(X,p :- odor(X,f).", "rules.lp:1:11"),
        ("IF odor = f THEN label = p\nIF odor THEN label = e", "rules.lp:2:1"),
        ("y = 1 :- cap > 3. z = 1 :- cap > 4.", "several targets"),
    ],
)
def test_bad_rules_are_named(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (here / "rules.lp").write_text(text)
    assert main(["explain", "rules.lp", "data.csv", "--row", "0", "--label", "label"]) == 2
    assert message in capsys.readouterr().err


def test_what_rules_cannot_answer_is_said() -> None:
    model = load_model(read_rules("y = a :- cap > 3.  y = b :- cap =< 3."))
    with pytest.raises(UnsupportedError, match="without a score"):
        Explainer(model, question=KeepMargin(0.5)).explain([1.0])
    with pytest.raises(RuleError, match="votes"):
        rules_model(read_rules("y = a :- cap > 3."), weights=[1.0])
    with pytest.raises(DataError, match="overlap"):
        rules_model(read_rules("y = a :- cap > 3."), overlap="last")  # type: ignore[arg-type]


def test_numbers_in_words_and_gaps_are_what_rules_see(here: Path) -> None:
    (here / "mixed.csv").write_text("age,doors\n30,2\n,5more\n41,4\n")
    table = read_table(here / "mixed.csv")
    rules = read_rules(
        "y = old :- not age =< 35.  y = young :- doors = 2.  y = big :- doors = '5more'."
    )
    model = rules_model(rules, table)
    points = table.points(infer_space(table, model))
    assert [model.classes[k] for k in model.predict(points)] == ["young", "old", "old"]
    assert (model.structure.predict(points) == model.predict(points)).all()
