"""``whyproof learn`` and ``whyproof rules export`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from whyproof.asp.rules import read_heads, read_rules
from whyproof.asp.rules.json_form import rules_from_json
from whyproof.cli import main
from whyproof.rule_tables import rule_table
from whyproof.tables import Table, read_table


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    lines = ["age,job,debt,income"]
    for _ in range(300):
        age, debt = int(draw.integers(18, 80)), int(draw.integers(0, 3))
        job = str(draw.choice(["clerk", "cook", "none", "?"]))
        lines.append(f"{age},{job},{debt},{'high' if age > 40 and job != 'none' else 'low'}")
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_learn_writes_rules_that_read_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "learn", "data.csv", "--label", "income", "--out", "rules.lp")
    assert code == 0
    rules = read_rules((here / "rules.lp").read_text())
    assert rules.target == "income" and set(rules.labels) == {"low", "high"}
    assert rules.rules[0].support is not None
    assert "On rows not learnt from (5 folds): the label of" in out
    assert not list(here.glob("*.part"))
    table = read_table("data.csv", "income")
    predicted = rules.predict(rule_table(table))
    assert (predicted == np.array(table.labels, dtype=object)).mean() > 0.98


def test_learn_answers_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["learn", "data.csv", "--label", "income", "--json", "--missing", "?"]
    code, out, _ = run(capsys, *arguments, "--out", "rules.json", "--dialect", "names")
    assert code == 0
    document = json.loads(out)
    assert document["rows"] == 300 and document["surrogate"] is False
    assert document["quality"]["mean"]["accuracy"] > 0.95
    assert rules_from_json((here / "rules.json").read_text()).target == "income"


def test_learn_imitates_a_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xgboost = pytest.importorskip("xgboost")
    draw = np.random.default_rng(1)
    x = draw.uniform(0, 9, size=(300, 2)).round(2)
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)
    model.fit(x, (x[:, 0] > 5).astype(int))
    model.get_booster().feature_names = ["a", "b"]
    model.get_booster().save_model(here / "model.json")
    rows = [f"{a},{b},{'yes' if draw.random() < 0.5 else 'no'}" for a, b in x]
    (here / "x.csv").write_text("a,b,truth\n" + "\n".join(rows) + "\n")
    common = ["learn", "x.csv", "--model", "model.json", "--json"]
    code, out, _ = run(capsys, *common, "--label", "truth")
    document = json.loads(out)
    assert code == 0 and document["surrogate"] is True
    assert document["quality"]["against"] == "labels"
    assert document["quality"]["mean"]["fidelity"] > 0.95
    assert {rule["head"]["value"] for rule in document["rules"]} <= {0, 1}


def test_given_rules_are_kept_and_revised(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "given.lp").write_text("label = low :- job = none.\nlabel = high :- age > 60.\n")
    common = ["learn", "data.csv", "--label", "income", "--out", "r.lp"]
    assert run(capsys, *common, "--given", "given.lp")[0] == 0
    kept = read_rules((here / "r.lp").read_text())
    assert [str(r.body) for r in kept.rules[:2]] == ["job = none", "age > 60"]
    assert run(capsys, *common, "--revise", "given.lp")[0] == 0


def test_proposals_are_causal_rules(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(
        capsys, "learn", "data.csv", "--label", "income", "--folds", "0", "--proposals", "c.lp"
    )
    assert code == 0
    read_heads((here / "c.lp").read_text(), features=["age", "job", "debt"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["learn", "data.csv"], "nothing says what to learn"),
        (["learn", "data.csv", "--label", "incom"], "did you mean 'income'"),
        (["learn", "none.csv", "--label", "income"], "none.csv"),
        (["learn", "one.csv", "--label", "income"], "1 class only, 'low'"),
        (["learn", "gap.csv", "--label", "income"], "gap.csv, line 3, column 'income'"),
        (["learn", "real.csv", "--label", "income"], "numbers with fractions"),
        (["learn", "data.csv", "--label", "income", "--ratio", "-1"], "ratio lies in"),
        (["learn", "data.csv", "--label", "income", "--folds", "1"], "--folds is 0"),
        (["learn", "data.csv", "--label", "income", "--dialect", "x"], "--dialect is"),
        (["learn", "data.csv", "--label", "income", "--heuristic", "x"], "no heuristic"),
        (["learn", "data.csv", "--label", "income", "--target", "hi"], "no class 'hi'"),
        (["learn", "data.csv", "--label", "income", "--given", "bad.lp"], "bad.lp:1:"),
        (["learn", "data.csv", "--label", "income", "--out", "no/r.lp"], "cannot be written"),
        (["rules", "export", "bad.lp"], "bad.lp:1:21"),
        (["rules", "export", "good.lp", "--to", "xml"], "--to is one of"),
        (["rules", "export", "good.lp", "--to", "json", "--data", "data.csv"], "--data adds"),
        (["rules", "export", "bad.json"], "bad.json: the document has no field"),
        (["rules", "export", "good.lp", "--arguments", "x"], "predicate=age,income"),
        (["rules", "export", "missing.lp"], "cannot be read"),
        (["rules", "export", "good.lp", "world.toml"], "no feature 'job'"),
    ],
)
def test_bad_input_gets_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (here / "one.csv").write_text("a,income\n1,low\n2,low\n")
    (here / "gap.csv").write_text("a,income\n1,low\n2,\n3,high\n")
    (here / "real.csv").write_text("a,income\n1,0.5\n2,1.5\n")
    (here / "bad.lp").write_text("label = p :- age =< .\n")
    (here / "good.lp").write_text("label = p :- job = none.\n")
    (here / "bad.json").write_text("{}")
    (here / "world.toml").write_text("[features.age]\ntype = 'integers'\n")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_export_in_every_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "income = low :- not age =< 40.\nincome = high :- not income = low.\n"
    (here / "rules.lp").write_text(text)
    expected = {
        "asp": 'income(X,"low") :- rule1(X).',
        "scasp": "ab1(X) :- age(X,N1), N1 #=< 40.",
        "json": '"format": "whyproof-rules-1"',
        "fold": "income(X,'low') :- not(age(X,N1), N1=<40).",
        "names": "income = low :- not age =< 40.",
    }
    for form, line in expected.items():
        code, out, _ = run(capsys, "rules", "export", "rules.lp", "--to", form)
        assert code == 0 and line in out
        again = ["rules", "export", "out.txt", "--to", form]
        if form in ("json", "fold", "names"):
            assert run(capsys, "rules", "export", "rules.lp", "--to", form, "--out", "out.txt")
            assert run(capsys, *again)[1] == out
    code, out, _ = run(capsys, "rules", "export", "rules.lp", "--to", "asp", "--data", "data.csv")
    assert code == 0 and "row(0..299)." in out


def test_worlds_are_exported_with_what_violates_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "world.toml").write_text(
        "[features.debt]\ntype = 'integers'\n[features.score]\ntype = 'integers'\n"
    )
    (here / "rules.lp").write_text(
        "score >= 620 :- debt = 0.\nlabel = reject :- score < 600.\n:- debt < 0.\n"
    )
    for form in ("asp", "scasp", "json"):
        code, out, _ = run(capsys, "rules", "export", "rules.lp", "world.toml", "--to", form)
        assert code == 0
        assert ("violated" in out) if form != "json" else json.loads(out)["causal"]
    code, out, _ = run(capsys, "rules", "export", "rules.lp", "world.toml", "--to", "names")
    assert (code, out) == (0, "label = reject :- score < 600.\n")


def test_positional_programs_are_exported_by_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cogs.pl").write_text("lite(X,Y) :- X \\= married, Y #=< 6849.0.\n")
    code, out, _ = run(
        capsys, "rules", "export", "cogs.pl", "--arguments", "lite=status,gain", "--to", "names"
    )
    assert (code, out) == (0, "lite = true :- status != married, gain =< 6849.0.\n")


def test_columns_with_many_numbers_and_some_words_are_mixed() -> None:
    cells: list[object] = [str(k) for k in range(30)]
    table = Table.of({"mixed": [*cells, "unknown"], "few": ["2", "4"] * 15 + ["5more"]})
    rows = rule_table(table)
    assert rows["mixed"].is_mixed and not rows["few"].is_mixed
    assert rows.row(3) == {"mixed": 3.0, "few": "4"}
