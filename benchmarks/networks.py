"""Explain images by neural networks; compare strategies over the same oracle.

python -m benchmarks.networks --net mnist-net_256x2.onnx --images mnist.npz --rows 0:8
    --epsilon 0.05 --strategy witness,dichotomic,swift --out result.json

``--section NAME`` is one of the tables of ``docs/benchmarks.md``; FILE holds sections by
name and is written after each record.  ``--resume`` goes on where an earlier run stopped.

Times are processor seconds of this process; strategies run one after the other on the same
problem, each with its own oracle and empty memory.  Sampled proofs are decided again by
mixed-integer programming, every witness is replayed on onnxruntime.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fame_nets import fame_model, published
from benchmarks.machine import data_folder
from benchmarks.sections import Section
from whyproof.encodings.networks.attack import AttackOptions
from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.milp import MilpOracle
from whyproof.encodings.networks.oracle import NetworkOracle, OracleOptions
from whyproof.encodings.networks.search import NetworkSearch
from whyproof.encodings.networks.shrinking import sensitivity
from whyproof.encodings.networks.spaces import image_space
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.minimal import STRATEGIES, Strategy, SwiftCXp
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

_MINUTE = "--seconds 58 --tree-seconds 30 --wall-seconds 60"
_FAME = "--kind axp --train --epsilon 0.05 --listed B/MNIST_"
SECTIONS = {
    "cxp": "--net mnist-net_256x2.onnx --epsilon 0.03,0.05,0.08,0.1",
    "redecided": "--net mnist-net_256x2.onnx --rows 0,2,6 --epsilon 0.1 --redecide 3",
    "ratios": "--net mnist-net_256x2.onnx --epsilon 0.03,0.05,0.08,0.1 "
    "--strategy witness,dichotomic,swift --baseline-seconds 20",
    "deep": f"--net mnist-net_256x4.onnx --rows 2,6,7,9 --epsilon 0.1,0.05 {_MINUTE}",
    "convolution": f"--net mnist_convSmallRELU__Point.onnx --rows 0:4 --epsilon 0.05,0.2 {_MINUTE}",
    "pooling": "--net Convnet_maxpool.onnx --rows 0 --epsilon 0.05 --seconds 40",
    "verix": "--net verix_mnist-10x2.onnx --epsilon 0.05",
    "sigmoid": f"--net ffnnSIGMOID__Point_6x200.onnx --rows 0:3 --epsilon 0.05 {_MINUTE}",
    "axp": "--kind axp --net mnist-net_256x2.onnx --rows 0 --seconds 30",
    "axp-long": "--kind axp --net mnist-net_256x2.onnx --rows 2 --seconds 300",
    "fame-10x2": f"{_FAME}10x2_B_fgsm.csv --net mnist-10x2.npz",
    "fame-cnn": f"{_FAME}cnn_B_fgsm.csv --net mnist-cnn.npz",
    "enumerate": "--net mnist-net_256x2.onnx --rows 2 --epsilon 0.08 --enumerate 100",
}
"""What `docs/benchmarks.md` reports, by name."""

BASELINES = {"linear": "deletion", "dichotomic": "dichotomic"}


def main() -> None:
    """Measure and write, record by record."""
    options = _arguments(sys.argv[1:])
    torch.set_num_threads(1)
    settings = {
        k: v for k, v in vars(options).items() if k not in ("out", "resume", "section", "most")
    }
    name = options.section or "explanations"
    with Section(options.out, name, settings, resume=options.resume, summarise=_summary) as section:
        for net in options.net:
            _measure_net(net, options, section)
    for line in _summary(section.records):
        print(line)


def _measure_net(net: str, options: argparse.Namespace, section: Section) -> None:
    classifier = _load(net)
    space = image_space(classifier.input_shape)
    images = _images(options)
    # Torch compiles its first gradients: once, before anything is measured.
    first = ExplanationProblem(classifier, space, images[0][1], Region.ball(0.001))
    NetworkOracle(first).obligations(frozenset({300, 301, 302}), 0.5)
    for epsilon in options.epsilon:
        for row, image in images:
            problem = ExplanationProblem(classifier, space, image, Region.ball(epsilon))
            for strategy in options.strategy:
                key = {"net": net, "epsilon": epsilon, "row": row, "strategy": strategy}
                if section.holds(key):
                    continue
                if section.full(options.most):
                    return
                rng = np.random.default_rng(options.seed + row)
                section.add(key, _measure(problem, strategy, options, rng))


def _measure(
    problem: ExplanationProblem, name: str, options: argparse.Namespace, rng: np.random.Generator
) -> dict[str, Any]:
    oracle = NetworkOracle(problem, OracleOptions(tree_seconds=options.tree_seconds))
    kind = Kind(options.kind)
    baseline = name != "witness"
    wall_limit = options.baseline_seconds if baseline else options.wall_seconds
    meter = Budget(seconds=wall_limit).start()
    cpu, wall = time.process_time(), time.perf_counter()
    if options.enumerate:
        record = _enumerate(problem, oracle, kind, options.enumerate, meter)
        explanation = None
    else:
        explanation, start = _explain(problem, oracle, kind, name, options, meter)
        record = start
    record |= {
        "cpu": round(time.process_time() - cpu, 3),
        "wall": round(time.perf_counter() - wall, 3),
        **asdict(oracle.tally),
    }
    if explanation is not None:
        record |= _check(problem, oracle, explanation, options.redecide, rng)
        if explanation.open and explanation.at_least:
            record["at_least"] = explanation.at_least
    if baseline:
        # Stopped by the clock: the time spent is a lower bound.
        record["stopped"] = meter.exhausted() is not None
    return record


def _explain(
    problem: ExplanationProblem,
    oracle: NetworkOracle,
    kind: Kind,
    name: str,
    options: argparse.Namespace,
    meter: Meter,
) -> tuple[Explanation | None, dict[str, Any]]:
    strategy: str | Strategy
    order = None
    if name == "witness":
        strategy = NetworkSearch(oracle, options.seconds)
    else:
        strategy = SwiftCXp(q=options.q) if name == "swift" else STRATEGIES[BASELINES[name]]
        order = _order(oracle)
    explanation = minimise(problem, oracle, kind, strategy=strategy, order=order, meter=meter)
    if explanation is None:
        return None, {"size": None, "status": "none"}
    return explanation, {
        "size": len(explanation),
        "status": str(explanation.status),
        "open": len(explanation.open),
        "questions": explanation.statistics.oracle_calls,
        "search_rounds": explanation.statistics.rounds,
    }


def _order(oracle: NetworkOracle) -> list[int] | None:
    """Order features from the least to the most sensitive, as the published searches do."""
    (witness,) = oracle.attack(oracle.place.movable[None], AttackOptions(steps=40, restarts=3))
    if witness is None:
        return None
    return sensitivity(oracle, witness).argsort().tolist()


def _enumerate(
    problem: ExplanationProblem, oracle: NetworkOracle, kind: Kind, count: int, meter: Meter
) -> dict[str, Any]:
    found = enumerate_explanations(
        problem,
        oracle,
        kinds=[kind],
        bias=kind.dual,
        strategy=NetworkSearch(oracle, 5.0),
        meter=meter,
        budget=None,
    )
    sizes: list[int] = []
    undecided = 0
    for explanation in found:
        sizes.append(len(explanation))
        undecided += bool(explanation.open)
        if len(sizes) >= count:
            break
    return {"found": len(sizes), "size": float(np.mean(sizes)), "not_minimal": undecided}


def _check(
    problem: ExplanationProblem,
    oracle: NetworkOracle,
    explanation: Explanation,
    redecide: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Replay witnesses, and decide sampled proofs again by a second method."""
    witnesses = [
        answer
        for answer in (explanation.evidence, *explanation.necessity.values())
        if isinstance(answer, Counterexample)
    ]
    good = sum(bool(problem.changed(w.point[None])[0]) for w in witnesses)
    record: dict[str, Any] = {"witnesses": len(witnesses), "replayed": good}
    proved = [i for i, a in explanation.necessity.items() if isinstance(a, Entailed)]
    sets = [explanation.members - {i} for i in proved]
    if explanation.kind is Kind.AXP and isinstance(explanation.evidence, Entailed):
        sets = [problem.universe - explanation.members]
    if redecide and sets and oracle.place.network.is_piecewise_linear:
        chosen = rng.choice(len(sets), min(redecide, len(sets)), replace=False)
        second = MilpOracle(problem, place=oracle.place, seconds=30.0)
        answers = second.decide([sets[int(i)] for i in chosen], Meter())
        record["redecided"] = len(answers)
        record["agreed"] = sum(isinstance(a, Entailed) for a in answers)
        record["contradicted"] = sum(isinstance(a, Counterexample) for a in answers)
    return record


def _summary(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    keys = dict.fromkeys((r["net"], r["epsilon"], r["strategy"]) for r in records)
    for net, epsilon, strategy in keys:
        every = [
            r
            for r in records
            if (r["net"], r["epsilon"], r["strategy"]) == (net, epsilon, strategy)
        ]
        same = [r for r in every if r.get("size") is not None]
        line = {"net": net, "epsilon": epsilon, "strategy": strategy, "rows": len(every)}
        line["none"] = len(every) - len(same)
        if same:
            cpu = [r["cpu"] for r in same]
            line |= {
                "mean_size": round(float(np.mean([r["size"] for r in same])), 2),
                "proved": sum(r.get("status") == "minimal" for r in same),
                "cpu_median": round(float(np.median(cpu)), 3),
                "cpu_max": round(max(cpu), 3),
                "cpu_total": round(sum(cpu), 2),
                "rounds_max": max(r["rounds"] for r in same),
            }
            line |= _against_witness(same, records)
        lines.append(line)
    return lines


def _against_witness(
    same: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Compare with our own search on the same problems."""
    if same[0]["strategy"] == "witness":
        return {}
    problem = ("net", "epsilon", "row")
    ours = {
        tuple(r[k] for k in problem): r
        for r in records
        if r["strategy"] == "witness" and r.get("size") is not None
    }
    pairs = [(r, ours[key]) for r in same if (key := tuple(r[k] for k in problem)) in ours]
    if not pairs:
        return {}
    ratios = [theirs["cpu"] / own["cpu"] for theirs, own in pairs]
    return {
        "stopped": sum(bool(theirs.get("stopped")) for theirs, _ in pairs),
        "ratio_least": round(min(ratios), 1),
        "ratio_median": round(float(np.median(ratios)), 1),
        "ratio_total": round(sum(t["cpu"] for t, _ in pairs) / sum(o["cpu"] for _, o in pairs), 1),
        "our_mean_size": round(float(np.mean([own["size"] for _, own in pairs])), 2),
    }


def _load(net: str) -> NetworkClassifier:
    path = Path(net)
    if not path.exists():
        path = next(iter(data_folder().glob(f"nets/*/{net}*")))
    if path.suffix == ".npz":
        return NetworkClassifier(fame_model(path))
    return NetworkClassifier.load(path)


def _images(options: argparse.Namespace) -> list[tuple[int, np.ndarray]]:
    path = Path(options.images)
    if not path.exists():
        path = data_folder() / "images" / options.images
    data = np.load(path)
    pixels = data["x_train" if options.train else "x_test"]
    rows: list[int] = []
    if options.listed:
        table = published(data_folder() / "nets/fame/published" / options.listed)
        rows = [int(line["index"]) for line in table]
    else:
        for part in options.rows.split(","):
            begin, _, end = part.partition(":")
            rows += list(range(int(begin), int(end))) if end else [int(begin)]
    scale = np.float32(255)
    flat = pixels[rows].reshape(len(rows), -1).astype(np.float32) / scale
    return list(zip(rows, flat.astype(np.float64), strict=True))


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--section", choices=SECTIONS, help="settings by name; others override")
    parser.add_argument("--net", nargs="+")
    parser.add_argument("--images", default="mnist.npz")
    parser.add_argument("--train", action="store_true", help="take training images")
    parser.add_argument("--rows", default="0:8")
    parser.add_argument("--listed", help="take the images of a published table of FAME")
    parser.add_argument("--epsilon", type=_numbers, default=[0.05])
    parser.add_argument("--strategy", type=lambda s: s.split(","), default=["witness"])
    parser.add_argument("--kind", choices=["cxp", "axp"], default="cxp")
    parser.add_argument("--enumerate", type=int, default=0, metavar="N")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor seconds of proofs")
    parser.add_argument("--tree-seconds", type=float, default=2.0)
    parser.add_argument("--wall-seconds", type=float, default=600.0)
    parser.add_argument("--baseline-seconds", type=float, default=60.0, help="by the clock")
    parser.add_argument("--q", type=int, default=30, help="sets per round of SwiftCXp")
    parser.add_argument("--redecide", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--most", type=int, default=10**9, help="records to add in this run")
    parser.add_argument("--resume", action="store_true", help="keep the records that are there")
    named, _ = parser.parse_known_args(given)
    options = parser.parse_args([*SECTIONS.get(named.section, "").split(), *given])
    if not options.net:
        parser.error("name a network by --net, or a section")
    return options


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
