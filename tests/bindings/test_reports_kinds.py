"""Nearest counterfactuals, reports and differences from the command line, and their checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from whyproof.checker import Refused, check_certificate
from whyproof.checker.document import digest_of
from whyproof.cli import main
from whyproof.engine.errors import DataError
from whyproof.models import load_model
from whyproof.report.examiner import retained_until
from whyproof.report.wording import Wording, read_wording
from whyproof.store import Store, verify

xgboost = pytest.importorskip("xgboost")

NAMES = ["age", "income", "debt", "years"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of one decision, their table, and a store of an audit with counterfactuals."""
    folder = tmp_path_factory.mktemp("reports")
    draw = np.random.default_rng(1)
    x = np.round(draw.uniform(0, 100, size=(200, len(NAMES))), 1)
    y = (x[:, 1] - x[:, 2] + 0.3 * x[:, 0] > 15).astype(int)
    for name, part in (("model", slice(None)), ("later", slice(40, None))):
        made = xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(x[part], y[part])
        made.get_booster().feature_names = NAMES
        made.get_booster().save_model(folder / f"{name}.json")
    rows = [",".join(NAMES), *(",".join(str(v) for v in row) for row in x[:12])]
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    here = [str(folder / name) for name in ("model.json", "data.csv")]
    store = str(folder / "store.whyproof")
    assert main(["audit", *here, "--rows", "0:6", "--store", store, "--jobs", "1"]) == 0
    assert main(["nearest", *here, "--rows", "0:6", "--store", store]) == 0
    return folder


@pytest.fixture
def run(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    for file in world.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


MODEL = ("model.json", "data.csv")


def test_nearest_is_replayed_and_has_its_keys(run: Run) -> None:
    code, out, _ = run("nearest", *MODEL, "--row", "2", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["status"] == "optimal"
    assert found["gap"] == 0
    model = load_model("model.json")
    point = np.array([[found["point"][name] for name in NAMES]])
    assert model.predict(point)[0] != found["prediction"]
    assert {change["feature"] for change in found["changes"]} == set(found["moved"])


def test_several_models_are_all_convinced(run: Run) -> None:
    code, out, _ = run(
        "nearest", *MODEL, "--row", "2", "--models", "later.json", "--target", "1", "--json"
    )
    found = json.loads(out)
    assert code == 0
    point = np.array([[found["point"][name] for name in NAMES]])
    for file in ("model.json", "later.json"):
        assert load_model(file).predict(point)[0] == 1


@pytest.mark.parametrize("norm", ["l0", "l1", "l2"])
def test_certificates_of_nearness_are_checked(run: Run, norm: str) -> None:
    options = ("--norm", norm, "--scale", "range", "--up", "income", "--immutable", "age")
    code, out, err = run("nearest", *MODEL, "--row", "3", *options, "--certify", "c.json")
    assert code == 0, err
    assert "Certificate: c.json" in out
    code, out, _ = run("check", "c.json", "--model", "model.json")
    assert code == 0
    assert "is nearer than" in out


def test_a_certificate_that_claims_more_is_refused(run: Run) -> None:
    run("nearest", *MODEL, "--row", "3", "--certify", "c.json")
    payload = Path("model.json").read_bytes()
    good = json.loads(Path("c.json").read_text())
    check_certificate(json.dumps(good), payload)

    def refused(change: Callable[[dict[str, object]], None]) -> str:
        content = json.loads(json.dumps(good))
        change(content["decisions"][0]["claims"][0])
        content["digest"] = digest_of(content)
        with pytest.raises(Refused) as reason:
            check_certificate(json.dumps(content), payload)
        return str(reason.value)

    def further(claim: dict[str, object]) -> None:
        claim["bound"] = float(str(claim["bound"])) * 1.001

    assert "not as far as claimed" in refused(further) or "nearer than its bound" in refused(
        further
    )

    def cheaper(claim: dict[str, object]) -> None:
        claim["factors"] = [0.5 * f for f in claim["factors"]]  # type: ignore[attr-defined]

    assert "not as far" in refused(cheaper)

    def shorter(claim: dict[str, object]) -> None:
        claim["proofs"][0]["steps"].pop()  # type: ignore[index]

    assert "ends before" in refused(shorter)

    def negative(claim: dict[str, object]) -> None:
        for table in claim["proofs"][0]["multipliers"]:  # type: ignore[index]
            table["scores"] = [-1.0 for _ in table["scores"]]

    assert "negative" in refused(negative)

    def elsewhere(claim: dict[str, object]) -> None:
        claim["point"] = {}

    assert "does not change" in refused(elsewhere)


def test_what_certificates_do_not_know_is_said(run: Run) -> None:
    code, _, err = run("nearest", *MODEL, "--row", "3", "--norm", "linf", "--certify", "c.json")
    assert code == 2
    assert "linf" in err
    code, _, err = run("nearest", *MODEL, "--row", "3", "--step", "debt=5", "--certify", "c.json")
    assert code == 2
    assert "steps" in err


def test_no_counterfactual_names_the_fewest_rules(run: Run) -> None:
    stay = [option for name in NAMES for option in ("--immutable", name)]
    code, out, _ = run("nearest", *MODEL, "--row", "0", *stay, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["status"] == "none"
    assert found["conflict"]["smallest"] is True
    assert 1 <= len(found["conflict"]["rules"]) < len(NAMES) + 1
    code, out, _ = run("nearest", *MODEL, "--row", "0", *stay)
    assert "no counterfactual under these rules (proved)" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--up", "debt", "--down", "debt"], "'debt' contradict each other"),
        (["--immutable", "debt", "--up", "dept"], "did you mean 'debt'"),
        (["--norm", "l7"], "--norm is one of"),
        (["--scale", "furlong"], "--scale is one of"),
        (["--step", "debt"], "write NAME=VALUE"),
        (["--step", "debt=-1"], "rule for 'debt': a step must be positive"),
        (["--within", "debt=5"], "write NAME=LOW:HIGH"),
        (["--weights", "zero.toml"], "the weight of 'debt' is 0"),
        (["--weights", "odd.toml"], "no feature 'dept'; did you mean 'debt'"),
        (["--weights", "absent.toml"], "absent.toml cannot be read"),
        (["--share", "1.5"], "--share is above 0"),
        (["-k", "0"], "-k is a positive number"),
        (["--seen", "debt,dept"], "no feature 'dept'"),
        (["--support", "2"], "--support is between"),
        (["--target", "9"], "no class '9'"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(run: Run, options: list[str], message: str) -> None:
    Path("zero.toml").write_text("debt = 0\n")
    Path("odd.toml").write_text("[weights]\ndept = 1\n")
    code, out, err = run("nearest", *MODEL, "--row", "0", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert "proved" not in out


def test_a_target_that_is_there_is_said(run: Run) -> None:
    _, out, _ = run("nearest", *MODEL, "--row", "0", "--json")
    code, out, _ = run(
        "nearest", *MODEL, "--row", "0", "--target", str(json.loads(out)["prediction"])
    )
    assert code == 0
    assert "Nothing has to change" in out
    assert "distance 0" in out


def test_time_that_ends_is_exit_three_and_never_optimal(run: Run) -> None:
    code, out, _ = run("nearest", *MODEL, "--row", "0", "--time-limit", "1e-9", "--json")
    assert code == 3
    assert json.loads(out)["status"] in ("best so far", "unknown")


def test_sensitive_shows_a_pair_or_a_proof(run: Run) -> None:
    code, out, _ = run("sensitive", *MODEL, "--features", "income", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["anywhere"] == "witness"
    one, other = found["pair"]["one"], found["pair"]["other"]
    assert [name for name in NAMES if one[name] != other[name]] == ["income"]
    code, out, _ = run(
        "sensitive", *MODEL, "--features", "income", "--count", "--ranges", "data", "--json"
    )
    low, high = json.loads(out)["space_share"]
    assert 0 < low <= high <= 1
    code, out, _ = run("sensitive", *MODEL, "--features", "income", "--monotone", "up", "--json")
    assert code == 0
    assert json.loads(out)["holds"] in ("yes", "no")
    code, _, err = run("sensitive", *MODEL, "--features", "incom")
    assert code == 2
    assert "did you mean 'income'" in err


def test_few_actions_help_a_group_and_the_gap_is_stated(run: Run) -> None:
    code, out, _ = run(
        "recourse", *MODEL, "--rows", "0:12", "--actions", "2", "--target", "1", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert len(found["actions"]) <= 2
    assert found["gap"] == found["at_most"] - len(found["helped"])
    assert len(found["helped"]) == min(found["best_of_candidates"], found["wanted"])
    code, _, err = run("recourse", *MODEL, "--rows", "0:3", "--actions", "0")
    assert code == 2
    assert "number of actions must be positive" in err


def test_person_sheets_are_complete_and_each_is_checked_offline(run: Run) -> None:
    code, _, err = run(
        "report", "store.whyproof", "--kind", "person", "--out", "people", "--model", "model.json"
    )
    assert code == 0, err
    with Store.read("store.whyproof") as store:
        rows = {row.row for row in store.rows()}
        hashes = {e.hash for e in store.explanations()}
        hashes |= {e.hash for e in store.counterfactuals().values()}
    for row in rows:
        sheet = json.loads(Path(f"people/person-{row:06d}.json").read_text())
        assert 1 <= len(sheet["reasons"]) <= 4
        for reason in sheet["reasons"]:
            assert reason["evidence"]["axp"] in hashes
            assert reason["evidence"]["change"] in hashes
            assert reason["value"]
            assert reason["boundary"]
        named = {reason["feature"] for reason in sheet["reasons"]} | set(sheet["also_necessary"])
        with Store.read("store.whyproof") as store:
            alone = {
                e.record["features"][0]  # type: ignore[index]
                for e in store.explanations(row)
                if e.record["kind"] == "cxp" and len(e.record["features"]) == 1  # type: ignore[arg-type]
            }
        assert alone <= named
        certificate = f"people/person-{row:06d}.certificate.json"
        assert run("check", certificate, "--model", "model.json")[0] == 0
        page = Path(f"people/person-{row:06d}.html").read_text()
        assert "http" not in page.split("</style>")[1]


def test_a_factor_without_words_is_an_error_that_names_it(run: Run) -> None:
    Path("words.toml").write_text('[factors]\nincome = "Income too low"\n')
    code, _, err = run(
        "report", "store.whyproof", "--kind", "person", "--out", "p", "--wording", "words.toml"
    )
    assert code == 2
    assert "no entry for the factor" in err
    assert "words.toml" in err
    words = "\n".join(f'{name} = "About {name}"' for name in NAMES)
    Path("words.toml").write_text(
        f'[factors]\n{words}\n[outcomes]\n0 = "declined"\n1 = "granted"\n'
    )
    code, _, err = run(
        "report", "store.whyproof", "--kind", "person", "--out", "p", "--wording", "words.toml"
    )
    assert code == 0, err
    page = Path("p/person-000000.html").read_text()
    assert "About" in page
    assert "declined" in page or "granted" in page


def test_wording_files_are_read_strictly(tmp_path: Path) -> None:
    for text, message in (
        ("x = 1", "unknown entry 'x'"),
        ("[outcomes]\n", "no table"),
        ("[factors]\na = 3", "'a' under"),
        ("[factors\n", "words.toml"),
    ):
        (tmp_path / "words.toml").write_text(text)
        with pytest.raises(DataError, match=message):
            read_wording(tmp_path / "words.toml")
    assert Wording().factor("debt") == "debt"


def test_the_examiner_gets_everything(run: Run) -> None:
    code, _, err = run(
        "report", "store.whyproof", "--kind", "examiner", "--out", "e.html", "--protected", "age"
    )
    assert code == 0, err
    record = json.loads(Path("e.json").read_text())
    with Store.read("store.whyproof") as store:
        assert record["store"]["head"] == store.head().hash
        assert verify(store).sound
        assert record["store"]["sound"] is True
    assert record["retain_until"] == retained_until(record["store"]["created"], 25)
    assert record["limits"]
    assert record["runs"][0]["environment"]["packages"]
    for decision in record["decisions"]:
        assert decision["input_hash"].startswith("sha256:")
        assert decision["reasons"]
        assert decision["changes"]
        assert decision["counterfactual"]["outcomes"]
        assert "reviewer" in decision["review"]
    code, _, err = run(
        "report", "store.whyproof", "--kind", "examiner", "--out", "e.html", "--protected", "agee"
    )
    assert code == 2
    assert "did you mean 'age'" in err


def test_the_population_counts_what_the_store_holds(run: Run) -> None:
    code, _, _ = run(
        "report", "store.whyproof", "--kind", "population", "--out", "p.html", "--protected", "debt"
    )
    assert code == 0
    told = json.loads(Path("p.json").read_text())
    assert told["rows"] == 6
    assert told["recourse"]["rows"] == 6
    severities = [finding["severity"] for finding in told["findings"]]
    assert severities == sorted(severities, key=("high", "medium", "low").index)
    assert all(factor["used"] <= 6 for factor in told["factors"])


def test_report_options_that_do_not_fit_are_refused(run: Run) -> None:
    for options, message in (
        (("--kind", "judge"), "--kind is one of"),
        (("--kind", "population", "--wording", "w.toml"), "--wording is for --kind person"),
        (("--kind", "person", "--model", "later.json"), "another model than the store's"),
        (("--kind", "examiner", "--rows", "77"), "the table has rows|holds no row"),
        (("--kind", "examiner", "--retain", "0"), "--retain is a positive"),
    ):
        code, _, err = run("report", "store.whyproof", "--out", "x", *options)
        assert code == 2
        assert any(part in err for part in message.split("|"))


def test_diff_finds_what_changed(run: Run) -> None:
    code, out, _ = run("diff", "store.whyproof", "store.whyproof", "--json")
    assert code == 0
    assert json.loads(out)["changed"] == []
    code, out, _ = run("diff", "model.json", "later.json", "--data", "data.csv", "--json")
    found = json.loads(out)
    assert code == 0
    assert "another model" in found["about"]
    assert found["compared"] == 12
    old, new = load_model("model.json"), load_model("later.json")
    table = np.genfromtxt("data.csv", delimiter=",", skip_header=1)
    changed = int((old.predict(table) != new.predict(table)).sum())
    assert found["decisions_changed"] == changed
    code, _, err = run("diff", "store.whyproof", "model.json")
    assert code == 2
    assert "two stores, or two models" in err
    code, _, err = run("diff", "model.json", "later.json")
    assert code == 2
    assert "--data" in err
