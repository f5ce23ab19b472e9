"""Certificates about networks: what the checker accepts is true, whoever wrote it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bindings.tiny_networks import tiny_network

from whyproof import Explainer, load_model
from whyproof.certificates import certify
from whyproof.checker import Refused
from whyproof.checker.document import digest_of
from whyproof.engine.budget import Budget
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.question import ReachClass
from whyproof.engine.region import Region
from whyproof.network_check import check_network_certificate
from whyproof.networks import image_space

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def written(folder: Path, seed: int, kind: str, **options: Any) -> tuple[str, bytes] | None:
    path = tiny_network(folder / f"net{seed}.onnx", seed)
    network = load_model(path)
    explainer = Explainer(
        network, image_space((1, 4, 4), cell=2), region=Region.ball(0.25), **options
    )
    image = np.float32(np.random.default_rng(seed).random(16)).astype(np.float64)
    found = explainer.explain(image, kind)
    if found is None:
        return None
    verdict = certify([found], path, folder / "c.json")
    assert len(verdict.claims) == 1 and "no element can be left out" in verdict.claims[0]
    return (folder / "c.json").read_text(), path.read_bytes()


@pytest.mark.parametrize("kind", ["axp", "cxp"])
def test_explanations_are_certified_and_checked(tmp_path: Path, kind: str) -> None:
    made = 0
    for seed in range(6):
        made += written(tmp_path, seed, kind) is not None
    assert made >= 3


def test_a_question_for_one_class_is_certified(tmp_path: Path) -> None:
    for seed in range(6):
        path = tiny_network(tmp_path / "n.onnx", seed)
        image = np.float32(np.random.default_rng(seed).random(16)).astype(np.float64)
        said = int(load_model(path).predict(image[None])[0])
        assert written(tmp_path, seed, "axp", question=ReachClass((said + 1) % 3)) is not None


def resigned(content: dict[str, Any]) -> str:
    content.pop("digest", None)
    return json.dumps({**content, "digest": digest_of(content)})


def contradicted(content: dict[str, Any], network: Any) -> bool:
    """Tell whether some corner or point breaks what is said to be impossible."""
    decision = content["decisions"][0]
    claim = decision["claims"][0]
    features = {f["name"]: f["columns"] for f in content["space"]["features"]}
    image = np.array(decision["instance"])
    fixed = [set(claim["features"])]
    if claim["kind"] == "cxp":
        needed = set(claim["features"]) - set(claim["open"])
        fixed = [set(features) - set(claim["features"]) | {name} for name in needed]
    epsilon = decision["region"]["epsilon"]
    low, high = np.clip(image - epsilon, 0, 1), np.clip(image + epsilon, 0, 1)
    rng = np.random.default_rng(0)
    for held in fixed:
        columns = [c for n in features if n not in held for c in features[n]]
        points = np.repeat(image[None], 3000, axis=0)
        share = rng.random((3000, len(columns)))
        share[:2500] = share[:2500] > 0.5
        points[:, columns] = low[columns] + share * (high - low)[columns]
        if bool((network.predict(points) != network.predict(image[None])[0]).any()):
            return True
    return False


@pytest.mark.parametrize("kind", ["axp", "cxp"])
def test_forged_certificates_are_refused_or_true(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    refused = accepted = 0
    for seed in range(5):
        made = written(tmp_path, seed, kind)
        if made is None:
            continue
        text, payload = made
        network = load_model(tmp_path / f"net{seed}.onnx")
        for change in range(14):
            content = json.loads(text)
            decision = content["decisions"][0]
            claim = decision["claims"][0]
            match change % 7:
                case 0 if claim["features"]:
                    claim["features"].pop(int(rng.integers(len(claim["features"]))))
                case 1:
                    decision["region"]["epsilon"] *= float(rng.choice([0.5, 2.0]))
                case 2:
                    decision["instance"][int(rng.integers(16))] = float(rng.random())
                case 3 if claim["proof"]:
                    claim["proof"].pop(int(rng.integers(len(claim["proof"]))))
                case 4 if claim["proof"]:
                    leaf = claim["proof"][int(rng.integers(len(claim["proof"])))]
                    leaf["slopes"] = [[min(1.0, 0.5 + s) for s in row] for row in leaf["slopes"]]
                case 5 if claim["proof"]:
                    leaf = claim["proof"][int(rng.integers(len(claim["proof"])))]
                    leaf["multipliers"] = [m * 2 + 0.1 for m in leaf["multipliers"]]
                case _:
                    decision["prediction"] = (decision["prediction"] + 1) % 3
            try:
                check_network_certificate(resigned(content), payload)
                accepted += 1
                assert not contradicted(content, network)
            except Refused:
                refused += 1
    assert refused > 10


def test_damage_other_files_and_balls_are_refused(tmp_path: Path) -> None:
    seeds = product(range(6), ["cxp"])
    text, payload = next(made for s, k in seeds if (made := written(tmp_path, s, k)) is not None)
    other = tiny_network(tmp_path / "other.onnx", 99).read_bytes()
    with pytest.raises(Refused, match="another model file"):
        check_network_certificate(text, other)
    with pytest.raises(Refused, match="digest"):
        check_network_certificate(text.replace('"cxp"', '"axp"'), payload)
    for damaged in (text[: len(text) // 2], "{}", resigned({"format": "x"})):
        with pytest.raises(Refused):
            check_network_certificate(damaged, payload)
    network = load_model(tiny_network(tmp_path / "n.onnx", 1))
    ball = Explainer(network, image_space((1, 4, 4), cell=2), region=Region.ball(2.0, "l1"))
    found = ball.explain(np.full(16, 0.5), "cxp", budget=Budget(seconds=20))
    if found is not None:
        with pytest.raises(UnsupportedError, match="boxes"):
            certify([found], tmp_path / "n.onnx", tmp_path / "b.json")
