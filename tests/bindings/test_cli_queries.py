"""Constraints and queries from the command line: answers, exit codes, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from whyproof.cli import main
from whyproof.engine.space import FeatureSpace
from whyproof.space_files import space_as_toml, space_from_toml

xgboost = pytest.importorskip("xgboost")

NAMES = ["age", "income", "debt", "years"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    x = np.random.default_rng(0).integers(0, 100, size=(120, 4)).astype(float)
    y = (x[:, 1] - x[:, 2] + 0.3 * x[:, 3] > 15).astype(int)
    model = xgboost.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1).fit(x, y)
    model.get_booster().feature_names = NAMES
    model.get_booster().save_model(folder / "two.json")
    rows = [",".join(NAMES), *(",".join(str(v) for v in row) for row in x[:30])]
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    (folder / "keep.lp").write_text(
        "% debts are paid\ndebt <= was(debt).\nincome >= was(income).\n"
    )
    (folder / "no.lp").write_text("debt > 1000.\n")
    (folder / "clash.lp").write_text("age >= 3.\ndebt > income.\nincome > debt + 1.\n")
    (folder / "typo.lp").write_text(":- incme > 3.\n")
    return folder


@pytest.fixture(autouse=True)
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


BASE = ("two.json", "data.csv", "--row", "0")


def test_rules_bind_every_answer(capsys: pytest.CaptureFixture[str]) -> None:
    plain = told(capsys, "explain", *BASE)
    bound = told(capsys, "explain", *BASE, "--rules", "keep.lp")
    assert len(bound["features"]) <= len(plain["features"])
    code, out, _ = run(capsys, "enumerate", *BASE, "--rules", "keep.lp", "--json")
    assert code == 0
    row = (Path("data.csv").read_text().splitlines()[1]).split(",")
    debt, income = float(row[2]), float(row[1])
    flips = [json.loads(text) for text in out.splitlines()[:-1]]
    for flip in flips:
        if flip["kind"] == "cxp":
            assert flip["evidence"]["point"]["debt"] <= debt
            assert flip["evidence"]["point"]["income"] >= income


@pytest.mark.slow
def test_words_say_when_a_reason_needs_constraints(capsys: pytest.CaptureFixture[str]) -> None:
    for row in range(30):
        code, out, _ = run(
            capsys, "explain", "two.json", "data.csv", "--row", str(row), "--rules", "keep.lp"
        )
        assert code == 0
        assert ("as far as the constraints allow" in out) == ("It rests on the constraint" in out)


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ("no.lp", "the instance violates the constraint 'debt > 1000' (no.lp:1)"),
        ("clash.lp", "'debt > income' (clash.lp:2) and 'income > debt + 1' (clash.lp:3)"),
        ("typo.lp", "typo.lp:1:4: no column 'incme'; did you mean 'income'?"),
        ("absent.lp", "absent.lp cannot be read"),
    ],
)
def test_bad_rules_get_one_line(
    capsys: pytest.CaptureFixture[str], rules: str, complaint: str
) -> None:
    code, out, err = run(capsys, "explain", *BASE, "--rules", rules)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_membership(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "query", *BASE, "--necessary", "income", "--relevant", "debt")
    assert [f["query"] for f in found["findings"]] == ["necessary", "relevant"]
    axps = [
        set(json.loads(text)["features"])
        for text in run(capsys, "enumerate", *BASE, "--kind", "axp", "--json")[1].splitlines()[:-1]
    ]
    assert found["findings"][0]["holds"] == all("income" in axp for axp in axps)
    assert found["findings"][1]["holds"] == any("debt" in axp for axp in axps)
    code, out, _ = run(capsys, "query", *BASE, "--necessary", "income")
    assert code == 0
    assert "income in every AXP" in out


def test_even_if_is_proved_or_shown_false(capsys: pytest.CaptureFixture[str]) -> None:
    axp = set(told(capsys, "explain", *BASE, "--kind", "axp")["features"])
    others = [name for name in NAMES if name not in axp]
    free = [part for name in others for part in ("--even-if", name)]
    found = told(capsys, "query", *BASE, *free)
    assert found["stays"] is True and not set(found["evidence"]["core"]) & set(others)
    everything = [part for name in NAMES for part in ("--even-if", name)]
    broken = told(capsys, "query", *BASE, *everything)
    assert broken["stays"] is False and broken["evidence"]["moved"]
    code, out, _ = run(capsys, "query", *BASE, *free)
    assert code == 0 and "does not change its mind" in out and "proved" in out
    code, out, _ = run(capsys, "query", *BASE, *everything)
    assert code == 0 and "instead of" in out


def test_inflation_covers_its_own_row(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "query", *BASE, "--inflate")
    assert found["conditions"]
    assert found["coverage"] > 0
    for kind in ("axp", "cxp"):
        code, out, _ = run(capsys, "query", *BASE, "--inflate", "--kind", kind)
        assert code == 0
        assert ">=" in out or "<=" in out


def test_sets_with_a_property(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "query", *BASE, "--such-that", "at_most_one(age, years).")
    assert found["proved"]
    none = told(capsys, "query", *BASE, "--such-that", ":- income. :- debt. :- not age.")
    assert none["explanation"] is None


def test_probabilities_have_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "query", *BASE, "--probability", "0.8", "--json")
    low, high = json.loads(out)["probability"]
    assert 0 <= low <= high <= 1
    assert code in (0, 3)


def test_a_cover_covers_all_rows(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "cover", "two.json", "data.csv", "--rows", "0:12")
    assert found["covered"] == found["rows"] == 12
    code, out, _ = run(capsys, "cover", "two.json", "data.csv", "--rows", "0:3")
    assert code == 0
    assert "of 3 rows" in out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "ask one thing"),
        (["--inflate", "--probability", "0.5"], "ask one thing"),
        (["--necessary", "incme"], "did you mean 'income'?"),
        (["--such-that", ":- incme."], "did you mean 'income'?"),
        (["--probability", "1.5"], "a probability lies above 0"),
        (["--inflate", "--kind", "why"], "no kind of explanation"),
    ],
)
def test_bad_queries_get_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    code, out, err = run(capsys, "query", *BASE, *options)
    assert (code, out) == (2, "")
    assert complaint in err


def test_constraints_of_space_files_round_trip() -> None:
    text = """
[columns.age]
type = "integers"
[columns.debt]
[rules]
constraints = [
    "debt <= 9 :- age < 18.",
]
"""
    space = space_from_toml(text, source="s.toml")
    assert str(space.constraints[0]) == "'debt <= 9 :- age < 18' (s.toml:7)"
    again = space_from_toml(space_as_toml(space))
    point = again.encode({"age": 3, "debt": 10})
    assert not again.constraints[0].holds(point[None])[0]
    with pytest.raises(ValueError, match=r"s\.toml:3:1: no column 'dept'; did you mean 'debt'"):
        space_from_toml('[columns.debt]\n[rules]\nconstraints = ["dept < 3"]', source="s.toml")
    assert isinstance(space, FeatureSpace)
