"""``whyproof encode``: files that other solvers read, and what is wrong in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pysat.formula import CNF
from pysat.solvers import Solver

from whyproof.cli import main

xgboost = pytest.importorskip("xgboost")

FORMATS = ["cnf", "wcnf", "opb", "lp", "mps", "asp"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two classes, one of three, and a table."""
    folder = tmp_path_factory.mktemp("encode")
    draw = np.random.default_rng(0)
    x = np.round(draw.uniform(0, 100, size=(120, 4)), 1)
    score = x[:, 1] - x[:, 2]
    for name, y in (("two", (score > 0).astype(int)), ("three", np.digitize(score, [-20, 20]))):
        model = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1).fit(x, y)
        model.get_booster().feature_names = ["age", "income", "debt", "a"]
        model.get_booster().save_model(folder / f"{name}.json")
    lines = ["age,income,debt,a", *(",".join(map(str, row)) for row in x[:10])]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in world.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["encode", *arguments])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_carries_a_key_to_its_variables(
    here: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    code, out, err = run(
        capsys, "two.json", "data.csv", "--row", "2", "--to", to, "--out", f"p.{to}"
    )
    assert (code, err) == (0, "")
    assert f"p.{to}" in out
    text = (here / f"p.{to}").read_text()
    assert "income" in text
    assert "Model sha256:" in text
    assert not (here / f"p.{to}.part").exists()


def test_what_the_file_says_is_what_explain_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The AXp's selectors make the clauses unsatisfiable, and no fewer do."""
    for model in ("two.json", "three.json"):
        row = (model, "data.csv", "--row", "1")
        assert run(capsys, *row, "--to", "cnf", "--out", "p.cnf", "--json")[0] == 0
        assert main(["explain", *row, "--json"]) == 0
        axp = json.loads(capsys.readouterr().out)["features"]
        key = {
            name: int(number)
            for line in (here / "p.cnf").read_text().splitlines()
            if line.startswith("c ") and " = fixed " in line
            for number, name in [line[2:].split(" = fixed ")]
        }
        with Solver(bootstrap_with=CNF(from_file="p.cnf")) as solver:
            assert not solver.solve(assumptions=[key[name] for name in axp])
            for name in axp:
                assert solver.solve(assumptions=[key[other] for other in axp if other != name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--to": "cnff"}, "did you mean 'cnf'"),
        ({"--to": "smt"}, "known are cnf, wcnf, opb, lp, mps, asp"),
        ({"--row": "99"}, "rows 0 to 9"),
        ({"--out": "nowhere/p.cnf"}, "cannot be written"),
        ({"--out": "two.json"}, "would overwrite"),
        ({"--epsilon": "3", "--norm": "l1"}, "l1"),
        ({"--target": "7"}, "no class '7'"),
    ],
)
def test_bad_input_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    options = {"--row": "0", "--to": "cnf", "--out": "p.cnf", **change}
    code, out, err = run(
        capsys, "two.json", "data.csv", *(word for pair in options.items() for word in pair)
    )
    assert (code, out) == (2, "")
    assert said in err
    assert not (here / "p.cnf").exists()


@pytest.mark.parametrize("to", ["wcnf", "lp", "mps"])
def test_formats_with_one_objective_say_what_to_use_for_more_classes(
    here: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    code, _, err = run(
        capsys, "three.json", "data.csv", "--row", "0", "--to", to, "--out", f"p.{to}"
    )
    assert code == 2
    assert "use opb or cnf" in err


@pytest.mark.parametrize("encoding", ["clauses", "program", "asp"])
def test_a_second_opinion_is_asked_by_name(
    here: Path, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    arguments = ["two.json", "data.csv", "--row", "2", "--kind", "cxp", "--smallest", "--json"]
    sizes = set()
    for name in ("search", encoding):
        assert main(["explain", *arguments, "--encoding", name]) == 0
        sizes.add(len(json.loads(capsys.readouterr().out)["features"]))
    assert len(sizes) == 1


def test_an_unknown_encoding_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "two.json", "data.csv", "--row", "2", "--encoding", "clause"]) == 2
    assert "did you mean 'clauses'" in capsys.readouterr().err


def test_constraints_in_a_space_file_are_not_left_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "".join(f'[columns.{c}]\ntype = "real"\n' for c in ("age", "income", "debt", "a"))
    (here / "space.toml").write_text(columns + '[rules]\nconstraints = ["age >= 0."]\n')
    arguments = ["two.json", "data.csv", "--row", "2", "--space", "space.toml"]
    code, _, err = run(capsys, *arguments, "--to", "cnf", "--out", "p.cnf")
    assert code == 2
    assert "do not state constraints" in err
    assert not (here / "p.cnf").exists()
