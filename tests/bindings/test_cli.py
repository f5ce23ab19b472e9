"""The command line: answers, exit codes, and one line for everything that is wrong."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from whyproof.cli import main
from whyproof.engine.errors import ReplayError
from whyproof.explainer import Explainer
from whyproof.store import Store, verify

xgboost = pytest.importorskip("xgboost")

NAMES = ["age", "income", "debt", "years", "noise"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of three classes, one of two, a regressor, and their table."""
    folder = tmp_path_factory.mktemp("world")
    draw = np.random.default_rng(0)
    x = np.round(draw.uniform(0, 100, size=(160, len(NAMES))), 1)
    score = x[:, 1] - x[:, 2] + 0.3 * x[:, 3]
    two = (score > 15).astype(int)
    three = np.digitize(score, [0, 40])
    options = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}
    for name, model, y in (
        ("two", xgboost.XGBClassifier(**options), two),
        ("three", xgboost.XGBClassifier(**options), three),
        ("value", xgboost.XGBRegressor(**options), score),
    ):
        model.fit(x, y)
        model.get_booster().feature_names = NAMES
        model.get_booster().save_model(folder / f"{name}.json")
    lines = [",".join([*NAMES, "approved"])]
    lines += [",".join([*(str(v) for v in row), str(y)]) for row, y in zip(x, two, strict=True)]
    (folder / "data.csv").write_text("\n".join(lines[:41]) + "\n")
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder that sees the world's files."""
    for file in world.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


TWO = ("two.json", "data.csv", "--label", "approved")
THREE = ("three.json", "data.csv", "--label", "approved")
VALUE = ("value.json", "data.csv", "--label", "approved")


@pytest.mark.parametrize("kind", ["axp", "cxp"])
def test_explain_json_has_its_stable_keys(run: Run, kind: str) -> None:
    code, out, err = run("explain", *TWO, "--row", "3", "--kind", kind, "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert set(said) >= {
        "kind",
        "features",
        "indices",
        "status",
        "prediction",
        "evidence",
        "statistics",
    }
    assert (said["kind"], said["status"]) == (kind, "minimal")
    assert said["features"] == [NAMES[i] for i in said["indices"]]
    assert set(said["statistics"]) >= {"oracle_calls", "rounds", "seconds"}
    expected = {"axp": "entailed", "cxp": "counterexample"}[kind]
    assert said["evidence"]["type"] == expected


def test_explain_in_words(run: Run) -> None:
    code, out, _ = run("explain", *TWO, "--row", "3")
    assert code == 0
    assert "Row 3: the model says" in out
    assert "Because " in out
    assert "proved minimal" in out
    code, out, _ = run("explain", *TWO, "--row", "3", "--kind", "cxp", "--smallest")
    assert code == 0
    assert "instead of" in out
    assert "proved smallest" in out


@pytest.mark.parametrize(
    "strategy", ["witness", "deletion", "dichotomic", "quickxplain", "progression", "swift"]
)
def test_every_strategy_answers(run: Run, strategy: str) -> None:
    code, out, _ = run("explain", *TWO, "--row", "0", "--strategy", strategy, "--json")
    assert code == 0
    assert json.loads(out)["status"] == "minimal"


def test_smallest_is_no_larger_and_says_so(run: Run) -> None:
    _, any_out, _ = run("explain", *THREE, "--row", "5", "--json")
    code, out, _ = run("explain", *THREE, "--row", "5", "--smallest", "--json")
    said = json.loads(out)
    assert code == 0
    assert said["smallest"] == {"proved": True, "lower_bound": len(said["features"])}
    assert len(said["features"]) <= len(json.loads(any_out)["features"])


def test_enumerate_json_ends_with_its_counts(run: Run) -> None:
    code, out, err = run("enumerate", *TWO, "--row", "2", "--json")
    assert (code, err) == (0, "")
    *lines, last = [json.loads(text) for text in out.splitlines()]
    kinds = [entry["kind"] for entry in lines]
    assert last == {"complete": True, "axps": kinds.count("axp"), "cxps": kinds.count("cxp")}
    axps = [set(entry["indices"]) for entry in lines if entry["kind"] == "axp"]
    cxps = [set(entry["indices"]) for entry in lines if entry["kind"] == "cxp"]
    assert axps
    assert all(a & c for a in axps for c in cxps)


def test_enumerate_stops_at_the_limit(run: Run) -> None:
    code, out, _ = run("enumerate", *TWO, "--row", "2", "--limit", "2", "--json")
    assert code == 0
    *lines, last = [json.loads(text) for text in out.splitlines()]
    assert len(lines) == 2 == last["axps"] + last["cxps"]
    assert last["complete"] is False
    code, out, _ = run("enumerate", *TWO, "--row", "2", "--limit", "2")
    assert "there may be more" in out


def test_enumerate_one_kind_by_size(run: Run) -> None:
    code, out, _ = run("enumerate", *THREE, "--row", "1", "--kind", "cxp", "--by-size", "--json")
    assert code == 0
    sizes = [len(json.loads(text)["indices"]) for text in out.splitlines()[:-1]]
    assert sizes == sorted(sizes)
    assert json.loads(out.splitlines()[-1])["axps"] == 0


def test_no_time_is_exit_code_three(run: Run) -> None:
    code, out, err = run("explain", *TWO, "--row", "0", "--time-limit", "1e-9", "--json")
    assert (code, err) == (3, "")
    assert json.loads(out)["status"] == "unknown"
    code, out, _ = run("enumerate", *TWO, "--row", "0", "--time-limit", "1e-9", "--json")
    assert code == 3
    assert json.loads(out)["complete"] is False
    options = ("--rows", "0:3", "--store", "a.db", "--time-limit", "1e-9", "--json")
    code, out, _ = run("audit", *TWO, *options)
    assert code == 3
    assert json.loads(out)["outcome"] == "budget"


def test_questions(run: Run) -> None:
    _, out, _ = run("explain", *THREE, "--row", "0", "--kind", "cxp", "--json")
    predicted = json.loads(out)["prediction"]
    target = next(c for c in (0, 1, 2) if c != predicted)
    options = ("--row", "0", "--kind", "cxp", "--target", str(target), "--json")
    _, out, _ = run("explain", *THREE, *options)
    assert json.loads(out)["evidence"]["outcome"] == target
    code, out, _ = run("explain", *TWO, "--row", "0", "--floor", "0.1", "--json")
    assert code == 0
    assert json.loads(out)["evidence"]["margin"] >= 0.1 - 1e-4
    code, out, _ = run("explain", *VALUE, "--row", "0", "--interval=-500:500", "--json")
    assert code == 0
    assert json.loads(out)["features"] == []
    code, out, _ = run("explain", *TWO, "--row", "0", "--epsilon", "0.001", "--json")
    assert code == 0


def test_no_explanation_is_an_answer(run: Run) -> None:
    options = ("--row", "0", "--kind", "cxp", "--epsilon", "1e-6")
    code, out, _ = run("explain", *TWO, *options, "--json")
    said = json.loads(out)
    assert (code, said["status"], said["features"]) == (0, "none", None)
    code, out, _ = run("explain", *TWO, *options)
    assert code == 0
    assert "There is no CXp" in out
    frozen = [option for name in NAMES for option in ("--immutable", name)]
    code, out, _ = run("enumerate", *TWO, "--row", "0", *frozen, "--json")
    assert code == 0
    *lines, last = [json.loads(text) for text in out.splitlines()]
    assert [entry["features"] for entry in lines] == [[]]
    assert last == {"complete": True, "axps": 1, "cxps": 0}


def test_preferences(run: Run) -> None:
    code, out, _ = run("explain", *TWO, "--row", "0", "--must-contain", "noise", "--json")
    said = json.loads(out)
    assert code == 0
    assert said["features"] is None or "noise" in said["features"]
    options = ("--row", "0", "--kind", "cxp", "--must-not-contain", "income", "--json")
    code, out, _ = run("explain", *TWO, *options)
    assert code == 0
    assert "income" not in (json.loads(out)["features"] or [])


def test_a_space_file_is_used(run: Run, here: Path) -> None:
    text = '[columns.age]\ntype = "real"\nlower = 0\nupper = 100\n'
    (here / "space.toml").write_text(text)
    code, _, err = run("explain", *TWO, "--row", "0", "--space", "space.toml")
    assert (code, err) == (0, "")


# -- audit, store, report -----------------------------------------------------------


def test_audit_to_report(run: Run, here: Path) -> None:
    code, out, err = run("audit", *TWO, "--rows", "0:4", "--store", "a.db")
    assert (code, err) == (0, "")
    with Store.read("a.db") as store:
        head = store.head().hash
        assert len(store.rows()) == 4
        source = store.runs()[0].record["source"]
    assert source["table"] == "data.csv"  # type: ignore[index]
    assert head in out
    assert run("audit", *TWO, "--rows", "0:4", "--store", "a.db")[0] == 0

    code, out, _ = run("store", "verify", "a.db", "--head", head, "--json")
    assert (code, json.loads(out)["sound"]) == (0, True)
    code, out, _ = run("store", "info", "a.db", "--json")
    assert [row["status"] for row in json.loads(out)["rows"]] == ["complete"] * 4
    assert "row" in run("store", "info", "a.db")[1]
    for to in ("jsonl", "csv"):
        assert run("store", "export", "a.db", "--to", to, "--out", f"out.{to}")[0] == 0
    assert len((here / "out.jsonl").read_text().splitlines()) > 4
    code, out, _ = run("report", "a.db", "--out", "report.html", "--title", "Loans")
    assert code == 0
    assert out.strip() == "report.html"
    assert "<h1>Loans</h1>" in (here / "report.html").read_text()


def test_audit_json_and_two_processes(run: Run) -> None:
    options = ("--rows", "0,2,5:7", "--store", "a.db", "--jobs", "2", "--limit", "3", "--json")
    code, out, err = run("audit", *THREE, *options)
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["outcome"] == "finished"
    assert sorted(said["complete"] + said["open"]) == [0, 2, 5, 6]
    assert said["axps"] + said["cxps"] == said["found"] <= 12


def test_a_tampered_store_is_exit_code_two(run: Run) -> None:
    run("audit", *TWO, "--rows", "0:2", "--store", "a.db")
    connection = sqlite3.connect("a.db")
    connection.execute("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    connection.commit()
    connection.close()
    code, out, err = run("store", "verify", "a.db")
    assert code == 2
    assert "fault:" in out
    assert err.startswith("error: the store a.db is not sound")
    assert run("store", "verify", "a.db", "--json")[0] == 2


def test_a_bad_row_is_exit_code_two_and_the_others_are_kept(run: Run, here: Path) -> None:
    text = "[columns.age]\ntype = 'real'\nlower = 0\nupper = 50\n"
    (here / "space.toml").write_text(text)
    code, out, err = run(
        "audit", *TWO, "--rows", "0:40", "--space", "space.toml", "--store", "a.db"
    )
    assert code == 2
    assert out == ""
    assert "'age'" in err
    assert not (here / "a.db").exists()


# -- what is wrong gets one line ----------------------------------------------------


def write(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def spoil(name: str) -> None:
    """Make the wrong files that the cases below name."""
    good = Path("two.json").read_bytes()
    data = Path("data.csv").read_text().splitlines()
    match name:
        case "truncated.json":
            write(name, good[: len(good) // 2])
        case "empty.json":
            write(name, b"")
        case "text.json":
            write(name, "this is no model\n")
        case "model.pkl":
            write(name, pickle.dumps({"model": 1}))
        case "ranking.json":
            write(name, good.replace(b"binary:logistic", b"rank:ndcgABCDEF"))
        case "folder":
            Path(name).mkdir()
        case "short.csv":
            write(name, "\n".join(line.rpartition(",")[0].rpartition(",")[0] for line in data))
        case "names.csv":
            write(name, "\n".join(data).replace("income", "incme", 1))
        case "twice.csv":
            write(name, "\n".join(data).replace("income", "age", 1))
        case "word.csv":
            write(name, "\n".join([data[0], data[1].replace(data[1].split(",")[2], "much", 1)]))
        case "ragged.csv":
            write(name, "\n".join([data[0], data[1] + ",7"]))
        case "outside.toml":
            write(name, "[columns.age]\ntype = 'real'\nlower = 1e6\nupper = 2e6\n")
        case "broken.toml":
            write(name, "[columns.age\n")
        case "unknown.toml":
            write(name, "[columns.agee]\ntype = 'real'\n")
        case "other.db":
            main(["audit", *THREE, "--rows", "0", "--store", name])
        case "target.db":
            main(["audit", *TWO, "--rows", "0", "--epsilon", "1", "--store", name])
        case "future.db":
            main(["audit", *TWO, "--rows", "0", "--store", name])
            connection = sqlite3.connect(name)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        case "notes.db":
            write(name, "no database at all " * 99)


E = ("explain",)
A = ("audit", *TWO)
R0 = ("--row", "0")
L = ("--label", "approved")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no such model": ((*E, "none.json", "data.csv", *R0), "none.json cannot be read"),
    "truncated model": ((*E, "truncated.json", "data.csv", *R0, *L), "truncated.json"),
    "empty model": ((*E, "empty.json", "data.csv", *R0), "empty"),
    "no model": ((*E, "text.json", "data.csv", *R0), "no model"),
    "a pickle": ((*E, "model.pkl", "data.csv", *R0), "ONNX"),
    "a folder": ((*E, "folder", "data.csv", *R0), "folder"),
    "objective": ((*E, "ranking.json", "data.csv", *R0, *L), "rank:ndcg"),
    "no such data": ((*E, "two.json", "none.csv", *R0), "none.csv"),
    "forgotten label": ((*E, "two.json", "data.csv", *R0), "approved"),
    "wrong label": ((*E, *TWO[:3], "aproved", *R0), "did you mean 'approved'"),
    "fewer columns": ((*E, "two.json", "short.csv", *R0), "noise"),
    "column name": ((*E, "two.json", "names.csv", *R0, *L), "income"),
    "column twice": ((*E, "two.json", "twice.csv", *R0, *L), "'age'"),
    "a word": ((*E, "two.json", "word.csv", *R0, *L), "line 2, column 'debt'"),
    "ragged": ((*E, "two.json", "ragged.csv", *R0, *L), "ragged.csv"),
    "row too large": ((*E, *TWO, "--row", "40"), "rows 0 to 39"),
    "negative row": ((*E, *TWO, "--row", "-1"), "row -1"),
    "row no number": ((*E, *TWO, "--row", "x"), "--row"),
    "no row": ((*E, *TWO), "--row"),
    "no arguments": (E, "MODEL"),
    "no command": (("explode",), "explode"),
    "no option": ((*E, *TWO, *R0, "--colour"), "--colour"),
    "unknown class": ((*E, *TWO, *R0, "--target", "7"), "no class '7'"),
    "two questions": ((*E, *TWO, *R0, "--target", "1", "--floor", "1"), "one at a time"),
    "regressor": ((*E, *VALUE, *R0), "--interval"),
    "interval": ((*E, *VALUE, *R0, "--interval", "7"), "LOW:HIGH"),
    "interval upside down": ((*E, *VALUE, *R0, "--interval", "7:5"), "above"),
    "interval elsewhere": ((*E, *VALUE, *R0, "--interval", "900:901"), "outside"),
    "interval of a classifier": ((*E, *TWO, *R0, "--interval", "0:1"), "regressor"),
    "kind": ((*E, *TWO, *R0, "--kind", "why"), "'why'"),
    "strategy": ((*E, *TWO, *R0, "--strategy", "witnes"), "did you mean 'witness'"),
    "epsilon": ((*E, *TWO, *R0, "--epsilon", "-1"), "epsilon"),
    "norm alone": ((*E, *TWO, *R0, "--norm", "l1"), "--epsilon"),
    "norm": ((*E, *TWO, *R0, "--epsilon", "1", "--norm", "l3"), "l3"),
    "vote": ((*E, *TWO, *R0, "--vote", "all"), "majority"),
    "vote of a file": ((*E, *TWO, *R0, "--vote", "majority"), "vote"),
    "classes": ((*E, *TWO, *R0, "--classes", "a,b,c"), "2 classes"),
    "time": ((*E, *TWO, *R0, "--time-limit", "-1"), "seconds"),
    "outside the space": ((*E, *TWO, *R0, "--space", "outside.toml"), "column 'age'"),
    "broken space": ((*E, *TWO, *R0, "--space", "broken.toml"), "broken.toml"),
    "unknown column": ((*E, *TWO, *R0, "--space", "unknown.toml"), "agee"),
    "no space": ((*E, *TWO, *R0, "--space", "none.toml"), "none.toml"),
    "space and immutable": (
        (*E, *TWO, *R0, "--space", "outside.toml", "--immutable", "age"),
        "--immutable",
    ),
    "immutable": ((*E, *TWO, *R0, "--immutable", "agee"), "agee"),
    "must contain": ((*E, *TWO, *R0, "--must-contain", "agee"), "did you mean 'age'"),
    "limit": (("enumerate", *TWO, *R0, "--limit", "0"), "count"),
    "by size of both": (("enumerate", *TWO, *R0, "--by-size"), "one kind"),
    "rows": ((*A, "--rows", "a:b", "--store", "a.db"), "--rows"),
    "rows too large": ((*A, "--rows", "0:41", "--store", "a.db"), "0 to 39"),
    "no rows": ((*A, "--rows", "5:5", "--store", "a.db"), "--rows"),
    "jobs": ((*A, "--rows", "0:2", "--store", "a.db", "--jobs", "-1"), "jobs"),
    "store elsewhere": ((*A, "--rows", "0:2", "--store", "none/a.db"), "folder"),
    "store of another model": ((*A, "--rows", "0:2", "--store", "other.db"), "another model"),
    "another region": ((*A, "--rows", "0:2", "--store", "target.db"), "another region"),
    "another schema": ((*A, "--rows", "0:2", "--store", "future.db"), "version 99"),
    "no store": ((*A, "--rows", "0:2", "--store", "notes.db"), "not a whyproof store"),
    "report of none": (("report", "none.db", "--out", "r.html"), "no store"),
    "report of notes": (("report", "notes.db", "--out", "r.html"), "not a whyproof store"),
    "report elsewhere": (("report", "target.db", "--out", "none/r.html"), "cannot write"),
    "info of none": (("store", "info", "none.db"), "no store"),
    "export format": (("store", "export", "target.db", "--to", "xls", "--out", "x"), "xls"),
    "export elsewhere": (("store", "export", "target.db", "--out", "none/x"), "cannot write"),
    "store command": (("store", "burn", "x"), "burn"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_line(
    run: Run, here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = BAD[name]
    for argument in arguments:
        spoil(argument)
    capsys.readouterr()
    before = {entry.name: entry.stat().st_size for entry in here.iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert {entry.name: entry.stat().st_size for entry in here.iterdir()} == before


def test_help_and_version(run: Run) -> None:
    for arguments in ((), ("--help",), ("explain", "--help"), ("store", "--help")):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        assert "Usage" in out
    assert run("--version")[1].startswith("whyproof ")


# -- defects of ours ----------------------------------------------------------------


def test_a_failed_replay_writes_a_reproducer(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ReplayError("a counterexample failed its replay", {"point": [1.0, 2.0]})

    monkeypatch.setattr(Explainer, "explain", fail)
    monkeypatch.setattr(Explainer, "enumerate", fail)
    code, out, err = run("explain", *TWO, "--row", "0")
    assert (code, out, err.count("\n")) == (1, "", 1)
    written = next(here.glob("whyproof-replay-*.json"))
    assert written.name in err
    assert json.loads(written.read_text()) == {"point": [1.0, 2.0]}
    written.unlink()
    code, _, err = run("audit", *TWO, "--rows", "0:2", "--store", "a.db")
    assert code == 1
    assert next(here.glob("whyproof-replay-*.json")).name in err


def test_an_internal_error_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Explainer, "explain", fail)
    code, out, err = run("explain", *TWO, "--row", "0")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: internal error: ZeroDivisionError: by zero")
    monkeypatch.setenv("WHYPROOF_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("explain", *TWO, "--row", "0")


# -- as a process -------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "whyproof"]


def test_a_closed_pipe_is_no_error(here: Path) -> None:
    arguments = ["enumerate", *THREE, "--row", "1", "--json"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_ctrl_c_keeps_an_audit(here: Path) -> None:
    lines = Path("data.csv").read_text().splitlines()
    Path("long.csv").write_text("\n".join([lines[0], *lines[1:] * 200]) + "\n")
    arguments = ["audit", "three.json", "long.csv", "--label", "approved"]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--rows", "0:8000", "--store", "a.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not Path("a.db").exists() and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err == "error: interrupted; what was found before is kept\n"
    with Store.read("a.db") as store:
        assert verify(store).sound


def test_heavy_packages_stay_out(here: Path) -> None:
    program = (
        "import sys, json\n"
        "import whyproof\n"
        "roots = lambda: sorted({name.partition('.')[0] for name in sys.modules})\n"
        "first = roots()\n"
        "from whyproof.cli import main\n"
        "main(['--version'])\n"
        "second = roots()\n"
        "main(json.loads(sys.argv[1]))\n"
        "print(json.dumps([first, second, roots()]), file=sys.stderr)\n"
    )
    arguments = json.dumps(["explain", *TWO, "--row", "0"])
    done = subprocess.run(
        [sys.executable, "-c", program, arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    imported, versioned, explained = map(set, json.loads(done.stderr))
    heavy = {"rich", "jinja2", "onnx", "onnxruntime", "torch", "sklearn", "pandas", "scipy"}
    heavy |= {"xgboost", "lightgbm", "matplotlib", "pyarrow"}
    assert not imported & (heavy | {"numpy", "typer"})
    assert not versioned & (heavy | {"numpy"})
    assert not explained & heavy


def test_doctor(run: Run) -> None:
    code, out, err = run("doctor", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert {test["result"] for test in said["self_test"]} == {"ok"}
    assert all(solver["licence"] for solver in said["solvers"])
    assert "self" not in run("doctor")[2]


@pytest.mark.slow
def test_demo(run: Run, here: Path) -> None:
    pytest.importorskip("sklearn")
    code, out, _ = run("demo", "--out", "shown")
    assert code == 0
    assert "Because " in out
    report = here / "shown" / "breast-cancer.html"
    assert str(report) in out
    assert "malignant" in report.read_text()
    with Store.read(here / "shown" / "breast-cancer.db") as store:
        assert verify(store).sound


def test_every_command_is_listed_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "Others:" not in said
    assert "Explain decisions:" in said
