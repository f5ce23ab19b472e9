"""``whyproof counterfactual``: files in, files out, exit codes, one line for every error."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from whyproof.cli.failures import run  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of people and a network that says good where income - debt exceeds 40."""
    place = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    rows = np.stack(
        [random.integers(18, 70, 160), random.integers(10, 100, 160), random.integers(0, 50, 160)],
        axis=1,
    )
    lines = ["age,income,debt,label"]
    lines += [",".join(map(str, [*row, int(row[1] - row[2] > 40)])) for row in rows.tolist()]
    (place / "people.csv").write_text("\n".join(lines) + "\n")

    network = torch.nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0, -0.2, 0.2], [0.0, 0.2, -0.2]]))
        network.bias.copy_(torch.tensor([8.0, -8.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3),),
            place / "model.onnx",
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    (place / "world.toml").write_text(
        'name = "people"\n\n[features.age]\ntype = "integers"\nlower = 18\nupper = 99\n'
        'change = "up"\n\n[features.income]\ntype = "integers"\nlower = 0\nupper = 200\n\n'
        '[features.debt]\ntype = "integers"\nlower = 0\nupper = 100\nchange = "frozen"\n'
    )
    return place


def arguments(folder: Path, out: str, *more: str) -> list[str]:
    return [
        "counterfactual",
        str(folder / "model.onnx"),
        str(folder / "people.csv"),
        "--label",
        "label",
        "--density",
        "mixture",
        "--out",
        str(folder / out),
        *more,
    ]


def test_rows_to_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, "rows.json", "--rows", "0:20", "--up", "age", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    written = json.loads((folder / "rows.json").read_text())
    assert said["rows"] == written["rows"] == len(written["counterfactuals"])
    assert said["valid"] == 1.0
    assert said["rows"] + said["skipped"] == 20
    for entry in written["counterfactuals"]:
        change = entry["changes"].get("age", {"from": 0, "to": 1})
        assert change["to"] > change["from"]


def test_groups_to_a_page_and_all_to_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(folder, "page.html", "--level", "group", "--groups", "2")) == 0
    assert "in 2 groups" in capsys.readouterr().out
    assert "<h2>Group 2" in (folder / "page.html").read_text()
    pytest.importorskip("pandas")
    assert run(arguments(folder, "all.csv", "--level", "global", "--immutable", "age")) == 0
    with (folder / "all.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert all(line["valid"] == "True" for line in lines)


def test_a_world_says_what_may_change(folder: Path) -> None:
    world = ("--world", str(folder / "world.toml"), "--rows", "0:30")
    assert run(arguments(folder, "world.json", *world)) in (0, 3)
    for entry in json.loads((folder / "world.json").read_text())["counterfactuals"]:
        assert "debt" not in entry["changes"]


@pytest.mark.parametrize("level", ["local", "group", "global"])
def test_what_is_proposed_obeys_the_causal_rules_of_a_world(folder: Path, level: str) -> None:
    (folder / "rules.toml").write_text(
        (folder / "world.toml").read_text().replace('change = "frozen"\n', "")
        + '\n[[causal]]\nif = "income >= 60"\nthen = "debt >= 8"\n'
    )
    world = ("--world", str(folder / "rules.toml"), "--rows", "0:60", "--level", level)
    assert run(arguments(folder, "ruled.csv", *world)) in (0, 3)
    with (folder / "ruled.csv").open() as file:
        lines = list(csv.DictReader(file))
    valid = [line for line in lines if line["valid"] == "True"]
    assert len(valid) >= 0.9 * len(lines)
    for line in valid:
        assert float(line["income"]) < 60 or float(line["debt"]) >= 8
        # At 40 exactly rounding in the network decides.
        assert float(line["income"]) - float(line["debt"]) >= 40
    # Without the rules most points would break them.
    assert run(arguments(folder, "free.csv", *world[2:])) == 0
    with (folder / "free.csv").open() as file:
        free = list(csv.DictReader(file))
    assert any(float(x["income"]) >= 60 and float(x["debt"]) < 8 for x in free)


def test_pictures(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = folder / "moves.png"
    assert run(arguments(folder, "p.json", "--rows", "0:20", "--picture", str(picture))) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_what_rows_mend_by_steps_of_their_own_may_be_said(folder: Path) -> None:
    found: dict[str, dict[str, object]] = {}
    for mend in ("none", "plausibility"):
        more = ("--rows", "0:50", "--level", "global", "--immutable", "income", "--mend", mend)
        assert run(arguments(folder, "mend.json", *more)) in (0, 3)
        found[mend] = json.loads((folder / "mend.json").read_text())
    assert set(found["none"]["outcomes"]) <= {"found", "not found"}  # type: ignore[call-overload]
    assert {"mended", "impossible"} & set(found["plausibility"]["outcomes"])  # type: ignore[call-overload]
    for key in ("valid", "plausible"):
        assert float(str(found["plausibility"][key])) >= float(str(found["none"][key]))


@pytest.mark.slow
def test_rows_that_are_images_are_drawn_as_such(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    picture = folder / "images.png"
    draw = ["--picture", str(picture), "--rows", "0:20", "--images"]
    assert run(arguments(folder, "p.json", *draw, "1x3")) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert run(arguments(folder, "p.json", *draw, "2x3")) == 2
    assert "have 6 pixels, rows have 3 columns" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--level", "all"], "--level is local, group or global, found 'all'"),
        (["--groups", "3"], "--groups is for --level group"),
        (["--level", "group", "--groups", "500"], "500 groups of"),
        (["--density", "foo"], "--density is flow, mixture, kernel, zuko, none"),
        (["--mend", "all"], "--mend is plausibility, validity, none, found 'all'"),
        (["--images", "8x8"], "--images says how --picture draws rows"),
        (["--picture", "x.png", "--images", "8"], "a height and a width such as 8x8, found '8'"),
        (["--target", "7"], "no class 7"),
        (["--up", "agee"], "did you mean 'age'"),
        (["--up", "age", "--down", "age"], "contradict each other"),
        (["--rows", "900"], "the table has rows 0 to 159"),
        (["--flow", "x.safetensors"], "--flow goes with --density flow"),
        (["--aim", "2"], "the aim is a quantile"),
        (["--device", "gpu"], "no device 'gpu'"),
    ],
)
def test_bad_options_get_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(arguments(folder, "bad.json", *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_files_get_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(folder, "bad.txt")) == 2
    assert "a .json, .csv or .html file" in capsys.readouterr().err
    assert run(arguments(folder, "absent/bad.json")) == 2
    assert "there is no folder" in capsys.readouterr().err
    gap = folder / "gap.csv"
    gap.write_text("age,income,debt\n20,30,4\n30,,5\n40,90,1\n")
    command = ["counterfactual", str(folder / "model.onnx"), str(gap), "--out"]
    assert run([*command, str(folder / "bad.json"), "--density", "mixture"]) == 2
    assert "line 3, column 'income'" in capsys.readouterr().err
