"""Networks on the command line: images in, features chosen, pictures and reports out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.bindings.tiny_networks import tiny_network

from whyproof import Explainer, load_model
from whyproof.cli import main
from whyproof.engine.answers import Counterexample
from whyproof.engine.errors import DataError, InputError, UnsupportedError
from whyproof.engine.region import Region
from whyproof.network_tables import network_space, read_images

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

Out = pytest.CaptureFixture[str]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    images = tmp_path / "images.npy"
    np.save(images, (rng.random((5, 4, 4)) * 255).astype(np.uint8))
    return str(tiny_network(tmp_path / "net.onnx", 3)), str(images)


def test_a_network_is_explained_like_any_model(files: tuple[str, str], capsys: Out) -> None:
    for row in range(5):
        for kind in ("axp", "cxp"):
            command = ["explain", *files, "--row", str(row), "--epsilon", "0.2"]
            assert main([*command, "--kind", kind, "--json"]) == 0
            answer = json.loads(capsys.readouterr().out)
            assert answer["status"] in ("minimal", "none")
            assert all(name.startswith("pixel ") for name in answer["features"] or ())


def test_features_are_pixels_cells_or_values(files: tuple[str, str], capsys: Out) -> None:
    names = {}
    for features in ("pixels", "channels", "cells:2", "values"):
        command = ["explain", *files, "--row", "1", "--epsilon", "0.4", "--features", features]
        assert main([*command, "--domain", "0:1", "--json"]) == 0
        names[features] = json.loads(capsys.readouterr().out)["features"]
    assert all(name.startswith("cell ") for name in names["cells:2"])
    assert all(name.startswith("x") for name in names["values"])


def test_norms_give_evidence_within_their_balls(files: tuple[str, str], capsys: Out) -> None:
    image = np.load(files[1])[2].ravel().astype(np.float32) / np.float32(255)
    network = load_model(files[0])
    for norm, radius in (("linf", 0.3), ("l1", 1.5), ("l2", 0.8), ("l0", 3)):
        region = Region.ball(radius, norm)  # type: ignore[arg-type]
        explainer = Explainer(network, network_space(network), region=region)  # type: ignore[arg-type]
        found = explainer.explain(image.astype(np.float64), "cxp")
        if found is not None and isinstance(found.evidence, Counterexample):
            step = np.abs(found.evidence.point - image)
            size = {"linf": step.max(), "l1": step.sum(), "l2": np.sqrt((step**2).sum()),
                    "l0": np.count_nonzero(step)}[norm]  # fmt: skip
            assert size <= radius + 1e-9


def test_pictures_are_drawn(files: tuple[str, str], tmp_path: Path, capsys: Out) -> None:
    pytest.importorskip("matplotlib")
    one, many = tmp_path / "one.png", tmp_path / "many.png"
    command = [*files, "--row", "0", "--epsilon", "0.3", "--features", "cells:2"]
    assert main(["explain", *command, "--picture", str(one)]) == 0
    assert main(["enumerate", *command, "--limit", "4", "--picture", str(many)]) == 0
    assert one.read_bytes()[:4] == many.read_bytes()[:4] == b"\x89PNG"
    assert main(["explain", *command, "--picture", str(tmp_path / "no" / "x.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_certificates_are_written_and_checked(
    files: tuple[str, str], tmp_path: Path, capsys: Out
) -> None:
    file = str(tmp_path / "c.json")
    command = [*files, "--row", "0", "--epsilon", "0.2", "--certify", file]
    assert main(["explain", *command]) == 0
    assert main(["check", file, "--model", files[0]]) == 0
    assert "forces" in capsys.readouterr().out


def test_audits_of_images_are_reported_with_pictures(
    files: tuple[str, str], tmp_path: Path, capsys: Out
) -> None:
    store, page = str(tmp_path / "s.db"), tmp_path / "page.html"
    command = ["audit", *files, "--rows", "0:2", "--epsilon", "0.3", "--features", "cells:2"]
    assert main([*command, "--store", store, "--limit", "6"]) in (0, 3)
    assert main(["report", store, "--out", str(page)]) == 0
    text = page.read_text()
    assert text.count("data:image/png;base64,") > 4 and "the heat map" in text
    assert 'src="http' not in text


def test_bad_input_is_named(files: tuple[str, str], tmp_path: Path, capsys: Out) -> None:
    net, images = files
    wrong, bright, two = tmp_path / "w.npy", tmp_path / "b.npy", tmp_path / "t.npz"
    np.save(wrong, np.zeros((2, 5)))
    np.save(bright, np.full((1, 16), 3.0))
    np.savez(two, a=np.zeros((1, 16)), b=np.zeros((2, 16)))
    for arguments, words in (
        ([net, str(wrong), "--epsilon", "0.1"], "16 numbers"),
        ([net, str(bright), "--epsilon", "0.1"], "--domain"),
        ([net, str(bright), "--epsilon", "0.1", "--domain", "0:2"], "3"),
        ([net, str(two), "--epsilon", "0.1"], ":NAME"),
        ([net, f"{two}:c", "--epsilon", "0.1"], "no array 'c'"),
        ([net, images, "--epsilon", "0"], "epsilon"),
        ([net, images, "--epsilon", "-1"], "epsilon"),
        ([net, images, "--epsilon", "0.1", "--features", "cells:x"], "cells"),
        ([net, images, "--epsilon", "0.1", "--features", "dots"], "pixels"),
        ([net, images, "--epsilon", "0.1", "--ranges", "data"], "--ranges"),
        ([net, images, "--epsilon", "0.1", "--target", "9"], "no class '9'"),
    ):
        assert main(["explain", *arguments, "--row", "0"]) == 2, arguments
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1, (arguments, error)


def saved(path: Path, nodes: list[onnx.NodeProto], *constants: onnx.TensorProto) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def test_operators_that_cannot_be_followed_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "erf.onnx", [helper.make_node("Erf", ["x"], ["y"], name="last")])
    with pytest.raises(UnsupportedError, match=r"Erf.*last|last.*Erf"):
        load_model(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.full((2, 2), np.nan, np.float32), "w")
    path = saved(tmp_path / "nan.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], weight)
    with pytest.raises(InputError, match=r"finite|number"):
        load_model(path)


def test_images_of_other_shapes_and_kinds_are_refused(tmp_path: Path) -> None:
    network = load_model(tiny_network(tmp_path / "n.onnx"))
    for array in (np.zeros((4, 3)), np.zeros(17), np.array(["a"] * 16), np.full((1, 16), np.nan)):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(DataError):
            read_images(tmp_path / "a.npy", network)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="numpy"):
        (tmp_path / "c.npy").write_bytes(b"nothing")
        read_images(tmp_path / "c.npy", network)  # type: ignore[arg-type]


def test_a_misclassified_image_may_be_explained(files: tuple[str, str], capsys: Out) -> None:
    """The decision is explained, right or wrong; labels are not asked."""
    assert main(["explain", *files, "--row", "3", "--epsilon", "0.1"]) == 0
    assert "the model says" in capsys.readouterr().out


def test_even_if_pixels_change(files: tuple[str, str], capsys: Out) -> None:
    base = ["query", *files, "--row", "0", "--epsilon", "0.01"]
    assert main([*base, "--even-if", "pixel 0,0", "--even-if", "pixel 1,1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stays"] is True and found["evidence"]["margin"] > 0


def test_groups_and_channels_share_out_the_columns() -> None:
    from whyproof.networks import image_space

    apart = image_space((1, 3, 2, 2), channels="apart")
    assert apart.n_features == 12 and apart.names[1] == "pixel 0,0 channel 1"
    grouped = image_space((1, 3, 2, 2), groups={"top": [0, 1]})
    assert grouped.names == ("top", "pixel 1,0", "pixel 1,1")
    assert len(grouped.features[0].columns) == 6
    for groups in ({"a": [0], "b": [0]}, {"a": [9]}, {"a": []}):
        with pytest.raises(DataError):
            image_space((1, 1, 2, 2), groups=groups)
    with pytest.raises(DataError):
        image_space((1, 1, 2, 2), groups={"a": [0]}, cell=2)


def test_tables_of_numbers_keep_their_names(tmp_path: Path, capsys: Out) -> None:
    """Inputs that are no image: columns by position, called as the table calls them."""
    weight = onnx.numpy_helper.from_array(np.array([[1.0, -1.0], [0.0, 0.0]], np.float32), "w")
    net = saved(tmp_path / "two.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], weight)
    table = tmp_path / "rows.csv"
    table.write_text("speed,angle\n0.5,0.1\n")
    command = ["explain", str(net), str(table), "--row", "0", "--epsilon", "0.9", "--kind", "axp"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"] == ["speed"]


def test_bad_specifications_of_the_second_version_are_named(tmp_path: Path, capsys: Out) -> None:
    spec = tmp_path / "two.vnnlib"
    spec.write_text("(vnnlib-version <2.0>)\n(declare-network N)")
    assert main(["verify", str(tiny_network(tmp_path / "n.onnx")), str(spec)]) == 2
    assert "VNN-LIB 2.0" in capsys.readouterr().err
