"""Nearest changes from the command line: worlds, several models, plausibility, other families."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import tiny_network

from whyproof.checker import Refused, check_certificate
from whyproof.checker.document import digest_of
from whyproof.cli import main
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.errors import DataError, ModelError
from whyproof.models import load_model
from whyproof.models.isolation import fitted_isolation, isolation_depths, isolation_floor
from whyproof.spaces import infer_space
from whyproof.store import Store
from whyproof.tables import read_table

xgboost = pytest.importorskip("xgboost")
pytest.importorskip("sklearn")

NAMES = ["age", "income", "debt", "years"]
Run = Callable[..., tuple[int, str, str]]

WORLD = """
name = "loans"
rules = ["rules.lp"]
[features.age]
type = "real"
lower = 0
upper = 100
change = "immutable"
[features.income]
type = "real"
lower = 0
upper = 100
change = "immutable"
[features.debt]
type = "real"
lower = 0
upper = 100
change = "frozen"
[features.years]
type = "real"
lower = 0
upper = 100
change = "up"
"""


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of one decision, their rows, and a causal world."""
    folder = tmp_path_factory.mktemp("loans")
    draw = np.random.default_rng(1)
    x = np.round(draw.uniform(0, 100, size=(200, len(NAMES))), 1)
    y = (x[:, 1] - x[:, 2] + 0.3 * x[:, 0] > 15).astype(int)
    for name, first in (("model", 0), ("later", 40), ("third", 80)):
        made = xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1)
        made.fit(x[first:], y[first:]).get_booster().feature_names = NAMES
        made.get_booster().save_model(folder / f"{name}.json")
    rows = [",".join(NAMES), *(",".join(str(v) for v in row) for row in x[:60])]
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    (folder / "world.toml").write_text(WORLD)
    (folder / "rules.lp").write_text("income >= 70 :- years >= 60.\n")
    return folder


@pytest.fixture
def run(
    loans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    for file in loans.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


MODEL = ("model.json", "data.csv", "--row", "2")


def test_in_a_world_only_what_is_done_costs(run: Run) -> None:
    code, out, err = run("nearest", *MODEL, "--world", "world.toml", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["status"], found["moved"]) == ("optimal", ["income", "years"])
    assert found["effects"] == ["income"]
    years = found["point"]["years"]
    assert years >= 60
    assert found["distance"] == pytest.approx(years - 53.8, abs=1e-4)
    code, out, _ = run("nearest", *MODEL, "--world", "world.toml")
    assert code == 0
    assert "It follows that income goes from 2.8" in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--world", "nothing.toml"), "nothing.toml cannot be read"),
        (("--world", "world.toml", "--down", "years"), "'years' contradict each other"),
        (("--world", "strange.toml"), "'job', which is no column of the model"),
        (("--solver", "cplex"), "no solver 'cplex'"),
        (("--isolation", "1.5"), "--isolation is between 0 and 1"),
        (("--models", "later.json", "--share", "0"), "--share is above 0"),
        (("--models", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_used_is_one_line(run: Run, options: tuple[str, ...], message: str) -> None:
    job = '[features.job]\ntype = "boolean"\n'
    Path("strange.toml").write_text(WORLD.replace("rules.lp", "strange.lp") + job)
    Path("strange.lp").write_text("income >= 70 :- job = true.\n")
    code, _, err = run("nearest", *MODEL, *options)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_models_take_all_files_that_follow(run: Run) -> None:
    options = ("--models", "later.json", "third.json", "--target", "1", "--json")
    code, out, err = run("nearest", *MODEL, *options)
    assert code == 0, err
    all_three = json.loads(out)
    point = np.array([[all_three["point"][name] for name in NAMES]])
    files = ("model.json", "later.json", "third.json")
    assert [load_model(file).predict(point)[0] for file in files] == [1, 1, 1]
    code, out, _ = run("nearest", *MODEL, *options, "--share", "0.6")
    assert code == 0
    two = json.loads(out)
    assert two["distance"] < all_three["distance"]
    assert sum(outcome == "1" or outcome == 1 for outcome in two["outcomes"]) == 2


def test_rules_that_leave_nothing_are_certified(run: Run) -> None:
    options = ("--immutable", "income", "--immutable", "debt", "--up", "age")
    code, out, err = run("nearest", *MODEL, *options, "--certify", "none.json", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["status"] == "none"
    assert found["conflict"]["smallest"]
    code, out, _ = run("check", "none.json", "--model", "model.json")
    assert code == 0
    assert "forces 0" in out
    content = json.loads(Path("none.json").read_text())
    content["decisions"][0]["claims"][0]["features"].pop()
    content["digest"] = digest_of(content)
    with pytest.raises(Refused):
        check_certificate(json.dumps(content), Path("model.json").read_bytes())


def test_a_direction_in_a_conflict_is_part_of_the_certificate(run: Run) -> None:
    options = ("--down", "income", "--up", "debt", "--immutable", "age", "--immutable", "years")
    code, out, err = run("nearest", *MODEL, *options, "--certify", "none.json", "--json")
    assert code == 0, err
    rules = json.loads(out)["conflict"]["rules"]
    assert "income only falls" in rules
    code, out, _ = run("check", "none.json", "--model", "model.json", "--json")
    assert code == 0
    claims = json.loads(Path("none.json").read_text())["decisions"]
    # One decision under all rules of the conflict, and one without each direction in it.
    directions = [rule for rule in rules if "only" in rule]
    assert len(claims) == 1 + len(directions)


def test_an_isolation_forest_is_a_floor_on_its_own_score(run: Run) -> None:
    del run
    data = np.random.default_rng(0).normal(size=(120, 3))
    forest = fitted_isolation(data)
    depths = isolation_depths(forest)
    points = np.random.default_rng(1).normal(size=(200, 3)) * 2
    mean = depths.sums(points)[:, 0]
    expected = 2.0 * (np.log(63) + np.euler_gamma) - 2.0 * 63 / 64
    assert forest.score_samples(points) == pytest.approx(-(2.0 ** (-mean / expected)), abs=1e-9)
    floor = isolation_floor(forest, data, 0.25)
    inside = depths.sums(data)[:, 0] >= floor.least
    assert inside.mean() == pytest.approx(0.75, abs=0.01)
    with pytest.raises(ModelError, match="IsolationForest is needed"):
        isolation_depths(object())
    with pytest.raises(DataError, match="between 0 and 1"):
        isolation_floor(forest, data, 0.0)
    with pytest.raises(DataError, match="missing values"):
        fitted_isolation(np.full((2, 2), np.nan))


@pytest.mark.slow
def test_plausible_points_are_no_outliers_and_cost_more(run: Run) -> None:
    code, out, _ = run("nearest", *MODEL, "--json")
    plain = json.loads(out)
    code, out, err = run("nearest", *MODEL, "--isolation", "0.4", "--json")
    assert code == 0, err
    usual = json.loads(out)
    table = read_table("data.csv")
    points = table.points(infer_space(table, load_model("model.json")))
    floor = isolation_floor(fitted_isolation(points), points, 0.4)
    point = np.array([[usual["point"][name] for name in NAMES]])
    assert floor.ensemble.sums(point)[0, 0] >= floor.least
    assert usual["distance"] >= plain["distance"]


def test_sheets_prove_the_distance_again(run: Run) -> None:
    here = ("model.json", "data.csv", "--rows", "0:3")
    assert run("audit", *here, "--store", "s.db", "--jobs", "1")[0] == 0
    assert run("nearest", *here, "--store", "s.db", "--scale", "range", "--ranges", "any")[0] == 0
    people = ("--kind", "person", "--out", "people", "--model", "model.json")
    assert run("report", "s.db", *people)[0] == 0
    for row in range(3):
        file = f"people/person-{row:06d}.certificate.json"
        code, out, _ = run("check", file, "--model", "model.json")
        assert code == 0
        assert "is nearer than" in out


def test_what_is_open_stands_under_what_is_not_proved(run: Run) -> None:
    here = ("model.json", "data.csv", "--rows", "0:2", "--store", "s.db")
    assert run("audit", *here, "--limit", "1", "--jobs", "1")[0] == 0
    assert run("report", "s.db", "--kind", "person", "--out", "people")[0] == 0
    sheet = json.loads(Path("people/person-000000.json").read_text())
    said = "Other factors may be able to change the decision alone."
    assert said in sheet["not_proved"]
    assert not any("alone" in proved for proved in sheet["proved"])
    page = Path("people/person-000000.html").read_text()
    assert page.index("What is not") < page.index(said)
    assert run("report", "s.db", "--kind", "examiner", "--out", "e.html")[0] == 0
    page = Path("e.html").read_text()
    assert "AnyOther" not in page
    assert "any other class than the predicted one" in page
    assert "one sum over 8 trees" in page


def test_merged_stores_keep_the_counterfactuals_of_each(run: Run) -> None:
    for name, rows in (("left.db", "0:2"), ("right.db", "1:4")):
        here = ("model.json", "data.csv", "--rows", rows, "--store", name)
        assert run("audit", *here, "--jobs", "1")[0] == 0
        assert run("nearest", *here)[0] == 0
    code, _, err = run("store", "merge", "left.db", "right.db", "--out", "both.db")
    assert code == 0, err
    with Store.read("both.db") as both, Store.read("left.db") as left, Store.read("right.db") as r:
        known = {**left.counterfactuals(), **r.counterfactuals()}
        merged = both.counterfactuals()
        assert sorted(merged) == [0, 1, 2, 3]
        for row, change in merged.items():
            assert change.record["distance"] == pytest.approx(known[row].record["distance"])
    assert run("store", "verify", "both.db")[0] == 0


def test_rules_and_their_nearest_change(run: Run) -> None:
    Path("decision.lp").write_text("label = 1 :- income >= 50, debt < 40.\nlabel = 0.\n")
    code, out, err = run("nearest", "decision.lp", "data.csv", "--row", "2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["status"] == "optimal"
    assert found["point"]["income"] == 50
    assert found["point"]["debt"] == pytest.approx(40, abs=1e-9)
    assert found["point"]["debt"] < 40
    code, out, _ = run("nearest", "decision.lp", "data.csv", "--row", "2", "--down", "income")
    assert code == 0
    assert "income only falls" in out
    code, _, err = run("nearest", "decision.lp", "data.csv", "--row", "2", "--support", "0.1")
    assert code == 2
    assert "counts data in leaves" in err


def test_networks_of_files_have_other_norms_and_rules(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    tiny_network(tmp_path / "net.onnx", 3)
    images = (np.random.default_rng(0).random((2, 4, 4)) * 255).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    here = ("nearest", "net.onnx", "images.npy", "--row", "0", "--json")
    code, out, err = run(*here, "--norm", "l1")
    assert code == 0, err
    free = json.loads(out)
    assert free["status"] == "optimal"
    code, out, err = run(*here, "--norm", "l1", "--up", "pixel 1,0")
    assert code == 0, err
    bound = json.loads(out)
    assert bound["point"]["pixel 1,0"] >= images[0, 1, 0] / 255 - 1e-6
    assert bound["distance"] >= free["distance"] * (1 - 1e-4)
    code, _, err = run(*here, "--norm", "l1", "--k", "2")
    assert code == 2
    assert "--diverse" in err


@pytest.mark.slow
def test_groups_keep_away_from_outliers_too(run: Run) -> None:
    code, out, err = run(
        "recourse", "model.json", "data.csv", "--rows", "0:2", "--actions", "2",
        "--isolation", "0.1", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["actions"]


def test_solvers_are_chosen_in_python_too(loans: Path) -> None:
    model = load_model(loans / "model.json")
    table = read_table(loans / "data.csv")
    space = infer_space(table, model)
    search = NearestSearch([model], space, solver="highs")
    assert search.solver == "highs"


def test_steps_below_the_usual_digits_are_written_out() -> None:
    from whyproof.recourse.answers import from_to

    assert from_to({"from": 26.0, "to": 26.0 - 2**-19}) == "26 to 25.9999981"
    assert from_to({"from": 26.0, "to": 25.0}) == "26 to 25"
