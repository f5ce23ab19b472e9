"""Certificates of real libraries' models: made, checked, and refused when tampered with."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from whyproof.certificates import CertificateBuilder, Unproved, certify
from whyproof.checker import Refused, check_certificate
from whyproof.checker.document import digest_of
from whyproof.checker.reading import read_model
from whyproof.cli import main
from whyproof.engine.domain import Categories, Integers, Real
from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model

RUNNER = CliRunner()


def _table(rows: int = 240, columns: int = 6, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x = random.normal(size=(rows, columns)).round(2)
    score = x[:, 0] - 0.7 * x[:, 1] * x[:, 2] + 0.4 * x[:, 3]
    y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    return x.astype(np.float32).astype(np.float64), y


def _xgboost(path: Path, classes: int, **options: object) -> Path:
    xgboost = pytest.importorskip("xgboost")
    x, y = _table(classes=classes)
    model = xgboost.XGBClassifier(n_estimators=12, max_depth=3, n_jobs=1, **options)
    model.fit(x, y)
    model.save_model(path / "m.json")
    return path / "m.json"


def _lightgbm(path: Path, classes: int, **options: object) -> Path:
    lightgbm = pytest.importorskip("lightgbm")
    x, y = _table(classes=classes)
    model = lightgbm.LGBMClassifier(
        n_estimators=12, max_depth=3, min_child_samples=5, n_jobs=1, verbose=-1, **options
    )
    model.fit(x, y).booster_.save_model(path / "m.txt")
    return path / "m.txt"


def _onnx(path: Path, kind: str, classes: int) -> Path:
    ensemble = pytest.importorskip("sklearn.ensemble")
    to_onnx = pytest.importorskip("skl2onnx").to_onnx
    x, y = _table(classes=classes)
    model = getattr(ensemble, kind)(n_estimators=12, max_depth=3, random_state=0).fit(x, y)
    made = to_onnx(model, x[:1].astype(np.float32), options={"zipmap": False})
    (path / "m.onnx").write_bytes(made.SerializeToString())
    return path / "m.onnx"


def _text_dump(path: Path) -> Path:
    model = _xgboost(path, 2)
    xgboost = pytest.importorskip("xgboost")
    xgboost.Booster(model_file=model).dump_model(path / "m.txt")
    return path / "m.txt"


def _binary(path: Path, classes: int) -> Path:
    xgboost = pytest.importorskip("xgboost")
    booster = xgboost.Booster(model_file=_xgboost(path, classes))
    booster.save_model(path / "m.ubj")
    return path / "m.ubj"


MODELS: dict[str, Callable[[Path], Path]] = {
    "xgboost binary two classes": lambda path: _binary(path, 2),
    "xgboost binary three classes": lambda path: _binary(path, 3),
    "xgboost two classes": lambda path: _xgboost(path, 2),
    "xgboost three classes": lambda path: _xgboost(path, 3),
    "xgboost dart": lambda path: _xgboost(path, 2, booster="dart", rate_drop=0.3),
    "xgboost base score": lambda path: _xgboost(path, 2, base_score=0.2),
    "lightgbm two classes": lambda path: _lightgbm(path, 2),
    "lightgbm three classes": lambda path: _lightgbm(path, 3),
    "onnx forest two classes": lambda path: _onnx(path, "RandomForestClassifier", 2),
    "onnx forest three classes": lambda path: _onnx(path, "RandomForestClassifier", 3),
    "onnx boosting": lambda path: _onnx(path, "GradientBoostingClassifier", 2),
    "xgboost text": _text_dump,
}


def _explainer(path: Path, **options: object) -> Explainer:
    classes = ["no", "yes"] if path.read_bytes()[:7] == b"booster" else None
    return Explainer(load_model(path, classes=classes), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_certificates_of_real_models_check(name: str, tmp_path: Path) -> None:
    path = MODELS[name](tmp_path)
    explainer = _explainer(path)
    x, _ = _table()
    builder = CertificateBuilder(path, explainer.model, explainer.space)
    claims = 0
    for row in x[:4]:
        for kind in ("axp", "cxp"):
            found = explainer.explain(row, kind)
            if found is not None:
                builder.add(found)
                claims += 1
    verdict = builder.write(tmp_path / "c.json")
    assert len(verdict.claims) == claims
    assert not any("not shown" in claim for claim in verdict.claims)
    assert verdict.replayed or name == "xgboost text"


@pytest.mark.parametrize("name", MODELS)
def test_the_checker_reads_models_as_they_run(name: str, tmp_path: Path) -> None:
    """Its own exact sums agree with the model's own scores on points at the boundaries."""
    path = MODELS[name](tmp_path)
    model = _explainer(path).model
    n_classes = len(model.classes)
    names = [f"f{i}" for i in range(model.n_columns)]
    read = read_model(path.read_bytes(), names, n_classes, None)
    cuts = [n.test.below for t in read.trees for n in t if hasattr(n, "test")]
    random = np.random.default_rng(0)
    points = random.choice([*cuts, 0.0, 1.0, np.nan][:200], size=(40, model.n_columns))
    if name.startswith("onnx"):
        points = np.nan_to_num(points)
    expected = model.scores(points)[:, -len(read.base) :]
    found = [[s / read.unit for s in read.sums(read.leaves(p))] for p in points.tolist()]
    assert np.abs(expected - np.array(found)).max() <= float(read.rounding) + 1e-6
    # The slack that importers state is never smaller than what the checker finds itself.
    assert model.structure.slack >= float(read.rounding) * (1 - 1e-9)


def test_missing_values_categories_and_regions(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(5)
    x = random.normal(size=(300, 3)).round(1)
    codes = random.integers(0, 5, 300)
    y = (x[:, 0] + (codes % 2) - 0.5 * np.nan_to_num(x[:, 1]) > 0.3).astype(int)
    x[random.random(x.shape) < 0.1] = np.nan
    frame = pandas.DataFrame(x, columns=list("abc"))
    frame["kind"] = pandas.Categorical.from_codes(codes, list("vwxyz"))
    model = xgboost.XGBClassifier(
        n_estimators=10, max_depth=3, enable_categorical=True, max_cat_to_onehot=1, n_jobs=1
    ).fit(frame, y)
    model.save_model(tmp_path / "m.json")
    loaded = load_model(tmp_path / "m.json")
    space = FeatureSpace.of(
        ["a", "b", "c", "kind"],
        {
            "a": Real(nullable=True),
            "b": Real(nullable=True, lower=-2.0, upper=2.0),
            "c": Integers(nullable=True, lower=-5.0, upper=5.0),
            "kind": Categories(values=tuple("vwxyz")),
        },
        immutable=["b"],
    )
    row = np.array([0.5, 1.0, 2.0, 3.0])
    absent = np.array([np.nan, np.nan, 0.0, 1.0])
    for region in (Region.everywhere(), Region.ball(1.5)):
        explainer = Explainer(loaded, space, region=region)
        found = [explainer.explain(r, k) for r in (row, absent) for k in ("axp", "cxp")]
        verdict = certify([f for f in found if f], tmp_path / "m.json", tmp_path / "c.json")
        assert verdict.claims


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("certified")
    path = _xgboost(folder, 2)
    explainer = _explainer(path, region=Region.ball(1.0))
    x, _ = _table()
    found = [explainer.explain(row, kind) for row in x[:3] for kind in ("axp", "cxp")]
    certify([f for f in found if f is not None], path, folder / "c.json")
    return json.loads((folder / "c.json").read_text()), path


def test_every_single_field_is_guarded(certified: tuple[dict, Path]) -> None:
    content, path = certified
    payload = path.read_bytes()

    def walk(value: object, change: Callable[[object], None]) -> None:
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))  # type: ignore
        for key, inside in pairs:
            if isinstance(inside, dict | list) and inside:
                walk(inside, change)
                continue
            flipped = (
                not inside
                if isinstance(inside, bool)
                else inside + 1
                if isinstance(inside, int | float)
                else f"{inside}x"
            )
            value[key] = flipped  # type: ignore[index]
            change(key)
            value[key] = inside  # type: ignore[index]

    flips = 0

    def refused(key: object) -> None:
        nonlocal flips
        flips += 1
        with pytest.raises(Refused):
            check_certificate(json.dumps(changed), payload, replay=False)

    changed = copy.deepcopy(content)
    walk(changed, refused)
    assert flips > 100
    check_certificate(json.dumps(changed), payload)


@pytest.mark.parametrize("what", ["wider", "freer", "hash", "proof", "witness", "prediction"])
def test_false_claims_are_refused_even_if_signed(certified: tuple[dict, Path], what: str) -> None:
    original, path = certified
    content = copy.deepcopy(original)
    decision = next(
        d
        for d in content["decisions"]
        if any(c["kind"] == "axp" and c["features"] for c in d["claims"])
    )
    claim = next(c for c in decision["claims"] if c["kind"] == "axp")
    if what == "wider":
        decision["region"]["epsilon"] = 100.0
    elif what == "freer":
        gone = claim["features"].pop()
        del claim["witnesses"][gone]
    elif what == "hash":
        content["model"]["hash"] = "sha256:" + "0" * 64
    elif what == "proof":
        claim["proof"]["steps"] = []
    elif what == "witness":
        claim["witnesses"][claim["features"][0]] = {}
    else:
        decision["prediction"] = 1 - decision["prediction"]
    content["digest"] = digest_of(content)
    with pytest.raises(Refused):
        check_certificate(json.dumps(content), path.read_bytes())


def test_another_model_is_refused(certified: tuple[dict, Path], tmp_path: Path) -> None:
    content, _ = certified
    with pytest.raises(Refused, match="another model"):
        check_certificate(json.dumps(content), _xgboost(tmp_path, 3).read_bytes())


def test_a_model_file_that_was_not_explained_is_noticed(tmp_path: Path) -> None:
    explained, other = tmp_path / "a", tmp_path / "b"
    explained.mkdir()
    other.mkdir()
    explainer = _explainer(_xgboost(explained, 2))
    found = explainer.explain(_table()[0][0], "axp")
    assert found is not None
    with pytest.raises(Unproved):
        certify([found], _xgboost(other, 2, base_score=0.9), tmp_path / "c.json")
    assert not (tmp_path / "c.json").exists()


def test_what_cannot_be_certified_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to certify"):
        certify([], tmp_path / "m.json", tmp_path / "c.json")
    xgboost = pytest.importorskip("xgboost")
    x, _ = _table()
    model = xgboost.XGBRegressor(n_estimators=3, objective="count:poisson")
    model.fit(x, np.abs(x[:, 0]))
    model.save_model(tmp_path / "m.json")
    loaded = load_model(tmp_path / "m.json")
    with pytest.raises(UnsupportedError, match="exp"):
        CertificateBuilder(tmp_path / "m.json", loaded, FeatureSpace.of("abcdef"))


def test_the_command_line_certifies_and_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    path = _xgboost(tmp_path, 2)
    data, file = tmp_path / "d.csv", tmp_path / "c.json"
    x, _ = _table()
    pandas.DataFrame(x, columns=[f"f{i}" for i in range(6)]).to_csv(data, index=False)
    base = [str(path), str(data)]
    for command in (
        ["explain", *base, "--row", "1"],
        ["enumerate", *base, "--row", "1"],
        ["audit", *base, "--rows", "0:3", "--store", str(tmp_path / "s.db")],
    ):
        assert main([*command, "--certify", str(file), "--json"]) == 0
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["certificate"]["file"] == str(file)
        assert main(["check", str(file), "--model", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["proved"] is True
    assert main(["check", str(file), "--model", str(path)]) == 0
    assert "in exact rationals" in capsys.readouterr().out
    file.write_text(file.read_text().replace("0", "1", 1))
    assert main(["check", str(file), "--model", str(path)]) == 2
    assert "not proved" in capsys.readouterr().err
