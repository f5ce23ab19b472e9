"""The published protocol's data: folds, scaling, classifiers and flows, cached as safetensors.

Protocol (facts from the unified method's paper and code): five stratified folds of seed 4,
min-max scaling by the training fold, labels replaced by the classifier's predictions before
the flow is trained, explained are test rows predicted as class 0, towards class 1.  Ours
differs in two points: classifier and flow stop on rows set apart from the training fold,
never on the test fold; and the flow of Digits sees every image spread out anew at each
step, not with the same noise and a little more.
"""

from __future__ import annotations

import gzip
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whyproof.plausible.backend import Array, tensor
from whyproof.plausible.fitting import Fit
from whyproof.plausible.flow import FlowShape, MaskedFlow, masks_of
from whyproof.plausible.flow_files import load_flow, save_flow
from whyproof.plausible.flow_training import FlowTraining, train_flow
from whyproof.plausible.perceptron import Perceptron, PerceptronTraining, train_perceptron
from whyproof.plausible.scale import Scale

__all__ = ["DATASETS", "Fold", "published_flow", "published_mlp", "read_fold"]

DATASETS = ("moons", "law", "wine", "blobs", "digits", "heloc")
_FILES = {
    "heloc": ("heloc_clean.csv.gz", "RiskPerformance"),
    "law": ("law_balanced.csv", "pass_bar"),
    "wine": ("wine.csv", "Target"),
    "digits": ("digits.csv.gz", "digit"),
    "moons": ("moons.csv", "y"),
    "blobs": ("blobs.csv", "y"),
}
_EDGE, _LEVELS = 1e-6, 17.0
"""Digits: counts of 0 to 16 are spread over 17 unit intervals and become logits."""


def spread_anew(logits: Tensor) -> Tensor:
    """Draw digits again from the unit intervals of their counts."""
    share = (logits.sigmoid() - _EDGE) / (1 - 2 * _EDGE)
    counts = (share * _LEVELS).floor().clamp(0, _LEVELS - 1)
    share = _EDGE + (1 - 2 * _EDGE) * (counts + torch.rand_like(counts)) / _LEVELS
    return share.logit()


_FLOWS = {
    "wine": FlowTraining(5, 4, 2, 0.03, Fit(batch=32, epochs=600, patience=80)),
    "digits": FlowTraining(5, 256, 2, spread_anew, Fit(batch=128, epochs=60, patience=10)),
    "heloc": FlowTraining(8, 16, 4, 0.03, Fit(batch=128, epochs=80, patience=15)),
}
_FLOW = FlowTraining(8, 16, 4, 0.03, Fit(batch=128, epochs=200, patience=30))


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold, ready to search in.  Rows are in original units."""

    dataset: str
    number: int
    model_kind: str
    names: tuple[str, ...]
    train: Array
    test: Array
    train_labels: npt.NDArray[np.int64]
    test_labels: npt.NDArray[np.int64]
    scale: Scale
    model: Perceptron
    flow: MaskedFlow
    train_predicted: npt.NDArray[np.int64]
    test_predicted: npt.NDArray[np.int64]
    training: dict[str, float]


def table(folder: Path, dataset: str) -> tuple[tuple[str, ...], Array, npt.NDArray[np.int64]]:
    """Read a data set: column names, rows, class indices."""
    name, target = _FILES[dataset]
    path = folder / "counterfactual" / name
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = io.StringIO(raw.decode())
    header = text.readline().strip().split(",")
    values = np.loadtxt(text, delimiter=",")
    at = header.index(target) if target in header else len(header) - 1
    labels = np.unique(values[:, at], return_inverse=True)[1].astype(np.int64)
    rows = np.delete(values, at, axis=1)
    if dataset == "digits":
        noise = np.random.RandomState(42).uniform(size=rows.shape)
        share = _EDGE + (1 - 2 * _EDGE) * (rows + noise) / _LEVELS
        rows = np.log(share / (1 - share))
    names = tuple(n for i, n in enumerate(header) if i != at)
    return names, rows, labels


def read_fold(
    folder: Path,
    dataset: str,
    number: int,
    model_kind: str,
    cache: Path,
    *,
    published: bool = False,
) -> Fold:
    """Read one fold and its models; train and cache what is not there yet.

    With `published`, classifier and flow of fold 0 come from the data folder's weights.
    """
    from sklearn.model_selection import StratifiedKFold

    names, rows, labels = table(folder, dataset)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=4).split(rows, labels))
    train, test = splits[number]
    scale = Scale.of(rows[train], names)
    if dataset == "digits":
        scale = Scale(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
    unit = scale.to_unit(rows[train])
    training: dict[str, float] = {}
    if published:
        weights = folder / "counterfactual" / "weights"
        model = published_mlp(weights / f"{dataset}_mlp.npz")
        flow = published_flow(weights / f"{dataset}_maf.npz")
    else:
        model, flow, training = _trained(dataset, number, model_kind, unit, labels[train], cache)
    return Fold(
        dataset,
        number,
        model_kind,
        names,
        rows[train],
        rows[test],
        labels[train],
        labels[test],
        scale,
        model,
        flow,
        model.predict(unit),
        model.predict(scale.to_unit(rows[test])),
        training,
    )


def _trained(
    dataset: str,
    number: int,
    kind: str,
    unit: Array,
    labels: npt.NDArray[np.int64],
    cache: Path,
) -> tuple[Perceptron, MaskedFlow, dict[str, float]]:
    from safetensors.torch import load_file, save_file

    cache.mkdir(parents=True, exist_ok=True)
    stem = cache / f"{dataset}-{number}-{kind}"
    model_file, flow_file = stem.with_suffix(".model.safetensors"), Path(f"{stem}-flow.safetensors")
    seconds_file = stem.with_suffix(".json")
    training: dict[str, float] = (
        json.loads(seconds_file.read_text()) if seconds_file.exists() else {}
    )
    if model_file.exists():
        stored = load_file(model_file)
        model = Perceptron([(stored[f"w{i}"], stored[f"b{i}"]) for i in range(len(stored) // 2)])
    else:
        began = time.process_time()
        wide = (512, 512) if dataset == "digits" else (256, 256)
        linear = Fit(batch=128, rate=1e-2, epochs=600, patience=60, optimiser="radam")
        how = PerceptronTraining(hidden=wide)
        if kind == "lr":
            how = PerceptronTraining(hidden=(), fit=linear)
        model = train_perceptron(unit, labels, how, seed=number)
        training["classifier_cpu_s"] = round(time.process_time() - began, 2)
        tensors = {f"w{i}": w for i, (w, _) in enumerate(model.weights)}
        save_file(tensors | {f"b{i}": b for i, (_, b) in enumerate(model.weights)}, model_file)
    if flow_file.exists():
        flow = load_flow(flow_file)
    else:
        began = time.process_time()
        how_flow = _FLOWS.get(dataset, _FLOW)
        trained = train_flow(
            unit, model.predict(unit), how_flow, classes=int(labels.max()) + 1, seed=number
        )
        training["flow_cpu_s"] = round(time.process_time() - began, 2)
        training["flow_epochs"] = trained.fitted.epochs
        flow = trained.flow
        save_flow(flow, flow_file)
    seconds_file.write_text(json.dumps(training))
    return model, flow, training


def published_mlp(path: Path) -> Perceptron:
    """Read a classifier that the reference implementation trained."""
    stored = np.load(path)
    layers = len(stored.files) // 2
    pairs = [(stored[f"layers.{i}.weight"], stored[f"layers.{i}.bias"]) for i in range(layers)]
    return Perceptron([(tensor(w), tensor(b)) for w, b in pairs])


def published_flow(path: Path) -> MaskedFlow:
    """Read a flow that the reference implementation trained; the same density in our form."""
    stored = np.load(path)
    layers = sum(name.endswith("_permutation") for name in stored.files)

    def part(layer: int, name: str) -> Array:
        stem = f"model._transform._transforms.{2 * layer + 1}.autoregressive_net."
        return np.asarray(stored[stem + name], dtype=np.float64)

    hidden, columns = part(0, "initial_layer.weight").shape
    classes = part(0, "context_layer.weight").shape[1]
    marks = [n for n in stored.files if ".1.autoregressive_net.blocks." in n]
    blocks = sum(n.endswith("context_layer.weight") for n in marks)
    shape = FlowShape(columns, classes, layers, hidden, blocks)
    values = {name: np.zeros(size) for name, size in shape.tensors.items()}
    masks = masks_of(shape)
    for layer in range(layers):
        # Their permutation reverses the columns before every layer; our masks do.
        turn = slice(None, None, -1) if layer % 2 == 0 else slice(None)
        if not np.array_equal(part(layer, "initial_layer.mask")[:, turn], masks["input"][layer]):
            raise SystemExit(f"{path.name}: layer {layer} is masked in another way")
        values["input.weight"][layer] = part(layer, "initial_layer.weight")[:, turn]
        values["input.bias"][layer] = part(layer, "initial_layer.bias")
        values["class.weight"][layer] = part(layer, "context_layer.weight")
        values["class.bias"][layer] = part(layer, "context_layer.bias")
        for block in range(blocks):
            stem = f"blocks.{block}."
            for ours, theirs in (
                ("first", "linear_layers.0"),
                ("second", "linear_layers.1"),
                ("class", "context_layer"),
            ):
                for end in ("weight", "bias"):
                    values[f"block.{ours}.{end}"][layer, block] = part(
                        layer, f"{stem}{theirs}.{end}"
                    )
        weight = part(layer, "final_layer.weight").reshape(columns, 2, hidden)
        bias = part(layer, "final_layer.bias").reshape(columns, 2)
        values["output.weight"][layer] = weight.transpose(1, 0, 2)[:, turn]
        values["output.bias"][layer] = bias.T[:, turn]
    return MaskedFlow(shape, {name: tensor(value) for name, value in values.items()})
