"""The commands about images: what they write, how they go on, what they refuse."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

import torch
from tiny_visual import SIDE, bars, bridge, classifier, onnx_file

from whyproof.cli.failures import run
from whyproof.engine.errors import InputError, ModelError
from whyproof.visual.generators import generator_hash, load_generator
from whyproof.visual.metrics.cout import cout
from whyproof.visual.metrics.features import (
    frechet_distance,
    matched_reference,
    mean_similarity,
    split_frechet_distance,
    spread_of_copies,
)
from whyproof.visual.metrics.flips import summarise
from whyproof.visual.networks.adm import AdmShape, AdmUNet
from whyproof.visual.painter import MaskPainter
from whyproof.visual.pixels import read_image, write_image
from whyproof.visual.published import load_adm_bridge
from whyproof.visual.regions.painted import mask_beside, read_mask, write_mask
from whyproof.visual.repainting import repaint
from whyproof.visual.weights import save_bridge, write_tensors

IMAGES = bars()[0][:, :, :, None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("weights") / "bridge.safetensors"
    save_bridge(bridge(), place)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    for i in range(3):
        write_image(place / f"bar{i}.png", IMAGES[i])
    return place


def command(folder: Path, weights: Path, *more: str) -> list[str]:
    """Return the arguments of a quick run."""
    told = ["repaint", str(folder), "--classifier", str(onnx_file()), "--bridge", str(weights)]
    told += ["--out", str(folder.parent / "out"), "--cell", "2", "--steps", "5", "--json"]
    return [*told, *more]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return the JSON lines written."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_run_leaves_pictures_records_and_sheets_and_goes_on(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.parent / "out"
    assert run(command(folder, weights, "--scale", "4")) == 0
    *entries, summary = lines(capsys)
    assert [e["image"] for e in entries] == ["bar0.png", "bar1.png", "bar2.png"]
    assert summary["counterfactuals"] == 3 and summary["outside"] == 0
    for i, entry in enumerate(entries):
        told = entry["counterfactuals"][0]
        painted = read_image(out / told["files"]["image"])[0]
        region = read_image(out / told["files"]["region"])[0][..., 0] > 0
        assert np.array_equal(painted[~region], IMAGES[i][~region])
        assert str(classifier().predict(painted[None])[0]) == told["outcome"]
        assert told["region_share"] <= 0.3
    assert (out / "sheet.png").stat().st_size > 500
    page = (out / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<article>") == 3 and "http" not in page.replace("http://www.w3.org", "")
    first = (out / "bar1.png").read_bytes()
    (out / "bar2.json").unlink()
    (out / "bar0.png").write_bytes(first)  # altered: outside the region it is another image
    assert run(command(folder, weights, "--scale", "4")) == 0
    *entries, summary = lines(capsys)
    assert [e["resumed"] for e in entries] == [False, True, False]
    assert (out / "bar1.png").read_bytes() == first
    assert run(command(folder, weights, "--scale", "3.5")) == 0
    assert lines(capsys)[-1]["resumed"] == 0


def test_sources_that_are_not_predicted_are_skipped_and_said(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [str(c) for c in classifier().predict(IMAGES[:3])]
    assert run([a for a in command(folder, weights, "--source", said[0]) if a != "--json"]) == 0
    text = capsys.readouterr().out
    for i in range(3):
        assert (f"bar{i}.png: skipped, the model says" in text) == (said[i] != said[0])


@pytest.mark.slow
@pytest.mark.parametrize("region", ["random", "mask", "symbolic"])
def test_other_regions(
    region: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[2:6, 2:6] = True
    for i in range(3):
        write_mask(mask_beside(folder / f"bar{i}.png"), mask)
    extra = ["--connected", "--prove", "5"] if region == "symbolic" else []
    assert run(command(folder, weights, "--region", region, "--copies", "2", *extra)) == 0
    *entries, summary = lines(capsys)
    assert summary["counterfactuals"] == 6
    if region == "mask":
        assert entries[0]["counterfactuals"][1]["region_share"] == 0.25
    if region == "symbolic":
        assert "region" in entries[0]["counterfactuals"][0]["notes"][0]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--target", "9"), "no class '9'"),
        (("--source", "0", "--target", "0"), "source and target"),
        (("--region", "sky"), "no kind of region 'sky'"),
        (("--attribution", "magic"), "no attribution 'magic'"),
        (("--area", "1.5"), "area"),
        (("--cell", "99"), "cells of 99 pixels"),
        (("--steps", "0"), "steps must be at least 1"),
        (("--start-step", "4000"), "start step must lie in"),
        (("--scale", "-1"), "scale must not be negative"),
        (("--must", "9,9", "--region", "symbolic"), "no cell 9,9"),
        (("--must", "x", "--region", "symbolic"), "ROW,COLUMN"),
        (("--region", "text", "--text", "bar"), "no weights are downloaded"),
        (("--region", "mask"), "there is no image"),
        (("--classes", "a,b"), "class"),
    ],
)
def test_bad_options_exit_2_with_one_line(
    more: tuple[str, ...],
    told: str,
    folder: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(command(folder, weights, *more)) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_bad_files_exit_2_with_one_line(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(folder / "large.png", np.zeros((9, 9, 1), np.uint8))
    assert run(command(folder, weights)) == 2
    assert "large.png: an image of 9 x 9" in capsys.readouterr().err
    (folder / "large.png").write_text("words")
    assert run(command(folder, weights)) == 2
    assert "no image that can be read" in capsys.readouterr().err
    (folder / "large.png").unlink()
    assert run(command(folder, folder / "none.safetensors")) == 2
    assert "never downloaded" in capsys.readouterr().err
    write_image(folder / "bar0.jpg", IMAGES[0])
    assert run(command(folder, weights)) == 2
    assert "would write the same files" in capsys.readouterr().err
    empty = folder / "empty"
    empty.mkdir()
    assert run(command(empty, weights)) == 2
    assert "there are no images" in capsys.readouterr().err


def regions_of(image: Path, *more: str) -> list[str]:
    """Return the arguments of a question about regions."""
    return ["visual", "regions", str(image), "--classifier", str(onnx_file()), "--cell", "4", *more]


def test_regions_come_smallest_first_with_masks_and_proofs(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, out = folder / "bar0.png", folder.parent / "masks"
    more = ("--count", "0", "--out", str(out), "--bridge", str(weights), "--json")
    assert run(regions_of(image, *more)) == 0
    *entries, last, both = lines(capsys)
    assert last == {"regions": len(entries), "complete": True} and entries
    sets = [{tuple(c) for c in e["cells"]} for e in entries]
    assert [len(s) for s in sets] == sorted(len(s) for s in sets)
    assert not any(a < b for a in sets for b in sets)
    for entry, cells in zip(entries, sets, strict=True):
        assert entry["proved"] is True
        mask = read_mask(Path(entry["mask"]), SIDE, SIDE) if len(cells) < 4 else None
        if mask is not None:
            assert mask.sum() == 16 * len(cells)
    if both["generator"] is not None:
        assert {tuple(c) for c in both["inside"]} <= {tuple(c) for c in both["generator"]}
        assert both["inside_proved_minimal"] is True
    assert run(regions_of(image, "--connected", "--bridge", str(weights))) == 0
    text = capsys.readouterr().out
    assert "no smaller region of this shape can, proved" in text


def test_searches_of_regions_that_end_early_and_bad_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = folder / "bar0.png"
    assert run(regions_of(image, "--count", "0", "--time-limit", "0.000001")) == 3
    assert "The time is over" in capsys.readouterr().out
    for more, told in (
        (("--target", "9"), "no class '9'"),
        (("--must", "9,9"), "no cell 9,9"),
        (("--must", "0,0", "--must-not", "0,0"), "both must and must not"),
        (("--bridge", str(folder / "none.safetensors")), "never downloaded"),
    ):
        assert run(regions_of(image, *more)) == 2
        assert told in capsys.readouterr().err
    assert run(regions_of(folder / "none.png")) == 2


@pytest.mark.slow
def test_training_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "bars.npz", tmp_path / "bridge.safetensors"
    images, labels = bars()
    np.savez(data, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    told = ["visual", "train", str(data), "--out", str(out), "--iterations", "4", "--batch", "4"]
    assert run([*told, "--every", "2", "--width", "8", "--cell", "2"]) == 0
    first = out.read_bytes()
    assert run([*told, "--every", "3", "--width", "8", "--cell", "2", "--json"]) == 0
    assert out.read_bytes() == first
    capsys.readouterr()
    onnx = tmp_path / "judge.onnx"
    judge = ["visual", "judge", str(data), "--out", str(tmp_path / "judge.safetensors")]
    assert run([*judge, "--onnx", str(onnx), "--iterations", "40", "--json"]) == 0
    assert lines(capsys)[0]["accuracy"] >= 0.5 and onnx.exists()
    np.savez(data, other=images)
    assert run(told) == 2
    assert "has no array 'x_train'" in capsys.readouterr().err
    data.write_bytes(b"no arrays")
    assert run(told) == 2
    assert "no file of named arrays" in capsys.readouterr().err


def test_the_painter_saves_what_is_painted_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "bar.png"
    write_image(place, IMAGES[0])
    mask = np.zeros((SIDE, SIDE), int)
    mask[1:3] = 1
    with MaskPainter(place) as painter:
        worker = threading.Thread(target=painter.serve, daemon=True)
        worker.start()

        def send(address: str, body: bytes | None = None) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(address, body, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        base = painter.url.rsplit("/", 1)[0]
        assert painter.url.startswith("http://127.0.0.1:")
        assert send(base + "/")[0] == 404
        assert send(base + "/guess", json.dumps([1]).encode())[0] == 404
        code, page = send(painter.url)
        assert code == 200 and "bar.png" in page and "data:image/png" in page
        for bad in (
            b"[1, 2]",
            b"nonsense",
            json.dumps([0] * 64).encode(),
            b"[" + b"1," * 63 + b"1]",
        ):
            assert send(painter.url, bad)[0] == 400
        assert not painter.out.exists()
        assert send(painter.url, json.dumps(mask.ravel().tolist()).encode())[0] == 200
        worker.join(timeout=10)
        assert painter.saved and np.array_equal(read_mask(painter.out, SIDE, SIDE), mask > 0)
    with pytest.raises(InputError):
        MaskPainter(tmp_path / "none.png")


# Metrics --------------------------------------------------------------------------------


def test_cout_is_highest_for_a_change_that_few_pixels_carry() -> None:
    images = IMAGES[:6]
    targets = 1 - classifier().predict(images).clip(0, 1)
    sources = classifier().predict(images)
    same = cout(classifier(), images, images, sources, targets, batches=8)
    before = classifier().probabilities(images)
    rows = np.arange(6)
    assert np.allclose(same, before[rows, targets] - before[rows, sources], atol=1e-6)
    other = np.stack([IMAGES[np.flatnonzero(bars()[1] == t)[0]] for t in targets])
    assert (cout(classifier(), images, other, sources, targets, batches=8) > same).all()
    with pytest.raises(InputError):
        cout(classifier(), images, images[:, :4], sources, targets)


def test_frechet_distance_equals_that_by_a_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    random = np.random.default_rng(0)
    one, two = random.normal(size=(80, 5)), random.normal(size=(60, 5)) @ random.normal(size=(5, 5))
    covariances = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum()
    expected += np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(one, two) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert split_frechet_distance(one, one) > 0.05  # halves differ although pairs are equal
    with pytest.raises(InputError):
        frechet_distance(one, one[:1])


def test_references_have_the_mix_of_the_targets() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    vectors = labels[:, None].astype(float)
    found = matched_reference(vectors, labels, [0, 1, 1])
    assert (found[:, 0] == 1).mean() == pytest.approx(2 / 3, abs=0.04)
    with pytest.raises(InputError, match="class 7"):
        matched_reference(vectors, labels, [7])


def test_similarity_and_diversity() -> None:
    vectors = np.eye(4)
    assert mean_similarity(vectors, 3 * vectors) == pytest.approx(1.0)
    assert spread_of_copies([vectors, vectors]) == 0.0
    assert spread_of_copies([vectors, vectors + 1]) == pytest.approx(2.0)
    with pytest.raises(InputError):
        spread_of_copies([vectors])


def test_summaries_count_what_happened() -> None:
    images = IMAGES[:5]
    targets = 1 - classifier().predict(images).clip(0, 1)
    found = repaint(bridge(), classifier(), images, np.ones(images.shape[:3], bool), targets)
    told = summarise(found)
    assert told.count == 5 and told.outside == 0
    assert told.reached == np.mean([r.outcome == r.target for r in found])
    assert told.control_changed == np.mean([r.control_outcome != r.source for r in found])
    assert told.guided <= 1 and told.as_json()["count"] == 5
    with pytest.raises(InputError):
        summarise([])


# Published networks ---------------------------------------------------------------------

SMALL = AdmShape(3, 8, (1, 2), 1, (2,), 8, 4)


def test_published_weights_in_every_form(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = AdmUNet(SMALL)
    state = network.state_dict()
    image, mask = torch.randn(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    wanted = network(image, torch.tensor([5.0, 700.0]), mask)
    doubled = dict(state)
    for name in ("out.2.weight", "out.2.bias"):
        doubled[name] = torch.cat([state[name], torch.zeros_like(state[name])])
    forms = (
        state,
        {f"diffusion_model.{k}": v for k, v in state.items()} | {"noise_levels": torch.ones(9)},
        {f"net.diffusion_model.{k}": torch.zeros_like(v) for k, v in state.items()}
        | {f"ema.module.diffusion_model.{k}": v for k, v in state.items()},
        doubled,
    )
    for i, tensors in enumerate(forms):
        place = tmp_path / f"{i}.safetensors"
        write_tensors(place, tensors, {})
        loaded = load_adm_bridge(place, side=8, shape=SMALL)
        assert loaded.shape == (3, 8, 8)
        assert torch.allclose(loaded.network(image, torch.tensor([5.0, 700.0]), mask), wanted)
    broken = dict(state)
    del broken["time_embed.0.weight"]
    broken["label_emb.weight"] = torch.zeros(2, 2)
    place = tmp_path / "broken.safetensors"
    write_tensors(place, broken, {})
    with pytest.raises(ModelError) as told:
        load_adm_bridge(place, side=8, shape=SMALL)
    assert "missing: time_embed.0.weight" in str(told.value)
    assert "unexpected: label_emb.weight" in str(told.value)


def test_generators_are_known_by_their_files(tmp_path: Path, weights: Path) -> None:
    assert load_generator(weights).shape == (1, SIDE, SIDE)
    published = tmp_path / "published.safetensors"
    write_tensors(published, {"net.diffusion_model.input_blocks.0.0.weight": torch.ones(1)}, {})
    with pytest.raises(ModelError, match=r"missing: .* and \d+ more; shapes: input_blocks"):
        load_generator(published)
    odd = tmp_path / "odd.safetensors"
    write_tensors(odd, {"a": torch.ones(1)}, {})
    with pytest.raises(ModelError, match="holds no bridge"):
        load_generator(odd)
    odd.write_text("words")
    with pytest.raises(ModelError, match="no safetensors file"):
        load_generator(odd)
    with pytest.raises(ModelError, match="holds no saved diffusion model"):
        load_generator(tmp_path)
    first = generator_hash(weights)
    assert first == generator_hash(weights) != generator_hash(odd)
    assert generator_hash(tmp_path) != generator_hash(odd)


def test_the_published_network_has_the_published_shapes() -> None:
    with torch.device("meta"):
        network = AdmUNet()
    state = network.state_dict()
    # 552.8 million with an output of six channels, as published; three of them are cut.
    count = sum(value.numel() for value in state.values())
    assert count == 552_814_086 - 3 * (256 * 9 + 1)
    for name, shape in (
        ("time_embed.0.weight", (1024, 256)),
        ("input_blocks.0.0.weight", (256, 3, 3, 3)),
        ("input_blocks.3.0.in_layers.2.weight", (256, 256, 3, 3)),
        ("input_blocks.7.0.skip_connection.weight", (512, 256, 1, 1)),
        ("input_blocks.10.1.qkv.weight", (1536, 512, 1)),
        ("middle_block.1.proj_out.weight", (1024, 1024, 1)),
        ("output_blocks.0.0.in_layers.2.weight", (1024, 2048, 3, 3)),
        ("output_blocks.2.2.emb_layers.1.weight", (2048, 1024)),
        ("out.2.weight", (3, 256, 3, 3)),
    ):
        assert tuple(state[name].shape) == shape, name


def test_heads_attend_as_published() -> None:
    from whyproof.visual.networks.adm import _Attention

    torch.manual_seed(1)
    attention = _Attention(16, AdmShape(3, 8, (1, 2), 1, (2,), 8, 4))
    images = torch.randn(2, 16, 3, 3)
    flat = images.flatten(2)
    qkv = attention.qkv(attention.norm(flat))
    # Written out: heads first, each with its query, key and value one behind the other.
    query, key, value = qkv.reshape(2 * 2, 24, 9).split(8, dim=1)
    share = torch.einsum("bct,bcs->bts", query, key) / 8**0.5
    heads = torch.einsum("bts,bcs->bct", share.softmax(-1), value).reshape(2, 16, 9)
    expected = (flat + attention.proj_out(heads)).reshape(images.shape)
    assert torch.allclose(attention(images), expected, atol=1e-5)
