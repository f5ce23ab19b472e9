"""Networks come in from torch and NNet and are explained through the front door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.explanation import Status
from whyproof.engine.region import Region
from whyproof.explainer import Explainer
from whyproof.networks import image_space, load_network

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def test_a_torch_module_is_explained_as_it_runs() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, stride=2),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(3, 3),
        torch.nn.Softmax(dim=1),
    )
    module[1].running_mean.add_(0.1)
    module.train()
    network = load_network(module, input_shape=(1, 1, 6, 6), classes=("a", "b", "c"))
    assert module.training
    points = np.random.default_rng(0).random((5, 36)).astype(np.float32)
    module.eval()
    with torch.no_grad():
        wanted = module(torch.tensor(points.reshape(5, 1, 6, 6))).numpy()
    np.testing.assert_allclose(network.scores(points), wanted, atol=1e-5)
    explainer = Explainer(network, image_space(network.input_shape), region=Region.ball(0.4))
    for kind in ("axp", "cxp"):
        found = explainer.explain(points[0].astype(np.float64), kind)
        assert found is None or found.status is Status.MINIMAL


def test_nnet_files_run_on_onnxruntime(tmp_path: Path) -> None:
    path = tmp_path / "net.nnet"
    path.write_text(
        "// header\n2,2,2,2,\n2,2,2,\n0,\n-1,-1,\n1,1,\n0.5,0.0,10.0,\n2.0,1.0,4.0,\n"
        "1.0,0.0,\n0.0,-1.0,\n0.25,\n0.5,\n1.0,2.0,\n0.0,1.0,\n-1.0,\n0.0,\n"
    )
    network = load_network(path, decision="smallest")
    assert network.outputs(np.array([[3.0, -0.5]])).tolist() == [[20.0, 14.0]]
    assert network.predict(np.array([[3.0, -0.5]])).tolist() == [1]


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="not as dict"):
        load_network({})
    with pytest.raises(InputError, match="input_shape"):
        load_network(torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match="decision"):
        load_network("x.onnx", decision="biggest")
