"""Check the network oracle against mixed-integer programs, and decide VNN-LIB specifications.

python -m benchmarks.networks_checks --part agreement,vnnlib,boxes --out FILE

``agreement``: random free sets of tiny networks and of verix_mnist-10x2, decided by the oracle and
by HiGHS; a contradiction is counted, never hidden.  ``vnnlib``: every specification of the data
folder, with its verdict, margin or witness.  ``boxes``: contrastive explanations in the boxes
of the CIFAR specifications.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.machine import data_folder
from benchmarks.sections import Section
from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.milp import MilpOracle
from whyproof.encodings.networks.oracle import NetworkOracle, OracleOptions
from whyproof.encodings.networks.search import NetworkSearch
from whyproof.encodings.networks.spaces import flat_space, image_space
from whyproof.encodings.networks.verification import verify
from whyproof.encodings.networks.vnnlib import read_vnnlib
from whyproof.engine.answers import Counterexample
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

PARTS = ("agreement", "vnnlib", "boxes")


def main() -> None:
    """Measure the parts asked for and add them to one JSON file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", type=lambda s: s.split(","), default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=10.0, help="per specification or box")
    parser.add_argument("--queries", type=int, default=320)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=10**9, help="records to add in this run")
    parser.add_argument("--resume", action="store_true", help="keep the records that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"agreement": _agreement, "vnnlib": _specifications, "boxes": _boxes}
    for part in options.part:
        settings = {"seconds": options.seconds, "queries": options.queries}
        with Section(options.out, part, settings, resume=options.resume) as section:
            parts[part](options, section)


def _agreement(options: argparse.Namespace, section: Section) -> None:
    rng = np.random.default_rng(0)
    data = np.load(data_folder() / "images" / "mnist.npz")["x_test"][:20]
    images = (data.reshape(20, -1).astype(np.float32) / np.float32(255)).astype(np.float64)
    verix = NetworkClassifier.load(data_folder() / "nets/mnist/verix_mnist-10x2.onnx")
    half = options.queries // 2
    for name in ("tiny", "verix_mnist-10x2"):
        if section.holds({"net": name}):
            continue
        verdicts: Counter[str] = Counter()
        spent = {"oracle": 0.0, "program": 0.0}
        for k in range(half):
            if name == "tiny":
                network, space = _tiny(rng), flat_space(6, lower=0.0, upper=1.0)
                image, epsilon = rng.random(6).astype(np.float32).astype(np.float64), 0.3
            else:
                network, space = verix, image_space(verix.input_shape)
                image, epsilon = images[k % 20], float(rng.choice([0.03, 0.05, 0.1]))
            problem = ExplanationProblem(network, space, image, Region.ball(epsilon))
            share = rng.uniform(0.2, 0.8)
            free = frozenset(np.flatnonzero(rng.random(space.n_features) < share).tolist())
            oracle = NetworkOracle(problem, OracleOptions(program_seconds=0))
            began = time.process_time()
            (mine,) = oracle.decide([free], Budget().start())
            spent["oracle"] += time.process_time() - began
            began = time.process_time()
            (theirs,) = MilpOracle(problem, seconds=10.0).decide([free], Budget().start())
            spent["program"] += time.process_time() - began
            pair = type(mine).__name__, type(theirs).__name__
            if "Unknown" in pair:
                verdicts["undecided by one"] += 1
            elif pair[0] == pair[1]:
                verdicts["both yes" if isinstance(mine, Counterexample) else "both no"] += 1
            else:
                verdicts["contradiction"] += 1
        told = {"queries": half, **verdicts, **{k: round(v, 1) for k, v in spent.items()}}
        section.add({"net": name}, told)


def _tiny(rng: np.random.Generator) -> NetworkClassifier:
    sizes = {"w1": (6, 8), "b1": (8,), "w2": (8, 8), "b2": (8,), "w3": (8, 3), "b3": (3,)}
    constants = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in sizes.items()
    ]
    nodes, at = [], "x"
    for layer in (1, 2, 3):
        nodes.append(helper.make_node("Gemm", [at, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        at = f"z{layer}"
        if layer < 3:
            nodes.append(helper.make_node("Relu", [at], [f"r{layer}"]))
            at = f"r{layer}"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("z3", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return NetworkClassifier(onnx.load_model_from_string(model.SerializeToString()))


def _specifications(options: argparse.Namespace, section: Section) -> None:
    for net, spec in _pairs():
        key = {"net": net.stem, "specification": spec.name}
        if section.holds(key):
            continue
        network = NetworkClassifier.load(net)
        queries = read_vnnlib(spec, network.n_columns, network.graph.n_outputs)
        found = verify(network, queries, seconds=options.seconds)
        told = {
            "result": str(found.outcome),
            "margin": found.margin,
            "reason": found.reason,
            "boxes": found.nodes,
            "cpu": round(found.cpu_seconds, 2),
        }
        section.add(key, told)


def _pairs() -> list[tuple[Path, Path]]:
    nets = data_folder() / "nets"
    pairs = [
        (nets / "mnist" / f"{name}.onnx", spec)
        for name in ("mnist-net_256x2", "mnist-net_256x4")
        for spec in sorted((nets / "mnist/vnnlib").glob("*.vnnlib.gz"))
    ]
    for net in sorted((nets / "acasxu").glob("*.onnx")):
        pairs += [(net, spec) for spec in sorted((nets / "acasxu").glob("*.vnnlib"))]
    return pairs + _cifar_pairs()


def _cifar_pairs() -> list[tuple[Path, Path]]:
    folder = data_folder() / "nets/cifar"
    by_start = {
        "cifar_base_kw": "cifar_base_kw",
        "networkcifar10_small": "cifar10_small",
        "resnet2b": "resnet_2b",
    }
    return [
        (folder / f"{net}.onnx", spec)
        for spec in sorted((folder / "vnnlib").glob("*.vnnlib.gz"))
        for start, net in by_start.items()
        if re.match(start, spec.name)
    ]


def _boxes(options: argparse.Namespace, section: Section) -> None:
    """Explain the middle of each CIFAR box within the box; channels of a pixel together."""
    for net, spec in _cifar_pairs():
        key = {"net": net.stem, "specification": spec.name}
        if section.holds(key):
            continue
        if section.full(options.most):
            return
        network = NetworkClassifier.load(net)
        query = read_vnnlib(spec, network.n_columns, network.graph.n_outputs)[0]
        middle = ((query.lower + query.upper) / 2).astype(np.float32).astype(np.float64)
        space = image_space(network.input_shape, lower=-1e3, upper=1e3)
        region = Region(lower=query.lower, upper=query.upper)
        problem = ExplanationProblem(
            network, space, np.clip(middle, query.lower, query.upper), region
        )
        oracle = NetworkOracle(problem, OracleOptions(tree_seconds=0.8 * options.seconds))
        began = time.process_time()
        found = minimise(
            problem, oracle, Kind.CXP, strategy=NetworkSearch(oracle, options.seconds),
            meter=Budget(seconds=options.seconds).start(),
        )  # fmt: skip
        told: dict[str, Any] = {"status": "none", "size": None}
        if found is not None:
            told = {"status": str(found.status), "size": len(found), "open": len(found.open)}
            told["at_least"] = found.at_least
        told |= {"cpu": round(time.process_time() - began, 2), "nodes": oracle.tally.nodes}
        section.add(key, told)


if __name__ == "__main__":
    main()
